"""Files that are no job files are named as what they are, before anything is read as a row."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def ods() -> bytes:
    """The bytes of a spreadsheet of LibreOffice."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
    return made.getvalue()


LONG_RESULT = b'{"job":0,"line":1,"source":"a","key":"' + b"x" * 100_000
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
        ("a.jsonl", RESULT, "is a results file, not a job file. To undo its run: linker undo .*a.jsonl"),
        ("a.jsonl", b'{"process":12}\n', "is the journal of a run"),
        ("a.csv", b'{"id":"PRJ1-1","links":{"a":[]}}\n', "is JSON, not a table"),
        ("a.csv", b'[\n  {"id":"PRJ1-1"}]', "is JSON, not a table"),
        ("a.csv", '{"id":"PRJ1-1"}'.encode("utf-16"), "is JSON, not a table"),
        ("a.csv", RESULT, "is a results file"),
        ("a.jsonl", LONG_RESULT, "is a results file"),
        ("a.jsonl", b"id,field,record_ids\n", "is a table, not JSON; rename it to .csv"),
        (
            "a.json",
            b'\xef\xbb\xbf"Aha Ref";"Account"\r\n"PRJ1-1";"Acme"\r\n',
            "is a table, not JSON; rename it to .csv",
        ),
        ("a.json", b'{"jobs":[{"id":"PRJ1-1"}]}', "with the rows under \"jobs\"; extract them: jq -c '.jobs\\[\\]' "),
        ("a.json", b'{\n "count": 2,\n "page": {"id": 1},\n "my rows": [\n  {"kind": "', 'jq -c \'.\\["my rows"\\]'),
        (
            "a.json",
            '{"id":"PRJ1-1"}'.encode("utf-16-le"),
            "is UTF-16-LE without a byte order mark; add --enc",
        ),
        ("a.csv", ods(), "is an OpenDocument spreadsheet; open it in LibreOffice"),
        ("a.csv", bytes(257) + b"ustar", "is a tar archive"),
        ("a.json", b"{\\rtf1\\ansi", "is a word processor document"),
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
    with pytest.raises(UsageError, match=message[:20].removesuffix("\\")):
        list(JobFile("a", format=format, stream=io.BytesIO(data))._read(Reading()))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.xlsx", "a workbook: save it as CSV UTF-8"),
        ("a.csv.gz", "compressed: unpack it first"),
        ("b.jsonl.gz", "this is a gzip file; unpack it first: gunzip -c .*b.jsonl.gz | linker run - --format jsonl"),
        ("b c", "this is an Excel workbook"),
        ("a.parquet", "a Parquet file"),
        (".", "this is a folder; give the files in it"),
        ("a.txt", "linker cannot tell whether this is JSONL or CSV"),
    ],
)
def test_a_suffix_that_is_not_known_is_named(tmp_path: Path, name: str, message: str) -> None:
    """By its content, or by its suffix alone if there is no such file; and what to do."""
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b"{}"))
    (tmp_path / "b c").write_bytes(workbook())
    with pytest.raises(UsageError, match=message):
        JobFile(tmp_path / name)


def test_a_command_quotes_names_and_reads_standard_input_through_a_pipe() -> None:
    """It can be copied into a shell."""
    data = gzip.compress(b"{}")
    assert what_is(data, "my file.gz", "csv") == (
        "a gzip file; unpack it first: gunzip -c 'my file.gz' | linker run - --format csv"
    )
    with pytest.raises(UsageError, match=r"^standard input is a gzip file; unpack it first: … \| gunzip -c \| linker"):
        list(JobFile("-", stream=io.BytesIO(data))._read(Reading()))


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{", b"\n\n", b"\xff\xfei\0d\0", b"PRJ1", b"Objects,a\n", b"ORCHID,field\n", b"BZ,a"),
        b'{"id":"PRJ1-1","links":{"customers":[{"name":"Acme"}]}',
        b'{"links":{"a":[{"id":"1"}]},"id":"PRJ1-1"}',
        b'{"customers":[{"name":"Acme"}],"id":"PRJ1-1"}',
        b'"id":"PRJ1-1","links":{}}\n{"id":"PRJ1-2"}',
        b'garbage, more\n{"id":"PRJ1-2","links":{}}',
    ],
)
def test_other_beginnings_are_read_as_json(data: bytes) -> None:
    """They may be those of a job file, whose broken lines cost only themselves."""
    assert what_is(data, "a", "jsonl") is None


@pytest.mark.parametrize(
    "data", [b"", b"id,field,record_ids\n", b"{", b"\n\n", b"\xff\xfei\0d\0", b"BZ,a", b"FEATURE,a\n"]
)
def test_other_beginnings_are_read_as_a_table(data: bytes) -> None:
    """They may be those of a table."""
    assert what_is(data, "a", "csv") is None


def test_an_encoding_that_is_named_is_no_fault() -> None:
    """The text is looked at in it."""
    data = '{"id":"PRJ1-1","links":{}}'.encode("utf-16-le")
    assert what_is(data, "a", "jsonl", "utf-16-le") is None
    assert "is JSON, not a table" in f"it is {what_is(data, 'a', 'csv', 'utf-16-le')}"


@pytest.mark.parametrize("data", [b'{"' + b'\\"' * 32_000, b" " * 65_000, b"[" * 65_000, b'{"a":[' * 10_000])
def test_any_beginning_is_looked_at_in_linear_time(data: bytes) -> None:
    """Input made to be looked at again and again."""
    assert what_is(data, "a", "jsonl") is None


@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode), st.sampled_from(["csv", "jsonl"]))
def test_any_beginning_has_an_answer(data: bytes, format: str) -> None:
    """Nothing raises, and what is said can be printed."""
    what = what_is(data, "a", format)  # type: ignore[arg-type]
    assert what is None or what.isprintable()
