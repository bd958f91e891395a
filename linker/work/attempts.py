"""The steps of one target's way, how often the request of each was tried, and how many of these tries count."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, Generic, TypeVar

from linker.api.lists import PageRequest

__all__ = ["Freshness", "PageSeen", "Step", "Tries"]


class Step(Enum):
    """What a work asks next."""

    READ = auto()
    READ_WHOLE = auto()
    WRITE = auto()
    CHECK = auto()
    CHECK_WHOLE = auto()

    __hash__ = object.__hash__  # Enum's own hashes the name, in Python


class Tries:
    """Tries by step; a step's begin anew where its request is answered.

    A try may count for nothing: the account refused it for its rate, or everybody's failed at the time.
    """

    __slots__ = ("_made", "_spent")

    def __init__(self) -> None:
        self._made: defaultdict[Step | None, int] = defaultdict(int)
        self._spent: defaultdict[Step | None, int] = defaultdict(int)

    def made(self, step: Step | None) -> int:
        """Tries of a step's request."""
        return self._made[step]

    def spent(self, step: Step | None) -> int:
        """Those that count."""
        return self._spent[step]

    def add(self, step: Step | None) -> None:
        """One try more."""
        self._made[step] += 1
        self._spent[step] += 1

    def refuse(self, step: Step | None) -> None:
        """The last one was never taken in hand."""
        self._made[step] -= 1
        self._spent[step] -= 1

    def forgive(self, step: Step | None) -> None:
        """Those so far were made, and count for nothing."""
        self._spent[step] = 0

    def begin(self, step: Step | None) -> int:
        """Begin anew, and tell how many were made."""
        self._spent[step] = 0
        return self._made.pop(step, 0)


T = TypeVar("T")

_LOOK_S: Final = 1.0
"""How long a look that was taken for a PUT counts at the least; it doubles with each further one."""


class Freshness:
    """When a target was read, and how often it was read again for the PUT to come.

    A look that was taken for this very PUT counts for longer, else one whose turn is slow would look for ever.
    """

    __slots__ = ("_max_age_s", "looks", "read_at")

    def __init__(self, max_age_s: float) -> None:
        self._max_age_s = max_age_s
        self.looks = 0
        self.read_at: float | None = None
        """Loop time; None where the PUT goes by nothing that was read."""

    def is_old(self, now: float) -> bool:
        """Whether what the PUT goes by was read too long ago."""
        if self.read_at is None:
            return False
        max_age_s = max(self._max_age_s, _LOOK_S) * 2.0 ** (self.looks - 1) if self.looks else self._max_age_s
        return now - self.read_at > max_age_s


@dataclass(eq=False, slots=True)
class PageSeen(Generic[T]):
    """A page of a list that several works were planned from; where it gets old, it is read again for all of them.

    `unsent` are its works that have not been written yet, `parked` those of them that found it too old and wait.
    """

    request: PageRequest
    unsent: set[T] = field(default_factory=set)
    parked: list[T] = field(default_factory=list)
