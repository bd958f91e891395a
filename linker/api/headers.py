"""The rate limit in an answer's headers: how many requests it allows, how many remain, and when it resets.

Aha!'s API page documents `X-Ratelimit-Limit`, `-Remaining` and `-Reset`, the last in epoch seconds; other servers send
seconds from now. How Aha! cuts its windows is not documented, so nothing here assumes it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

LIMIT: Final = "X-Ratelimit-Limit"
"""An answer without this header reports no limit."""

_WAITS: Final = ("retry_after", "Retry-After")

_EPOCH_S: Final = 1e9
"""From here on a Reset is a moment (2001 and later), below it is seconds from now (up to 31 years)."""

_FURTHEST_S: Final = 86_400.0
"""A Reset that is further away is invalid: no account has a limit by more than the day."""

_SAME_CLOCK_S: Final = 2.0
"""Clocks that differ by no more count as the same: a Date has whole seconds, and answers take time to arrive."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The limit that the account reports; `reset_s` in seconds from now."""

    limit: int
    remaining: int
    reset_s: float


def rate_limit(headers: Mapping[str, str], now: datetime) -> RateLimit | None:
    """The limit in the three headers; None if one is missing or invalid.

    A Reset that is a moment is compared with the server's clock (`Date`) if that differs from ours.

    Example:
        >>> rate_limit({"X-Ratelimit-Limit": "300", "X-Ratelimit-Remaining": "12", "X-Ratelimit-Reset": "30"}, now)
        RateLimit(limit=300, remaining=12, reset_s=30.0)
    """
    limit, remaining = _count(headers.get(LIMIT, "")), _count(headers.get("X-Ratelimit-Remaining", ""))
    try:
        reset_s = float(headers.get("X-Ratelimit-Reset", ""))
    except ValueError:
        return None
    if limit is None or remaining is None or not 1 <= limit >= remaining or not math.isfinite(reset_s):
        return None
    if reset_s >= _EPOCH_S:
        # a moment that has just passed is now: the answer took time to arrive, and clocks differ a little
        reset_s -= _server_time(headers.get("Date"), now).timestamp()
        reset_s = 0.0 if -_SAME_CLOCK_S <= reset_s < 0 else reset_s
    return RateLimit(limit, remaining, reset_s) if 0 <= reset_s <= _FURTHEST_S else None


def _count(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


def _server_time(date: str | None, now: datetime) -> datetime:
    server = _parsed_date(date or "")
    return now if server is None or abs((server - now).total_seconds()) <= _SAME_CLOCK_S else server


def _parsed_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def asked_wait_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that an answer asks to wait; None if no header of it says so.

    Public clients of Aha! found a header `retry_after`, with an underscore, beside or instead of `Retry-After`, and
    read it first.
    """
    waits = (retry_after(headers.get(name), now) for name in _WAITS)
    return next((seconds for seconds in waits if seconds is not None), None)


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds that a `Retry-After` asks to wait, given as seconds or a date (RFC 9110, 10.2.3); None if invalid."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        date = _parsed_date(value)
        seconds = math.nan if date is None else (date - now).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None
