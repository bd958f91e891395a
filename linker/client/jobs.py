"""Turns what a caller passes as jobs into sources."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from linker.model.job import LinkJob
from linker.results.undo import UndoFile
from linker.sources.files import JobFile
from linker.sources.iterables import JobIterable
from linker.sources.source import Source

Jobs = (
    str
    | Path
    | JobFile
    | UndoFile
    | Sequence[str | Path | JobFile]
    | Iterable[LinkJob | Mapping[str, Any]]
    | AsyncIterable[LinkJob | Mapping[str, Any]]
)


def sources_of(jobs: Jobs) -> list[Source]:
    """Return the sources of jobs: of a path, several paths, an undo, or an (async) iterable.

    Raises:
        UsageError: the format of a file is unknown.
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
