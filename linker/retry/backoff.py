"""Holds what waits for its next try, without a worker, a connection or a turn of the rate limiter."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")


class Backoff(Generic[T]):
    """Keeps items until they are due, then gives each to `due`.

    Example:
        >>> backoff = Backoff(queue.again)
        >>> group.create_task(backoff.run())
        >>> backoff.wait(item, seconds=2.0)
    """

    def __init__(self, due: Callable[[T], None]) -> None:
        self._due = due
        self._heap: list[tuple[float, int, T]] = []
        self._order = count()
        self._sooner = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Backoff, {len(self._heap)} waiting>"

    def __len__(self) -> int:
        return len(self._heap)

    def wait(self, item: T, seconds: float) -> None:
        """Let an item wait for so long from now."""
        heapq.heappush(self._heap, (asyncio.get_running_loop().time() + seconds, next(self._order), item))
        self._sooner.set()

    def drop(self) -> list[T]:
        """Stop waiting, and return the items in the order in which they would have been due."""
        waiting = [item for _, _, item in sorted(self._heap, key=lambda entry: entry[:2])]
        self._heap.clear()
        return waiting

    async def run(self) -> None:
        """Give away what is due, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            while self._heap and self._heap[0][0] <= loop.time():
                self._due(heapq.heappop(self._heap)[2])
            self._sooner.clear()
            try:
                async with asyncio.timeout_at(self._heap[0][0] if self._heap else None):
                    await self._sooner.wait()
            except TimeoutError:
                continue
