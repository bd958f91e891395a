"""The steps of one target from desired state to results, as a generator that does no input or output.

    READ ─▶ plan ─▶ WRITE ─▶ (its answer does not show what was written) CHECK, after 0, 2 and 8 s ─▶ results
      ▲               │
      └── too old ────┘

Each `yield` names the request to send next; its value is what came of it.

A kind's *pioneer* is written before any answer of that kind has shown links, alone, and then read back, which proves
that a missing list of links means none (`linker/api/visibility.py`).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import TypeAlias

from linker.api.answers import Answer, Listed
from linker.api.layouts import parse_layouts
from linker.api.statuses import may_be_applied
from linker.api.visibility import Endpoint, Visibility
from linker.batch.placeholder import new_in
from linker.errors import Error, ErrorType
from linker.model.job import Links
from linker.model.target import Kind
from linker.results.outcomes import Outcomes
from linker.results.result import Planned
from linker.retry.verdict import GiveUp
from linker.work.attempts import Step, Tries
from linker.work.blame import BlameSearch
from linker.work.events import Event, Observation, Signal
from linker.work.in_flight import InFlight
from linker.work.job_results import JobResults, parted
from linker.work.layout import workspace_of
from linker.work.outcome import INVALID, Failed, broken_off, with_hint, without_before
from linker.work.pending import Pending
from linker.work.view import LOOKS, TargetView

_NONE: frozenset[str] = frozenset()


_More: TypeAlias = Generator[Step, Event, bool]
"""Some steps; whether there is more to do after them."""


class Steps:
    """The steps of one target, and the outcomes of its jobs.

    Args:
        visibility: what the run has learnt of the account's answers.
        view: the target as answers show it.
        skip_read: begin with the PUT.
        dry: plan only.
        defined: the account is known to define all fields that the jobs name.
        is_off_layout: the layout of the target's workspace is known to lack one of them.
    """

    def __init__(
        self,
        pending: Pending,
        in_flight: InFlight,
        visibility: Visibility,
        view: TargetView,
        *,
        skip_read: bool,
        dry: bool,
        defined: bool,
        is_off_layout: bool,
    ) -> None:
        self.pending = pending
        self.in_flight = in_flight
        self.view = view
        self.results = JobResults(pending, in_flight, view, defined=defined)
        self.tries = Tries()
        self.search: BlameSearch | None = None
        """The search for the jobs to blame for a refused PUT, while there is one."""
        self.read_at: float | None = None
        """When the read left that the PUT relies on, in loop time; None if it relies on none."""
        self.taken: Mapping[str, bool] = {}
        """For each field that was written and observed afterwards, whether the account took any of it."""
        self.wait_s = 0.0
        """Seconds to wait before the request of `step` is sent."""
        self.is_late = False
        """Whether the answer to the last PUT has shown the target otherwise than as asked."""
        self.clears_with_blank = False
        """Whether the last PUT has cleared fields by `[""]`, or the next one is to."""
        self._visibility = visibility
        self._kind = pending.desired.target.kind
        self._dry = dry
        self.is_off_layout = is_off_layout
        self._attempts = 0  # of the request that was answered or given up last
        self._observed: Links = {}  # fields by the answers to the PUTs of a search
        self._read_status = 200
        self._refused_status: int | None = None
        self._generator = self._all(skip_read=skip_read)
        self.step: Step | None = next(self._generator)
        """What to send next; None at the end."""

    @property
    def put(self) -> Links:
        """What the next PUT is to say."""
        if self.search is None:
            return self.pending.put
        assert self.search.put is not None
        return self.search.put

    def send(self, event: Event, elapsed_ms: float) -> Outcomes:
        """Take what came of the request, and return the outcomes that are known now.

        Args:
            elapsed_ms: time since the first request of this target left.
        """
        self.results.elapsed_ms = elapsed_ms
        self.wait_s = 0.0
        is_seen = isinstance(event, (Answer, Observation))
        self._attempts = self.tries.begin(self.step) if is_seen else self.tries.made(self.step)
        try:
            self.step = self._generator.send(event)
        except StopIteration:
            self.step = None
            self.results.end()
        return self.results.take()

    def drop(self, dropped: Sequence[Failed], *, tried: bool) -> None:
        """Take out jobs that will not be sent; their siblings in a list go with them. `Signal.DROPPED` comes next.

        Args:
            tried: something was asked of the account for them, so they failed; else they are rejected.
        """
        self.results.reject(self.pending.drop([job for job, _ in dropped]))
        if tried:
            self.results.lose(dropped, None, 0)
        else:
            self.results.reject(dropped)

    # The steps.

    def _all(self, *, skip_read: bool) -> _More:
        if skip_read:
            self.pending.plan(None)
        elif not (yield from self._read_and_plan()):
            return False
        if not (yield from self._write()):
            return False
        links = yield from self._read_back()
        if self._ignored_clears(links):
            links = yield from self._clear_with_blank(links)
        if links is None and self.view.is_pioneer and not self.is_off_layout:
            yield from self._check_layout()
        self._finish(links)
        return False

    def _check_layout(self) -> Generator[Step, Event, None]:
        """Find out whether nothing shows what was written because the workspace's layout lacks the field."""
        if self._kind in (Kind.PRODUCT, Kind.CUSTOM_OBJECT_RECORD) or not workspace_of(self.pending.desired.target):
            return
        event = yield Step.LAYOUT
        if isinstance(event, Answer) and event.value is not None:
            on_layout = parse_layouts(event.value["product"].get("screen_definitions")).get(self._kind)
            self.is_off_layout = on_layout is not None and not on_layout.issuperset(self.pending.desired.fields)

    def _read_and_plan(self) -> _More:
        event = yield from self.view.read()
        if isinstance(event, GiveUp):
            self._fail(event)
        if not isinstance(event, Observation):
            return False
        return self._plan(event) if self.search is None else self._look(self.search, event)

    def _write(self) -> _More:
        """Send the PUT until it is taken, or until the jobs to blame are found and the list of the others is taken."""
        while self.search is None or self.search.put is not None:
            event = yield Step.WRITE
            match event:
                case Answer():
                    self.in_flight.attempts += self._attempts
                    self.in_flight.answer = event
                    if self.search is None:
                        return True
                    self.search.taken(self._visibility.observe(self._kind, Endpoint.WRITE, event.target))
                case GiveUp(error, status) if status in INVALID and (self.search or len(self.pending.jobs) > 1):
                    if not (yield from self._refused(error, status)):
                        return False
                case GiveUp():
                    self._fail(event)
                    return False
                case Signal.OUTDATED:
                    if not (yield from self._read_and_plan()):
                        return False
                case Signal.DROPPED:
                    if not self._plan_again():
                        return False
        self._tell_blamed(self.search)
        return True

    def _refused(self, error: Error, status: int | None) -> _More:
        """The account refused a PUT of several jobs: search for those to blame."""
        put, self._refused_status = self.put, status
        self.in_flight.attempts += self.tries.begin(Step.WRITE)
        self.in_flight.refused()
        if self.search is not None:
            self.search.refused(error.message)
            return True
        assert self.pending.change is not None
        if self.pending.change.before is None and not self._visibility.hides(self._kind):
            # blind: parts of a list may not be tried before the current list is known, for they would shorten it
            if not (yield from self._read_and_plan()):
                return False
            if self.put != put:
                return True
        self.search = BlameSearch(self.pending.jobs, self.pending.change, put, error.message)
        return True

    def _read_back(self) -> Generator[Step, Event, Links | None]:
        """What the target holds after the PUT, by its answer or else by a look at it; None if nothing shows it."""
        answer = self.in_flight.answer
        links = written = self.view.shown_by(answer.target, Endpoint.WRITE) if answer is not None else None
        self.is_late = links is not None and not self.view.is_pioneer
        if links is not None and self._observed:
            links = {**links, **self._observed}
        if self._visibility.hides(self._kind) and not self.view.is_pioneer:
            return links
        for number, wait_s in enumerate(LOOKS, start=1):
            looks = self.view.next_looks(links, number)
            if not looks:
                break
            for step in looks:
                if step is not looks[0] and not self.view.is_pioneer and self.view.is_as_asked(links):
                    break  # the page has just shown it
                self.wait_s = wait_s
                event = yield step
                if not isinstance(event, Answer):  # the PUT was taken, even if it cannot be read back
                    return links
                if (seen := self.view.seen_by(event, step)) is not None:
                    links = seen
                    if written is None and not self.view.is_pioneer:
                        self._visibility.confirm(self._kind, holds_links=any(seen.values()))
                wait_s = 0.0
        if links is None and not self.view.is_pioneer and not self._visibility.can_be_read(self._kind):
            self._visibility.conclude_unseen(self._kind)
        return links

    def _ignored_clears(self, links: Links | None) -> bool:
        """Whether a field was to be cleared and holds what it did before: some accounts clear by `[""]` alone."""
        change = self.pending.change
        if change is None or change.before is None or links is None:
            return False
        cleared = [name for name in self.in_flight.fields if name in change.after and not change.after[name]]
        ignored = any(change.before[name] and links.get(name, _NONE) == change.before[name] for name in cleared)
        if cleared and not ignored and self._visibility.clears_with_blank is None:
            self._visibility.clears_with_blank = self.clears_with_blank
        return ignored and not self.clears_with_blank and self._visibility.clears_with_blank is not False

    def _clear_with_blank(self, links: Links | None) -> Generator[Step, Event, Links | None]:
        """Send the PUT once more, with `[""]` for each list that it clears."""
        self.clears_with_blank = True
        self.read_at = None  # the target was looked at just now
        event = yield Step.WRITE
        if event is Signal.OUTDATED:  # taken, and answered with nothing usable: the looks settle it
            event = Answer(self._read_status)
        if not isinstance(event, Answer):  # refused, or the run ends: then the target holds what was observed
            return links
        self.in_flight.attempts += self._attempts
        self.in_flight.answer = event
        links = yield from self._read_back()
        self._ignored_clears(links)  # remembers whether that has worked
        return links

    # What an answer shows becomes a plan. Each returns whether there is something to write.

    def _plan(self, seen: Observation) -> bool:
        """Work out the change. Jobs that need a list which is not shown fail; those already in place are done."""
        pending, in_flight = self.pending, self.in_flight
        self._read_status = seen.http_status
        self.view.presumed_by = None
        links = seen.links if seen.links is not None else self.view.presume(seen.endpoint, dry=self._dry)
        before: Links | None = None
        current: Links | None = None
        if links is None:
            failed, rejected = without_before(pending)
            self.results.reject(rejected)
            self.results.lose(failed, seen.http_status, self._attempts)
            if not pending.jobs:
                return False
        else:
            before = current = {name: links.get(name, _NONE) for name in pending.desired.fields}
            if in_flight.open_intent is not None:
                before = in_flight.resumed(pending.desired, current, links)
            elif pending.change is not None:
                before = pending.change.infer_before(current, in_flight.fields)
        change = pending.plan(before, current)
        self.read_at = seen.read_at if before is not None else None
        if self._dry:
            self.results.plan(Planned(change, tuple(pending.jobs), self.view.presumed_by))
            return False
        put = self.put
        if not (put and self.view.is_presumed):  # else it is not known yet that the target holds none
            self._leave_idle(put)
        if pending.jobs and not put:
            self._take_as_arrived(Answer(seen.http_status, Listed(links=current)))
            self._finish(current)
            return False
        return bool(pending.jobs)

    def _plan_again(self) -> bool:
        """Work out the change of the jobs that remain, from what was read before."""
        change = self.pending.change
        if self.pending.jobs and change is not None:
            self.pending.plan(change.before, change.current)
            self._leave_idle(self.put)
        return bool(self.pending.jobs)

    def _look(self, search: BlameSearch, seen: Observation) -> bool:
        """The target was read again during a search: go on from what it holds now."""
        if seen.links is None and self.view.presumed_by is not None:  # as before, no links are presumed
            seen = Observation({}, seen.read_at, seen.endpoint, seen.http_status)
        if seen.links is None:
            error = Error(ErrorType.BAD_ANSWER, "the answer no longer shows the links of the target")
            self._break_off(search, error, seen.http_status)
            return False
        links = {name: seen.links.get(name, _NONE) for name in search.before}
        if self.tries.made(Step.WRITE) and search.has_arrived(links):
            self._take_as_arrived(Answer(seen.http_status, Listed(links=seen.links)))
            search.taken(links)
        search.look(links)
        self.read_at = seen.read_at
        return True

    def _take_as_arrived(self, answer: Answer) -> None:
        """A PUT was taken, and its answer lost: this read is the answer to it."""
        self.in_flight.attempts += self.tries.begin(Step.WRITE)
        self.in_flight.answer = answer

    # What became of the jobs.

    def _leave_idle(self, put: Links) -> None:
        self.results.leave(self.pending.take_idle(put.keys() | self.in_flight.fields), self._read_status)

    def _fail(self, given_up: GiveUp) -> None:
        """The jobs fail, except for those that are already in place."""
        error, status, is_put = given_up.error, given_up.http_status, self.step is Step.WRITE
        # a PUT that was refused for good changed nothing; any other may have, whatever became of its answer
        refused = is_put and not may_be_applied(status)
        if self.search is not None:
            self._break_off(self.search, error, status, refused=refused)
            return
        if refused:
            self.in_flight.refused()
        change, jobs = self.pending.change, self.pending.jobs
        if is_put:
            idle, jobs = parted(jobs, self.put.keys() | self.in_flight.fields)
            self.results.leave(idle, self._read_status)
        self.results.lose([(job, with_hint(error, status, job)) for job in jobs], status, self._attempts)
        has_left = change is not None and not new_in(change.after)
        self.results.end(self._asked if has_left else {})

    def _break_off(self, search: BlameSearch, error: Error, status: int | None, *, refused: bool = False) -> None:
        """The search ends without finding who is to blame: jobs that are in place by now are done, the others fail."""
        asked = self.put if self.tries.made(Step.WRITE) > refused else {}  # it may have arrived
        attempts = self.in_flight.attempts + self._attempts
        self._tell_blamed(search)
        self.results.lose([(job, error) for job in broken_off(self.pending, search.current)], status, attempts)
        self._finish(search.current, asked)

    def _tell_blamed(self, search: BlameSearch) -> None:
        """The search is over: the jobs to blame fail, their lists are not written, and the others are what remains."""
        self.search, self._observed = None, search.observed
        self.in_flight.fields = search.written
        self.pending.jobs, self.pending.change = search.kept, search.change
        status = self._refused_status
        blamed = [
            (job, with_hint(Error(ErrorType.INVALID_VALUE, message), status, job)) for job, message in search.guilty
        ]
        self.results.lose(blamed, self._refused_status, self.in_flight.attempts)
        self.results.reject(search.incomplete)

    def _finish(self, links: Links | None, asked: Links | None = None) -> None:
        """The jobs that remain get their results: the target holds `links`, None if nothing shows them.

        Args:
            asked: what a PUT without an answer asked for, if some PUT of the change failed.
        """
        change, fields = self.pending.change, self.in_flight.fields
        assert change is not None
        why = self.view.why_unseen(change, is_off_layout=self.is_off_layout) if links is None else None
        seen = self.view.compare(change, links) if links is not None else None
        if seen is not None:
            self.taken = {
                name: name in seen.put and name not in seen.ignored for name in fields if name in change.after
            }
        idle, jobs = parted(self.pending.jobs, fields)
        self.results.finish(jobs, seen, why, asked)
        self.results.leave(idle, self._read_status)

    @property
    def _asked(self) -> Links:
        """The lists of the fields that a PUT has written, or may have."""
        change = self.pending.change
        return {name: change.after[name] for name in self.in_flight.fields if name in change.after} if change else {}
