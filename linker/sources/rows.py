"""Reads a row of a table whose cells are known: its targets, and the records that it links to each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, cast

from linker.errors import InvalidJob
from linker.model.ids import grouped_message, is_grouped, record_id, undressed_name
from linker.model.job import LinkJob, Mode
from linker.model.name import TITLE, Name, name_spans
from linker.sources.entry import Entry, Reading, Rejection, message_of, read_entry, reject
from linker.sources.formula import from_text
from linker.sources.header import Header
from linker.text import without_invisible

_BETWEEN_IDS = re.compile(r"[\s;|,]+")
_PLAIN_IDS = re.compile(r"[1-9][0-9]*+(?:;[1-9][0-9]*+)*+")  # `,` and spaces may also stand between thousands
_BETWEEN_TARGETS = re.compile(r"[;|,\r\n]")  # not at spaces: `PRJ1 -1` is a slip, not a product and a number
# no part of it can match in two ways, so that it takes linear time
_TORN_ADDRESS = re.compile(
    r"(?:\A|(?<=[\s;|,]))[^\s;|,?#/]*/[^\s;|,?#]*[?#][^\s;|,]*[;|,](?!\s|https?://|\Z)", re.IGNORECASE
)
_TORN = "an address cannot contain ; , or | after its ? or #, because they separate addresses; remove that part"


def read_row(row: list[str], header: Header, line: int, source: str, reading: Reading) -> Iterator[Entry]:
    """Yield one entry for each target of a row, or one that says that it names none.

    A cell with the names of targets becomes one entry, because only the records tell how many names there are.
    """
    cells = header.cells(row)
    if (job := _plain_job(cells, header, reading)) is not None:
        yield Entry(source, line, job)
        return
    is_shifted = len(row) != header.width  # then what stands in the column of the field may be something else
    for entry in _read_cells(cells, header, line, source, reading):
        if is_shifted and isinstance(entry.value, Rejection):
            entry = Entry(source, line, replace(entry.value, fields=None))
        yield entry


def _plain_job(cells: Mapping[str, str], header: Header, reading: Reading) -> LinkJob | None:
    """The job of a row with one target and with ids that need no correction; None if a cell may need some."""
    id, ids = cells.get("id", ""), cells.get("record_ids", "")
    if reading.match is not None or cells.get("record_names") or not _PLAIN_IDS.fullmatch(ids):
        return None
    if not (id.isascii() and id.replace("-", "").isalnum()):  # it may be several, an address, or dressed
        return None
    links = {cells.get("field", ""): ids.split(";")}
    columns = (header.shown.get("record_ids", "record_ids"),)
    kind, mode, key = cells.get("kind") or None, cells.get("mode") or None, cells.get("key") or None
    if (job := LinkJob.plain(id, links, kind, mode, key, columns)) is not None:
        return job
    try:
        return LinkJob(id, links, kind, mode, key, columns=columns)
    except InvalidJob:  # the full check says where the table has what is wrong
        return None


def _read_cells(cells: Mapping[str, str], header: Header, line: int, source: str, reading: Reading) -> Iterator[Entry]:
    cell = cells.get("id", "")
    shown = header.place("id")
    targets: list[object]
    if isinstance(reading.id_of("", cells.get("kind")), dict):
        targets = names_of(cell, str(reading.match))
    elif _TORN_ADDRESS.search(cell):
        yield Entry(source, line, Rejection(f"{shown}: {_TORN}"))
        return
    elif is_grouped(cell := undressed_name(without_invisible(cell).strip())):
        yield Entry(source, line, _reject_cell(cells, f"{shown}: {grouped_message(cell)}"))
        return
    else:
        targets = list(dict.fromkeys(_parts(_BETWEEN_TARGETS, cell)))
    if not targets:
        yield Entry(source, line, Rejection(f"{shown} is empty; write a reference such as PRJ1-12"))
    for id in targets:
        yield _read_target(id, cells, header, line, source, reading)


def _parts(between: re.Pattern[str], cell: str) -> list[str]:
    """The parts of a cell that are not empty, stripped."""
    return [part for text in between.split(without_invisible(cell)) if (part := text.strip())]


def names_of(cell: str, field: str) -> list[Any]:
    """The name in a cell as a mapping, or all of its names as one `Name`; an invalid one alone, to be refused."""
    spans = name_spans(cell) if without_invisible(cell).strip() else []
    names = [{field: from_text(cell[start:end])} for start, end in spans]
    if spans == [(0, len(cell))] or not spans:
        return names
    for name in names:
        try:
            Name.parse(name)
        except InvalidJob:
            return [name]
    return [Name(field, cell, is_cell=True)]


def _reject_cell(cells: Mapping[str, str], message: str) -> Rejection:
    """The rejection of a row for its cell of targets."""
    value = {name: cells.get(name) or None for name in ("id", "kind", "mode", "key")}
    return replace(reject(message, {**value, "links": {from_text(cells.get("field", "")): []}}), links=None)


def _read_target(
    id: object, cells: Mapping[str, str], header: Header, line: int, source: str, reading: Reading
) -> Entry:
    ids, names = _records(cells, header, reading.match)
    records = [*_ids(ids), *names]
    value: dict[str, object] = {"id": id, "links": {from_text(without_invisible(cells["field"])): records}}
    value |= {name: cells[name] for name in ("kind", "mode", "key") if cells.get(name)}
    if is_grouped(ids):
        message = f"{header.place('record_ids')}: {grouped_message(ids)}"
        return Entry(source, line, _without_records(value, message, _places(header, [])))
    shown = [(name, header.shown.get(name, name)) for name in ("record_ids", "record_names") if name in header]
    columns = tuple(column for name, column in shown if without_invisible(cells.get(name, "")).strip())
    entry = read_entry(source, line, value, Reading(host=reading.host), columns, lambda: _places(header, _ids(ids)))
    if records or reading.empty_clears or isinstance(entry.value, Rejection):
        return entry
    empty = f"{' and '.join(header.place(name) for name, _ in shown)} {'is' if len(shown) == 1 else 'are'} empty"
    return Entry(source, line, Rejection.of(entry.value, f"{empty}, {_EFFECTS[entry.value.mode or reading.mode]}"))


_EFFECTS: Final[Mapping[str, str]] = {
    Mode.REPLACE: "which would clear the field; fill in the cell, delete the row, or allow that with --empty-clears",
    Mode.ADD: "so there is nothing to add; fill in the cell or delete the row",
    Mode.REMOVE: "so there is nothing to remove; fill in the cell or delete the row",
}


def _places(header: Header, ids: list[str]) -> dict[str, str]:
    """Return where the table has the keys of a job, as messages name it.

    `links` is the column of records that has an invalid one: the names, if all of these ids are valid.
    """
    places = {name: header.place(name) for name in ("id", "kind", "field", "mode", "key") if name in header}
    names = [name for name in ("record_ids", "record_names") if name in header]
    try:
        list(map(record_id, ids))
    except InvalidJob:
        return {**places, "links": header.place(names[0])}
    return {**places, "links": header.place(names[-1])}


def _without_records(value: Mapping[str, object], message: str, places: Mapping[str, str]) -> Rejection:
    """The rejection of a row for its cell of ids. What else is wrong with the row is said instead."""
    bare = {**value, "links": dict.fromkeys(cast("Mapping[str, object]", value["links"]), ())}
    try:
        LinkJob.parse(bare)
    except InvalidJob as error:
        message = message_of(error, places)
    return replace(reject(message, bare), links=None)


def _records(cells: Mapping[str, str], header: Header, match: str | None) -> tuple[str, list[Any]]:
    """The records that a row gives: the cell of ids, and the names."""
    ids, names = cells.get("record_ids", ""), cells.get("record_names", "")
    if match is not None and "record_names" not in header:
        ids, names = "", ids
    return undressed_name(without_invisible(ids).strip()), names_of(names, match or TITLE)


def _ids(cell: str) -> list[str]:
    return [part for part in _BETWEEN_IDS.split(cell) if part]
