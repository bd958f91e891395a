"""An account and linkers on it without a network: everything waits on the virtual clock, nothing on a socket.

The sandbox's own limiter counts and refuses; linker's own rate limiter and retries wait, send and repeat. Only the pool
between them is a stand-in: each request takes a given time there and back.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import cast

import orjson

from linker.api.answers import Answer, HttpAnswer
from linker.api.requests import Request
from linker.model.target import Kind, Target
from linker.ratelimit.ledger import PermitLedger
from linker.ratelimit.limiter import RateLimiter
from linker.retry.sender import Sender
from linker.sandbox import Limit
from linker.sandbox.limits import Limiter
from linker.sessions.pool import SessionPool
from linker.settings import Rate, Settings

SETTINGS = Settings(base_url="http://localhost", attempts=20, refusals=1000, state_dir=None)
BODY = orjson.dumps({"feature": {"id": "1", "reference_num": "PRJ1-1", "custom_object_links": []}})


class Account:
    """The server's side: counts each request as it arrives, whoever sent it, and reports its counts."""

    def __init__(self, rates: Sequence[Rate], window: str) -> None:
        self._clock = asyncio.get_running_loop().time
        self._limiter = Limiter([Limit(rate.requests, rate.seconds) for rate in rates], window, self._clock)
        self._numbers = count()
        self.arrivals: list[float] = []
        self.refused: list[float] = []
        self.served: list[tuple[float, int]] = []
        """Ours that were not refused: when, and which linker's."""

    def others(self) -> None:
        """Count a request of another client, whether it is refused or not."""
        self._limiter.admit()

    def ours(self, linker: int) -> tuple[int, dict[str, str]]:
        """A request of a linker: the status and the headers that it is answered with."""
        now, verdict = self._clock(), self._limiter.admit()
        self.arrivals.append(now)
        assert verdict is not None
        headers = {
            "X-Ratelimit-Limit": str(verdict.limit),
            "X-Ratelimit-Remaining": str(verdict.remaining),
            "X-Ratelimit-Reset": str(verdict.frees_in_s),
        }
        if verdict.wait_s > 0:
            self.refused.append(now)
            return 429, {**headers, "Retry-After": str(math.ceil(verdict.wait_s))}
        self.served.append((now, linker))
        return 200, headers

    def over(self, rate: Rate) -> list[tuple[float, float]]:
        """The first and last arrival of each group of our requests that exceeded a rate."""
        pairs = zip(self.arrivals, self.arrivals[rate.requests :], strict=False)
        return [(first, last) for first, last in pairs if first + rate.seconds > last]


class Pool:
    """What a `Breaker` needs of a `SessionPool`."""

    def __init__(
        self, account: Account, limiter: RateLimiter, ways: Iterator[tuple[float, float]], concurrency: int, linker: int
    ) -> None:
        self._account = account
        self._limiter = limiter
        self._ways = ways
        self._leases = asyncio.Semaphore(concurrency)
        self._linker = linker
        self.stop = asyncio.Event()

    async def send(self, choose: Callable[[float], Request | None], *, first: bool = False) -> Answer | None:
        """One request there and back. One that is cut off arrives no later than its connection is closed."""
        async with self._leases, self._limiter.turn(self.stop, first=first) as turn:
            request = choose(turn.at)
            if request is None:
                turn.give_back()
                return None
            there_s, back_s = next(self._ways)
            try:
                await asyncio.sleep(there_s)
            finally:
                status, headers = self._account.ours(self._linker)
            await asyncio.sleep(back_s)
            turn.record_answer(status, headers)
            return request.understand(HttpAnswer(status, headers, BODY, turn.at))


class Client:
    """One linker: its rate limiter, and retries until an answer counts."""

    def __init__(
        self,
        account: Account,
        rates: Sequence[Rate],
        ways: Iterator[tuple[float, float]],
        *,
        concurrency: int = 40,
        share: float = 1.0,
        even: bool = False,
        ledger: PermitLedger | None = None,
        number: int = 0,
    ) -> None:
        clock = asyncio.get_running_loop().time
        self.limiter = RateLimiter(rates, share=share, even=even, ledger=ledger, clock=clock)
        self.pool = Pool(account, self.limiter, ways, concurrency, number)
        self._sender = Sender(SETTINGS, cast("SessionPool", self.pool), self.limiter)

    async def get(self) -> None:
        """One read, to its end."""
        await self._sender.fetch(Request(Target(Kind.FEATURE, "PRJ1-1")))
