"""Tables: CSV by RFC 4180, also with `;` or tab, with the columns of a job and one row a link or a list."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from linker.errors import UsageError
from linker.sources.entry import Entry, Rejection, read_entry
from linker.sources.jsonl import LINE_LIMIT, numbered_lines

__all__ = ["Header", "read_table"]

_REQUIRED: Final = ("id", "field", "record_ids")
_COLUMNS: Final = ("kind", "id", "field", "record_ids", "mode", "key")
_DELIMITERS: Final = ",;\t"
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
    header = Header.parse(_text(next(lines, (1, b""))[1] or b"") or "", source)
    for line, cells in _rows(lines, header.delimiter):
        if isinstance(cells, Rejection):
            yield Entry(source, line, cells)
        elif not any(cell.strip() for cell in cells):
            continue  # a spreadsheet saves its empty rows as delimiters alone
        elif len(cells) != len(header.columns):
            message = f"the row has {len(cells)} cells, the header {len(header.columns)}"
            yield Entry(source, line, Rejection(message))
        else:
            yield _read_cells(dict(zip(header.columns, cells, strict=True)), line, source, empty_clears)


def _rows(lines: Iterator[tuple[int, bytes | None]], delimiter: str) -> Iterator[tuple[int, list[str] | Rejection]]:
    """The rows of a table; a row ends with the first line end that no quote holds (RFC 4180, 2.6).

    A quote that is opened and never closed costs the line that it stands on, not the rest of the file.
    """
    ahead: deque[tuple[int, bytes | None]] = deque()

    def next_line() -> tuple[int, bytes | None] | None:
        return ahead.popleft() if ahead else next(lines, None)

    while (first := next_line()) is not None:
        number, line = first
        if line is None:
            yield number, Rejection(f"the line is over {LINE_LIMIT:,} bytes; split its row in two")
            continue
        row = _row(line, delimiter)
        further: list[tuple[int, bytes | None]] = []
        whole = line
        while isinstance(row, Rejection) and whole.count(b'"') % 2 and len(whole) <= LINE_LIMIT:
            after = next_line()
            if after is None:
                break
            further.append(after)
            if after[1] is None:
                break
            whole += after[1]
            if after[1].count(b'"') % 2:  # the quote may be closed now
                row = _row(whole, delimiter)
        if isinstance(row, Rejection):
            ahead.extendleft(reversed(further))
        yield number, row


def _row(line: bytes, delimiter: str) -> list[str] | Rejection:
    text = _text(line)
    if text is None:
        return Rejection("the row is not UTF-8; save the file as CSV UTF-8")
    cells = _cells(text, delimiter)
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
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return None


def _read_cells(cells: dict[str, str], line: int, source: str, empty_clears: bool) -> Entry:
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
