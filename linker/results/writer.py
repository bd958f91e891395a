"""The results stage, the only writer of results: it writes them, counts them, and then delivers them."""

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

_MOST_AT_ONCE: Final = 256


class _Chunk(msgspec.Struct):
    outcomes: list[Outcome]
    ended: Collection[Target]


class ResultsWriter:
    """Collects outcomes from all stages, writes the results among them together, and delivers them in that order.

    Args:
        waiting: how many calls of `take()` may wait for the writer.
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
        self._chunks: asyncio.Queue[_Chunk | None] = asyncio.Queue(waiting)
        self._late: list[_Chunk] = []  # from tasks that were cancelled while the queue was full

    async def take(self, outcomes: list[Outcome], ended: Collection[Target] = ()) -> None:
        """Queue outcomes once there is room. If cancelled, they are written nevertheless.

        Args:
            ended: targets that have no more outcomes.
        """
        if not outcomes:
            return
        chunk = _Chunk(outcomes, ended)
        try:
            await self._chunks.put(chunk)
        except asyncio.CancelledError:
            self._late.append(chunk)
            raise

    async def end(self) -> None:
        """Let `run()` return once everything queued is written."""
        await self._chunks.put(None)

    async def run(self) -> None:
        """Write and deliver outcomes until `end()`.

        Raises:
            ResultsUnwritable: the results file cannot be written.
        """
        more = True
        while more:
            chunks: list[_Chunk] = []
            outcomes: list[Outcome] = []
            chunk = await self._chunks.get()
            while chunk is not None:
                chunks.append(chunk)
                outcomes += chunk.outcomes
                if len(outcomes) >= _MOST_AT_ONCE or self._chunks.empty():
                    break
                chunk = self._chunks.get_nowait()
            if chunk is None:
                more = False
                rest = self._rest()
                chunks += rest
                outcomes += [outcome for chunk in rest for outcome in chunk.outcomes]
            if chunks:
                results = self._write(outcomes)
                try:
                    if self._file is not None:
                        await self._file.sync()
                except asyncio.CancelledError:
                    self._count(results)  # they are in the file already
                    raise
                self._count(results)
                self._settle(chunks)
                await self._deliver(outcomes)

    def flush(self) -> None:
        """Write the outcomes that are still queued, after `run()` has returned or was cancelled."""
        chunks = self._rest()
        with suppress(ResultsUnwritable):
            results = self._write([outcome for chunk in chunks for outcome in chunk.outcomes])
            if self._file is not None:
                self._file.sync_now()
            self._count(results)
            self._settle(chunks)

    def _write(self, outcomes: Sequence[Outcome]) -> list[Result]:
        results = [outcome for outcome in outcomes if isinstance(outcome, Result)]
        if self._file is not None and results:
            self._file.write(results)
        return results

    def _count(self, results: Sequence[Result]) -> None:
        for result in results:
            self._summary.add(result)

    def _settle(self, chunks: Sequence[_Chunk]) -> None:
        if self._file is not None:
            self._file.journal.settle(target for chunk in chunks for target in chunk.ended)

    def _rest(self) -> list[_Chunk]:
        rest, self._late = self._late, []
        while not self._chunks.empty():
            chunk = self._chunks.get_nowait()
            if chunk is not None:
                rest.append(chunk)
        return rest
