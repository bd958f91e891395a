"""Leases of connections. `asyncio.Semaphore` takes two coroutines for each, also where one is free."""

from __future__ import annotations

import asyncio
from collections import deque


class Leases:
    """So many leases, first come, first served."""

    __slots__ = ("_free", "_waiting")

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: deque[asyncio.Future[None]] = deque()

    def locked(self) -> bool:
        """Whether none is free."""
        return not self._free

    def take_at_once(self) -> bool:
        """Take a lease if one is free; return whether it was. None is free while anybody waits."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def take(self) -> None:
        """Wait for a lease."""
        if self.take_at_once():
            return
        passed_on: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(passed_on)
        try:
            await passed_on
        except asyncio.CancelledError:
            if passed_on.done() and not passed_on.cancelled():
                self.give_back()
            raise

    def give_back(self) -> None:
        """Pass a lease on to whoever has waited longest."""
        while self._waiting:
            passed_on = self._waiting.popleft()
            if not passed_on.done():
                passed_on.set_result(None)
                return
        self._free += 1
