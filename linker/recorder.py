"""The results stage: the one writer. What it has written is counted, and only then seen by anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from linker.errors import ResultsUnwritable
from linker.results import Result, ResultsFile
from linker.summary import Summary
from linker.work import Outcome

__all__ = ["Recorder"]

_AT_ONCE: Final = 256


class Recorder:
    """Takes outcomes from all stages, writes the results among them in one go, and delivers them in that order.

    Args:
        waiting: how many lots of outcomes may wait for the writer.
        deliver: awaited with outcomes that are on disk; while it waits, the run slows down.
    """

    def __init__(
        self,
        file: ResultsFile | None,
        summary: Summary,
        waiting: int,
        deliver: Callable[[list[Outcome]], Awaitable[None]],
    ) -> None:
        self._file = file
        self._summary = summary
        self._deliver = deliver
        self._lots: asyncio.Queue[list[Outcome] | None] = asyncio.Queue(waiting)
        self._late: list[Outcome] = []  # of tasks that were cancelled while there was no room for them

    async def take(self, outcomes: list[Outcome]) -> None:
        """Take outcomes, once there is room; where that is cut off, they are written all the same."""
        if not outcomes:
            return
        try:
            await self._lots.put(outcomes)
        except asyncio.CancelledError:
            self._late += outcomes
            raise

    async def end(self) -> None:
        """Nothing more will come."""
        await self._lots.put(None)

    async def run(self) -> None:
        """Write what comes, until the end.

        Raises:
            ResultsUnwritable: it cannot be written.
        """
        ended = False
        while not ended:
            outcomes: list[Outcome] = []
            lot = await self._lots.get()
            while lot is not None:
                outcomes += lot
                if len(outcomes) >= _AT_ONCE or self._lots.empty():
                    break
                lot = self._lots.get_nowait()
            ended = lot is None
            if ended:
                outcomes += self._rest()
            if outcomes:
                self._write(outcomes)
                await self._deliver(outcomes)

    def flush(self) -> None:
        """Write what came after the end, or all that is there where the writer was cut off."""
        with suppress(ResultsUnwritable):
            self._write(self._rest())

    def _write(self, outcomes: list[Outcome]) -> None:
        results = [outcome for outcome in outcomes if isinstance(outcome, Result)]
        if self._file is not None and results:
            self._file.write(results)
        for result in results:
            self._summary.add(result)

    def _rest(self) -> list[Outcome]:
        rest, self._late = self._late, []
        while not self._lots.empty():
            rest += self._lots.get_nowait() or ()
        return rest
