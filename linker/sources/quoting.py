"""Splits rows of a table into cells: as RFC 4180 says, or leniently where a row breaks its rules."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

_INSIDE: Final = re.compile(r'(?:[^"]++|"")*+')
"""Text up to the quote that closes a cell, or to the end."""
_START: Final = re.compile('"')
_SPACED_START: Final = re.compile(' *+"')
_LOOSE: Final = re.compile(r' *+"((?:[^"]++|"")*+)" *+')
"""A quoted cell, with the spaces around it."""


class State(Enum):
    """How far a row is read: to its end, to the end of a line inside quotes, or to a quote that breaks the rules."""

    COMPLETE = 1
    OPEN = 2
    BROKEN = 3


class Record:
    """One row, to be fed with its lines one by one. A quote counts at the start of a cell (RFC 4180, 2.5 to 2.7).

    Args:
        spaced: spaces may stand between a delimiter and a quote.
    """

    def __init__(self, delimiter: str, *, spaced: bool = False) -> None:
        self._delimiter = delimiter
        self._start = _SPACED_START if spaced else _START
        self._open: list[str] | None = None
        self.cells: list[str] = []
        """The cells that are complete, so of a broken row those before the fault."""

    def feed(self, line: str) -> State:
        """Read one more line, which may have a line end."""
        text = without_end(line)
        if self._open is None and '"' not in text:
            self.cells = text.split(self._delimiter)
            return State.COMPLETE
        at, end = 0, len(text)
        while True:
            if self._open is None and self._start.match(text, at) is None:
                comma = text.find(self._delimiter, at)
                stop = comma if comma >= 0 else end
                self.cells.append(text[at:stop])
            else:
                stop = self._quoted(text, at)
                if stop < 0:
                    if self._open is None:
                        return State.BROKEN
                    self._open.append(line[end:])
                    return State.OPEN
            if stop == end:
                return State.COMPLETE
            at = stop + 1

    def _quoted(self, text: str, at: int) -> int:
        """The end of a quoted cell; negative if it is still open, or if something else than a delimiter follows it."""
        if self._open is None:
            self._open = []
            at = text.index('"', at) + 1
        inside = _INSIDE.match(text, at)
        assert inside is not None
        self._open.append(inside[0].replace('""', '"'))
        if inside.end() == len(text):
            return -1
        cell, self._open = "".join(self._open), None
        stop = inside.end() + 1
        while text.startswith(" ", stop):
            stop += 1
        if stop < len(text) and not text.startswith(self._delimiter, stop):
            return -1
        self.cells.append(cell)
        return stop


def readings(line: str, delimiter: str) -> list[list[str]]:
    """The cells of one line by itself, as it may have been meant if its quotes break the rules.

    In the first reading a quote that opens no cell which ends on the line is text, in the second every quote is.
    """
    text = without_end(line)
    plain = text.replace('"', "").split(delimiter)
    if '"' not in text:
        return [plain]
    cells: list[str] = []
    at = 0
    while at <= len(text):
        cell = _LOOSE.match(text, at)
        if cell is not None and (cell.end() == len(text) or text.startswith(delimiter, cell.end())):
            cells.append(cell[1].replace('""', '"'))
            at = cell.end() + 1
        else:
            comma = text.find(delimiter, at)
            stop = comma if comma >= 0 else len(text)
            cells.append(text[at:stop])
            at = stop + 1
    return [cells, plain] if cells != plain else [plain]


def without_end(line: str) -> str:
    """The line without its line end."""
    return line.rstrip("\r\n")
