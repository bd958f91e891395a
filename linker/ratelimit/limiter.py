"""The account's quota: one await before every request that leaves.

Who guarantees what:

* **The ledger** makes the promise: never more requests at the account than it allows, whoever else is there.
* **The pace** spreads the shortest rate: 20/1s not as twenty at once, but one each 50 ms, and each 30 ms where nobody
  else is at the account. An even pace spreads the slowest rate, by aiolimiter; alone that would let nearly 600 requests
  into the first minute of 300/60s, since its bucket starts empty and drains while it fills.
* **The line** is fair: first come, first served, and what is tried again goes ahead of what is new.

A 429's pause is waited for in the same await as the place: nobody holds a place through a pause. Until the first
answer one request is under way at a time: a token that is not taken costs one request and not forty, and the
account may have been used just before, which the first answer tells.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, Self

from aiolimiter import AsyncLimiter

from linker import log
from linker.api.headers import LIMIT, rate_limit
from linker.ratelimit.ledger import ANSWER, SILENCE, Feedback, Ledger, Permit, Places, Wait
from linker.ratelimit.shared import MOST_SHARED, SharedFile
from linker.settings import PACE_ALONE, Rate, Settings

__all__ = ["Closed", "RateLimiter", "Turn"]

_SHORTEST_PACE_S: Final = 0.001
"""A pace below the event loop's own grain cannot be kept, and costs two wake-ups a request."""

_LEAST_WAIT_S: Final = 1e-6
"""What is left over by rounding is waited for once; a wait that a clock cannot tell from none would spin."""


class Closed(Exception):
    """The quota gives no more turns: the run is being stopped."""


class _Line:
    """Who waits, one at its head: first come, first served, and those that go first ahead of all others."""

    __slots__ = ("_first", "_others", "_taken")

    def __init__(self) -> None:
        self._first: deque[asyncio.Future[list[Permit] | None]] = deque()
        self._others: deque[asyncio.Future[list[Permit] | None]] = deque()
        self._taken = False

    async def join(
        self, first: bool, grant: Callable[[], list[Permit] | None], back: Callable[[list[Permit]], None]
    ) -> list[Permit] | None:
        """Wait until the head of the line is the caller's (None), or until it is given its places on the way."""
        if not self._taken:
            self._taken = True
            return None
        turn: asyncio.Future[list[Permit] | None] = asyncio.get_running_loop().create_future()
        (self._first if first else self._others).append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                places = turn.result()
                if places is None:
                    self.leave(grant)  # the head was this one's already
                else:
                    back(places)
            raise

    def leave(self, grant: Callable[[], list[Permit] | None]) -> None:
        """Make way. Who can go at once goes, all in one go: woken one by one, they would stay a line for ever."""
        for waiting in (self._first, self._others):
            while waiting:
                turn = waiting.popleft()
                if not turn.done():
                    places = grant()
                    turn.set_result(places)
                    if places is None:
                        return
        self._taken = False


class Turn:
    """A place in the quota, held while a request is under way.

    Example:
        >>> async with quota.turn(stop) as turn:
        ...     response = await send()  # the place is free again W seconds after this block
        ...     turn.hear(response.status, response.headers)
    """

    __slots__ = ("_first", "_heard", "_limiter", "_places", "_stop", "_unused", "at")

    def __init__(self, limiter: RateLimiter, stop: asyncio.Event, first: bool) -> None:
        self._limiter = limiter
        self._stop = stop
        self._first = first
        self._unused = False
        self._heard = SILENCE
        self.at = 0.0
        """Loop time at which the turn came."""

    def give_back(self) -> None:
        """Nothing was sent: the place is free again at once."""
        self._unused = True

    def hear(self, status: int, headers: Mapping[str, str]) -> None:
        """The account answered, and this is what it says of its limit."""
        self._heard = self._limiter._understand(status, headers)  # noqa: SLF001  two halves of one thing

    async def __aenter__(self) -> Self:
        self.at, self._places = await self._limiter._take(self._stop, self._first)  # noqa: SLF001
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: object) -> None:
        self._limiter._give(self._places, None if self._unused else self._heard)  # noqa: SLF001


class RateLimiter:
    """Turns within all the given rates, first come, first served.

    Args:
        share: the part of each rate to take at most.
        even: spread the slowest rate too, for the sake of others at the account.
        ledger: where the account's places are written down; without one, in this process alone.

    Example:
        >>> repr(RateLimiter([Rate(300, 60), Rate(20, 1)]))
        '<RateLimiter 300/60s 300 free, 20/1s 20 free, 0 waiting>'
    """

    def __init__(
        self,
        rates: Sequence[Rate],
        *,
        share: float = 1.0,
        even: bool = False,
        ledger: Ledger | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        ours = [rate.part(share) for rate in rates]
        self._account = ledger or Places(rates, clock=clock)
        self._ledgers: list[Ledger] = [self._account]
        if share < 1:
            self._ledgers.insert(0, Places(ours, clock=clock))
        self._pace_s = _pace_s(ours, even=even)
        self._even = AsyncLimiter(1, self._pace_s) if even and self._pace_s else None
        self._limits = {rate.requests for rate in rates}
        self._line = _Line()
        self._changed = asyncio.Event()
        self._under_way = 0
        self._waiting = 0
        self._wakes = 0
        self._next_turn = 0.0
        self._answered = False
        self._log = log.get_logger()
        self.turns = 0

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The quota of an account, shared with all linkers on it on this machine where that can be."""
        return cls(settings.rate, share=settings.share, even=settings.pace == "even", ledger=_shared_ledger(settings))

    def __repr__(self) -> str:
        free = [f"{rate} {free} free" for ledger in self._ledgers for rate, free in ledger.free()]
        paused = f", paused {self.paused_s:.1f} s" if self.paused_s else ""
        return f"<RateLimiter {', '.join(free) or 'without limit'}, {self._waiting} waiting{paused}>"

    @property
    def paused_s(self) -> float:
        """Seconds for which a 429 has stopped all requests; 0 where none has."""
        return self._account.paused_s()

    def turn(self, stop: asyncio.Event, *, first: bool = False) -> Turn:
        """The next place, as a context: entered when it is this caller's turn; `first` goes ahead of others.

        Raises:
            Closed: on entering, where `stop` is set before the turn came; `wake()` makes that seen at once.
        """
        return Turn(self, stop, first)

    def pause(self, seconds: float) -> None:
        """Let no request leave for so long: what a 429 asks for, of all requests of the account."""
        self._account.pause(seconds)
        self._changed.set()

    def wake(self) -> None:
        """Let who waits look again whether its run is being stopped, wherever it stands in the line."""
        self._wakes += 1
        self._changed.set()

    async def _take(self, stop: asyncio.Event, first: bool) -> tuple[float, list[Permit]]:
        self._waiting += 1
        try:
            while True:
                wakes = self._wakes
                places = await self._line.join(first, self._grant, self._give)
                if places is not None:
                    if stop.is_set():
                        self._give(places)
                        raise Closed
                    return asyncio.get_running_loop().time(), places
                try:
                    places = await self._wait_for_places(stop, wakes)
                    if places is None:
                        continue  # to the end of the line: who stands behind may belong to the run that is stopped
                    # no wait between here and the send: a turn that is parked goes stale and fires in a burst
                    now = asyncio.get_running_loop().time()
                    if self._even is not None:
                        await self._even.acquire()  # at once: the wait for it is over
                    if self._pace_s:
                        burst = self._even is None and not self._account.others()
                        self._next_turn = now + self._pace_s * (PACE_ALONE if burst else 1.0)
                    return now, places
                finally:
                    self._line.leave(self._grant)
        finally:
            self._waiting -= 1

    def _grant(self) -> list[Permit] | None:
        """Places for the next in line, where there is nothing to wait for."""
        if self._pace_s:
            return None
        places = self._places(0.0)
        return places if isinstance(places, list) else None

    def _give(self, places: list[Permit], heard: Feedback | None = None) -> None:
        self._under_way -= 1
        if heard is None:
            self.turns -= 1
            for ledger, permit in zip(self._ledgers, places, strict=True):
                ledger.give_back(permit)
        else:
            self._answered = self._answered or heard.answered
            for ledger, permit in zip(self._ledgers, places, strict=True):
                # the account's limit is not that of a part of it
                ledger.answer(permit, heard if ledger is self._account else SILENCE)
        self._changed.set()

    def _understand(self, status: int, headers: Mapping[str, str]) -> Feedback:
        if status != HTTPStatus.TOO_MANY_REQUESTS and LIMIT not in headers:
            return ANSWER
        limit = rate_limit(headers, datetime.now(UTC))
        if limit is not None and limit.limit not in self._limits:
            self._limits.add(limit.limit)  # said once
            self._log.warning(log.OTHER_LIMIT, account_says=limit.limit, remaining=limit.remaining)
        return Feedback(True, status == HTTPStatus.TOO_MANY_REQUESTS, limit)

    async def _wait_for_places(self, stop: asyncio.Event, wakes: int) -> list[Permit] | None:
        """Wait until a place is free and take it; None where there was a `wake()` meanwhile and the caller goes on."""
        loop = asyncio.get_running_loop()
        while not stop.is_set() and wakes == self._wakes:
            taken = self._places(loop.time())
            if isinstance(taken, list):
                return taken
            self._changed.clear()
            wait_s = max(taken.seconds, _LEAST_WAIT_S)
            try:
                async with asyncio.timeout(None if wait_s == math.inf else wait_s):
                    await self._changed.wait()
            except TimeoutError:
                continue
        if stop.is_set():
            raise Closed
        return None

    def _places(self, now: float) -> list[Permit] | Wait:
        """A place of each ledger, or how long to wait before another look."""
        if not self._answered and self._under_way:
            return Wait(math.inf)
        if now < self._next_turn or (self._even is not None and not self._even.has_capacity()):
            # never nothing: `acquire` would wait for what rounding has left over, and see no pause and no stop
            return Wait(self._next_turn - now)
        places: list[Permit] = []
        for ledger in self._ledgers:
            taken = ledger.take()
            if isinstance(taken, Wait):
                for other, permit in zip(self._ledgers, places, strict=False):
                    other.give_back(permit)
                return taken
            places.append(taken)
        self._under_way += 1
        self.turns += 1
        return places


def _shared_ledger(settings: Settings) -> Ledger | None:
    """The ledger that an account's linkers share; None where there is nothing to share, or no file for it."""
    most = max((rate.requests for rate in settings.rate), default=0)
    if settings.state_dir is None or not 0 < most <= MOST_SHARED:
        return None
    account = hashlib.sha256(settings.base_url.lower().encode()).hexdigest()[:16]
    path = settings.state_dir / f"quota-1-{account}"  # 1: how the file is laid out
    try:
        return Places(settings.rate, SharedFile(path), timeout_s=settings.timeout_s)
    except OSError as error:
        log.get_logger().warning(log.NOT_SHARED, file=str(path), why=error.strerror or str(error))
        return None


def _pace_s(rates: Sequence[Rate], *, even: bool) -> float:
    """Seconds between two turns by the shortest rate, or by the slowest; 0 where the event loop cannot keep it."""
    if not rates:
        return 0.0
    if even:
        pace_s = max(rate.seconds / rate.requests for rate in rates)
    else:
        shortest = min(rates, key=lambda rate: (rate.seconds, rate.requests))
        pace_s = shortest.seconds / shortest.requests
    return pace_s if pace_s >= _SHORTEST_PACE_S else 0.0
