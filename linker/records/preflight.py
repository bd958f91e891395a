"""What was read becomes what can be done: what is no field is noticed, and names become ids, before any write."""

from __future__ import annotations

from collections.abc import Sequence

from linker.errors import ErrorType, UsageError
from linker.model.job import LinkJob
from linker.model.target import Kind
from linker.records.fields import Fields, read_fields
from linker.records.names import NameResolver, UnknownRecord
from linker.retry.sender import Read
from linker.settings import Settings
from linker.sources import Entry, Rejection

__all__ = ["Preflight"]


class Preflight:
    """The preflight of one run.

    Args:
        read: sends a request until there is an answer that counts.
        fields: the account's field definitions, where they have been looked at.
    """

    def __init__(self, settings: Settings, read: Read, fields: Fields | None = None) -> None:
        self._settings = settings
        self._read = read
        self._looked = fields is not None
        self._asked: set[tuple[Kind, str]] = set()
        self._faults: dict[tuple[Kind, str], str | None] = {}
        self.names = NameResolver(settings, read)
        self.names.fields = fields

    async def take(self, entries: Sequence[Entry]) -> list[Entry]:
        """The entries by ids; a job with a name that is nobody's is a rejection.

        The field definitions are looked at where there are names, and else at the end of the input (`faults`).

        Raises:
            UsageError: it is not known which table the names of a field are of.
            Stopped: that table cannot be read.
        """
        jobs = [entry.value for entry in entries if isinstance(entry.value, LinkJob)]
        self._asked.update((job.target.kind, field) for job in jobs for field in job.links)
        if all(job.by_id is not None for job in jobs):
            return list(entries)
        await self._look()
        return [entry if isinstance(entry.value, Rejection) else await self._resolved(entry) for entry in entries]

    async def faults(self) -> dict[tuple[Kind, str], str]:
        """Why fields that jobs name are none, by kind and field."""
        await self._look()
        return {asked: fault for asked in self._asked if (fault := self._fault(*asked)) is not None}

    async def check_field(self, kind: Kind, field: str) -> None:
        """Notice that a field which is to be cleared is none. Raises `UsageError` where it is so."""
        await self._look()
        if (fault := self._fault(kind, field)) is not None:
            raise UsageError(fault)

    async def _look(self) -> None:
        if not self._looked:
            self._looked = True
            if self._settings.preflight:
                self.names.fields = await read_fields(self._read)

    async def _resolved(self, entry: Entry) -> Entry:
        job = entry.value
        assert isinstance(job, LinkJob)
        if job.by_id is not None:
            return entry
        faults = (self._fault(job.target.kind, field) for field in job.links)
        fault = next((fault for fault in faults if fault is not None), None)
        if fault is not None:
            return Entry(entry.source, entry.line, Rejection.of(job, fault, ErrorType.UNKNOWN_FIELD))
        try:
            return Entry(entry.source, entry.line, await self.names.resolve(job))
        except UnknownRecord as error:
            return Entry(entry.source, entry.line, Rejection.of(job, str(error), ErrorType.UNKNOWN_RECORD))

    def _fault(self, kind: Kind, field: str) -> str | None:
        if self.names.fields is None:
            return None
        if (kind, field) not in self._faults:
            self._faults[kind, field] = self.names.fields.fault(kind, field)
        return self._faults[kind, field]
