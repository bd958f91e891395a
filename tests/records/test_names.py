"""Names instead of ids: resolved by the list of their table, which is read once a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from support.command import Command
from support.runs import ACME, ZANE, eager, lines_of, results_of, write_jobs

import linker
from linker import ErrorType, Kind, LinkJob, Name, Result, Status, UsageError
from linker.sandbox import Account, Resource, Sandbox

TABLE = {"customers": "PRJ1/customers"}
PRJ1 = 131414752


def named(*names: str, id: str = "PRJ1-1", **rest: Any) -> dict[str, Any]:
    """A job that names customers."""
    return {"id": id, "links": {"customers": [{"name": name} for name in names]}} | rest


def customer(account: Account, id: int, name: str, product: int = PRJ1, **values: str) -> None:
    """A customer more."""
    account.add(Resource(Kind.CUSTOM_OBJECT_RECORD, id, "", name, product, table="customers", values=values))


async def linked(sandbox: Sandbox, *jobs: Mapping[str, Any] | LinkJob, **options: Any) -> list[Result]:
    """The results of jobs with names."""
    async with eager(sandbox, **{"table": TABLE} | options) as aha:
        return await results_of(aha.run(list(jobs)))


def why(result: Result) -> str:
    """Why a job was rejected for its names."""
    assert result.error is not None
    assert (result.status, result.error.type) == (Status.REJECTED, ErrorType.UNKNOWN_RECORD)
    return result.error.message


def test_a_job_holds_names_after_ids() -> None:
    """Objects of one key become names; ids and names are each once, and sorted."""
    job = LinkJob("PRJ1-1", {"customers": [{"name": " Zane "}, 20, {"sf": 17}, "3", Name("name", "Zane")]})  # type: ignore[list-item]
    assert job.links == {"customers": ("3", "20", Name("name", "Zane"), Name("sf", "17"))}
    assert job.by_id is None
    assert LinkJob("PRJ1-1", {"customers": ["3"]}).by_id == {"customers": ("3",)}


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({}, 'a record must be an id or {"name": "…"}, not {}'),
        ({"name": "a", "sf": "b"}, "a record must be an id or"),
        ({"name": ""}, "a record's name is empty"),
        ({"name": " \n"}, "a record's name is empty"),
        ({"name": ["Acme"]}, "a record's name must be text, not ['Acme']"),
        ({"sf": 7.03605e18}, "a record's sf must be text, not 7.03605e+18; the number has lost its last digits"),
        ({"na me": "Acme"}, '"na me" is not the key of a field'),
        ({"name": "x" * 1001}, "a record's name is longer than 1,000 characters"),
        ({"name": "\ud800"}, "half a character"),
    ],
)
def test_what_is_no_name_says_why(record: object, said: str) -> None:
    """In the words of a job file."""
    with pytest.raises(linker.InvalidJob) as error:
        LinkJob("PRJ1-1", {"customers": [record]})  # type: ignore[list-item]
    assert str(error.value).startswith("links.customers: ")
    assert said in str(error.value)


async def test_names_become_ids(sandbox: Sandbox) -> None:
    """By any spelling that means one record; results tell ids, so that a resume and an undo go by these."""
    results = await linked(sandbox, named("Acme Corp", " ZANE  corp"), named("Acme Corp", id="PRJ1-2", mode="add"))
    assert [result.status for result in results] == [Status.LINKED] * 2
    assert results[0].links == {"customers": [ZANE, ACME]}
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1")["customers"] == [ZANE, ACME]
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-2")["customers"] == [ACME]


async def test_the_table_is_read_once_a_run_200_a_page(sandbox: Sandbox) -> None:
    """102 customers on one page, whoever names them and how often."""
    for number in range(250):
        customer(sandbox.account, 10**18 + number, f"Customer {number}")
    jobs = [named(f"Customer {number}", id=f"PRJ1-{number + 1}") for number in range(50)]
    results = await linked(sandbox, *jobs, named("Acme Corp", id="PRJ1-R-1"))
    assert {result.status for result in results} == {Status.LINKED}
    pages = [seen for seen in sandbox.requests if seen.path.endswith("/custom_objects/customers/records")]
    assert len(pages) == 2
    assert all("per_page=200" in seen.query for seen in pages)


async def test_a_name_that_is_nobody_s_is_rejected_with_the_nearest(sandbox: Sandbox) -> None:
    """With its id; the line shows what it asked for."""
    near, far = await linked(sandbox, named("Acme Crop", key="crm-1"), named("Nobody at all", id="PRJ1-2"))
    assert why(near) == 'links.customers: no record has the name "Acme Crop"; did you mean "Acme Corp" (640362830)?'
    assert why(far) == (
        'links.customers: no record has the name "Nobody at all"; '
        "list the records with: linker records PRJ1/customers --find Nobody"
    )
    assert orjson.loads(near.to_json())["links"] == {"customers": [{"name": "Acme Crop"}]}
    assert (near.key, near.id) == ("crm-1", "PRJ1-1")
    assert sandbox.stats.methods["PUT"] == 0


async def test_two_records_of_one_name_are_never_guessed(sandbox: Sandbox) -> None:
    """Both ids are shown; by its id either can be linked."""
    customer(sandbox.account, 77, "Acme Corp")
    twice, exact = await linked(sandbox, named("acme corp"), {"id": "PRJ1-2", "links": {"customers": ["77"]}})
    assert 'links.customers: 2 records have the name "acme corp": 77, 640362830; give the id' in why(twice)
    assert exact.status is Status.LINKED


async def test_half_a_list_is_not_sent_for_an_unknown_name(sandbox: Sandbox) -> None:
    """The `replace` siblings of its field go with it, an `add` does not."""
    one, two, added = await linked(
        sandbox, named("Acme Crop"), named("Zane Corp"), named("Zane Corp", id="PRJ1-2", mode="add")
    )
    assert why(one)
    assert two.error is not None
    assert two.error.type is ErrorType.INCOMPLETE
    assert added.status is Status.LINKED


async def test_a_name_and_its_id_are_one_record(sandbox: Sandbox) -> None:
    """So they conflict as two ids would, and add up to one link."""
    adds = {"id": "PRJ1-1", "links": {"customers": [ACME]}, "mode": "add"}
    results = await linked(sandbox, adds, named("Acme Corp", mode="remove"))
    assert [result.error.type for result in results if result.error] == [ErrorType.CONFLICT] * 2
    results = await linked(sandbox, adds, named("Acme Corp", mode="add"))
    assert sandbox.stats.methods["PUT"] == 1
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1")["customers"] == [ACME]


async def test_any_field_of_the_table_can_be_the_key(sandbox: Sandbox) -> None:
    """`match` says which; in a job file an object says it for itself."""
    customer(sandbox.account, 77, "One", salesforce_id="0015g00000AbcDe")
    customer(sandbox.account, 78, "Two", salesforce_id="0015g00000aBCdE")
    ids = {"id": "PRJ1-1", "links": {"customers": ["0015g00000aBCdE"]}}
    (result,) = await linked(sandbox, ids, match="salesforce_id")
    assert (result.status, result.links) == (Status.LINKED, {"customers": ["78"]})
    (result,) = await linked(sandbox, ids | {"links": {"customers": [{"salesforce_id": "0015g00000AbcDe"}]}})
    assert result.links == {"customers": ["77"]}
    (result,) = await linked(sandbox, ids | {"links": {"customers": ["0015G00000ABCDE"]}}, match="salesforce_id")
    assert 'no record has the salesforce_id "0015G00000ABCDE"' in why(result)


async def test_a_field_that_no_record_has_ends_the_run(sandbox: Sandbox) -> None:
    """With those that there are."""
    with pytest.raises(
        UsageError, match=r'no record of PRJ1/customers has a value in the field "sfid".*name, salesforce_id'
    ):
        await linked(sandbox, {"id": "PRJ1-1", "links": {"customers": ["x"]}}, match="sfid")


async def test_a_table_that_nothing_tells_ends_the_run_with_the_option_that_does(sandbox: Sandbox) -> None:
    """Nothing is written, not even of the jobs by id."""
    jobs = [{"id": "PRJ1-2", "links": {"customers": [ACME]}}, named("Acme Corp")]
    with pytest.raises(UsageError, match=r"linker cannot tell which table.*--table customers=PRODUCT/TABLE"):
        await linked(sandbox, *jobs, table=())
    assert sandbox.stats.methods["PUT"] == 0


async def test_definitions_may_tell_the_table() -> None:
    """Where they do, nobody need say it."""
    async with Sandbox(limits=[], definitions="with_tables") as sandbox:
        (result,) = await linked(sandbox, named("Acme Corp"), table=(), preflight=True)
    assert result.status is Status.LINKED


async def test_what_a_field_holds_elsewhere_tells_the_table(sandbox: Sandbox) -> None:
    """A record tells its table: one that another target of the kind holds in the field is enough. Two requests."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-9", "customers", [ZANE])
    (result,) = await linked(sandbox, named("Acme Corp"), table=())
    assert (result.status, result.links) == (Status.LINKED, {"customers": [ACME]})
    assert [seen.path for seen in sandbox.requests[:2]] == ["/api/v1/features", f"/api/v1/custom_object_records/{ZANE}"]


async def test_a_table_over_several_products_is_one(sandbox: Sandbox) -> None:
    """Each `table` of a field adds its records."""
    customer(sandbox.account, 77, "Elsewhere Ltd", product=517761884)
    tables = ("customers=PRJ1/customers", "customers=PRJ2/customers")
    (result,) = await linked(sandbox, named("Elsewhere Ltd", "Acme Corp"), table=tables)
    assert result.links == {"customers": ["77", ACME]}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("customers", "write FIELD=PRODUCT/TABLE"),
        ("customers=PRJ1", "write FIELD=PRODUCT/TABLE"),
        ("customers=PRJ1/../x", "write FIELD=PRODUCT/TABLE"),
        (
            "customers=PRJ1/custmers",
            r"table PRJ1/custmers does not exist, or .* \(404\)\. It was given by --table; linker tables lists",
        ),
    ],
)
async def test_a_table_that_is_none_is_told(sandbox: Sandbox, table: str, said: str) -> None:
    """A usage error; nothing is written."""
    with pytest.raises(UsageError, match=said):
        await linked(sandbox, named("Acme Corp"), table=(table,))
    assert sandbox.stats.methods["PUT"] == 0


@pytest.mark.parametrize("totals", ["right", "too_small", "too_large", "missing"])
async def test_the_list_is_read_to_its_end_whatever_its_totals_say(totals: str) -> None:
    """450 records: none is missed, and the reading ends."""
    async with Sandbox(limits=[], records=448, list_totals=totals) as sandbox:
        records = sandbox.account.listed(Kind.CUSTOM_OBJECT_RECORD)
        customers = [held for held in records if held.table == "customers"]
        jobs = [
            {"id": "PRJ1-1", "links": {"customers": [{"salesforce_id": held.values["salesforce_id"]}]}, "mode": "add"}
            for held in customers
            if held.values
        ]
        results = await linked(sandbox, *jobs)
        assert {result.status for result in results} == {Status.LINKED}
        assert len(sandbox.account.links(Kind.FEATURE, "PRJ1-1")["customers"]) == 448


async def test_a_list_that_takes_no_notice_of_fields_is_read_whole() -> None:
    """More bytes, the same records."""
    async with Sandbox(limits=[], ignore_fields=True) as sandbox:
        (result,) = await linked(sandbox, named("Acme Corp"))
    assert result.status is Status.LINKED


async def test_a_plan_and_a_verify_tell_names(command: Command, sandbox: Sandbox) -> None:
    """Beside the ids; what is held and named nowhere in the file, too."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ZANE])
    write_jobs(command.folder / "links.jsonl", [named("Acme Corp")])
    options = ("links.jsonl", "--table", "customers=PRJ1/customers", "--rate", "1000/1s")
    planned = await command("plan", *options)
    assert "  customers  + Acme Corp (640362830)\n  customers  - Zane Corp (8397122)\n" in planned.stdout
    verified = await command("verify", *options)
    assert verified.stdout.splitlines()[0] == (
        "feature PRJ1-1: customers missing Acme Corp (640362830); should not have Zane Corp (8397122)"
    )


async def test_a_run_by_names_resumes_by_their_ids(command: Command, sandbox: Sandbox) -> None:
    """What is done stays done; a name that means another record by now is done again."""
    write_jobs(command.folder / "links.jsonl", [named("Acme Corp"), named("Zane Corp", id="PRJ1-2")])
    options = ("run", "links.jsonl", "--table", "customers=PRJ1/customers", "--rate", "1000/1s", "--resume")
    assert (await command(*options)).code == 0
    again = await command(*options)
    assert "in all: 2 of 2 rows in place" in again.stdout
    assert sandbox.stats.methods["PUT"] == 2
    record = sandbox.account.find(Kind.CUSTOM_OBJECT_RECORD, ZANE)
    assert record is not None
    record.name = "Zane Corporation"
    customer(sandbox.account, 77, "Zane Corp")
    renamed = await command(*options)
    assert "in all: 2 of 2 rows in place" in renamed.stdout
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-2")["customers"] == ["77"]
    assert [line["links"]["customers"] for line in lines_of(command.folder / "links.results.jsonl")] == [
        [ACME],
        [ZANE],
        ["77"],
    ]


async def test_export_by_names_fills_a_second_account(command: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    """The same links on an account where the same customers have other ids, as JSONL and as a table."""
    customer(sandbox.account, 77, "Semi; Colon")
    customer(sandbox.account, 78, "Twin")
    customer(sandbox.account, 79, "twin")
    customer(sandbox.account, 80, "Same")
    customer(sandbox.account, 81, "Same")
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ACME, ZANE, 77, 78])
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-2", "customers", [81])
    exported = await command("export", "--kind", "feature", "--names", "-o", "links.jsonl")
    assert exported.code == 0
    assert "1 record written by id" in " ".join(exported.stderr.split())
    second, first = lines_of_jobs(tmp_path / "links.jsonl")
    assert [each["name"] for each in first["links"]["customers"]] == ["Acme Corp", "Semi; Colon", "Twin", "Zane Corp"]
    assert second["links"]["customers"] == ["81"]
    table = await command("export", "--kind", "feature", "--names", "--format", "csv")
    assert table.stdout.splitlines() == [
        "kind,id,field,record_ids,record_names",
        "feature,PRJ1-2,customers,81,",
        "feature,PRJ1-1,customers,77,",
        "feature,PRJ1-1,customers,,Acme Corp;Twin;Zane Corp",
    ]
    async with Sandbox(limits=[], seed=9) as other:
        for id, name in ((91, "Semi; Colon"), (92, "Twin")):
            customer(other.account, id, name)
        async with eager(other, table=TABLE) as aha:
            results = await results_of(aha.run(tmp_path / "links.jsonl"))
        assert results[1].status is Status.LINKED
        assert set(other.account.links(Kind.FEATURE, "PRJ1-1")["customers"]) == {ACME, ZANE, "91", "92"}


def lines_of_jobs(path: Path) -> list[dict[str, Any]]:
    """The lines of a job file."""
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]
