"""Missing records are created: one POST a name, never two, and none where the guard stops the run."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import orjson
import pytest
from support.command import Command
from support.fault_proxy import FaultProxy
from support.raw_server import page
from support.runs import ACME, ZANE, eager, lines_of, results_of, until, write_jobs

from linker import ErrorType, Kind, LinkJob, Result, Status, Stopped, TooManyRemovals, UsageError
from linker.api.answers import HttpAnswer
from linker.api.lists import Listing
from linker.api.requests import records
from linker.errors import BadAnswer
from linker.results.journal import journal_of
from linker.sandbox import Definition, Fault, Sandbox

TABLE = {"customers": "PRJ1/customers"}
OPTIONS = ("--table", "customers=PRJ1/customers", "--create-missing", "--rate", "1000/1s")


def named(id: str, *names: str, **rest: Any) -> dict[str, Any]:
    """A job that names customers."""
    return {"id": id, "links": {"customers": [{"name": name} for name in names]}} | rest


def customers(sandbox: Sandbox) -> Counter[str]:
    """How many customers there are by name, but for those of the start."""
    records = sandbox.account.listed(Kind.CUSTOM_OBJECT_RECORD)
    return Counter(held.name for held in records if held.table == "customers" and held.id >= 79 * 10**17)


def created_by(sandbox: Sandbox, count: int, process: asyncio.subprocess.Process) -> bool:
    """So many records have been created, or the process is over."""
    return sandbox.stats.created["customers"] >= count or process.returncode is not None


async def created(sandbox: Sandbox, jobs: list[dict[str, Any]], **options: Any) -> list[Result]:
    """The results of a run that creates what is missing."""
    given: dict[str, Any] = {"create_wait": 0.1, "timeout_s": 0.5}
    async with eager(sandbox, table=TABLE, create_missing=True, **given | options) as aha:
        return await results_of(aha.run(jobs))


async def test_a_name_is_created_once_however_often_it_is_named(sandbox: Sandbox) -> None:
    """In several spellings, on 40 targets at once; each result shows the record that it got."""
    spellings = ("Newcomer Ltd", " newcomer  LTD", "NEW\u00adCOMER\u00a0Ltd\u200b")
    jobs = [named(f"PRJ1-{number}", spellings[number % 3], "Acme Corp") for number in range(1, 41)]
    results = await created(sandbox, jobs)
    assert sandbox.stats.methods["POST"] == 1
    ((name, id),) = {(held.name, str(held.id)) for held in sandbox.account.listed(Kind.CUSTOM_OBJECT_RECORD)[-1:]}
    assert {result.status for result in results} == {Status.LINKED}
    for result in results:
        assert result.links == result.after == {"customers": [ACME, id]}
        assert result.created == {"customers": {name: id}}
        assert orjson.loads(result.to_json())["created"] == {"customers": {name: id}}
        assert result.changes is not None
        assert result.changes["customers"].added == [ACME, id]


async def test_only_lines_that_created_say_so(sandbox: Sandbox) -> None:
    """A line has the key where a record was made for it."""
    one, other = await created(sandbox, [named("PRJ1-1", "Newcomer"), named("PRJ1-2", "Acme Corp")])
    assert b'"created":{"customers":{"Newcomer":' in one.to_json()
    assert b"created" not in other.to_json()


async def test_without_the_option_nothing_is_created(sandbox: Sandbox) -> None:
    """A slip of the pen would become a record."""
    async with eager(sandbox, table=TABLE) as aha:
        (result,) = await results_of(aha.run([named("PRJ1-2", "Another")]))
    assert result.error is not None
    assert result.error.type is ErrorType.UNKNOWN_RECORD
    assert sandbox.stats.methods["POST"] == 0


async def test_an_id_of_another_system_alone_is_no_name_for_a_record(sandbox: Sandbox) -> None:
    """It is rejected, and says why."""
    job = {"id": "PRJ1-1", "links": {"customers": [{"salesforce_id": "0015g"}]}}
    (result,) = await created(sandbox, [job])
    assert result.error is not None
    assert "a new record needs a name and the row gives its salesforce_id only" in result.error.message


@pytest.mark.parametrize("fault", ["reset_after", "cut", 429])
async def test_an_answer_that_is_lost_creates_no_second_record(sandbox: Sandbox, fault: str | int) -> None:
    """It is looked for in the table; a 429 has done nothing, and needs no look."""
    sandbox.faults.script(None, None, fault)  # the table's page, the feature, and then the POST
    (result,) = await created(sandbox, [named("PRJ1-1", "Newcomer")])
    assert result.status is Status.LINKED
    assert customers(sandbox) == {"Newcomer": 1}
    pages = [seen for seen in sandbox.requests if seen.path.endswith("/records") and seen.method == "GET"]
    assert len(pages) == (1 if fault == 429 else 2)


@pytest.mark.parametrize("fault", ["html", 503, "reset"])
async def test_a_request_that_may_be_carried_out_later_is_not_sent_again(sandbox: Sandbox, fault: str | int) -> None:
    """The record is not seen, so the row fails and says what to do; a later run creates it."""
    sandbox.faults.script(None, None, fault)
    (result,) = await created(sandbox, [named("PRJ1-1", "Newcomer")])
    assert result.error is not None
    assert (result.status, result.error.retryable) == (Status.FAILED, True)
    assert result.error.message.startswith('the record "Newcomer" may already exist: the account did not confirm')
    assert result.error.message.endswith(". Run again in a minute")
    assert (sandbox.stats.methods["POST"], sandbox.stats.methods["PUT"]) == (1, 0)
    (result,) = await created(sandbox, [named("PRJ1-1", "Newcomer")])
    assert (result.status, customers(sandbox)) == (Status.LINKED, {"Newcomer": 1})


async def test_the_answer_about_another_record_is_not_taken_for_the_new_one(sandbox: Sandbox) -> None:
    """Its id is not linked: the record is looked for, and the row fails because nobody can see it."""
    other = b'{"custom_object_record":{"id":"77","custom_fields":[{"key":"name","value":"Globex"}]}}'
    async with FaultProxy(sandbox.url) as proxy:
        proxy.script(stays=page("200 OK", other), on="POST")
        (result,) = await created(sandbox, [named("PRJ1-1", "Newcomer")], url=proxy.url)
    assert result.error is not None
    assert "may already exist" in result.error.message
    assert sandbox.stats.methods["PUT"] == 0


async def test_a_record_in_doubt_holds_up_no_other_target(sandbox: Sandbox) -> None:
    """One worker does all other rows meanwhile, and a stop ends the wait at once: the row has no line."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-50", "customers", [ACME])  # links are shown, so no target goes first
    sandbox.faults.script(on="POST *", stays="reset")
    jobs = [named("PRJ1-1", "Newcomer"), *[named(f"PRJ1-{number}", "Acme Corp") for number in range(2, 10)]]
    async with asyncio.timeout(20), eager(sandbox, table=TABLE, create_missing=True, concurrency=1) as aha:
        run = aha.run(jobs)
        results: list[Result] = []
        async for result in run:
            results.append(result)
            if len(results) == 8:
                run.stop()
    assert {result.status for result in results} == {Status.LINKED}
    assert sandbox.stats.methods["POST"] == 1


async def test_after_three_records_in_doubt_no_further_one_is_created(sandbox: Sandbox) -> None:
    """The account answers no creation, so every further one would be in doubt too."""
    sandbox.faults.script(on="POST *", stays=504)
    results = await created(sandbox, [named(f"PRJ1-{number}", f"Newcomer {number}") for number in range(1, 9)])
    assert {result.status for result in results} == {Status.FAILED}
    messages = [result.error.message for result in results if result.error is not None]
    assert sum("was not created: the account did not answer the last 3" in message for message in messages) >= 1
    assert sandbox.stats.methods["POST"] < 8


@pytest.mark.parametrize("again", ["resume", "overwrite"])
async def test_a_name_in_doubt_is_looked_for_by_the_next_run_first(
    sandbox: Sandbox, tmp_path: Path, again: str
) -> None:
    """The journal has it, whether the run is resumed or starts over; the record that came late is linked."""
    path = tmp_path / "links.results.jsonl"
    jobs = [named("PRJ1-1", "Newcomer")]
    sandbox.faults.script(None, None, 504)
    options: dict[str, Any] = {"table": TABLE, "create_missing": True, "timeout_s": 0.5}
    async with eager(sandbox, create_wait=0.1, **options) as aha:
        (lost,) = await results_of(aha.run(jobs, path))
        assert lost.status is Status.FAILED
        asked = len(sandbox.requests)
        resumed = again == "resume"
        run = aha.run(jobs, path, resume=resumed, overwrite=not resumed, create_wait=3.0)
        found = asyncio.create_task(results_of(run))
        await until(lambda: any("q=Newcomer" in seen.query for seen in sandbox.requests[asked:]))
        product = sandbox.account.find(Kind.PRODUCT, "PRJ1")
        assert product is not None
        late = sandbox.account.create_record(product, "customers", "Newcomer")
        (result,) = await found
    assert (result.status, result.after) == (Status.LINKED, {"customers": [str(late.id)]})
    assert result.created == {"customers": {"Newcomer": str(late.id)}}
    assert sandbox.stats.methods["POST"] == 1
    assert not journal_of(path).exists()


async def test_faults_at_random_create_no_second_record() -> None:
    """Of 60 names on 60 targets, with a third of the answers lost."""
    jobs = [named(f"PRJ1-{number}", f"Newcomer {number % 30}", f"Other {number}") for number in range(1, 61)]
    faults = [Fault("reset_after", 0.2), Fault("cut", 0.1), Fault(503, 0.1)]
    async with Sandbox(limits=[], features=100, faults=faults, seed=3) as rough:
        results = await created(rough, jobs, attempts=40)
        made = customers(rough)
        again = await created(rough, jobs, attempts=40)
        assert set(customers(rough).values()) == {1}
    assert set(made.values()) == {1}
    assert Status.LINKED in {result.status for result in results + again}
    assert all(result.error is None or result.error.retryable for result in results + again)


async def test_where_nobody_can_tell_it_is_not_sent_again(sandbox: Sandbox) -> None:
    """The POST's answer is lost, and the table cannot be read: the job has failed, the record is there once."""
    sandbox.faults.script(None, None, "reset_after", *[422] * 20)
    (result,) = await created(sandbox, [named("PRJ1-1", "Newcomer")])
    assert result.error is not None
    assert (result.status, result.error.retryable) == (Status.FAILED, True)
    assert "linker cannot see whether it exists now" in result.error.message
    assert customers(sandbox) == {"Newcomer": 1}
    assert sandbox.stats.methods["PUT"] == 0


async def test_a_record_that_is_refused_fails_its_jobs_and_no_others(sandbox: Sandbox) -> None:
    """With the server's words; half a list goes with it, other fields of the target do not."""
    sandbox.faults.script(on="POST /api/v1/products/PRJ1/custom_objects/customers/records*", stays=422)
    jobs = [
        named("PRJ1-1", "Newcomer"),
        {"id": "PRJ1-1", "links": {"customers": [ACME]}},
        {"id": "PRJ1-1", "links": {"contracts": ["7036045937940700101"]}},
        named("PRJ1-2", "Acme Corp"),
    ]
    lost, sibling, other, well = await created(sandbox, jobs)
    assert lost.error is not None
    assert (lost.status, lost.error.type) == (Status.FAILED, ErrorType.INVALID_VALUE)
    assert lost.error.message == f'the record "Newcomer" could not be created: 422: {HTTPStatus(422).phrase}'
    assert orjson.loads(lost.to_json())["links"] == {"customers": [{"name": "Newcomer"}]}
    assert sibling.error is not None
    assert sibling.error.type is ErrorType.INCOMPLETE
    assert (other.status, well.status) == (Status.LINKED, Status.LINKED)
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1") == {"contracts": ["7036045937940700101"]}


async def test_what_is_already_so_is_done_where_a_sibling_is_lost(sandbox: Sandbox) -> None:
    """A job that wants nothing new is unchanged, whatever becomes of the record that another wants."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ACME])
    sandbox.faults.script(on="POST *", stays=422)
    jobs = [named("PRJ1-1", "Newcomer", mode="add"), named("PRJ1-1", "Acme Corp", mode="add")]
    lost, same = await created(sandbox, jobs)
    assert (lost.status, same.status) == (Status.FAILED, Status.UNCHANGED)
    assert sandbox.stats.methods["PUT"] == 0


async def test_nothing_is_created_where_the_guard_stops_the_run(sandbox: Sandbox) -> None:
    """It counts removals before the first record is made."""
    for number in range(1, 41):
        sandbox.account.set_links(Kind.FEATURE, f"PRJ1-{number}", "customers", [ACME, ZANE])
    jobs = [named(f"PRJ1-{number}", f"Newcomer {number}") for number in range(1, 41)]
    with pytest.raises(TooManyRemovals):
        await created(sandbox, jobs, max_removals=10)
    assert (sandbox.stats.methods["POST"], sandbox.stats.methods["PUT"]) == (0, 0)


async def test_a_pilot_creates_for_its_targets_alone(sandbox: Sandbox) -> None:
    """`limit` 2: two targets, two records."""
    jobs = [named(f"PRJ1-{number}", f"Newcomer {number}") for number in range(1, 11)]
    results = await created(sandbox, jobs, limit=2)
    assert [result.status for result in results] == [Status.LINKED] * 2
    assert sandbox.stats.methods["POST"] == 2


async def test_blind_creates_too(sandbox: Sandbox) -> None:
    """What is not read needs its record all the same."""
    (result,) = await created(sandbox, [named("PRJ1-1", "Newcomer")], blind=True)
    assert (result.status, sandbox.stats.methods["POST"]) == (Status.LINKED, 1)


async def test_a_plan_shows_what_would_be_created(command: Command, sandbox: Sandbox) -> None:
    """By name, as new; counted once each; as JSON by name as well. No POST is sent."""
    write_jobs(command.folder / "links.jsonl", [named("PRJ1-1", "Newcomer", "Acme Corp"), named("PRJ1-2", "newcomer")])
    planned = await command("plan", "links.jsonl", *OPTIONS)
    assert planned.code == 0
    assert "  customers  + Newcomer (new), Acme Corp (640362830)\n" in planned.stdout
    assert "\n1 record would be created first:\n" in planned.stdout
    told = await command("plan", "links.jsonl", *OPTIONS, "--json")
    change = orjson.loads(told.stdout.splitlines()[0])
    assert change["after"] == {"customers": [{"name": "Newcomer"}, ACME]}
    assert change["changes"] == {"customers": {"added": [{"name": "Newcomer"}, ACME], "removed": []}}
    assert sandbox.stats.methods["POST"] == 0


async def test_the_command_tells_how_many_were_created(command: Command, sandbox: Sandbox) -> None:
    """In the summary; an undo takes back links, says that the records stay and how to delete them, and deletes none."""
    write_jobs(command.folder / "links.jsonl", [named("PRJ1-1", "Newcomer", "Another")])
    ran = await command("run", "links.jsonl", *OPTIONS)
    assert "2 records created for names that were missing from their table" in ran.stdout
    undone = await command("undo", "links.results.jsonl", "--yes", "--rate", "1000/1s")
    assert undone.code == 0
    assert undone.stdout.endswith(
        "2 records that the run created stay; to delete those that nothing links to: "
        "linker undo links.results.jsonl --resume --delete-created\n"
    )
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1")["customers"] == []
    assert customers(sandbox) == {"Newcomer": 1, "Another": 1}


async def test_a_killed_run_does_not_create_twice(command: Command, sandbox: Sandbox) -> None:
    """Killed right after a POST was done, again and again: one record a name at the end, and every link."""
    jobs = [named(f"PRJ1-{number}", f"Newcomer {number % 8}") for number in range(1, 25)]
    write_jobs(command.folder / "links.jsonl", jobs)
    options = {"table": TABLE, "create_missing": True, "create_wait": 0.1, "timeout_s": 0.3, "rate": "1000/1s"}
    script = f"""import linker, sys
summary = linker.link("links.jsonl", url="{sandbox.url}", token="{sandbox.options.token}", resume=True,
                      results="links.results.jsonl", **{options})
sys.exit(not summary.ok)"""
    for kills in range(1, 5):
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, cwd=command.folder)
        await until(partial(created_by, sandbox, 2 * kills, process))
        process.kill()
        await process.communicate()
    finished = await command.program(sys.executable, "-c", script)
    assert finished.code == 0, finished.stderr
    assert customers(sandbox) == {f"Newcomer {number}": 1 for number in range(8)}
    last = {line["id"]: line for line in lines_of(command.folder / "links.results.jsonl")}
    assert {line["status"] for line in last.values()} <= {"linked", "unchanged"}
    assert all(len(sandbox.account.links(Kind.FEATURE, job["id"])["customers"]) == 1 for job in jobs)


async def test_a_run_that_is_stopped_while_it_creates_ends_in_order(sandbox: Sandbox) -> None:
    """What waits for its record has no line, and is to be done yet."""
    jobs = [LinkJob.parse(named(f"PRJ1-{number}", f"Newcomer {number}")) for number in range(1, 31)]
    async with eager(sandbox, table=TABLE, create_missing=True, concurrency=2) as aha:
        run = aha.run(jobs)
        results: list[Result] = []
        async for result in run:
            results.append(result)
            if len(results) == 3:
                run.stop()
    assert 3 <= len(results) < 30
    assert {result.status for result in results} == {Status.LINKED}
    assert run.summary.created == sandbox.stats.created["customers"]


async def test_an_outage_while_it_creates_creates_no_second_record(sandbox: Sandbox) -> None:
    """The account is gone for 40 requests, after a POST that it has done; then everything is linked."""
    sandbox.faults.script(None, None, "reset_after", *["reset"] * 40)
    jobs = [named(f"PRJ1-{number}", f"Newcomer {number}") for number in range(1, 4)]
    async with asyncio.timeout(60):
        try:
            results = await created(sandbox, jobs, attempts=100, concurrency=3)
        except Stopped as error:  # pragma: no cover  it is well in time
            pytest.fail(str(error))
    assert {result.status for result in results} == {Status.LINKED}
    assert set(customers(sandbox).values()) == {1}


async def test_a_table_by_two_names_is_one(sandbox: Sandbox) -> None:
    """The prefix of its product and the number: a name on two fields that go by these is created once."""
    jobs = [named("PRJ1-1", "Newcomer"), {"id": "PRJ1-2", "links": {"customers_table": [{"name": "newcomer"}]}}]
    table = {"customers": "PRJ1/customers", "customers_table": "131414752/customers"}
    async with eager(sandbox, table=table, create_missing=True) as aha:
        results = await results_of(aha.run(jobs))
    assert {result.status for result in results} == {Status.LINKED}
    assert customers(sandbox) == {"Newcomer": 1}


async def test_an_empty_table_is_read_once(sandbox: Sandbox) -> None:
    """And filled, by the title field that the user names: no record shows it."""
    sandbox.account.tables["regions"] = "Regions"
    sandbox.account.define(Definition("Feature", "regions", "Regions", 1, table="regions"))
    jobs = [{"id": f"PRJ1-{number}", "links": {"regions": [{"name": f"R {number % 3}"}]}} for number in range(1, 10)]
    options = {"table": {"regions": "PRJ1/regions"}, "create_missing": True, "name_field": {"regions": "name"}}
    async with eager(sandbox, **options) as aha:
        results = await results_of(aha.run(jobs))
    assert {result.status for result in results} == {Status.LINKED}
    asked = [seen.method for seen in sandbox.requests if seen.path.endswith("/regions/records")]
    assert Counter(asked) == {"GET": 1, "POST": 3}


@pytest.mark.parametrize("shown", ['{"custom_object_records":null}', '{"custom_object_records":{}}', "{}"])
def test_a_list_that_is_none_is_no_empty_table(shown: str) -> None:
    """Else every name would be created that is there: it is a bad answer, asked for again, and then the run ends."""
    with pytest.raises(BadAnswer, match="has no custom_object_records"):
        records(Listing.parse("record:PRJ1/customers"), 1).understand(HttpAnswer(200, {}, shown.encode(), 0.0))


async def test_a_table_that_shows_fewer_records_than_it_has_gets_none() -> None:
    """A name that is not seen there may be there all the same: it is rejected, and says so."""
    async with Sandbox(limits=[], list_totals="too_large") as short:
        well, lost = await created(short, [named("PRJ1-1", "Acme Corp"), named("PRJ1-2", "Newcomer")])
        assert short.stats.methods["POST"] == 0
    assert well.status is Status.LINKED
    assert lost.error is not None
    assert lost.error.type is ErrorType.UNKNOWN_RECORD
    assert "lists fewer records than it reports, so it may exist" in lost.error.message


async def test_records_without_their_names_get_no_others(sandbox: Sandbox) -> None:
    """A list that hides the fields of its records says nothing of who is there: the run ends before anything."""
    for held in sandbox.account.listed(Kind.CUSTOM_OBJECT_RECORD):
        held.name, held.values = "", {}
    with pytest.raises(UsageError, match='no record of PRJ1/customers has a value in the field "name"'):
        await created(sandbox, [named("PRJ1-1", "Newcomer")])
    assert sandbox.stats.methods["POST"] == 0
