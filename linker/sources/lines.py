"""Cuts a file into lines, whatever ends them, in bounded memory."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

import msgspec

LINE_LIMIT: Final = 1_000_000
"""Bytes of one line at most. A longer line is rejected, so that a file without line ends cannot fill the memory."""

_LINES: Final = re.compile(rb"[^\r\n]*(?:\r{0,2}\n|\r)|[^\r\n]+")  # CR CR LF: written as text twice on Windows


class Line(msgspec.Struct, frozen=True, gc=False):
    """A line with its end, and its number from 1.

    If `is_cut`, it is over the limit, and this is its beginning. `ends_oddly`: it ends with a CR, unlike the others.
    """

    number: int
    data: bytes
    is_cut: bool = False
    ends_oddly: bool = False

    @property
    def has_end(self) -> bool:
        """Whether a line end stands behind it; only the last line of a file may have none."""
        return self.is_cut or self.data.endswith((b"\n", b"\r"))


class Lines:
    """The lines of a table, which can be put back.

    A line ends with LF, CRLF or a CR alone. Only LF counts for the numbers, as in editors, except in a file whose first
    line ends with a CR alone.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._lines = _cut(stream)
        self._ahead: deque[Line] = deque()

    def take(self) -> Line | None:
        """The next line; None at the end."""
        return self._ahead.popleft() if self._ahead else next(self._lines, None)

    def put_back(self, lines: Sequence[Line]) -> None:
        """Make these the next lines."""
        self._ahead.extendleft(reversed(lines))

    def peek(self) -> Line | None:
        """The next line, which stays the next; None at the end."""
        line = self.take()
        if line is not None:
            self.put_back([line])
        return line


def _cut(stream: BinaryIO) -> Iterator[Line]:
    number, counts_cr, rest, is_cut = 1, None, b"", False
    while True:
        chunk = stream.readline(LINE_LIMIT + 1)
        data = rest + chunk
        lines = [data] if data.find(b"\r", 0, -2) < 0 and data.endswith(b"\n") else _LINES.findall(data)
        rest = b""
        if chunk and lines and not lines[-1].endswith(b"\n"):  # it goes on, or it ends with CR and an LF may follow
            rest = lines.pop()
        for line in lines:
            if counts_cr is None:
                counts_cr = line.endswith(b"\r")
            ends_oddly = not counts_cr and line.endswith(b"\r")
            yield Line(number, line[:LINE_LIMIT], is_cut or len(line) > LINE_LIMIT, ends_oddly)
            is_cut = False
            number += line.endswith(b"\n") or counts_cr
        if not chunk:
            return
        if len(rest) > LINE_LIMIT + 1 and not rest.endswith(b"\r"):
            is_cut, rest = True, rest[: LINE_LIMIT + 1]
