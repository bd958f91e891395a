"""One target on its way through the pipeline: the request it needs next, its tries, and the age of its read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from linker.api.answers import Answer
from linker.api.lists import PageRequest
from linker.api.requests import ReadRequest, Request, layouts_of
from linker.api.visibility import Endpoint, Visibility
from linker.batch.change import Intent
from linker.batch.merge import DesiredState, Job
from linker.errors import Error
from linker.model.job import Links
from linker.results.outcomes import Outcomes
from linker.retry.verdict import GiveUp
from linker.work.attempts import Freshness, PageSeen, Step
from linker.work.events import Event, Observation, Signal
from linker.work.in_flight import InFlight
from linker.work.layout import workspace_of
from linker.work.pending import Pending
from linker.work.steps import Steps
from linker.work.view import TargetView


class Work:
    """What remains to do for one target: its `Steps`, and what the pipeline keeps of them.

    Args:
        desired: what its jobs ask for.
        visibility: what the run has learnt of the account's answers.
        page: the page of a list that shows it, if it was read from one.
        is_pioneer: write it before any answer of its kind has shown links, and read it back.
        max_age_s: how old a read may be, in seconds, when its PUT leaves.
        number_change: called once, when the target's first PUT leaves; returns the number of the change.
        blind: write without reading, if no job needs the current list.
        dry: plan only; nothing is ever written.
        open_intent: the last PUT of an earlier run, if it is unknown whether that arrived.
        defined: the account is known to define all fields of the desired state.
        is_off_layout: the layout of its workspace is known to lack one of them.
    """

    def __init__(
        self,
        desired: DesiredState,
        visibility: Visibility,
        *,
        max_age_s: float,
        number_change: Callable[[], int],
        page: PageRequest | None = None,
        is_pioneer: bool = False,
        blind: bool = False,
        dry: bool = False,
        open_intent: Intent | None = None,
        defined: bool = False,
        is_off_layout: bool = False,
    ) -> None:
        self.pending = Pending(desired)
        self.in_flight = InFlight(open_intent, number_change)
        skip_read = blind and not dry and not desired.needs_before
        self._view = TargetView(self.pending, self.in_flight, visibility, page, is_pioneer=is_pioneer)
        self._steps = Steps(
            self.pending,
            self.in_flight,
            visibility,
            self._view,
            skip_read=skip_read,
            dry=dry,
            defined=defined,
            is_off_layout=is_off_layout,
        )
        self._visibility = visibility
        self._tries = self._steps.tries
        self.step = self._steps.step
        """What it needs next; None if it is done."""
        self.freshness = Freshness(max_age_s)
        self.targets = (desired.target,) if open_intent is None else (desired.target, open_intent.target)
        """The names by which the journal may know this target."""
        self.page: PageSeen[Work] | None = None
        """The page of a list that it was read with, until its own first request leaves."""
        self.sent_at: float | None = None
        """When its first request left, in loop time."""
        self.refusal = 0
        """How many 429 in a row the current request has met."""
        self.counted_removals = 0
        """Removals that the guard has counted."""
        self.counted_as_written = False
        """The summary counts it as written to."""
        self.admitted = False
        """The guard and the pilot let it be written."""
        self.is_on_hold = False
        """It waits for consent, so nothing is sent."""
        self.has_waited = False
        """The current request has waited for as long as its step asked."""
        self.ended = False
        """Nothing more is done for it in this run."""

    def __repr__(self) -> str:
        return f"<Work {self.pending.desired.target}, {self.step.name if self.step else 'done'}, try {self.attempt}>"

    @property
    def taken(self) -> Mapping[str, bool]:
        """For each field that was written and observed afterwards, whether the account took any of it."""
        return self._steps.taken

    def __str__(self) -> str:
        return str(self.current_request)

    @property
    def subject(self) -> str:
        """What the current request reads or writes, for people."""
        return self.current_request.subject

    @property
    def method(self) -> str:
        """The HTTP method of the current request."""
        return self.current_request.method

    @property
    def attempt(self) -> int:
        """How often the current request has been tried."""
        return self._tries.made(self.step)

    @property
    def spent(self) -> int:
        """How many of these tries count: those of an outage do not."""
        return self._tries.spent(self.step)

    def forgive(self) -> None:
        """Let the tries of the current request so far count for nothing."""
        self._tries.forgive(self.step)

    def is_old(self, now: float) -> bool:
        """Whether its PUT relies on a read that is too old."""
        read_at = self._steps.read_at
        return read_at is not None and self.step is Step.WRITE and self.freshness.is_old(read_at, now)

    @property
    def is_fresh(self) -> bool:
        """Whether it is at its PUT and none has ever left."""
        return self.step is Step.WRITE and not self._tries.made(Step.WRITE) and self._steps.search is None

    @property
    def goes_first(self) -> bool:
        """Whether the request goes ahead of new ones: it is a further try, or a PUT for which a read was just made."""
        is_further = self.refusal > 0 or self._tries.made(self.step) > 0
        return is_further or (self.freshness.looks > 0 and self.step is Step.WRITE)

    @property
    def is_off_layout(self) -> bool:
        """Whether the layout of its workspace is known to lack a field of its jobs."""
        return self._steps.is_off_layout

    @property
    def may_hide_links(self) -> bool:
        """Whether the target may hold links that no answer shows."""
        return self._view.is_presumed and self._visibility.hides(self.pending.desired.target.kind)

    @property
    def wait_s(self) -> float:
        """Seconds to wait before the current request is sent."""
        return self._steps.wait_s

    def take_wait(self) -> float | None:
        """Return `wait_s`, and let the request be sent from now on; None if it need not wait.

        A look at a page waits for those of other targets if the answer to the PUT has shown an old list: this account
        is late. If it has shown none, the sooner a look tells that this means none, the fewer looks there are.
        """
        wait_s, self._steps.wait_s = self._steps.wait_s, 0.0
        is_shared = self._steps.is_late and self.step is Step.CHECK_PAGE
        if self.has_waited or not (wait_s or is_shared):
            return None
        self.has_waited = True
        return wait_s

    @property
    def current_request(self) -> Request | PageRequest | ReadRequest:
        """The current request; this counts no try."""
        target, names = self.pending.desired.target, self._view.names
        if self.step is Step.WRITE:
            return Request(target, self._steps.put, clears_with_blank=self._steps.clears_with_blank, names=names)
        if self.step is Step.LAYOUT:
            return layouts_of(workspace_of(target))
        if self.step is Step.CHECK_PAGE:
            assert self._view.page is not None
            return self._view.page
        if self.step is Step.READ_OTHER:
            assert self._view.moved_to is not None
            return Request(self._view.moved_to, may_move=True)
        return Request(target, names=names, may_move=self.step is Step.READ)

    def request(self, now: float) -> Request | PageRequest | ReadRequest | None:
        """Count a try and return what to send at this moment, `now` in loop time.

        A read that is too old is made again first. None if its page is to be read again for several targets, or if
        there is nothing to send.
        """
        if self.is_old(now):
            if self.page is not None and len(self.page.unsent) > 1:
                return None
            self.freshness.looks += 1
            self._send(Signal.OUTDATED, now)
        if self.step is None:
            return None
        if self.page is not None:
            self._leave_page()
        self._tries.add(self.step)
        if self.step is Step.WRITE:
            self.freshness.looks = 0
            self._steps.clears_with_blank |= bool(self._visibility.clears_with_blank)
            self.in_flight.leaves(self._steps.put)
        return self.current_request

    def intent(self) -> Intent:
        """The current PUT, as the journal notes it before it leaves."""
        assert self.pending.change is not None
        return self.in_flight.intent(self.pending.change, self._steps.search, self._steps.put)

    @property
    def is_noted(self) -> bool:
        """Whether the current PUT is still the one whose intent was returned last."""
        return self.in_flight.is_noted(self.pending.change, self._steps.search)

    # What came of the request. Each returns the outcomes that are known by then.

    def answered(self, answer: Answer, now: float) -> Outcomes:
        """The current request was answered with a status from 200 to 299."""
        self.refusal = 0
        if self.step is not Step.WRITE and self.step in (Step.READ, Step.READ_OTHER, Step.CHECK_PAGE):
            self.freshness.looks = max(self.freshness.looks, 1)
        return self._send(answer, now)

    def observe(self, links: Links | None, read_at: float, now: float) -> Outcomes:
        """The target was read together with others, and holds `links`; None if no answer of its kind shows links."""
        if self.step is Step.WRITE:
            self._send(Signal.OUTDATED, now)
        endpoint = Endpoint.READ if self._view.page is None else Endpoint.LIST
        return self._send(Observation(links, read_at, endpoint), now)

    def answered_unusably(self, now: float) -> None:
        """The PUT was answered with 2xx, and with nothing that shows the target: read it before the PUT is sent again.

        What is read then settles it: if the target holds what was asked for, the PUT was carried out.
        """
        self._send(Signal.OUTDATED, now)

    def failed(self, error: Error, http_status: int | None, now: float) -> Outcomes:
        """The current request will not be tried again."""
        return self._send(GiveUp(error, http_status), now)

    def refused(self) -> None:
        """The account refused the request for its rate (429): that try counts for nothing."""
        self._tries.refuse(self.step)
        if self.step is Step.WRITE:
            self.in_flight.refused()
        self.refusal += 1

    def drop(self, errors: Mapping[tuple[str, str], Error], now: float, *, tried: bool) -> Outcomes:
        """Take out the jobs that name one of these records, before the first PUT has left; the others go on.

        Args:
            errors: by field and record.
            tried: something was asked of the account for them, so they failed; else they are rejected.
        """
        dropped: list[tuple[Job, Error]] = []
        for job in self.pending.jobs:
            named = ((field, id) for field, ids in job.links.items() for id in ids)
            error = next((errors[record] for record in named if record in errors), None)
            if error is not None:
                dropped.append((job, error))
        return self._drop(dropped, now, tried=tried)

    def reject(self, error: Error, now: float) -> Outcomes:
        """Reject all of its jobs, before the first PUT has left."""
        return self._drop([(job, error) for job in self.pending.jobs], now, tried=False)

    def _drop(self, dropped: Sequence[tuple[Job, Error]], now: float, *, tried: bool) -> Outcomes:
        self._steps.drop(dropped, tried=tried)
        outcomes = self._send(Signal.DROPPED, now)
        if self.step is None:
            self._leave_page()
        return outcomes

    def read_again(self) -> None:
        """Its page shows the target no more: read it by itself."""
        self._leave_page()
        self._send(Signal.OUTDATED, 0.0)

    def _send(self, event: Event, now: float) -> Outcomes:
        if self.sent_at is None and isinstance(event, Observation):
            self.sent_at = event.read_at
        elapsed_ms = round((now - self.sent_at) * 1000, 1) if self.sent_at is not None else 0.0
        outcomes = self._steps.send(event, elapsed_ms)
        self.step = self._steps.step
        self.has_waited = False
        return outcomes

    def _leave_page(self) -> None:
        if self.page is not None:
            self.page.unsent.discard(self)
            self.page = None
