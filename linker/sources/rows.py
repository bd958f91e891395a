"""Reads a row of a table whose cells are known: its targets, and the records that it links to each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from linker.errors import InvalidJob
from linker.model.job import Name, parse_target
from linker.sources.columns import Header
from linker.sources.entry import Entry, Reading, Rejection, read_entry
from linker.sources.formula import from_text
from linker.sources.salvage import legible_targets

_BETWEEN_IDS = re.compile(r"[\s;|,]+")
_BETWEEN_TARGETS = re.compile(r"[;|,\r\n]")  # not at spaces: `PRJ1 -1` is a slip, not a product and a number
# no part of it can match in two ways, so that it takes linear time
_TORN_ADDRESS = re.compile(
    r"(?:\A|(?<=[\s;|,]))[^\s;|,?#/]*/[^\s;|,?#]*[?#][^\s;|,]*[;|,](?!\s|https?://|\Z)", re.IGNORECASE
)
_TORN = "an address may hold no ; , or | behind its ? or #, because these stand between targets; leave that part out"
_BETWEEN_NAMES = re.compile(r"[;\r\n]")  # anything else may be part of a name


def read_row(row: list[str], header: Header, line: int, source: str, reading: Reading) -> Iterator[Entry]:
    """Yield one entry for each target of a row, or one that says that it names none."""
    cells = header.cells(row)
    is_named = isinstance(reading.id_of("", cells.get("kind")), dict)
    targets = dict.fromkeys(_parts(_BETWEEN_NAMES if is_named else _BETWEEN_TARGETS, cells.get("id", "")))
    shown = header.shown.get("id", "id")
    if not targets:
        yield Entry(source, line, Rejection(f"{shown} is empty: the row names no target"))
    if not is_named and _TORN_ADDRESS.search(cells.get("id", "")):
        yield Entry(source, line, Rejection(f"{shown}: {_TORN}"))
        return
    for text in targets:
        id = reading.id_of(from_text(text) if is_named else text, cells.get("kind"))
        if len(row) == header.width:
            yield _read_target(id, cells, header, line, source, reading)
        else:
            message = f"the row has {len(row)} cells, the header {header.width}"
            yield Entry(source, line, _reject_torn(id, cells, message))


def _parts(between: re.Pattern[str], cell: str) -> list[str]:
    """The parts of a cell that are not empty, stripped."""
    return [part for text in between.split(cell) if (part := text.strip())]


def _reject_torn(id: object, cells: Mapping[str, str], message: str) -> Rejection:
    """The rejection of a row with too many or too few cells. Its target keeps an incomplete list from being sent."""
    try:
        target, _ = parse_target(id, cells.get("kind") or None)
    except InvalidJob:
        return Rejection(message, legible_targets(id, cells.get("kind")))
    if isinstance(target, Name):
        return Rejection(message, kind=cells["kind"], id=str(target), name=target)
    return Rejection(message, (target,), kind=target.kind, id=target.id)


def _read_target(
    id: object, cells: Mapping[str, str], header: Header, line: int, source: str, reading: Reading
) -> Entry:
    records = _records(cells, header, reading.match)
    value: dict[str, object] = {"id": id, "links": {from_text(cells["field"]): records}}
    value |= {name: cells[name] for name in ("kind", "mode", "key") if cells.get(name)}
    entry = read_entry(source, line, value, Reading(host=reading.host))
    if records or reading.empty_clears or isinstance(entry.value, Rejection):
        return entry
    empty = " and ".join(header.shown.get(name, name) for name in ("record_ids", "record_names") if name in header)
    why = f"{empty} is empty, which would clear the field; --empty-clears lets it"
    return Entry(source, line, Rejection.of(entry.value, why))


def _records(cells: Mapping[str, str], header: Header, match: str | None) -> list[str | dict[str, str]]:
    """The records that a row gives: ids, and names as `{field: name}`."""
    ids, names = cells.get("record_ids", ""), cells.get("record_names", "")
    if match is not None and "record_names" not in header:
        ids, names = "", ids
    named = [{match or "name": from_text(name)} for name in _parts(_BETWEEN_NAMES, names)]
    return [*filter(None, _BETWEEN_IDS.split(ids)), *named]
