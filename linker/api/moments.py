"""Moments and periods in headers: HTTP dates, ISO 8601, epoch numbers of any unit, and seconds from now.

A moment is of the server's clock. It is compared with the answer's own `Date`, because clocks differ by hours.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final

_EPOCH_S: Final = 1e9
"""From here on a number is a moment (2001 and later), below it is seconds from now (up to 31 years)."""

_UNITS: Final = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
"""From so much on, an epoch number counts in so many parts of a second: as seconds it would be after the year 5000."""

_SAME_CLOCK_S: Final = 2.0
"""Clocks that differ by no more count as the same: a Date has whole seconds, and answers take time to arrive."""

_LONGEST: Final = 100
"""Characters. No moment is longer."""

_PERIOD: Final = re.compile(r"(?:\d{1,9}(?:\.\d{1,9})?(?:ms|us|µs|s|m|h|d))+")
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|s|m|h|d)")
_PART_S: Final = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def period_s(text: str) -> float | None:
    """Return the seconds of a period from now, `30`, `0.5` or `1m30s`; None if the text is none, or a moment."""
    text = text.strip()
    if (number := _number(text)) is not None:
        return number if abs(number) < _EPOCH_S else None
    if len(text) <= _LONGEST and _PERIOD.fullmatch(text):
        return sum(float(number) * _PART_S[unit] for number, unit in _PART.findall(text))
    return None


def moment(text: str) -> datetime | None:
    """Return the moment of an epoch number (s, ms, µs or ns), of ISO 8601 or of an HTTP date; None if it is none."""
    text = text.strip()
    if len(text) > _LONGEST:
        return None
    if (number := _number(text)) is None:
        return iso_date(text) or http_date(text)
    if number < _EPOCH_S:
        return None
    parts = next((parts for least, parts in _UNITS if number >= least), 1.0)
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=number / parts)
    except OverflowError:
        return None


@lru_cache(maxsize=8)  # all answers of a second have one date
def http_date(text: str) -> datetime | None:
    """Return the moment of a date in one of HTTP's three forms (RFC 9110, 5.6.7); None if it is none."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def iso_date(text: str) -> datetime | None:
    """Return the moment of a date in ISO 8601, of UTC if it names no zone; None if it is none."""
    try:
        date = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def server_time(date: str | None, now: datetime) -> datetime:
    """Return what the server's clock shows now, by an answer's `Date`: our own time if the two are the same."""
    server = http_date(date or "")
    return now if server is None or abs((server - now).total_seconds()) <= _SAME_CLOCK_S else server


def seconds_until(text: str, date: str | None, now: datetime) -> float | None:
    """Return the seconds until a period is over or a moment has come; None if the text is neither, or lies in the past.

    A moment that has just passed is now: the answer took time to arrive, and clocks differ a little.

    Args:
        date: the `Date` of the same answer.
    """
    seconds = period_s(text)
    if seconds is None and (at := moment(text)) is not None:
        seconds = (at - server_time(date, now)).total_seconds()
        seconds = 0.0 if -_SAME_CLOCK_S <= seconds < 0 else seconds
    return seconds if seconds is not None and seconds >= 0 else None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
