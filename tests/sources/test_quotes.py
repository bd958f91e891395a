"""Quotes in tables: which lines they join to a row, and which rows a stray one costs."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker import LinkJob, Target
from linker.model.name import Name
from linker.sources import Columns, Entry, Reading, Rejection
from linker.sources.csv import read_table
from linker.sources.quoting import Record, State, readings

CRM = Columns({"id": "Aha Ref", "record_names": "Account Name"}, {"field": "customers"})


def read(text: str, columns: Columns | None = None, reading: Reading | None = None) -> list[Entry]:
    """The entries of a table."""
    return list(read_table(io.BytesIO(text.encode()), "links.csv", reading or Reading(), columns))


def told(entries: Sequence[Entry]) -> list[tuple[int, str, list[str]]]:
    """What each entry comes to: its line, `job` or `rejected`, and its targets."""
    return [
        (entry.line, "job", [entry.value.target.id])
        if isinstance(entry.value, LinkJob)
        else (entry.line, "rejected", [target.id for target in entry.value.targets])
        for entry in entries
    ]


def rejected(*lines: int) -> list[tuple[int, str, list[str]]]:
    """That each of these lines is rejected with the feature of its number less one."""
    return [(line, "rejected", [f"PRJ1-{line - 1}"]) for line in lines]


# --- two stray quotes


@pytest.mark.parametrize(
    "lines",
    [
        ['PRJ1-1,customers,1,"oops', "PRJ1-2,customers,2,", 'PRJ1-3,customers,3,12"'],
        ['PRJ1-1,customers,1,"oops', 'PRJ1-2,customers,2,12"'],
        ['PRJ1-1,customers,1,"call back', "PRJ1-2,customers,7.03E+18,ok", 'PRJ1-3,nowhere at all,x,rack 19"'],
        ['PRJ1-1,customers,1,"oops', "PRJ1-2 Login page,customers,2,", 'PRJ1-3\u200b,customers,3,12"'],
        ['PRJ1-1,customers,"1,2",x', 'PRJ1-2,customers,"1,2","oops', 'PRJ1-3,customers,3,12"'],
        ['PRJ1-1,customers,1,"oops', "PRJ1-2,customers,,", 'PRJ1-3,customers,3,12"'],
        ['PRJ1-1,customers,"1,k', "PRJ1-2,customers,2,k", 'PRJ1-3,customers,3",k'],
        ['"PRJ1-1,customers,1,k', 'PRJ1-2,customers,2,k"'],
    ],
)
def test_lines_that_are_rows_by_themselves_are_rejected_if_quotes_join_them(lines: list[str]) -> None:
    """Each with its own target, whether it is good or bad by itself: no row vanishes, and none is guessed."""
    found = told(read("\n".join(["id,field,record_ids,key", *lines, "PRJ1-9,customers,9,", ""])))
    assert found[-1] == (len(lines) + 2, "job", ["PRJ1-9"])
    joined = [each for each in found[:-1] if each[1] != "job"]
    assert joined == rejected(*range(len(lines) + 2 - len(joined), len(lines) + 2))
    assert len(found) == len(lines) + 1


def test_blank_lines_between_rows_say_nothing_about_them() -> None:
    """A stray quote above a blank line is no better than one without."""
    assert told(read('id,field,record_ids,key\nPRJ1-1,customers,1,"a\n\n,,,\nPRJ1-4,customers,2,b"\n')) == rejected(
        2, 5
    )


def test_what_is_a_row_is_judged_as_the_run_reads_it() -> None:
    """By the user's columns, by match, and by names of targets."""
    by_id = Columns({"id": "Aha Ref", "record_ids": "Account ID"}, {"field": "customers"})
    table = 'Account ID,Aha Ref,Notes\n0015gA,PRJ1-1,"call back\n0015gB,PRJ1-2,ok\n0015gC,PRJ1-3,rack 19"\n'
    assert told(read(table, by_id, Reading(match="salesforce_id"))) == rejected(2, 3, 4)
    named = Columns({"id": "Ref", "record_ids": "Account"}, {"field": "customers", "kind": "custom_object_record"})
    entries = read('Account,Ref,N\nA,Acme,"x\nB,Zane,y"\n', named, Reading(match="sf", named_targets=True))
    assert [entry.value.name for entry in entries if isinstance(entry.value, Rejection)] == [
        Name("sf", "Acme"),
        Name("sf", "Zane"),
    ]
    assert [entry.line for entry in entries] == [2, 3]


@pytest.mark.parametrize(
    "cell", ['"Acme\nHarbor, Inc"', '"Acme\nPRJ1-2"', '"Acme\nZane, PRJ1-2, x\nend"', '"Acme\r\nHarbor ""Oak"", Inc"']
)
def test_names_apart_by_line_breaks_are_one_cell(cell: str) -> None:
    """As RFC 4180 says, whatever the inner lines look like, if not all of them are rows."""
    entries = read(f"Account Name,Aha Ref,Note\n{cell},PRJ1-1,x\nBirch,PRJ1-2,y\n", CRM)
    first, second = (entry.value for entry in entries)
    assert isinstance(first, LinkJob)
    assert first.links["customers"] == (Name("name", cell[1:-1].replace('""', '"'), is_cell=True),)
    assert second == LinkJob("PRJ1-2", {"customers": [Name("name", "Birch")]})


def test_what_stands_in_a_note_is_not_carried_out() -> None:
    """Lines that look like rows inside a quoted cell stay text, since its last line is none."""
    note = '"2026-01-02: moved\nZane,PRJ1-2,closed\nZane,PRJ1-3,closed\nend"'
    assert told(read(f"Account Name,Aha Ref,History\nAcme,PRJ1-1,{note}\nZane,PRJ1-4,ok\n", CRM)) == [
        (2, "job", ["PRJ1-1"]),
        (6, "job", ["PRJ1-4"]),
    ]


def test_a_note_in_a_row_that_is_rejected_is_not_carried_out_either() -> None:
    """A row of too many cells costs itself, and what may be rows in it: none is written, none vanishes."""
    note = '"2026-01-02: moved\nZane,PRJ1-2,closed\nend"'
    assert told(read(f"Account Name,Aha Ref,History\nAcme, Inc,PRJ1-1,{note}\nZane,PRJ1-4,ok\n", CRM)) == [
        (2, "rejected", ["PRJ1-1", "PRJ1-2"]),
        (3, "rejected", ["PRJ1-2"]),
        (5, "job", ["PRJ1-4"]),
    ]


def test_a_row_within_quotes_does_not_vanish_if_the_row_of_the_quotes_is_bad() -> None:
    """A record id of three lines is none, so the line in the middle may have been a row."""
    assert told(read('id,field,record_ids,key\nPRJ1-1,customers,"1,k\nPRJ1-2,customers,1,k\n"""\n')) == rejected(2, 3)


# --- one stray quote


@pytest.mark.parametrize(
    "line",
    [
        'PRJ1-1,customers,"Café \\"du\\" Nord",x',
        'PRJ1-1,customers,"Café "du" Nord",x',
        'PRJ1-1,customers,"Acme,x',
        'PRJ1-1,"customers,Acme,x',
        '"PRJ1-1,customers,Acme,x',
        'PRJ1-1,customers,Acme,"x',
        '"PRJ1-1 "Login" page",customers,Acme,x',
    ],
)
def test_a_broken_row_tells_its_target(line: str) -> None:
    """Undoubled, escaped and unclosed quotes do not hide the id, before or behind it."""
    (entry,) = read(f"id,field,record_names,key\n{line}\n")
    assert isinstance(entry.value, Rejection)
    assert entry.value.targets == (Target.parse("PRJ1-1"),)
    assert 'column "' in entry.value.message
    assert "quote" in entry.value.message


@pytest.mark.parametrize("name", ['"Harbor "Oak" Inc"', '"Harbor \\"Oak\\", Inc"', '"Harbor, "Oak", and, Inc"'])
def test_a_fault_before_the_id_does_not_hide_it(name: str) -> None:
    """If delimiters inside the broken cell push the id to the right, it is counted from the end of the row."""
    assert told(read(f"Account Name,Aha Ref,Note\n{name},PRJ1-1,x\n", CRM)) == rejected(2)


def test_a_broken_row_without_a_legible_id_may_be_anywhere() -> None:
    """What cannot be told is not guessed."""
    (entry,) = read('Account Name,Aha Ref\n"Acme "x" Inc",???\n', CRM)
    assert isinstance(entry.value, Rejection)
    assert entry.value.may_be_anywhere


# --- other programs' quotes


def test_spaces_may_stand_before_and_behind_quotes() -> None:
    """After the delimiter, in the header or in a row alone, also over several lines."""
    table = 'id, field, record_names\nPRJ1-1, customers, "Harbor, Inc"\nPRJ1-2, "customers" , "Acme\nBirch"\n'
    first, second = (entry.value for entry in read(table))
    assert first == LinkJob("PRJ1-1", {"customers": [Name("name", "Harbor, Inc")]})
    assert second == LinkJob("PRJ1-2", {"customers": [Name("name", "Acme\nBirch", is_cell=True)]})
    (entry,) = read('id,field,record_names\nPRJ1-1,customers, "Harbor, Inc"\n')
    assert entry.value == first


def test_a_quote_inside_a_cell_is_text() -> None:
    """Inch marks in names, wherever no quote opens the cell."""
    (entry,) = read('id,field,record_names\nPRJ1-1,customers,Rack 19" high\n')
    assert entry.value == LinkJob("PRJ1-1", {"customers": [Name("name", 'Rack 19" high')]})


@pytest.mark.parametrize("name", ['5" disk', '"quoted', '"The" Co', '12"', '"a" "b'])
def test_a_tsv_without_quoting_is_read(name: str) -> None:
    """Its quotes are text if they do not follow the rules of CSV."""
    (entry, _) = read(f"id\tfield\trecord_names\nPRJ1-1\tcustomers\t{name}\nPRJ1-2\tcustomers\tZane\n")
    assert entry.value == LinkJob("PRJ1-1", {"customers": [Name("name", name)]})


def test_a_tsv_with_quoting_is_read_too() -> None:
    """Tabs, quotes and line ends inside quotes."""
    (entry,) = read('id\tfield\trecord_names\nPRJ1-1\tcustomers\t"A ""x""\tInc\nBirch"\n')
    assert entry.value == LinkJob("PRJ1-1", {"customers": [Name("name", 'A "x"\tInc\nBirch', is_cell=True)]})


# --- whatever comes


@pytest.mark.parametrize(
    "line",
    [
        'PRJ1-1,customers,1,"x\n',
        'PRJ1-1,customers,1,x""\n',
        '"x""\n',
        '"""x\n',
        'PRJ1-1,customers,"x"""\n',
        'PRJ1-1,customers,1,"x\nPRJ1-1,customers,1,k\nPRJ1-1,customers,1,k\n',
        "PRJ1-1,customers,1\nzz\n",
    ],
)
def test_stray_quotes_in_each_line_take_time_in_proportion(line: str) -> None:
    """Twice as many lines cost twice as many steps, whatever they look like."""
    steps = []
    for count in (300, 600):
        table = 'id,field,record_ids,key\nPRJ1-1,customers,1,"x\n' + line * count
        lines = 0

        def count_line(*_: object) -> None:
            nonlocal lines
            lines += 1

        sys.setprofile(count_line)
        try:
            read(table)
        finally:
            sys.setprofile(None)
        steps.append(lines)
    assert steps[1] < 2.2 * steps[0]


CELL = st.text(alphabet='ab", ;\n\r\t', max_size=8)


@given(st.lists(CELL, min_size=1, max_size=5), st.sampled_from(",;\t|"))
def test_a_row_that_is_written_by_the_rules_is_read_as_it_was(cells: list[str], delimiter: str) -> None:
    """With each cell quoted, line by line."""
    text = delimiter.join('"' + cell.replace('"', '""') + '"' for cell in cells)
    record = Record(delimiter)
    lines = io.StringIO(text, newline="\n").readlines()
    states = [record.feed(line) for line in lines]
    assert states == [State.OPEN] * (len(lines) - 1) + [State.COMPLETE]
    assert record.cells == cells


@given(st.text(alphabet='ab", \n', max_size=20), st.booleans())
def test_whatever_a_line_holds_it_has_readings(line: str, spaced: bool) -> None:
    """Nothing raises, and a line without quotes has the cells between its delimiters."""
    line = line.replace("\n", "") + "\n"
    record = Record(",", spaced=spaced)
    record.feed(line)
    found = readings(line, ",")
    assert 1 <= len(found) <= 2
    if '"' not in line:
        assert found == [record.cells] == [line.removesuffix("\n").split(",")]
