"""The shapes of tables that spreadsheets and other programs write."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linker import LinkJob, Target, UsageError
from linker.model.name import Name
from linker.sources import Columns, Entry, Reading, Rejection
from linker.sources.csv import read_table

HEADER = "id,field,record_ids,mode,key\n"
JOB = LinkJob("PRJ1-1", {"customers": ["1"]})
CRM = Columns({"id": "Aha Ref", "record_names": "Account Name"}, {"field": "customers"})


def read(text: str | bytes, columns: Columns | None = None, *, empty_clears: bool = False) -> list[Entry]:
    """The entries of a table."""
    data = text.encode() if isinstance(text, str) else text
    return list(read_table(io.BytesIO(data), "links.csv", Reading(empty_clears), columns))


def message(entry: Entry) -> str:
    """Why a row is rejected."""
    assert isinstance(entry.value, Rejection), entry
    return entry.value.message


@pytest.mark.parametrize(
    "row", ["PRJ1-1,customers,1", "PRJ1-1,customers,1,", "PRJ1-1,customers,1,,,,,", '"PRJ1-1",customers,1']
)
def test_a_row_may_end_early_or_late_by_empty_cells(row: str) -> None:
    """Excel leaves empty cells out at the end of a row, or writes more of them than the header has."""
    assert [entry.value for entry in read(f"{HEADER}{row}\n{row}\n")] == [JOB, JOB]


@pytest.mark.parametrize("row", ["PRJ1-1,customers", "PRJ1-1"])
def test_a_row_without_its_records_clears_nothing(row: str) -> None:
    """A cell that is missing is not an empty cell, even with `--empty-clears`."""
    (entry,) = read(f"{HEADER}{row}\n", empty_clears=True)
    assert "is missing" in message(entry)
    assert isinstance(entry.value, Rejection)
    assert entry.value.targets == (JOB.target,)


def test_one_of_two_columns_of_records_may_be_missing() -> None:
    """If the other one is filled."""
    header = "id,field,record_ids,record_names\n"
    assert [entry.value for entry in read(f"{header}PRJ1-1,customers,1\n")] == [JOB]
    assert 'column "record_names" is missing' in message(read(f"{header}PRJ1-1,customers,\n")[0])


@pytest.mark.parametrize(
    ("row", "targets"),
    [
        ("x1007868956,640362830", []),
        ("xPRJ1-1,customers,1", []),
        ("x,PRJ1-1;customers,1", ["PRJ1-1"]),
        ("x,1007868956,1", []),
    ],
)
def test_a_short_row_whose_id_is_not_certain_is_rejected(row: str, targets: list[str]) -> None:
    """A delimiter may be missing before the id or behind it, so that another cell stands in its place."""
    columns = Columns({"id": "Ref", "record_ids": "Ids"}, {"field": "customers", "kind": "feature"})
    (entry,) = read(f"Note,Ref,Ids,Owner\n{row}\n", columns)
    assert isinstance(entry.value, Rejection)
    assert [target.id for target in entry.value.targets] == targets


def test_two_rows_without_a_line_end_between_them_hold_back_both_lists() -> None:
    """The id of the second is at the end of a cell."""
    (entry,) = read("id,field,record_ids\nPRJ1-1,customers,1PRJ1-2,customers,2\n")
    assert isinstance(entry.value, Rejection)
    assert entry.value.targets == (Target.parse("PRJ1-1"), Target.parse("PRJ1-2"))


def test_columns_that_are_not_mapped_may_be_missing() -> None:
    """And cells beyond the header are passed over if they are empty."""
    table = "Account Name,Aha Ref,Owner,Notes\nAcme,PRJ1-1\nAcme,PRJ1-1,Mary,x,,\n"
    assert [entry.value for entry in read(table, CRM)] == [LinkJob("PRJ1-1", {"customers": [Name("name", "Acme")]})] * 2


def test_a_short_row_that_a_line_break_may_have_torn_is_rejected() -> None:
    """If the next line is no row: the rest of the first may have said `remove`."""
    first, second, third = read(f"{HEADER}PRJ1-1,customers,1\nx,remove\nPRJ1-2,customers,1\n")
    assert "line 3 may be the rest of it" in message(first)
    assert isinstance(first.value, Rejection)
    assert first.value.targets == (JOB.target,)
    assert isinstance(second.value, Rejection)
    assert isinstance(third.value, LinkJob)


@pytest.mark.parametrize("end", ["", "1"])
def test_a_last_line_without_its_end_is_cut_off(end: str) -> None:
    """Its last cell may be the beginning of another one; the cells before it are whole."""
    *_, last = read(f"{HEADER}PRJ1-1,customers,1\nPRJ1-1,cust{end}")
    assert "the file may be cut off" in message(last)
    assert isinstance(last.value, Rejection)
    assert last.value.targets == (JOB.target,)
    *_, last = read(f"{HEADER}PRJ1-1,customers,1\nPRJ1-1")
    assert isinstance(last.value, Rejection)
    assert last.value.may_be_anywhere


def test_a_whole_last_line_needs_no_line_end() -> None:
    """With all of its cells it is a row as any other."""
    assert read(f"{HEADER}PRJ1-1,customers,1,,")[0].value == JOB


@pytest.mark.parametrize(
    ("row", "target"),
    [("Harbor, Inc,PRJ1-1,x", "PRJ1-1"), ("A, B, C,PRJ1-1,x", "PRJ1-1"), ("Harbor, PRJ1-2,x,y", "PRJ1-2")],
)
def test_a_row_of_too_many_cells_tells_its_target_from_either_end(row: str, target: str) -> None:
    """An unquoted comma before the id moves it."""
    (entry,) = read(f"Account Name,Aha Ref,Notes\n{row}\n", CRM)
    assert "put quotes around" in message(entry)
    assert isinstance(entry.value, Rejection)
    assert entry.value.targets == (Target.parse(target),)


@pytest.mark.parametrize(
    "row", ["PRJ1-1,customers,1,2,", "PRJ1-1,customers,1, 2,", "PRJ1-1,customers,A, Inc,", "PRJ1-1,PRJ1-2,customers,1,"]
)
def test_a_list_that_a_delimiter_may_have_cut_in_two_is_not_guessed(row: str) -> None:
    """An empty cell too many is not only a spreadsheet's: the rest of the list may stand in the next column."""
    header = "id,field,record_names,key" if "Inc" in row else "id,field,record_ids,key"
    (entry,) = read(f"{header}\n{row}\n")
    assert "may belong to" in message(entry)


@pytest.mark.parametrize("header", ["id,field,record_ids,", "id,field,record_ids,,,", "id,field,record_ids, "])
def test_columns_without_a_name_at_the_end_are_passed_over(header: str) -> None:
    """If their cells are empty, too."""
    good, bad = read(f"{header}\nPRJ1-1,customers,1,,\nPRJ1-1,customers,1,2\n")
    assert good.value == JOB
    assert "4 cells, but the header has 3" in message(bad)


def test_a_first_column_without_a_name_is_an_index() -> None:
    """As `DataFrame.to_csv` writes it."""
    assert read(",id,field,record_ids\n0,PRJ1-1,customers,1\n")[0].value == JOB


@pytest.mark.parametrize("sep", ["sep=;", "SEP=;", '"sep=;"', "sep=;;;", "\ufeffsep=;"])
def test_excel_s_line_of_the_delimiter_is_gone_by(sep: str) -> None:
    """The lines are counted with it."""
    (entry,) = read(f"{sep}\r\nid;field;record_ids\r\nPRJ1-1;customers;1\r\n")
    assert (entry.line, entry.value) == (3, JOB)
    with pytest.raises(UsageError, match=r"^links\.csv line 2: the columns are a;"):
        read(f"{sep}\na\n")


@pytest.mark.parametrize("delimiter", ["|", "^", ":", "\t"])
def test_the_delimiter_may_be_any_character(delimiter: str) -> None:
    """If that line says so."""
    table = f"sep={delimiter}\nid,field,record_ids\nPRJ1-1,customers,1\n"
    head, _, rest = table.partition("\n")
    assert read(f"{head}\n{rest.replace(',', delimiter)}")[0].value == JOB


def test_bars_may_delimit() -> None:
    """They are noticed as other delimiters are."""
    assert read("id|field|record_ids\nPRJ1-1|customers|1\n")[0].value == JOB


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n", "\r\r\n"])
@pytest.mark.parametrize("last", ["", "end"])
def test_lines_end_as_any_system_ends_them(end: str, last: str) -> None:
    """Each row has the number of its line, and what stands in quotes stays as it is."""
    rows = ["id,field,record_ids,key", 'PRJ1-1,customers,1,"a', 'b"', "PRJ1-2,customers,1,"]
    entries = read(end.join(rows) + (end if last else ""))
    assert [entry.value for entry in entries] == [
        LinkJob("PRJ1-1", {"customers": ["1"]}, key=f"a{end}b"),
        LinkJob("PRJ1-2", {"customers": ["1"]}),
    ]
    assert [entry.line for entry in entries] == [2, 4]


def test_line_ends_may_be_mixed() -> None:
    """A CR alone ends a row in a file of other line ends, too; editors do not count it there."""
    entries = read("id,field,record_ids\r\nPRJ1-1,customers,1\rPRJ1-2,customers,1\nPRJ1-3,customers,1\n")
    assert [entry.line for entry in entries] == [2, 2, 3]
    assert [entry.value.id for entry in entries] == ["PRJ1-1", "PRJ1-2", "PRJ1-3"]


@pytest.mark.parametrize("row", ["PRJ1-1,customers,1\r2,k", "PRJ1-1,customers,1,a\rb", "PRJ1-1,customers,1,\rb"])
def test_a_line_break_in_a_cell_without_quotes_costs_its_row(row: str) -> None:
    """If it is not how lines end in this file, it is more likely to be part of a cell."""
    first, second, last = read(f"id,field,record_ids,key\n{row}\nPRJ1-2,customers,1,k\n")
    assert isinstance(first.value, Rejection)
    assert first.value.targets == (JOB.target,)
    assert isinstance(second.value, Rejection)
    assert last.value == LinkJob("PRJ1-2", {"customers": ["1"]}, key="k")


def test_a_header_may_have_line_breaks_in_quotes() -> None:
    """The rows are counted with them."""
    columns = Columns({"id": "Aha Ref", "record_names": "Account Name"}, {"field": "customers"})
    (entry,) = read('"Account\nName","Aha\r\n\r\nRef"\nAcme,PRJ1-1\n', columns)
    assert (entry.line, entry.value) == (5, LinkJob("PRJ1-1", {"customers": [Name("name", "Acme")]}))


def test_invisible_characters_in_a_header_do_not_hide_a_column() -> None:
    """A second byte order mark, or a zero-width space."""
    assert read("\ufeff\ufeffid,field\u200b,record_ids\nPRJ1-1,customers,1\n")[0].value == JOB


def test_what_cannot_be_seen_is_no_row() -> None:
    """An end-of-file mark of DOS, a line of a byte order mark."""
    assert [entry.value for entry in read(f"{HEADER}PRJ1-1,customers,1\n\ufeff\n\x1a")] == [JOB]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<table>" + "<tr><td>x</td></tr>" * 40_000 + "</table>", "this is HTML, not a table"),
        ("<!DOCTYPE html>\n<html>", "this is HTML"),
        ('<?xml version="1.0"?>\n<Workbook/>', "this is XML"),
        ("\ufeff <html>", "this is HTML"),
        (
            '{"id": "PRJ1-1", "links": {}}\n',
            "this is JSON, not a table; if it has one object on each line, rename it to .jsonl",
        ),
        ('[{"id": "PRJ1-1"}]', "this is JSON"),
        ("[\n  {", "this is JSON"),
        (",".join(f"column {number}" for number in range(16_384)), "column 9 and 16,374 more; linker needs"),
        ("x" * 5_000_000, "xxx…; linker needs"),
        ("x\0" * 40, "); the file looks like utf-16-le: add --encoding utf-16-le"),
    ],
)
@pytest.mark.parametrize("columns", [None, CRM])
def test_a_first_line_that_is_no_header_is_told_in_some_hundred_characters(
    text: str, said: str, columns: Columns | None
) -> None:
    """With what it is instead."""
    with pytest.raises(UsageError, match=r"^links\.csv line 1: ") as error:
        read(text, columns)
    assert len(str(error.value)) < 600
    assert said in str(error.value) or (columns is not None and "needs" in said)


def test_a_row_over_the_limit_tells_its_target() -> None:
    """The id stands before what is too long."""
    (entry,) = read(f"{HEADER}PRJ1-1,customers,1,,{'x' * 3_000_000}\n")
    assert "longer than 1,000,000 bytes" in message(entry)
    assert isinstance(entry.value, Rejection)
    assert entry.value.targets == (JOB.target,)


# --- whatever comes

CELL = st.text(alphabet="ab \",;\n\r\t|'é", max_size=6)


@given(
    st.lists(st.tuples(CELL, st.integers(1, 999), CELL), max_size=5),
    st.sampled_from(",;\t"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
@settings(max_examples=150)
def test_a_table_of_any_dialect_is_read_as_it_was_written(
    rows: list[tuple[str, int, str]], delimiter: str, end: str, quoting: int, encoding: str
) -> None:
    """Cells, delimiters, line ends and encodings of the csv module come back, each row on its line."""
    out = io.StringIO(newline="")
    if end != "\r\n" and any(char in f"{note}{key}" for note, _, key in rows for char in "\r\n"):
        quoting = csv.QUOTE_ALL  # else Python below 3.13 does not quote the other line end
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=quoting)  # type: ignore[arg-type]
    writer.writerow(["Note", "id", "field", "record_ids", "key"])
    expected = []
    for note, number, key in rows:
        written = out.getvalue()
        ends = re.findall(r"\r{0,2}\n|\r", written) if end == "\r" else re.findall("\n", written)
        line = len(ends) + 1
        expected.append((line, LinkJob(f"PRJ1-{number}", {"customers": [str(number)]}, key=key.strip() or None)))
        writer.writerow([note, f"PRJ1-{number}", "customers", number, key])
    columns = Columns({name: name for name in ("id", "field", "record_ids", "key")}, {})
    entries = read(out.getvalue().encode(encoding), columns)
    assert [(entry.line, entry.value) for entry in entries] == expected


LINE = st.one_of(
    st.integers(1, 5).map(lambda number: f"PRJ1-{number},customers,{number},k"),
    st.integers(1, 5).map(lambda number: f'PRJ1-{number},"customers","{number}","a\nb"'),
    st.sampled_from(
        ["PRJ1-1,customers,1", "PRJ1-2,customers", "PRJ1-3,customers,1,,", "Total", "", ",,,", "x y", "é,ü"]
    ),
)


@given(
    st.lists(LINE, min_size=1, max_size=8),
    st.lists(
        st.tuples(st.integers(0, 300), st.sampled_from(['"', "\xe9", ",", "\n", "\r", "\0", "", "\u200b"])), max_size=3
    ),
    st.booleans(),
)
@settings(max_examples=300)
def test_no_row_vanishes_wherever_faults_stand(lines: list[str], faults: list[tuple[int, str]], ends: bool) -> None:
    """Each line that is not blank belongs to an entry: to that of its own, or to one above whose quotes reach it.

    A target of a line that is whole is a job's or a rejection's, unless quotes of a job hold the line.
    """
    text = "\n".join(lines) + "\n" * ends
    for at, fault in faults:
        at %= len(text) + 1
        text = text[:at] + fault + text[at:]
    entries = read(b"id,field,record_ids,key\n" + text.encode("latin-1", "replace"))
    numbers = [entry.line for entry in entries]
    assert numbers == sorted(numbers)
    for number, line in enumerate(text.split("\n"), start=2):
        if not line.strip(', "\r\x1a'):
            continue
        above = [entry for entry in entries if entry.line <= number]
        assert above, line
        if above[-1].line < number:
            assert text.split("\n")[above[-1].line - 2].count('"') > 0
    told = {
        target
        for entry in entries
        for target in ((entry.value.target,) if isinstance(entry.value, LinkJob) else entry.value.targets)
    }
    if '"' not in text and "\r" not in text:
        whole = [line.split(",") for line in text.split("\n")[: None if ends else -1]]
        assert {Target.parse(cells[0]) for cells in whole if cells[0] in {f"PRJ1-{n}" for n in range(1, 6)}} <= told
