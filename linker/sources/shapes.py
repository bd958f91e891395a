"""Says what a file is that is no job file, by its first bytes, and what to do about it."""

from __future__ import annotations

import codecs
import re
import shlex
from collections.abc import Sequence
from typing import Final, Literal

from linker.text import plain

_CONVERT: Final = "convert it to CSV or JSON Lines first"
_EXCEL: Final = "an Excel workbook; open it in Excel and save it as CSV UTF-8"
_MAGIC: Final[Sequence[tuple[bytes, str]]] = (
    (b"\x1f\x8b", "a gzip file; unpack it first: {gunzip}"),
    (b"BZh", "a bzip2 file; unpack it first: {bunzip2}"),
    (b"\xfd7zXZ\x00", "an xz file; unpack it first: {xz -d}"),
    (b"\x28\xb5\x2f\xfd", "a zstd file; unpack it first: {zstd -d}"),
    (b"\x04\x22\x4d\x18", "an lz4 file; unpack it first: {lz4 -d}"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (b"Rar!\x1a\x07", "a RAR archive; unpack it first"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", f"{_EXCEL} (without a password)"),  # OLE: old files, and encrypted new ones
    (b"PAR1", f"a Parquet file; {_CONVERT}"),
    (b"ORC\x0a", f"an ORC file; {_CONVERT}"),
    (b"ORC\x08", f"an ORC file; {_CONVERT}"),
    (b"Obj\x01", f"an Avro file; {_CONVERT}"),
    (b"ARROW1\x00\x00", f"an Arrow file; {_CONVERT}"),
    (b"FEA1", f"a Feather file; {_CONVERT}"),
    (b"\x80\x04\x95", f"a Python pickle; {_CONVERT}"),
    (b"\x80\x05\x95", f"a Python pickle; {_CONVERT}"),
    (b"SQLite format 3\x00", "an SQLite database; export its rows as CSV first"),
    (b"%PDF-", "a PDF; export the table as CSV instead"),
    (b"{\\rtf", "a word processor document (RTF); save it as plain text"),
    (b"\x89PNG\r\n\x1a\n", "an image; export the table as CSV instead"),
    (b"\xff\xd8\xff", "an image; export the table as CSV instead"),
)
_ZIPPED: Final = (
    (b"xl/", _EXCEL),
    (b"opendocument.spreadsheet", "an OpenDocument spreadsheet; open it in LibreOffice and save it as CSV UTF-8"),
    (b"Index/Document.iwa", "a Numbers document; export it as CSV"),
    (b"word/", "a Word document; save the table as CSV UTF-8"),
    (b"[Content_Types].xml", _EXCEL),
)
_MARKUP: Final = re.compile(rb"\s*<(?:!doctype|html|head|body|table|\?xml|!--|[a-z]+:)", re.IGNORECASE)
_RESULT: Final = re.compile(rb'\s*\{"job":\d+,"line":(?:\d+|null),"source":')
_RESULT_KEYS: Final = (b'"job":', b'"status":', b'"finished_at":')
_JOURNAL: Final = re.compile(rb'\s*\{"(?:process|intent|done)":')
_JSON: Final = re.compile(rb'\s*+\[?\s*+\{\s*+"')
_CELLS: Final = re.compile(rb'"?[\w .#/()-]*"?(?:[,;\t]"?[\w .#/()-]*"?)+\r?\Z')
_TOKEN: Final = re.compile(r'"((?:[^"\\]|\\.)*+)"?\s*+(:?)|[{}\[\]]', re.DOTALL)
_ROWS: Final = re.compile(r'\[\s*\{\s*"(?:id|kind|links|mode|key)"\s*:')
_JOB: Final = ("id", "kind", "links", "mode", "key")
_WIDE: Final = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_MARKS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def what_is(head: bytes, name: str, format: Literal["csv", "jsonl"], encoding: str | None = None) -> str | None:
    """Return what a file is and what to do, if it cannot be a job file of this format; else None.

    Args:
        head: its first bytes.
        name: the file's name, for a command that can be copied; `-` is standard input.
        format: as which it is to be read.
        encoding: the encoding of a file without a byte order mark; None: UTF-8.
    """
    return container(head, name, format) or _text(_as_utf8(head, encoding), name, format)


def container(head: bytes, name: str, format: Literal["csv", "jsonl"]) -> str | None:
    """Return what a file is and what to do, if it is no text; else None."""
    for magic, what in _MAGIC:
        if head.startswith(magic):
            before, _, rest = what.partition(": {")
            return f"{before}: {_piped(rest.removesuffix('}'), name)} --format {format}" if rest else what
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return next((what for mark, what in _ZIPPED if mark in head), "a zip archive; unpack it first")
    return "a tar archive; unpack it first" if head[257:262] == b"ustar" else None


def _piped(command: str, name: str) -> str:
    """The command that makes a readable file of this one for linker."""
    return f"{_fed(f'{command} -c', name)} | linker run -"


def _fed(command: str, name: str) -> str:
    return f"… | {command}" if name == "-" else f"{command} {shlex.quote(name)}"


def _text(head: bytes, name: str, format: Literal["csv", "jsonl"]) -> str | None:
    """Return what a text is and what to do, if it cannot be a job file of this format; else None."""
    if _MARKUP.match(head):
        return "HTML or XML, not a table; open it in a spreadsheet and save it as CSV UTF-8"
    first = head.lstrip().partition(b"\n")[0]
    if _RESULT.match(first) or (_JSON.match(first) and all(key in first for key in _RESULT_KEYS)):
        quoted = shlex.quote(name)
        return (
            f"a results file, not a job file. To undo its run: linker undo {quoted}. "
            f"To continue its run: linker run JOBS --results {quoted} --resume"
        )
    if _JOURNAL.match(first):
        return "the journal of a run, not a job file; linker reads it when you add --resume"
    if format == "csv":
        is_json = _JSON.match(head) is not None
        return "JSON, not a table; rename it to .jsonl, or add --format jsonl for standard input" if is_json else None
    if _is_table(head):
        return "a table, not JSON; rename it to .csv, or add --format csv for standard input"
    if (encoding := _wide_json(head)) is not None:
        return f"{encoding.upper()} without a byte order mark; add --encoding {encoding}, or save it as UTF-8"
    if (key := _key_of_rows(head.decode(errors="replace"))) is not None:
        path = f".{key}[]" if key.isidentifier() and key.isascii() else f'.["{plain(key)}"][]'
        return (
            f'a single JSON object with the rows under "{plain(key)}"; extract them: '
            f"{_fed(f'jq -c {shlex.quote(path)}', name)} | linker run -"
        )
    return None


def _as_utf8(head: bytes, encoding: str | None) -> bytes:
    """The first bytes of a text in UTF-8, as its byte order mark or else its `encoding` tells."""
    for mark, by_mark in _MARKS:
        if head.startswith(mark):
            return head[len(mark) :].decode(by_mark, "replace").encode(errors="replace")
    return head if encoding is None else head.decode(encoding, "replace").encode(errors="replace")


def _is_table(head: bytes) -> bool:
    """Whether the first line is a header, with what jobs need, and no line is JSON."""
    lines = [line.strip() for line in head.splitlines() if line.strip()]
    if not lines or not _CELLS.match(lines[0]) or any(line.startswith((b"{", b"[")) for line in lines):
        return False
    cells = {cell.strip(b' "').lower() for cell in re.split(rb"[,;\t]", lines[0])}
    return len(lines) > 1 or len(cells & {b"id", b"field", b"record_ids", b"record_names"}) > 1


def _wide_json(head: bytes) -> str | None:
    """The encoding of JSON in UTF-16 or UTF-32 without a mark: its first character is ASCII (RFC 4627, 3)."""
    for encoding in reversed(_WIDE):
        if any(head.startswith(sign.encode(encoding)) for sign in "{["):
            return encoding
    return None


def _key_of_rows(text: str) -> str | None:
    """The key of a JSON object whose value is a list of jobs; None if the text does not begin with such an object."""
    if not text.lstrip().startswith("{"):
        return None
    depth, key = 0, ""
    for token in _TOKEN.finditer(text):
        sign = token[0]
        if sign[0] == '"':
            key = token[1] if token[2] and depth == 1 else key
            if depth == 1 and token[2] and key in _JOB:
                return None
        elif sign in "{[":
            if sign == "[" and depth == 1 and _ROWS.match(text, token.start()):
                return key
            depth += 1
        else:
            depth -= 1
            if depth <= 0:
                return None
    return None
