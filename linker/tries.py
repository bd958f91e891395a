"""How often the requests of one target were tried, and how many of these tries count against it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Tries"]

S = TypeVar("S", bound=Hashable)


class Tries(Generic[S]):
    """Tries by step; a step's begin anew where its request is answered.

    A try may count for nothing: the account refused it for its rate, or everybody's failed at the time.
    """

    __slots__ = ("_made", "_spent")

    def __init__(self) -> None:
        self._made: defaultdict[S, int] = defaultdict(int)
        self._spent: defaultdict[S, int] = defaultdict(int)

    def made(self, step: S) -> int:
        """Tries of a step's request."""
        return self._made[step]

    def spent(self, step: S) -> int:
        """Those that count."""
        return self._spent[step]

    def add(self, step: S) -> None:
        """One try more."""
        self._made[step] += 1
        self._spent[step] += 1

    def refuse(self, step: S) -> None:
        """The last one was never taken in hand."""
        self._made[step] -= 1
        self._spent[step] -= 1

    def forgive(self, step: S) -> None:
        """Those so far were made, and count for nothing."""
        self._spent[step] = 0

    def begin(self, step: S) -> int:
        """Begin anew, and tell how many were made."""
        self._spent[step] = 0
        return self._made.pop(step, 0)
