"""Reads tables: CSV by RFC 4180, delimited by `,`, `;`, tab or `|`. A row holds one link, or a list of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

from linker.sources.broken import rejected
from linker.sources.columns import Columns
from linker.sources.encoding import Text
from linker.sources.entry import Entry, Reading, Rejection
from linker.sources.footers import footer_of
from linker.sources.header import Header, read_header
from linker.sources.lines import Lines
from linker.sources.quoting import readings
from linker.sources.rows import read_row
from linker.sources.salvage import legible_targets
from linker.sources.spans import Row, Spans
from linker.text import quoted

_FOOTERS: Final = 100
"""Footers of a report at most; more lines of their form are rows."""


def read_table(stream: BinaryIO, source: str, reading: Reading, columns: Columns | None = None) -> Iterator[Entry]:
    """Yield one entry for each target of each row that is not blank. A row's line is the one on which it starts.

    Raises:
        UsageError: the header is not that of a job table, or lacks what `columns` names.
    """
    text = Text(stream, source, reading.encoding)
    lines = Lines(text.stream)
    header = read_header(lines, text, source, columns)
    footers: list[tuple[Row, str]] = []  # only the end of the file shows that they are some
    for row in Spans(lines, text, header, reading):
        if row.is_blank:
            continue
        footer = _footer(row, header)
        if footer is not None and len(footers) < _FOOTERS:
            footers.append((row, footer))
            continue
        for earlier, _ in footers:
            yield from _entries(earlier, header, source, reading)
        footers = []
        yield from _entries(row, header, source, reading)
    for row, footer in footers:
        message = f"{quoted(footer)} is a footer of the report, not a row; remove the line"
        yield Entry(source, row.number, Rejection(message, is_footer=True))


def check_header(stream: BinaryIO, source: str, columns: Columns | None, encoding: str | None) -> None:
    """Raise `UsageError` if the header is not that of a job table, or lacks what `columns` names."""
    text = Text(stream, source, encoding, warns=False)
    read_header(Lines(text.stream), text, source, columns)


def _entries(row: Row, header: Header, source: str, reading: Reading) -> Iterator[Entry]:
    if row.fault is None and row.cells is not None:
        is_valid = True
        for entry in read_row(row.cells, header, row.number, source, reading):
            is_valid = is_valid and not isinstance(entry.value, Rejection)
            yield entry
    else:
        is_valid = False
        rejection = rejected(
            row.fault or "",
            row.line,
            header,
            reading,
            cells=row.cells,
            is_cut_off=row.is_cut_off,
            is_text=row.is_text,
        )
        yield Entry(source, row.number, rejection)
    if not is_valid:
        for inner in row.inner:
            yield from _entries(inner, header, source, reading)


def _footer(row: Row, header: Header) -> str | None:
    """The text of a row that may be a footer: its id names no target, and its text is one that reports end with."""
    cells = row.cells if row.cells is not None else readings(row.line, header.delimiter)[0]
    text = footer_of(cells, row.line)
    if text is None or "id" in header.constants:
        return text
    named = header.cells(cells)
    id, kind = named.get("id", ""), named.get("kind")
    is_number = id[:1].isdigit() and not id.isdigit() and not kind  # or the day of a date
    return None if legible_targets(id, kind) and not is_number else text
