"""Resolves the names of records to their ids, by the list of their table, which is read once a run.

linker never guesses: a job with a name that the table does not have is rejected, with the names that may have been
meant. With `create_missing`, the name stands in the place of the id until its record is created (`create.py`).
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from linker.batch.placeholder import place_of
from linker.errors import InvalidJob, UsageError
from linker.model.ids import sorted_ids, undressed_name
from linker.model.job import LinkJob
from linker.model.name import TITLE, Name
from linker.model.target import Kind, Target
from linker.records.cells import read_cell
from linker.records.index import RecordIndex, key_of
from linker.records.suggestions import Suggestions, offered
from linker.records.suspects import meant, why_no_name
from linker.records.table import (
    Table,
    name_of,
    table_of_targets,
)
from linker.records.tables import TablesInUse
from linker.results.created import CreatedBefore
from linker.retry.sender import Read
from linker.settings import Settings
from linker.text import quoted, tidied

_PLACES: Final = 3
"""The most rows that are remembered for a record that is to be created, and the most records that a message shows."""

_MOST_IDS: Final = 20
_MOST_SHOWN: Final = 200
_MOST_SEARCHED: Final = 40
"""The most characters of a search that a message proposes."""


class UnknownRecord(InvalidJob):
    """No record has that name, or several have it: their ids are the `candidates`."""

    def __init__(self, message: str, candidates: Collection[str] = ()) -> None:
        super().__init__(message)
        self.candidates = tuple(candidates)


class Disagreement(InvalidJob):
    """The ids and the names in one row are not the same records."""


@dataclass(slots=True)
class NewRecord:
    """A record that is to be created: its name and table, the first rows that name it, and how many do."""

    name: str
    table: str
    places: list[str] = field(default_factory=list)
    rows: int = 0

    def add(self, place: str) -> None:
        """Count a row that names the record."""
        if place not in self.places:
            self.rows += 1
            if len(self.places) < _PLACES:
                self.places.append(place)


@dataclass(frozen=True, slots=True)
class _Row:
    """What is known of the row in which a name stands, besides the name."""

    place: str
    columns: tuple[str, ...] = ()
    given: frozenset[str] = frozenset()
    """The ids that the row gives for the same records; names must agree with them, so none is created."""


class NameResolver(TablesInUse):
    """Resolves the names in the jobs of one run."""

    def __init__(self, settings: Settings, read: Read) -> None:
        super().__init__(settings, read)
        self._new: dict[tuple[Table, str], NewRecord] = {}  # by the folded name
        self._suggestions = Suggestions()
        self._names_of_targets: dict[Target, set[str]] = {}
        self.created_before: CreatedBefore | None = None
        """Records that earlier runs have just created, so that the list of their table may lack them."""

    def __repr__(self) -> str:
        return f"<NameResolver of {self.read:,} records, {len(self._new)} to be created>"

    @property
    def new(self) -> int:
        """How many records are to be created."""
        return len(self._new)

    @property
    def new_records(self) -> Sequence[NewRecord]:
        """The records that are to be created, in the order of the input."""
        return list(self._new.values())

    def has(self, table: str, title: str) -> bool:
        """Whether a table that was read, as `--table` names it, has a record with this name."""
        return any(
            name_of(read) == table and by == TITLE and bool(records.ids(title))
            for (read, by), records in self._records.items()
        )

    async def resolve(self, job: LinkJob, place: str = "") -> LinkJob:
        """Return the same job with ids instead of names.

        Args:
            place: the source and line of the job.

        Raises:
            UnknownRecord: no record has a name, or several have it, or its cell can be read in two ways.
            Disagreement: the row gives ids and names, and these are not the same records.
            UsageError: it is not known which table a field links to, or that table does not exist.
            Stopped: the table cannot be read.
        """
        kind = job.target.kind  # the target is known before its links: a rejected job holds back others of its target
        links: dict[str, Sequence[str]] = {}
        for field_, records in job.links.items():
            ids = frozenset(record for record in records if isinstance(record, str))
            names = [record for record in records if isinstance(record, Name)]
            both = len(job.columns) > 1 and bool(ids) and bool(names)
            row = _Row(place, job.columns, ids if both else frozenset())
            found = {id for name in names for id in await self._ids(kind, field_, name, row)}
            if both and found != ids:
                raise Disagreement(self._disagreement(kind, field_, ids, found, job.columns))
            links[field_] = sorted_ids(ids | found)
        return job.resolved(links)

    async def targets(self, name: Name) -> list[Target]:
        """Return the targets that are the records of a custom table with this name, or with those in this cell.

        Raises:
            UnknownRecord: no record has a name, or several have it.
            UsageError: it is not known which table that is, or that table does not exist.
            Stopped: the table cannot be read.
        """
        table = table_of_targets(self._settings.table)
        if not table:
            raise UsageError(
                f"linker cannot tell in which table to look for the record with the {_text(name)}. "
                "Add --table record=PRODUCT/TABLE (linker tables lists them)"
            )
        self._origins.setdefault(table, "given by --table")
        table, records = await self.records(table, name.field)
        targets: list[Target] = []
        for each in _names_in(name, records, "id"):
            id = _only(records.ids(each.value), each, "id")
            if id is None:
                near = await self._suggestions.near(table, records, each)
                raise UnknownRecord(f"id: no record has the {_text(each)}{near or _search(table, each)}")
            targets.append(Target(Kind.CUSTOM_OBJECT_RECORD, id))
            self._names_of_targets.setdefault(targets[-1], set()).update((str(name), str(each)))
        return targets

    def names_of_target(self, target: Target) -> Collection[str]:
        """Return the names by which jobs have given a target."""
        return self._names_of_targets.get(target, ())

    async def _ids(self, kind: Kind, field_: str, name: Name, row: _Row) -> list[str]:
        table, records = await self.records(await self.table(kind, field_), name.field)
        where = f"column {quoted(row.columns[-1])}" if row.columns else f"links.{field_}"
        may_create = self._settings.create_missing and not row.given
        names = _names_in(name, records, where, may_guess=not may_create or self._settings.create_all)
        ids: list[str] = []
        for each in names:
            earlier = None
            if self.created_before is not None and each.field == TITLE and not records.ids(each.value):
                earlier = self.created_before.find(kind, field_, undressed_name(each.value))
            ids.append(earlier or await self._id(table, records, where, each, row))
        return ids

    async def _id(self, table: Table, records: RecordIndex, where: str, name: Name, row: _Row) -> str:
        found = records.ids(name.value)
        named = [id for id in found if id in row.given]
        id = named[0] if len(named) == 1 else _only(found, name, where)
        if not self._settings.create_missing or len(records):
            self._suggestions.count(name_of(table), name, row.columns, is_known=id is not None)
        if id is not None:
            return id
        if not self._settings.create_missing or row.given:
            near = await self._suggestions.near(table, records, name)
            raise UnknownRecord(f"{where}: no record has the {_text(name)}{near or _search(table, name)}")
        if not records.whole:
            why = "; linker does not create it, because the table lists fewer records than it reports, so it may exist"
            raise UnknownRecord(f"{where}: no record has the {_text(name)}{why}")
        if name.field != TITLE:
            why = (
                f"; linker cannot create it, because a new record needs a name and the row gives its {name.field} only"
            )
            raise UnknownRecord(f"{where}: no record has the {_text(name)}{why}")
        looks = "" if self._settings.create_all else why_no_name(name.value)
        if looks:
            near = await self._meant(table, records, name)
            raise UnknownRecord(
                f"{where}: no record has the {_text(name)}, and linker does not create one, because it looks like "
                f"{looks}{near}{'' if near.endswith('?') else '.'} Correct the row, or add --create-all"
            )
        self.title(table)
        title = tidied(undressed_name(name.value))
        new = self._new.setdefault((table, key_of(title, TITLE)), NewRecord(title, name_of(table)))
        new.add(row.place)
        return place_of(new.name)

    async def _meant(self, table: Table, records: RecordIndex, name: Name) -> str:
        """Return the records that a text may stand for that is probably not a name."""
        places = [(each, id) for each in meant(name.value) for id in records.ids(each)]
        if places:
            return offered([(records.value(id) or each, id) for each, id in places[:_PLACES]])
        return await self._suggestions.near(table, records, name)

    def _disagreement(
        self, kind: Kind, field_: str, ids: Collection[str], found: Collection[str], columns: tuple[str, ...]
    ) -> str:
        def called(each: Collection[str]) -> str:
            names = (self.value(kind, field_, id) for id in sorted_ids(frozenset(each))[:_PLACES])
            shown = zip(sorted_ids(frozenset(each)), names, strict=False)
            text = ", ".join(f"{id} ({quoted(name)})" if name else id for id, name in shown)
            return text + (f" and {len(each) - _PLACES:,} more" if len(each) > _PLACES else "")

        return (
            f"{field_}: the columns {quoted(columns[0])} and {quoted(columns[1])} give different records: "
            f"{quoted(columns[0])} gives {called(ids)}, {quoted(columns[1])} gives {called(found)}. Correct one of the "
            "two cells, or empty it"
        )


def _names_in(name: Name, records: RecordIndex, where: str, *, may_guess: bool = True) -> Sequence[Name]:
    """Return the names in a cell; of a name that is no cell, itself.

    Args:
        may_guess: take a cell for a list although no record has the name of the cell or of a part.

    Raises:
        UnknownRecord: the cell can be read in two ways.
    """
    if not name.is_cell:
        return [name]
    reading = read_cell(name, records)
    if reading.ambiguity:
        raise UnknownRecord(f"{where}: {reading.ambiguity}", reading.ids)
    if reading.is_guess and not may_guess:
        raise UnknownRecord(
            f"{where}: no record has the {_text(name)} or the name of one of its parts, so linker cannot tell whether "
            "it is one name or several. Write each name in a row of its own, or add --create-all to create a record "
            "for each part"
        )
    return reading.names


def _only(ids: Sequence[str], name: Name, where: str) -> str | None:
    """Return the only one of these ids, None if there is none. Raises `UnknownRecord` if there are several."""
    if len(ids) > 1:
        several = ", ".join(sorted_ids(ids)[:_MOST_IDS]) + (", …" if len(ids) > _MOST_IDS else "")
        raise UnknownRecord(
            f"{where}: {len(ids)} records have the {_text(name)}: {several}; give the id of one of them", ids
        )
    return ids[0] if ids else None


def _text(name: Name) -> str:
    return f"{name.field} {quoted(name.value, _MOST_SHOWN)}"


def _search(table: Table, name: Name) -> str:
    """Return the command that lists the records that a name may stand for, as the end of a message."""
    word = next(iter(name.value.split()), "") if name.field == TITLE else ""
    find = f" --find {shlex.quote(word)}" if word and len(word) <= _MOST_SEARCHED else ""
    return f"; list the records with: linker records {table[0].place}{find}"
