"""Others at the account: what its headers say of them, and what a 429 means, on a virtual clock."""

from __future__ import annotations

import asyncio
from itertools import groupby, repeat

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.virtual_account import Account, Client
from support.virtual_clock import run

from linker.ratelimit.limiter import RateLimiter
from linker.sandbox.limits import WINDOWS
from linker.settings import DEFAULT_RATES, Rate

KINDS = st.sampled_from(sorted(WINDOWS))
WAYS = st.sampled_from([0.0, 0.01, 0.1, 0.4])
RATES = st.builds(Rate, st.integers(2, 40), st.sampled_from([0.5, 2.0, 12.0, 60.0]))


@settings(max_examples=200)
@given(RATES, KINDS, WAYS, WAYS, st.lists(st.floats(0, 1), max_size=40), st.integers(1, 60), st.integers(1, 20))
@example(Rate(40, 60.0), "sliding", 0.1, 0.1, [0.5] * 39, 60, 20)
def test_who_was_at_the_account_before_is_seen_in_the_first_answer(
    rate: Rate, window: str, there_s: float, back_s: float, before: list[float], requests: int, concurrency: int
) -> None:
    """Whatever was used just before by another tool, or by a run that was killed: one 429 at most, where all was.

    And it is waited for no longer than a window, in all.
    """

    async def traffic() -> tuple[int, float]:
        account = Account([rate], window)
        loop = asyncio.get_running_loop()
        for at in sorted(before):
            await asyncio.sleep(at * rate.seconds - loop.time())
            account.others()
        started = loop.time()
        client = Client(account, [rate], repeat((there_s, back_s)), concurrency=concurrency)
        await asyncio.gather(*(client.get() for _ in range(requests)))
        assert account.over(rate) == []
        return len(account.refused), loop.time() - started

    refused, seconds = run(traffic())
    assert refused <= (len(before) >= rate.requests)
    round_trip_s = there_s + back_s
    windows = (requests - 1) // rate.requests + 2
    busy = -(-requests // concurrency) * round_trip_s
    assert seconds <= windows * (rate.seconds + round_trip_s) + busy + 2  # Retry-After has whole seconds


@pytest.mark.parametrize("window", sorted(WINDOWS))
@pytest.mark.parametrize("theirs_s", [0.4, 1.0, 5.0])
def test_next_to_others_what_is_left_is_used_and_a_429_is_not_followed_by_a_burst(window: str, theirs_s: float) -> None:
    """Ten minutes next to a client that asks for half, a fifth or little of 300/60s and is refused at times.

    Whoever comes between an answer and the request that it let go may be one too many: one request finds that out,
    seldom more, where the other takes each permit that comes free, and never all that wait.
    """

    async def traffic() -> tuple[Account, int]:
        account = Account(DEFAULT_RATES, window)
        theirs = 0

        async def others() -> None:
            nonlocal theirs
            while True:
                account.others()
                theirs += 1
                await asyncio.sleep(theirs_s)

        client = Client(account, DEFAULT_RATES, repeat((0.1, 0.1)))
        tasks = [asyncio.create_task(others()), *(asyncio.create_task(client.get()) for _ in range(4_000))]
        await asyncio.sleep(600)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return account, theirs

    account, theirs = run(traffic())
    remaining = 600 * (300 / 60) - theirs
    assert len(account.served) >= 0.95 * remaining
    assert len(account.refused) <= 0.04 * len(account.arrivals)
    refused = set(account.refused)
    further = []  # in each episode, of those that left when the first had been refused
    for is_refused, group in groupby(account.arrivals, refused.__contains__):
        first, *others = group
        if is_refused:
            further.append(sum(at > first + 0.21 for at in others))
    assert sum(further) <= len(further)
    assert max(further, default=0) <= 3


@settings(max_examples=100)
@given(st.integers(0, 20), st.floats(0.1, 60.0), WAYS, st.integers(1, 24))
def test_no_more_leave_than_are_left_until_the_reset(
    remaining: int, reset_s: float, way_s: float, concurrency: int
) -> None:
    """What an answer says is left is what leaves until its Reset; then one request looks, and then all go on."""

    async def turns() -> list[float]:
        limiter = RateLimiter([Rate(100, 60.0)], clock=asyncio.get_running_loop().time)
        leases, at = asyncio.Semaphore(concurrency), []

        async def send() -> None:
            async with leases, limiter.turn(asyncio.Event()) as turn:
                at.append(turn.at)
                await asyncio.sleep(way_s)
                limit = (100, remaining, reset_s) if len(at) == 1 else None
                names = ("X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset")
                turn.record_answer(200, dict(zip(names, map(str, limit), strict=True)) if limit else {})

        await asyncio.gather(*(send() for _ in range(24)))
        return [moment - way_s for moment in at]  # from the first answer on

    _, *others = run(turns())
    assert sum(moment < reset_s - 1e-6 for moment in others) <= remaining
    look, *rest = others[remaining:]
    assert look >= reset_s - 1e-6
    assert min(rest) >= look + way_s - 1e-6
    if remaining * 0.6 < reset_s and concurrency > remaining:
        assert look == pytest.approx(reset_s, abs=0.61)  # no later than the pace is slow


def test_after_a_429_one_request_looks_and_the_rest_go_on_when_it_was_answered() -> None:
    """Also where the rates are too fast to be paced: no burst after a pause."""

    async def turns() -> list[tuple[float, int]]:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        limiter, sent = RateLimiter([Rate(5000, 1.0)], clock=loop.time), list[tuple[float, int]]()

        async def send(statuses: dict[int, int]) -> None:
            while True:
                async with limiter.turn(stop, first=True) as turn:
                    number = len(sent)
                    status = statuses.get(number, 200)
                    sent.append((turn.at, status))
                    await asyncio.sleep(0.2)
                    turn.record_answer(status, {})
                if status == 200:
                    return
                limiter.pause(5.0)

        await send({})
        await asyncio.gather(*(send({1: 429, 2: 429, 51: 429}) for _ in range(50)))
        return sent

    sent = run(turns())
    assert [at for at, _ in sent[:1]] == [0.0]
    assert [at for at, _ in sent[1:51]] == [0.2] * 50  # the burst that met a 429
    assert sent[51][0] == pytest.approx(5.4)
    assert sent[51][1] == 429
    assert sent[52][0] == pytest.approx(10.6)
    assert [at for at, _ in sent[53:]] == [pytest.approx(10.8)]


def turns_with(reports: list[dict[str, str]], *rates: Rate) -> list[float]:
    """When turns come whose answers have these headers, one after the other."""

    async def turns() -> list[float]:
        limiter, at = RateLimiter(rates, clock=asyncio.get_running_loop().time), []
        for report in [*reports, {}]:
            async with limiter.turn(asyncio.Event()) as turn:
                at.append(turn.at)
                turn.record_answer(200, report)
        return at

    return run(turns())


def reported(remaining: int, limit: str, reset: str) -> dict[str, str]:
    """The three headers."""
    return {"X-Ratelimit-Limit": limit, "X-Ratelimit-Remaining": str(remaining), "X-Ratelimit-Reset": reset}


def test_a_lower_limit_of_the_account_is_adopted_at_once_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """No more leaves than remains, until the Reset, though no rate of ours has that number."""
    at = turns_with([reported(remaining, "50", "9") for remaining in (2, 1, 0, 49, 48)], Rate(100, 60.0))
    assert at[:3] == pytest.approx([0.0, 0.36, 0.72], abs=0.01)
    assert at[3] == pytest.approx(9.72, abs=0.01)
    assert at[5] - at[3] < 2
    (line,) = caplog.messages
    assert "other_limit" in line
    assert "50" in line
    assert "fewer" in line


def test_a_higher_limit_of_the_account_is_said_and_our_own_rates_hold(caplog: pytest.LogCaptureFixture) -> None:
    """The user's rates are the most that is sent, whatever the account allows."""
    at = turns_with([reported(2999 - number, "3000", "60") for number in range(12)], Rate(5, 10.0))
    assert all(later - first >= 10 for first, later in zip(at, at[5:], strict=False))
    (line,) = caplog.messages
    assert "the account allows 3,000 requests in 10 s; linker uses 5. To go faster: --rate 3000/10s" in line


@pytest.mark.parametrize("reset", ["", "soon", "-5", "1e400", "3600", "99999999999999999999"])
@pytest.mark.parametrize("limit", ["", "many", "40", "100"])
def test_nothing_remains_counts_whatever_the_reset_says(limit: str, reset: str) -> None:
    """Then our own window is waited for, and one request looks."""
    _, second, third = turns_with([reported(0, limit, reset)] * 2, Rate(40, 10.0))
    assert second == pytest.approx(10.0, abs=0.1) or (limit == "40" and second < 10)  # explained by our own request
    if limit != "40":
        assert third - second == pytest.approx(10.0, abs=0.1)


@pytest.mark.parametrize("window", sorted(WINDOWS))
@pytest.mark.parametrize("allowed", [Rate(100, 60.0), Rate(10, 1.0), Rate(40, 10.0)], ids=str)
def test_an_account_with_a_lower_limit_refuses_nothing(window: str, allowed: Rate) -> None:
    """Five minutes with the default rates on an account that allows fewer: most of what it allows is used."""

    async def traffic() -> Account:
        account = Account([allowed], window)
        client = Client(account, DEFAULT_RATES, repeat((0.05, 0.05)))
        tasks = [asyncio.create_task(client.get()) for _ in range(1_600)]
        await asyncio.sleep(300)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return account

    account = run(traffic())
    assert account.refused == []
    assert len(account.served) >= 0.9 * min(300 * allowed.requests / allowed.seconds, 1500)
