"""The steps of one target from desired state to results, as a generator that does no input or output.

    READ ─▶ (no links shown) READ_WHOLE ─▶ plan ─▶ WRITE ─▶ (no links shown) CHECK ─▶ CHECK_WHOLE ─▶ results
      ▲                                              │
      └───────────── the read is too old ────────────┘

Each `yield` names the request to send next; its value is what came of it.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from enum import Enum, auto
from typing import Final, TypeAlias

from linker.api.answers import Answer, Listed
from linker.batch.change import Planned
from linker.batch.merge import Job
from linker.batch.placeholder import new_in
from linker.errors import Error, ErrorType
from linker.model.job import Links
from linker.results.result import Outcome
from linker.retry.verdict import GiveUp
from linker.work.attempts import Step, Tries
from linker.work.blame import BlameSearch
from linker.work.in_flight import InFlight
from linker.work.outcome import ResultContext, broken_off, dropped, failure, taken, unchanged, without_before, written
from linker.work.pending import Pending

_INVALID: Final = (400, 422)
_NONE: frozenset[str] = frozenset()


class Signal(Enum):
    """What may come instead of an answer."""

    OUTDATED = auto()
    """The PUT relies on a read that is too old."""
    DROPPED = auto()
    """Some jobs will not be sent."""
    ENDED = auto()
    """Nothing more may be sent."""


Event: TypeAlias = Answer | GiveUp | Signal
_More: TypeAlias = Generator[Step, Event, bool]
"""Some steps; whether there is more to do after them."""


class Steps:
    """The steps of one target, and the outcomes of its jobs.

    Args:
        skip_read: begin with the PUT.
        dry: plan only.
        defined: the account is known to define all fields that the jobs name.
    """

    def __init__(self, pending: Pending, in_flight: InFlight, *, skip_read: bool, dry: bool, defined: bool) -> None:
        self.pending = pending
        self.in_flight = in_flight
        self.tries = Tries()
        self.search: BlameSearch | None = None
        """The search for the jobs to blame for a refused PUT, while there is one."""
        self.read_at: float | None = None
        """When the read left that the PUT relies on, in loop time; None if it relies on none."""
        self.taken: Mapping[str, bool] = {}
        """For each field that was written and observed afterwards, whether the account took any of it."""
        self._dry = dry
        self._defined = defined
        self._attempts = 0  # of the request that was answered or given up last
        self._elapsed_ms = 0.0
        self._outcomes: list[Outcome] = []
        self._observed: Links = {}  # fields by the answers to the PUTs of a search
        self._read_status = 200
        self._refused_status: int | None = None
        self._shows_links = True  # until a read of this target shows none
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

    def send(self, event: Event, elapsed_ms: float) -> list[Outcome]:
        """Take what came of the request, and return the outcomes that are known now.

        Args:
            elapsed_ms: time since the first request of this target left.
        """
        self._elapsed_ms = elapsed_ms
        self._attempts = self.tries.begin(self.step) if isinstance(event, Answer) else self.tries.made(self.step)
        try:
            self.step = self._generator.send(event)
        except StopIteration:
            self.step = None
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def drop(self, jobs: Sequence[Job], error: Error, *, tried: bool) -> list[Outcome]:
        """Take out jobs that will not be sent; their siblings in a list go with them. `Signal.DROPPED` comes next."""
        return [*dropped(self.pending, jobs, error, self._context(None, 0), tried)]

    # The steps.

    def _all(self, *, skip_read: bool) -> _More:
        if skip_read:
            self.pending.plan(None)
        elif not (yield from self._read_and_plan()):
            return False
        if (yield from self._write()):
            self._finish((yield from self._read_back()))
        return False

    def _read(self) -> Generator[Step, Event, Answer | None]:
        """Read the target, and read it whole if its links are not shown; None if it cannot be read."""
        event = yield Step.READ
        if isinstance(event, Answer) and event.links is None:
            event = yield Step.READ_WHOLE
        if isinstance(event, GiveUp):
            self._fail(event)
        return event if isinstance(event, Answer) else None

    def _read_and_plan(self) -> _More:
        answer = yield from self._read()
        if answer is None:
            return False
        return self._plan(answer) if self.search is None else self._look(self.search, answer)

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
                    self.search.taken(event.links)
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
        if self.pending.change.before is None and self._shows_links:
            # blind: parts of a list may not be tried before the current list is known, for they would shorten it
            if not (yield from self._read_and_plan()):
                return False
            if self.put != put:
                return True
        self.search = BlameSearch(self.pending.jobs, self.pending.change, put, error.message)
        return True

    def _read_back(self) -> Generator[Step, Event, Links | None]:
        """What the target holds after the PUT, by its answer or else by a read; None if neither shows it."""
        answer = self.in_flight.answer
        if answer is not None and answer.links is not None:
            return {**answer.links, **self._observed}
        if answer is not None and self._shows_links and len(self._idle) < len(self.pending.jobs):
            for step in (Step.CHECK, Step.CHECK_WHOLE):
                event = yield step
                if not isinstance(event, Answer):  # the PUT was taken, even if it cannot be read back
                    break
                if event.links is not None:
                    return event.links
        return None

    # What an answer shows becomes a plan. Each returns whether there is something to write.

    def _plan(self, answer: Answer) -> bool:
        """Work out the change. Jobs that need a list which is not shown fail; those already in place are done."""
        pending, in_flight = self.pending, self.in_flight
        self._read_status = answer.status
        before: Links | None = None
        current: Links | None = None
        if answer.links is None:
            self._shows_links = False
            self._outcomes += without_before(pending, self._context(answer.status, self._attempts))
            if not pending.jobs:
                return False
        else:
            before = current = {name: answer.links.get(name, _NONE) for name in pending.desired.fields}
            if in_flight.open_intent is not None:
                before = in_flight.resumed(pending.desired, current, answer.links)
            elif pending.change is not None:
                before = pending.change.infer_before(current, in_flight.fields)
        change = pending.plan(before, current)
        self.read_at = answer.sent_at if before is not None else None
        if self._dry:
            self._outcomes.append(Planned(change, tuple(pending.jobs)))
            return False
        put = self.put
        self._leave_idle(put)
        if pending.jobs and not put:
            self._take_as_arrived(answer, current)
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

    def _look(self, search: BlameSearch, answer: Answer) -> bool:
        """The target was read again during a search: go on from what it holds now."""
        if answer.links is None:
            error = Error(ErrorType.BAD_ANSWER, "the target's answer shows its links no more")
            self._break_off(search, error, answer.status)
            return False
        links = {name: answer.links.get(name, _NONE) for name in search.before}
        if self.tries.made(Step.WRITE) and search.has_arrived(links):
            self._take_as_arrived(answer, answer.links)
            search.taken(links)
        search.look(links)
        self.read_at = answer.sent_at
        return True

    def _take_as_arrived(self, answer: Answer, links: Links | None) -> None:
        """A PUT was taken, and its answer lost: this read is the answer to it."""
        self.in_flight.attempts += self.tries.begin(Step.WRITE)
        self.in_flight.answer = Answer(answer.status, Listed(links=links))

    # What became of the jobs.

    def _leave_idle(self, put: Links) -> None:
        idle = self.pending.leave_idle(put.keys() | self.in_flight.fields)
        self._outcomes += [unchanged(job, self._unwritten) for job in idle]

    def _fail(self, given_up: GiveUp) -> None:
        """The jobs fail, except for those that are already in place."""
        error, status, is_put = given_up.error, given_up.http_status, self.step is Step.WRITE
        # a PUT that was refused for good changed nothing; any other may have, whatever became of its answer
        refused = is_put and status is not None and status < 500 and status != 408
        if self.search is not None:
            self._break_off(self.search, error, status, refused=refused)
            return
        if refused:
            self.in_flight.refused()
        idle, change = self._idle if is_put else (), self.pending.change
        has_left = change is not None and not new_in(change.after)
        asked = {field: change.after[field] for field in self.in_flight.fields} if change and has_left else {}
        context = self._context(status, self._attempts, assuming=asked)
        self._outcomes += [
            unchanged(job, self._unwritten) if job in idle else failure(job, error, context)
            for job in self.pending.jobs
        ]

    def _break_off(self, search: BlameSearch, error: Error, status: int | None, *, refused: bool = False) -> None:
        """The search ends without finding who is to blame: jobs that are in place by now are done, the others fail."""
        asked = self.put if self.tries.made(Step.WRITE) > refused else {}  # it may have arrived
        attempts = self.in_flight.attempts + self._attempts
        self._tell_blamed(search)
        context = self._context(status, attempts, assuming=asked)
        self._outcomes += broken_off(self.pending, search.current, error, context)
        self._finish(search.current)

    def _tell_blamed(self, search: BlameSearch) -> None:
        """The search is over: the jobs to blame fail, the others are what remains."""
        self.search, self._observed = None, search.observed
        self.in_flight.fields = search.written
        self.pending.jobs, self.pending.change = search.kept, search.change
        context = self._context(self._refused_status, self.in_flight.attempts)
        blamed = ((job, Error(ErrorType.INVALID_VALUE, message)) for job, message in search.guilty)
        self._outcomes += [failure(job, error, context) for job, error in blamed]

    def _finish(self, links: Links | None) -> None:
        """The jobs that remain get their results: the target holds `links`, None if nothing shows them."""
        answer, fields = self.in_flight.answer, self.in_flight.fields
        context = self._context(answer.status if answer is not None else None, self.in_flight.attempts)
        if links is not None and (change := context.change) is not None:
            self.taken = {name: taken(change, name, links.get(name, _NONE)) for name in fields if name in change.after}
        self._outcomes += [
            unchanged(job, self._unwritten) if fields.isdisjoint(job.links) else written(job, context, links)
            for job in self.pending.jobs
        ]

    @property
    def _idle(self) -> list[Job]:
        """The jobs that are already in place and have a part in no PUT."""
        return self.pending.idle(self.put.keys() | self.in_flight.fields)

    @property
    def _unwritten(self) -> ResultContext:
        return self._context(self._read_status, 0)

    def _context(self, http_status: int | None, attempts: int, assuming: Links | None = None) -> ResultContext:
        change = self.pending.change
        change = change.assuming(assuming) if change is not None and assuming else change
        number, created = self.in_flight.number, self.pending.created
        return ResultContext(change, http_status, number, attempts, self._elapsed_ms, created, self._defined)
