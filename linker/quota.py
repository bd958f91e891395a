"""The account's quota: one await before every request that leaves.

Two parts, and which guarantees what:

* **The log of places** makes the promise. A rate of N in W seconds has N places; a request holds one from its
  turn until W seconds after its *answer* (or after its connection was closed, where none came), for only then
  has it surely arrived. So the server never counts more than N in W, whatever the latency is and however the
  server's window is cut.
* **aiolimiter** paces: it spreads the shortest rate evenly, 20/1s as one each 50 ms and not as twenty at once.
  Alone it would let nearly 600 requests into the first minute of 300/60s, since its bucket starts empty and
  drains while it fills.

A 429's pause is waited for in the same await as the place: nobody holds a place through a pause. Until the first
answer one request is under way at a time, so that a token that is not taken costs one request, not forty.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import Final, Self

from aiolimiter import AsyncLimiter

from linker.settings import Rate

__all__ = ["Closed", "Quota", "Turn"]

_SHORTEST_PACE_S: Final = 0.001
"""A pace below the event loop's own grain cannot be kept, and costs two wake-ups a request."""

_CLOCK_S: Final = 0.001
"""How far a loop's clock may lag behind: uvloop's counts whole milliseconds."""

_LEAST_WAIT_S: Final = 1e-6
"""What is left over by rounding is waited for once; a wait that a clock cannot tell from none would spin."""


class Closed(Exception):
    """The quota gives no more turns: the run is being stopped."""


class _Places:
    """The exact log of one rate: when each place was answered, oldest first."""

    __slots__ = ("_answered", "rate")

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._answered: deque[float] = deque()

    def wait_s(self, now: float, under_way: int) -> float:
        """Seconds until a place is free; infinite while that takes an answer that is not there yet."""
        answered = self._answered
        seconds = self.rate.seconds + _CLOCK_S
        while answered and answered[0] + seconds <= now:
            answered.popleft()
        if under_way + len(answered) < self.rate.requests:
            return 0.0
        return answered[0] + seconds - now if answered else float("inf")

    def free(self, now: float, under_way: int) -> int:
        """Places free now."""
        self.wait_s(now, under_way)
        return self.rate.requests - under_way - len(self._answered)

    def answer(self, now: float) -> None:
        """One of those under way was answered."""
        self._answered.append(now)


class _Line:
    """Who waits, one at its head: first come, first served, and those that go first ahead of all others."""

    __slots__ = ("_first", "_others", "_taken")

    def __init__(self) -> None:
        self._first: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()
        self._taken = False

    async def join(self, first: bool) -> None:
        """Wait until the head of the line is the caller's."""
        if not self._taken:
            self._taken = True
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._first if first else self._others).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()  # it was this one's already
            raise

    def leave(self) -> None:
        """Make way for the next."""
        for waiting in (self._first, self._others):
            while waiting:
                turn = waiting.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._taken = False


class Turn:
    """A place in the quota, held while a request is under way.

    Example:
        >>> async with quota.turn(stop):
        ...     await send()  # the place is free again W seconds after this block
    """

    __slots__ = ("_first", "_quota", "_stop", "_unused", "answered", "at")

    def __init__(self, quota: Quota, stop: asyncio.Event, first: bool) -> None:
        self._quota = quota
        self._stop = stop
        self._first = first
        self._unused = False
        self.at = 0.0
        self.answered = False
        """Set it where the account answered at all: then more than one request may be under way."""

    def give_back(self) -> None:
        """Nothing was sent: the place is free again at once."""
        self._unused = True

    async def __aenter__(self) -> Self:
        self.at = await self._quota._take(self._stop, self._first)  # noqa: SLF001  two halves of one thing
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: object) -> None:
        self._quota._give(self.answered, used=not self._unused)  # noqa: SLF001


class Quota:
    """Turns within all the given rates, first come, first served.

    Example:
        >>> repr(Quota([Rate(300, 60), Rate(20, 1)]))
        '<Quota 300/60s 300 free, 20/1s 20 free, 0 waiting>'
    """

    def __init__(self, rates: Sequence[Rate]) -> None:
        self._places = [_Places(rate) for rate in rates]
        self._pace = _pace(rates)
        self._line = _Line()
        self._changed = asyncio.Event()
        self._under_way = 0
        self._waiting = 0
        self._wakes = 0
        self._paused_until = 0.0
        self._last_turn = 0.0
        self._answered = False
        self.turns = 0

    def __repr__(self) -> str:
        try:
            now = asyncio.get_running_loop().time()
        except RuntimeError:  # looked at from outside the loop
            now = time.monotonic()
        rates = ", ".join(f"{log.rate} {log.free(now, self._under_way)} free" for log in self._places)
        paused = f", paused {self._paused_until - now:.1f} s" if self._paused_until > now else ""
        return f"<Quota {rates or 'without limit'}, {self._waiting} waiting{paused}>"

    @property
    def paused_until(self) -> float:
        """Loop time until which a 429 has stopped all requests; in the past where none has."""
        return self._paused_until

    def turn(self, stop: asyncio.Event, *, first: bool = False) -> Turn:
        """The next place, as a context: entered when it is this caller's turn; `first` goes ahead of others.

        Raises:
            Closed: on entering, where `stop` is set before the turn came; `wake()` makes that seen at once.
        """
        return Turn(self, stop, first)

    def pause(self, seconds: float) -> None:
        """Let no request leave for so long: what a 429 asks for, of all requests of the account."""
        until = asyncio.get_running_loop().time() + seconds
        self._paused_until = max(self._paused_until, until)
        self._changed.set()

    def wake(self) -> None:
        """Let who waits look again whether its run is being stopped, wherever it stands in the line."""
        self._wakes += 1
        self._changed.set()

    async def _take(self, stop: asyncio.Event, first: bool) -> float:
        self._waiting += 1
        try:
            while True:
                wakes = self._wakes
                await self._line.join(first)
                try:
                    if not await self._wait_for_place(stop, wakes):
                        continue  # to the end of the line: who stands behind may belong to the run that is stopped
                    if self._pace is not None:
                        await self._pace.acquire()  # at once: the wait for it is over
                    # no await between here and the send: a turn that is parked goes stale and fires in a burst
                    self._under_way += 1
                    self.turns += 1
                    self._last_turn = asyncio.get_running_loop().time()
                    return self._last_turn
                finally:
                    self._line.leave()
        finally:
            self._waiting -= 1

    def _give(self, answered: bool, *, used: bool) -> None:
        now = asyncio.get_running_loop().time()
        self._under_way -= 1
        self._answered = self._answered or answered
        if used:
            for log in self._places:
                log.answer(now)
        else:
            self.turns -= 1
        self._changed.set()

    async def _wait_for_place(self, stop: asyncio.Event, wakes: int) -> bool:
        """Wait until a place is free; False where there was a `wake()` meanwhile and the caller goes on."""
        loop = asyncio.get_running_loop()
        while not stop.is_set() and wakes == self._wakes and (wait_s := self._wait_s(loop.time())) > 0:
            self._changed.clear()
            try:
                async with asyncio.timeout(None if wait_s == float("inf") else max(wait_s, _LEAST_WAIT_S)):
                    await self._changed.wait()
            except TimeoutError:
                continue
        if stop.is_set():
            raise Closed
        return wakes == self._wakes

    def _wait_s(self, now: float) -> float:
        if not self._answered and self._under_way:
            return float("inf")
        longest = self._paused_until - now
        if self._pace is not None and not self._pace.has_capacity():
            # never nothing: `acquire` would wait for what rounding has left over, and see no pause and no stop
            longest = max(longest, self._last_turn + self._pace.time_period - now, _LEAST_WAIT_S)
        for log in self._places:
            longest = max(longest, log.wait_s(now, self._under_way))
        return longest


def _pace(rates: Sequence[Rate]) -> AsyncLimiter | None:
    """The even pace of the shortest rate, where there is one that the event loop can keep."""
    shortest = min(rates, key=lambda rate: (rate.seconds, rate.requests), default=None)
    if shortest is None or shortest.seconds / shortest.requests < _SHORTEST_PACE_S:
        return None
    return AsyncLimiter(1, shortest.seconds / shortest.requests)
