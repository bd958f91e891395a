"""The rate limiter on a virtual clock, against an account that counts: hours of traffic in milliseconds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest
from aiolimiter import AsyncLimiter
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.virtual_clock import run

from linker.ratelimit.limiter import Closed, RateLimiter
from linker.sandbox import Limit
from linker.sandbox.limits import WINDOWS, Limiter
from linker.settings import DEFAULT_RATES, Rate


class Counting:
    """The account's side: counts each request as it arrives, in every way that a server may."""

    def __init__(self, rates: Sequence[Rate]) -> None:
        limits = [Limit(rate.requests, rate.seconds) for rate in rates]
        self._clock = asyncio.get_running_loop().time
        self._limiters = {window: Limiter(limits, window, self._clock) for window in WINDOWS}
        self.arrivals: list[float] = []
        self.refusals: list[tuple[str, float]] = []

    def arrive(self) -> None:
        """A request is there."""
        now = self._clock()
        self.arrivals.append(now)
        for window, limiter in self._limiters.items():
            verdict = limiter.admit()
            if verdict is not None and verdict.wait_s > 0:
                self.refusals.append((window, now))

    def over(self, rate: Rate) -> list[tuple[float, float]]:
        """Where more than the rate allows arrived: the first and the last of one too many within its seconds."""
        pairs = zip(self.arrivals, self.arrivals[rate.requests :], strict=False)
        return [(first, last) for first, last in pairs if first + rate.seconds > last]


class Client:
    """The run's side: requests that take so long to get there and back, on so many connections."""

    def __init__(self, rates: Sequence[Rate], concurrency: int = 40) -> None:
        self.limiter = RateLimiter(rates, clock=asyncio.get_running_loop().time)
        self.account = Counting(rates)
        self.stop = asyncio.Event()
        self.turns: list[float] = []
        self._leases = asyncio.Semaphore(concurrency)

    async def send(self, there_s: float = 0.0, back_s: float = 0.0, *, answered: bool = True) -> None:
        """One request. One that is cancelled on its way arrives no later than its connection is closed."""
        async with self._leases, self.limiter.turn(self.stop) as turn:
            self.turns.append(turn.at)
            try:
                await asyncio.sleep(there_s)
            finally:
                self.account.arrive()
            await asyncio.sleep(back_s)
            if answered:
                turn.record_answer(200, {})


RATES = st.lists(
    st.builds(Rate, st.integers(1, 25), st.sampled_from([0.05, 0.1, 0.3, 1.0, 2.5, 7.0, 60.0])), min_size=1, max_size=3
)
WAYS = st.sampled_from([0.0, 0.001, 0.05, 0.2, 0.7, 1.0])  # there, and back again: up to 2 s of latency
REQUESTS = st.lists(
    st.tuples(WAYS, WAYS, st.booleans(), st.none() | st.floats(0.0, 90.0)),  # there, back, answered, cancelled at
    min_size=1,
    max_size=70,
)
STARTS = st.sampled_from([0.0, 12_345.678, 1e7])


@settings(max_examples=300)
@given(RATES, REQUESTS, st.integers(1, 50), STARTS)
@example([Rate(20, 1.0), Rate(300, 60.0)], [(1.0, 1.0, True, None)] * 70, 40, 0.0)
@example([Rate(1, 0.05)], [(0.0, 0.0, True, 0.0)] * 3 + [(0.0, 0.0, True, None)] * 3, 2, 12_345.678)
def test_the_account_never_counts_more_than_the_rates_allow(
    rates: list[Rate], requests: list[tuple[float, float, bool, float | None]], concurrency: int, start: float
) -> None:
    """For any rates, latencies, connections and cancellations: no refusal in any window, and everybody gets a turn."""

    async def traffic() -> None:
        client = Client(rates, concurrency)
        loop = asyncio.get_running_loop()
        tasks = []
        for there_s, back_s, answered, cancelled_at in requests:
            task = asyncio.create_task(client.send(there_s, back_s, answered=answered))
            if cancelled_at is not None:
                loop.call_later(cancelled_at, task.cancel)
            tasks.append(task)
        await asyncio.wait(tasks)
        for task, (_, _, _, cancelled_at) in zip(tasks, requests, strict=True):
            assert not task.cancelled() or cancelled_at is not None
        assert client.account.refusals == []
        assert [client.account.over(rate) for rate in rates] == [[]] * len(rates)
        assert client.limiter.turns == len(client.turns) == len(client.account.arrivals)
        await asyncio.sleep(max(rate.seconds for rate in rates) + 1)  # then no permit is lost
        free = ", ".join(f"{rate} {rate.requests} free" for rate in rates)
        assert repr(client.limiter) == f"<RateLimiter {free}, 0 waiting>"

    run(traffic(), start)


def test_the_shortest_rate_is_spread_evenly() -> None:
    """20/1s is one each 30 ms, not twenty at once; of two rates of one length the lower sets the pace.

    Faster than it would be for ever: what turns lose by waiting for permits is made up, and the permits keep the rate.
    """

    async def gaps(*rates: Rate) -> list[float]:
        client = Client(rates)
        await asyncio.gather(*(client.send() for _ in range(10)))
        return [after - before for before, after in pairwise(client.turns)]

    assert run(gaps(Rate(300, 60), Rate(20, 1))) == pytest.approx([0.03] * 9, abs=1e-3)
    assert run(gaps(Rate(50, 1), Rate(10, 1))) == pytest.approx([0.06] * 9, abs=1e-3)


def test_who_comes_first_goes_first() -> None:
    """Nobody overtakes, whether the wait is for the pace, for a permit or for the end of a pause."""

    async def order() -> list[int]:
        limiter, went = RateLimiter([Rate(3, 10)], clock=asyncio.get_running_loop().time), []

        async def one(number: int) -> None:
            async with limiter.turn(asyncio.Event()) as turn:
                went.append(number)
                await asyncio.sleep(1)
                turn.record_answer(200, {})

        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(one(number))
                await asyncio.sleep(0.7)
            limiter.pause(100)
        return went

    assert run(order()) == list(range(20))


def test_a_rate_faster_than_any_pace_goes_at_once_up_to_its_limit() -> None:
    """5000/1s is not paced, and is kept all the same."""

    async def turns() -> list[float]:
        client = Client([Rate(5000, 1)], concurrency=10_000)
        await client.send()
        await asyncio.gather(*(client.send() for _ in range(5001)))
        return client.turns

    at = run(turns())
    assert at[4999] == 0.0
    assert at[5000:] == pytest.approx([1.0, 1.0], abs=2e-3)


def test_without_rates_nobody_waits() -> None:
    """No rate, no limit, no pace: a thousand turns at one moment."""

    async def turns() -> set[float]:
        client = Client([], concurrency=1000)
        await asyncio.gather(*(client.send() for _ in range(1000)))
        assert repr(client.limiter) == "<RateLimiter without limit, 0 waiting>"
        return set(client.turns)

    assert run(turns()) == {0.0}


def test_aiolimiter_alone_would_let_near_600_into_the_first_minute_and_the_log_lets_300() -> None:
    """Why the exact log of permits exists: a leaky bucket starts empty and drains while it fills."""

    async def bucket() -> int:
        limiter = AsyncLimiter(300, 60)
        at = []

        async def one() -> None:
            async with limiter:
                at.append(asyncio.get_running_loop().time())

        await asyncio.gather(*(one() for _ in range(900)))
        return sum(moment < 60 for moment in at)

    async def ours() -> int:
        client = Client([Rate(300, 60)])
        await asyncio.gather(*(client.send() for _ in range(900)))
        return sum(moment < 60 for moment in client.turns)

    assert run(bucket()) > 590
    assert run(ours()) == 300


@pytest.mark.parametrize(("latency_s", "seconds"), [(0.0, 134.57), (0.2, 137.94), (2.0, 168.54)])
def test_900_requests_at_ahas_own_rates_take_about_the_bound(latency_s: float, seconds: float) -> None:
    """Three minutes' worth leave in two windows and a third minute's burst; each answer's latency holds its permit."""

    async def whole() -> float:
        client = Client(DEFAULT_RATES)
        await asyncio.gather(*(client.send(latency_s / 2, latency_s / 2) for _ in range(900)))
        assert client.account.refusals == []
        return client.turns[-1]

    assert run(whole()) == pytest.approx(seconds, abs=0.3)


def test_in_the_long_run_next_to_nothing_of_the_rate_is_lost() -> None:
    """Twenty minutes of 300/60s and 20/1s at 200 ms carry 6,000 requests less at most half a per cent."""

    async def carried() -> int:
        client = Client(DEFAULT_RATES)
        await asyncio.gather(*(client.send(0.1, 0.1) for _ in range(6_000)))
        return sum(at < 1200 for at in client.turns)

    assert 5_970 <= run(carried()) <= 6_000


def test_one_request_is_under_way_until_the_account_has_answered() -> None:
    """A token that is not taken costs one request, not forty; one that fails without an answer lets the next try."""

    async def turns() -> list[float]:
        client = Client([])
        sends = [client.send(3.0, 0.0, answered=False), client.send(2.0, 2.0)]
        await asyncio.gather(*sends, *(client.send() for _ in range(5)))
        return client.turns

    assert run(turns()) == [0.0, 3.0, *[7.0] * 5]


def test_a_pause_stops_all_and_nobody_holds_a_permit_through_it() -> None:
    """Pause and permit are one await: after the pause the pace is even, from those that waited and those that came."""

    async def turns() -> list[float]:
        client = Client([Rate(20, 1)])
        await client.send()
        client.limiter.pause(100)
        client.limiter.pause(30)  # a shorter pause does not cut a longer one short
        early = [asyncio.create_task(client.send()) for _ in range(3)]
        await asyncio.sleep(50)
        assert repr(client.limiter) == "<RateLimiter 20/1s 20 free, 3 waiting, paused 50.0 s>"
        assert client.limiter.paused_s == 50
        late = [asyncio.create_task(client.send()) for _ in range(2)]
        await asyncio.gather(*early, *late)
        return client.turns

    assert run(turns()) == pytest.approx([0.0, 100.0, 100.05, 100.1, 100.15, 100.2], abs=1e-3)


def test_a_pause_that_comes_while_someone_waits_for_a_permit_is_waited_for_too() -> None:
    """It lengthens a wait that has begun, at whatever moment it comes."""

    async def second_turn(paused_at: float) -> float:
        client = Client([Rate(1, 1)])
        await client.send()
        task = asyncio.create_task(client.send())
        await asyncio.sleep(paused_at)
        client.limiter.pause(60)
        await task
        return client.turns[-1] - paused_at

    for paused_at in (0.0, 0.5, 1.0):
        assert run(second_turn(paused_at), start=12_345.678) == pytest.approx(12_405.678, abs=1e-3)


@pytest.mark.parametrize("held_by", ["pause", "pace", "permit", "first answer"])
def test_a_stop_ends_all_waiting_at_once(held_by: str) -> None:
    """Whoever waits raises Closed at that moment: in a long pause, a slow pace, a full window, behind the first."""

    async def stopped() -> None:
        rates = {"pace": [Rate(1, 60)], "permit": [Rate(1, 3600), Rate(20, 1)]}.get(held_by, [])
        client = Client(rates)
        if held_by == "first answer":
            first = asyncio.create_task(client.send(1000.0))
        else:
            first = asyncio.create_task(client.send())
            await first
        if held_by == "pause":
            client.limiter.pause(86_400)
        waiting = [asyncio.create_task(client.send()) for _ in range(30)]
        await asyncio.sleep(10)
        client.stop.set()
        client.limiter.wake()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(result) for result in results} == {Closed}
        assert asyncio.get_running_loop().time() == 10
        assert "0 waiting" in repr(client.limiter)
        await first
        with pytest.raises(Closed):
            await client.send()
        assert len(client.turns) == 1

    run(stopped())


def test_a_stopped_run_leaves_the_line_at_once_and_the_other_run_keeps_its_place() -> None:
    """Two runs share an account's rate limit: one that is stopped does not wait for the other's turns."""

    async def shared() -> list[float]:
        client = Client([Rate(1, 60)])
        other_stop, turns = asyncio.Event(), []

        async def other() -> None:
            async with client.limiter.turn(other_stop) as turn:
                turns.append(turn.at)

        await client.send()
        others = [asyncio.create_task(other())]  # heads the line
        await asyncio.sleep(0)
        mine = [asyncio.create_task(client.send()) for _ in range(5)]
        others.append(asyncio.create_task(other()))
        await asyncio.sleep(10)
        client.stop.set()
        client.limiter.wake()
        await asyncio.wait(mine)
        assert asyncio.get_running_loop().time() == 10
        assert {type(task.exception()) for task in mine} == {Closed}
        await asyncio.gather(*others)
        return turns

    assert run(shared()) == pytest.approx([60, 120], abs=0.01)


def test_who_is_cancelled_while_waiting_takes_nothing_and_holds_nobody_up() -> None:
    """The head of the line and one behind it go away; the others' turns come as if those had never been there."""

    async def turns() -> list[float]:
        client = Client([Rate(1, 10)])
        await client.send()
        tasks = [asyncio.create_task(client.send()) for _ in range(4)]
        await asyncio.sleep(5)
        tasks[0].cancel()
        tasks[2].cancel()
        await asyncio.wait(tasks)
        assert client.limiter.turns == 3
        return client.turns

    assert run(turns()) == pytest.approx([0, 10, 20], abs=0.01)


def test_a_request_cancelled_under_way_holds_its_permit_until_it_can_no_longer_be_counted() -> None:
    """Its permit is free a whole window after its connection was closed, not at once, and not never."""

    async def turns() -> list[float]:
        client = Client([Rate(1, 10)])
        await client.send()
        task = asyncio.create_task(client.send(100.0))
        await asyncio.sleep(15)
        assert repr(client.limiter) == "<RateLimiter 1/10s 0 free, 0 waiting>"
        task.cancel()
        await client.send()
        return client.turns

    assert run(turns()) == pytest.approx([0, 10, 25], abs=0.01)


def test_its_repr_tells_how_it_stands_inside_a_loop_and_out_of_it() -> None:
    """Limits, what is free of each, who waits, and a pause: to be read in a log or a debugger."""

    async def made() -> RateLimiter:
        client = Client([Rate(3, 60), Rate(2, 1)])
        await client.send()
        await client.send()
        assert repr(client.limiter) == "<RateLimiter 3/60s 1 free, 2/1s 0 free, 0 waiting>"
        tasks = [asyncio.create_task(client.send()) for _ in range(4)]
        await asyncio.sleep(0.1)
        assert repr(client.limiter) == "<RateLimiter 3/60s 1 free, 2/1s 0 free, 4 waiting>"
        await asyncio.gather(*tasks)
        return client.limiter

    assert repr(run(made())).startswith("<RateLimiter 3/60s ")
