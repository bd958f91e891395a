"""Targets that are records of a custom table, given by name: looked up before they enter the batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.command import Command
from support.runs import ACME, ZANE, eager, lines_of, results_of, write_jobs

from linker import ErrorType, InvalidJob, Kind, LinkJob, Mode, Name, Result, Status, UsageError
from linker.batch.batch import Batch
from linker.sandbox import Definition, Resource, Sandbox

RECORD = Kind.CUSTOM_OBJECT_RECORD
FIELD = "related"
TABLE = ("record=PRJ1/customers", f"{FIELD}=PRJ1/customers")
PRJ1 = 131414752


@pytest.fixture(autouse=True)
def related(sandbox: Sandbox) -> None:
    """A field by which customers link to customers."""
    sandbox.account.define(Definition("CustomObjectRecord", FIELD, "Related", 1, table="customers"))


def customer(sandbox: Sandbox, id: int, name: str, **values: str) -> None:
    """A customer more."""
    sandbox.account.add(Resource(RECORD, id, "", name, PRJ1, table="customers", values=values))


def job(id: object, *linked: object, **rest: Any) -> dict[str, Any]:
    """A job on a record of a custom table."""
    return {"kind": "custom_object_record", "id": id, "links": {FIELD: list(linked)}} | rest


def holding(sandbox: Sandbox, id: str) -> list[str]:
    """What a record links to."""
    return sandbox.account.links(RECORD, id)[FIELD]


async def linked(sandbox: Sandbox, jobs: Any, **options: Any) -> list[Result]:
    """The results of a run."""
    async with eager(sandbox, **{"table": TABLE} | options) as aha:
        return await results_of(aha.run(jobs))


def test_a_job_without_the_id_of_its_target_cannot_enter_a_batch() -> None:
    """Its target is not known, and says so; on a known target it is a job like any other."""
    named = LinkJob({"name": " Acme Corp"}, {FIELD: [ZANE]}, kind="CustomObjectRecord")  # type: ignore[arg-type]
    assert named.id == Name("name", "Acme Corp")
    assert (named.kind, named.by_id) == (RECORD, None)
    with pytest.raises(InvalidJob, match='the record with the name "Acme Corp" must be looked up first'):
        _ = named.target
    with pytest.raises((InvalidJob, AssertionError)):
        Batch(Mode.ADD).add(0, "f", 1, named)
    known = named.on(LinkJob(ACME, {FIELD: []}, kind=RECORD).target)
    assert (known.target.id, known.by_id) == (ACME, {FIELD: (ZANE,)})
    assert LinkJob(Name("sf", "17"), {FIELD: []}).kind is RECORD


@pytest.mark.parametrize(
    ("id", "kind", "said"),
    [
        ({"name": "Acme"}, "feature", "only records of custom tables are found by name"),
        ({"name": "Acme"}, "featur", 'kind "featur" is unknown'),
        ({"name": ""}, "custom_object_record", "id: a record's name is empty"),
        ({}, "custom_object_record", "id: a record must be an id or"),
        ("Acme Corp", "custom_object_record", "add --match name and --table record=PRODUCT/TABLE"),
        ("7.03605E+18", "custom_object_record", "has lost its last digits"),
    ],
)
def test_what_names_no_target_says_why(id: Any, kind: str, said: str) -> None:
    """And what to write."""
    with pytest.raises(InvalidJob) as error:
        LinkJob(id, {FIELD: []}, kind=kind)
    assert said in str(error.value)


async def test_a_target_is_looked_up_by_name_or_another_field(sandbox: Sandbox) -> None:
    """By any spelling that means one record; results tell its id."""
    customer(sandbox, 77, "Newcomer", salesforce_id="0015g")
    jobs = [job({"name": "ACME  corp"}, {"name": "Zane Corp"}), job({"salesforce_id": "0015g"}, ACME)]
    one, other = await linked(sandbox, jobs)
    assert (one.id, one.status, holding(sandbox, ACME)) == (ACME, Status.LINKED, [ZANE])
    assert (other.id, other.status, holding(sandbox, "77")) == ("77", Status.LINKED, [ACME])
    (typed,) = await linked(sandbox, [LinkJob(Name("name", "Zane Corp"), {FIELD: (ACME,)})])
    assert (typed.id, holding(sandbox, ZANE)) == (ZANE, [ACME])


async def test_two_names_and_an_id_of_one_record_are_one_target(sandbox: Sandbox) -> None:
    """One PUT; and what conflicts, conflicts."""
    customer(sandbox, 77, "Newcomer", salesforce_id="0015g")
    names: list[object] = [{"name": "newcomer"}, {"salesforce_id": "0015g"}, 77]
    results = await linked(
        sandbox, [job(id, linked, mode="add") for id, linked in zip(names, (ACME, ZANE, ACME), strict=True)]
    )
    assert {result.status for result in results} == {Status.LINKED}
    assert sandbox.stats.methods["PUT"] == 1
    assert holding(sandbox, "77") == [ZANE, ACME]
    results = await linked(sandbox, [job(names[0], ACME, mode="remove"), job(names[1], ACME, mode="add")])
    assert [result.error.type for result in results if result.error] == [ErrorType.CONFLICT] * 2


async def test_an_unknown_or_ambiguous_target_is_rejected(sandbox: Sandbox) -> None:
    """With the nearest names or the ids, never created; rows on other targets go on."""
    customer(sandbox, 77, "Twin")
    customer(sandbox, 78, "twin")
    jobs = [job({"name": "Acme Crop"}, ZANE, key="crm-1"), job({"name": "TWIN"}, ZANE), job(ACME, ZANE)]
    near, twice, well = await linked(sandbox, jobs, create_missing=True)
    assert near.error is not None
    assert twice.error is not None
    assert near.error.message == 'id: no record has the name "Acme Crop"; did you mean "Acme Corp" (640362830)?'
    assert twice.error.message == 'id: 2 records have the name "TWIN": 77, 78; give the id of one of them'
    assert {near.error.type, twice.error.type} == {ErrorType.UNKNOWN_RECORD}
    assert (near.id, near.kind, near.key, near.status) == ("Acme Crop", RECORD, "crm-1", Status.REJECTED)
    assert well.status is Status.LINKED
    assert sandbox.stats.methods["POST"] == 0


@pytest.mark.parametrize("wrong", [{"name": "Nobody"}, "1.5", None])
async def test_a_bad_row_holds_back_others_of_its_target_by_whatever_name(sandbox: Sandbox, wrong: object) -> None:
    """The target is known before its links: half a list is not sent, and other targets are written."""
    jobs = [job({"name": "Acme Corp"}, wrong), job(ACME, ZANE), job(ZANE, ACME)]
    bad, sibling, other = await linked(sandbox, jobs)
    assert bad.status is Status.REJECTED
    assert bad.id == ACME
    assert sibling.error is not None
    assert sibling.error.type is ErrorType.INCOMPLETE
    assert other.status is Status.LINKED


async def test_without_a_table_nothing_is_written(sandbox: Sandbox) -> None:
    """The error says what to add."""
    with pytest.raises(UsageError, match=r'record with the name "Acme Corp".*Add --table record=PRODUCT/TABLE'):
        await linked(sandbox, [job(ZANE, ACME), job({"name": "Acme Corp"}, ZANE)], table=TABLE[1:])
    assert sandbox.stats.methods["PUT"] == 0


async def test_the_whole_word_names_the_table_of_targets_too(sandbox: Sandbox) -> None:
    """It goes first, for an account with a field whose key is `record`."""
    table = ("record=PRJ1/contracts", "custom_object_record=PRJ1/customers")
    (result,) = await linked(sandbox, [job({"name": "Acme Corp"}, ZANE)], table=table)
    assert result.id == ACME


async def test_match_applies_to_targets_where_their_table_is_given(sandbox: Sandbox, tmp_path: Path) -> None:
    """Not to numeric ids of records in files from before, and not to targets of other kinds."""
    customer(sandbox, 77, "Comma, Pipe | Inc", salesforce_id="12345")
    path = tmp_path / "links.csv"
    head = "kind,id,field,record_names\n"
    rows = (
        f'custom_object_record,"Comma, Pipe | Inc; Acme Corp",{FIELD},Zane Corp\nfeature,PRJ1-1,customers,Acme Corp\n'
    )
    path.write_text(head + rows)
    table = (*TABLE, "customers=PRJ1/customers")
    results = await linked(sandbox, path, match="name", table=table)
    assert [(result.id, result.status) for result in results] == [
        ("77", Status.LINKED),
        (ACME, Status.LINKED),
        ("PRJ1-1", Status.LINKED),
    ]
    (by_number,) = await linked(sandbox, [job("12345", "12345")], match="salesforce_id")
    assert by_number.links == {FIELD: ["77"]}
    path.write_text(f"{head}custom_object_record,{ZANE},{FIELD},Acme Corp\n")
    (by_id,) = await linked(sandbox, path, match="name", table=TABLE[1:])
    assert (by_id.id, by_id.status) == (ZANE, Status.LINKED)


async def test_a_torn_row_holds_back_its_target(sandbox: Sandbox, tmp_path: Path) -> None:
    """By the name in it."""
    path = tmp_path / "links.csv"
    path.write_text(f"kind,id,field,record_names\nrecords,x,y\ncustom_object_record,Acme Corp,{FIELD}\n")
    path.write_text(path.read_text() + f"custom_object_record,Acme Corp,{FIELD},Zane Corp\n")
    _, torn, whole = await linked(sandbox, path, match="name")
    assert (torn.status, torn.id) == (Status.REJECTED, ACME)
    assert whole.error is not None
    assert whole.error.type is ErrorType.INCOMPLETE


async def test_every_verb_takes_named_targets(command: Command, sandbox: Sandbox) -> None:
    """check, plan, run, verify, a resume and an undo; they agree on the ids."""
    jobs = [job({"name": "Acme Corp"}, {"name": "Zane Corp"}), job({"name": "Nobody"}, ACME)]
    write_jobs(command.folder / "links.jsonl", jobs)
    options = ("links.jsonl", "--table", TABLE[0], "--table", TABLE[1])
    checked = await command("check", *options)
    assert checked.code == 1
    assert 'links.jsonl line 2: id: no record has the name "Nobody"' in checked.stdout
    planned = await command("plan", *options)
    assert f"custom_object_record {ACME}\n  {FIELD}  + Zane Corp ({ZANE})\n" in planned.stdout
    assert (await command("verify", *options)).code == 1
    assert (await command("run", *options)).code == 1
    assert holding(sandbox, ACME) == [ZANE]
    customer(sandbox, 77, "Nobody")
    retried = await command("run", *options, "--resume", "--failed-only")
    assert retried.code == 0, retried.stdout
    assert "in all: 2 of 2 rows in place" in retried.stdout
    assert holding(sandbox, "77") == [ACME]
    again = await command("run", *options, "--resume", "--failed-only")
    assert "in all: 2 of 2 rows in place" in again.stdout
    assert (await command("verify", *options)).code == 0
    assert [line["id"] for line in lines_of(command.folder / "links.results.jsonl")] == [ACME, "Nobody", "77"]
    assert (await command("undo", "links.results.jsonl", "--yes")).code == 0
    assert holding(sandbox, ACME) == holding(sandbox, "77") == []


async def test_a_mirror_knows_named_targets(sandbox: Sandbox) -> None:
    """A record that the file gives by name is not cleared; others of the scope are."""
    for id in (ACME, ZANE):
        sandbox.account.set_links(RECORD, id, FIELD, [ACME])
    scope = ("record:PRJ1/customers", FIELD)
    results = await linked(sandbox, [job({"name": "Acme Corp"}, ACME)], mirror=scope, yes=True)
    assert {result.id: result.status for result in results} == {ACME: Status.UNCHANGED, ZANE: Status.LINKED}
    assert (holding(sandbox, ACME), holding(sandbox, ZANE)) == ([ACME], [])
