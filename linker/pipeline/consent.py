"""Holds back the targets that would lose links while rows of the input could not be read.

If linker cannot find out which target a row is for, any list may lack it. So no target of that run loses links by
`replace` until somebody consents. Targets that lose nothing are written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from linker.errors import Error, ErrorType
from linker.results.writer import ResultsWriter
from linker.work.attempts import Step
from linker.work.work import Work

_WHY_LENGTH: Final = 200

ConfirmUnreadable: TypeAlias = Callable[[int, int], Awaitable[bool | None]]
"""Asked with the rows that could not be read and the links that would be removed; None if the run is ending."""


class Consent:
    """The targets of one run that wait for consent.

    Args:
        is_given: the user has consented beforehand.
        ask: awaited at the end with the rows that could not be read and the links that would be removed. Without it
            the jobs of such a target are rejected at once.
    """

    def __init__(self, *, is_given: bool, ask: ConfirmUnreadable | None, writer: ResultsWriter) -> None:
        self._is_given = is_given
        self._ask = ask
        self._writer = writer
        self._rows = 0
        self._first = ""
        self._waiting: dict[Work, None] = {}

    def __repr__(self) -> str:
        return f"<Consent, {self._rows} rows could not be read, {len(self._waiting)} targets wait>"

    @property
    def is_needed(self) -> bool:
        """Whether targets may be waiting for an answer at the end."""
        return self._rows > 0 and self._ask is not None and not self._is_given

    def require(self, rows: int, first: str) -> None:
        """Note how many rows do not tell their target, and the place of the first with the reason."""
        self._rows, self._first = rows, first if len(first) <= _WHY_LENGTH else f"{first[:_WHY_LENGTH]}…"

    async def filter(self, works: list[Work]) -> list[Work]:
        """Return the works that may go on. The others wait, or their jobs are rejected."""
        if not self._rows or self._is_given:
            return works
        going: list[Work] = []
        for work in works:
            if work.step is not Step.WRITE or not _shortens(work):
                self._waiting.pop(work, None)
                work.is_on_hold = False
                going.append(work)
            elif self._ask is None:
                await self._reject(work)
            else:
                work.is_on_hold = True
                self._waiting[work] = None
        return going

    async def settle(self) -> tuple[list[Work], int]:
        """Ask about the targets that wait. Return those that may go on, and how many were rejected instead."""
        waiting = self.drop()
        removals = sum(work.pending.removals for work in waiting)
        answer = await self._ask(self._rows, removals) if waiting and self._ask is not None else None
        if answer is None:
            return [], 0
        if answer:
            self._is_given = True
            return waiting, 0
        for work in waiting:
            await self._reject(work)
        return [], len(waiting)

    def drop(self) -> list[Work]:
        """Return the targets that wait, which do not wait any more."""
        waiting, self._waiting = list(self._waiting), {}
        for work in waiting:
            work.is_on_hold = False
        return waiting

    async def _reject(self, work: Work) -> None:
        rows = (
            f"{self._first}"
            if self._rows == 1
            else f"{self._rows:,} rows could not be read, the first is {self._first}"
        )
        links = work.pending.removals
        would = f"{links:,} link{'s' * (links != 1)} would be removed" if links else "links may be removed"
        message = (
            f"{would} from a list that an unreadable row may belong to ({rows}). "
            "Correct the input, or add --allow-unreadable"
        )
        error, now = Error(ErrorType.INCOMPLETE, message), asyncio.get_running_loop().time()
        outcomes = work.failed(error, None, now) if work.in_flight.in_doubt else work.reject(error, now)
        await self._writer.take(outcomes, work.targets)


def _shortens(work: Work) -> bool:
    """Whether a PUT removes links because a `replace` row lacks them, or may do so, because the links are unknown."""
    change = work.pending.change
    current = None if change is None else change.before if change.current is None else change.current
    for name, links in work.pending.desired.fields.items():
        if links.replace is None:
            continue
        if work.may_hide_links or current is None or current[name] - links.replace - links.add - links.remove:
            return True
    return False
