"""What the account says of its limit and of waiting: three headers and two, all their forms, and nonsense."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from support.raw_server import Wire, opened, page, said

from linker.api.headers import RateLimit, asked_wait_s, rate_limit
from linker.api.requests import Request
from linker.model.target import Kind, Target

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())


def limit_of(limit: str, remaining: str, reset: str, **others: str) -> RateLimit | None:
    """What headers of these values say, `NOW`."""
    named = {"x-ratelimit-limit": limit, "X-RATELIMIT-REMAINING": remaining, "X-Ratelimit-Reset": reset}
    return rate_limit(CIMultiDict({**named, **others}), NOW)


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        (str(EPOCH + 30), 30.0),
        (str(EPOCH + 30.25), 30.25),
        (str(EPOCH), 0.0),
        (str(EPOCH - 1), 0.0),  # whole seconds, and the answer's way
        ("30", 30.0),
        ("0.5", 0.5),
        ("0", 0.0),
        (" 30 ", 30.0),
    ],
)
def test_a_reset_is_a_moment_or_a_time_from_now(reset: str, seconds: float) -> None:
    """Epoch seconds, as Aha! documents it, or seconds from now: they are told apart by size."""
    reported = limit_of("300", "12", reset)
    assert reported == RateLimit(300, 12, seconds)


@pytest.mark.parametrize("off_s", [-3600, -5, 5, 3600])
def test_where_the_server_s_clock_is_not_ours_its_own_counts(off_s: int) -> None:
    """A moment means the server's clock, which `Date` tells."""
    date = format_datetime(NOW + timedelta(seconds=off_s), usegmt=True)
    assert limit_of("300", "12", str(EPOCH + off_s + 30), Date=date) == RateLimit(300, 12, 30.0)


@pytest.mark.parametrize("date", ["today", "", "Tue, 99 Nov 2026 12:00:00 GMT", format_datetime(NOW, usegmt=True)])
def test_a_date_that_says_nothing_changes_nothing(date: str) -> None:
    """Then our own clock will do."""
    assert limit_of("300", "12", str(EPOCH + 30), Date=date) == RateLimit(300, 12, 30.0)


@pytest.mark.parametrize(
    ("limit", "remaining", "reset"),
    [
        ("many", "12", "30"),
        ("0", "0", "30"),
        ("-300", "12", "30"),
        ("300", "301", "30"),
        ("300", "-1", "30"),
        ("300", "", "30"),
        ("300", "1.5", "30"),
        ("300", "12", ""),
        ("300", "12", "soon"),
        ("300", "12", "nan"),
        ("300", "12", "inf"),
        ("300", "12", "1e400"),
        ("300", "12", "-30"),
        ("300", "12", str(EPOCH - 60)),
        ("٣٠٠", "12", "30"),
        ("9" * 5000, "12", "30"),
    ],
)
def test_nonsense_says_nothing(limit: str, remaining: str, reset: str) -> None:
    """A word that cannot be meant is as none."""
    assert limit_of(limit, remaining, reset) is None


@given(
    st.dictionaries(
        st.sampled_from(["X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset", "Date"]), st.text()
    )
)
def test_whatever_the_headers_hold_it_is_a_limit_or_nothing(headers: dict[str, str]) -> None:
    """Never an error, and never a limit that allows nothing or ends before it starts."""
    reported = rate_limit(headers, NOW)
    assert reported is None or (1 <= reported.limit >= reported.remaining >= 0 and reported.reset_s >= 0)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry_after": "7"}, 7.0),
        ({"Retry_After": "2.5"}, 2.5),
        ({"Retry-After": "2.5"}, 2.5),
        ({"Retry-After": "9", "retry_after": "3"}, 3.0),
        ({"Retry-After": "9", "retry_after": "0"}, 0.0),
        ({"Retry-After": "9", "retry_after": "soon"}, 9.0),
        ({"Retry-After": "soon", "retry_after": ""}, None),
        ({"retry_after": format_datetime(NOW + timedelta(seconds=30), usegmt=True)}, 30.0),
    ],
)
def test_the_header_with_an_underscore_is_read_first(headers: dict[str, str], seconds: float | None) -> None:
    """A wait in `retry_after` counts before one in `Retry-After`; a value that is neither seconds nor a date, never."""
    assert asked_wait_s(CIMultiDict(headers), NOW) == seconds


@pytest.mark.parametrize("header", ["retry_after: 1.5", "Retry-After: 1.5", "RETRY_AFTER: 1.5"])
async def test_a_wait_arrives_over_the_wire_under_either_name(header: str) -> None:
    """The HTTP client keeps a header whose name has an underscore."""
    refusal = page("429 Too Many Requests", b"{}", header)
    async with Wire(said(refusal)) as wire, opened(wire.url) as pool:
        answer = await pool.send(lambda _: Request(Target(Kind.FEATURE, "PRJ1-1")))
    assert answer is not None
    assert (answer.status, answer.retry_after_s) == (429, 1.5)
