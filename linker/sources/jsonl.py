"""Reads JSON jobs: one job per line (JSON Lines), and what people make of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

import orjson

from linker.sources.entry import Entry, Reading
from linker.sources.json_keys import read_object
from linker.sources.json_stream import JsonStream
from linker.sources.lines import LINE_LIMIT
from linker.sources.opening import with_line_feeds


def read_jsonl(stream: BinaryIO, source: str, reading: Reading) -> Iterator[Entry]:
    """Yield one entry for each job, with the line on which it begins, and for each line that is not JSON.

    Jobs may stand one a line, in a list, printed over several lines, or several on one line.

    Args:
        stream: the file as UTF-8 (`encoding.py`).
    """
    stream = with_line_feeds(stream)
    others = JsonStream(stream, source, reading)
    number = 1
    while line := stream.readline(LINE_LIMIT + 1):
        value = None
        if len(line) <= LINE_LIMIT:
            with suppress(orjson.JSONDecodeError):
                value = orjson.loads(line)
        if isinstance(value, dict):
            others.note_job()
            yield read_object(source, number, line, value, reading)
            number += 1
        else:
            yield from others.entries(line, number)
            number = others.line_after
    yield from others.unfinished()
