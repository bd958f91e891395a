"""Reads all sources into the batch: their jobs, and what the lines that are rejected keep from being written."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from linker.batch.batch import Batch
from linker.batch.merge import Dropped
from linker.model.address import host_of
from linker.model.job import LinkJob
from linker.records.preflight import Preflight
from linker.records.table import table_of_targets
from linker.results.result import Result
from linker.settings import Settings
from linker.sources import Reading, Rejection, Source


class Intake:
    """Reads the sources of one batch, and numbers the jobs.

    Args:
        preflight: replaces the names of records by their ids, those of targets too.
    """

    def __init__(self, settings: Settings, sources: Sequence[Source], batch: Batch, preflight: Preflight) -> None:
        self._settings = settings
        self._sources = sources
        self._batch = batch
        self._preflight = preflight
        self.jobs = 0
        """Jobs and rejected lines so far."""
        self.without_target = 0
        """Rejected lines that do not say which target they are for."""
        self.first_without_target = ""
        """The place of the first of these lines, and why it was rejected."""
        self.rows = 0
        """Lines of input; a row of a table that names several targets counts once."""
        self.without_mode = 0
        """Jobs that leave their mode to the run."""
        self.empty: list[str] = []
        """The names of the sources without rows."""

    async def read(self) -> AsyncGenerator[list[Result], None]:
        """Read everything, and yield the results of rejected lines.

        Raises:
            UsageError: a source cannot be used.
            Stopped: the records of a table cannot be read.
        """
        named_targets = bool(table_of_targets(self._settings.table))
        host = host_of(self._settings.base_url)
        settings = self._settings
        reading = Reading(
            settings.empty_clears,
            settings.match,
            host,
            named_targets,
            mode=settings.mode,
            encoding=settings.encoding,
        )
        add = self._batch.add
        for source in self._sources:
            last, rows_before = 0, self.rows
            async for entries in source.entries(reading):
                rejected: list[Result] = []
                number = self.jobs
                for entry in await self._preflight.take(entries):
                    line, value = entry.line, entry.value
                    if line != last:
                        self.rows += 1
                        last = line
                    if isinstance(value, LinkJob):
                        add(number, entry.source, line, value)
                        if value.mode is None:
                            self.without_mode += 1
                    else:
                        rejected.append(Result.unread(number, entry, value))
                        self._drop(f"{entry.source} line {line}", value)
                    number += 1
                self.jobs = number
                yield rejected
            if self.rows == rows_before:
                self.empty.append(source.name)

    def add(self, source: str, line: int | None, job: LinkJob) -> None:
        """Add one job to the batch."""
        self._batch.add(self.jobs, source, line, job)
        if job.mode is None:
            self.without_mode += 1
        self.jobs += 1

    def _drop(self, place: str, rejection: Rejection) -> None:
        for target in rejection.targets:
            self._batch.add_dropped(target, Dropped(place, rejection.fields))
        if rejection.may_be_anywhere:
            self.first_without_target = self.first_without_target or f"{place}: {rejection.message}"
            self.without_target += 1
