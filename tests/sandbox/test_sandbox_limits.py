"""How requests are counted, and what an answer says about it."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.errors import UsageError
from linker.sandbox import Limit, Sandbox
from linker.sandbox.limits import WINDOWS, Limiter

EIGHTH = 0.125  # steps that add up exactly in binary
LIMITS = st.lists(st.builds(Limit, st.integers(1, 8), st.integers(1, 40).map(lambda n: n * EIGHTH)), max_size=3)
GAPS = st.lists(st.integers(0, 24).map(lambda n: n * EIGHTH), max_size=120)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def admitted(limiter: Limiter, clock: Clock, gaps: Sequence[float]) -> list[float]:
    """When requests were let through, of those that arrive with these gaps."""
    through = []
    for gap in gaps:
        clock.now += gap
        verdict = limiter.admit()
        if verdict is None or verdict.wait_s == 0:
            through.append(clock.now)
    return through


@given(LIMITS, GAPS)
def test_a_sliding_window_never_holds_more_than_its_limit_nor_refuses_below_it(
    limits: list[Limit], gaps: list[float]
) -> None:
    """A request is let through exactly when each limit had room in the seconds before it."""
    clock = Clock()
    limiter = Limiter(limits, "sliding", clock)
    through: list[float] = []
    for gap in gaps:
        clock.now += gap
        room = all(sum(at > clock.now - each.seconds for at in through) < each.requests for each in limits)
        verdict = limiter.admit()
        assert (verdict is None or verdict.wait_s == 0) == room
        if room:
            through.append(clock.now)


@given(st.sampled_from(sorted(WINDOWS)), LIMITS, GAPS)
def test_who_waits_as_told_is_let_through(window: str, limits: list[Limit], gaps: list[float]) -> None:
    """The wait of a refusal is enough, and the headers' numbers stay within their limit."""
    clock = Clock()
    limiter = Limiter(limits, window, clock)
    for gap in gaps:
        clock.now += gap
        verdict = limiter.admit()
        if verdict is None:
            continue
        assert 0 <= verdict.remaining <= verdict.limit
        assert verdict.frees_in_s >= 0
        if verdict.wait_s > 0:
            clock.now += verdict.wait_s
            again = limiter.admit()
            assert again is not None
            assert again.wait_s == 0


@given(st.sampled_from(["fixed", "bucket"]), st.builds(Limit, st.integers(1, 8), st.just(1.0)), GAPS)
def test_the_other_windows_let_at_most_twice_the_limit_through(window: str, limit: Limit, gaps: list[float]) -> None:
    """In any stretch of a window's length: one burst, and as much again."""
    clock = Clock()
    through = admitted(Limiter([limit], window, clock), clock, gaps)
    for start in through:
        assert sum(start <= at < start + limit.seconds for at in through) <= 2 * limit.requests


@pytest.mark.parametrize(
    ("window", "arrivals", "through"),
    [
        ("sliding", [0, 0.5, 0.5, 1.0, 1.25, 1.5], [0, 0.5, 1.0, 1.5]),
        ("fixed", [0, 0.75, 0.75, 1.0, 1.0, 1.0, 2.0], [0, 0.75, 1.0, 1.0, 2.0]),
        ("bucket", [0, 0, 0.25, 0.5, 0.75, 1.0, 3.0, 3.0, 3.0], [0, 0, 0.5, 1.0, 3.0, 3.0]),
    ],
)
def test_two_requests_a_second_in_each_window(window: str, arrivals: list[float], through: list[float]) -> None:
    """The three ways of counting, on a clock."""
    clock = Clock()
    gaps = [at - before for before, at in zip([0.0, *arrivals], arrivals, strict=False)]
    found = admitted(Limiter([Limit(2, 1.0)], window, clock), clock, gaps)
    assert [at - 1000.0 for at in found] == through


def test_a_request_that_one_limit_refuses_counts_in_none() -> None:
    """A refusal by the second limit does not count in the minute."""
    clock = Clock()
    limiter = Limiter([Limit(3, 60.0), Limit(1, 1.0)], "sliding", clock)
    assert admitted(limiter, clock, [0, 0, 0, 1, 0, 1, 1]) == [1000.0, 1001.0, 1002.0]


@pytest.mark.parametrize(
    ("text", "limit"),
    [("300/60s", Limit(300, 60.0)), (" 20 / 1 ", Limit(20, 1.0)), ("5/0.5s", Limit(5, 0.5)), ("5/.5s", Limit(5, 0.5))],
)
def test_a_limit_is_read_from_text(text: str, limit: Limit) -> None:
    """Requests, a slash, seconds; and it is written so."""
    assert Limit.parse(text) == limit
    assert Limit.parse(str(limit)) == limit


@pytest.mark.parametrize("text", ["", "300", "300/", "300/s", "300/.", "0/60s", "10/0s", "x/1s", "-1/1s", "1/1m"])
def test_text_that_is_no_limit_is_refused_with_an_example_or_a_reason(text: str) -> None:
    """A UsageError that quotes the text or says what is wrong with it."""
    with pytest.raises(UsageError, match=r"for example 300/60s|at least 1 request"):
        Limit.parse(text)


async def test_over_the_limit_is_429_with_a_retry_after_and_the_state_unchanged() -> None:
    """The answers' headers count down and say when there is room; after it a request is let through."""
    clock = Clock()
    async with (
        Sandbox(limits=[(10, 60.0), (2, 1.5)], clock=clock) as sandbox,
        aiohttp.ClientSession(sandbox.url, headers=sandbox.headers) as session,
    ):

        async def ask() -> tuple[int, Mapping[str, str]]:
            async with session.get("/api/v1/features/PRJ1-1") as response:
                await response.read()
                return response.status, response.headers

        seen = [await ask() for _ in range(3)]
        assert [status for status, _ in seen] == [200, 200, 429]
        assert [headers["X-Ratelimit-Remaining"] for _, headers in seen] == ["1", "0", "0"]
        assert {headers["X-Ratelimit-Limit"] for _, headers in seen} == {"2"}
        assert abs(int(seen[0][1]["X-Ratelimit-Reset"]) - time.time()) < 60
        assert "Retry-After" not in seen[1][1]
        assert seen[2][1]["Retry-After"] == "2"
        clock.now += 1.0
        assert (await ask())[0] == 429
        clock.now += 1.0
        assert (await ask())[0] == 200
    assert sandbox.stats.refused == 2
    assert sandbox.stats.too_early == 1  # the first refusal told to wait until 1002
    assert sandbox.stats.requests == 5


async def test_without_limits_there_are_no_rate_limit_headers() -> None:
    """Nothing is counted, so nothing is told."""
    async with (
        Sandbox(limits=[]) as sandbox,
        aiohttp.ClientSession(sandbox.url, headers=sandbox.headers) as session,
        session.get("/api/v1/me") as response,
    ):
        headers: Any = response.headers
    assert not [name for name in headers if "ratelimit" in name.lower()]
