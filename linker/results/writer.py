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
        self._in_hand: deque[_Chunk] = deque()
        self._ended: list[Target] = []  # all of their results are written; not yet settled in the journal

    async def take(self, outcomes: Outcomes | Sequence[Outcome], ended: Collection[Target] = ()) -> None:
        """Queue outcomes once there is room. If cancelled, they are written nevertheless.

        Args:
            ended: targets that have no more outcomes.
        """
        if not outcomes:
            return
        chunk = _Chunk(iter(outcomes), len(outcomes), ended)
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
            waiting = 0
            chunk = await self._chunks.get()
            while chunk is not None:
                self._in_hand.append(chunk)
                waiting += chunk.left
                if waiting >= _MOST_AT_ONCE or self._chunks.empty():
                    break
                chunk = self._chunks.get_nowait()
            if chunk is None:
                more = False
                self._gather()
            while self._in_hand:
                await self._write_piece()
                if self._in_hand:
                    await asyncio.sleep(0)

    async def _write_piece(self) -> None:
        outcomes = self._piece()
        results: list[Result] = []
        try:
            results = self._write(outcomes)
            if self._file is not None:
                await self._file.sync()
        except asyncio.CancelledError:
            self._count(results)  # they are in the file already
            raise
        except ResultsUnwritable:
            self._in_hand.clear()
            self._ended.clear()  # not settled: a resumed run looks at these targets
            raise
        self._count(results)
        self._settle()
        await self._deliver(outcomes)

    def flush(self) -> None:
        """Write the outcomes that were not written yet, after `run()` has returned or was cancelled."""
        self._gather()
        with suppress(ResultsUnwritable):
            while self._in_hand or self._ended:
                results = self._write(self._piece())
                if self._file is not None:
                    self._file.sync_now()
                self._count(results)
                self._settle()

    def _piece(self) -> list[Outcome]:
        """Make the next outcomes of those in hand."""
        piece: list[Outcome] = []
        while self._in_hand and len(piece) < _MOST_AT_ONCE:
            chunk = self._in_hand[0]
            made = list(islice(chunk.outcomes, _MOST_AT_ONCE - len(piece)))
            piece += made
            chunk.left -= len(made)
            if not chunk.left:
                self._in_hand.popleft()
                self._ended.extend(chunk.ended)
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

    def _gather(self) -> None:
        """Take in hand what waits."""
        self._in_hand.extend(self._late)
        self._late = []
        while not self._chunks.empty():
            chunk = self._chunks.get_nowait()
            if chunk is not None:
                self._in_hand.append(chunk)
