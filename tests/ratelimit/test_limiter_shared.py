"""Several linkers on one account: a shared ledger on the virtual clock, and real processes on a real file."""

from __future__ import annotations

import asyncio
import math
import random
from itertools import pairwise, repeat
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.command import Command
from support.virtual_account import Account, Client
from support.virtual_clock import run

from linker.ratelimit.layout import LedgerState
from linker.ratelimit.ledger import PermitLedger
from linker.ratelimit.limiter import RateLimiter
from linker.ratelimit.permit import NO_ANSWER, Permit, Wait
from linker.ratelimit.storage import SharedFile
from linker.sandbox import Sandbox
from linker.sandbox.limits import WINDOWS
from linker.settings import Rate, Settings

PARTICIPANTS = 16
TIMEOUT_S = 5.0


class Page:
    """A file that processes share, without the file: its lock is free, or another's so many times."""

    def __init__(self, state: LedgerState | None = None) -> None:
        self.state = state or LedgerState(bytearray(LedgerState.size(PARTICIPANTS, 256)), PARTICIPANTS)
        self.busy = 0.0

    def lock(self) -> bool:
        """Take it, or find it taken."""
        self.busy -= 1
        return self.busy < 0

    def unlock(self) -> None:
        """Nothing to do."""


class Machine:
    """Processes that share an account's rate limit, started and killed at will."""

    def __init__(self, account: Account, rates: list[Rate]) -> None:
        self._state = Page().state
        self._pages: dict[int, Page] = {}
        self.account = account
        self._rates = rates
        self._alive: set[int] = set()
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def start(self, pid: int, way_s: float, concurrency: int) -> None:
        """A process that has as much to do as it can."""
        clock = asyncio.get_running_loop().time
        page = self._pages[pid] = Page(self._state)
        ledger = PermitLedger(
            self._rates,
            page,
            timeout_s=TIMEOUT_S,
            clock=clock,
            pid=pid,
            is_alive=self._alive.__contains__,
        )
        self._alive.add(pid)
        client = Client(
            self.account, self._rates, repeat((way_s, way_s)), concurrency=concurrency, ledger=ledger, number=pid
        )

        async def worker() -> None:
            while True:
                await client.get()

        async def process() -> None:
            async with asyncio.TaskGroup() as group:
                for _ in range(concurrency):
                    group.create_task(worker())

        self._tasks[pid] = asyncio.create_task(process())

    async def kill(self, pid: int) -> None:
        """At once: what it had under way it no longer writes down; what was sent arrives."""
        self._alive.discard(pid)
        self._pages.pop(pid).busy = math.inf  # it writes nothing down any more
        task = self._tasks.pop(pid)
        task.cancel()
        await asyncio.wait([task])

    async def end(self) -> None:
        """Kill all."""
        for pid in list(self._tasks):
            await self.kill(pid)


RATES = st.lists(st.builds(Rate, st.integers(3, 60), st.sampled_from([0.5, 1.0, 4.0, 12.0])), min_size=1, max_size=2)
STARTS_AND_KILLS = st.lists(
    st.tuples(st.floats(0.0, 8.0), st.integers(1, 8), st.sampled_from([0.0, 0.02, 0.3]), st.integers(1, 8)),
    min_size=1,
    max_size=14,
)


@settings(max_examples=60)
@given(RATES, st.sampled_from(sorted(WINDOWS)), STARTS_AND_KILLS)
@example([Rate(60, 12.0), Rate(20, 1.0)], "fixed", [(0.0, n, 0.02, 4) for n in range(1, 9)] + [(5.0, 3, 0.3, 8)])
def test_processes_that_come_and_are_killed_never_exceed_the_rates_together(
    rates: list[Rate], window: str, starts_and_kills: list[tuple[float, int, float, int]]
) -> None:
    """Eight linkers start and are killed at any moment: the account refuses none of their requests."""

    async def traffic() -> None:
        account = Account(rates, window)
        machine = Machine(account, rates)
        running: set[int] = set()
        for after_s, pid, way_s, concurrency in starts_and_kills:
            await asyncio.sleep(after_s)
            if pid in running:
                await machine.kill(pid)
            else:
                machine.start(pid, way_s, concurrency)
            running ^= {pid}
        await asyncio.sleep(3)
        await machine.end()
        assert account.refused == []
        assert [account.over(rate) for rate in rates] == [[]] * len(rates)

    run(traffic())


@pytest.mark.parametrize("window", sorted(WINDOWS))
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_window_is_used_and_nobody_starves(window: str, seed: int) -> None:
    """Half an hour of one to eight linkers that come and are killed: at least 95 % of the windows is used.

    Over any three windows in which the same ones run, each has at least half of its part.
    """
    rates, all_s = [Rate(60, 12.0), Rate(20, 1.0)], 1800

    async def traffic() -> tuple[Account, list[tuple[float, frozenset[int]]]]:
        chance = random.Random(seed)
        account = Account(rates, window)
        machine = Machine(account, rates)
        loop, running, who = asyncio.get_running_loop(), set[int](), []
        pids = iter(range(1, 10_000))
        while loop.time() < all_s:
            if not running or (len(running) < 8 and chance.random() < 0.55):
                pid = next(pids)
                machine.start(pid, chance.uniform(0.0, 0.02), chance.randint(1, 8))
                running.add(pid)
            else:
                pid = chance.choice(sorted(running))
                await machine.kill(pid)
                running.remove(pid)
            who.append((loop.time(), frozenset(running)))
            await asyncio.sleep(chance.choice([0.5, 3.0, 60.0]))
        await machine.end()
        return account, who

    account, who = run(traffic())
    assert account.refused == []
    idle_s = sum(later - at for (at, running), (later, _) in pairwise(who) if not running)
    assert len(account.served) >= 0.95 * 60 * (all_s - idle_s) / 12
    for (at, running), (until, _) in pairwise(who):
        at += 12  # who has just come finds the window full
        while at + 36 <= until:
            served = [linker for when, linker in account.served if at <= when < at + 36]
            for linker in running:
                assert served.count(linker) >= 0.5 * len(served) / len(running)
            at += 6


def test_who_comes_late_gets_its_part_within_a_window() -> None:
    """One linker has all permits; a second one is let in as they come free, and both go on with half."""

    async def traffic() -> list[int]:
        rates = [Rate(60, 12.0), Rate(20, 1.0)]
        account = Account(rates, "sliding")
        machine = Machine(account, rates)
        machine.start(1, 0.01, 40)
        await asyncio.sleep(30)
        machine.start(2, 0.01, 40)
        await asyncio.sleep(60)
        await machine.end()
        return [linker for at, linker in account.served if 42 <= at < 90]

    served = run(traffic())
    assert len(served) >= 0.95 * 60 * 4
    assert min(served.count(1), served.count(2)) >= 0.45 * len(served)


def test_a_pause_is_everybody_s_and_one_looks_whether_it_is_over() -> None:
    """A 429 that one linker meets stops the other; after it one request of both goes out until it is answered."""

    async def turns() -> list[tuple[float, int]]:
        loop, page, stop, sent = asyncio.get_running_loop(), Page(), asyncio.Event(), list[tuple[float, int]]()
        limiters = [
            RateLimiter([Rate(100, 1.0)], ledger=PermitLedger([Rate(100, 1.0)], page, clock=loop.time), clock=loop.time)
            for _ in range(2)
        ]

        async def send(number: int) -> None:
            async with limiters[number].turn(stop) as turn:
                sent.append((turn.at, number))
                await asyncio.sleep(0.5)
                turn.record_answer(200, {})

        await asyncio.gather(send(0), send(1))
        limiters[0].pause(30.0)
        assert limiters[1].paused_s == 30.0
        await asyncio.gather(*(send(number) for number in (1, 1, 1, 0, 0)))
        return sent[2:]

    (look, _), *rest = run(turns())
    assert look == pytest.approx(30.5, abs=0.05)
    assert min(at for at, _ in rest) >= look + 0.5
    assert max(at for at, _ in rest) <= look + 0.6


def test_a_lock_that_another_holds_is_waited_for_and_nothing_is_lost() -> None:
    """A process that was stopped with the lock holds the others up, and what they wrote down comes later."""

    async def free() -> list[tuple[Rate, int]]:
        loop, page, stop = asyncio.get_running_loop(), Page(), asyncio.Event()
        ledger = PermitLedger([Rate(3, 1.0)], page, clock=loop.time)
        limiter = RateLimiter([Rate(3, 1.0)], ledger=ledger, clock=loop.time)
        page.busy = 100
        async with limiter.turn(stop) as turn:
            assert 0.15 < turn.at < 0.25
            turn.record_answer(200, {})
            page.busy = 100
        async with limiter.turn(stop) as turn:
            turn.record_answer(200, {})
        assert ledger.free() == [(Rate(3, 1.0), 1)]
        await asyncio.sleep(1.01)
        return ledger.free()

    assert run(free()) == [(Rate(3, 1.0), 3)]


def test_what_a_dead_process_held_is_free_again_a_window_later_and_a_stuck_one_s_after_its_timeout() -> None:
    """Its requests may have been sent at the last moment: their permits are held as long as they can count."""

    async def free_after(alive: bool) -> float:
        loop, page = asyncio.get_running_loop(), Page()
        rates = [Rate(2, 10.0)]
        dead = PermitLedger(rates, page, timeout_s=30.0, clock=loop.time, pid=1, is_alive=lambda _: alive)
        other = PermitLedger(rates, page, timeout_s=30.0, clock=loop.time, pid=2, is_alive=lambda _: alive)
        dead.take()
        dead.take()
        while isinstance(wait := other.take(), Wait):  # noqa: ASYNC110  what the rate limiter does
            await asyncio.sleep(wait.seconds)
        return loop.time()

    assert 10.9 < run(free_after(alive=False)) < 11.5
    assert 40.9 < run(free_after(alive=True)) < 41.5


def test_a_dead_process_is_missed_once_and_not_for_longer_because_nobody_looked() -> None:
    """Its permit counts from when its request can have arrived at the latest, also if that is noticed long after."""

    async def free_at() -> float:
        loop, page, alive = asyncio.get_running_loop(), Page(), {1, 2}
        rates = [Rate(2, 10.0)]
        dead, other = (
            PermitLedger(rates, page, timeout_s=30.0, clock=loop.time, pid=pid, is_alive=alive.__contains__)
            for pid in (1, 2)
        )
        dead.take()
        alive.remove(1)
        kept = other.take()  # finds out that the process is dead
        assert isinstance(kept, Permit)
        await asyncio.sleep(8)
        while isinstance(wait := other.take(), Wait):  # noqa: ASYNC110  what the rate limiter does
            await asyncio.sleep(wait.seconds)
        return loop.time()

    assert run(free_at(), start=100.0) == pytest.approx(111.0, abs=0.3)


async def test_the_end_of_a_request_is_in_the_file_after_one_turn_of_the_loop(tmp_path: Path) -> None:
    """The requests that end in one turn of the loop are written down together, and with the next permit."""
    path = tmp_path / "quota"
    ledger, other = (PermitLedger([Rate(4, 0.2)], SharedFile(path), timeout_s=30.0) for _ in range(2))
    limiter, stop = RateLimiter([Rate(4, 0.2), Rate(2000, 1.0)], ledger=ledger), asyncio.Event()
    for number in range(3):
        async with limiter.turn(stop) as turn:
            turn.record_answer(200, {})
        if number == 1:
            continue
        await asyncio.sleep(0)
        permit = other.take()
        assert isinstance(permit, Permit)
        assert permit.under_way == 1, "none of the other's is under way"
        other.give_back(permit)


async def test_ends_that_another_process_kept_from_the_file_are_in_it_with_the_next_end() -> None:
    """Once the lock was taken, the next end tries again: nobody else asks if no request waits for a permit."""
    page = Page()
    limiter = RateLimiter([], ledger=PermitLedger([Rate(8, 60.0)], page, timeout_s=30.0))
    ends = [asyncio.Event() for _ in range(3)]
    stop = asyncio.Event()

    async def request(end: asyncio.Event) -> None:
        async with limiter.turn(stop) as turn:
            await end.wait()
            turn.record_answer(200, {})

    async with asyncio.TaskGroup() as group:
        for end in ends:
            task = group.create_task(request(end))
            if end is ends[0]:
                end.set()
                await task
        await asyncio.sleep(0)
        assert page.state.under_way() == 2
        page.busy = 1.0
        ends[1].set()
        for _ in range(3):
            await asyncio.sleep(0)
        assert (page.state.under_way(), page.busy) == (2, 0.0)
        ends[2].set()
    await asyncio.sleep(0)
    assert page.state.under_way() == 0


def test_an_entry_is_anybody_s_after_a_minute_and_there_is_always_one() -> None:
    """Limiters come and go in a long-lived process; more of them than there are entries lose no permit."""

    async def entries() -> tuple[int, int]:
        loop, page = asyncio.get_running_loop(), Page()
        ledgers = [PermitLedger([Rate(60, 5.0)], page, clock=loop.time) for _ in range(3 * PARTICIPANTS)]
        for ledger in ledgers:
            permit = ledger.take()
            assert isinstance(permit, Permit)
        assert ledgers[0].free() == [(Rate(60, 5.0), 60 - 3 * PARTICIPANTS)]
        await asyncio.sleep(100)
        assert isinstance(ledgers[0].take(), Permit)
        return sum(entry.id > 0 for entry in page.state.participants), PARTICIPANTS

    assert run(entries())[0] <= PARTICIPANTS


def test_the_answer_of_a_permit_that_was_swept_away_frees_no_other() -> None:
    """Who was taken for dead (stopped for longer than its timeout, say) comes back with requests under way."""

    async def free() -> list[int]:
        loop, page, rates = asyncio.get_running_loop(), Page(), [Rate(5, 1000.0)]
        stopped, other = (
            PermitLedger(rates, page, timeout_s=1.0, clock=loop.time, pid=pid, is_alive=lambda _: True)
            for pid in (1, 2)
        )
        old = stopped.take()
        await asyncio.sleep(10)
        other.take()
        new = stopped.take()
        assert isinstance(old, Permit)
        assert isinstance(new, Permit)
        stopped.finish(old, NO_ANSWER)  # held twice, which is safe: in the log since the sweep, and now once more
        counts = [page.state.under_way()]
        stopped.finish(new, NO_ANSWER)
        return [*counts, page.state.under_way(), other.free()[0][1]]

    assert run(free()) == [2, 1, 1]


@pytest.mark.parametrize("rates", [(), ("100000/1s",), ("300/60s", "5000/1s")])
def test_rates_that_are_none_or_high_are_not_shared(tmp_path: Path, rates: tuple[str, ...]) -> None:
    """There the machine is the limit."""
    RateLimiter.of(Settings(base_url="https://h", state_dir=tmp_path / "linker", rate=rates))  # type: ignore[arg-type]
    assert not (tmp_path / "linker").exists()


async def test_linkers_that_are_killed_and_started_on_one_account_are_refused_nothing(tmp_path: Path) -> None:
    """Real processes, killed for real in the middle of their requests, on a sandbox that counts."""
    limits = [(30, 3.0), (10, 0.5)]
    async with Sandbox(limits=limits, latency_ms=30, jitter_ms=30, keep_requests=True) as sandbox:
        jobs = tmp_path / "links.jsonl"
        jobs.write_text("".join(f'{{"id":"PRJ9-{n}","links":{{"customers":[]}}}}\n' for n in range(1, 400)))
        command = Command(tmp_path, {"AHA_URL": sandbox.url, "AHA_TOKEN": sandbox.options.token})
        rates = [word for requests, seconds in limits for word in ("--rate", f"{requests}/{seconds}s")]

        async def until(requests: int) -> None:
            while len(sandbox.requests) < requests:  # noqa: ASYNC110  the sandbox tells nobody
                await asyncio.sleep(0.01)

        started = []
        for number in range(4):
            started.append(
                await command.start("run", str(jobs), "--blind", *rates, "--results", f"{number}.results.jsonl")
            )
            await until(12 * (number + 1))
            if number == 1:
                started[0].kill()
        await until(70)
        for process in started[1:]:
            process.kill()
        for process in started:
            await process.communicate()
        assert sandbox.stats.refused == 0
