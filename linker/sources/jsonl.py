"""Reads JSON Lines: UTF-8, one job per line."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import BinaryIO, Final

import orjson

from linker.sources.entry import Entry, Reading, Rejection, read_entry

LINE_LIMIT: Final = 1_000_000
"""Bytes of one line at most. A longer line is rejected, so that a file without line ends cannot fill the memory."""


def read_jsonl(stream: BinaryIO, source: str, reading: Reading) -> Iterator[Entry]:
    """Yield one entry for each line that is not blank."""
    for number, line in numbered_lines(stream):
        if line is None:
            yield Entry(source, number, Rejection(f"the line is over {LINE_LIMIT:,} bytes; split its job in two"))
            continue
        if line.isspace():
            continue
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield Entry(source, number, Rejection(_why_no_json(line, error)))
        else:
            yield read_entry(source, number, value, reading)


def numbered_lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Yield each line with its number from 1; None instead of a line over the limit. A leading BOM is dropped."""
    number = 0
    while line := stream.readline(LINE_LIMIT + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if len(line) > LINE_LIMIT:
            while line and not line.endswith(b"\n"):
                line = stream.readline(LINE_LIMIT)
            yield number, None
        elif line:
            yield number, line


def _why_no_json(line: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        line.decode()
    except UnicodeDecodeError as broken:
        return f"the line is not UTF-8: byte {broken.start + 1} is 0x{line[broken.start]:02x}; save the file as UTF-8"
    return f"the line is not JSON: {error.msg} at column {error.colno}"
