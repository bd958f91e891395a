"""Counts requests as a server would, and refuses those over a limit.

Aha! documents its limits (300 a minute, 20 a second, per account) but not how it counts them, so the sandbox knows the
three ways that servers count. A request counts against all limits if all admit it, otherwise against none.
"""

from __future__ import annotations

import math
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from linker.errors import UsageError

_LIMIT = re.compile(r"([0-9]{1,9})\s*/\s*([0-9]{0,9}(?:\.[0-9]+)?)\s*s?")


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many requests in so many seconds.

    Example:
        >>> Limit.parse("300/60s")
        Limit(requests=300, seconds=60.0)
    """

    requests: int
    seconds: float

    def __post_init__(self) -> None:
        if self.requests < 1 or not 0 < self.seconds < math.inf:
            raise UsageError(f"limit {self}: at least 1 request in more than 0 seconds")

    def __str__(self) -> str:
        return f"{self.requests}/{self.seconds:g}s"

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Parse a limit such as `300/60s`.

        Raises:
            UsageError: the text is not a limit.
        """
        match = _LIMIT.fullmatch(text.strip())
        if match is None or match[2] == "":
            raise UsageError(f"limit {text!r} is not REQUESTS/SECONDSs; for example 300/60s")
        return cls(int(match[1]), float(match[2]))


class Verdict(NamedTuple):
    """The limiter's decision on one request, and what the answer's headers report."""

    wait_s: float
    """0 if the request is admitted, else seconds until it would be."""
    limit: int
    """The requests of the limit with the smallest share remaining, which the next two are about, too."""
    remaining: int
    frees_in_s: float
    """Seconds until `remaining` grows next; 0 if nothing is counted."""


class _Window(Protocol):
    """One limit, counted in one way. `now`, in seconds, never goes back."""

    limit: Limit

    def wait(self, now: float) -> float: ...
    def take(self, now: float) -> None: ...
    def remaining(self, now: float) -> int: ...
    def frees_in(self, now: float) -> float: ...


class _Sliding:
    """An exact log of arrivals: never more than N in the last W seconds."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._log: deque[float] = deque()

    def _expire(self, now: float) -> None:
        while self._log and self._log[0] + self.limit.seconds <= now:
            self._log.popleft()

    def wait(self, now: float) -> float:
        self._expire(now)
        if len(self._log) < self.limit.requests:
            return 0.0
        return self._log[0] + self.limit.seconds - now

    def take(self, now: float) -> None:
        self._log.append(now)

    def remaining(self, now: float) -> int:
        return self.limit.requests - len(self._log)

    def frees_in(self, now: float) -> float:
        return self._log[0] + self.limit.seconds - now if self._log else 0.0


class _Fixed:
    """A counter that expires W seconds after the first request that it counted."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._ends = -math.inf
        self._count = 0

    def wait(self, now: float) -> float:
        if now >= self._ends or self._count < self.limit.requests:
            return 0.0
        return self._ends - now

    def take(self, now: float) -> None:
        if now >= self._ends:
            self._ends = now + self.limit.seconds
            self._count = 0
        self._count += 1

    def remaining(self, now: float) -> int:
        return self.limit.requests - (self._count if now < self._ends else 0)

    def frees_in(self, now: float) -> float:
        return max(0.0, self._ends - now)


class _Bucket:
    """A bucket of N tokens that refills at N/W: a burst of N, then the even pace."""

    _ENOUGH: Final = 1 - 1e-9  # a whole token may lose this much by rounding

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._rate = limit.requests / limit.seconds
        self._tokens = float(limit.requests)
        self._at = -math.inf

    def _refill(self, now: float) -> None:
        if now > self._at:
            self._tokens = min(float(self.limit.requests), self._tokens + (now - self._at) * self._rate)
            self._at = now

    def wait(self, now: float) -> float:
        self._refill(now)
        return 0.0 if self._tokens >= self._ENOUGH else (1 - self._tokens) / self._rate

    def take(self, now: float) -> None:
        self._tokens = max(0.0, self._tokens - 1)

    def remaining(self, now: float) -> int:
        return int(self._tokens + 1e-9)

    def frees_in(self, now: float) -> float:
        missing = self.limit.requests - self._tokens
        return (1 - self._tokens % 1) / self._rate if missing > 0 else 0.0


WINDOWS: Final[dict[str, Callable[[Limit], _Window]]] = {"sliding": _Sliding, "fixed": _Fixed, "bucket": _Bucket}


class Limiter:
    """The account's limits together. `clock` is in seconds and never goes back."""

    def __init__(
        self, limits: Sequence[Limit], window: str = "sliding", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._windows = [WINDOWS[window](limit) for limit in limits]
        self._clock = clock

    def admit(self) -> Verdict | None:
        """Count a request that arrives now, or refuse it. None if there is no limit."""
        if not self._windows:
            return None
        now = self._clock()
        wait = 0.0
        for window in self._windows:
            wait = max(wait, window.wait(now))
        if wait <= 0:
            for window in self._windows:
                window.take(now)
        tightest = min(self._windows, key=lambda window: window.remaining(now) / window.limit.requests)
        return Verdict(wait, tightest.limit.requests, max(0, tightest.remaining(now)), max(0.0, tightest.frees_in(now)))
