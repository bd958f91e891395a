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
from enum import Enum, auto
from typing import Final, TypeAlias

import msgspec

from linker.api.answers import Answer, Listed
from linker.api.layouts import parse_layouts
from linker.api.lists import PageRequest
from linker.api.requests import is_other
from linker.api.statuses import may_be_applied
from linker.api.visibility import Endpoint, Visibility
from linker.batch.change import Change
from linker.batch.merge import Job
from linker.batch.placeholder import new_in
from linker.errors import Error, ErrorType
from linker.model.ids import rounded_hint
from linker.model.job import Links
from linker.model.target import Kind, Target
from linker.results.outcomes import Outcomes
from linker.results.result import Planned
from linker.retry.verdict import GiveUp
from linker.work.attempts import Step, Tries
from linker.work.blame import BlameSearch
from linker.work.in_flight import InFlight
from linker.work.job_results import JobResults, parted
from linker.work.layout import workspace_of
from linker.work.outcome import Failed, Seen, broken_off, without_before
from linker.work.pending import Pending

_INVALID: Final = (400, 422)
_LOOKS: Final = (0.0, 2.0, 6.0)
"""Seconds to wait before each look at what was written: 0, 2 and 8 s after the PUT's answer."""
_NONE: frozenset[str] = frozenset()


class Observation(msgspec.Struct, frozen=True):
    """What a target holds by an answer that left at `read_at` in loop time; `links` is None if it shows none."""

    links: Links | None
    read_at: float
    endpoint: Endpoint
    http_status: int = 200


class Signal(Enum):
    """What may come instead of an answer."""

    OUTDATED = auto()
    """The PUT relies on a read that is too old."""
    DROPPED = auto()
    """Some jobs will not be sent."""


Event: TypeAlias = Answer | Observation | GiveUp | Signal
_More: TypeAlias = Generator[Step, Event, bool]
"""Some steps; whether there is more to do after them."""


class Steps:
    """The steps of one target, and the outcomes of its jobs.

    Args:
        visibility: what the run has learnt of the account's answers.
        page: the page of a list that shows the target, if it was read from one.
        is_pioneer: write even if no answer of the kind has shown links so far, and read it back.
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
        *,
        page: PageRequest | None,
        is_pioneer: bool,
        skip_read: bool,
        dry: bool,
        defined: bool,
        is_off_layout: bool,
    ) -> None:
        self.pending = pending
        self.in_flight = in_flight
        self.results = JobResults(pending, in_flight, defined=defined, is_presumed=lambda: self.is_presumed)
        self.tries = Tries()
        self.search: BlameSearch | None = None
        """The search for the jobs to blame for a refused PUT, while there is one."""
        self.read_at: float | None = None
        """When the read left that the PUT relies on, in loop time; None if it relies on none."""
        self.taken: Mapping[str, bool] = {}
        """For each field that was written and observed afterwards, whether the account took any of it."""
        self.wait_s = 0.0
        """Seconds to wait before the request of `step` is sent."""
        self.names = frozenset((pending.desired.target.id, *(job.target.id for job in pending.jobs)))
        """Ids and reference numbers of the target, as far as they are known."""
        self.moved_to: Target | None = None
        """What an answer named instead of the target, while it is not known whether that is the same."""
        self.clears_with_blank = False
        """Whether the last PUT has cleared fields by `[""]`, or the next one is to."""
        self._visibility = visibility
        self._kind = pending.desired.target.kind
        self._page = page
        self.is_pioneer = is_pioneer
        self._presumed_by: Endpoint | None = None  # showed no links before, which is taken to mean none
        self._dry = dry
        self.is_off_layout = is_off_layout
        self._attempts = 0  # of the request that was answered or given up last
        self._seen: Seen | None = None  # the last comparison
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
        self._attempts = (
            self.tries.begin(self.step) if isinstance(event, Answer | Observation) else self.tries.made(self.step)
        )
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
        if links is None and self.is_pioneer and not self.is_off_layout:
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
        event = yield Step.READ
        if isinstance(event, Answer) and is_other(event.target, self.names):
            event = yield from self._moved(event)
        if isinstance(event, Answer):
            self._visibility.claim(event.target, self.pending.desired.target.id)
            self.names |= {event.target.id, event.target.reference} - {""}
            if event.target.obscures(self.pending.desired.fields):
                message = "the answer shows the target's links in a form that linker cannot read"
                event = GiveUp(Error(ErrorType.BAD_ANSWER, message, retryable=True), event.status)
            else:
                links = self._visibility.observe(self._kind, Endpoint.READ, event.target)
                event = Observation(links, event.sent_at, Endpoint.READ, event.status)
                if links is None and self._page is not None and self._visibility.is_proved(self._kind, Endpoint.LIST):
                    page = yield Step.CHECK_PAGE  # single answers have shown no links yet, and the list has
                    if isinstance(page, Answer):
                        links = self._seen_by(page, Step.CHECK_PAGE)
                        event = Observation(links, page.sent_at, Endpoint.LIST, page.status)
        if isinstance(event, GiveUp):
            self._fail(event)
        if not isinstance(event, Observation):
            return False
        return self._plan(event) if self.search is None else self._look(self.search, event)

    def _moved(self, answer: Answer) -> Generator[Step, Event, Event]:
        """Find out whether the target that the account answers with is the one asked for, under a new name."""
        shown = answer.target
        self.moved_to = Target.parse(shown.reference or shown.id, self._kind)
        event = yield Step.READ_OTHER
        asked = self.pending.desired.target
        if isinstance(event, Answer) and is_other(event.target, {shown.id, shown.reference} - {""}):
            why = f"and the answer for {self.moved_to} about yet another record"
        elif not self._visibility.claim(shown, asked.id):
            why = "as is the answer for another target"
        else:
            return event if isinstance(event, GiveUp) and event.http_status != 404 else answer
        message = (
            f"the answer for {asked} is about {self.moved_to}, {why}; something between linker and Aha! mixes up "
            "answers (a proxy or a cache)"
        )
        return GiveUp(Error(ErrorType.BAD_ANSWER, message, retryable=True), answer.status)

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
                case GiveUp(error, status) if status in _INVALID and (self.search or len(self.pending.jobs) > 1):
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
        links = written = self._shown_by(answer.target, Endpoint.WRITE) if answer is not None else None
        if links is not None:
            links = {**links, **self._observed}
        if self._visibility.hides(self._kind) and not self.is_pioneer:
            return links
        for number, wait_s in enumerate(_LOOKS, start=1):
            looks = self._next_looks(links, number)
            if not looks:
                break
            for step in looks:
                if step is not looks[0] and not self.is_pioneer and self._is_as_asked(links):
                    break  # the page has just shown it
                self.wait_s = wait_s
                event = yield step
                if not isinstance(event, Answer):  # the PUT was taken, even if it cannot be read back
                    return links
                if (seen := self._seen_by(event, step)) is not None:
                    links = seen
                    if written is None and not self.is_pioneer:
                        self._visibility.confirm(self._kind, holds_links=any(seen.values()))
                wait_s = 0.0
        if links is None and not self.is_pioneer and not self._visibility.can_be_read(self._kind):
            self._visibility.conclude_unseen(self._kind)
        return links

    def _next_looks(self, links: Links | None, number: int) -> list[Step]:
        """How to look again: not at all, if the target is known to hold what was asked and no proof is missing.

        Later looks are at the page of the list, which they share; the last one also at the target itself.
        """
        reads, lists = (self._visibility.is_proved(self._kind, end) for end in (Endpoint.READ, Endpoint.LIST))
        if self.is_pioneer and self._presumed_by is not None:
            is_list_open = self._page is not None and not lists
            looks = [Step.CHECK] * (not reads) + [Step.CHECK_PAGE] * is_list_open
            return looks or [Step.CHECK] * (not self._is_as_asked(links))
        if self._is_as_asked(links):
            return []
        if number == 1:
            return [Step.CHECK_PAGE if self._page is not None and lists and not reads else Step.CHECK]
        if self._page is None or not self._visibility.is_answering(self._kind, Endpoint.LIST):
            return [Step.CHECK]
        return [Step.CHECK_PAGE] if number < len(_LOOKS) or (not reads and lists) else [Step.CHECK_PAGE, Step.CHECK]

    def _seen_by(self, answer: Answer, step: Step) -> Links | None:
        """What a look shows of the target; None if it does not show the target's links."""
        if step is Step.CHECK:
            return None if is_other(answer.target, self.names) else self._shown_by(answer.target, Endpoint.READ)
        seen: Links | None = None
        for item in answer.page.items if answer.page is not None else ():
            links = self._shown_by(item, Endpoint.LIST)
            if item.id in self.names or item.reference in self.names:
                seen = links
        return seen

    def _shown_by(self, item: Listed, endpoint: Endpoint) -> Links | None:
        links = self._visibility.observe(self._kind, endpoint, item)
        return None if item.obscures(self.pending.desired.fields) else links

    def _is_as_asked(self, links: Links | None) -> bool:
        """Whether the target is known to hold what its jobs asked for, or nobody can tell."""
        change = self.pending.change
        assert change is not None
        if links is None:  # a list that was cleared is shown by nothing
            return not any(change.after.values()) and not self._visibility.can_be_read(self._kind)
        seen, fields = self._compared(change, links), self.in_flight.fields
        return not any(seen.missing(job) for job in self.pending.jobs if not fields.isdisjoint(job.links))

    def _compared(self, change: Change, links: Links) -> Seen:
        if self._seen is None or not self._seen.is_of(change, links):
            self._seen = Seen.of(change, links)
        return self._seen

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
        self._presumed_by = None
        links = seen.links if seen.links is not None else self._presume(seen.endpoint)
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
            self.results.plan(Planned(change, tuple(pending.jobs), self._presumed_by))
            return False
        put = self.put
        if not (put and self.is_presumed):  # else it is not known yet that the target holds none
            self._leave_idle(put)
        if pending.jobs and not put:
            self._take_as_arrived(Answer(seen.http_status, Listed(links=current)))
            self._finish(current)
            return False
        return bool(pending.jobs)

    def _presume(self, endpoint: Endpoint) -> Links | None:
        """What to go by if no answer shows the target's links: it holds none, or (None) nobody can tell.

        Only the pioneer is written on that presumption. A plan writes nothing; and a target that is to lose links has
        none to lose where none are shown.
        """
        if self._visibility.hides(self._kind) and not self.is_pioneer:
            return None
        asks_for_links = any(links.replace or links.add for links in self.pending.desired.fields.values())
        if asks_for_links and not (self._dry or self.is_pioneer):
            return None
        self._presumed_by = endpoint
        return {}

    def _plan_again(self) -> bool:
        """Work out the change of the jobs that remain, from what was read before."""
        change = self.pending.change
        if self.pending.jobs and change is not None:
            self.pending.plan(change.before, change.current)
            self._leave_idle(self.put)
        return bool(self.pending.jobs)

    def _look(self, search: BlameSearch, seen: Observation) -> bool:
        """The target was read again during a search: go on from what it holds now."""
        if seen.links is None and self._presumed_by is not None:  # as before, no links are presumed
            seen = Observation({}, seen.read_at, seen.endpoint, seen.http_status)
        if seen.links is None:
            error = Error(ErrorType.BAD_ANSWER, "the target's answer shows its links no more")
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
        self.results.lose([(job, _with_hint(error, status, job)) for job in jobs], status, self._attempts)
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
            (job, _with_hint(Error(ErrorType.INVALID_VALUE, message), status, job)) for job, message in search.guilty
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
        why = self._why_unseen(change) if links is None else None
        seen = self._compared(change, links) if links is not None else None
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

    @property
    def is_presumed(self) -> bool:
        """Whether no answer has shown what the target held, and none of that endpoint has ever shown links."""
        return self._presumed_by is not None and not self._visibility.is_proved(self._kind, self._presumed_by)

    def _why_unseen(self, change: Change) -> str | None:
        """Why it is a failure that no answer shows what was written; None if it is not one."""
        if self.is_off_layout:
            return "the layout of the target's workspace lacks the field, so the account ignores it; add it there"
        if change.before is None:  # nothing of it was known before either
            return None
        if not self.is_presumed:
            return f"no answer shows its links any more; read {self.pending.desired.target} to see what it holds"
        if not self.pending.desired.needs_before:  # the whole list was written, whatever it held
            return None
        return f"no answer shows the links of {self._kind.plural}, so what it holds now cannot be seen"


def _with_hint(error: Error, http_status: int | None, job: Job) -> Error:
    """The error, with a hint if the id that the account does not know may have been rounded by a spreadsheet."""
    if http_status == 404:
        hint = rounded_hint(job.target.id)
    elif http_status in _INVALID:
        hint = rounded_hint(*(id for ids in job.links.values() for id in ids))
    else:
        return error
    return Error(error.type, error.message + hint, error.retryable) if hint else error
