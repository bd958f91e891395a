"""The pace at which turns come while permits are free.

The pace does not keep the rates: the permits do. It only spreads what may leave, so its intervals are a matter of taste
and of other programs, and a shorter one can never let the account count too many.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from linker.settings import PACE_ALONE, Rate

_SHORTEST_S: Final = 0.001
"""The event loop cannot keep a shorter pace, and it would cost two wake-ups per request."""

_LONGEST_SPREAD: Final = 0.01
"""Spreading delays a long line of requests once, by at most this part of the time of the longest rate."""

_MADE_UP: Final = 0.25
"""Turns that come late make up for at most this part of the time of the shortest rate."""


class Pace:
    """When the next turn may come: one interval of the shortest rate after the last, or of the slowest if `even`.

    As long as no other program has been seen at the account, the interval is shorter, a turn that comes late does not
    delay those behind it, and a line that is longer than the shortest rate allows is spread over next to no time.
    """

    __slots__ = (
        "_alone_s",
        "_due",
        "_hurried_s",
        "_is_even",
        "_long_line",
        "_most_late_s",
        "_saw_others",
        "interval_s",
        "next_at",
    )

    def __init__(self, rates: Sequence[Rate], *, even: bool) -> None:
        self.interval_s = _interval_s(rates, even=even)
        """Seconds between two turns next to others; 0 if turns are not spread."""
        self.next_at = 0.0
        """Loop time at which the next turn may come."""
        self._due = 0.0
        """When it would come if no turn were late."""
        self._is_even = even
        self._saw_others = False
        self._alone_s = self._hurried_s = self.interval_s * PACE_ALONE
        self._long_line, self._most_late_s = 0, 0.0
        if rates:
            shortest = _shortest(rates)
            spread_s = _LONGEST_SPREAD * max(rate.seconds for rate in rates)
            self._hurried_s = min(self._alone_s, spread_s / shortest.requests)
            self._long_line, self._most_late_s = shortest.requests, _MADE_UP * shortest.seconds

    def begin_line(self, now: float) -> None:
        """Forget turns that nobody waited for: only a turn that is waited for can be late."""
        self._due = max(self._due, now)

    def keep(self, now: float, waiting: int, *, has_others: bool, has_budget: bool) -> None:
        """A turn has come.

        Args:
            waiting: how many wait for one, including its own request if that has waited.
            has_others: whether other programs use the account.
            has_budget: whether the account allows fewer requests than the rates: many at once would hide how many.
        """
        if self._is_even or has_others:
            self._due, self._saw_others = now + self.interval_s, True
        elif has_budget or self._saw_others or not waiting:
            self._due = now + self._alone_s
        else:
            due = max(self._due, now - self._most_late_s)
            self._due = due + (self._hurried_s if waiting > self._long_line else self._alone_s)
        # never two at one moment: the account's reports could not be told apart by when their requests left
        self.next_at = max(self._due, now + _SHORTEST_S)


def _interval_s(rates: Sequence[Rate], *, even: bool) -> float:
    """Seconds between two turns by the shortest rate, or by the slowest; 0 if the event loop cannot keep it."""
    if not rates:
        return 0.0
    if even:
        interval_s = max(rate.seconds / rate.requests for rate in rates)
    else:
        shortest = _shortest(rates)
        interval_s = shortest.seconds / shortest.requests
    return interval_s if interval_s >= _SHORTEST_S else 0.0


def _shortest(rates: Sequence[Rate]) -> Rate:
    return min(rates, key=lambda rate: (rate.seconds, rate.requests))
