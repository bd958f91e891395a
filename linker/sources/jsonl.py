"""Reads JSON Lines: UTF-8, one job per line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import orjson

from linker.sources.entry import Entry, Reading, Rejection, read_entry
from linker.sources.lines import LINE_LIMIT, numbered_lines


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


def _why_no_json(line: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        line.decode()
    except UnicodeDecodeError as broken:
        return f"the line is not UTF-8: byte {broken.start + 1} is 0x{line[broken.start]:02x}; save the file as UTF-8"
    return f"the line is not JSON: {error.msg} at column {error.colno}"
