"""One target's way from wish to results, without a word of input or output: what to ask next, and what the
answer makes of it.

    READ ─▶ (no links shown) READ_WHOLE ─▶ plan ─▶ WRITE ─▶ (no links shown) CHECK ─▶ CHECK_WHOLE ─▶ results
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Any

from linker.api import Answer, Request
from linker.batch import Job, Links, Lost, Wish, settle
from linker.change import Change, plan
from linker.errors import Error, ErrorType
from linker.job import Mode, sorted_ids
from linker.results import Result, Status

__all__ = ["Step", "Work"]


class Step(Enum):
    """What a work asks next."""

    READ = auto()
    READ_WHOLE = auto()
    WRITE = auto()
    CHECK = auto()
    CHECK_WHOLE = auto()


class Work:
    """What is left to do for one target. `attempt` and `refusal` count the tries of the request in hand.

    Args:
        wish: what its jobs ask.
        blind: do not read what need not be read.
        number_change: called once when the target's PUT is due; gives the change its number.
    """

    __slots__ = (
        "_change",
        "_jobs",
        "_number",
        "_number_change",
        "_put_attempts",
        "_put_status",
        "_seen",
        "attempt",
        "refusal",
        "sent_at",
        "step",
        "wish",
    )

    def __init__(self, wish: Wish, *, blind: bool, number_change: Callable[[], int]) -> None:
        self.wish = wish
        self.attempt = 0
        self.refusal = 0
        self.sent_at: float | None = None
        self._jobs: Sequence[Job] = wish.jobs
        self._change: Change | None = None
        self._number: int | None = None
        self._number_change = number_change
        self._put_attempts = 0
        self._put_status = 0
        self._seen = True  # whether a GET of this target can be expected to show links
        self.step: Step | None = Step.READ
        if blind and not wish.needs_before:
            self._plan(None)
            self._write()

    def __repr__(self) -> str:
        return f"<Work {self.wish.target}, {self.step.name if self.step else 'done'}, try {self.attempt}>"

    @property
    def request(self) -> Request:
        """What to send now."""
        target = self.wish.target
        if self.step is Step.WRITE:
            assert self._change is not None
            return Request(target, put=self._change.put)
        return Request(target, whole=self.step in (Step.READ_WHOLE, Step.CHECK_WHOLE))

    def answered(self, answer: Answer, now: float) -> list[Result]:
        """Take the answer (200 to 299) of the request in hand; the results that it settles."""
        attempts, self.attempt, self.refusal = self.attempt, 0, 0
        match self.step:
            case Step.READ if answer.links is None:
                self.step = Step.READ_WHOLE
                return []
            case Step.READ | Step.READ_WHOLE:
                return self._read(answer, attempts, now)
            case Step.WRITE:
                self._put_attempts, self._put_status = attempts, answer.status
                if answer.links is None and self._seen:
                    self.step = Step.CHECK
                    return []
            case Step.CHECK if answer.links is None:
                self.step = Step.CHECK_WHOLE
                return []
        self.step = None
        return [self._written(job, answer, now) for job in self._jobs]

    def failed(self, error: Error, http_status: int | None, now: float) -> list[Result]:
        """The request in hand will not be tried again: what becomes of the jobs that are left."""
        if self.step in (Step.CHECK, Step.CHECK_WHOLE):  # that what was written cannot be looked at is no failure
            return self.unchecked(now)
        attempts, self.step = self.attempt, None
        before = self._change.before if self._change is not None else None
        return [
            self._result(
                job,
                Status.FAILED,
                now,
                before=_shown(job, before),
                change=self._number,
                http_status=http_status,
                attempts=attempts,
                error=error,
            )
            for job in self._jobs
        ]

    def unchecked(self, now: float) -> list[Result]:
        """Nothing more may be asked: the results of a PUT that was answered, by its word alone; else none, yet."""
        if self.step not in (Step.CHECK, Step.CHECK_WHOLE):
            return []
        self.step = None
        return [self._written(job, Answer(200), now) for job in self._jobs]

    def _read(self, answer: Answer, attempts: int, now: float) -> list[Result]:
        """Plan from what the target holds now; jobs that need to know it and cannot are failed."""
        results: list[Result] = []
        if answer.links is None:
            self._seen = False
            results = self._without_before(answer, attempts, now)
            if not self._jobs:
                self.step = None
                return results
            self._plan(None)
        else:
            none: frozenset[str] = frozenset()
            self._plan({field: answer.links.get(field, none) for field in self.wish.fields})
        assert self._change is not None
        put = self._change.put
        so_already = [job for job in self._jobs if not any(field in put for field in job.links)]
        before = self._change.before
        results += [
            self._result(
                job,
                Status.UNCHANGED,
                now,
                before=_shown(job, before),
                after=_shown(job, before),
                changes={},
                http_status=answer.status,
            )
            for job in so_already
        ]
        self._jobs = [job for job in self._jobs if any(field in put for field in job.links)]
        if self._jobs:
            self._write()
        else:
            self.step = None
        return results

    def _without_before(self, answer: Answer, attempts: int, now: float) -> list[Result]:
        """The target shows no links: what adds or removes cannot be done, and takes its siblings with it."""
        message = "the target's answer shows no links, so there is no list to add to or remove from"
        error = Error(ErrorType.BAD_ANSWER, message)
        results: list[Result] = []
        while needy := self.wish.needs_before:  # a `replace` lost with its sibling may leave an `add` behind
            lost = [job for job in self._jobs if not needy.isdisjoint(job.links)]
            kept = [job for job in self._jobs if needy.isdisjoint(job.links)]
            results += [
                self._result(job, Status.FAILED, now, http_status=answer.status, attempts=attempts, error=error)
                for job in lost
            ]
            wish, rejected = settle(self.wish.target, kept, [Lost(job.place, job.links) for job in lost])
            results += [Result.rejected(job, error) for job, error in rejected]
            if wish is None:
                self._jobs = ()
                break
            self.wish, self._jobs = wish, wish.jobs
        return results

    def _plan(self, before: Links | None) -> None:
        self._change = plan(self.wish, before)

    def _write(self) -> None:
        self.step = Step.WRITE
        self._number = self._number_change()

    def _written(self, job: Job, answer: Answer, now: float) -> Result:
        """The result of a job whose PUT was answered, by the last answer that showed anything."""
        assert self._change is not None
        change, links = self._change, answer.links
        rest: dict[str, Any] = {
            "before": _shown(job, change.before),
            "change": self._number,
            "http_status": self._put_status,
            "attempts": self._put_attempts,
        }
        shown = change.after if links is None else {field: links.get(field, frozenset()) for field in job.links}
        if change.before is not None:
            rest["changes"] = {field: change.diff(field, shown[field]) for field in job.links}
        if links is None:
            return self._result(job, Status.LINKED, now, **rest)
        rest["after"] = _shown(job, shown)
        missing = [field for field in job.links if not _holds(shown[field], job, field, change.after[field])]
        if not missing:
            return self._result(job, Status.LINKED, now, **rest)
        message = f"answered {self._put_status}, but {', '.join(missing)} does not hold what was asked"
        return self._result(job, Status.FAILED, now, error=Error(ErrorType.NOT_APPLIED, message), **rest)

    def _result(self, job: Job, status: Status, now: float, **rest: Any) -> Result:
        elapsed_s = now - self.sent_at if self.sent_at is not None else 0.0
        return Result.of(job, status, elapsed_ms=round(elapsed_s * 1000, 1), **rest)


def _holds(shown: frozenset[str], job: Job, field: str, after: frozenset[str]) -> bool:
    """Whether a field holds what the job asked of it."""
    match job.mode:
        case Mode.REPLACE:
            return shown == after
        case Mode.ADD:
            return shown.issuperset(job.links[field])
        case Mode.REMOVE:
            return shown.isdisjoint(job.links[field])


def _shown(job: Job, links: Links | None) -> dict[str, list[str]] | None:
    """The fields that a job names, as a result shows them."""
    return None if links is None else {field: sorted_ids(links[field]) for field in job.links}
