"""Suggestions for the first hundred unknown names; and a column of names that is probably the wrong one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from support.command import Command
from support.runs import eager, results_of

from linker import Kind, Result, Status
from linker.records.index import RecordIndex
from linker.sandbox import Resource, Sandbox
from linker.sources import Columns, JobFile

COLUMNS = Columns({"id": "Aha Ref", "record_names": "Account Name"}, {"field": "customers"})


async def ran(sandbox: Sandbox, path: Path, *names: str, **options: Any) -> list[Result]:
    """The results of a CRM's table with these names."""
    path.write_text("Aha Ref,Account Name\n" + "".join(f"PRJ1-1,{name}\n" for name in names))
    async with eager(sandbox, table=("customers=PRJ1/customers",), **options) as aha:
        return await results_of(aha.run(JobFile(path, columns=COLUMNS)))


def said(result: Result) -> str:
    """Why a row was rejected."""
    assert result.error is not None
    assert result.status is Status.REJECTED
    return result.error.message


@pytest.mark.parametrize(
    ("asked", "there"),
    [
        ("Weiss GmbH", "Weiß GmbH"),
        ("H2 Power", "H² Power"),
        ("Store 1", "Store ①"),
        ("Ａｃｍｅ", "Acme"),
        ("№5", "No5"),
    ],
)
def test_names_that_look_alike_are_suggested(asked: str, there: str) -> None:
    """Never linked, however short they are; the other way round as well."""
    for value, known in ((asked, there), (there, asked)):
        records = RecordIndex("name")
        records.add("1", known)
        records.add("2", "Something else")
        assert records.ids(value) == []
        assert list(records.nearest(value)) == [(known, "1")]


def test_of_ids_of_another_system_only_slips_are_suggested() -> None:
    """All of them look alike, and a wrong one would mislead."""
    records = RecordIndex("salesforce_id")
    for id, value in enumerate(("0015g00000AbcDe", "0015g00000AbcDf", "0015g0001000000AAA"), start=1):
        records.add(str(id), value)
    assert [id for _, id in records.nearest("0015G00000ABCDE")] == ["1"]
    assert [id for _, id in records.nearest("0015g00000AbcD0")] == ["1", "2"]
    assert records.nearest("0015g0001000047") == []
    assert [id for _, id in records.nearest("0015g0001000000AAB")] == ["3"]


async def test_after_a_hundred_unknown_names_none_is_suggested(sandbox: Sandbox, tmp_path: Path) -> None:
    """Each is still rejected, with its name; one that was searched before keeps its suggestion."""
    names = [f"Stranger {number}" for number in range(101)]
    results = await ran(sandbox, tmp_path / "a.csv", *names[:99], "Acme Crop", *names[99:], "Zane Crop", "Acme Crop")
    assert '; did you mean "Acme Corp" (640362830)?' in said(results[99])
    assert said(results[-2]) == (
        'column "Account Name": no record has the name "Zane Crop"; '
        "linker suggests similar names for the first 100 unknown names only"
    )
    assert '; did you mean "Acme Corp" (640362830)?' in said(results[-1])


@pytest.mark.parametrize(
    ("known", "warned"), [([], "none has"), (["Acme Corp", "Zane Corp"], "only 2 have"), (["A 1", "A 2", "A 3"], "")]
)
async def test_a_column_of_strangers_is_warned_of_once(
    sandbox: Sandbox, tmp_path: Path, known: list[str], warned: str
) -> None:
    """After a hundred different names, with the column as the table calls it; a few may be known by chance."""
    for id, name in enumerate(("A 1", "A 2", "A 3"), start=91):
        sandbox.account.add(Resource(Kind.CUSTOM_OBJECT_RECORD, id, "", name, 131414752, table="customers"))
    names = [*known, *(f"Stranger {number}" for number in range(300))]
    with capture_logs() as logs:
        await ran(sandbox, tmp_path / "a.csv", *names, *names)
    told = [entry["why"] for entry in logs if entry["event"] == "names_unknown"]
    assert len(told) == bool(warned)
    for why in told:
        assert why.startswith('of the first 100 names in the column "Account Name", ')
        assert warned in why
        assert why.endswith("in PRJ1/customers; check the column and the table")


async def test_few_names_and_an_empty_table_to_be_filled_are_not_warned_of(sandbox: Sandbox, tmp_path: Path) -> None:
    """Ninety-nine are too few to tell, however often they stand there."""
    names = [f"Stranger {number}" for number in range(99)]
    with capture_logs() as logs:
        await ran(sandbox, tmp_path / "a.csv", *names, *names)
    assert not [entry for entry in logs if entry["event"] == "names_unknown"]


async def test_the_command_says_early_that_the_column_is_wrong(command: Command, sandbox: Sandbox) -> None:
    """On stderr, whatever the command."""
    rows = "".join(f"PRJ1-{number},Account owner {number}\n" for number in range(1, 200))
    (command.folder / "wrong.csv").write_text(f"Aha Ref,Owner\n{rows}")
    options = ("--column", "id=Aha Ref", "--column", "record_names=Owner", "--set", "field=customers")
    planned = await command("plan", "wrong.csv", *options, "--table", "customers=PRJ1/customers", "--rate", "1000/1s")
    assert planned.code == 1
    assert planned.stderr.count('of the first 100 names in the column "Owner", none has a record') == 1
    assert planned.stdout.count("rejected (unknown_record)") == 199
