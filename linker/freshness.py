"""How old what was read may be when it is written, and the pages that are read again where it is older."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from linker.listing import PageRequest

__all__ = ["Freshness", "PageSeen"]

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
