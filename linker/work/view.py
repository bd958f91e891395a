"""What answers show of one target, and what follows if they show no links."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from linker.api.answers import Answer, Listed
from linker.api.lists import PageRequest
from linker.api.requests import is_other
from linker.api.visibility import Endpoint, Visibility
from linker.batch.change import Change
from linker.errors import Error, ErrorType
from linker.model.job import Links
from linker.model.target import Target
from linker.retry.verdict import GiveUp
from linker.work.attempts import Step
from linker.work.events import Event, Observation
from linker.work.in_flight import InFlight
from linker.work.outcome import Seen
from linker.work.pending import Pending

LOOKS: Final = (0.0, 2.0, 6.0)
"""Seconds to wait before each look at what was written: 0, 2 and 8 s after the PUT's answer."""


class TargetView:
    """One target as answers show it.

    Args:
        visibility: what the run has learnt of the account's answers.
        page: the page of a list that shows the target, if it was read from one.
        is_pioneer: it is written even if no answer of the kind has shown links so far, and read back.
    """

    def __init__(
        self,
        pending: Pending,
        in_flight: InFlight,
        visibility: Visibility,
        page: PageRequest | None,
        *,
        is_pioneer: bool,
    ) -> None:
        self._pending = pending
        self._in_flight = in_flight
        self._visibility = visibility
        self._kind = pending.desired.target.kind
        self._compared: Seen | None = None  # the last comparison
        self.page = page
        self.is_pioneer = is_pioneer
        self.names = frozenset([pending.desired.target.id, *[job.target.id for job in pending.jobs]])
        """Ids and reference numbers of the target, as far as they are known."""
        self.moved_to: Target | None = None
        """What an answer named instead of the target, while it is not known whether that is the same."""
        self.presumed_by: Endpoint | None = None
        """What showed no links before, if that is taken to mean that there were none."""

    def __repr__(self) -> str:
        return f"<TargetView of {self._pending.desired.target}>"

    def learn_names(self, shown: Listed) -> None:
        """An answer about the target names it."""
        self._visibility.claim(shown, self._pending.desired.target.id)
        self.names |= {shown.id, shown.reference} - {""}

    def read(self) -> Generator[Step, Event, Event]:
        """Read the target; returns what it holds as an `Observation`, unless that failed or was broken off."""
        event = yield Step.READ
        if isinstance(event, Answer) and self.is_other(event):
            event = yield from self._moved(event)
        if not isinstance(event, Answer):
            return event
        self.learn_names(event.target)
        if event.target.obscures(self._pending.desired.fields):
            message = f"{self._pending.desired.target} shows its links in a form that linker cannot read"
            return GiveUp(Error(ErrorType.BAD_ANSWER, message, retryable=True), event.status)
        links = self._visibility.observe(self._kind, Endpoint.READ, event.target)
        if links is None and self.page is not None and self._visibility.is_proved(self._kind, Endpoint.LIST):
            page = yield Step.CHECK_PAGE  # single answers have shown no links yet, and the list has
            if isinstance(page, Answer):
                links = self.seen_by(page, Step.CHECK_PAGE)
                return Observation(links, page.sent_at, Endpoint.LIST, page.status)
        return Observation(links, event.sent_at, Endpoint.READ, event.status)

    def _moved(self, answer: Answer) -> Generator[Step, Event, Event]:
        """Find out whether the target that the account answers with is the one asked for, under a new name."""
        shown = answer.target
        self.moved_to = Target.parse(shown.reference or shown.id, self._kind)
        event = yield Step.READ_OTHER
        asked = self._pending.desired.target
        if isinstance(event, Answer) and is_other(event.target, {shown.id, shown.reference} - {""}):
            why = f"and the answer for {self.moved_to} is about another record again"
        elif not self._visibility.claim(shown, asked.id):
            why = "as is the answer for another target"
        else:
            return event if isinstance(event, GiveUp) and event.http_status != 404 else answer
        message = (
            f"the answer for {asked} is about {self.moved_to}, {why}; a proxy or cache between linker and Aha! mixes "
            "up answers"
        )
        return GiveUp(Error(ErrorType.BAD_ANSWER, message, retryable=True), answer.status)

    def is_other(self, answer: Answer) -> bool:
        """Whether an answer is about another target."""
        return is_other(answer.target, self.names)

    def shown_by(self, item: Listed, endpoint: Endpoint) -> Links | None:
        """The links that an answer shows; None if it shows none, or some in a form that cannot be read."""
        links = self._visibility.observe(self._kind, endpoint, item)
        return None if item.obscures(self._pending.desired.fields) else links

    def seen_by(self, answer: Answer, step: Step) -> Links | None:
        """What a look shows of the target; None if it does not show the target's links."""
        if step is Step.CHECK:
            return None if self.is_other(answer) else self.shown_by(answer.target, Endpoint.READ)
        seen: Links | None = None
        for item in answer.page.items if answer.page is not None else ():
            links = self.shown_by(item, Endpoint.LIST)
            if item.id in self.names or item.reference in self.names:
                seen = links
        return seen

    def next_looks(self, links: Links | None, number: int) -> list[Step]:
        """How to look again: not at all, if the target is known to hold what was asked and no proof is missing.

        Later looks are at the page of the list, which they share; the last one also at the target itself.
        """
        if not self.is_pioneer and self.is_as_asked(links):
            return []
        reads, lists = (self._visibility.is_proved(self._kind, end) for end in (Endpoint.READ, Endpoint.LIST))
        if self.is_pioneer and self.presumed_by is not None:
            is_list_open = self.page is not None and not lists
            looks = [Step.CHECK] * (not reads) + [Step.CHECK_PAGE] * is_list_open
            return looks or [Step.CHECK] * (not self.is_as_asked(links))
        if self.is_as_asked(links):
            return []
        if number == 1:
            return [Step.CHECK_PAGE if self.page is not None and lists and not reads else Step.CHECK]
        if self.page is None or not self._visibility.is_answering(self._kind, Endpoint.LIST):
            return [Step.CHECK]
        return [Step.CHECK_PAGE] if number < len(LOOKS) or (not reads and lists) else [Step.CHECK_PAGE, Step.CHECK]

    def is_as_asked(self, links: Links | None) -> bool:
        """Whether the target is known to hold what its jobs asked for, or nobody can tell."""
        change = self._pending.change
        assert change is not None
        if links is None:  # a list that was cleared is shown by nothing
            return not any(change.after.values()) and not self._visibility.can_be_read(self._kind)
        seen, fields = self.compare(change, links), self._in_flight.fields
        return not seen.differing or not any(
            seen.missing(job) for job in self._pending.jobs if not fields.isdisjoint(job.links)
        )

    def compare(self, change: Change, links: Links) -> Seen:
        """Compare a change with what the target holds since."""
        if self._compared is None or not self._compared.is_of(change, links):
            self._compared = Seen.of(change, links)
        return self._compared

    @property
    def is_presumed(self) -> bool:
        """Whether no answer has shown what the target held, and none of that endpoint has ever shown links."""
        return self.presumed_by is not None and not self._visibility.is_proved(self._kind, self.presumed_by)

    def presume(self, endpoint: Endpoint, *, dry: bool) -> Links | None:
        """What to go by if no answer shows the target's links: it holds none, or (None) nobody can tell.

        Only the pioneer is written on that presumption. A plan writes nothing; and a target that is to lose links has
        none to lose where none are shown.
        """
        if self._visibility.hides(self._kind) and not self.is_pioneer:
            return None
        asks_for_links = any(links.replace or links.add for links in self._pending.desired.fields.values())
        if asks_for_links and not (dry or self.is_pioneer):
            return None
        self.presumed_by = endpoint
        return {}

    def why_unseen(self, change: Change, *, is_off_layout: bool) -> str | None:
        """Why it is a failure that no answer shows what was written; None if it is not one."""
        if is_off_layout:
            return "the field is not on the layout of the workspace, so the account ignored it; add it there"
        if change.before is None:  # nothing of it was known before either
            return None
        if not self.is_presumed:
            return f"no answer shows the links of {self._pending.desired.target} any more; check it in Aha!"
        if not self._pending.desired.needs_before:  # the whole list was written, whatever it held
            return None
        return f"no answer shows the links of {self._kind.plural}, so linker cannot check what was written"
