"""What the account says of its limit and of waiting: three headers and two, all their forms, and nonsense."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict
from support.raw_server import Wire, opened, page, said

from linker.api.headers import LimitReport, RateLimit, asked_wait_s, limit_report, rate_limit, refusal_wait_s
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


FORMS: dict[str, Callable[[datetime], str]] = {
    "seconds": lambda at: f"{at.timestamp():.0f}",
    "milliseconds": lambda at: f"{at.timestamp() * 1e3:.0f}",
    "microseconds": lambda at: f"{at.timestamp() * 1e6:.0f}",
    "nanoseconds": lambda at: f"{at.timestamp():.0f}000000000",
    "ISO 8601": lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "ISO 8601 with a zone": lambda at: at.astimezone(timezone(timedelta(hours=2))).isoformat(),
    "HTTP date": lambda at: format_datetime(at, usegmt=True),
    "RFC 850": lambda at: at.strftime("%A, %d-%b-%y %H:%M:%S GMT"),
    "asctime": lambda at: at.strftime("%a %b %d %H:%M:%S %Y"),
}


@given(st.integers(0, 80_000), st.integers(-4000, 4000), st.booleans())
def test_all_forms_of_a_moment_give_the_same_seconds(seconds: int, off_s: int, has_date: bool) -> None:
    """Whatever unit or calendar a Reset is written in, and whatever the server's clock shows, as its `Date` tells."""
    off_s *= has_date
    server = NOW + timedelta(seconds=off_s)
    date = {"Date": format_datetime(server, usegmt=True)} if has_date else {}
    for form in FORMS.values():
        report = limit_of("300", "12", form(server + timedelta(seconds=seconds)), **date)
        assert report is not None
        assert report.reset_s == pytest.approx(seconds, abs=2.0 if abs(off_s) <= 2 else 0.001)


@pytest.mark.parametrize(("reset", "seconds"), [("1s", 1.0), ("6m0s", 360.0), ("250ms", 0.25), ("1.5h", 5400.0)])
def test_a_reset_may_be_a_period_with_units(reset: str, seconds: float) -> None:
    """As gateways written in Go and some vendors of models write it."""
    assert limit_of("300", "12", reset) == RateLimit(300, 12, seconds)


@pytest.mark.parametrize(
    ("headers", "report"),
    [
        ({"X-Ratelimit-Limit": "40;w=10", "X-Ratelimit-Remaining": "0"}, LimitReport(40, 0, None, 10.0)),
        (
            {"X-Ratelimit-Limit": "many", "X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "7"},
            LimitReport(None, 0, 7.0),
        ),
        ({"X-Ratelimit-Remaining": "0"}, LimitReport(None, 0)),
        ({"X-Ratelimit-Remaining": "5, 0"}, LimitReport(None, 0)),
        ({"X-Ratelimit-Limit": "0", "X-Ratelimit-Remaining": "0"}, None),
        ({"X-Rate-Limit-Limit": "9", "X-Rate-Limit-Remaining": "1", "X-Rate-Limit-Reset": "3"}, LimitReport(9, 1, 3.0)),
        (
            {"RateLimit-Limit": "10, 10;window=1;burst=20", "RateLimit-Remaining": "3", "RateLimit-Reset": "1"},
            LimitReport(10, 3, 1.0, 1.0),
        ),
        (
            {"RateLimit-Limit": "10", "RateLimit-Remaining": "3", "RateLimit-Policy": "10;w=1, 1000;w=3600"},
            LimitReport(10, 3, None, 1.0),
        ),
        (
            {"RateLimit": "limit=100, remaining=50, reset=30", "RateLimit-Policy": "100;w=60"},
            LimitReport(100, 50, 30.0, 60.0),
        ),
        (
            {"RateLimit": '"default";r=50;t=30', "RateLimit-Policy": '"default";q=100;w=60'},
            LimitReport(100, 50, 30.0, 60.0),
        ),
        (
            {"RateLimit": '"day";r=9;t=99, "second";r=0;t=1', "RateLimit-Policy": '"day";q=10;w=99,"second";q=2;w=1'},
            LimitReport(2, 0, 1.0, 1.0),
        ),
        ({"RateLimit": '"default";r=50'}, LimitReport(None, 50)),
        ({"RateLimit": '"default";t=50'}, None),
        ({"RateLimit": '"default";r=50;t=999999'}, LimitReport(None, 50)),
        ({"RateLimit-Policy": '"default";q=100;w=60'}, None),
    ],
)
def test_what_remains_is_read_in_every_form_of_the_headers(headers: dict[str, str], report: LimitReport | None) -> None:
    """Aha!'s own headers, those of gateways, and the three forms of the IETF's; a limit of none is not one."""
    assert limit_report(CIMultiDict(headers), NOW) == report


NAMES = [f"{prefix}{name}" for prefix in ("X-Ratelimit-", "RateLimit-") for name in ("Limit", "Remaining", "Reset")]
VALUES = st.text() | st.text('0123456789;=,.wrtq" -+eTZ:', max_size=40) | st.sampled_from(["0", "40", "1e18", "5h"])


@given(st.dictionaries(st.sampled_from([*NAMES, "RateLimit", "RateLimit-Policy", "Retry-After", "Date"]), VALUES))
@example({"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "9999-12-31T23:59:59-23:59", "Date": "1 Jan 1 0:0 +2359"})
def test_whatever_the_headers_hold_it_is_a_limit_or_nothing(headers: dict[str, str]) -> None:
    """Never an error, never a limit that allows nothing or ends before it starts, and none of more than a day."""
    reported = rate_limit(headers, NOW)
    assert reported is None or (1 <= reported.limit >= reported.remaining >= 0 and 0 <= reported.reset_s <= 86_400)
    report = limit_report(headers, NOW)
    assert report is None or (report.remaining >= 0 and 0 <= (report.reset_s or 0.0) <= 86_400)
    wait_s = refusal_wait_s(headers, NOW)
    assert wait_s is None or wait_s >= 0
    if "Retry-After" not in headers:
        assert wait_s is None or wait_s <= 86_400


@pytest.mark.parametrize("off_s", [0, 20, 90, 3600, -90, -3600])
@pytest.mark.parametrize("name", ["Retry-After", "retry_after"])
@pytest.mark.parametrize("form", ["HTTP date", "RFC 850", "asctime", "ISO 8601", "seconds"])
def test_a_date_to_wait_for_is_of_the_clock_of_the_answer(off_s: int, name: str, form: str) -> None:
    """The seconds between the answer's `Date` and the moment, whatever our own clock shows."""
    server = NOW + timedelta(seconds=off_s)
    headers = {"Date": format_datetime(server, usegmt=True), name: FORMS[form](server + timedelta(seconds=2))}
    assert asked_wait_s(CIMultiDict(headers), NOW) == 2.0


def test_a_reset_of_a_clock_that_nobody_knows_is_waited_for_a_minute_at_most() -> None:
    """A server whose clock is ten minutes ahead, and that sends no `Date`, must not end the run."""
    headers = {"X-Ratelimit-Limit": "40", "X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": str(EPOCH + 605)}
    assert refusal_wait_s(CIMultiDict(headers), NOW) == 60.0
    assert refusal_wait_s(CIMultiDict({**headers, "X-Ratelimit-Limit": "40;w=10"}), NOW) == 10.0
    assert refusal_wait_s(CIMultiDict({**headers, "X-Ratelimit-Reset": "605"}), NOW) == 605.0
    date = format_datetime(NOW + timedelta(minutes=10), usegmt=True)
    assert refusal_wait_s(CIMultiDict({**headers, "Date": date}), NOW) == 5.0


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
