"""The work queue: bounded, closable, retries ahead of new work.

An item stays in the queue's count from `put` to `done`, wherever it is meanwhile: so the bound holds for what is
in work and what waits for a retry too, and the queue knows by itself when there is nothing left to come.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["QueueStats", "WorkQueue"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class QueueStats:
    """A look at a queue: what waits for a worker, and all that is not done."""

    waiting: int
    unfinished: int


class WorkQueue(Generic[T]):
    """Items on their way to the workers, at most `maxsize` of them not done.

    Example:
        >>> await queue.put(item)
        >>> queue.close()  # nothing new; the iteration ends when all is done
        >>> async for item in queue:
        ...     queue.done()  # or queue.again(item)
    """

    def __init__(self, maxsize: int) -> None:
        self._new: deque[T] = deque()
        self._again: deque[T] = deque()
        self._maxsize = maxsize
        self._low = maxsize - max(1, maxsize // 10)  # who waits for room is woken for some at once
        self._room = asyncio.Event()
        self._ready = asyncio.Semaphore(0)  # a permit for each item that waits, and one for ever at the end
        self._taken = asyncio.Event()
        self._unfinished = 0
        self._closed = False

    def __repr__(self) -> str:
        state = ", closed" if self._closed else ""
        return f"<WorkQueue {self.stats().waiting} waiting, {self._unfinished} unfinished{state}>"

    def stats(self) -> QueueStats:
        """How the queue stands now."""
        return QueueStats(self.waiting, self._unfinished)

    @property
    def waiting(self) -> int:
        """Items that wait for a worker."""
        return len(self._new) + len(self._again)

    async def low(self, fewer_than: int) -> None:
        """Wait until fewer items than that wait for a worker."""
        while self.waiting >= fewer_than:
            self._taken.clear()
            await self._taken.wait()

    async def put(self, item: T) -> None:
        """Add new work, once there is room for it. A queue that is closed by then takes nothing in."""
        while self._unfinished >= self._maxsize and not self._closed:
            self._room.clear()
            await self._room.wait()
        if self._closed:
            return
        self._unfinished += 1
        self._new.append(item)
        self._ready.release()

    def again(self, item: T) -> None:
        """Put an item back that was taken, ahead of all that is new."""
        if self._unfinished:  # else the queue was dropped meanwhile
            self._again.append(item)
            self._ready.release()

    def done(self) -> None:
        """An item that was taken needs no more work."""
        self._unfinished -= 1
        if self._unfinished <= self._low:
            self._room.set()
        self._end_if_done()

    def close(self) -> None:
        """Nothing new comes; the iteration ends when all that was put is done."""
        self._closed = True
        self._room.set()
        self._end_if_done()

    def drop(self) -> list[T]:
        """Close, and give up what waits: a run that is stopped takes up nothing more. What is in work may come back."""
        self._closed = True
        waiting = [*self._again, *self._new]
        self._again.clear()
        self._new.clear()
        self._unfinished -= len(waiting)
        self._room.set()
        self._ready.release()
        return waiting

    def _end_if_done(self) -> None:
        if self._closed and self._unfinished == 0:
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
        self._ready.release()  # the end is for every worker
        raise StopAsyncIteration
