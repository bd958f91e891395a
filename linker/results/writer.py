"""The results stage, the only writer of results: it writes them, counts them, and then delivers them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

import msgspec

from linker.errors import ResultsUnwritable
from linker.model.target import Target
from linker.results.file import ResultsFile
from linker.results.outcomes import Outcomes
from linker.results.result import Outcome, Result
from linker.results.summary import Summary

_MOST_AT_ONCE: Final = 512
"""Results that are made, written and delivered together; then the event loop has a turn."""


class _Chunk(msgspec.Struct, gc=False):
    outcomes: Iterator[Outcome]
    left: int
    """How many outcomes of it were not taken yet."""
    ended: Collection[Target]


class ResultsWriter:
    """Collects outcomes from all stages, writes the results among them together, and delivers them in that order.

    Args:
        waiting: how many calls of `take()` may go unwritten before they wait.
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
        self._most = waiting
        self._deliver = deliver
        self._chunks: deque[_Chunk] = deque()
        self._more = asyncio.Event()
        self._room = asyncio.Event()
        self._is_last = False
        self._ended: list[Target] = []  # all of their results are written; not yet settled in the journal

    async def take(self, outcomes: Outcomes | Sequence[Outcome], ended: Collection[Target] = ()) -> None:
        """Take outcomes, and wait until there is room for more. If cancelled, they are written nevertheless.

        Args:
            ended: targets that have no more outcomes.
        """
        if not outcomes:
            return
        self._chunks.append(_Chunk(iter(outcomes), len(outcomes), ended))
        self._more.set()
        while len(self._chunks) > self._most:
            self._room.clear()
            await self._room.wait()

    def end(self) -> None:
        """Let `run()` return once everything taken is written."""
        self._is_last = True
        self._more.set()

    async def run(self) -> None:
        """Write and deliver outcomes until `end()`: together what was taken in one turn of the loop.

        Raises:
            ResultsUnwritable: the results file cannot be written.
        """
        while self._chunks or not self._is_last:
            await self._more.wait()
            self._more.clear()
            while self._chunks:
                await self._write_piece()
                if self._chunks:
                    await asyncio.sleep(0)

    async def _write_piece(self) -> None:
        results: list[Result] = []
        try:
            outcomes = self._piece()
            results = self._write(outcomes)
            if self._file is not None:
                await self._file.sync()
        except asyncio.CancelledError:
            self._count(results)  # they are in the file already
            raise
        except Exception:  # also one of linker's own, while a result is made
            self._chunks.clear()
            self._ended.clear()  # not settled: a resumed run looks at these targets
            raise
        self._count(results)
        self._settle()
        await self._deliver(outcomes)

    def flush(self) -> None:
        """Write the outcomes that were not written yet, after `run()` has returned or was cancelled."""
        with suppress(ResultsUnwritable):
            while self._chunks or self._ended:
                results = self._write(self._piece())
                if self._file is not None:
                    self._file.sync_now()
                self._count(results)
                self._settle()

    def _piece(self) -> list[Outcome]:
        """Make the next outcomes."""
        piece: list[Outcome] = []
        while self._chunks and len(piece) < _MOST_AT_ONCE:
            chunk = self._chunks[0]
            made = list(islice(chunk.outcomes, _MOST_AT_ONCE - len(piece)))
            piece += made
            chunk.left -= len(made)
            if not chunk.left:
                self._chunks.popleft()
                self._ended.extend(chunk.ended)
        self._room.set()
        return piece

    def _write(self, outcomes: Sequence[Outcome]) -> list[Result]:
        results = [outcome for outcome in outcomes if isinstance(outcome, Result)]
        if self._file is not None and results:
            self._file.write(results)
        return results

    def _count(self, results: Sequence[Result]) -> None:
        for result in results:
            self._summary.add(result)

    def _settle(self) -> None:
        ended, self._ended = self._ended, []
        if self._file is not None:
            self._file.journal.settle(ended)
