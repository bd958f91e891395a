"""Keeps work that waits for its next try; it uses no worker, connection or permit of the rate limiter meanwhile."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")


class Backoff(Generic[T]):
    """Keeps items until they are due, then calls `due` with each.

    Example:
        >>> backoff = Backoff(queue.again)
        >>> group.create_task(backoff.run())
        >>> backoff.wait(item, seconds=2.0)
    """

    def __init__(self, due: Callable[[T], None]) -> None:
        self._due = due
        self._heap: list[tuple[float, int, T]] = []
        self._order = count()
        self._earlier_item = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Backoff, {len(self._heap)} waiting>"

    def __len__(self) -> int:
        return len(self._heap)

    def wait(self, item: T, seconds: float) -> None:
        """Keep an item for this number of seconds from now."""
        heapq.heappush(self._heap, (asyncio.get_running_loop().time() + seconds, next(self._order), item))
        self._earlier_item.set()

    def drop(self) -> list[T]:
        """Remove all items and return them in the order in which they would have been due."""
        waiting = [item for _, _, item in sorted(self._heap, key=lambda entry: entry[:2])]
        self._heap.clear()
        return waiting

    async def run(self) -> None:
        """Call `due` with each item that is due, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            while self._heap and self._heap[0][0] <= loop.time():
                self._due(heapq.heappop(self._heap)[2])
            self._earlier_item.clear()
            try:
                async with asyncio.timeout_at(self._heap[0][0] if self._heap else None):
                    await self._earlier_item.wait()
            except TimeoutError:
                continue
