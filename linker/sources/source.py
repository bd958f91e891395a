"""What a caller may give as jobs, and the source that each is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from linker.sources.entry import Entry, Reading

__all__ = ["Source"]


class Source(Protocol):
    """Something that yields entries, once, as a stream."""

    @property
    def name(self) -> str:
        """What results call it."""
        ...

    @property
    def stem(self) -> str:
        """What a results file is named after."""
        ...

    def check(self) -> None:
        """Raise `UsageError` where it can be seen beforehand that nothing can be read."""
        ...

    def changed(self) -> bool:
        """Whether it would say something else by now than when it was read."""
        ...

    def entries(self, reading: Reading) -> AsyncIterator[list[Entry]]:
        """Its entries, some at a time."""
        ...
