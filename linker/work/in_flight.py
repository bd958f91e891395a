"""The PUTs of one target that have left: which fields they wrote, or may have written if the answer was lost."""

from __future__ import annotations

from collections.abc import Callable, Collection

from linker.api.answers import Answer
from linker.batch.change import Change, Intent, applied_change
from linker.batch.merge import DesiredState
from linker.model.job import Links
from linker.work.blame import BlameSearch


class InFlight:
    """What has left for one target, and what came back.

    Args:
        open_intent: the last PUT of an earlier run, if it is unknown whether that arrived.
        number_change: called once, when the first PUT leaves; returns the number of the change.
    """

    __slots__ = ("_new", "_noted", "_number_change", "answer", "attempts", "fields", "number", "open_intent")

    def __init__(self, open_intent: Intent | None, number_change: Callable[[], int]) -> None:
        self.open_intent = open_intent
        self._number_change = number_change
        self.number: int | None = None
        """The number of the change; None before a PUT has left."""
        self.attempts = 0
        """Tries of the PUTs that were answered."""
        self.answer: Answer | None = None
        """The answer to the last PUT that was taken."""
        self.fields: set[str] = set()
        """Fields that a PUT has written, or may have written."""
        self._new: set[str] = set()  # those of them that only the current PUT writes
        self._noted: object = None  # identifies the PUT whose intent was returned last

    @property
    def in_doubt(self) -> bool:
        """Whether a PUT may have arrived, in this run or an earlier one."""
        return bool(self.fields) or self.open_intent is not None

    def leaves(self, put: Links) -> None:
        """Note that a PUT leaves."""
        self._new = put.keys() - self.fields
        self.fields |= self._new
        if self.number is None:
            self.count()

    def count(self) -> None:
        """Give the change its number, since a PUT has left."""
        if self.number is None:
            self.number = self._number_change()

    def refused(self) -> None:
        """Note that the last PUT has changed nothing."""
        self.fields -= self._new

    def intent(self, change: Change, search: BlameSearch | None, put: Links) -> Intent:
        """The PUT that is about to leave, as the journal notes it."""
        self._noted = search.put if search is not None else change
        before, current = (change.before, change.current) if search is None else (search.before, search.current)
        if change.before is None or before is None:
            return Intent(change.target, put)
        fields = put.keys() | self.fields
        return Intent(change.target, put, _only(fields, before), _only(fields, current) if current != before else None)

    def is_noted(self, change: Change | None, search: BlameSearch | None) -> bool:
        """Whether the current PUT is still the one whose intent was returned last."""
        return self._noted is (search.put if search is not None else change)

    def resumed(self, desired: DesiredState, current: Links, links: Links) -> Links | None:
        """What the target held before an earlier run, if its answer (`links`) shows that the run's last PUT arrived.

        Returns `current` if it did not arrive, None if the earlier run did not know what the target held.
        """
        if self.open_intent is None:
            return current
        done, self.open_intent = applied_change(self.open_intent, links), None
        fields = done.after.keys() & desired.fields.keys() if done is not None else set()
        if done is None or not fields or (done.before is None and desired.needs_before):
            return current
        self.fields = set(fields)
        self.attempts = 1
        self.count()
        return done.infer_before(current, fields) if done.before is not None else None


def _only(fields: Collection[str], links: Links | None) -> Links | None:
    return None if links is None else {field: links[field] for field in fields}
