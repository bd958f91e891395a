"""The line of those who wait for a permit."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from linker.ratelimit.permit import Permit


class Waiters:
    """A line with one waiter at its head: first come, first served, and those that go first ahead of all others.

    Args:
        grant: returns permits for the next waiter if there is nothing to wait for.
        give_back: takes back permits that were granted to a waiter that was cancelled.
    """

    __slots__ = ("_first", "_give_back", "_grant", "_others", "has_head")

    def __init__(self, grant: Callable[[], list[Permit] | None], give_back: Callable[[list[Permit]], None]) -> None:
        self._grant = grant
        self._give_back = give_back
        self._first: deque[asyncio.Future[list[Permit] | None]] = deque()
        self._others: deque[asyncio.Future[list[Permit] | None]] = deque()
        self.has_head = False
        """Whether anybody waits."""

    async def join(self, first: bool) -> list[Permit] | None:
        """Wait until the caller heads the line (None; it must `leave`), or is granted its permits on the way."""
        if not self.has_head:
            self.has_head = True
            return None
        granted: asyncio.Future[list[Permit] | None] = asyncio.get_running_loop().create_future()
        (self._first if first else self._others).append(granted)
        try:
            return await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                permits = granted.result()
                if permits is None:
                    self.leave()  # the caller was the head already
                else:
                    self._give_back(permits)
            raise

    def leave(self) -> None:
        """Give up the head. All who can go at once are let go together: waking them one by one would keep a line."""
        for waiting in (self._first, self._others):
            while waiting:
                granted = waiting.popleft()
                if not granted.done():
                    permits = self._grant()
                    granted.set_result(permits)
                    if permits is None:
                        return
        self.has_head = False
