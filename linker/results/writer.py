"""The results stage: the one writer. What it has written is counted, and only then seen by anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from linker.errors import ResultsUnwritable
from linker.model.target import Target
from linker.results.file import ResultsFile
from linker.results.result import Outcome, Result
from linker.results.summary import Summary

_AT_ONCE: Final = 256


class _Lot(msgspec.Struct):
    outcomes: list[Outcome]
    ended: Collection[Target]


class ResultsWriter:
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
        self._lots: asyncio.Queue[_Lot | None] = asyncio.Queue(waiting)
        self._late: list[_Lot] = []  # of tasks that were cancelled while there was no room for them

    async def take(self, outcomes: list[Outcome], ended: Collection[Target] = ()) -> None:
        """Take outcomes, once there is room; where that is cut off, they are written all the same.

        Args:
            ended: targets that have no outcomes to come.
        """
        if not outcomes:
            return
        lot = _Lot(outcomes, ended)
        try:
            await self._lots.put(lot)
        except asyncio.CancelledError:
            self._late.append(lot)
            raise

    async def end(self) -> None:
        """Nothing more will come."""
        await self._lots.put(None)

    async def run(self) -> None:
        """Write what comes, until the end.

        Raises:
            ResultsUnwritable: it cannot be written.
        """
        more = True
        while more:
            lots: list[_Lot] = []
            outcomes: list[Outcome] = []
            lot = await self._lots.get()
            while lot is not None:
                lots.append(lot)
                outcomes += lot.outcomes
                if len(outcomes) >= _AT_ONCE or self._lots.empty():
                    break
                lot = self._lots.get_nowait()
            if lot is None:
                more = False
                rest = self._rest()
                lots += rest
                outcomes += [outcome for lot in rest for outcome in lot.outcomes]
            if lots:
                results = self._write(outcomes)
                try:
                    if self._file is not None:
                        await self._file.sync()
                except asyncio.CancelledError:
                    self._count(results)  # they are written
                    raise
                self._count(results)
                self._settle(lots)
                await self._deliver(outcomes)

    def flush(self) -> None:
        """Write what came after the end, or all that is there where the writer was cut off."""
        lots = self._rest()
        with suppress(ResultsUnwritable):
            results = self._write([outcome for lot in lots for outcome in lot.outcomes])
            if self._file is not None:
                self._file.sync_now()
            self._count(results)
            self._settle(lots)

    def _write(self, outcomes: Sequence[Outcome]) -> list[Result]:
        results = [outcome for outcome in outcomes if isinstance(outcome, Result)]
        if self._file is not None and results:
            self._file.write(results)
        return results

    def _count(self, results: Sequence[Result]) -> None:
        for result in results:
            self._summary.add(result)

    def _settle(self, lots: Sequence[_Lot]) -> None:
        if self._file is not None:
            self._file.journal.settle(target for lot in lots for target in lot.ended)

    def _rest(self) -> list[_Lot]:
        rest, self._late = self._late, []
        while not self._lots.empty():
            lot = self._lots.get_nowait()
            if lot is not None:
                rest.append(lot)
        return rest
