"""Reads jobs from a program: from any iterable or async iterable of `LinkJob`s or mappings with a job's keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from itertools import islice
from typing import Any, Final

from linker.model.job import LinkJob
from linker.sources.entry import Entry, Reading, read_entry

_CHUNK: Final = 500


class JobIterable:
    """Jobs that a program yields. An item's line is its position, from 1."""

    name: Final = "<jobs>"
    stem: Final = "jobs"

    def __init__(
        self, jobs: Iterable[LinkJob | Mapping[str, Any]] | AsyncIterable[LinkJob | Mapping[str, Any]]
    ) -> None:
        self._jobs = jobs

    def __repr__(self) -> str:
        return f"<JobIterable of {type(self._jobs).__name__}>"

    def check(self, encoding: str | None = None) -> None:
        """Do nothing: an iterable cannot be looked at beforehand."""

    def changed(self) -> bool:
        """False: an iterable is read only once."""
        return False

    async def entries(self, reading: Reading) -> AsyncIterator[list[Entry]]:
        """Yield the entries: up to 500 at a time, or each as soon as an async iterable yields it."""
        line = 0
        if isinstance(self._jobs, AsyncIterable):
            async for job in self._jobs:
                line += 1
                yield [read_entry(self.name, line, job, reading)]
            return
        jobs = iter(self._jobs)
        while chunk := list(islice(jobs, _CHUNK)):
            yield [read_entry(self.name, line + place, job, reading) for place, job in enumerate(chunk, start=1)]
            line += len(chunk)
            await asyncio.sleep(0)
