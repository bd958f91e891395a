"""One target's way from wish to results, without a word of input or output: what to ask next, and what the
answer makes of it.

    READ ─▶ (no links shown) READ_WHOLE ─▶ plan ─▶ WRITE ─▶ (no links shown) CHECK ─▶ CHECK_WHOLE ─▶ results
      ▲                                              │
      └────────── what was read is too old ──────────┘
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final

from linker.answers import Answer, Listed
from linker.api import Request
from linker.batch import Job, Links, Lost, Wish, settle, wished
from linker.change import Change, Planned, plan
from linker.errors import Error, ErrorType
from linker.job import Mode, sorted_ids
from linker.listing import PageRequest
from linker.mending import Mending
from linker.results import Result, Status

__all__ = ["Outcome", "PageSeen", "Step", "Work"]

Outcome = Result | Planned

_NONE: frozenset[str] = frozenset()

_LOOK_S: Final = 1.0
"""How long a look that was taken for a PUT counts at the least; it doubles with each further one."""


class Step(Enum):
    """What a work asks next."""

    READ = auto()
    READ_WHOLE = auto()
    WRITE = auto()
    CHECK = auto()
    CHECK_WHOLE = auto()


@dataclass(eq=False, slots=True)
class PageSeen:
    """A page of a list that several works were planned from; where it gets old, it is read again for all of them.

    `unsent` are its works that have not been written yet, `parked` those of them that found it too old and wait.
    """

    request: PageRequest
    unsent: set[Work] = field(default_factory=set)
    parked: list[Work] = field(default_factory=list)


class Work:
    """What is left to do for one target. `attempt` and `refusal` count the tries of the request in hand.

    Args:
        wish: what its jobs ask.
        max_age_s: how old what was read may be when it is written.
        blind: do not read what need not be read.
        dry: plan only; nothing is ever written.
        number_change: called once when the target's first PUT leaves; gives the change its number.
    """

    __slots__ = (
        "_change",
        "_dry",
        "_jobs",
        "_max_age_s",
        "_mending",
        "_number",
        "_number_change",
        "_put_answer",
        "_put_attempts",
        "_read_at",
        "_seen",
        "_sent",
        "_tries",
        "admitted",
        "charged",
        "looks",
        "page",
        "refusal",
        "sent_at",
        "step",
        "wish",
    )

    def __init__(
        self, wish: Wish, *, max_age_s: float, number_change: Callable[[], int], blind: bool = False, dry: bool = False
    ) -> None:
        self.wish = wish
        self.refusal = 0
        self.sent_at: float | None = None
        self.page: PageSeen | None = None
        self.charged = 0
        """Removals that the guard has counted already."""
        self.looks = 0
        """How often what it goes by was read again for the PUT to come."""
        self.admitted = False
        """It may be written."""
        self.step: Step | None = Step.READ
        self._jobs: Sequence[Job] = wish.jobs
        self._max_age_s = max_age_s
        self._dry = dry
        self._change: Change | None = None
        self._mending: Mending | None = None
        self._number: int | None = None
        self._number_change = number_change
        self._put_answer: Answer | None = None  # the last PUT that was taken
        self._put_attempts = 0
        self._read_at: float | None = None
        self._seen = True  # whether a GET of this target can be expected to show links
        self._sent: set[str] = set()  # fields of PUTs whose answer has not come, or has been lost
        self._tries: Counter[Step | None] = Counter()
        if blind and not wish.needs_before:
            self._change = plan(wish, None)
            self.step = Step.WRITE

    def __repr__(self) -> str:
        return f"<Work {self.wish.target}, {self.step.name if self.step else 'done'}, try {self.attempt}>"

    @property
    def attempt(self) -> int:
        """How often the request in hand has been tried."""
        return self._tries[self.step]

    @property
    def removals(self) -> int:
        """Links that the PUT to come takes away."""
        return self._change.removals if self._change is not None else 0

    @property
    def links_read(self) -> int:
        """Links that the target was seen to hold in the fields of its wish."""
        before = self._change.before if self._change is not None else None
        return sum(map(len, before.values())) if before is not None else 0

    def is_old(self, now: float) -> bool:
        """Whether what its PUT goes by was read too long ago."""
        if self.step is not Step.WRITE or self._read_at is None:
            return False
        # a look that was taken for this very PUT counts for longer, else one whose turn is slow would look for ever
        max_age_s = max(self._max_age_s, _LOOK_S) * 2.0 ** (self.looks - 1) if self.looks else self._max_age_s
        return now - self._read_at > max_age_s

    @property
    def goes_first(self) -> bool:
        """The request in hand goes ahead of others: it is tried again, or what it goes by was read for it."""
        return self.attempt > 0 or self.refusal > 0 or (self.looks > 0 and self.step is Step.WRITE)

    def request(self, now: float) -> Request | None:
        """What to send at this very moment, a try counted; None where another look at its page is due, or nothing.

        What was read too long ago is read again first: by its page, where others of that page wait as well.
        """
        if self.is_old(now):
            if self.page is not None and len(self.page.unsent) > 1:
                return None
            self.step = Step.READ
            self.looks += 1
        if self.step is None:
            return None
        self._leave_page()
        self._tries[self.step] += 1
        if self.step is Step.WRITE:
            self.looks = 0
            self._sent |= self._put.keys()
            if self._number is None:
                self._number = self._number_change()
        return self.asked

    @property
    def asked(self) -> Request:
        """The request in hand, without a try of it."""
        whole = self.step in (Step.READ_WHOLE, Step.CHECK_WHOLE)
        return Request(self.wish.target, put=self._put if self.step is Step.WRITE else None, whole=whole)

    @property
    def _put(self) -> Links:
        assert self._change is not None
        if self._mending is not None:
            assert self._mending.put is not None
            return self._mending.put
        wanted = {name for job in self._jobs for name in job.links}
        return {name: ids for name, ids in self._change.put.items() if name in wanted}

    def _leave_page(self) -> None:
        if self.page is not None:
            self.page.unsent.discard(self)
            self.page = None

    def refused(self) -> None:
        """The account refused the request for its rate (429): that try counts for nothing."""
        self._tries[self.step] -= 1
        self.refusal += 1

    def answered(self, answer: Answer, now: float) -> list[Outcome]:
        """Take the answer (200 to 299) of the request in hand; the results that it settles."""
        step, attempts, self.refusal = self.step, self.attempt, 0
        if step is not Step.WRITE:
            self._tries[step] = 0
        match step:
            case Step.READ if answer.links is None:
                self.step = Step.READ_WHOLE
                return []
            case Step.READ | Step.READ_WHOLE:
                self.looks = max(self.looks, 1)
                return self.see(answer.links, answer.status, answer.sent_at, now, attempts)
            case Step.WRITE:
                self._tries[step] = 0
                self._put_attempts, self._put_answer = self._put_attempts + attempts, answer
                if self._mending is not None:
                    self._mending.taken()
                    return self._mended(now)
                if answer.links is None and self._seen:
                    self.step = Step.CHECK
                    return []
            case Step.CHECK if answer.links is None:
                self.step = Step.CHECK_WHOLE
                return []
        self.step = None
        return [self._written(job, answer, now) for job in self._jobs]

    def failed(self, error: Error, http_status: int | None, now: float) -> list[Outcome]:
        """The request in hand will not be tried again: what becomes of the jobs that are left."""
        if self.step in (Step.CHECK, Step.CHECK_WHOLE):  # that what was written cannot be looked at is no failure
            return self.unchecked(now)
        if self.step is Step.WRITE and error.type is ErrorType.INVALID_VALUE and len(self._jobs) > 1:
            assert self._change is not None
            self._put_attempts, self._tries[Step.WRITE] = self._put_attempts + self.attempt, 0
            if self._mending is not None:
                self._mending.refused(error.message)
            else:
                put = self._put
                self._mending = Mending(self.wish.target, self._jobs, self._change.before, put, error.message)
            return self._mended(now, error, http_status)
        self._leave_page()
        attempts, self.step = self.attempt, None
        return [self._failure(job, error, http_status, attempts, now) for job in self._jobs]

    def unchecked(self, now: float) -> list[Outcome]:
        """Nothing more may be asked: the results of a PUT that was answered, by its word alone; else none, yet."""
        if self.step not in (Step.CHECK, Step.CHECK_WHOLE):
            return []
        self.step = None
        return [self._written(job, Answer(200), now) for job in self._jobs]

    def see(
        self, links: Links | None, http_status: int, read_at: float, now: float, attempts: int = 0
    ) -> list[Outcome]:
        """Plan from what the target was seen to hold, None where its answers show no links.

        Jobs that need to know it and cannot are failed; those whose fields are so already are done.
        """
        if self.sent_at is None:
            self.sent_at = read_at
        outcomes: list[Outcome] = []
        before: Links | None = None
        if links is None:
            self._seen = False
            outcomes += self._without_before(http_status, attempts, now)
            if not self._jobs:
                self.step = None
                return outcomes
        else:
            before = {name: links.get(name, _NONE) for name in self.wish.fields}
        held = before
        if before is not None and self._change is not None:
            before = self._change.since(before, self._sent)
        self._change = plan(self.wish, before, held)
        self._read_at = read_at if before is not None else None
        if self._dry:
            self.step = None
            return [*outcomes, Planned(self._change, tuple(self._jobs))]
        put = self._put
        mine = put.keys() | self._sent
        outcomes += [self._unchanged(job, http_status, now) for job in self._jobs if mine.isdisjoint(job.links)]
        self._jobs = [job for job in self._jobs if not mine.isdisjoint(job.links)]
        if self._jobs and not put:  # the PUT was taken, and its answer lost
            assert held is not None
            self._put_attempts += self._tries[Step.WRITE]
            self._put_answer = Answer(http_status, Listed(links=held))
            outcomes += [self._written(job, self._put_answer, now) for job in self._jobs]
            self._jobs = ()
        self.step = Step.WRITE if self._jobs else None
        return outcomes

    def read_again(self) -> None:
        """What its page said is too old, and the page shows it no more: it is read by itself."""
        self._leave_page()
        self.step = Step.READ

    def _without_before(self, http_status: int, attempts: int, now: float) -> list[Outcome]:
        """The target shows no links: what adds or removes cannot be done, and takes its siblings with it."""
        message = "the target's answer shows no links, so there is no list to add to or remove from"
        error = Error(ErrorType.BAD_ANSWER, message)
        outcomes: list[Outcome] = []
        while needy := self.wish.needs_before:  # a `replace` lost with its sibling may leave an `add` behind
            lost = [job for job in self._jobs if not needy.isdisjoint(job.links)]
            kept = [job for job in self._jobs if needy.isdisjoint(job.links)]
            outcomes += [self._failure(job, error, http_status, attempts, now) for job in lost]
            wish, rejected = settle(self.wish.target, kept, [Lost(job.place, job.links) for job in lost])
            outcomes += [Result.rejected(job, error) for job, error in rejected]
            if wish is None:
                self._jobs = ()
                break
            self.wish, self._jobs = wish, wish.jobs
        return outcomes

    def _mended(self, now: float, error: Error | None = None, http_status: int | None = None) -> list[Outcome]:
        """How far the search for the jobs to blame has come; at its end, the results of the others."""
        mending, change = self._mending, self._change
        assert mending is not None
        assert change is not None
        blamed, mending.guilty = mending.guilty, []
        outcomes: list[Outcome] = [
            self._failure(job, Error(ErrorType.INVALID_VALUE, words), http_status, self._put_attempts, now)
            for job, words in blamed
        ]
        if mending.put is not None:
            return outcomes
        self._mending = None
        self.step = None
        self._jobs = mending.kept
        if not self._jobs:
            return outcomes
        self.wish = Wish(self.wish.target, tuple(self._jobs), wished(self._jobs))
        self._change = plan(self.wish, None if change.before is None else change.only(self.wish.fields).before)
        answer = self._put_answer
        if answer is None:  # what is left was so already
            return outcomes + [self._unchanged(job, 200, now) for job in self._jobs]
        if answer.links is None and self._seen:
            self.step = Step.CHECK
            return outcomes
        return outcomes + [self._written(job, answer, now) for job in self._jobs]

    def _unchanged(self, job: Job, http_status: int, now: float) -> Result:
        assert self._change is not None
        shown = _shown(job, self._change.before)
        return self._result(job, Status.UNCHANGED, now, before=shown, after=shown, changes={}, http_status=http_status)

    def _failure(self, job: Job, error: Error, http_status: int | None, attempts: int, now: float) -> Result:
        before = self._change.before if self._change is not None else None
        return self._result(
            job,
            Status.FAILED,
            now,
            before=_shown(job, before),
            change=self._number,
            http_status=http_status,
            attempts=attempts,
            error=error,
        )

    def _written(self, job: Job, answer: Answer, now: float) -> Result:
        """The result of a job whose PUT was answered, by the last answer that showed anything."""
        assert self._change is not None
        assert self._put_answer is not None
        change, links, http_status = self._change, answer.links, self._put_answer.status
        rest: dict[str, Any] = {
            "before": _shown(job, change.before),
            "change": self._number,
            "http_status": http_status,
            "attempts": self._put_attempts,
        }
        shown = None if links is None else {name: links.get(name, _NONE) for name in job.links}
        if change.before is not None:
            rest["changes"] = {name: change.diff(name, shown[name] if shown else None) for name in job.links}
        if shown is None:
            return self._result(job, Status.LINKED, now, **rest)
        rest["after"] = _shown(job, shown)
        # a field that was so already was not put: what somebody else made of it since is no failure of this PUT
        put = [name for name in job.links if name in change.put]
        missing = [name for name in put if not _holds(shown[name], job, name, change.after[name])]
        if not missing:
            return self._result(job, Status.LINKED, now, **rest)
        message = f"answered {http_status}, but {', '.join(missing)} does not hold what was asked"
        return self._result(job, Status.FAILED, now, error=Error(ErrorType.NOT_APPLIED, message), **rest)

    def _result(self, job: Job, status: Status, now: float, **rest: Any) -> Result:
        elapsed_s = now - self.sent_at if self.sent_at is not None else 0.0
        return Result.of(job, status, elapsed_ms=round(elapsed_s * 1000, 1), **rest)


def _holds(shown: frozenset[str], job: Job, name: str, after: frozenset[str]) -> bool:
    """Whether a field holds what the job asked of it."""
    match job.mode:
        case Mode.REPLACE:
            return shown == after
        case Mode.ADD:
            return shown.issuperset(job.links[name])
        case Mode.REMOVE:
            return shown.isdisjoint(job.links[name])


def _shown(job: Job, links: Links | None) -> dict[str, list[str]] | None:
    """The fields that a job names, as a result shows them."""
    return None if links is None else {name: sorted_ids(links[name]) for name in job.links}
