"""The account's rate limiter: one await before every request.

Three parts decide when a request may leave:

* **The ledger** keeps the promise: the account never gets more requests than it allows, whoever else uses it.
* **The pace** spreads the shortest rate: 20/1s is not twenty requests at once, but one every 50 ms, and one every 30 ms
  if nobody else uses the account. If nobody else ever did, a turn that comes late does not delay those behind it; and
  where more requests wait than may leave in that second, spreading them delays all that follow, so it takes no more
  than a hundredth of the longest rate's time. An even pace spreads the slowest rate, by aiolimiter. aiolimiter alone
  would let nearly 600 requests into the first minute of 300/60s, since its bucket starts empty and drains while it
  fills.
* **The line** is fair: first come, first served, and retries go ahead of new requests.

The wait for a permit includes the wait for the end of a 429's pause, so nobody holds a permit through a pause. Until
the first answer, one request is under way at a time: an invalid token costs one request and not forty, and the first
answer tells whether the account was used just before.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final, Self

from aiolimiter import AsyncLimiter

from linker import log
from linker.api.headers import asks_to_wait, limit_report, reports_limit
from linker.disk.boot import this_boot
from linker.ratelimit.ledger import PermitLedger
from linker.ratelimit.pace import Pace
from linker.ratelimit.permit import ANSWER, NO_ANSWER, Delay, Feedback, Permit, UsedBy, Wait
from linker.ratelimit.storage import ADVICE, MOST_SHARED, SharedFile, is_used_elsewhere, state_file
from linker.ratelimit.waiters import Waiters
from linker.settings import Rate, Settings

_LEAST_WAIT_S: Final = 1e-6
"""Rounding leaves waits that a clock cannot tell from none; they would spin."""

_ONE_MACHINE: Final = (
    "another machine uses this account too, and each machine counts only its own requests; "
    "divide the limit between them with --share"
)


class Closed(Exception):
    """The rate limiter gives no more turns: the run is being stopped."""


class Turn:
    """One request's turn: it has its permits until it ends, which it must. They are free again W seconds later."""

    __slots__ = ("_feedback", "_limiter", "_permits", "at")

    def __init__(self, limiter: RateLimiter, at: float, permits: list[Permit]) -> None:
        self._limiter = limiter
        self._permits = permits
        self._feedback: Feedback | None = NO_ANSWER
        self.at = at
        """Loop time at which the turn came."""

    def give_back(self) -> None:
        """Free the permits at once when the turn ends: nothing was sent."""
        self._feedback = None

    def record_answer(self, status: int, headers: Mapping[str, str]) -> None:
        """Tell the ledger that the account answered, and what the headers report about its limit."""
        self._feedback = self._limiter._feedback(status, headers)  # noqa: SLF001  two halves of one thing

    def end(self) -> None:
        """The request has ended: return the permits."""
        self._limiter._give_back(self._permits, self._feedback)  # noqa: SLF001


class RateLimiter:
    """Turns within all the given rates, first come, first served.

    Args:
        share: the part of each rate to take at most, from 0 to 1.
        even: spread the slowest rate too, for the sake of others at the account.
        ledger: the account's permits; without one, those of this process alone.

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
        ledger: PermitLedger | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        ours = [rate.part(share) for rate in rates]
        self._account = ledger or PermitLedger(rates, clock=clock)
        self._ledgers: list[PermitLedger] = [self._account]
        if share < 1:
            self._ledgers.insert(0, PermitLedger(ours, clock=clock))
        self._pace = Pace(ours, even=even)
        self._pace_s = self._pace.interval_s
        self._even = AsyncLimiter(1, self._pace_s) if even and self._pace_s else None
        self._largest = max(rates, key=lambda rate: rate.requests, default=None)
        self._limits = {rate.requests for rate in rates}
        self._waiters = Waiters(self._grant, self._give_back)
        self._changed = asyncio.Event()
        self._under_way = 0
        self._waiting = 0
        self._wakes = 0
        self._has_answer = False
        self._log = log.get_logger()
        self.turns = 0
        """Turns that came and were not given back."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The limiter of an account, shared with all linkers on it on this machine if that is possible."""
        return cls(settings.rate, share=settings.share, even=settings.pace == "even", ledger=_shared_ledger(settings))

    def __repr__(self) -> str:
        free = [f"{rate} {free} free" for ledger in self._ledgers for rate, free in ledger.free()]
        paused = f", paused {self.paused_s:.1f} s" if self.paused_s else ""
        return f"<RateLimiter {', '.join(free) or 'without limit'}, {self._waiting} waiting{paused}>"

    @property
    def paused_s(self) -> float:
        """Seconds for which a 429 has stopped all requests; 0 if none has."""
        return self._account.paused_s()

    @property
    def delay(self) -> Delay | None:
        """How long the requests that wait have to wait, and why; None if none waits, or if that is unknown."""
        if not self._waiting or (not self._has_answer and self._under_way):
            return None
        delays = [delay for ledger in self._ledgers if (delay := ledger.delay()) is not None]
        if (paced_s := self._pace.next_at - asyncio.get_running_loop().time()) > 0:
            delays.append(Delay(paced_s, UsedBy.THIS_RUN))
        return max(delays, key=lambda delay: delay.seconds, default=None)

    @asynccontextmanager
    async def turn(self, stop: asyncio.Event, *, first: bool = False) -> AsyncIterator[Turn]:
        """The next turn, as a context that waits on entering and ends the turn; `first` goes ahead of others.

        Example:
            >>> async with limiter.turn(stop) as turn:
            ...     response = await send()  # the permits are free again W seconds after this block
            ...     turn.record_answer(response.status, response.headers)

        Raises:
            Closed: on entering, if `stop` is set before the turn comes. Call `wake()` after setting it.
        """
        turn = self.turn_at_once(stop) or await self.next_turn(stop, first=first)
        try:
            yield turn
        finally:
            turn.end()

    def pause(self, seconds: float) -> None:
        """Let no request of the account leave for so long, as a 429 asks."""
        self._account.pause(seconds)
        self._changed.set()

    def wake(self) -> None:
        """Let all waiters check whether their run is being stopped."""
        self._wakes += 1
        self._changed.set()

    def turn_at_once(self, stop: asyncio.Event) -> Turn | None:
        """A turn that the caller must end, if nobody waits for one and nothing else has to be waited for."""
        if self._waiters.has_head or stop.is_set() or self._even is not None:
            return None
        now = asyncio.get_running_loop().time()
        permits = self._permits(now)
        if isinstance(permits, Wait):
            return None
        if self._pace_s:
            self._keep_pace(now, 0)
        return Turn(self, now, permits)

    async def next_turn(self, stop: asyncio.Event, *, first: bool) -> Turn:
        """Wait for a turn, which the caller must end. Raises `Closed` as `turn` does."""
        loop = asyncio.get_running_loop()
        if not self._waiters.has_head:
            self._pace.begin_line(loop.time())
        self._waiting += 1
        try:
            while True:
                wakes = self._wakes
                permits = await self._waiters.join(first)
                if permits is not None:
                    if stop.is_set():
                        self._give_back(permits)
                        raise Closed
                    return Turn(self, loop.time(), permits)
                try:
                    permits = await self._wait_for_permits(stop, wakes)
                    if permits is None:
                        continue  # to the end of the line: a waiter behind may belong to the run that is stopped
                    # no wait between here and the send: a parked turn goes stale and fires in a burst
                    now = loop.time()
                    if self._even is not None:
                        await self._even.acquire()  # returns at once: the wait for it is over
                    if self._pace_s:
                        self._keep_pace(now, self._waiting)
                    return Turn(self, now, permits)
                finally:
                    self._waiters.leave()
        finally:
            self._waiting -= 1

    def _keep_pace(self, now: float, waiting: int) -> None:
        account = self._account
        self._pace.keep(now, waiting, has_others=account.has_others(), has_budget=account.has_budget())

    def _grant(self) -> list[Permit] | None:
        """Permits for the next waiter, if it has nothing to wait for."""
        if self._pace_s:
            return None
        permits = self._permits(0.0)
        return permits if isinstance(permits, list) else None

    def _give_back(self, permits: list[Permit], feedback: Feedback | None = None) -> None:
        """Return a turn's permits, with what came of its request; None if nothing was sent."""
        self._under_way -= 1
        if feedback is None:
            self.turns -= 1
            for ledger, permit in zip(self._ledgers, permits, strict=True):
                ledger.give_back(permit)
        else:
            if feedback.answered:
                self._has_answer = True
            if self._account.finish_soon(permits[-1], feedback):
                asyncio.get_running_loop().call_soon(self._account.catch_up)
            if len(permits) > 1:
                self._ledgers[0].finish(permits[0], NO_ANSWER)  # what the account reports is not about our share
        if self._waiting:
            self._changed.set()

    def _feedback(self, status: int, headers: Mapping[str, str]) -> Feedback:
        is_refused = asks_to_wait(status, headers)
        if not (is_refused or reports_limit(headers)):
            return ANSWER
        limit = limit_report(headers, datetime.now(UTC))
        number = None if limit is None else limit.limit
        if limit is not None and number is not None and self._largest is not None and number not in self._limits:
            self._limits.add(number)  # logged once
            why = _other_limit(Rate(max(1, number), limit.window_s or self._largest.seconds), self._largest)
            self._log.warning(log.OTHER_LIMIT, account_says=number, remaining=limit.remaining, why=why)
        return Feedback(True, is_refused, limit)

    async def _wait_for_permits(self, stop: asyncio.Event, wakes: int) -> list[Permit] | None:
        """Wait for permits and take them; None if there was a `wake()` meanwhile and the caller's run goes on."""
        loop = asyncio.get_running_loop()
        while not stop.is_set() and wakes == self._wakes:
            taken = self._permits(loop.time())
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

    def _permits(self, now: float) -> list[Permit] | Wait:
        """A permit from each ledger, or how long to wait before asking again."""
        if not self._has_answer and self._under_way:
            return Wait(math.inf)
        if now < self._pace.next_at or (self._even is not None and not self._even.has_capacity()):
            # never no wait: `acquire` would wait for what rounding has left over, and see no pause and no stop
            return Wait(self._pace.next_at - now)
        permits: list[Permit] = []
        for ledger in self._ledgers:
            taken = ledger.take()
            if isinstance(taken, Wait):
                for other, permit in zip(self._ledgers, permits, strict=False):
                    other.give_back(permit)
                return taken
            permits.append(taken)
        self._under_way += 1
        self.turns += 1
        return permits


def _other_limit(reported: Rate, ours: Rate) -> str:
    """Say that the account reports another limit than `--rate`, and what follows."""
    period = "a minute" if reported.seconds == 60 else f"in {reported.seconds:g} s"
    allows = f"the account allows {reported.requests:,} requests {period}"
    if reported.requests < ours.requests:
        return f"{allows}, fewer than --rate ({ours}); linker sends no more than the account allows"
    return f"{allows}; linker uses {ours.requests:,}. To go faster: --rate {reported}"


def _shared_ledger(settings: Settings) -> PermitLedger | None:
    """The ledger that an account's linkers share; None if there is nothing to share, or no file for it."""
    most = max((rate.requests for rate in settings.rate), default=0)
    if settings.state_dir is None or not 0 < most <= MOST_SHARED:
        return None
    boot = this_boot()
    path = state_file(settings.state_dir, settings.base_url, boot.name)
    longest_wait_s = max(settings.max_wait, max(rate.seconds for rate in settings.rate) + settings.timeout_s)
    logger = log.get_logger()
    try:
        shared = SharedFile(path, clock=boot.clock, longest_wait_s=longest_wait_s)
    except OSError as error:
        logger.warning(log.NOT_SHARED, file=str(path), why=error.strerror or str(error), advice=ADVICE)
        return None
    if is_used_elsewhere(path):
        logger.warning(log.OTHER_MACHINE, folder=str(path.parent), advice=_ONE_MACHINE)
    return PermitLedger(settings.rate, shared, timeout_s=settings.timeout_s, clock=boot.clock)
