"""Checks fields and resolves names before anything is written."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from linker.errors import ErrorType, UsageError
from linker.model.job import LinkJob, Name
from linker.model.target import Kind, Target
from linker.records.fields import Fields, read_fields
from linker.records.names import Disagreement, NameResolver, UnknownRecord
from linker.retry.sender import Read
from linker.settings import Settings
from linker.sources import Entry, Rejection


class Preflight:
    """The preflight of one run.

    Args:
        fields: the account's field definitions, if they were read before.
    """

    def __init__(self, settings: Settings, read: Read, fields: Fields | None = None) -> None:
        self._settings = settings
        self._read = read
        self._is_read = fields is not None
        self._used: set[tuple[Kind, str]] = set()
        self._faults: dict[tuple[Kind, str], str | None] = {}
        self.names = NameResolver(settings, read)
        self.names.fields = fields

    async def take(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the entries with ids instead of names; a job with an unknown name becomes a rejection.

        A job on several targets that are given by names becomes one for each.

        The field definitions are read when the first name comes, else at the end of the input (`faults`).

        Raises:
            UsageError: it is not known which table a field with names links to.
            Stopped: that table cannot be read.
        """
        if self._note_used(entries):
            await self._read_definitions()
            lists = [await self._resolved(entry) if _has_names(entry.value) else [entry] for entry in entries]
            entries = [entry for each in lists for entry in each]
        return list(map(self._checked, entries)) if self.names.has_tables else list(entries)

    def _note_used(self, entries: Sequence[Entry]) -> bool:
        """Note the fields of the jobs, and return whether one of the entries gives a target or a record by name."""
        used = self._used
        has_names = False
        for entry in entries:
            value = entry.value
            if not isinstance(value, LinkJob):
                has_names = has_names or value.name is not None
                continue
            target = value.known_target
            if target is None:
                has_names = True
            kind = _kind(value) if target is None else target.kind
            for field, records in value.links.items():
                used.add((kind, field))
                if records and type(records[-1]) is not str:
                    has_names = True
        return has_names

    async def faults(self) -> dict[tuple[Kind, str], str]:
        """Return why fields of the jobs are no link fields, by kind and field."""
        await self._read_definitions()
        return {field: fault for field in self._used if (fault := self._fault(*field)) is not None}

    @property
    def used(self) -> Collection[tuple[Kind, str]]:
        """The fields of the jobs so far, with the kinds of their targets."""
        return self._used

    async def check_field(self, kind: Kind, field: str) -> None:
        """Raise `UsageError` if a field that is to be cleared is no link field."""
        await self._read_definitions()
        if (fault := self._fault(kind, field)) is not None:
            raise UsageError(fault)

    async def _read_definitions(self) -> None:
        if not self._is_read:
            self._is_read = True
            if self._settings.preflight:
                self.names.fields = await read_fields(self._read)

    async def _resolved(self, entry: Entry) -> list[Entry]:
        # the targets first, for they tell which other jobs a rejected one holds back
        values = await self._on_targets(entry.value)
        place = f"{entry.source} line {entry.line}"
        return [Entry(entry.source, entry.line, await self._by_id(value, place)) for value in values]

    async def _on_targets(self, value: LinkJob | Rejection) -> Sequence[LinkJob | Rejection]:
        """Return a job for each target that it gives by name; a rejection for all of them."""
        if (name := _target_name(value)) is None:
            return [value]
        try:
            targets = await self.names.targets(name)
        except UnknownRecord as error:
            if isinstance(value, LinkJob):
                value = Rejection.of(value, str(error), ErrorType.UNKNOWN_RECORD)
            possible = tuple(Target(Kind.CUSTOM_OBJECT_RECORD, id) for id in error.candidates)
            return [replace(value, targets=possible)]
        if isinstance(value, LinkJob):
            return [value.on(target) for target in targets]
        if len(targets) == 1:
            return [value.on(targets[0])]
        return [replace(value, targets=tuple(targets))]

    async def _by_id(self, value: LinkJob | Rejection, place: str) -> LinkJob | Rejection:
        if isinstance(value, Rejection) or value.by_id is not None:
            return value
        faults = (self._fault(_kind(value), field) for field in value.links)
        fault = next((fault for fault in faults if fault is not None), None)
        if fault is not None:
            return Rejection.of(value, fault, ErrorType.UNKNOWN_FIELD)
        try:
            return await self.names.resolve(value, place)
        except UnknownRecord as error:
            return Rejection.of(value, str(error), ErrorType.UNKNOWN_RECORD)
        except Disagreement as error:
            return Rejection.of(value, str(error), ErrorType.CONFLICT)

    def _checked(self, entry: Entry) -> Entry:
        """Return the entry, or a rejection if one of its ids was rounded, as far as a table that was read tells it."""
        job = entry.value
        if isinstance(job, Rejection) or not (why := self.names.lacks(_kind(job), job.links)):
            return entry
        return Entry(entry.source, entry.line, Rejection.of(job, why, ErrorType.UNKNOWN_RECORD))

    def _fault(self, kind: Kind, field: str) -> str | None:
        if self.names.fields is None:
            return None
        if (kind, field) not in self._faults:
            self._faults[kind, field] = self.names.fields.fault(kind, field)
        return self._faults[kind, field]


def _kind(job: LinkJob) -> Kind:
    assert isinstance(job.kind, Kind)
    return job.kind


def _target_name(value: LinkJob | Rejection) -> Name | None:
    """Return the name by which a line gives its target, None if it gives an id or nothing."""
    if isinstance(value, Rejection):
        return value.name
    return value.id if isinstance(value.id, Name) else None


def _has_names(value: LinkJob | Rejection) -> bool:
    return value.name is not None if isinstance(value, Rejection) else value.by_id is None
