"""Reads tables: CSV by RFC 4180, delimited by `,`, `;` or tab. A row holds one link, or a list of them."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from linker.errors import InvalidJob, UsageError
from linker.model.job import LinkJob, Name, parse_target
from linker.sources.columns import Columns, Header, cells_of
from linker.sources.entry import Entry, Reading, Rejection, read_entry
from linker.sources.formula import from_text
from linker.sources.jsonl import LINE_LIMIT, numbered_lines

_BETWEEN_IDS = re.compile(r"[\s;|,]+")
_BETWEEN_TARGETS = re.compile(r"[;|,\r\n]")  # not at spaces: `PRJ1 -1` is a slip, not a product and a number
# no part of it can match in two ways, so that it takes linear time
_TORN_ADDRESS = re.compile(
    r"(?:\A|(?<=[\s;|,]))[^\s;|,?#/]*/[^\s;|,?#]*[?#][^\s;|,]*[;|,](?!\s|https?://|\Z)", re.IGNORECASE
)
_TORN = "an address may hold no ; , or | behind its ? or #, because these stand between targets; leave that part out"
_BETWEEN_NAMES = re.compile(r"[;\r\n]")  # anything else may be part of a name


def read_table(stream: BinaryIO, source: str, reading: Reading, columns: Columns | None = None) -> Iterator[Entry]:
    """Yield one entry for each target of each row that is not blank. A row's line is the one on which it starts.

    Raises:
        UsageError: the header is not that of a job table, or lacks what `columns` names.
    """
    lines = numbered_lines(stream)
    first = _text(next(lines, (1, b""))[1] or b"")
    if first is None:
        raise UsageError(f"{source}, line 1: the columns are not UTF-8; save the file as CSV UTF-8")
    header = Header.parse(first, source, columns)
    for line, row in _rows(lines, header, reading):
        if isinstance(row, Rejection):
            yield Entry(source, line, row)
        elif any(cell.strip() for cell in row):  # a spreadsheet saves its empty rows as delimiters alone
            yield from _read_row(row, header, line, source, reading)


def _rows(
    lines: Iterator[tuple[int, bytes | None]], header: Header, reading: Reading
) -> Iterator[tuple[int, list[str] | Rejection]]:
    """The rows of a table; a row ends with the first line end outside quotes (RFC 4180, 2.6).

    A quote that is never closed costs only its own line, not the rest of the file. The same holds if a stray quote
    far below seems to close it: lines in between that are valid jobs are not part of a cell.
    """
    ahead: deque[tuple[int, bytes | None]] = deque()

    while (first := ahead.popleft() if ahead else next(lines, None)) is not None:
        number, line = first
        if line is None:
            yield number, Rejection(f"the line is over {LINE_LIMIT:,} bytes; split its row in two")
            continue
        row = _row(line, header)
        if isinstance(row, Rejection) and line.count(b'"') % 2:
            further: list[tuple[int, bytes | None]] = []
            whole = _further_lines(line, ahead, lines, further)
            longer = _row(whole, header) if whole is not None else row
            if isinstance(longer, Rejection) or any(_is_job(line, header, reading) for _, line in further):
                ahead.extendleft(reversed(further))
            else:
                row = longer
        yield number, row


def _further_lines(
    first: bytes,
    ahead: deque[tuple[int, bytes | None]],
    lines: Iterator[tuple[int, bytes | None]],
    further: list[tuple[int, bytes | None]],
) -> bytes | None:
    """A line with an open quote, joined with the lines up to the one that may close it; None if no line does.

    Args:
        further: receives the lines that were read after the first.
    """
    parts, size = [first], len(first)
    while size <= LINE_LIMIT and (after := ahead.popleft() if ahead else next(lines, None)) is not None:
        further.append(after)
        if after[1] is None:
            break
        parts.append(after[1])
        size += len(after[1])
        if after[1].count(b'"') % 2:
            return b"".join(parts)
    return None


def _is_job(line: bytes | None, header: Header, reading: Reading) -> bool:
    row = _row(line, header) if line is not None else []
    if isinstance(row, Rejection) or len(row) != header.width:
        return False
    return any(isinstance(entry.value, LinkJob) for entry in _read_row(row, header, 0, "", reading))


def _row(line: bytes, header: Header) -> list[str] | Rejection:
    text = _text(line)
    if text is None:
        return Rejection("the row is not UTF-8; save the file as CSV UTF-8")
    cells = cells_of(text, header.delimiter)
    if cells is None:
        return Rejection("the row is no CSV: a quote is not closed, or stands inside a quoted cell undoubled")
    return cells


def _text(line: bytes) -> str | None:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return None


def _read_row(row: list[str], header: Header, line: int, source: str, reading: Reading) -> Iterator[Entry]:
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
        return Rejection(message)
    if isinstance(target, Name):
        return Rejection(message, kind=cells["kind"], id=str(target), name=target)
    return Rejection(message, target, kind=target.kind, id=target.id)


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
