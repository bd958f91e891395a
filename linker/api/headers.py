"""What an answer's headers say of the account's limit: how many requests, how many left, and until when.

`X-Ratelimit-Limit`, `-Remaining` and `-Reset` are documented on Aha!'s API page, the last in epoch seconds; seconds
from now are seen in the wild. How a server cuts its windows is not documented, so nothing here assumes it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

__all__ = ["LIMIT", "RateLimit", "rate_limit", "retry_after"]

LIMIT: Final = "X-Ratelimit-Limit"
"""The header without which there are none."""

_EPOCH_S: Final = 1e9
"""From here on a Reset is a moment (2001 and later), below it a time from now (up to 31 years)."""

_FURTHEST_S: Final = 86_400.0
"""A Reset that is further away is nonsense: no account is limited by more than the day."""

_SAME_CLOCK_S: Final = 2.0
"""Up to here the two clocks are taken for one: a Date has whole seconds, and took its way."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The limit that the account counts by, by its own word; `reset_s` in seconds from now."""

    limit: int
    remaining: int
    reset_s: float


def rate_limit(headers: Mapping[str, str], now: datetime) -> RateLimit | None:
    """What the three headers say; None where one is missing or is nonsense.

    A Reset that is a moment is taken against the server's own clock (`Date`) where that is not ours.

    Example:
        >>> rate_limit({"X-Ratelimit-Limit": "300", "X-Ratelimit-Remaining": "12", "X-Ratelimit-Reset": "30"}, now)
        RateLimit(limit=300, remaining=12, reset_s=30.0)
    """
    told = headers.get(LIMIT)
    if told is None:
        return None
    limit, remaining = _count(told), _count(headers.get("X-Ratelimit-Remaining", ""))
    try:
        reset_s = float(headers.get("X-Ratelimit-Reset", ""))
    except ValueError:
        return None
    if limit is None or remaining is None or not 1 <= limit >= remaining or not math.isfinite(reset_s):
        return None
    if reset_s >= _EPOCH_S:
        # a moment that has just passed is now: the answer took its way, and clocks differ a little
        reset_s -= _server_time(headers.get("Date"), now).timestamp()
        reset_s = 0.0 if -_SAME_CLOCK_S <= reset_s < 0 else reset_s
    return RateLimit(limit, remaining, reset_s) if 0 <= reset_s <= _FURTHEST_S else None


def _count(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


def _server_time(date: str | None, now: datetime) -> datetime:
    if date is None:
        return now
    try:
        told = parsedate_to_datetime(date)
    except (ValueError, TypeError, OverflowError):
        return now
    told = told if told.tzinfo is not None else told.replace(tzinfo=UTC)
    return now if abs((told - now).total_seconds()) <= _SAME_CLOCK_S else told


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds that a `Retry-After` asks to wait, from seconds or a date (RFC 9110, 10.2.3); None for nonsense."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            until = parsedate_to_datetime(value)
        except (ValueError, TypeError, OverflowError):
            return None
        if until.tzinfo is None:
            until = until.replace(tzinfo=UTC)
        seconds = (until - now).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None
