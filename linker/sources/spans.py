"""Puts the lines of a table together to rows. A quote may join lines, and a stray one must not.

A span of lines that quotes join is one row (RFC 4180, 2.6), unless each of its lines by itself, without the quotes,
would be a row as well: then nobody can tell, and each line is rejected. Each line is read at most twice, because
whatever line ends a span by a quote ends it for every line above.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property

import msgspec

from linker.sources.broken import has_target, is_row
from linker.sources.encoding import Text
from linker.sources.entry import Reading
from linker.sources.footers import footer_of
from linker.sources.header import Header
from linker.sources.lines import LINE_LIMIT, Line, Lines
from linker.sources.quoting import Record, State, readings, without_end
from linker.text import without_invisible

_STRAY = "double the quote if it belongs to the text, or remove it"


class Row(msgspec.Struct, frozen=True, gc=False):
    """A row of a table: on which line it starts, that line's text, and its cells, or else why it cannot be read.

    `is_cut_off`: the file ends within the row. `is_text`: all of its bytes could be decoded. `inner`: the lines in its
    quotes that would be rows by themselves; if the row is rejected, they are too, because they may be rows.
    """

    number: int
    line: str
    cells: list[str] | None = None
    fault: str | None = None
    is_cut_off: bool = False
    is_text: bool = True
    inner: tuple[Row, ...] = ()

    @property
    def is_blank(self) -> bool:
        """Whether nothing stands in it: a spreadsheet saves its empty rows as delimiters alone."""
        return self.fault is None and self.cells is not None and _are_blank(self.cells)


class Spans:
    """The rows of one table.

    Args:
        lines: what follows the header.
        reading: how the run reads rows, which decides what is a row.
    """

    def __init__(self, lines: Lines, text: Text, header: Header, reading: Reading) -> None:
        self._lines = lines
        self._text = text
        self._header = header
        self._reading = reading

    @cached_property
    def _space_before_quote(self) -> re.Pattern[str]:
        return re.compile(rf'(?:\A|{re.escape(self._header.delimiter)}) +"')

    def __iter__(self) -> Iterator[Row]:
        while (line := self._lines.take()) is not None:
            text, is_text = self._text.decode(line.data, line.number)
            if line.is_cut:
                yield Row(
                    line.number, text, fault=f"the line is longer than {LINE_LIMIT:,} bytes; split its row in two"
                )
                continue
            record = Record(self._header.delimiter, spaced=self._header.is_spaced)
            state = record.feed(text)
            if state is State.OPEN:
                span = self._closed(line, record)
                if span is not None:
                    yield from self._joined(span, record.cells)
                    continue
                record = Record(self._header.delimiter, spaced=self._header.is_spaced)
                record.feed(text)  # without the lines below
            yield self._alone(line, text, is_text, record, state)

    def _closed(self, first: Line, record: Record) -> list[Line] | None:
        """The lines of a row with an open quote, up to the one that closes it; None if no line does."""
        span, size = [first], len(first.data)
        state = State.OPEN
        while state is State.OPEN and size <= LINE_LIMIT and (line := self._lines.take()) is not None:
            span.append(line)
            size += len(line.data)
            if line.is_cut:
                break
            try:
                state = record.feed(line.data.decode())
            except UnicodeDecodeError:
                state = record.feed(line.data.decode("latin-1"))
        if state is State.COMPLETE and size <= LINE_LIMIT:
            return span
        self._lines.put_back(span[1:])
        return None

    def _joined(self, span: Sequence[Line], cells: list[str]) -> Iterator[Row]:
        """The rows of lines that quotes join: one row, or a rejection of each line that may be a row."""
        decoded = [self._text.decode(line.data, line.number) for line in span]
        texts = [text for text, _ in decoded]
        is_text = all(whole for _, whole in decoded)
        full = [place for place, text in enumerate(texts) if text.strip(f"{self._header.delimiter} \r\n")]
        rows = [place for place in full if is_row(texts[place], self._header, self._reading)]
        first, last = span[0].number, span[-1].number
        if rows == full:
            fault: str | None = (
                f"a quote opens in line {first:,} and closes in line {last:,}, but each line looks like a row; {_STRAY}"
            )
            for place in rows:
                yield Row(span[place].number, texts[place], fault=fault, is_text=decoded[place][1])
            return
        is_cut_off = not span[-1].has_end and len(cells) < self._header.width
        if not is_text:
            fault = f"the row {self._text.fault}"
        elif is_cut_off:
            fault = _cut_off(cells, self._header)
        else:
            fault = self._header.fault(cells)
        why = f"this may be a row, or part of the quoted cell that starts in line {first:,}; {_STRAY}"
        inner = (Row(span[at].number, texts[at], fault=why, is_text=decoded[at][1]) for at in rows if at > 0)
        if not is_text and self._text.is_wide:  # damaged UTF-16 may hide line ends and quotes, so whole rows
            yield Row(first, "", None, fault, is_text=False)
        else:
            yield Row(first, texts[0], cells, fault, is_cut_off, is_text, tuple(inner))

    def _alone(self, line: Line, text: str, is_text: bool, record: Record, state: State) -> Row:
        """The row that one line makes by itself."""
        header = self._header
        cells = record.cells if state is State.COMPLETE else None
        if is_text and '"' in text and (other := self._otherwise(text, state)) is not None:
            cells = other
        is_cut_off = not line.has_end and (cells is None or len(cells) < header.width)
        fault = None
        if not is_text:
            fault = f"the row {self._text.fault}"
        elif cells is None:
            column = header.column(len(record.cells))
            if state is State.OPEN:
                fault = f"{column}: a quote is not closed; {_STRAY}"
            else:
                fault = f'{column}: there is a quote inside a quoted cell; double it ("") if it belongs to the text'
        elif _are_blank(cells):
            return Row(line.number, text, cells)
        elif is_cut_off:
            fault = _cut_off(cells, header)
        else:
            fault = header.fault(cells) or self._torn(cells) or self._broken_off(line, text)
        return Row(line.number, text, cells, fault, is_cut_off, is_text)

    def _otherwise(self, text: str, state: State) -> list[str] | None:
        """The cells of a line with quotes that other programs write: behind a space, or as text in a TSV."""
        header = self._header
        if not header.is_spaced and state is not State.OPEN and self._space_before_quote.search(text):
            record = Record(header.delimiter, spaced=True)
            if record.feed(text) is State.COMPLETE and header.fault(record.cells) is None:
                return record.cells
        if header.delimiter == "\t" and state is not State.COMPLETE:
            cells = without_end(text).split("\t")
            if len(cells) == header.width:
                return cells
        return None

    def _broken_off(self, line: Line, text: str) -> str | None:
        """Why a row that ends with a CR may not be whole, in a file of other line ends: what follows is no row."""
        after = self._lines.peek() if line.ends_oddly else None
        if after is None or not after.data.strip():
            return None
        rest = after.data.decode(errors="replace")
        if is_row(text, self._header, self._reading) and is_row(rest, self._header, self._reading):
            return None
        return "a carriage return outside quotes may have split the row; put quotes around the cell that contains it"

    def _torn(self, cells: Sequence[str]) -> str | None:
        """Why a short row may not be whole: the next line is no row, but may be the rest of this one."""
        after = self._lines.peek() if len(cells) < self._header.width else None
        if after is None or not after.data.strip():
            return None
        text = after.data.decode(errors="replace")
        rest = readings(text, self._header.delimiter)[0]
        is_rest = len(cells) + len(rest) - 1 <= self._header.width and not _are_blank(rest)
        if not is_rest or has_target(rest, self._header, self._reading) or footer_of(rest, text) is not None:
            return None
        return (
            f"the row has {_counted(cells)}, but the header has {self._header.width:,}, and line {after.number:,} may "
            "be the rest of it; put quotes around a cell that contains a line break"
        )


def _are_blank(cells: Sequence[str]) -> bool:
    """Whether nothing can be seen in these cells; an end-of-file mark of DOS cannot."""
    return not any(without_invisible(cell).strip().strip("\x1a") for cell in cells)


def _cut_off(cells: Sequence[str], header: Header) -> str:
    return (
        f"the row has {_counted(cells)}, but the header has {header.width:,}, and no line end follows it, so the file "
        "may be cut off; export it again, or add a line end"
    )


def _counted(cells: Sequence[str]) -> str:
    return "1 cell" if len(cells) == 1 else f"{len(cells):,} cells"
