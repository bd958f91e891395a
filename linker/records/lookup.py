"""Looks up the names of records by their ids, for an export that names them."""

from __future__ import annotations

from collections.abc import Callable

from linker.api.lists import Listing
from linker.errors import ExportFailed, LinkerError
from linker.model.job import LinkJob
from linker.model.name import TITLE, Name
from linker.records.index import RecordIndex
from linker.records.table import read_table, table_of_record
from linker.records.title import TitleFields
from linker.retry.sender import Read


class NameLookup:
    """Looks up the names of records by their ids. Each table is found by one of its records, and read once.

    Args:
        will_do: whether a name can be written to the place where it is needed.
        titles: the title fields that are known.
    """

    def __init__(self, read: Read, will_do: Callable[[str], bool], titles: TitleFields) -> None:
        self._read = read
        self._titles = titles
        self._will_do = will_do
        self._tables: dict[Listing | None, RecordIndex] = {}
        self._ids: set[str] = set()

    def __repr__(self) -> str:
        return f"<NameLookup by {len(self._tables)} tables>"

    @property
    def unnamed(self) -> int:
        """How many records have no name to use: they share it, it will not do, or they cannot be seen."""
        return len(self._ids)

    async def named(self, job: LinkJob) -> LinkJob:
        """Return the same job with names. Raises `ExportFailed` if a table cannot be read to its end."""
        links = {field: [await self._name(str(id)) for id in ids] for field, ids in job.links.items()}
        return LinkJob(job.id, links, kind=job.kind, mode=job.mode, key=job.key)

    async def _name(self, id: str) -> str | Name:
        if id in self._ids:
            return id
        records = next((table for table in self._tables.values() if id in table), None)
        if records is None:
            records = await self._load(id)
        name = records.value(id)
        if name and records.ids(name) == [id] and self._will_do(name):
            return Name(TITLE, name)
        self._ids.add(id)
        return id

    async def _load(self, id: str) -> RecordIndex:
        table = await table_of_record(self._read, id)
        if table is None or table in self._tables:
            return RecordIndex(TITLE)
        why = f"found by its record {id}"
        try:
            self._tables[table] = await read_table(self._read, (table,), TITLE, why=why, titles=self._titles)
        except LinkerError as error:
            raise ExportFailed(f"{error}. The export is incomplete") from None
        return self._tables[table]
