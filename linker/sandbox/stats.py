"""Counts what a sandbox has seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from linker.model.target import Kind


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it arrived (`at` in monotonic seconds) and the status of its answer; 0 if it got none."""

    at: float
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    status: int


@dataclass(slots=True)
class Stats:
    """Counters, for tests and for the end of a rehearsal."""

    methods: Counter[str] = field(default_factory=Counter)
    """Requests by method, whether or not they were done."""

    statuses: Counter[int] = field(default_factory=Counter)
    """Answers by status; 0 counts requests without an answer."""

    faults: Counter[int | str] = field(default_factory=Counter)
    """Faults, by what went wrong."""

    lists: Counter[Kind] = field(default_factory=Counter)
    """Pages of lists, by the kind that they list."""

    reads: Counter[Kind] = field(default_factory=Counter)
    """GETs of single resources, by kind."""

    writes: Counter[Kind] = field(default_factory=Counter)
    """PUTs, by kind."""

    created: Counter[str] = field(default_factory=Counter)
    """Records that were created, by custom table."""

    too_early: int = 0
    """Requests that arrived before the `Retry-After` of an earlier answer had passed."""

    most_at_once: int = 0
    """The most requests at work at one moment."""

    most_puts_at_once_on_a_target: int = 0
    """The most PUTs at work at one moment on one target, by whichever name. More than 1 is a race."""

    _at_once: int = 0
    _puts: Counter[object] = field(default_factory=Counter)

    @property
    def requests(self) -> int:
        """All requests."""
        return self.methods.total()

    @property
    def refused(self) -> int:
        """Requests answered 429: over the limit, or by a fault."""
        return self.statuses[429]

    def count(self, method: str, kind: Kind | None, listed: bool) -> None:
        """Count a request that is done, by what it asks for."""
        if kind is not None and method in ("GET", "PUT"):
            counter = self.lists if listed else self.reads if method == "GET" else self.writes
            counter[kind] += 1

    @contextmanager
    def at_work(self, put_on: object | None) -> Iterator[None]:
        """Count one request, and the target of a PUT, as at work within this context."""
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        if put_on is not None:
            self._puts[put_on] += 1
            self.most_puts_at_once_on_a_target = max(self.most_puts_at_once_on_a_target, self._puts[put_on])
        try:
            yield
        finally:
            self._at_once -= 1
            if put_on is not None:
                self._puts[put_on] -= 1
                if not self._puts[put_on]:
                    del self._puts[put_on]
