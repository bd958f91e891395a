"""Files that are no job files are named as what they are, before anything is read as a row."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pytest

from linker import UsageError
from linker.sources import JobFile, Reading
from linker.sources.shapes import what_is


def workbook() -> bytes:
    """The bytes of a workbook."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr("[Content_Types].xml", "<Types/>")
        file.writestr("xl/workbook.xml", "<workbook/>")
    return made.getvalue()


RESULT = b'{"job":0,"line":1,"source":"a","key":null,"status":"linked","finished_at":"2026-01-01T00:00:00.000Z"}\n'


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", workbook(), "is an Excel workbook; open it in Excel and save it as CSV UTF-8"),
        ("a.csv", gzip.compress(b"id,field,record_ids\n"), "gunzip -c .*a.csv | linker run - --format csv"),
        ("a.jsonl", gzip.compress(b"{}\n"), "linker run - --format jsonl"),
        ("a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "is an Excel workbook"),
        ("a.csv", b"PAR1" + bytes(20), "is a Parquet file"),
        ("a.json", b"SQLite format 3\x00", "is an SQLite database"),
        ("a.csv", b"%PDF-1.7", "is a PDF"),
        ("a.csv", b"PK\x03\x04" + bytes(60), "is a zip archive"),
        ("a.csv", b"\xef\xbb\xbf<!DOCTYPE html>\n<table>", "is HTML or XML"),
        ("a.json", b"<?xml version='1.0'?>", "is HTML or XML"),
        ("a.jsonl", RESULT, "is a results file of linker, not a job file. To take its run back: linker undo .*a.jsonl"),
        ("a.jsonl", b'{"process":12}\n', "is the journal of a run"),
        ("a.csv", b'{"id":"PRJ1-1","links":{"a":[]}}\n', "is JSON, not a table"),
        ("a.csv", b'[\n  {"id":"PRJ1-1"}]', "is JSON, not a table"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value[:20],
)
def test_a_file_that_is_something_else_is_named(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    """Whether it is looked at beforehand or comes through a pipe."""
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(UsageError, match=message):
        JobFile(path).check()
    format = "csv" if name.endswith(".csv") else "jsonl"
    with pytest.raises(UsageError, match=message.replace(".*", "")[:20]):
        list(JobFile("a", format=format, stream=io.BytesIO(data))._read(Reading()))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.xlsx", "a workbook: save it as CSV UTF-8"),
        ("a.csv.gz", "compressed: unpack it first"),
        ("a.parquet", "a Parquet file"),
        (".", "this is a folder; name a file in it"),
        ("a.txt", "is it JSONL or CSV"),
    ],
)
def test_a_suffix_that_is_not_known_is_named(tmp_path: Path, name: str, message: str) -> None:
    """And what to do."""
    with pytest.raises(UsageError, match=message):
        JobFile(tmp_path / name)


@pytest.mark.parametrize(
    "data", [b"", b"id,field,record_ids\n", b"{", b"\n\n", b"\xff\xfei\0d\0", b"PRJ1", b"Objects,a\n"]
)
@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_other_beginnings_are_read(data: bytes, format: str) -> None:
    """They may be those of a job file."""
    assert what_is(data, "a", format) is None  # type: ignore[arg-type]
