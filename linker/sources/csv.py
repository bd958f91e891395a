"""Reads tables: CSV by RFC 4180, delimited by `,`, `;` or tab. A row holds one link, or a list of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import BinaryIO

from linker.errors import UsageError
from linker.model.job import LinkJob
from linker.sources.columns import Columns, Header, cells_of
from linker.sources.entry import Entry, Reading, Rejection
from linker.sources.jsonl import LINE_LIMIT, numbered_lines
from linker.sources.rows import read_row


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
            yield from read_row(row, header, line, source, reading)


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
    return any(isinstance(entry.value, LinkJob) for entry in read_row(row, header, 0, "", reading))


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
