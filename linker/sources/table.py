"""Tables: CSV by RFC 4180, also with `;` or tab, with the columns of a job and one row a link or a list."""

from __future__ import annotations

import csv
import re
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from linker.errors import InvalidJob, UsageError
from linker.job import LinkJob, Target
from linker.sources.entry import Entry, Rejection, read_entry
from linker.sources.jsonl import LINE_LIMIT, numbered_lines

__all__ = ["Header", "read_table"]

_REQUIRED: Final = ("id", "field", "record_ids")
_COLUMNS: Final = ("kind", "id", "field", "record_ids", "mode", "key")
_DELIMITERS: Final = ",;\t"
_CELL_LIMIT: Final = 100_000  # below the csv module's own, 131,072: 6,500 ids of 19 digits
_cell_limit = threading.Lock()
_BETWEEN_IDS = re.compile(r"[\s;|,]+")


@dataclass(frozen=True, slots=True)
class Header:
    """The columns of a table, in its order, and what stands between its cells."""

    columns: tuple[str, ...]
    delimiter: str

    @classmethod
    def parse(cls, line: str, source: str) -> Header:
        """The header that a table's first line is.

        Raises:
            UsageError: its columns are not a job's: one too many could be a misspelt `mode`.
        """
        found = [_cells(line, delimiter) for delimiter in _DELIMITERS]
        names = [tuple(cell.strip().lower() for cell in cells or ()) for cells in found]
        best = max(range(len(names)), key=lambda i: (len(set(names[i]) & set(_COLUMNS)), len(names[i])))
        columns = names[best]
        unknown = [name for name in columns if name not in _COLUMNS]
        missing = [name for name in _REQUIRED if name not in columns]
        if unknown or missing or len(set(columns)) < len(columns):
            raise UsageError(
                f"{source}, line 1: the columns are {', '.join(name or '(unnamed)' for name in columns) or '(none)'}; "
                f"wanted are {', '.join(_COLUMNS)} ({', '.join(_REQUIRED)} at least, each once)"
            )
        return cls(columns, _DELIMITERS[best])


def read_table(stream: BinaryIO, source: str, *, empty_clears: bool) -> Iterator[Entry]:
    """One entry for each row that is not blank. A row's line is the one on which it starts.

    Raises:
        UsageError: at the first step, where the header is not one of a job table.
    """
    lines = numbered_lines(stream)
    first = _text(next(lines, (1, b""))[1] or b"")
    if first is None:
        raise UsageError(f"{source}, line 1: the columns are not UTF-8; save the file as CSV UTF-8")
    header = Header.parse(first, source)
    for line, row in _rows(lines, header):
        if isinstance(row, Rejection):
            yield Entry(source, line, row)
        elif any(cell.strip() for cell in row):  # a spreadsheet saves its empty rows as delimiters alone
            yield _read_row(row, header, line, source, empty_clears)


def _rows(lines: Iterator[tuple[int, bytes | None]], header: Header) -> Iterator[tuple[int, list[str] | Rejection]]:
    """The rows of a table; a row ends with the first line end that no quote holds (RFC 4180, 2.6).

    A quote that is opened and never closed costs the line that it stands on, not the rest of the file; nor does
    one that a stray quote far below seems to close: lines in between that are jobs are no part of a cell.
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
            if isinstance(longer, Rejection) or any(_is_job(line, header) for _, line in further):
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
    """A line whose quote is open with the `further` lines to the one that may close it; None where none does."""
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


def _is_job(line: bytes | None, header: Header) -> bool:
    row = _row(line, header) if line is not None else []
    if isinstance(row, Rejection) or len(row) != len(header.columns):
        return False
    return isinstance(_read_row(row, header, 0, "", empty_clears=False).said, LinkJob)


def _row(line: bytes, header: Header) -> list[str] | Rejection:
    text = _text(line)
    if text is None:
        return Rejection("the row is not UTF-8; save the file as CSV UTF-8")
    cells = _cells(text, header.delimiter)
    if cells is None:
        return Rejection("the row is no CSV: a quote is not closed, or stands inside a quoted cell undoubled")
    return cells


def _text(line: bytes) -> str | None:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return None


def _cells(text: str, delimiter: str) -> list[str] | None:
    """The cells of one row, None where it is no CSV."""
    reader = csv.reader([text], delimiter=delimiter, strict=True)
    try:
        if len(text) < _CELL_LIMIT:
            return next(reader, [])
        with _cell_limit:  # the limit is the process's: put back at once
            usual = csv.field_size_limit(2 * LINE_LIMIT)
            try:
                return next(reader, [])
            finally:
                csv.field_size_limit(usual)
    except csv.Error:
        return None


def _read_row(row: list[str], header: Header, line: int, source: str, empty_clears: bool) -> Entry:
    cells = dict(zip(header.columns, row, strict=False))
    if len(row) != len(header.columns):
        message = f"the row has {len(row)} cells, the header {len(header.columns)}"
        try:  # so that half of its list is not sent
            target = Target.parse(cells.get("id", ""), cells.get("kind", "").strip() or None)
        except InvalidJob:
            return Entry(source, line, Rejection(message))
        return Entry(source, line, Rejection(message, target, kind=target.kind, id=target.id))
    field = cells["field"].strip()
    ids: Sequence[str] = [id for id in _BETWEEN_IDS.split(cells["record_ids"]) if id]
    value: dict[str, object] = {"id": cells["id"], "links": {field: ids}}
    value |= {name: cells[name].strip() for name in ("kind", "mode", "key") if cells.get(name, "").strip()}
    entry = read_entry(source, line, value)
    if ids or empty_clears or isinstance(entry.said, Rejection):
        return entry
    job = entry.said
    why = "record_ids is empty, which would clear the field; --empty-clears lets it"
    return Entry(
        source,
        line,
        Rejection(why, job.target, frozenset({field}), job.target.kind, job.id, job.mode, job.links, job.key),
    )
