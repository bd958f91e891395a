"""The circuit breaker, on a virtual clock: when it opens, what is sent meanwhile, and when it closes or gives up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import pytest
from support.virtual_clock import run

from linker.api.answers import Answer, Reply
from linker.api.requests import ME, Request
from linker.errors import BadAnswer, ConnectionFailed, RequestFailed, Stopped, TimedOut, Unauthorized, Unreachable
from linker.model.target import Kind, Target
from linker.retry.breaker import Breaker
from linker.retry.cause import IN_A_ROW, Cause, cause_of
from linker.sessions.pool import SessionPool
from linker.settings import Settings

REQUEST = Request(Target(Kind.FEATURE, "PRJ1-1"))
WELL = Answer(200)
DOWN = ConnectionFailed("no connection")


class Account:
    """What answers, and when it was asked; `me` answers probes, if they are not answered like all the rest."""

    def __init__(self) -> None:
        self.answer: Callable[[], Answer | RequestFailed] = lambda: WELL
        self.me: Callable[[], Answer | RequestFailed] | None = None
        self.asked: list[float] = []
        self.probed: list[float] = []
        self.pauses: list[float] = []

    async def send(self, choose: Callable[[float], Any], *, first: bool = False) -> Answer | None:
        """A request takes 10 ms."""
        now = asyncio.get_running_loop().time()
        request = choose(now)
        if request is None:
            return None
        self.asked.append(now)
        if request is ME:
            assert first
            self.probed.append(now)
        outcome = self.me() if request is ME and self.me is not None else self.answer()
        await asyncio.sleep(0.01)
        if isinstance(outcome, RequestFailed):
            raise outcome
        return outcome


def breaker_of(account: Account, ended: list[Any], **options: Any) -> Breaker:
    settings = Settings(base_url="http://localhost", **options)
    pool = cast("SessionPool", account)
    return Breaker(settings, pool, ended.append, lambda _, seconds: account.pauses.append(seconds))


async def fail(breaker: Breaker, account: Account, outcome: Answer | RequestFailed, times: int) -> list[Reply | None]:
    """So many requests that fail, one after the other, and what became of them."""
    account.answer = lambda: outcome
    return [await breaker.send(lambda _: REQUEST) for _ in range(times)]


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
        (Answer(409), Cause.SERVER_ERROR),
        (Answer(423), Cause.SERVER_ERROR),
        (Answer(522), Cause.SERVER_ERROR),
        (Answer(302), Cause.BAD_ANSWER),
        (Answer(403), Cause.FORBIDDEN),
        (Answer(403, is_foreign=True), Cause.BLOCKED),
        (Answer(403, retry_after_s=8.0), None),
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
        assert await fail(breaker, account, outcome, 1) == [None]
        assert breaker.is_open
        assert breaker.is_outage

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
            assert await breaker.send(lambda _: REQUEST) == WELL

        async with asyncio.TaskGroup() as group:
            for _ in range(40):
                group.create_task(client())
        over = asyncio.get_running_loop().time() - begun
        probes = account.probed
        gaps = [round(later - earlier, 6) for earlier, later in pairwise(probes)]
        assert gaps == sorted(gaps)
        assert 10 <= len(probes) <= 20
        assert over < outage_s + 31  # an outage of five minutes costs five minutes
        assert len(account.asked) - len(probes) <= 40
        assert ended == []
        assert not breaker.is_open

    run(main())


@pytest.mark.parametrize(
    ("outcome", "kind", "said"),
    [
        (
            DOWN,
            Stopped,
            "the account has not answered for 10 min (no connection); continue with --resume",
        ),
        (
            Answer(401, message="unauthorized"),
            Unauthorized,
            "the account has rejected your token for 10 min (401: unauthorized)",
        ),
    ],
    ids=["connection", "token"],
)
def test_after_the_longest_wait_the_run_ends(outcome: Answer | RequestFailed, kind: type[Stopped], said: str) -> None:
    """Ten minutes, the last probe right at their end."""

    async def main() -> None:
        account, ended = Account(), list[Stopped]()
        breaker = breaker_of(account, ended)
        await fail(breaker, account, WELL, 1)
        begun = asyncio.get_running_loop().time()
        await fail(breaker, account, outcome, 1 if isinstance(outcome, Answer) else IN_A_ROW)
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
        account.me = lambda: WELL
        await fail(breaker, account, Answer(503, retry_after_s=120.0), IN_A_ROW)
        assert account.probed[0] - account.asked[IN_A_ROW - 1] == pytest.approx(120, abs=0.1)

    run(main())


def test_an_account_that_asks_for_more_than_the_longest_wait_is_no_outage() -> None:
    """Its answer is the retry stage's, which ends the run at once and says when to go on."""

    async def main() -> None:
        account = Account()
        breaker = breaker_of(account, [])
        await fail(breaker, account, Answer(503, retry_after_s=601.0), 2 * IN_A_ROW)
        assert not breaker.is_open

    run(main())


@pytest.mark.parametrize("me", [WELL, Answer(403), Answer(404), Answer(422)], ids=str)
@pytest.mark.parametrize("outcome", [DOWN, TimedOut("no answer"), Answer(500), BadAnswer("a page")], ids=str)
def test_failures_of_a_well_account_count(outcome: Answer | RequestFailed, me: Answer) -> None:
    """The probe is answered, in whatever way: each request gets its own failure, and only each 20th costs a probe."""

    async def main() -> None:
        account, ended = Account(), list[Stopped]()
        breaker = breaker_of(account, ended)
        account.me = lambda: me
        assert await fail(breaker, account, outcome, 5 * IN_A_ROW) == [outcome] * 5 * IN_A_ROW
        assert (len(account.probed), len(account.asked)) == (5, 5 * IN_A_ROW + 5)
        assert (breaker.is_open, breaker.outages, ended) == (False, 0, [])

    run(main())


def test_a_target_that_rejects_the_token_fails_alone() -> None:
    """401 for one target, and the account still tells whose the token is: that is that target's answer."""

    async def main() -> None:
        account = Account()
        breaker = breaker_of(account, [])
        await fail(breaker, account, WELL, 1)
        account.me = lambda: WELL
        assert await fail(breaker, account, Answer(401), 2) == [Answer(401)] * 2
        assert len(account.probed) == 2

    run(main())


def test_a_probe_that_finds_the_token_rejected_ends_the_run() -> None:
    """Servers in front of the account failed so far; the account itself has never accepted the token."""

    async def main() -> None:
        account, ended = Account(), list[Stopped]()
        breaker = breaker_of(account, ended)
        account.me = lambda: Answer(401, message="unauthorized")
        assert (await fail(breaker, account, Answer(502), IN_A_ROW))[-1] is None
        (error,) = ended
        assert isinstance(error, Unauthorized)
        assert "rejected your token (401: unauthorized)" in str(error)

    run(main())


def test_a_probe_that_is_refused_for_its_rate_is_sent_again() -> None:
    """429 says nothing about the targets: all wait for as long as it asks, and the next probe decides."""

    async def main() -> None:
        account, ended = Account(), list[Stopped]()
        breaker = breaker_of(account, ended)
        answers = [Answer(429, retry_after_s=30.0), Answer(429), WELL]
        account.me = lambda: answers.pop(0)
        assert (await fail(breaker, account, Answer(500), IN_A_ROW))[-1] == Answer(500)
        assert account.pauses[0] == 30
        assert account.probed[1] - account.probed[0] == pytest.approx(30, abs=0.1)
        assert (len(account.probed), breaker.outages, ended) == (3, 0, [])

    run(main())


def test_a_refusal_does_not_accept_a_token() -> None:
    """429, then 401: whoever refuses for the rate has not looked at the token, so that is no outage."""

    async def main() -> None:
        account = Account()
        breaker = breaker_of(account, [])
        await fail(breaker, account, Answer(429), 1)
        assert await fail(breaker, account, Answer(401), 1) == [Answer(401)]
        assert account.probed == []

    run(main())


def test_who_waits_for_a_turn_when_it_opens_waits_for_its_end() -> None:
    """Nothing is chosen meanwhile, and once the account is well the request leaves."""

    async def main() -> None:
        account = Account()
        breaker = breaker_of(account, [])
        send, turn = account.send, asyncio.Event()

        async def late(choose: Callable[[float], Any], *, first: bool = False) -> Answer | None:
            await turn.wait()
            return await send(choose, first=first)

        account.send = late  # type: ignore[method-assign]
        waiting = asyncio.create_task(breaker.send(lambda _: REQUEST))
        await asyncio.sleep(0)
        account.send = send  # type: ignore[method-assign]
        begun = asyncio.get_running_loop().time()
        account.me = lambda: WELL if asyncio.get_running_loop().time() - begun > 10 else DOWN
        assert (await fail(breaker, account, DOWN, IN_A_ROW))[-1] is None
        account.answer = lambda: WELL
        turn.set()
        asked = len(account.asked) - len(account.probed)
        assert await waiting == WELL
        assert len(account.asked) - len(account.probed) == asked + 1
        assert account.asked[-1] - begun > 10

    run(main())


REFUSED = ConnectionFailed("no connection to nosuch.aha.io:443: Name or service not known")
REFUSED.advice = "check --account nosuch"


def test_an_account_that_was_never_reached_ends_the_run_at_once() -> None:
    """No second try, and the error names what to check; a connection that broke or timed out before reached nobody."""

    async def main() -> None:
        for before in (None, DOWN, TimedOut("no answer")):
            account, ended = Account(), list[Unreachable]()
            breaker = breaker_of(account, ended)
            if before is not None:
                await fail(breaker, account, before, 2)
            assert await fail(breaker, account, REFUSED, 1) == [None]
            (error,) = ended
            assert isinstance(error, Unreachable)
            assert str(error) == f"{REFUSED}; check --account nosuch"

    run(main())


@pytest.mark.parametrize("answer", [WELL, Answer(401), Answer(429), Answer(500), BadAnswer("a page")], ids=str)
def test_an_account_that_was_reached_may_come_back(answer: Answer | BadAnswer) -> None:
    """Any answer counts as reached: from then on, a refused connection is tried again."""

    async def main() -> None:
        account, ended = Account(), list[Stopped]()
        breaker = breaker_of(account, ended)
        await fail(breaker, account, answer, 1)
        assert await fail(breaker, account, REFUSED, 2) == [REFUSED, REFUSED]
        assert ended == []

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


BLOCK = Answer(403, message="(an HTML page)", is_foreign=True)


def test_a_firewall_s_page_opens_it_after_three_and_no_attempt_is_used_up() -> None:
    """From then on one probe at a time; when it is let through, so is everybody, as if nothing had been tried."""

    async def main() -> None:
        account, ended = Account(), list[Stopped]()
        breaker = breaker_of(account, ended)
        await fail(breaker, account, WELL, 1)
        begun = asyncio.get_running_loop().time()
        account.answer = lambda: BLOCK if asyncio.get_running_loop().time() - begun < 60 else WELL

        async def client() -> None:
            while True:
                if await breaker.send(lambda _: REQUEST) == WELL:
                    return

        async with asyncio.TaskGroup() as group:
            for number in range(40):
                group.create_task(client())
                if number < 3:
                    await asyncio.sleep(0.02)
        blocked = [at for at in account.asked if 0 < at - begun < 60]
        assert len(blocked) - len(account.probed) <= 3
        assert len(account.probed) <= 10
        assert (breaker.outages, ended, breaker.is_open) == (1, [], False)

    run(main())


@pytest.mark.parametrize(("outcome", "times"), [(BLOCK, 3), (Answer(403, message="no"), IN_A_ROW)], ids=str)
def test_a_block_that_does_not_end_stops_the_run_after_the_longest_wait(outcome: Answer, times: int) -> None:
    """Counted from the first refusal, and the message says that it is one."""

    async def main() -> None:
        account, ended = Account(), list[Stopped]()
        breaker = breaker_of(account, ended, max_wait=100.0)
        await fail(breaker, account, WELL, 1)
        begun = asyncio.get_running_loop().time()
        assert (await fail(breaker, account, outcome, times))[-1] is None
        while not ended:
            await breaker.send(lambda _: REQUEST)
        assert 100 <= asyncio.get_running_loop().time() - begun < 101
        assert "every request was refused for 2 min (403: " in str(ended[0])

    run(main())


def test_targets_that_are_forbidden_fail_alone_if_the_token_s_owner_is_not() -> None:
    """Aha!'s own 403 is the target's answer, however many there are: each 20th costs a probe."""

    async def main() -> None:
        account, ended = Account(), list[Stopped]()
        breaker = breaker_of(account, ended)
        account.me = lambda: WELL
        forbidden = Answer(403, message="no")
        assert await fail(breaker, account, forbidden, 2 * IN_A_ROW) == [forbidden] * 2 * IN_A_ROW
        assert (len(account.probed), breaker.outages, ended) == (2, 0, [])

    run(main())


def test_a_ban_that_is_renewed_for_ever_stops_the_run() -> None:
    """Each refusal is waited for like a 429, which opens nothing, until the longest wait is over."""

    async def main() -> None:
        account, ended = Account(), list[Stopped]()
        breaker = breaker_of(account, ended)
        ban = Answer(403, message="slow down", retry_after_s=8.0)
        while not ended:
            assert await fail(breaker, account, ban, 1) == [ban]
            assert not breaker.is_open
            await asyncio.sleep(8)
        assert 600 <= asyncio.get_running_loop().time() < 620
        assert "every request was refused for 10 min" in str(ended[0])

    run(main())


@pytest.mark.parametrize("tries_s", [2.0, 10.0, 45.0])
def test_the_longest_wait_counts_from_the_first_failure(tries_s: float) -> None:
    """Also where each try takes so long that twenty of them take far longer."""

    async def main() -> None:
        account, ended = Account(), list[Stopped]()
        breaker = breaker_of(account, ended, max_wait=120.0)
        send = account.send

        async def slow(choose: Callable[[float], Any], *, first: bool = False) -> Answer | None:
            await asyncio.sleep(tries_s)
            return await send(choose, first=first)

        account.send = slow  # type: ignore[method-assign]
        account.answer = lambda: TimedOut("no answer")
        while not ended:
            await breaker.send(lambda _: REQUEST)
        over_s = asyncio.get_running_loop().time() - tries_s
        assert 120 <= over_s <= 120 + 2 * tries_s + 1

    run(main())


def lasting(message: str) -> ConnectionFailed:
    """A failure that lasts until somebody acts."""
    failure = ConnectionFailed(message)
    failure.is_lasting, failure.advice = True, "check SSL_CERT_FILE"
    return failure


@pytest.mark.parametrize(
    "outcome", [Answer(302, message="redirected"), Answer(407), lasting("the certificate is not trusted")], ids=str
)
def test_in_mid_run_what_lasts_until_somebody_acts_is_waited_for_two_minutes(outcome: Answer | RequestFailed) -> None:
    """Not for the ten minutes of an outage: most likely nobody comes."""

    async def main() -> None:
        account, ended = Account(), list[Stopped]()
        breaker = breaker_of(account, ended)
        await fail(breaker, account, WELL, 1)
        begun = asyncio.get_running_loop().time()
        await fail(breaker, account, outcome, IN_A_ROW)
        while not ended:
            await breaker.send(lambda _: REQUEST)
        assert 120 <= asyncio.get_running_loop().time() - begun < 121
        assert "has not answered for 2 min" in str(ended[0])
        assert isinstance(outcome, Answer) or "check SSL_CERT_FILE" in str(ended[0])

    run(main())


def test_a_login_page_at_the_start_ends_the_run_and_a_later_one_does_not() -> None:
    """Once anything was well, a page is an outage."""

    async def main() -> None:
        page = BadAnswer("the answer (200) is not JSON: (an HTML page)")
        page.is_foreign = True
        account, ended = Account(), list[Stopped]()
        assert (await fail(breaker_of(account, ended), account, page, 3))[-1] is None
        assert isinstance(ended.pop(), Unreachable)
        breaker = breaker_of(account, ended)
        await fail(breaker, account, WELL, 1)
        assert await fail(breaker, account, page, IN_A_ROW - 1) == [page] * (IN_A_ROW - 1)
        assert ended == []

    run(main())
