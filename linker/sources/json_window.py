"""The part of a stream that is being read, as text that knows its lines."""

from __future__ import annotations

import codecs
from typing import BinaryIO, Final

from linker.sources.lines import LINE_LIMIT

_LONG: Final = 50_000


class Window:
    """A few lines of a stream. What stands before `at` is forgotten when more is read.

    Args:
        stream: UTF-8. Bytes that are invalid become surrogates (PEP 383).
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self.text = ""
        self.at = 0
        self.is_all = False
        """Whether the text reaches to the end of the stream."""
        self._counted = (0, 1)  # a place and its line
        self._column = 0  # characters of the first line that are forgotten

    def open(self, data: bytes, line: int) -> None:
        """Begin anew with a line, or the beginning of a long one."""
        self.text, self.at, self._counted, self._column = self._decoder.decode(data), 0, (0, line), 0

    def extend(self) -> None:
        """Read at least one line more, and as much as is there, so that reading takes linear time in all."""
        self._forget()
        parts, wanted = [self.text], len(self.text)
        self.text = ""
        while True:
            data = self._stream.readline(LINE_LIMIT + 1)
            self.is_all = not data
            parts.append(self._decoder.decode(data, self.is_all))
            wanted -= len(data)
            if self.is_all or wanted <= 0:
                break
        self.text = "".join(parts)

    def trim(self) -> None:
        """Forget what stands before `at` if it is long, because each `JSONDecodeError` counts the lines in it."""
        if self.at > _LONG:
            self._forget()

    def _forget(self) -> None:
        line = self.line_at(self.at)
        self._column = self.column_at(self.at) - 1
        self.text, self.at, self._counted = self.text[self.at :], 0, (0, line)

    @property
    def size(self) -> int:
        """How many characters there are from `at` on."""
        return len(self.text) - self.at

    @property
    def ends_with_line(self) -> bool:
        """Whether the text ends with a whole line."""
        return self.text.endswith("\n")

    @property
    def line_after(self) -> int:
        """The number of the line that follows the text."""
        return self.line_at(len(self.text))

    def line_at(self, place: int) -> int:
        """The number of the line in which a place is."""
        counted, line = self._counted
        if place < counted:
            return line - self.text.count("\n", place, counted)
        line += self.text.count("\n", counted, place)
        if place == self.at:
            self._counted = place, line
        return line

    def column_at(self, place: int) -> int:
        """The column of a place in its line, from 1."""
        start = self.text.rfind("\n", 0, place) + 1
        return place - start + 1 + (0 if start else self._column)
