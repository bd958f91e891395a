"""Says what a file is that is no job file, by its first bytes, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

_EXCEL: Final = "an Excel workbook; open it in Excel and save it as CSV UTF-8"
_MAGIC: Final[Sequence[tuple[bytes, str]]] = (
    (b"\x1f\x8b", "a gzip file; unpack it first: gunzip -c {name} | linker run - --format {format}"),
    (b"PAR1", "a Parquet file; convert it to CSV or JSON Lines first"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _EXCEL),
    (b"BZh", "a bzip2 file; unpack it first: bunzip2 -c {name} | linker run - --format {format}"),
    (b"\xfd7zXZ\x00", "an xz file; unpack it first: xz -dc {name} | linker run - --format {format}"),
    (b"\x28\xb5\x2f\xfd", "a zstd file; unpack it first: zstd -dc {name} | linker run - --format {format}"),
    (b"SQLite format 3\x00", "an SQLite database; export its rows as CSV first"),
    (b"%PDF-", "a PDF; export the table as CSV instead"),
    (b"ORC", "an ORC file; convert it to CSV or JSON Lines first"),
    (b"Obj\x01", "an Avro file; convert it to CSV or JSON Lines first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
)
_WORKBOOK: Final = (b"xl/", b"[Content_Types].xml", b"mimetypeapplication/vnd.oasis")
_MARKUP: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|head|body|table|\?xml|!--|[a-z]+:)", re.IGNORECASE)
_RESULT: Final = (b'"job":', b'"status":', b'"finished_at":')
_JOURNAL: Final = re.compile(rb'\s*\{"(?:process|intent|done)":')
_JSON_LINE: Final = re.compile(rb'(?:\xef\xbb\xbf)?\s*\[?\s*\{\s*"')


def what_is(head: bytes, name: str, format: Literal["csv", "jsonl"]) -> str | None:
    """Return what a file is and what to do, if it can be neither a table nor JSON jobs; else None.

    Args:
        head: its first bytes.
        name: the file's name, for a command that can be copied.
        format: as which it is to be read.
    """
    for magic, what in _MAGIC:
        if head.startswith(magic):
            return what.format(name=name, format=format)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _EXCEL if any(mark in head for mark in _WORKBOOK) else "a zip archive; unpack it first"
    if _MARKUP.match(head):
        return "HTML or XML, perhaps under the name of a table; open it in a spreadsheet and save it as CSV UTF-8"
    first = head.partition(b"\n")[0]
    if format == "jsonl" and all(key in first for key in _RESULT):
        return (
            f"a results file of linker, not a job file. To take its run back: linker undo {name}. "
            f"To continue its run: linker run JOBS --results {name} --resume"
        )
    if format == "jsonl" and _JOURNAL.match(first):
        return "the journal of a run, not a job file; linker reads it by itself"
    if format == "csv" and _JSON_LINE.match(head):
        return "JSON, not a table; name it .jsonl, or add --format jsonl if it is standard input"
    return None
