"""The rate limit in an answer's headers: how many requests it allows, how many remain, and when it resets.

Aha!'s API page documents `X-Ratelimit-Limit`, `-Remaining` and `-Reset`, the last in epoch seconds. Other servers, and
gateways in front of the account, write the Reset in other forms (`moments.py`), the Limit with its window (`40;w=10`),
or the IETF's headers (draft-ietf-httpapi-ratelimit-headers), which had three forms:

    RateLimit-Limit: 100        RateLimit-Remaining: 50       RateLimit-Reset: 30      (up to draft 06)
    RateLimit: limit=100, remaining=50, reset=30              RateLimit-Policy: 100;w=60     (draft 07)
    RateLimit: "default";r=50;t=30                            RateLimit-Policy: "default";q=100;w=60

How Aha! cuts its windows is not documented, so nothing here assumes it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from linker.api.moments import http_date, moment, period_s, seconds_until

_PREFIXES: Final = ("X-Ratelimit-", "RateLimit-", "X-Rate-Limit-")
_NAMES: Final = tuple((f"{prefix}Limit", f"{prefix}Remaining", f"{prefix}Reset") for prefix in _PREFIXES)
_STRUCTURED: Final = "RateLimit"
_POLICY: Final = "RateLimit-Policy"
_REMAINING: Final = (*(remaining for _, remaining, _ in _NAMES), _STRUCTURED)
_WAITS: Final = ("retry_after", "Retry-After")

_FURTHEST_S: Final = 86_400.0
"""A Reset that is further away is invalid: no account has a limit by more than the day."""

_UNSURE_S: Final = 60.0
"""A Reset by a clock that no `Date` tells is waited for no longer than this at a time."""

_LONGEST: Final = 1000
"""Characters of a header that are looked at."""

_COUNT: Final = re.compile(r"\d{1,9}|0+\.0+", re.ASCII)
_PARAMETER: Final = re.compile(r';\s*([a-z]+)\s*=\s*"?(\d{1,9}(?:\.\d{1,9})?)', re.ASCII | re.IGNORECASE)
_WORD: Final = re.compile(r"(limit|remaining|reset)\s*=\s*(\d{1,9})", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The limit that the account reports; `reset_s` in seconds from now."""

    limit: int
    remaining: int
    reset_s: float


@dataclass(frozen=True, slots=True)
class LimitReport:
    """What the account reports about a limit, as far as it can be understood: None is what cannot.

    `reset_s` is in seconds from now, `window_s` the seconds for which the limit counts.
    """

    limit: int | None
    remaining: int
    reset_s: float | None = None
    window_s: float | None = None


def reports_limit(headers: Mapping[str, str]) -> bool:
    """Return whether an answer may report how many requests remain."""
    for name in _REMAINING:  # noqa: SIM110  for each answer, so without a generator
        if name in headers:
            return True
    return False


def limit_report(headers: Mapping[str, str], now: datetime) -> LimitReport | None:
    """Return what the headers report about the limit; None if they do not say how many requests remain.

    A Reset that is a moment is compared with the server's clock (`Date`) if that differs from ours.

    Example:
        >>> limit_report({"X-Ratelimit-Limit": "40;w=10", "X-Ratelimit-Remaining": "0"}, now)
        LimitReport(limit=40, remaining=0, reset_s=None, window_s=10.0)
    """
    for names in _NAMES:
        remaining_text = _text(headers, names[1])
        counts = [count for item in remaining_text.split(",") if (count := _count(item)) is not None]
        if not counts:
            continue
        limit_text, reset_text = _text(headers, names[0]), _text(headers, names[2])
        limit, window_s = _quota(limit_text)
        if window_s is None and limit is not None and _POLICY in headers:
            window_s = next((w for _, q, w in _policies(_text(headers, _POLICY)) if q == limit and w), None)
        return _checked(limit, min(counts), _reset_s(reset_text, headers, now), window_s)
    return _structured(_text(headers, _STRUCTURED), _text(headers, _POLICY))


def rate_limit(headers: Mapping[str, str], now: datetime) -> RateLimit | None:
    """Return the limit that the headers report; None if its number, what remains or its Reset is missing or invalid.

    Example:
        >>> rate_limit({"X-Ratelimit-Limit": "300", "X-Ratelimit-Remaining": "12", "X-Ratelimit-Reset": "30"}, now)
        RateLimit(limit=300, remaining=12, reset_s=30.0)
    """
    report = limit_report(headers, now)
    if report is None or report.limit is None or report.reset_s is None:
        return None
    return RateLimit(report.limit, report.remaining, report.reset_s)


def asked_wait_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that an answer asks to wait; None if no header of it says so.

    A date is compared with the answer's own `Date`: both are of the server's clock. Public clients of Aha! found a
    header `retry_after`, with an underscore, beside or instead of `Retry-After`, and read it first.
    """
    values = [(headers.get(name)) for name in _WAITS]
    if values == [None, None]:
        return None
    server = http_date(headers.get("Date", "")) or now
    waits = (retry_after(value, server) for value in values)
    return next((seconds for seconds in waits if seconds is not None), None)


def refusal_wait_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that a 429 asks to wait, by `Retry-After` or else until its Reset; None if it has neither.

    A Reset that is a moment of a clock that nobody knows is waited for no longer than a window, or a minute.
    """
    if (asked_s := asked_wait_s(headers, now)) is not None:
        return asked_s
    for _, _, name in _NAMES:
        text = _text(headers, name)
        if (reset_s := _reset_s(text, headers, now)) is not None:
            if period_s(text) is not None or http_date(headers.get("Date", "")) is not None:
                return reset_s
            report = limit_report(headers, now)
            return min(reset_s, (report and report.window_s) or _UNSURE_S)
    report = limit_report(headers, now)
    return None if report is None else report.reset_s


def retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a `Retry-After` asks to wait, given as seconds or a date (RFC 9110, 10.2.3).

    Some servers write an epoch number or ISO 8601. None if it is invalid.
    """
    if value is None:
        return None
    at = moment(value)
    until_s = None if at is None else (at - now).total_seconds()
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan if until_s is None else until_s
    else:
        if until_s is not None and abs(until_s) <= _FURTHEST_S:
            seconds = until_s  # as a number of seconds it would be 31 years and more
    return max(0.0, seconds) if math.isfinite(seconds) else None


def asks_to_wait(status: int, headers: Mapping[str, str]) -> bool:
    """Return whether an answer asks the whole run to wait, by its status and headers.

    That is a 429, or "go away for a while" by a firewall or proxy: a 403, or a page of any status, with `Retry-After`.
    """
    if status == 429:
        return True
    if "Retry-After" not in headers and "retry_after" not in headers:
        return False
    return status == 403 or "html" in headers.get("Content-Type", "").lower()


def _structured(text: str, policy: str) -> LimitReport | None:
    """Read `RateLimit`: of several limits the one that is used up for longest, or of which least remains."""
    if words := {name.lower(): int(number) for name, number in _WORD.findall(text)}:  # draft 07
        limit = words.get("limit")
        window_s = next((w for _, q, w in _policies(policy) if limit is None or q == limit), None)
        reset_s = float(words["reset"]) if words.get("reset", math.inf) <= _FURTHEST_S else None
        return _checked(limit, words["remaining"], reset_s, window_s) if "remaining" in words else None
    policies = {name: (quota, window_s) for name, quota, window_s in _policies(policy)}
    reports = []
    for item in text.split(","):
        parameters = {name.lower(): float(number) for name, number in _PARAMETER.findall(item)}
        if "r" not in parameters:
            continue
        limit, window_s = policies.get(item.partition(";")[0].strip(), (None, None))
        reset_s = parameters.get("t")
        reset_s = reset_s if reset_s is None or reset_s <= _FURTHEST_S else None
        report = _checked(limit, int(parameters["r"]), reset_s, window_s)
        if report is not None:
            reports.append(report)
    return min(reports, key=lambda report: (report.remaining, -(report.reset_s or 0.0)), default=None)


def _policies(text: str) -> Iterator[tuple[str, int | None, float | None]]:
    """Yield the name, the quota and the window in seconds of each limit in `RateLimit-Policy`."""
    for item in text.split(","):
        name = item.partition(";")[0].strip()
        parameters = {key.lower(): float(number) for key, number in _PARAMETER.findall(item)}
        quota = parameters.get("q", _count(name))
        yield name, None if quota is None else int(quota), parameters.get("w") or parameters.get("window")


def _quota(text: str) -> tuple[int | None, float | None]:
    """Read `40`, `40;w=10` or `10, 10;window=1;burst=20`: the number, and its window in seconds."""
    if _COUNT.fullmatch(text):
        return int(float(text)), None
    items = list(_policies(text))
    limit = items[0][1]
    return limit, next((window_s for _, quota, window_s in items if quota == limit and window_s), None)


def _checked(limit: int | None, remaining: int, reset_s: float | None, window_s: float | None) -> LimitReport | None:
    """A limit of none, or one of which more remains than it has, cannot be meant."""
    return LimitReport(limit, remaining, reset_s, window_s) if limit is None or 1 <= limit >= remaining else None


def _reset_s(text: str, headers: Mapping[str, str], now: datetime) -> float | None:
    seconds = seconds_until(text, headers.get("Date"), now) if text else None
    return seconds if seconds is not None and seconds <= _FURTHEST_S else None


def _text(headers: Mapping[str, str], name: str) -> str:
    """The value of a header, cut off where no such header is as long."""
    return headers.get(name, "")[:_LONGEST]


def _count(text: str) -> int | None:
    text = text.partition(";")[0].strip()
    return int(float(text)) if _COUNT.fullmatch(text) else None
