"""What a caller may give as jobs, and the source that each is."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from linker.job import LinkJob
from linker.sources.entry import Entry, Reading
from linker.sources.files import JobFile
from linker.sources.iterables import JobIterable
from linker.sources.undo import UndoFile

__all__ = ["Jobs", "Source", "sources_of"]

Jobs = (
    str
    | Path
    | JobFile
    | UndoFile
    | Sequence[str | Path | JobFile]
    | Iterable[LinkJob | Mapping[str, Any]]
    | AsyncIterable[LinkJob | Mapping[str, Any]]
)


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


def sources_of(jobs: Jobs) -> list[Source]:
    """The sources of what a caller gives: a path, several, or an (async) iterable of jobs.

    Raises:
        UsageError: a file whose format cannot be told.
    """
    if isinstance(jobs, UndoFile):
        return [jobs]
    if isinstance(jobs, str | Path | JobFile):
        return [_file(jobs)]
    if isinstance(jobs, Sequence) and jobs and all(isinstance(job, str | Path | JobFile) for job in jobs):
        return [_file(cast("str | Path | JobFile", job)) for job in jobs]
    return [JobIterable(cast("Iterable[LinkJob | Mapping[str, Any]]", jobs))]


def _file(job: str | Path | JobFile) -> JobFile:
    return job if isinstance(job, JobFile) else JobFile(job)
