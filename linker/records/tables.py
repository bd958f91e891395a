"""The tables of one run: which one a field links to, and their records, each table read when it is first needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from linker.errors import UsageError
from linker.model.ids import is_rounded, rounded_hint
from linker.model.name import TITLE, Name
from linker.model.target import Kind
from linker.records.fields import Fields
from linker.records.index import RecordIndex
from linker.records.table import Table, name_of, parse_table, read_table, tables_in_use
from linker.records.title import TitleFields, no_title
from linker.retry.sender import Read
from linker.settings import Settings


class TablesInUse:
    """The tables that the fields of one run's jobs link to."""

    def __init__(self, settings: Settings, read: Read) -> None:
        self._settings = settings
        self._read = read
        self.fields: Fields | None = None
        """The account's field definitions, None if they were not read."""
        self.titles = TitleFields(settings.name_field)
        self._tables: dict[tuple[Kind, str], Table] = {}
        self._origins: dict[Table, str] = {}  # why a table is taken for that of a field, for error messages
        self._records: dict[tuple[Table, str], RecordIndex] = {}

    def __repr__(self) -> str:
        return f"<TablesInUse with {self.read:,} records>"

    @property
    def read(self) -> int:
        """How many records were read."""
        return sum(map(len, self._records.values()))

    @property
    def has_tables(self) -> bool:
        """Whether any table was read."""
        return bool(self._records)

    def check(self) -> None:
        """Raise `UsageError` if a `table` of the settings is not of the form FIELD=PRODUCT/TABLE."""
        for text in self._settings.table:
            parse_table(text)

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
        if given := self._given(field):
            return given, "given by --table"
        definition = self.fields.get(kind, field) if self.fields is not None else None
        if definition is not None and definition.table is not None:
            return (definition.table,), "given by the definition of the field"
        used = await tables_in_use(self._read, kind, {field})
        if field in used:
            return (used[field],), f"found by the field {field} of other {kind.plural}"
        raise UsageError(
            f"linker cannot tell which table the field `{field}` links to. Add `--table {field}=PRODUCT/TABLE` "
            "(`linker tables` lists them)"
        )

    def lacks(self, kind: Kind, links: Mapping[str, Sequence[str | Name]]) -> str:
        """Return why an id that a spreadsheet may have rounded is not that of a record; empty if nothing speaks for it.

        Only a table that was read anyway can tell.
        """
        for field, records in links.items() if self._records else ():
            for id in records:
                if isinstance(id, str) and is_rounded(id) and (table := self._lacking(kind, field, id)) is not None:
                    return f"links.{field}: the table {name_of(table)} has no record {id}{rounded_hint(id)}"
        return ""

    def _lacking(self, kind: Kind, field: str, id: str) -> Table | None:
        """Return the table of a field if it was read and lacks a record."""
        table = self._tables.get((kind, field)) or self._given(field)
        read = next((records for (of, _), records in self._records.items() if of == table), None)
        return table if read is not None and read.whole and id not in read else None

    def _given(self, field: str) -> Table:
        return tuple(listing for name, listing in map(parse_table, self._settings.table) if name == field)

    async def records(self, table: Table, by: str) -> tuple[Table, RecordIndex]:
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
