"""How often the request of each step was tried, and how old a read may be when its PUT leaves."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, Generic, TypeVar

from linker.api.lists import PageRequest


class Step(Enum):
    """What a target needs next."""

    READ = auto()
    READ_OTHER = auto()
    """Read the target by the name that an answer gave it instead."""
    WRITE = auto()
    CHECK = auto()
    """Read it back after its PUT."""
    CHECK_PAGE = auto()
    """Read back the page of the list that showed it before."""
    LAYOUT = auto()
    """Read the layouts of its workspace, because nothing shows what was written."""

    __hash__ = object.__hash__  # Enum's own hashes the name, in Python


class Tries:
    """Tries by step; they start over when the request is answered.

    A try may count for nothing: the account refused it for its rate, or there was an outage.
    """

    __slots__ = ("_made", "_spent")

    def __init__(self) -> None:
        self._made: dict[Step | None, int] = {}
        self._spent: dict[Step | None, int] = {}

    def made(self, step: Step | None) -> int:
        """How often the request of a step was tried."""
        return self._made.get(step, 0)

    def spent(self, step: Step | None) -> int:
        """How many of these tries count."""
        return self._spent.get(step, 0)

    def add(self, step: Step | None) -> None:
        """Count a try."""
        self._made[step] = self._made.get(step, 0) + 1
        self._spent[step] = self._spent.get(step, 0) + 1

    def refuse(self, step: Step | None) -> None:
        """Take back the last try: the account did not process it."""
        self._made[step] = self.made(step) - 1
        self._spent[step] = self.spent(step) - 1

    def forgive(self, step: Step | None) -> None:
        """Let the tries so far count for nothing."""
        self._spent.pop(step, None)

    def begin(self, step: Step | None) -> int:
        """Start over; returns how many tries were made."""
        self._spent.pop(step, None)
        return self._made.pop(step, 0)


T = TypeVar("T")

_LOOK_S: Final = 1.0
"""How long a read that was made for a PUT counts at least; it doubles with each further read."""


class Freshness:
    """How old a read may be, and how many reads (`looks`) were made just for the next PUT.

    A read for this very PUT counts for longer; otherwise a PUT whose turn comes late would be read for ever.
    """

    __slots__ = ("_max_age_s", "looks")

    def __init__(self, max_age_s: float) -> None:
        self._max_age_s = max_age_s
        self.looks = 0

    def is_old(self, read_at: float | None, now: float) -> bool:
        """Whether a read that left at `read_at` is too old for its PUT; None for a PUT that relies on no read."""
        if read_at is None:
            return False
        max_age_s = max(self._max_age_s, _LOOK_S) * 2.0 ** (self.looks - 1) if self.looks else self._max_age_s
        return now - read_at > max_age_s


@dataclass(eq=False, slots=True)
class PageSeen(Generic[T]):
    """A page of a list that several targets were read with; once it is too old, it is read again for all of them.

    `unsent` are its targets that were not written yet, `parked` those of them that wait for the page to be read again.
    """

    request: PageRequest
    unsent: set[T] = field(default_factory=set)
    parked: list[T] = field(default_factory=list)
