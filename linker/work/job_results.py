"""Gathers the results of one target's jobs, which are made when they are taken.

If a PUT has left for the target, the results of all jobs that have a part in the change come together, at its end: so
the first line of a change in the results file has what finally became of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from itertools import chain

from linker.batch.merge import Job
from linker.model.job import Links
from linker.results.outcomes import Outcomes
from linker.results.result import Effect, Planned, Result
from linker.work.in_flight import InFlight
from linker.work.outcome import (
    Failed,
    ResultContext,
    Seen,
    failure,
    fields_of,
    known_effect,
    no_change,
    unchanged,
    written,
    written_effect,
)
from linker.work.pending import Pending
from linker.work.view import TargetView


class JobResults:
    """The results of one target's jobs so far.

    Args:
        view: tells whether it is presumed that the target held no links before.
        defined: the account is known to define all fields that the jobs name.
    """

    __slots__ = ("_defined", "_failed", "_in_flight", "_outcomes", "_pending", "_view", "elapsed_ms")

    def __init__(self, pending: Pending, in_flight: InFlight, view: TargetView, *, defined: bool) -> None:
        self._pending = pending
        self._in_flight = in_flight
        self._defined = defined
        self._view = view
        self._outcomes = Outcomes()
        self._failed: list[tuple[Sequence[Failed], int | None, int]] = []  # with the status and attempts
        self.elapsed_ms = 0.0
        """Time since the first request of the target left."""

    def take(self) -> Outcomes:
        """Return what was added since the last call."""
        outcomes, self._outcomes = self._outcomes, Outcomes()
        return outcomes

    def plan(self, planned: Planned) -> None:
        """Add what a run would do to the target."""
        self._outcomes.add(_as_it_is, [planned])

    def reject(self, rejected: Sequence[Failed]) -> None:
        """Add jobs that are not sent."""
        self._outcomes.add(_rejected, rejected)

    def leave(self, jobs: Sequence[Job], http_status: int | None) -> None:
        """Add jobs that are in place and have no part in a PUT, by the status of the read that showed it."""
        if jobs:
            assert self._pending.change is not None
            effect = no_change(self._pending.change, fields_of(jobs), is_presumed=self._view.is_presumed)
            self._outcomes.add(partial(_unchanged, self._context(effect, http_status, 0)), jobs)

    def lose(self, failed: Sequence[Failed], http_status: int | None, attempts: int) -> None:
        """Add jobs that failed. If a PUT has left, they wait for `end` or `finish`."""
        if failed:
            self._failed.append((failed, http_status, attempts))
            if self._in_flight.number is None:
                self.end()

    def end(self, asked: Links | None = None) -> None:
        """Add the jobs that wait, because nothing more is sent.

        Args:
            asked: what a PUT without an answer asked for.
        """
        if self._failed:
            fields = self._fields_of_change(())
            change = self._pending.change
            self._add_failed(known_effect(change, fields, None, asked or {}, is_presumed=self._view.is_presumed))

    def finish(self, jobs: Sequence[Job], seen: Seen | None, why_unseen: str | None, asked: Links | None) -> None:
        """Add the jobs of a PUT that was answered, and those that wait.

        Args:
            seen: what the target holds since; None if no answer shows it.
            why_unseen: why that is a failure.
            asked: what a further PUT asked for that failed; None if there was none.
        """
        change, answer = self._pending.change, self._in_flight.answer
        assert change is not None
        fields = self._fields_of_change(jobs)
        if asked is None:
            effect = written_effect(change, fields, seen, is_presumed=self._view.is_presumed)
        else:
            links = seen.links if seen is not None and jobs else None  # a PUT may have changed it since
            effect = known_effect(change, fields, links, asked, is_presumed=self._view.is_presumed)
        if self._failed:
            self._add_failed(effect)
        context = self._context(effect, answer.status if answer is not None else None, self._in_flight.attempts)
        self._outcomes.add(partial(_written, context, seen, why_unseen), jobs)

    def _add_failed(self, effect: Effect) -> None:
        all_failed, self._failed = self._failed, []
        for failed, http_status, attempts in all_failed:
            self._outcomes.add(partial(_failed, self._context(effect, http_status, attempts)), failed)

    def _fields_of_change(self, jobs: Sequence[Job]) -> list[str]:
        """The fields of the change: those that these jobs name, and those that have failed, and what a PUT has written.

        A PUT may have written a field whose jobs are all rejected since: an undo must know of it.
        """
        if len(jobs) == 1 and not self._failed and self._in_flight.fields <= jobs[0].links.keys():  # the usual case
            return list(jobs[0].links)
        named = fields_of(chain(jobs, (job for failed, _, _ in self._failed for job, _ in failed)))
        change = self._pending.change
        before = change.before if change is not None and change.before is not None else {}
        written_too = [name for name in self._in_flight.fields if name in before and name not in named]
        return [*named, *sorted(written_too)]

    def _context(self, effect: Effect, http_status: int | None, attempts: int) -> ResultContext:
        number, created = self._in_flight.number, self._pending.created
        return ResultContext(effect, http_status, number, attempts, self.elapsed_ms, created, self._defined)


def parted(jobs: Sequence[Job], fields: AbstractSet[str]) -> tuple[Sequence[Job], Sequence[Job]]:
    """The jobs that name none of these fields, and the others."""
    idle = [job for job in jobs if fields.isdisjoint(job.links)]
    if not idle:
        return (), jobs
    return idle, [job for job in jobs if not fields.isdisjoint(job.links)]


# How outcomes are made when they are taken.


def _as_it_is(planned: Planned) -> Planned:
    return planned


def _written(context: ResultContext, seen: Seen | None, why_unseen: str | None, job: Job) -> Result:
    return written(job, context, seen, why_unseen)


def _unchanged(context: ResultContext, job: Job) -> Result:
    return unchanged(job, context)


def _failed(context: ResultContext, failed: Failed) -> Result:
    return failure(*failed, context)


def _rejected(rejected: Failed) -> Result:
    return Result.rejected(*rejected)
