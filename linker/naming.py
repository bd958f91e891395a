"""From the ids of records to their names, for another account, where the same records have other ids."""

from __future__ import annotations

from collections.abc import Callable

from linker.errors import ExportFailed, LinkerError
from linker.fetcher import Read
from linker.job import LinkJob, Name
from linker.listing import Listing
from linker.records import Records
from linker.tables import read_table, table_of_record

__all__ = ["Naming"]


class Naming:
    """The names of what an account holds: each table is found by one of its records, and read once.

    Args:
        will_do: whether a name can be written where it goes.
    """

    def __init__(self, read: Read, will_do: Callable[[str], bool]) -> None:
        self._read = read
        self._will_do = will_do
        self._tables: dict[Listing | None, Records] = {}
        self._ids: set[str] = set()

    def __repr__(self) -> str:
        return f"<Naming by {len(self._tables)} tables>"

    @property
    def left(self) -> int:
        """Records that stay as ids: they share their name, have none that will do, or cannot be seen."""
        return len(self._ids)

    async def named(self, job: LinkJob) -> LinkJob:
        """The same job by names. Raises `ExportFailed` where a table cannot be read to its end."""
        links = {field: [await self._name(str(id)) for id in ids] for field, ids in job.links.items()}
        return LinkJob(job.id, links, kind=job.kind, mode=job.mode, key=job.key)

    async def _name(self, id: str) -> str | Name:
        if id in self._ids:
            return id
        records = next((each for each in self._tables.values() if id in each), None)
        if records is None:
            records = await self._load(id)
        name = records.value(id)
        if name and records.ids(name) == [id] and self._will_do(name):
            return Name("name", name)
        self._ids.add(id)
        return id

    async def _load(self, id: str) -> Records:
        table = await table_of_record(self._read, id)
        if table is None or table in self._tables:
            return Records("name")
        try:
            self._tables[table] = await read_table(self._read, (table,), "name", why=f"in which record {id} is")
        except LinkerError as error:
            raise ExportFailed(f"{error}; what was exported is not all there is") from None
        return self._tables[table]
