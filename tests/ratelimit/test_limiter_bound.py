"""How fast: against the bound that the rates themselves set, on the virtual clock."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from itertools import pairwise, repeat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.virtual_account import Account, Client
from support.virtual_clock import run

from linker.ratelimit.limiter import RateLimiter
from linker.sandbox.limits import WINDOWS
from linker.settings import DEFAULT_RATES, Rate

RATES = [Rate(60, 12.0), Rate(20, 1.0)]


def bound_s(requests: int, rates: Sequence[Rate], round_trip_s: float = 0.0) -> float:
    """When the last of so many requests can leave at the earliest, with W + round trip for each W."""
    at: list[float] = []
    for number in range(requests):
        permits = (at[number - rate.requests] + rate.seconds for rate in rates if number >= rate.requests)
        at.append(max((ended_at + round_trip_s for ended_at in permits), default=0.0))
    return at[-1]


def arrivals(
    requests: int, rates: Sequence[Rate], window: str, ways: Iterator[tuple[float, float]], **options: float
) -> tuple[list[float], int]:
    """When requests that are all there at once arrive, and how many are refused."""

    async def traffic() -> tuple[list[float], int]:
        account = Account(rates, window)
        client = Client(account, rates, ways, **options)  # type: ignore[arg-type]
        await asyncio.gather(*(client.get() for _ in range(requests)))
        return account.arrivals, len(account.refused)

    return run(traffic())


def jitter(seed: int) -> Iterator[tuple[float, float]]:
    """20 to 220 ms of latency, all of it on the way back: the server counts at once, and nobody knows."""
    chance = random.Random(seed)
    while True:
        yield 0.0, chance.uniform(0.02, 0.22)


@pytest.mark.parametrize("window", sorted(WINDOWS))
@pytest.mark.parametrize("seed", range(6))
def test_180_requests_at_20_to_220_ms_are_within_4_percent_of_the_strict_bound(window: str, seed: int) -> None:
    """And none is refused, however the server cuts its windows."""
    at, refused = arrivals(180, RATES, window, jitter(seed))
    assert refused == 0
    assert bound_s(180, RATES) == 26.0
    assert at[-1] <= 1.04 * 26.0


@pytest.mark.parametrize("window", sorted(WINDOWS))
@pytest.mark.parametrize("back_s", [0.0, 0.2])
def test_none_is_refused_if_requests_take_up_to_250_ms_to_arrive(window: str, back_s: float) -> None:
    """Some arrive at once and some 250 ms late, so the account may count two of them closer than they were sent."""
    chance = random.Random(window)
    ways = iter(lambda: (chance.choice([0.0, 0.25]), chance.uniform(0.0, back_s)), None)
    at, refused = arrivals(180, RATES, window, ways)
    assert refused == 0
    assert at[-1] <= bound_s(180, RATES, 0.25 + back_s) + 0.6


def test_a_long_line_is_hardly_spread_and_a_short_one_is() -> None:
    """If more wait than the shortest rate allows, spreading would delay all: it takes a hundredth of 12 s."""
    long, _ = arrivals(40, RATES, "sliding", repeat((0.0, 0.0)))
    short, _ = arrivals(20, RATES, "sliding", repeat((0.0, 0.0)))
    assert 0.1 < long[19] <= 0.15
    assert short[19] == pytest.approx(0.57, abs=0.01)


def test_next_to_others_a_long_line_is_spread_over_its_second() -> None:
    """They find permits in between, and so do ours: 20/1s is one each 50 ms."""

    async def traffic() -> list[float]:
        account = Account([Rate(20, 1.0)], "sliding")
        for _ in range(8):
            account.others()
        client = Client(account, [Rate(20, 1.0)], repeat((0.0, 0.0)))
        await asyncio.gather(*(client.get() for _ in range(40)))
        return account.arrivals

    at = run(traffic())
    assert min(later - earlier for earlier, later in pairwise(at[1:11])) >= 0.049


def test_900_requests_at_ahas_own_rates_are_within_4_percent_of_the_strict_bound() -> None:
    """At 200 ms of latency."""
    at, refused = arrivals(900, DEFAULT_RATES, "sliding", repeat((0.1, 0.1)))
    assert refused == 0
    assert at[-1] <= 1.04 * bound_s(900, DEFAULT_RATES)


@settings(max_examples=40)
@given(
    st.lists(
        st.builds(Rate, st.integers(10, 60), st.sampled_from([1.0, 4.0, 12.0])),
        min_size=1,
        max_size=2,
        unique_by=lambda rate: rate.seconds,
    ),
    st.sampled_from([0.0, 0.02, 0.2, 1.0]),
    st.integers(200, 500),
)
def test_at_any_latency_the_time_is_within_1_percent_of_the_bound_with_w_plus_round_trip(
    rates: list[Rate], way_s: float, requests: int
) -> None:
    """But for what is lost once: the first request goes alone, and the shortest rate is spread evenly."""
    at, refused = arrivals(requests, rates, "sliding", repeat((way_s, way_s)), concurrency=200)
    once_s = 2 * way_s + min(rate.seconds for rate in rates) + way_s
    assert refused == 0
    assert at[-1] <= 1.01 * bound_s(requests, rates, 2 * way_s) + once_s


@pytest.mark.parametrize("share", [0.5, 0.29, 0.01])
def test_a_share_is_all_that_is_taken(share: float) -> None:
    """0.5 of 60/12s is 30 in any twelve seconds, and never less than one."""
    at, refused = arrivals(90 if share > 0.1 else 3, RATES, "sliding", repeat((0.0, 0.0)), share=share)
    part = max(1, round(60 * share - 0.49))
    assert refused == 0
    assert max(sum(first <= moment < first + 12 for moment in at) for first in at) == part


def test_the_repr_of_a_share_shows_what_is_free_of_both() -> None:
    """What it may take, and what the account allows."""
    text = repr(RateLimiter([Rate(300, 60)], share=0.5))
    assert text == "<RateLimiter 150/60s 150 free, 300/60s 300 free, 0 waiting>"


def test_an_even_pace_spreads_the_slowest_rate() -> None:
    """60/12s is one each 200 ms, from the first to the last."""
    at, refused = arrivals(100, RATES, "sliding", repeat((0.0, 0.0)), even=True)
    assert refused == 0
    assert [later - earlier for earlier, later in pairwise(at)] == pytest.approx([0.2] * 99, abs=1e-3)
