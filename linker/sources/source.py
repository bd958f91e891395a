"""What every source of jobs can do, so that a run does not care whether it reads a file or an iterable."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from linker.sources.entry import Entry, Reading


class Source(Protocol):
    """A stream of entries that can be read once."""

    @property
    def name(self) -> str:
        """The name of the source in results."""
        ...

    @property
    def stem(self) -> str:
        """The start of the results file's name."""
        ...

    def check(self, encoding: str | None = None) -> None:
        """Raise `UsageError` if it is clear beforehand that the source cannot be read in this encoding."""
        ...

    def changed(self) -> bool:
        """Whether reading it again could give other entries."""
        ...

    def entries(self, reading: Reading) -> AsyncIterator[list[Entry]]:
        """Yield the entries, several at a time."""
        ...
