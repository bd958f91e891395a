"""Cells as spreadsheets fill them: numbers with separators, text formulas, invisible characters, nothing."""

from __future__ import annotations

import io
from typing import Any

import pytest

from linker import LinkJob, Mode, Target
from linker.model.name import Name
from linker.sources import Columns, Entry, Reading, Rejection
from linker.sources.csv import read_table


def rows(*lines: str, header: str = "kind;id;field;record_ids;key", **reading: Any) -> list[Entry]:
    """The entries of a table."""
    data = "\n".join([header, *lines]).encode()
    return list(read_table(io.BytesIO(data), "links.csv", Reading(**reading)))


def rejection(entry: Entry) -> Rejection:
    """Why a row is no job."""
    assert isinstance(entry.value, Rejection), entry
    return entry.value


@pytest.mark.parametrize("cell", ["640,362,830", "640 362 830", "640\u202f362\u202f830", "640.362.830", "640362830,0"])
@pytest.mark.parametrize("among", ["{}", '"8397122;{}"', "8397122|{}", "{}|8397122", '"8397122\n{}"', "8397122, {}"])
def test_a_number_with_separators_rejects_the_row(cell: str, among: str) -> None:
    """It is never cut into ids, whatever else stands in the cell; the list of its target lacks it."""
    (entry,) = rows(f"feature;PRJ1-1;customers;{among.format(cell)};k")
    why = rejection(entry)
    assert 'column "record_ids": ' in why.message
    assert (
        "looks like one number with thousands separators or a decimal comma; format the column as text" in why.message
    )
    assert (why.targets, why.fields, why.key) == ((Target.parse("PRJ1-1"),), frozenset({"customers"}), "k")
    assert why.links is None


@pytest.mark.parametrize("cell", ["1,007,868,956", "1 007 868 956", "1007868956,0", "PRJ1-1;1,007,868,956"])
def test_a_target_with_separators_rejects_the_row_once(cell: str) -> None:
    """Not one row for each part; all targets that it may be meant for are held back."""
    (entry,) = rows(f'feature;"{cell}";customers;640362830;k')
    why = rejection(entry)
    assert why.message.startswith('column "id": ')
    assert Target.parse("1007868956", "feature") in why.targets
    assert (Target.parse("PRJ1-1") in why.targets) is ("PRJ1-1" in cell)


def test_another_fault_of_the_row_is_said_first() -> None:
    """As for any row; its target is not known better for it."""
    (entry,) = rows("feature;PRJ1-N-1;customers;640,362,830;")
    assert "a note" in rejection(entry).message


@pytest.mark.parametrize(
    "cell", ['"=""640362830"""', "'640362830", "640362830.0", "640362830\u200b", "\u00ad640362830"]
)
def test_a_dressed_id_is_the_id(cell: str) -> None:
    """Alone and in a list."""
    alone, listed = rows(
        f"feature;PRJ1-1;customers;{cell};", f"feature;PRJ1-1;customers;8397122|{cell};".replace('"', "")
    )
    assert isinstance(alone.value, LinkJob)
    assert alone.value.links == {"customers": ("640362830",)}
    assert isinstance(listed.value, LinkJob) or '"' in cell


@pytest.mark.parametrize("id", ["'PRJ1-4", '"=""PRJ1-4"""', "PRJ1-4\u200b", "\ufeffprj1-4", '"=""PRJ1-4;PRJ1-5"""'])
def test_a_dressed_target_is_the_target(id: str) -> None:
    """A formula around a whole list as well."""
    first, *_ = rows(f"Feature\u200b;{id};customers\u200b;640362830;")
    assert isinstance(first.value, LinkJob)
    assert first.value.id == "PRJ1-4"


def test_a_formula_around_a_list_of_ids_is_the_list() -> None:
    """`="640362830;8397122"`."""
    (entry,) = rows('feature;PRJ1-1;customers;"=""640362830;8397122""";')
    assert isinstance(entry.value, LinkJob)
    assert entry.value.links == {"customers": ("8397122", "640362830")}


@pytest.mark.parametrize(
    ("mode", "of_run", "effect"),
    [
        (
            "",
            Mode.REPLACE,
            "which would clear the field; fill in the cell, delete the row, or allow that with --empty-clears",
        ),
        (
            "replace",
            Mode.ADD,
            "which would clear the field; fill in the cell, delete the row, or allow that with --empty-clears",
        ),
        ("", Mode.ADD, "so there is nothing to add; fill in the cell or delete the row"),
        ("add", Mode.REPLACE, "so there is nothing to add; fill in the cell or delete the row"),
        ("remove", Mode.ADD, "so there is nothing to remove; fill in the cell or delete the row"),
    ],
)
@pytest.mark.parametrize("cell", ["", "\u200b", " ; "])
def test_an_empty_cell_says_what_it_would_do(mode: str, of_run: Mode, effect: str, cell: str) -> None:
    """Only `replace` clears, and only that is offered; a cell that only looks empty is."""
    (entry,) = rows(f'PRJ1-1;customers;"{cell}";{mode}', header="id;field;record_ids;mode", mode=of_run)
    assert rejection(entry).message == f'column "record_ids" is empty, {effect}'
    (entry,) = rows(f'PRJ1-1;customers;"{cell}";{mode}', header="id;field;record_names;mode", mode=of_run)
    assert rejection(entry).message == f'column "record_names" is empty, {effect}'


def test_a_job_knows_the_columns_that_gave_its_records() -> None:
    """By the table's own words; both if both cells are filled, because they must agree."""
    columns = Columns({"id": "Ref", "record_ids": "Id", "record_names": "Name"}, {"field": "customers"})
    table = b"Ref,Id,Name\nPRJ1-1,1,Acme\nPRJ1-1,,Acme\nPRJ1-1,1,\n"
    entries = list(read_table(io.BytesIO(table), "crm.csv", Reading(), columns))
    assert [entry.value.columns for entry in entries if isinstance(entry.value, LinkJob)] == [
        ("Id", "Name"),
        ("Name",),
        ("Id",),
    ]


def test_names_of_targets_stay_in_their_cell() -> None:
    """Only the records tell how many there are."""
    (entry,) = rows(
        'record;"Smith; Jones";related;1;'.replace("record;", "custom_object_record;", 1),
        match="name",
        named_targets=True,
    )
    assert isinstance(entry.value, LinkJob)
    assert entry.value.id == Name("name", "Smith; Jones", is_cell=True)


def test_a_title_behind_an_id_still_tells_the_target() -> None:
    """The row is rejected, and holds back its list; so does a number without its kind, of every kind."""
    titled, bare = rows("feature;PRJ1-1 Dashboards;customers;1;", ";1007868956;customers;1;")
    assert rejection(titled).targets == (Target.parse("PRJ1-1"),)
    assert Target.parse("1007868956", "feature") in rejection(bare).targets
    assert not rejection(bare).may_be_anywhere
