"""The circuit breaker, on a virtual clock: when it opens, what is sent meanwhile, and when it closes or gives up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import pytest
from support.virtual_clock import run

from linker.api.answers import Answer
from linker.api.requests import Request
from linker.errors import BadAnswer, ConnectionFailed, RequestFailed, Stopped, TimedOut, Unauthorized
from linker.model.target import Kind, Target
from linker.retry.breaker import IN_A_ROW, Breaker, Cause, cause_of
from linker.sessions.pool import SessionPool
from linker.settings import Settings

REQUEST = Request(Target(Kind.FEATURE, "PRJ1-1"))
WELL = Answer(200)
DOWN = ConnectionFailed("no connection")


class Account:
    """What answers, and when it was asked."""

    def __init__(self) -> None:
        self.answer: Callable[[], Answer | RequestFailed] = lambda: WELL
        self.asked: list[float] = []

    async def send(self, choose: Callable[[float], Any], *, first: bool = False) -> Answer | None:
        """A request takes 10 ms."""
        now = asyncio.get_running_loop().time()
        if choose(now) is None:
            return None
        self.asked.append(now)
        outcome = self.answer()
        await asyncio.sleep(0.01)
        if isinstance(outcome, RequestFailed):
            raise outcome
        return outcome


def breaker_of(account: Account, ended: list[Stopped], **options: Any) -> Breaker:
    settings = Settings(base_url="http://localhost", **options)
    return Breaker(settings, cast("SessionPool", account), ended.append)


async def fail(breaker: Breaker, account: Account, outcome: Answer | RequestFailed, times: int) -> None:
    """So many requests that fail, one after the other."""
    account.answer = lambda: outcome
    for _ in range(times):
        await breaker.send(lambda _: REQUEST)


@pytest.mark.parametrize(
    ("outcome", "cause"),
    [
        (WELL, None),
        (Answer(404), None),
        (Answer(422), None),
        (Answer(429), None),
        (Answer(500), Cause.SERVER_ERROR),
        (Answer(503), Cause.SERVER_ERROR),
        (Answer(408), Cause.SERVER_ERROR),
        (Answer(302), Cause.BAD_ANSWER),
        (Answer(401), Cause.UNAUTHORIZED),
        (DOWN, Cause.CONNECTION),
        (TimedOut("no answer"), Cause.CONNECTION),
        (BadAnswer("a page"), Cause.BAD_ANSWER),
    ],
    ids=str,
)
def test_what_a_failure_is_put_down_to(outcome: Answer | RequestFailed, cause: Cause | None) -> None:
    """An answer that is for this request alone is no cause; a server that is ill, or somebody else, is."""
    assert cause_of(outcome) is cause


@pytest.mark.parametrize("outcome", [DOWN, Answer(503), BadAnswer("a login page")], ids=str)
def test_so_many_failures_in_a_row_open_it(outcome: Answer | RequestFailed) -> None:
    """Not one fewer; and one answer in between, or another cause, begins the count anew."""

    async def main() -> None:
        account = Account()
        breaker = breaker_of(account, [])
        await fail(breaker, account, outcome, IN_A_ROW - 1)
        assert not breaker.is_open
        await fail(breaker, account, WELL, 1)
        await fail(breaker, account, outcome, IN_A_ROW - 1)
        await fail(breaker, account, Answer(500) if isinstance(outcome, RequestFailed) else DOWN, 1)
        await fail(breaker, account, outcome, IN_A_ROW - 1)
        assert not breaker.is_open
        await fail(breaker, account, outcome, 1)
        assert breaker.is_open

    run(main())


def test_while_it_is_open_one_probe_at_a_time_leaves_at_growing_intervals() -> None:
    """Forty want to send: in five minutes some fifteen requests leave, each further from the last, up to the cap."""

    async def main() -> None:
        account, ended = Account(), list[Stopped]()
        breaker = breaker_of(account, ended)
        await fail(breaker, account, DOWN, IN_A_ROW)
        account.asked.clear()
        begun = asyncio.get_running_loop().time()
        outage_s = 300.0
        account.answer = lambda: DOWN if asyncio.get_running_loop().time() - begun < outage_s else WELL

        async def client() -> None:
            while await breaker.send(lambda _: REQUEST) is None:
                pass

        async with asyncio.TaskGroup() as group:
            for _ in range(40):
                group.create_task(client())
        over = asyncio.get_running_loop().time() - begun
        probes = [at for at in account.asked if at - begun < over - 1]
        gaps = [round(later - earlier, 6) for earlier, later in pairwise(probes)]
        assert gaps == sorted(gaps)
        assert 10 <= len(probes) <= 20
        assert over < outage_s + 31  # an outage of five minutes costs five minutes
        assert len(account.asked) - len(probes) <= 41
        assert ended == []
        assert not breaker.is_open

    run(main())


@pytest.mark.parametrize(
    ("outcome", "kind", "said"),
    [
        (DOWN, Stopped, "the account cannot be reached for 10 min (no connection); go on when it is well"),
        (Answer(401, message="unauthorized"), Unauthorized, "the account takes the token no more (401: unauthorized)"),
    ],
    ids=["connection", "token"],
)
def test_after_the_longest_wait_the_run_ends(outcome: Answer | RequestFailed, kind: type[Stopped], said: str) -> None:
    """Ten minutes, the last probe right at their end."""

    async def main() -> None:
        account, ended = Account(), list[Stopped]()
        breaker = breaker_of(account, ended)
        await fail(breaker, account, WELL, 1)
        await fail(breaker, account, outcome, 1 if isinstance(outcome, Answer) else IN_A_ROW)
        begun = asyncio.get_running_loop().time()
        while not ended:
            await breaker.send(lambda _: REQUEST)
        assert 600 <= asyncio.get_running_loop().time() - begun < 601
        assert isinstance(ended[0], kind)
        assert said in str(ended[0])
        account.asked.clear()
        await asyncio.wait_for(breaker.send(lambda _: REQUEST), 1)  # nobody waits at a gate of a run that has ended

    run(main())


def test_a_token_that_was_never_taken_is_no_outage() -> None:
    """There is nothing to wait for: it is told at once."""

    async def main() -> None:
        account = Account()
        breaker = breaker_of(account, [])
        account.answer = lambda: Answer(401)
        assert await breaker.send(lambda _: REQUEST) == Answer(401)
        assert not breaker.is_open

    run(main())


def test_a_probe_waits_as_long_as_the_account_asks() -> None:
    """Retry-After of a 503 is longer than the interval would be."""

    async def main() -> None:
        account = Account()
        breaker = breaker_of(account, [])
        await fail(breaker, account, Answer(503, retry_after_s=120.0), IN_A_ROW)
        opened = asyncio.get_running_loop().time()
        account.asked.clear()
        await breaker.send(lambda _: REQUEST)
        assert account.asked[0] - opened == pytest.approx(120, abs=0.1)

    run(main())


def test_an_account_that_asks_for_more_than_the_longest_wait_is_no_outage() -> None:
    """Its answer is the retry stage's, which ends the run at once and says when to go on."""

    async def main() -> None:
        account = Account()
        breaker = breaker_of(account, [])
        await fail(breaker, account, Answer(503, retry_after_s=601.0), 2 * IN_A_ROW)
        assert not breaker.is_open

    run(main())


def test_a_probe_that_has_nothing_to_send_makes_way() -> None:
    """Whoever comes next is the probe."""

    async def main() -> None:
        account = Account()
        breaker = breaker_of(account, [])
        await fail(breaker, account, DOWN, IN_A_ROW)
        account.asked.clear()
        assert await breaker.send(lambda _: None) is None
        account.answer = lambda: WELL
        assert await breaker.send(lambda _: REQUEST) == WELL
        assert len(account.asked) == 1

    run(main())


def test_a_suspended_process_s_time_outs_are_no_outage() -> None:
    """They say nothing of the account, and are the retry stage's."""

    async def main() -> None:
        account = Account()
        breaker = breaker_of(account, [])
        late = TimedOut("no answer")
        late.suspended = True
        await fail(breaker, account, late, 2 * IN_A_ROW)
        assert not breaker.is_open
        assert not breaker.in_streak

    run(main())
