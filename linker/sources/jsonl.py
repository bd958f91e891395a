"""Reads JSON jobs: one job per line (JSON Lines), and what people make of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO, Final

import msgspec
import orjson

from linker.model.job import LinkJob
from linker.sources.entry import Entry, Reading
from linker.sources.json_keys import read_object
from linker.sources.json_stream import JsonStream
from linker.sources.lines import LINE_LIMIT
from linker.sources.opening import with_line_feeds


class _PlainLine(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A line that gives the target and its records by id, and a key as text if any."""

    id: str
    links: dict[str, list[str | int]]
    kind: str | None = None
    mode: str | None = None
    key: str | None = None


_decode_plain: Final = msgspec.json.Decoder(_PlainLine).decode


def read_jsonl(stream: BinaryIO, source: str, reading: Reading) -> Iterator[Entry]:
    """Yield one entry for each job, with the line on which it begins, and for each line that is not JSON.

    Jobs may stand one a line, in a list, printed over several lines, or several on one line.

    Args:
        stream: the file as UTF-8 (`encoding.py`).
    """
    stream = with_line_feeds(stream)
    others = JsonStream(stream, source, reading)
    may_be_plain = reading.match is None  # else ids may be names
    number, readline, plain = 1, stream.readline, LinkJob.plain
    was_odd = False
    while line := readline(LINE_LIMIT + 1):
        job = None
        if may_be_plain and len(line) <= LINE_LIMIT:
            try:
                row = _decode_plain(line)
            except ValueError:
                pass
            else:
                links, kind, mode, key = row.links, row.kind, row.mode, row.key
                keys = 2 + len(links)
                if kind is not None or mode is not None or key is not None:
                    keys += (kind is not None) + (mode is not None) + (key is not None)
                if line.count(b":") == keys:  # else a key may stand there twice
                    job = plain(row.id, links, kind, mode, key)
        if job is not None:
            entry = Entry(source, number, job)
        elif (value := _object(line)) is not None:
            entry = read_object(source, number, line, value, reading)
        else:
            yield from others.entries(line, number)
            number, was_odd = others.line_after, True
            continue
        if was_odd:
            others.note_job()
            was_odd = False
        yield entry
        number += 1
    yield from others.unfinished()


def _object(line: bytes) -> dict[str, Any] | None:
    """The object that a line is; None if it is anything else, or too long."""
    if len(line) > LINE_LIMIT:
        return None
    with suppress(orjson.JSONDecodeError):
        value = orjson.loads(line)
        return value if isinstance(value, dict) else None
    return None
