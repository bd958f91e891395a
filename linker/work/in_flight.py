"""What has left for one target and what came back; a PUT may have arrived without anybody knowing."""

from __future__ import annotations

from collections.abc import Callable, Collection

from linker.api.answers import Answer
from linker.batch.change import Change, Intent, arrived
from linker.batch.merge import DesiredState
from linker.model.job import Links
from linker.work.blame import BlameSearch

__all__ = ["InFlight"]


class InFlight:
    """The fields of the PUTs of one target that were taken, or may have been: their answers were lost.

    Args:
        left: the last PUT of an earlier run, of which it is not known whether it arrived.
        number_change: called once, when the first PUT leaves; gives the change its number.
    """

    __slots__ = ("_new", "_noted", "_number_change", "answer", "attempts", "fields", "left", "number")

    def __init__(self, left: Intent | None, number_change: Callable[[], int]) -> None:
        self.left = left
        self._number_change = number_change
        self.number: int | None = None
        """Of the change."""
        self.attempts = 0
        """Of PUTs that were answered."""
        self.answer: Answer | None = None
        """To the last PUT that was taken."""
        self.fields: set[str] = set()
        self._new: set[str] = set()  # those that the PUT in hand has brought in
        self._noted: object = None  # what stood for the PUT in hand when its intent was told

    @property
    def in_doubt(self) -> bool:
        """A PUT may have arrived, in this run or an earlier one."""
        return bool(self.fields) or self.left is not None

    def leaves(self, put: Links) -> None:
        """A PUT leaves."""
        self._new = put.keys() - self.fields
        self.fields |= self._new
        self.count()

    def count(self) -> None:
        """A PUT has left: the change has its number."""
        if self.number is None:
            self.number = self._number_change()

    def refused(self) -> None:
        """The last PUT has changed nothing."""
        self.fields -= self._new

    def intent(self, change: Change, blame: BlameSearch | None, put: Links) -> Intent:
        """A PUT that is to leave, as it is to be noted."""
        self._noted = blame.put if blame is not None else change
        before, held = (change.before, change.held) if blame is None else (blame.before, blame.held)
        if change.before is None or before is None:
            return Intent(change.target, put)
        fields = put.keys() | self.fields
        return Intent(change.target, put, _only(fields, before), _only(fields, held) if held != before else None)

    def is_noted(self, change: Change | None, blame: BlameSearch | None) -> bool:
        """Whether the PUT in hand is still the one whose intent was told last."""
        return self._noted is (blame.put if blame is not None else change)

    def resumed(self, desired: DesiredState, held: Links, links: Links) -> Links | None:
        """What the target held before an earlier run, as far as the answer shows what that run has put.

        `held` where nothing of it is to be seen; None where it was never known.
        """
        if self.left is None:
            return held
        done, self.left = arrived(self.left, links), None
        fields = done.after.keys() & desired.fields.keys() if done is not None else set()
        if done is None or not fields or (done.before is None and desired.needs_before):
            return held
        self.fields = set(fields)
        return done.since(held, fields) if done.before is not None else None


def _only(fields: Collection[str], links: Links | None) -> Links | None:
    return None if links is None else {field: links[field] for field in fields}
