"""Tables: delimiters, quotes, rows over several lines, and what a broken row costs: itself."""

import codecs
import csv
import io
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from linker import LinkJob, Mode, Target, UsageError
from linker.sources import Entry, Reading, Rejection
from linker.sources.csv import read_table
from linker.sources.lines import LINE_LIMIT

HEADER = "kind,id,field,record_ids,mode,key\n"


def read(table: str | bytes, *, empty_clears: bool = False) -> list[Entry]:
    """The entries of a table."""
    data = table.encode() if isinstance(table, str) else table
    return list(read_table(io.BytesIO(data), "links.csv", Reading(empty_clears)))


def rows(*lines: str | bytes, empty_clears: bool = False) -> list[Entry]:
    """The entries of a table of these lines below `id,field,record_ids,key`."""
    data = [line.encode() if isinstance(line, str) else line for line in lines]
    return read(b"\n".join([b"id,field,record_ids,key", *data]), empty_clears=empty_clears)


def job(id: str = "PRJ1-1", ids: Sequence[str] = ("1",), **rest: str) -> LinkJob:
    """The job of a row."""
    return LinkJob(id, {"customers": ids}, **rest)  # type: ignore[arg-type]


def message(entry: Entry) -> str:
    """Why a row is no job."""
    assert isinstance(entry.value, Rejection)
    return entry.value.message


# --- what is read


def test_a_row_says_a_job() -> None:
    """All six columns are taken, blanks around cells are not."""
    [entry] = read(HEADER + "features, prj1-1 , customers , 640362830 , Add , crm-17 \n")
    assert entry == Entry(
        "links.csv", 2, LinkJob("PRJ1-1", {"customers": ["640362830"]}, "feature", Mode.ADD, "crm-17")
    )


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", [b"", codecs.BOM_UTF8])
def test_the_delimiter_is_noticed(delimiter: str, end: str, bom: bytes) -> None:
    """Comma, semicolon and tab, with either line end, with and without a BOM, are one table."""
    table = delimiter.join(["id", "field", "record_ids", "key"]) + end
    table += delimiter.join(["PRJ1-1", "customers", '"2;1,3"', "Zürich"]) + end
    assert read(bom + table.encode()) == [Entry("links.csv", 2, job(ids=["1", "2", "3"], key="Zürich"))]


@pytest.mark.parametrize("header", ["ID,Field,Record_IDs", ' id ,"field",record_ids', "record_ids,field,id"])
def test_columns_are_found_in_any_case_and_order(header: str) -> None:
    """The header says which column is which; the three that a job needs are enough."""
    cells = {"id": "PRJ1-1", "field": "customers", "record_ids": "1"}
    row = ",".join(cells[name.strip(' "').lower()] for name in header.split(","))
    assert [entry.value for entry in read(f"{header}\n{row}")] == [job()]


@pytest.mark.parametrize("cell", ["1;2;3", "1|2|3", '"1,2,3"', "1 2 3", '"1\n2\r\n3"', "1\t2;; 3 |", ";1;2;3"])
def test_ids_in_one_cell_stand_apart_by_any_separator(cell: str) -> None:
    """`;`, `|`, `,`, white space and line ends separate ids, also several of them."""
    assert [entry.value for entry in rows(f"PRJ1-1,customers,{cell},")] == [job(ids=["1", "2", "3"])]


@pytest.mark.parametrize("cell", ["7.03605E+18", "7,03605E+18", "1;7E18"])
def test_an_id_that_a_spreadsheet_cut_is_rejected_with_the_hint(cell: str) -> None:
    """With a decimal comma too, which separates ids otherwise."""
    [entry] = rows(f'PRJ1-1,customers,"{cell}",')
    assert "has lost its last digits in a spreadsheet; format the column as text" in message(entry)


def test_a_row_over_several_lines_stands_on_its_first() -> None:
    """Line ends inside quotes belong to the cell, and the lines are counted on."""
    first, second, third = rows('PRJ1-1,customers,1,"a\nb ""c"",\n\nd"', "PRJ1-2,customers,1,", "PRJ1-3,customers,1,")
    assert first == Entry("links.csv", 2, job(key='a\nb "c",\n\nd'))
    assert second == Entry("links.csv", 6, job("PRJ1-2"))
    assert third == Entry("links.csv", 7, job("PRJ1-3"))


def test_empty_rows_are_passed_over() -> None:
    """Blank lines and rows of nothing but delimiters are no jobs, but are counted."""
    assert rows("", ",,,", ' ,"",,', "PRJ1-1,customers,1,", "", "\r") == [Entry("links.csv", 5, job())]


def test_a_cell_of_ten_thousand_ids_is_read() -> None:
    """The csv module's own limit of 131,072 characters a cell does not hold, and is as it was afterwards."""
    usual = csv.field_size_limit()
    ids = [str(7036045937940700101 + number) for number in range(10_000)]
    assert [entry.value for entry in rows(f"PRJ1-1,customers,{';'.join(ids)},")] == [job(ids=ids)]
    assert csv.field_size_limit() == usual


# --- what is rejected, and what that costs


def test_an_empty_cell_clears_only_where_that_is_wanted() -> None:
    """Without `--empty-clears` the row is rejected with the remedy, and knows which list it would have cleared."""
    [entry] = rows("PRJ1-1,customers, ,k")
    assert entry.value == Rejection(
        'column "record_ids" is empty, which would clear the field; fill in the cell, delete the row, '
        "or allow that with --empty-clears",
        targets=(Target.parse("PRJ1-1"),),
        fields=frozenset({"customers"}),
        kind="feature",
        id="PRJ1-1",
        links={"customers": ()},
        key="k",
    )
    [entry] = rows("PRJ1-1,customers, ,k", empty_clears=True)
    assert entry.value == job(ids=[], key="k")


def test_a_bad_row_with_an_empty_cell_is_rejected_for_what_is_bad() -> None:
    """The id is what the message is about."""
    [entry] = rows("PRJ1-N-1,customers,,")
    assert "a note" in message(entry)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("PRJ1-1,customers\n", '2 cells, but the header has 4: column "record_ids" is missing'),
        ("PRJ1-1\n", '1 cell, but the header has 4: column "field" is missing'),
        ("PRJ1-1,customers,1,2,", '5 cells, but the header has 4, and "2" may belong to column "record_ids"'),
        ("PRJ1-1,customers,1,2,k", '5 cells, but the header has 4; put quotes around a cell that contains a ","'),
        ("PRJ1-1,customers,1,2,3,", "6 cells, but the header has 4; put quotes"),
    ],
)
def test_a_row_of_too_few_or_too_many_cells_is_rejected_and_tells_its_target(row: str, said: str) -> None:
    """Unquoted ids apart by commas make such rows: the list of that target lacks them, whichever it is."""
    [entry] = rows(row)
    assert message(entry).startswith(f"the row has {said}")
    assert isinstance(entry.value, Rejection)
    assert (entry.value.targets, entry.value.fields) == ((Target.parse("PRJ1-1"),), None)


def test_a_row_without_a_known_target_is_rejected_all_the_same() -> None:
    """What the cells do not tell is None."""
    [entry] = rows("??\n")
    assert entry.value == Rejection('the row has 1 cell, but the header has 4: column "field" is missing')


def test_a_row_that_is_not_utf8_costs_itself() -> None:
    """The rows around it are read."""
    first, second, third = rows(
        "PRJ1-1,customers,1,", "PRJ1-2,customers,1,Zürich".encode("latin-1"), "PRJ1-3,customers,1,"
    )
    assert [first.value, third.value] == [job(), job("PRJ1-3")]
    assert message(second).startswith("the row is not UTF-8; the file looks like cp1252: add --encoding cp1252")


def test_a_row_over_a_megabyte_costs_itself() -> None:
    """On one line, or on many by a quote that is closed too far below, it is rejected, and what follows is read."""
    lines = '"' + ("x" * 9_999 + "\n") * 101 + '"'
    first, second, *rest, last = rows(
        "PRJ1-1,customers,1," + "x" * LINE_LIMIT, f"PRJ1-2,{lines}", "PRJ1-3,customers,1,"
    )
    assert message(first) == "the line is longer than 1,000,000 bytes; split its row in two"
    assert "a quote is not closed" in message(second)
    assert len(rest) == 101
    assert last.value == job("PRJ1-3")


STRAY = [
    '"abc',
    'PRJ1-9,customers,"1,k',
    'PRJ1-9,customers,1,"12" pipe"',
    'PRJ1-9,customers,1,"12" pipe',
    'PRJ1-9,customers,1,"a"b"c"',
    'PRJ1-9,customers,1",k',
    'PRJ1-9,customers,"1"",k',
    '"""',
    '"\xff',
]


@pytest.mark.parametrize("stray", STRAY)
@pytest.mark.parametrize("after", ["", "\n\n", '\nPRJ1-3,customers,1,"a\nb"', '\nPRJ1-3,"customers",1,6""'])
def test_a_stray_or_unclosed_quote_costs_its_line_only(stray: str, after: str) -> None:
    """The rows before and after it are read, those with quotes and over several lines included."""
    entries = rows("PRJ1-1,customers,1,", stray, "PRJ1-2,customers,1," + after)
    assert [entry.value for entry in entries if entry.line in (2, 4)] == [job(), job("PRJ1-2")]
    assert isinstance(entries[1].value, Rejection)
    assert entries[1].line == 3
    assert all(isinstance(entry.value, LinkJob) for entry in entries[2:])
    assert len(entries) == (4 if "PRJ1-3" in after else 3)


# --- headers


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("kind,id,customers", "kind, id, customers"),
        ("id,field", "id, field"),
        ("id,field,record_ids,mod", "id, field, record_ids, mod"),
        ("id,,record_ids", r"id, \(unnamed\), record_ids"),
        ("id,field,record_ids,ID", "id, field, record_ids, id"),
        ("id;field;record;ids", "id, field, record, ids"),
        ("", r"\(none\)"),
        ("\nid,field,record_ids", r"\(none\)"),
        ('"id,field,record_ids', r"\(none\)"),
        ("PRJ1-1,customers,640362830", "prj1-1, customers, 640362830"),
    ],
)
def test_columns_that_are_not_a_jobs_end_the_run_naming_found_and_wanted(header: str, found: str) -> None:
    """A column missing, unknown, unnamed or twice is a usage error: it could be a misspelt `mode`."""
    wanted = r"linker needs id, field, and record_ids or record_names, each once \(kind, mode and key are optional\)"
    with pytest.raises(UsageError, match=rf"^links.csv line 1: the columns are {found}; {wanted}"):
        read(f"{header}\nPRJ1-1,customers,1")


# --- whatever comes

ROW = st.tuples(
    st.sampled_from(["feature", "", "Features"]),
    st.sampled_from(["PRJ1-1", "prj1-2", "PRJ2-30"]),
    st.sampled_from(["customers", "a_b"]),
    st.lists(st.integers(1_000, 10**20), min_size=1, max_size=4),  # 1,100 is one number
    st.sampled_from([";", "|", ",", " ", "\n", "; ", "\r\n"]),
    st.sampled_from(["", "add", "remove", "replace"]),
    st.one_of(st.text(max_size=12), st.text(alphabet='a",;\t\r\n ', max_size=12)),
)


@given(
    table=st.lists(ROW, max_size=6),
    delimiter=st.sampled_from([",", ";", "\t"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC]),
    end=st.booleans(),
)
@settings(max_examples=250)
def test_whatever_rows_a_csv_writer_writes_come_back(
    table: list[tuple[str, str, str, list[int], str, str, str]], delimiter: str, quoting: int, end: bool
) -> None:
    """Quotes, delimiters and line ends inside cells arrive as they were, each row on the line where it starts."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting)  # type: ignore[arg-type]
    writer.writerow(["kind", "id", "field", "record_ids", "mode", "key"])
    expected: list[Entry] = []
    for kind, id, field, ids, between, mode, key in table:
        said = LinkJob(id, {field: list(map(str, ids))}, kind or None, mode or None, key.strip() or None)
        expected.append(Entry("links.csv", out.getvalue().count("\n") + 1, said))
        writer.writerow([kind, id, field, between.join(map(str, ids)), mode, key])
    written = out.getvalue()
    assert read(written if end else written.removesuffix("\r\n")) == expected


@given(
    st.lists(
        st.one_of(
            st.integers(1, 9).map(lambda number: f"PRJ1-{number},customers,{number},k"),
            st.integers(1, 9).map(lambda number: f'PRJ1-{number},"customers","{number}","a ""b"""'),
            st.sampled_from(STRAY),
            st.sampled_from(["", ",,,", "PRJ1-9,customers", "PRJ1-9,customers,x,"]),
        ),
        max_size=12,
    )
)
@example([STRAY[1], "PRJ1-1,customers,1,k", STRAY[5], STRAY[2]])
@settings(max_examples=400)
def test_wherever_stray_quotes_stand_no_good_row_is_lost(lines: list[str]) -> None:
    """Every row that is a job by itself is read as that job, or rejected with its target; no other job is made."""
    good = {number: job_of(line) for number, line in enumerate(lines, start=2) if job_of(line) is not None}
    entries = {entry.line: entry.value for entry in rows(*lines, "")}
    for number, value in good.items():
        found = entries[number]
        assert found == value or (isinstance(found, Rejection) and value is not None and value.target in found.targets)
    assert all(good.get(number) == value for number, value in entries.items() if isinstance(value, LinkJob))


def job_of(line: str) -> LinkJob | None:
    """The job that a line is by itself."""
    entries = rows(line, "")
    return entries[0].value if len(entries) == 1 and isinstance(entries[0].value, LinkJob) else None


@given(st.one_of(st.binary(max_size=150), st.text(alphabet='PRJ1-,";\n\r customers\0', max_size=150).map(str.encode)))
@settings(max_examples=400)
def test_whatever_bytes_follow_the_header_each_entry_has_its_own_line(data: bytes) -> None:
    """Nothing raises, lines never go down (a row may name several targets), and each is a line of the file."""
    entries = read(b"id,field,record_ids,key\n" + data)
    numbers = [entry.line for entry in entries]
    assert numbers == sorted(numbers)
    assert all(2 <= number <= data.count(b"\n") + 2 for number in numbers)
    assert all(isinstance(entry.value, LinkJob | Rejection) for entry in entries)


@given(st.binary(max_size=100))
@settings(max_examples=200)
def test_whatever_bytes_a_table_begins_with_it_is_read_or_refused_as_a_whole(data: bytes) -> None:
    """Only a usage error may come out of a file that is no table."""
    said = ""
    try:
        entries = read(data)
    except UsageError as error:
        entries, said = [], str(error)
    assert said.startswith("links.csv line 1: ") or all(isinstance(entry, Entry) for entry in entries)
