"""The user's own columns: a CRM's export is a job file as it is."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from linker import JobFile, LinkJob, UsageError
from linker.model.name import Name, name_spans
from linker.sources import Columns, Entry, Reading, Rejection
from linker.sources.csv import read_table

CRM = Columns({"id": "Aha Ref", "record_names": "Account Name"}, {"field": "customers", "kind": "feature"})
HEADER = "Id,Account Name,Mode,Aha Ref,Key"


def read(text: str, columns: Columns | None = CRM, **reading: str) -> list[Entry]:
    """The entries of a table."""
    return list(read_table(io.BytesIO(text.encode()), "crm.csv", Reading(**reading), columns))  # type: ignore[arg-type]


def job(entry: Entry) -> LinkJob:
    """The job that an entry is."""
    assert isinstance(entry.value, LinkJob), entry
    return entry.value


def why(entry: Entry) -> str:
    """The message of a rejected entry."""
    assert isinstance(entry.value, Rejection), entry
    return entry.value.message


def test_a_row_a_link() -> None:
    """Only what is named is read: `Id`, `Mode` and `Key` of a CRM are not a job's; constants hold for each row."""
    (entry,) = read(f'{HEADER}\r\n0015g,"Acme, ""the"" Corp",whatever,PRJ1-1,x\r\n')
    assert job(entry) == LinkJob("PRJ1-1", {"customers": [Name("name", 'Acme, "the" Corp')]}, kind="feature")
    assert (entry.line, job(entry).key, job(entry).mode) == (2, None, None)


def test_a_row_a_target_with_several_records() -> None:
    """The cell stays whole until it is looked up; its names are apart by `;` or a line break, and by nothing else."""
    (entry,) = read(f'{HEADER}\n,"Acme, Inc. ; Zane | Co;\nBirch",,PRJ1-1,\n')
    (cell,) = job(entry).links["customers"]
    assert cell == Name("name", "Acme, Inc. ; Zane | Co;\nBirch", is_cell=True)
    assert isinstance(cell, Name)
    assert [cell.value[start:end] for start, end in name_spans(cell.value)] == ["Acme, Inc.", "Zane | Co", "Birch"]


def test_a_row_a_customer_with_several_targets() -> None:
    """Each target is a job of its own; an invalid one does not affect the others; repeats count once."""
    entries = read(f'{HEADER}\n,Acme,,"PRJ1-1; PRJ1-2,PRJ1-N-3\nPRJ1-1|prj1-4",\n')
    assert [entry.line for entry in entries] == [2] * 4
    assert [entry.value.id for entry in entries] == ["PRJ1-1", "PRJ1-2", "PRJ1-N-3", "PRJ1-4"]
    assert "a note" in why(entries[2])


def test_a_slip_in_a_target_is_not_two_targets() -> None:
    """A space alone does not separate targets: `PRJ1 -1` is neither a product nor a number."""
    (entry,) = read(f"{HEADER}\n,Acme,,PRJ1 -1,\n")
    assert why(entry) == 'column "Aha Ref": "PRJ1 -1" is not a reference such as PRJ1-12'


def test_empty_cells_are_told_by_the_user_s_own_headers() -> None:
    """For a missing target or record, the message names the column as the file does."""
    nobody, nothing = read(f"{HEADER}\n,Acme,,,\n,,,PRJ1-1,\n")
    assert why(nobody) == 'column "Aha Ref" is empty; write a reference such as PRJ1-12'
    column = 'column "Account Name"'
    assert (
        why(nothing) == f"{column} is empty, which would clear the field; fill in the cell, delete the row, "
        "or allow that with --empty-clears"
    )


def test_match_says_what_a_record_is_told_by() -> None:
    """The column of names by that field; where there is none, the one of ids; a job's own columns likewise."""
    by_id = Columns({"id": "Aha Ref", "record_ids": "Account"}, {"field": "customers"})
    (entry,) = read("Account,Aha Ref\n0015gA; 0015gB,PRJ1-1\n", by_id, match="salesforce_id")
    assert job(entry).links == {"customers": (Name("salesforce_id", "0015gA; 0015gB", is_cell=True),)}
    (entry,) = read("record_names,record_ids,id,field\n0015gA,640362830,PRJ1-1,customers\n", None, match="sf")
    assert job(entry).links == {"customers": ("640362830", Name("sf", "0015gA"))}
    (entry,) = read("record_names,id,field\nAcme,PRJ1-1,customers\n", None)
    assert job(entry).links == {"customers": (Name("name", "Acme"),)}


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("Acount Name,Aha Ref", 'there is no column "Account Name"; did you mean "Acount Name"?'),
        ("Customer,Aha Ref", 'there is no column "Account Name"; choose one of "Customer", "Aha Ref"'),
        ("Account Name,Account Name,Aha Ref", 'the column "Account Name" appears 2 times'),
        ("", 'there is no column "Aha Ref"'),
    ],
)
def test_a_header_that_is_not_there_is_told_with_the_nearest(header: str, said: str) -> None:
    """Before anything is read."""
    with pytest.raises(UsageError, match=r"crm\.csv line 1: ") as error:
        read(f"{header}\n")
    assert said in str(error.value)


def test_headers_may_differ_in_case_and_white_space() -> None:
    """As users type them; if two headers match, the exact one is meant."""
    assert job(read("ACCOUNT  NAME,aha ref\nAcme,PRJ1-1\n")[0]).id == "PRJ1-1"
    (entry,) = read("account name,Account Name,Aha Ref\nno,Acme,PRJ1-1\n")
    assert job(entry).links == {"customers": (Name("name", "Acme"),)}


def test_a_misspelt_column_of_a_job_s_own_is_told_with_the_nearest() -> None:
    """The message also explains how to map a header."""
    with pytest.raises(UsageError, match=r'did you mean "record_ids"\?.*--column id=.Your Column.'):
        read("id,field,record_id\n", None)


@pytest.mark.parametrize(
    ("columns", "constants", "said"),
    [
        (["id=Ref"], [], 'column "record_ids" is missing; add --column record_ids='),
        (["id=Ref", "record_ids=R"], [], 'column "field" is missing'),
        (["record_ids=R"], ["field=customers"], 'column "id" is missing'),
        (["id=Ref", "id=Other"], [], "--column id is given twice"),
        (["id"], [], "write --column NAME='…'"),
        (["ID=Ref", "record_ids=R", "record_name=N"], ["field=customers"], 'did you mean "record_names"?'),
        (["id=", "record_ids=R"], ["field=customers"], "has no header"),
        (["id=Ref", "record_ids=R"], ["field=customers", "id=PRJ1-1"], 'column "id" is given twice'),
    ],
)
def test_columns_that_make_no_sense_say_what_would(columns: list[str], constants: list[str], said: str) -> None:
    """Each is a usage error with the remedy."""
    with pytest.raises(UsageError) as error:
        Columns.parse(columns, constants)
    assert said in str(error.value)


def test_no_column_is_no_mapping() -> None:
    """Without options, a table has the columns of a job."""
    assert Columns.parse([], []) is None


def test_a_file_keeps_columns_and_the_command_line_goes_before_it(tmp_path: Path) -> None:
    """TOML with [columns] and [set]; an option takes the place of what the file says of that column."""
    file = tmp_path / "mapping.toml"
    file.write_text('[columns]\nid = "Aha Ref"\nrecord_names = "Account"\n[set]\nfield = "customers"\nmode = "add"\n')
    assert Columns.parse([], [], file) == Columns(
        {"id": "Aha Ref", "record_names": "Account"}, {"field": "customers", "mode": "add"}
    )
    told = Columns.parse(["record_names=Name", "mode=Mode"], ["field=contracts"], file)
    assert told == Columns({"id": "Aha Ref", "record_names": "Name", "mode": "Mode"}, {"field": "contracts"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[colums]\n", '[colums] is unknown; did you mean "columns"?'),
        ("id = ", "is not valid TOML"),
        ("[columns]\nid = 3\n", 'each line of [columns] and [set] must be NAME = "text"'),
        ("columns = 3\n", 'each line of [columns] and [set] must be NAME = "text"'),
        (None, "No such file"),
    ],
)
def test_a_file_that_is_no_mapping_is_named(tmp_path: Path, text: str | None, said: str) -> None:
    """Which file, and why."""
    file = tmp_path / "mapping.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UsageError, match=r"mapping\.toml") as error:
        Columns.parse([], [], file)
    assert said in str(error.value)


def test_only_tables_have_columns() -> None:
    """Of a JSONL file they say nothing."""
    with pytest.raises(UsageError, match="is not a table"):
        JobFile("links.jsonl", columns=CRM)
