"""The rate limiter's promise where it counts: real requests to a real server that counts them, in small windows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Literal

import pytest
from support.raw_server import opened, send_raw

from linker.ratelimit.limiter import RateLimiter
from linker.sandbox import Sandbox
from linker.settings import Rate

RATES = (Rate(30, 0.5), Rate(4, 0.05))
LIMITS = [(rate.requests, rate.seconds) for rate in RATES]


def spans(arrivals: list[float], requests: int) -> Iterator[float]:
    """How long each stretch of one request too many took."""
    for first, last in zip(arrivals, arrivals[requests:], strict=False):
        yield last - first


@pytest.mark.parametrize("latency_ms", [0.0, 40.0])
@pytest.mark.parametrize("window", ["sliding", "fixed", "bucket"])
async def test_a_server_that_counts_like_this_never_refuses(
    window: Literal["sliding", "fixed", "bucket"], latency_ms: float
) -> None:
    """Requests at an account's own limits, however it cuts its windows and whatever the way there takes."""
    limiter = RateLimiter(RATES)
    async with (
        Sandbox(
            limits=LIMITS, window=window, latency_ms=latency_ms, jitter_ms=latency_ms, keep_requests=True
        ) as sandbox,
        opened(sandbox.url, token="sandbox", limiter=limiter, concurrency=20) as pool,
    ):
        await asyncio.gather(*(send_raw(pool, "GET", "/api/v1/me") for _ in range(64)))
        assert (sandbox.stats.refused, sandbox.stats.requests, limiter.turns) == (0, 64, 64)
        arrivals = sorted(seen.at for seen in sandbox.requests)
        for rate in RATES:
            assert min(spans(arrivals, rate.requests)) >= rate.seconds


async def test_requests_that_are_cut_off_or_time_out_break_no_promise() -> None:
    """Their permits are held until they can no longer count: the account refuses nobody after them."""
    async with (
        Sandbox(limits=LIMITS, latency_ms=40, jitter_ms=40, keep_requests=True) as sandbox,
        opened(sandbox.url, token="sandbox", limiter=RateLimiter(RATES), concurrency=20, timeout_s=0.06) as pool,
    ):
        sends = [asyncio.create_task(send_raw(pool, "GET", "/api/v1/me")) for _ in range(64)]
        for number, send in enumerate(sends):
            if number % 3 == 0:
                asyncio.get_running_loop().call_later(number / 64, send.cancel)
        outcomes = await asyncio.gather(*sends, return_exceptions=True)
        assert {type(outcome).__name__ for outcome in outcomes} >= {"TimedOut", "CancelledError"}
        assert sandbox.stats.refused == 0
