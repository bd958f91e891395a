"""Resolves the names of records to their ids, by the list of their table, which is read once a run.

linker never guesses: a job with a name that the table does not have is rejected, with the names that may have been
meant. With `create_missing`, the name stands in the place of the id until its record is created (`create.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence

from linker.api.lists import Listing
from linker.batch.placeholder import place_of
from linker.errors import ExportFailed, InvalidJob, LinkerError, UsageError
from linker.model.job import TITLE, LinkJob, Name, sorted_ids
from linker.model.target import Kind, Target
from linker.records.fields import Fields
from linker.records.index import RecordIndex, key_of
from linker.records.table import Table, parse_table, read_table, table_of_record, table_of_targets, tables_in_use
from linker.records.title import TitleFields, no_title
from linker.retry.sender import Read
from linker.settings import Settings


class UnknownRecord(InvalidJob):
    """No record has that name, or several have it."""


class NameResolver:
    """Resolves the names in the jobs of one run."""

    def __init__(self, settings: Settings, read: Read) -> None:
        self._settings = settings
        self._read = read
        self.fields: Fields | None = None
        """The account's field definitions, None if they were not read."""
        self.titles = TitleFields(settings.name_field)
        self._tables: dict[tuple[Kind, str], Table] = {}
        self._origins: dict[Table, str] = {}  # why a table is taken for that of a field, for error messages
        self._records: dict[tuple[Table, str], RecordIndex] = {}
        self._new: dict[tuple[Table, str], str] = {}  # by the folded name
        self._near: dict[tuple[Table, Name], str] = {}
        self._names_of_targets: dict[Target, set[str]] = {}

    def __repr__(self) -> str:
        return f"<NameResolver of {sum(map(len, self._records.values())):,} records, {len(self._new)} to be created>"

    @property
    def new(self) -> int:
        """How many records are to be created."""
        return len(self._new)

    def check(self) -> None:
        """Raise `UsageError` if a `table` of the settings is not of the form FIELD=PRODUCT/TABLE."""
        for text in self._settings.table:
            parse_table(text)

    async def resolve(self, job: LinkJob) -> LinkJob:
        """Return the same job with ids instead of names.

        Raises:
            UnknownRecord: no record has a name, or several have it.
            UsageError: it is not known which table a field links to, or that table does not exist.
            Stopped: the table cannot be read.
        """
        kind = job.target.kind  # the target is known before its links: a rejected job holds back others of its target
        links: dict[str, Sequence[str]] = {}
        for field, records in job.links.items():
            ids = [record if isinstance(record, str) else await self._id(kind, field, record) for record in records]
            links[field] = sorted_ids(ids)
        return job.resolved(links)

    async def target(self, name: Name) -> Target:
        """Return the target that is the record of a custom table with this name.

        Raises:
            UnknownRecord: no record has the name, or several have it.
            UsageError: it is not known which table that is, or that table does not exist.
            Stopped: the table cannot be read.
        """
        table = table_of_targets(self._settings.table)
        if not table:
            raise UsageError(
                f"linker cannot tell which table the target with the {_text(name)} is a record of. "
                "Add --table record=PRODUCT/TABLE, for example --table record=PRJ1/customers"
            )
        self._origins.setdefault(table, "as --table says")
        table, records = await self._records_in(table, name.field)
        id = _only(records.ids(name.value), name, "id")
        if id is None:
            raise UnknownRecord(f"id: no record has the {_text(name)}{await self._nearest(table, records, name)}")
        target = Target(Kind.CUSTOM_OBJECT_RECORD, id)
        self._names_of_targets.setdefault(target, set()).add(str(name))
        return target

    def names_of_target(self, target: Target) -> Collection[str]:
        """Return the names by which jobs have given a target."""
        return self._names_of_targets.get(target, ())

    def value(self, kind: Kind, field: str, id: str) -> str | None:
        """Return a record's name; None if the run has not read its table."""
        table = self._tables.get((kind, field))
        by = self._settings.match or TITLE
        records = self._records.get((table, by)) if table is not None else None
        return records.value(id) if records is not None else None

    async def table(self, kind: Kind, field: str) -> Table:
        """Return the table that a field of a kind links to.

        The settings say so; else the field's definition, if it does; else a record that the field holds somewhere.

        Raises:
            UsageError: none of these says so.
        """
        table = self._tables.get((kind, field))
        if table is None:
            table, origin = await self._find(kind, field)
            self._tables[kind, field] = table
            self._origins.setdefault(table, origin)
        return table

    def title(self, table: Table) -> str:
        """Return the key of the title field of new records.

        Raises:
            UsageError: it is not known, because the table is empty and neither settings nor definitions tell it.
        """
        first = table[0]
        key = self.titles.get(first) or (self.fields.only_title() if self.fields is not None else None)
        if key is None:
            raise no_title(first, "The table has no records yet")
        self.titles.learn(first, key)
        return key

    async def _find(self, kind: Kind, field: str) -> tuple[Table, str]:
        given = tuple(listing for name, listing in map(parse_table, self._settings.table) if name == field)
        if given:
            return given, "as --table says"
        definition = self.fields.get(kind, field) if self.fields is not None else None
        if definition is not None and definition.table is not None:
            return (definition.table,), "as the field's definition says"
        used = await tables_in_use(self._read, kind, {field})
        if field in used:
            return (used[field],), f"the table of what {field} of other {kind.plural} holds"
        raise UsageError(
            f"which table the names on {field} of {kind.plural} are of is not known, for no answer tells it; "
            f"say --table {field}=PRODUCT/TABLE, for example --table {field}=PRJ1/customers"
        )

    async def _id(self, kind: Kind, field: str, name: Name) -> str:
        table, records = await self._records_in(await self.table(kind, field), name.field)
        id = _only(records.ids(name.value), name, f"links.{field}")
        if id is not None:
            return id
        if self._settings.create_missing and not records.whole:
            why = "; its table shows fewer records than it says it has, so it may be there, and is not created"
            raise UnknownRecord(f"links.{field}: no record has the {_text(name)}{why}")
        if self._settings.create_missing and name.field == TITLE:
            self.title(table)
            return self._new.setdefault((table, key_of(name.value, name.field)), place_of(name.value))
        raise UnknownRecord(f"links.{field}: no record has the {_text(name)}{await self._hint(table, records, name)}")

    async def _records_in(self, table: Table, by: str) -> tuple[Table, RecordIndex]:
        """Return a table and its records, which are read when they are first needed.

        Two names of one table (a product's prefix and its number) count as one, so that no record is created twice.
        """
        records = self._records.get((table, by))
        if records is None:
            records = await read_table(self._read, table, by, why=self._origins[table], titles=self.titles)
            for other in [other for other, other_by in self._records if other_by == by]:
                if self._records[other, by].is_same(records):
                    self._tables = {key: other if value == table else value for key, value in self._tables.items()}
                    return other, self._records[other, by]
            self._records[table, by] = records
        return table, records

    async def _hint(self, table: Table, records: RecordIndex, name: Name) -> str:
        """Return what may have been meant, or why the record is not created."""
        if self._settings.create_missing:
            return f"; one that is created needs a name, and its {name.field} alone is known"
        return await self._nearest(table, records, name)

    async def _nearest(self, table: Table, records: RecordIndex, name: Name) -> str:
        """Return what may have been meant. It is searched once a name, in a thread, because a long table takes time."""
        hint = self._near.get((table, name))
        if hint is None:
            near = await asyncio.to_thread(records.nearest, name.value)
            hint = self._near[table, name] = "".join(_offers(near))
        return hint


def _only(ids: Sequence[str], name: Name, where: str) -> str | None:
    """Return the only one of these ids, None if there is none. Raises `UnknownRecord` if there are several."""
    if len(ids) > 1:
        several = ", ".join(sorted_ids(ids))
        raise UnknownRecord(f"{where}: {len(ids)} records have the {_text(name)}: {several}; say which by id")
    return ids[0] if ids else None


def _offers(near: Sequence[tuple[str, str]]) -> Iterator[str]:
    if near:
        yield "; did you mean "
        yield " or ".join(f"{value!r} ({id})" for value, id in near)
        yield "?"


def _text(name: Name) -> str:
    return f"{name.field} {name.value!r}"


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
        why = f"in which record {id} is"
        try:
            self._tables[table] = await read_table(self._read, (table,), TITLE, why=why, titles=self._titles)
        except LinkerError as error:
            raise ExportFailed(f"{error}; what was exported is not all there is") from None
        return self._tables[table]
