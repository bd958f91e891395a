"""`linker undo`: what a run changed is taken back, and others' work is not."""

from __future__ import annotations

import signal

import pytest
from support.command import Command
from support.runs import ACME, ZANE, features, lines_of, names, until, write_jobs
from support.terminal import terminal

from linker import Kind
from linker.sandbox import Sandbox

RESULTS = "links.results.jsonl"

Before = dict[tuple[Kind, str], dict[str, list[str]]]


@pytest.fixture
async def run(command: Command, sandbox: Sandbox) -> Before:
    """A run that added two links, removed one, and left one alone; what there was before it."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-2", "customers", [ACME, ZANE])
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-3", "customers", [ACME])
    before = sandbox.account.all_links()
    jobs = [
        {"id": "PRJ1-1", "links": {"customers": [ACME, ZANE]}},
        {"id": "PRJ1-2", "links": {"customers": [ACME]}, "mode": "remove"},
        {"id": "PRJ1-3", "links": {"customers": [ACME]}},
    ]
    write_jobs(command.folder / "links.jsonl", jobs)
    assert (await command("run", "links.jsonl")).code == 0
    assert sandbox.account.all_links() != before
    return before


async def test_undo_takes_back_what_run_did(run: Before, command: Command, sandbox: Sandbox) -> None:
    """All is as before, in one PUT a target; the undo has results of its own, beside those it undid."""
    undone = await command("undo", RESULTS, "--yes")
    assert (undone.code, undone.stderr) == (0, "")
    assert undone.stdout.startswith("2 features undone: 1 link added back, 2 removed\n2 rows in ")
    assert undone.stdout.endswith("results: links.undo.jsonl\n")
    assert sandbox.account.all_links() == run
    assert sandbox.stats.methods["PUT"] == 4
    assert {line["status"] for line in lines_of(command.folder / "links.undo.jsonl")} == {"linked"}
    assert names(command.folder) == ["links.jsonl", RESULTS, "links.undo.jsonl"]


async def test_an_undo_can_be_undone(run: Before, command: Command, sandbox: Sandbox) -> None:
    """It is a run like any other: undone, the account holds again what the file asks."""
    await command("undo", RESULTS, "--yes")
    redone = await command("undo", "links.undo.jsonl", "--yes")
    assert redone.code == 0
    assert redone.stdout.endswith("results: links.undo.undo.jsonl\n")
    assert (await command("verify", "links.jsonl")).code == 0
    assert sandbox.account.all_links() != run


async def test_a_second_undo_finds_everything_undone(run: Before, command: Command, sandbox: Sandbox) -> None:
    """The results of the first are refused to be written over; elsewhere, it sends no PUT."""
    await command("undo", RESULTS, "--yes")
    refused = await command("undo", RESULTS)  # and nobody is asked about what cannot be
    assert refused.code == 2
    assert "results file links.undo.jsonl already exists; continue it with --resume, or" in refused.stderr
    again = await command("undo", RESULTS, "--yes", "--results", "again.jsonl")
    assert again.code == 0
    assert "nothing undone · 2 already undone\n" in again.stdout
    assert sandbox.stats.methods["PUT"] == 4


async def test_others_work_stays_and_is_mentioned(run: Before, command: Command, sandbox: Sandbox) -> None:
    """What a colleague added since is there afterwards, and its target and field are named."""
    customers = [r for r in sandbox.account.listed(Kind.CUSTOM_OBJECT_RECORD) if r.table == "customers"]
    other = next(str(record.id) for record in customers if str(record.id) not in (ACME, ZANE))
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ACME, ZANE, other])
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-2", "contracts", ["7036045937940700101"])
    undone = await command("undo", RESULTS, "--yes")
    assert undone.code == 0
    assert undone.stdout.endswith(
        "others have changed these fields since, and their changes stay: feature PRJ1-1 customers\n"
    )
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1") == {"customers": [other]}
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-2") == {
        "customers": [ZANE, ACME],
        "contracts": ["7036045937940700101"],
    }
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-3") == run[Kind.FEATURE, "PRJ1-3"]


async def test_where_nobody_can_be_asked_undo_wants_yes(run: Before, command: Command, sandbox: Sandbox) -> None:
    """Exit 2 with its count and its account, nothing sent, no results file."""
    sent = sandbox.stats.requests
    asked = await command("undo", RESULTS)
    assert (asked.code, asked.stdout) == (2, "")
    assert asked.stderr == (
        f"linker: {sandbox.url.removeprefix('http://')}: 2 features, +1 −2 links. "
        "linker cannot ask without a terminal; add --yes to confirm\n"
    )
    assert sandbox.stats.requests == sent
    assert names(command.folder) == ["links.jsonl", RESULTS]
    assert sandbox.account.all_links() != run


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 2), ("\n", 2), ("\x04", 130)])
async def test_on_a_terminal_undo_asks_once(
    run: Before, command: Command, sandbox: Sandbox, answer: str, code: int
) -> None:
    """A yes undoes; a no, a mere Enter and the end of input do not."""
    async with terminal(command, "undo", RESULTS) as shown:
        await shown.shows("Continue? [y/N]: ")
        shown.type(answer)
        assert await shown.ended() == code
    assert shown.screen.count("[y/N]") == 1
    assert (sandbox.account.all_links() == run) is (code == 0)
    assert ("undoing" in shown.screen) is (code == 0)
    assert ("nothing was undone" in shown.screen) is (code == 2)
    assert sandbox.stats.methods["PUT"] == (4 if code == 0 else 2)


async def test_an_interrupted_undo_can_be_taken_up(command: Command, sandbox: Sandbox) -> None:
    """Ctrl-C in the middle: exit 130, each target whole; the next undo does the rest and no target twice."""
    before = sandbox.account.all_links()
    write_jobs(command.folder / "links.jsonl", features(100))
    await command("run", "links.jsonl", "--rate", "1000/1s")
    process = await command.start("undo", RESULTS, "--yes", "--concurrency", "1", "--rate", "50/1s")
    await until(lambda: sandbox.stats.methods["PUT"] > 110)
    process.send_signal(signal.SIGINT)
    _, stderr = await process.communicate()
    assert process.returncode == 130
    assert "linker: interrupted; the requests in flight have finished" in stderr.decode()
    undone = len(lines_of(command.folder / "links.undo.jsonl"))
    assert undone == sandbox.stats.methods["PUT"] - 100
    rest = await command("undo", RESULTS, "--yes", "--overwrite", "--rate", "1000/1s")
    assert rest.code == 0
    assert sandbox.account.all_links() == before
    assert sandbox.stats.methods["PUT"] == 200


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "linker: x.results.jsonl: there is no such results file\n"),
        (
            '{"id": "PRJ1-1", "links": {"customers": []}}\n',
            'x.results.jsonl line 1: this is not a line of a results file: key "status" is missing',
        ),
        ("kind,id,field,record_ids\n", "x.results.jsonl line 1: this is not a line of a results file"),
        ('{"status": "linked"', "x.results.jsonl line 1: this is not a line of a results file"),
    ],
    ids=["none", "a job file", "a table", "a torn line"],
)
async def test_undo_of_what_is_no_results_file_exits_2(
    command: Command, sandbox: Sandbox, content: str | None, said: str
) -> None:
    """With the file and the line, and nothing sent."""
    if content is not None:
        (command.folder / "x.results.jsonl").write_text(content)
    undone = await command("undo", "x.results.jsonl", "--yes")
    assert (undone.code, undone.stdout) == (2, "")
    assert said in undone.stderr
    assert sandbox.stats.requests == 0


async def test_an_undo_does_not_write_over_what_it_reads(run: Before, command: Command, sandbox: Sandbox) -> None:
    """--results RESULTS, --overwrite or not: exit 2, and the results are as they were."""
    results = command.folder / RESULTS
    before = results.read_bytes()
    refused = await command("undo", RESULTS, "--yes", "--overwrite", "--results", RESULTS)
    assert refused.code == 2
    assert f"{RESULTS} would be read and written at the same time" in refused.stderr
    assert results.read_bytes() == before
    assert sandbox.account.all_links() != run


async def test_there_may_be_nothing_to_undo(command: Command, sandbox: Sandbox) -> None:
    """A run that changed nothing: exit 0, said so, nothing sent, no file."""
    write_jobs(command.folder / "links.jsonl", [{"id": "PRJ1-1", "links": {"customers": []}}])
    await command("run", "links.jsonl")
    sent = sandbox.stats.requests
    undone = await command("undo", RESULTS)
    assert (undone.code, undone.stdout) == (0, "nothing to undo: the run changed nothing\n")
    assert sandbox.stats.requests == sent
    assert names(command.folder) == ["links.jsonl", RESULTS]


async def test_what_was_written_blindly_is_named_and_left(command: Command, sandbox: Sandbox) -> None:
    """Nobody knows what those PUTs changed: exit 1 and their lines, whether there is anything else to undo or not."""
    write_jobs(command.folder / "links.jsonl", features(5))
    await command("run", "links.jsonl", "--blind")
    undone = await command("undo", RESULTS)
    assert undone.code == 1
    assert undone.stdout.startswith("nothing can be undone: the results do not say what these writes changed")
    assert undone.stdout.endswith("(feature PRJ1-3) and 2 more\n")
    write_jobs(command.folder / "more.jsonl", [{"id": "PRJ1-9", "links": {"customers": [ACME]}}])
    await command("run", "more.jsonl")
    results = command.folder / RESULTS
    results.write_bytes(results.read_bytes() + (command.folder / "more.results.jsonl").read_bytes())
    asked = await command("undo", RESULTS)
    assert ": 1 feature, +0 −1 links; 5 rows cannot be undone. " in asked.stderr
    undone = await command("undo", RESULTS, "--yes")
    assert undone.code == 1
    assert undone.stdout.startswith("1 feature undone: 0 links added back, 1 removed · 5 rejected\n")
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-9") == {}
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-3") == {"customers": [ACME]}


CREATE = ("--table", "customers=PRJ1/customers", "--create-missing")


@pytest.fixture
async def created(command: Command, sandbox: Sandbox) -> list[str]:
    """A run that linked two features to a record each that it created; the ids of these."""
    jobs = [
        {"id": "PRJ1-1", "links": {"customers": [{"name": "Newcomer"}]}},
        {"id": "PRJ1-2", "links": {"customers": [{"name": "Another"}]}},
    ]
    write_jobs(command.folder / "links.jsonl", jobs)
    assert (await command("run", "links.jsonl", *CREATE)).code == 0
    return created_in(sandbox)


def created_in(sandbox: Sandbox) -> list[str]:
    """The ids of records that were created and are still there."""
    return [str(each.id) for each in sandbox.account.listed(Kind.CUSTOM_OBJECT_RECORD) if each.id >= 79 * 10**17]


async def test_undo_deletes_what_the_run_created_when_asked_to(
    created: list[str], command: Command, sandbox: Sandbox
) -> None:
    """It says how many before and after; the plan of an undo names the option."""
    planned = await command("plan", "--undo", RESULTS)
    assert "2 records that the run created would stay; undo --delete-created deletes" in planned.stdout
    asked = await command("undo", RESULTS, "--delete-created")
    assert asked.code == 2
    assert "; deletes those of the 2 created records without links. " in asked.stderr
    assert created_in(sandbox) == created
    undone = await command("undo", RESULTS, "--yes", "--delete-created", "--log-level", "info")
    assert undone.code == 0
    assert undone.stdout.endswith("deleted 2 of 2 records that the run created\n")
    assert undone.stderr.count("deleted record ") == 2
    assert created_in(sandbox) == []


async def test_the_command_that_undo_offers_deletes_what_is_left(
    created: list[str], command: Command, sandbox: Sandbox
) -> None:
    """A colleague's link keeps one record, and is named; a second time, one is gone already."""
    offered = (await command("undo", RESULTS, "--yes")).stdout.splitlines()[-1].partition(": ")[2]
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-9", "customers", [created[0]])
    deleted = await command(*offered.split()[1:], "--yes")
    assert deleted.code == 0
    assert "deleted 1 of 2 records that the run created\n" in deleted.stdout
    assert deleted.stdout.endswith(f"not deleted, because something links to them: {created[0]}\n")
    assert created_in(sandbox) == created[:1]
    again = await command(*offered.split()[1:], "--yes")
    assert "deleted 0 of 2 records that the run created; 1 already deleted\n" in again.stdout


async def test_nothing_is_deleted_where_the_undo_stopped_early(
    created: list[str], command: Command, sandbox: Sandbox
) -> None:
    """Its links may be there still."""
    sandbox.faults.script(on="PUT |GET /api/v1/me", stays=401)
    stopped = await command("undo", RESULTS, "--yes", "--delete-created", "--max-wait", "0")
    assert stopped.code == 3
    assert "2 records that the run created stay; to delete" in stopped.stdout
    assert sandbox.stats.methods["DELETE"] == 0


async def test_a_record_that_may_not_be_deleted_makes_undo_exit_1(
    created: list[str], command: Command, sandbox: Sandbox
) -> None:
    """With the account's words."""
    sandbox.faults.script(on=f"DELETE .*{created[0]}", stays=403)
    undone = await command("undo", RESULTS, "--yes", "--delete-created")
    assert undone.code == 1
    assert f"not deleted: your token may not delete record {created[0]} (403: Forbidden)\n" in undone.stdout
    assert created_in(sandbox) == created[:1]


async def test_a_run_that_only_created_is_undone_by_deleting(command: Command, sandbox: Sandbox) -> None:
    """Its PUT was refused: there is no link to take back, and undo still asks before it deletes."""
    sandbox.faults.script(on="PUT *", stays=403)
    write_jobs(command.folder / "links.jsonl", [{"id": "PRJ1-1", "links": {"customers": [{"name": "Newcomer"}]}}])
    assert (await command("run", "links.jsonl", *CREATE)).code == 1
    said = await command("undo", RESULTS)
    assert (said.code, len(created_in(sandbox))) == (0, 1)
    assert "1 record that the run created stays; to delete those that nothing links to: linker undo" in said.stdout
    (command.folder / "links.undo.jsonl").touch()
    assert (await command("undo", RESULTS, "--delete-created")).code == 2
    undone = await command("undo", RESULTS, "--delete-created", "--yes")
    assert undone.code == 0
    assert undone.stdout.endswith("deleted 1 of 1 record that the run created\n")
    assert created_in(sandbox) == []


async def test_an_interrupted_deletion_can_be_taken_up(command: Command, sandbox: Sandbox) -> None:
    """Ctrl-C in the middle: exit 130; run the same command with --resume to delete the rest."""
    jobs = [{"id": "PRJ1-1", "links": {"customers": [{"name": f"New {number}"} for number in range(60)]}}]
    write_jobs(command.folder / "links.jsonl", jobs)
    await command("run", "links.jsonl", *CREATE, "--rate", "1000/1s")
    process = await command.start("undo", RESULTS, "--yes", "--delete-created", "--rate", "50/1s")
    await until(lambda: sandbox.stats.methods["DELETE"] > 5)
    process.send_signal(signal.SIGINT)
    stdout, stderr = await process.communicate()
    assert process.returncode == 130
    assert " of 60 records that the run created" in stdout.decode()
    assert "run the same command with --resume to delete the rest" in stderr.decode()
    rest = await command("undo", RESULTS, "--yes", "--delete-created", "--resume", "--rate", "1000/1s")
    assert rest.code == 0
    assert created_in(sandbox) == []
