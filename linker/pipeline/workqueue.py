"""The work queue: bounded and closable; retries go ahead of new work.

An item counts from `put` to `done`, wherever it is meanwhile. So the bound includes items in work and items that wait
for a retry, and the queue knows when nothing more can come.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class QueueStats:
    """How many items wait for a worker, and how many are not done."""

    waiting: int
    unfinished: int


class WorkQueue(Generic[T]):
    """Items on their way to the workers, of which at most `maxsize` are not done.

    Example:
        >>> await queue.put(item)
        >>> queue.close()  # the iteration ends when all items are done
        >>> async for item in queue:
        ...     queue.done()  # or queue.again(item)
    """

    def __init__(self, maxsize: int) -> None:
        self._new: deque[T] = deque()
        self._again: deque[T] = deque()
        self._maxsize = maxsize
        self._low = maxsize - max(1, maxsize // 10)  # `put` is woken once for several places
        self._room = asyncio.Event()
        self._ready = asyncio.Semaphore(0)  # one permit for each item that waits, and one that stays at the end
        self._taken = asyncio.Event()
        self._idle = asyncio.Event()
        self._unfinished = 0
        self._closed = False

    def __repr__(self) -> str:
        state = ", closed" if self._closed else ""
        return f"<WorkQueue {self.stats().waiting} waiting, {self._unfinished} unfinished{state}>"

    def stats(self) -> QueueStats:
        """Return how full the queue is now."""
        return QueueStats(self.waiting, self._unfinished)

    @property
    def waiting(self) -> int:
        """Items that wait for a worker."""
        return len(self._new) + len(self._again)

    async def low(self, fewer_than: int) -> None:
        """Wait until fewer items than `fewer_than` wait for a worker."""
        while self.waiting >= fewer_than:
            self._taken.clear()
            await self._taken.wait()

    async def idle(self) -> None:
        """Wait until all items are done."""
        while self._unfinished and not self._closed:
            self._idle.clear()
            await self._idle.wait()

    async def put(self, item: T) -> None:
        """Add a new item once there is room. If the queue is closed by then, the item is not added."""
        while self._unfinished >= self._maxsize and not self._closed:
            self._room.clear()
            await self._room.wait()
        if self._closed:
            return
        self._unfinished += 1
        self._new.append(item)
        self._ready.release()

    def again(self, item: T) -> None:
        """Put an item that was taken back into the queue, ahead of all new ones."""
        if self._unfinished:  # 0 after `drop`
            self._again.append(item)
            self._ready.release()

    def done(self) -> None:
        """Count an item that was taken as done."""
        self._unfinished -= 1
        if self._unfinished <= self._low:
            self._room.set()
        self._end_if_done()

    def close(self) -> None:
        """Take no new items; the iteration ends when all items are done."""
        self._closed = True
        self._room.set()
        self._end_if_done()

    def drop(self) -> list[T]:
        """Close the queue, and return the items that wait. Items in work may still be put back."""
        self._closed = True
        waiting = [*self._again, *self._new]
        self._again.clear()
        self._new.clear()
        self._unfinished -= len(waiting)
        self._room.set()
        self._idle.set()
        self._ready.release()
        return waiting

    def _end_if_done(self) -> None:
        if self._unfinished == 0:
            self._idle.set()
            if self._closed:
                self._ready.release()

    def __aiter__(self) -> WorkQueue[T]:
        return self

    async def __anext__(self) -> T:
        await self._ready.acquire()
        self._taken.set()
        if self._again:
            return self._again.popleft()
        if self._new:
            return self._new.popleft()
        self._ready.release()  # so that every worker sees the end
        raise StopAsyncIteration
