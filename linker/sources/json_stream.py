"""Reads JSON jobs that do not stand one a line: in a list, printed over several lines, or several on one line.

Between two jobs there may be white space, commas, record separators (RFC 7464), byte order marks and the brackets of a
list. A job that is not valid JSON costs little beside itself: its line if the jobs before it stood on one line each,
and all up to the next place where a job begins if they were printed over several lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

import orjson

from linker.model.target import Target
from linker.sources.entry import Entry, Reading, Rejection, read_entry
from linker.sources.json_keys import read_object
from linker.sources.json_salvage import brackets, targets_in
from linker.sources.json_window import Window
from linker.sources.lines import LINE_LIMIT

_SPACE: Final = r" \t\r\v\f\x1a\x1e\xa0\u200b\u2028\u2029\ufeff"
_WHITE: Final = re.compile(r"[ \t\r\n]*+")
_BETWEEN: Final = re.compile(rf"[{_SPACE}\n,]*+")
_IN_LINE: Final = re.compile(rf"[{_SPACE},]*+")
_LIST: Final = re.compile(rf"\[[{_SPACE}\n]*+(?:[{{\]]|\Z)")
_STRAY: Final = re.compile(rf"[\]{_SPACE},]++")
_RUN: Final = rf"[{_SPACE}\n,\[\]]"
_JOB: Final = r'(?=\{[ \t\r\n]*+"(?:id|kind|links|mode|key)"[ \t\r\n]*+:)'
_JOB_BEGINS: Final = re.compile(rf"\}}{_RUN}*+{_JOB}|(?<!{_RUN})(?<!\}}){_RUN}++{_JOB}")
_LINE_END: Final = re.compile(r"[}\n\x1e]")
_JOB_LINE: Final = re.compile(r"\n[ \t,]*+(\{[^\n]*\})")
_PARTS: Final = 12
"""Characters that a number, a word or an escape may lack at the end of what was read so far."""
_LAST_PART: Final = re.compile(rf"[^\s{{}}\[\]]{{0,{_PARTS}}}\s*\Z")
_OVERLAP: Final = 200
"""Characters of a job over the limit that are kept, because the next one may begin across what is read at a time."""
_decode: Final = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode  # of any number of digits

_CUT: Final = "it ends too early"
_PLAINLY: Final = {
    "Expecting ',' delimiter": "a comma or a closing bracket is missing",
    "Expecting ':' delimiter": "a colon is missing",
    "Expecting value": "a value is missing or invalid",
    "Expecting property name enclosed in double quotes": "a key in double quotes is missing",
    "Illegal trailing comma before end of object": "a key is missing after the comma",
    "Illegal trailing comma before end of array": "a value is missing after the comma",
    "Unterminated string starting at": "a quote is not closed",
    "Invalid control character at": "a text contains a line break, a tab or another control character",
}


@dataclass
class _Fault:
    """Why the text stops being JSON at a place, and whether it may go on in what was not read yet."""

    message: str
    place: int
    is_cut: bool = False
    reach: int = 0
    """How far the text was looked at, if that is further than the place."""


class JsonStream:
    """The jobs of a stream where its lines are not one JSON object each.

    Args:
        stream: UTF-8, with lines that end in a line feed.
    """

    def __init__(self, stream: BinaryIO, source: str, reading: Reading) -> None:
        self._window = Window(stream)
        self._source = source
        self._reading = reading
        self._list: int | None = None  # the line on which the current list began
        self._may_have_ended = False  # the list, in text that is not JSON
        self._has_no_end = False  # the list, because the stream ends inside of one of its values
        self._is_pretty = False  # the last job stood on several lines
        self._apart_before = 0  # lines before this one are not joined, because that was tried

    @property
    def line_after(self) -> int:
        """The number of the line that follows what was read."""
        return self._window.line_after

    def note_job(self) -> None:
        """Take in that a job was read that stood on a line of its own."""
        self._is_pretty = self._may_have_ended = False

    def entries(self, first: bytes, line: int) -> Iterator[Entry]:
        """Yield the jobs of a line, and of further lines until one ends together with a job.

        Args:
            first: the line, or its first 1,000,001 bytes.
            line: its number.
        """
        window = self._window
        window.open(first, line)
        while True:
            window.at = _end(_BETWEEN, window.text, window.at)
            window.trim()
            if not window.size:
                if window.ends_with_line or window.is_all:
                    return
                window.extend()
            elif (is_end := window.text[window.at] == "]") or _LIST.match(window.text, window.at):
                if self._has_no_end:  # a list inside of the value that is cut off
                    window.at += 1
                elif is_end:
                    yield from self._end_list()
                else:
                    yield from self._begin_list()
            else:
                yield self._next()

    def unfinished(self) -> Iterator[Entry]:
        """Yield a rejection if a list has no end, because any job may be missing then."""
        if self._list is not None and (self._has_no_end or not self._may_have_ended):
            why = "the list that begins here has no end: the file is cut off, so rows are missing; export it again"
            yield Entry(self._source, self._list, Rejection(why))
        self._list = None

    def _begin_list(self) -> Iterator[Entry]:
        window = self._window
        yield from self.unfinished()
        self._list = window.line_at(window.at)
        self._may_have_ended = False
        window.at += 1

    def _end_list(self) -> Iterator[Entry]:
        window = self._window
        if self._list is not None:
            self._list = None
            window.at += 1
            return
        why = "a list ends here but begins nowhere, so rows may be missing; export the file again"
        yield Entry(self._source, window.line_at(window.at), Rejection(why))
        window.at = _end(_STRAY, window.text, window.at)

    def _next(self) -> Entry:
        """Return the entry of the value that begins here, and go on behind it."""
        window = self._window
        while True:
            end, fault = self._look()
            if fault is None:
                break
            if not fault.is_cut or window.is_all or window.size > LINE_LIMIT:
                return self._reject(fault)
            window.extend()
        start, line = window.at, window.line_at(window.at)
        data = window.text[start:end].encode(errors="surrogateescape")
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            return self._reject(_Fault(error.msg, start + error.pos))
        if len(data) > LINE_LIMIT:
            return self._reject_long()
        is_pretty = b"\n" in data
        if is_pretty and self._holds_job(start, end):
            self._is_pretty = False
            return self._reject(_Fault(_CUT, window.text.index("\n", start)))
        window.at = end
        if not isinstance(value, dict):
            return read_entry(self._source, line, value, self._reading)
        self._is_pretty, self._may_have_ended = is_pretty, False
        return read_object(self._source, line, data, value, self._reading)

    def _look(self) -> tuple[int, _Fault | None]:
        """Find where the value that begins here ends, and what is wrong with it or behind it in its line."""
        window = self._window
        text, start = window.text, window.at
        line_end = text.find("\n", start) + 1
        is_apart = line_end > 0 and window.line_at(start) < self._apart_before
        try:
            end = start + _decode(text[start:line_end])[1] if is_apart else _decode(text, start)[1]
        except json.JSONDecodeError as error:
            place = error.pos + start if is_apart else error.pos
            is_cut = _end(_WHITE, text, place) == len(text)
            if not window.ends_with_line:
                is_cut |= error.msg.startswith("Unterminated") or place >= len(text) - _PARTS
            return start, _Fault(error.msg, place, is_cut and not is_apart)
        except RecursionError:
            return start, _Fault("it is nested too deep", start, reach=line_end if is_apart else len(text))
        behind = _end(_IN_LINE, text, end)
        if behind == len(text):  # cut off, as lines end with a line feed
            return end, None if window.is_all else _Fault(_CUT, end, is_cut=True)
        return end, None if text[behind] in "{[]\n" else _Fault("unexpected text after the row", behind)

    def _holds_job(self, start: int, end: int) -> bool:
        """Whether a line inside of a value is a job on its own, so that the value may have lost its end."""
        for match in _JOB_LINE.finditer(self._window.text, start, end):
            try:
                value = orjson.loads(match[1])
            except orjson.JSONDecodeError:
                continue
            if isinstance(value, dict) and {"id", "links"} <= value.keys():
                return True
        return False

    def _reject(self, fault: _Fault) -> Entry:
        """Reject what begins here, and go on where the next job may begin."""
        window = self._window
        place = fault.place - window.at
        by_line = not self._is_in_pretty()
        if by_line:
            self._apart_before = max(self._apart_before, window.line_at(max(fault.place, fault.reach)))
        while (end := self._end_of_fault(by_line=by_line)) is None:
            if window.size > LINE_LIMIT:
                return self._reject_long()
            window.extend()
        line = window.line_at(window.at)
        text = window.text[window.at : end]
        message = self._why(text, _Fault(fault.message, place))
        is_open = self._is_open_at_end(fault.message, window.at + place)
        self._pass(end)
        self._has_no_end |= is_open and self._list is not None
        return self._rejection(line, message, targets_in(text, self._reading, place))

    def _is_open_at_end(self, message: str, place: int) -> bool:
        """Whether the stream ends at a fault, so that all its brackets are known and the list around is still open.

        Of a fault further up, the brackets behind it do not tell: they may be those that the job before has lost.
        """
        if not self._window.is_all:
            return False
        return message.startswith("Unterminated") or _LAST_PART.match(self._window.text, place) is not None

    def _reject_long(self) -> Entry:
        """Reject what begins here and is over the limit, without keeping more of it in memory."""
        window = self._window
        by_line = not self._is_in_pretty()
        line = window.line_at(window.at)
        targets = targets_in(window.text[window.at : self._end_of_fault(by_line=by_line)], self._reading)
        while (end := self._end_of_fault(by_line=by_line)) is None:
            window.at = max(window.at, len(window.text) - _OVERLAP)
            window.extend()
        self._pass(end)
        what, its = ("line", "its row") if by_line else ("row", "it")
        return self._rejection(line, f"the {what} is longer than {LINE_LIMIT:,} bytes; split {its} in two", targets)

    def _is_in_pretty(self) -> bool:
        """Whether what begins here is printed over several lines."""
        window = self._window
        line_end = window.text.find("\n", window.at)
        return self._is_pretty or (line_end >= 0 and window.text[window.at : line_end].rstrip() == "{")

    def _end_of_fault(self, *, by_line: bool) -> int | None:
        """Where the text that is not JSON and begins here ends; None if more must be read to know."""
        window = self._window
        text = window.text
        line_end = text.find("\n", window.at) + 1 if by_line else 0
        stop = line_end or len(text)
        brace = text.find("{", window.at + 1, stop)
        for begins in _JOB_BEGINS.finditer(text, window.at + 1, stop) if brace >= 0 else ():
            if (end := _LINE_END.search(begins[0])) is not None:
                return begins.start() + end.end()
        return line_end or (len(text) if window.is_all else None)

    def _pass(self, end: int) -> None:
        """Go on behind text that is not JSON. A list may have begun or ended in it."""
        window = self._window
        text = window.text[window.at : end].rstrip(" \t\r\n,")
        if text.startswith("[") and not text.endswith("]") and self._list is None:
            self._list = window.line_at(window.at)
        self._may_have_ended = _ends_list(text)
        window.at = end

    def _why(self, text: str, fault: _Fault) -> str:
        """Say what is wrong with text that is not JSON and begins here.

        Args:
            fault: its place is counted from the beginning of the text.
        """
        window = self._window
        text = text.rstrip(" \t\r\n")
        first, last = window.line_at(window.at), window.line_at(window.at + len(text))
        what = "the line is" if first == last else f"lines {first:,} to {last:,} are"
        invalid = next((place for place, char in enumerate(text) if "\udc80" <= char <= "\udcff"), None)
        if invalid is not None:
            place = window.at + invalid
            in_line = window.text[window.text.rfind("\n", 0, place) + 1 : place].encode(errors="surrogateescape")
            where = f"byte {len(in_line) + 1}" + ("" if first == last else f" of line {window.line_at(place):,}")
            advice = "save the file as UTF-8, or give its encoding with --encoding"
            return f"{what} not UTF-8: {where} is 0x{ord(text[invalid]) - 0xDC00:02x}; {advice}"
        is_behind = fault.place >= len(text)
        place = window.at + min(fault.place, len(text))
        why = _CUT if is_behind else _PLAINLY.get(fault.message, fault.message)
        if text[fault.place : fault.place + 1] == "'":
            why += ' (JSON needs "double quotes")'
        where = f"at column {window.column_at(place):,}"
        return f"{what} not JSON: {why} {where}" + ("" if first == last else f" of line {window.line_at(place):,}")

    def _rejection(self, line: int, message: str, targets: tuple[Target, ...]) -> Entry:
        kind, id = (targets[0].kind, targets[0].id) if len(targets) == 1 else (None, None)
        return Entry(self._source, line, Rejection(message, targets, kind=kind, id=id))


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.match(text, start)
    return match.end() if match is not None else start


def _ends_list(text: str) -> bool:
    """Whether broken text may end the list around it: its last bracket is a `]` that nothing in it opens."""
    opened: list[str] = []
    ends = False
    for _, bracket in brackets(text):
        ends = False
        if bracket in "{[":
            opened.append(bracket)
        elif opened and (opened[-1] == "{") == (bracket == "}"):
            opened.pop()
        else:
            ends = bracket == "]"
    return ends
