"""The steps of one target's way, how often the request of each was tried, and how many of these tries count."""

from __future__ import annotations

from collections import defaultdict
from enum import Enum, auto

__all__ = ["Step", "Tries"]


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
