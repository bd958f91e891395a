"""A cell with names: the whole is looked up first, then its parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.runs import ACME, ZANE, eager, results_of

from linker import ErrorType, Kind, Result, Status
from linker.model.name import Name
from linker.records.cells import read_cell
from linker.records.index import RecordIndex
from linker.sandbox import Definition, Resource, Sandbox
from linker.text import quoted

PRJ1 = 131414752


def read(cell: str, *known: str) -> list[str] | str:
    """The names in a cell by these records, or why it is ambiguous."""
    records = RecordIndex("name")
    for id, name in enumerate(known, start=1):
        records.add(str(id), name)
    reading = read_cell(Name("name", cell, is_cell=True), records)
    return reading.ambiguity or [name.value for name in reading.names]


@pytest.mark.parametrize(
    ("cell", "known", "names"),
    [
        ("Smith; Jones & Co", ["Smith; Jones & Co"], ["Smith; Jones & Co"]),
        ("smith;  JONES & co", ["Smith; Jones & Co"], ["smith;  JONES & co"]),
        ("Smith; Jones & Co", ["Smith", "Jones & Co"], ["Smith", "Jones & Co"]),
        ("Smith; Jones & Co", ["Smith"], ["Smith", "Jones & Co"]),
        ("Smith; Jones & Co", [], ["Smith", "Jones & Co"]),
        ("Acme; Smith; Jones", ["Smith; Jones", "Acme"], ["Acme", "Smith; Jones"]),
        ("Smith; Jones; Acme; X; Y", ["Smith; Jones", "X; Y"], ["Smith; Jones", "Acme", "X; Y"]),
        ('="Smith; Jones"', ["Smith; Jones"], ["Smith; Jones"]),
        ("Acme;", ["Acme"], ["Acme"]),
        ("Acme;", ["Acme;"], ["Acme;"]),
        ("Acme\nCorp", ["Acme Corp"], ["Acme\nCorp"]),
        ("Acme\nZane", ["Acme"], ["Acme", "Zane"]),
        ("'=Acme; '-Zane", ["=Acme"], ["=Acme", "-Zane"]),
        ("Acme; Acme", [], ["Acme"]),
    ],
)
def test_parts_that_are_a_record_together_are_one_name(cell: str, known: list[str], names: list[str]) -> None:
    """All others are names of their own."""
    assert read(cell, *known) == names


@pytest.mark.parametrize(
    ("cell", "known"),
    [
        ("Smith; Jones", ["Smith; Jones", "Smith", "Jones"]),
        ("Smith; Jones", ["Smith; Jones", "Jones"]),
        ("Acme; Smith; Jones", ["Smith; Jones", "Smith"]),
        ("A; B; C", ["A; B", "B; C"]),
        ("A; B; C", ["A; B; C", "B; C"]),
        ("Acme;", ["Acme;", "Acme"]),
        ('="Smith; Jones"', ["Smith; Jones", "Smith"]),
    ],
)
def test_two_readings_are_one_too_many(cell: str, known: list[str]) -> None:
    """Both are named, with the ids that would say which is meant."""
    why = read(cell, *known)
    assert isinstance(why, str)
    assert why.startswith(f"the cell {quoted(cell)} may be the record ")
    assert why.endswith("; give the ids of the records instead")
    assert why.count("(") >= 2


@given(
    st.lists(st.sampled_from("ABCD"), min_size=2, max_size=4, unique=True),
    st.sets(st.sampled_from(["A; B", "B; C", "D; A; B", "A", "C", "A; B; C; D"])),
)
def test_a_cell_with_joined_names_is_read_in_one_way_or_not_at_all(parts: list[str], known: set[str]) -> None:
    """Compared with all ways of joining neighbours: a reading has every join that is a record, and no part of one."""
    said = read("; ".join(parts), *known)
    places = [(a, b) for a in range(len(parts)) for b in range(a + 2, len(parts) + 1)]
    joins = [(a, b) for a, b in places if "; ".join(parts[a:b]) in known]
    inside = [part for a, b in joins for part in parts[a:b]]
    if known & set(inside) or len(set(inside)) < len(inside):
        assert isinstance(said, str)
    else:
        assert isinstance(said, list)
        assert "; ".join(said) == "; ".join(parts)
        assert {"; ".join(parts[a:b]) for a, b in joins} == {name for name in said if ";" in name}


@pytest.fixture(autouse=True)
def semicolons(sandbox: Sandbox) -> None:
    """Customers with a semicolon in their names."""
    for id, name in ((71, "Smith; Jones & Co"), (72, "Both; Ways"), (73, "Both"), (74, "Ways")):
        sandbox.account.add(
            Resource(Kind.CUSTOM_OBJECT_RECORD, id, "", name, PRJ1, table="customers", values={"crm": f"{name}/x"})
        )


async def ran(sandbox: Sandbox, path: Path, text: str, **options: Any) -> list[Result]:
    """The results of a table."""
    path.write_text(text)
    async with eager(sandbox, **{"table": ("customers=PRJ1/customers",)} | options) as aha:
        return await results_of(aha.run(path))


def why(result: Result) -> str:
    """Why a row was rejected."""
    assert result.error is not None
    assert result.status is Status.REJECTED
    return result.error.message


HEAD = "id,field,record_names\n"


async def test_the_whole_cell_is_linked_where_the_table_has_it(sandbox: Sandbox, tmp_path: Path) -> None:
    """A cell with two readings is rejected with its list; the parts are linked where only they are there."""
    rows = 'PRJ1-1,customers,"Smith; Jones & Co"\nPRJ1-2,customers,Both; Ways\nPRJ1-2,customers,Acme Corp\n'
    whole, both, sibling, parts = await ran(
        sandbox, tmp_path / "a.csv", f"{HEAD}{rows}PRJ1-3,customers,Acme Corp; Zane Corp\n"
    )
    assert whole.links == {"customers": ["71"]}
    assert 'may be the record "Both; Ways" (72), or a list that contains "Both" (73), "Ways" (74)' in why(both)
    assert sibling.error is not None
    assert sibling.error.type is ErrorType.INCOMPLETE
    assert parts.links == {"customers": [ZANE, ACME]}


async def test_the_field_of_another_system_is_read_alike(sandbox: Sandbox, tmp_path: Path) -> None:
    """With `match`."""
    rows = "PRJ1-1,customers,Smith; Jones & Co/x\nPRJ1-2,customers,Both/x; Ways/x\n"
    whole, parts = await ran(sandbox, tmp_path / "a.csv", HEAD + rows, match="crm")
    assert whole.links == {"customers": ["71"]}
    assert parts.links == {"customers": ["73", "74"]}


async def test_a_list_of_unknown_names_is_not_created_on_a_guess(sandbox: Sandbox, tmp_path: Path) -> None:
    """Nobody can tell whether it is one name; with a line break or a known part it is a list; `create_all` says so."""
    rows = 'PRJ1-1,customers,New; Newer\nPRJ1-2,customers,Acme Corp; Fresh\nPRJ1-3,customers,"One\nTwo"\n'
    guess, known, lines = await ran(sandbox, tmp_path / "a.csv", HEAD + rows, create_missing=True)
    assert "cannot tell whether it is one name or several. Write each name in a row of its own, or add" in why(guess)
    assert known.created is not None
    assert known.created["customers"].keys() == {"Fresh"}
    assert lines.created is not None
    assert lines.created["customers"].keys() == {"One", "Two"}
    forced, *_ = await ran(sandbox, tmp_path / "a.csv", HEAD + rows, create_all=True)
    assert forced.created is not None
    assert forced.created["customers"].keys() == {"New", "Newer"}


async def test_names_of_targets_are_read_alike(sandbox: Sandbox, tmp_path: Path) -> None:
    """A target with a semicolon is one; of two readings, the lists of all are held back and nothing else is."""
    sandbox.account.define(Definition("CustomObjectRecord", "related", "Related", 1, table="customers"))
    rows = "".join(
        f"custom_object_record,{target},related,Acme Corp\n"
        for target in ("Smith; Jones & Co", "Both; Ways", "Both", "Acme Corp; Zane Corp", "Acme Corp")
    )
    options = {"match": "name", "table": ("record=PRJ1/customers", "related=PRJ1/customers")}
    for id in ("73", ZANE):
        sandbox.account.set_links(Kind.CUSTOM_OBJECT_RECORD, id, "related", [ZANE])
    results = await ran(sandbox, tmp_path / "a.csv", f"kind,id,field,record_names\n{rows}", **options)
    whole, both, held, first, second, again = results
    assert (whole.id, whole.status) == ("71", Status.LINKED)
    assert 'may be the record "Both; Ways" (72)' in why(both)
    assert held.error is not None
    assert (held.id, held.error.type) == ("73", ErrorType.INCOMPLETE)
    assert [(result.id, result.status) for result in (first, second, again)] == [
        (ACME, Status.LINKED),
        (ZANE, Status.LINKED),
        (ACME, Status.LINKED),
    ]
