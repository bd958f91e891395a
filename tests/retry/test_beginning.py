"""Runs in which nothing was ever well: which replies end them at once, and what the message names."""

from __future__ import annotations

import pytest

from linker.api.answers import Answer, Reply
from linker.api.requests import ME, Request
from linker.errors import BadAnswer, ConnectionFailed, Stopped, TimedOut, Unreachable
from linker.model.target import Kind, Target
from linker.retry.beginning import Beginning

PAGE = BadAnswer("the answer (200) is not JSON: (an HTML page)")
PAGE.is_foreign = True
LATE = TimedOut("no connection within 10 s")
LATE.later_advice = "check --url"
REDIRECT = Answer(302, message="redirected to https://sso.example/login", is_foreign=True)
LOGIN = Answer(302, message="redirected to /login")
MISSING = Answer(404, message="(an HTML page)", is_foreign=True)


def ends_after(beginning: Beginning, *replies: Reply, every_s: float = 1.0) -> tuple[int, Stopped | Unreachable]:
    """How many of these replies it takes to end a run, and the error."""
    for number, reply in enumerate(replies, 1):
        if (why := beginning.end(reply, number * every_s)) is not None:
            return number, why
    raise AssertionError("the run goes on")


@pytest.mark.parametrize(
    ("reply", "number", "said"),
    [
        (REDIRECT, 1, "another server answered instead of the account (302: redirected to https://sso.example/login)"),
        (Answer(407, message="(an HTML page)"), 1, "check HTTPS_PROXY and the user and password in it"),
        (LOGIN, 3, "another server answered instead of the account (302: redirected to /login)"),
        (PAGE, 3, "check the account's name (--account or --url)"),
        (MISSING, 3, "check the account's name (--account or --url)"),
        (LATE, 21, "no connection within 10 s; check --url"),
    ],
    ids=str,
)
def test_what_no_waiting_mends_ends_the_run(reply: Reply, number: int, said: str) -> None:
    """A redirect elsewhere and a 407 at once, a page at its third, a connection that is never made after a while."""
    count, why = ends_after(Beginning(), *[reply] * 30)
    assert count == number
    assert isinstance(why, Unreachable)
    assert said in str(why)


@pytest.mark.parametrize("reply", [REDIRECT, PAGE, LATE], ids=str)
def test_a_run_that_may_have_written_is_stopped_and_can_be_continued(reply: Reply) -> None:
    """A PUT without a read before it has left, and nobody can tell what became of it: its results stay."""
    beginning = Beginning()
    beginning.leaves(ME)
    beginning.leaves(Request(Target(Kind.FEATURE, "PRJ1-1"), {"customers": frozenset({"1"})}))
    _, why = ends_after(beginning, *[reply] * 30)
    assert isinstance(why, Stopped)


def test_what_may_pass_ends_nothing() -> None:
    """Errors of the account, bans, firewalls' pages, one page among others, and connections after any answer."""
    ban = Answer(302, is_foreign=True, retry_after_s=8.0)
    block = Answer(403, is_foreign=True)
    beginning = Beginning()
    replies: list[Reply] = [Answer(503), PAGE, PAGE, Answer(429), PAGE, ban, block, MISSING, *[LATE] * 30]
    for number, reply in enumerate(replies):
        assert beginning.end(reply, 10.0 * number) is None
    fresh = Beginning()
    assert [fresh.end(reply, at) for at, reply in enumerate([ConnectionFailed("it broke")] * 100)] == [None] * 100
