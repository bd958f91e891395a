"""Decides what may be written: the guard limits the links that are removed, the pilot the targets that are changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from linker.errors import GuardStopped, TooManyRemovals
from linker.pipeline.consent import Consent
from linker.results.summary import Summary
from linker.settings import Settings
from linker.work.attempts import Step
from linker.work.work import Work

ALWAYS_LET_THROUGH: Final = 100
"""So many removals need no consent if `--max-removals` is not given, except in a mirror."""


def floor(settings: Settings) -> int:
    """Return how many removals need no consent however few links were read.

    None in a mirror: it is run by night from files that others write, and clears what they leave out.
    """
    return 0 if settings.mirror is not None else ALWAYS_LET_THROUGH


class Guard:
    """Counts removals against a budget: a given number, or the larger of `floor` and half of the links read so far.

    The removals of a page are counted before its first PUT, so that a file that would empty an account is noticed
    before anything is written.

    Args:
        most: the budget, None for the default.
        lifted: allow everything.
    """

    def __init__(self, most: int | None, *, floor: int = ALWAYS_LET_THROUGH, lifted: bool = False) -> None:
        self._most = most
        self._floor = floor
        self._lifted = lifted
        self.removals = 0
        self.read = 0

    def __repr__(self) -> str:
        state = "lifted" if self._lifted else f"at most {self.budget}"
        return f"<Guard {self.removals} removals of {self.read} links read, {state}>"

    @property
    def lifted(self) -> bool:
        """Whether everything is allowed."""
        return self._lifted

    @property
    def budget(self) -> int:
        """How many removals are allowed so far."""
        return self._most if self._most is not None else max(self._floor, self.read // 2)

    def count(self, removals: int, read: int) -> bool:
        """Count removals that are about to be written and links that were read; return whether they are allowed."""
        self.removals += removals
        self.read += read
        return self._lifted or not removals or self.removals <= self.budget

    def lift(self) -> None:
        """Allow everything from now on, after somebody has agreed."""
        self._lifted = True

    def stopped(self, written: bool) -> TooManyRemovals:
        """Return the error of the run that this guard stops."""
        return TooManyRemovals(self.removals, self.read, self.budget, written=written)


class Admission:
    """Decides which works may be written.

    Args:
        confirm: asked with the removals and the links read when the budget is used up.
        stop: called with the error if the run must not go on.
    """

    def __init__(
        self,
        settings: Settings,
        guard: Guard,
        consent: Consent,
        summary: Summary,
        confirm: Callable[[int, int], Awaitable[bool]] | None,
        stop: Callable[[GuardStopped], None],
    ) -> None:
        self._limit = settings.limit
        self._guard = guard
        self._consent = consent
        self._summary = summary
        self._confirm = confirm
        self._stop = stop
        self._stopped = False
        self._asking = asyncio.Lock()
        self._changing = 0
        self.full = False
        """Whether the pilot (`limit`) is over: a work that is not admitted yet never will be."""

    def allow_all(self) -> None:
        """Allow all removals: they were agreed to."""
        self._guard.lift()

    async def admit(self, works: list[Work]) -> list[Work]:
        """Return the works that may go on: all but those whose PUT waits for consent, or is not allowed."""
        works = await self._consent.filter(works)
        planned = [work for work in works if work.step is Step.WRITE]
        read = sum(work.pending.links_read for work in works if not work.admitted)
        new = [work for work in planned if not work.admitted]
        if self._limit is not None:
            room = self._limit - self._changing
            self._changing += len(new[:room])
            if len(new) > room:
                self.full = self._summary.limited = True
                new = new[:room]
        going = [*new, *(work for work in planned if work.admitted)]
        if not await self._guarded(going, read):
            return []
        for work in new:
            work.admitted = True
        return [work for work in works if work.admitted or work.step is not Step.WRITE]

    async def _guarded(self, planned: list[Work], read: int) -> bool:
        """Count removals, and return whether they are allowed; beyond the budget, ask, or stop the run."""
        removals = sum(work.pending.removals - work.counted_removals for work in planned)
        for work in planned:
            work.counted_removals = work.pending.removals
        if self._guard.count(removals, read):
            return True
        async with self._asking:
            if self._guard.lifted:  # somebody agreed while this call waited
                return True
            if self._stopped:
                return False
            if self._confirm is not None and await self._confirm(self._guard.removals, self._guard.read):
                self._guard.lift()
                return True
            self._stopped = True
        self._stop(self._guard.stopped(written=self._summary.puts > 0))
        return False
