"""`linker plan`: what a run would do, and nothing done."""

from __future__ import annotations

import signal
from pathlib import Path

import orjson
import pytest
from support.command import Command
from support.runs import ACME, ZANE, until, write_jobs
from support.terminal import terminal

from linker import Kind
from linker.sandbox import Sandbox

MAILS = "writes may notify watchers by mail, and may trigger webhooks and integrations\n"


def text_of(path: Path) -> str:
    """What a file holds."""
    return path.read_text()


@pytest.fixture
def links(command: Command, sandbox: Sandbox) -> str:
    """A file that adds, removes, clears and leaves alone."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-2", "customers", [ACME, ZANE])
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-3", "customers", [ACME])
    sandbox.account.set_links(Kind.IDEA, "PRJ1-I-5", "customers", [ACME])
    write_jobs(
        command.folder / "links.jsonl",
        [
            {"id": "PRJ1-1", "links": {"customers": [ACME]}},
            {"id": "PRJ1-1", "links": {"customers": [ZANE]}, "mode": "add"},
            {"id": "PRJ1-2", "links": {"customers": [ACME]}, "mode": "remove"},
            {"id": "PRJ1-3", "links": {"customers": [ACME]}},
            {"id": "PRJ1-I-5", "links": {"customers": [], "submitters": [ZANE]}},
        ],
    )
    return "links.jsonl"


async def test_plan_shows_what_run_then_does(links: str, command: Command, sandbox: Sandbox) -> None:
    """Per target what comes and goes, in columns; no PUT; and just as many foretold as the run sends."""
    planned = await command("plan", links)
    assert (planned.code, planned.stderr) == (0, "")
    assert "feature PRJ1-1\n  customers  + 8397122, 640362830\n" in planned.stdout
    assert "feature PRJ1-2\n  customers  - 640362830\n" in planned.stdout
    assert "idea PRJ1-I-5\n  customers   - 640362830\n  submitters  + 8397122\n" in planned.stdout
    assert "PRJ1-3" not in planned.stdout
    targets, takes, mails = planned.stdout.splitlines()[-3:]
    assert targets == "2 features and 1 idea would change: 3 links added, 2 removed · 1 target already in place"
    assert takes.startswith("a run takes 3 to 6 reads and 3 writes, at least ")
    assert f"{mails}\n" == MAILS
    assert set(sandbox.stats.methods) == {"GET"}
    ran = await command("run", links)
    assert ran.code == 0
    assert sandbox.stats.methods["PUT"] == 3
    again = await command("plan", links)
    assert again.code == 0
    assert again.stdout.splitlines()[0] == "nothing would change · 4 targets already in place"
    assert again.stdout.splitlines()[1].startswith("a run takes 3 reads and 0 writes")
    assert MAILS not in again.stdout


async def test_one_of_anything_is_not_in_the_plural(command: Command) -> None:
    """One target, one link, one PUT."""
    write_jobs(command.folder / "one.jsonl", [{"id": "PRJ1-1", "links": {"customers": [ACME]}}])
    planned = await command("plan", "one.jsonl")
    assert (
        "1 feature would change: 1 link added, 0 removed\n"
        "the account shows no links of features yet, so this plan assumes that 1 target has none\n"
        "a run takes 3 to 4 reads and 1 write, at least "
    ) in planned.stdout


async def test_plan_as_json_is_one_change_a_line(links: str, command: Command, sandbox: Sandbox) -> None:
    """Changes with their jobs, and rejected lines as results; for a program, nothing else is on stdout."""
    write_jobs(command.folder / "bad.jsonl", [{"id": "PRJ1-N-1", "links": {"customers": [ACME]}}])
    planned = await command("plan", links, "bad.jsonl", "--json", "--no-progress")
    assert (planned.code, planned.stderr) == (1, "")
    lines = [orjson.loads(line) for line in planned.stdout.splitlines()]
    (rejected,) = [line for line in lines if "status" in line]
    assert (rejected["source"], rejected["line"], rejected["error"]["type"]) == ("bad.jsonl", 1, "invalid_job")
    changes = {line["id"]: line for line in lines if "put" in line}
    assert len(lines) == 1 + len(changes) == 5
    assert changes["PRJ1-1"]["jobs"] == [0, 1]
    assert changes["PRJ1-2"] == {
        "kind": "feature",
        "id": "PRJ1-2",
        "put": True,
        "before": {"customers": [ZANE, ACME]},
        "after": {"customers": [ZANE]},
        "changes": {"customers": {"added": [], "removed": [ACME]}},
        "jobs": [2],
    }
    assert changes["PRJ1-3"]["put"] is False
    assert sandbox.stats.methods["PUT"] == 0


async def test_what_cannot_be_planned_is_named_and_exits_1(command: Command, sandbox: Sandbox) -> None:
    """A line that is no job, a target that is not there, one whose links are not shown: each in its line."""
    jobs = [
        {"id": "PRJ1-9999", "links": {"customers": []}},
        {"id": "PRJ1-1", "lnks": {"customers": [ACME]}},
        {"id": "PRJ2", "links": {"customers": [ACME]}},
        {"id": "PRJ3", "links": {"customers": [ACME]}, "mode": "add"},
    ]
    write_jobs(command.folder / "x.jsonl", jobs)
    planned = await command("plan", "x.jsonl")
    assert (planned.code, planned.stderr) == (1, "")
    assert (
        "x.jsonl line 1: failed (not_found): feature PRJ1-9999 does not exist, or your token cannot see it (404)\n"
        in planned.stdout
    )
    assert 'x.jsonl line 2: rejected (invalid_job): key "lnks" is unknown; did you mean "links"?' in planned.stdout
    assert "product PRJ2  (the account does not show its links)\n  customers  = 640362830\n" in planned.stdout
    assert "x.jsonl line 4: failed (bad_answer): " in planned.stdout
    counts = "1 target not visible · 1 row rejected · 2 rows failed"
    assert f"\n1 product would change: 1 link added, 0 removed · {counts}\n" in planned.stdout
    assert sandbox.stats.methods["PUT"] == 0


async def test_the_undo_of_a_run_can_be_planned(links: str, command: Command, sandbox: Sandbox) -> None:
    """`--undo RESULTS` shows what undo then does, and sends no PUT."""
    await command("run", links)
    planned = await command("plan", "--undo", "links.results.jsonl")
    assert planned.code == 0
    assert "feature PRJ1-1\n  customers  - 8397122, 640362830\n" in planned.stdout
    assert "feature PRJ1-2\n  customers  + 640362830\n" in planned.stdout
    assert "2 features and 1 idea would change: 2 links added, 3 removed" in planned.stdout
    assert sandbox.stats.methods["PUT"] == 3
    await command("undo", "links.results.jsonl", "--yes")
    assert sandbox.stats.methods["PUT"] == 6
    assert (
        await command("plan", "--undo", "none.jsonl")
    ).stderr == "linker: none.jsonl: there is no such results file\n"


async def test_a_mirror_can_be_planned(links: str, command: Command, sandbox: Sandbox) -> None:
    """With the options of run, what the file does not name is shown as cleared."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-77", "customers", [ACME])
    mirror = ("--mirror", "--field", "customers", "--scope", "feature:PRJ1")
    planned = await command("plan", links, *mirror)
    assert planned.code == 0
    assert "feature PRJ1-77\n  customers  - 640362830\n" in planned.stdout
    assert "3 features and 1 idea would change" in planned.stdout
    assert sandbox.stats.methods["PUT"] == 0
    await command("run", links, *mirror, "--yes")
    assert sandbox.stats.methods["PUT"] == 4


async def test_plan_tells_where_the_guard_will_ask(command: Command, sandbox: Sandbox) -> None:
    """More than a hundred links removed: a run may ask, and the plan says so beforehand."""
    for number in range(1, 102):
        sandbox.account.set_links(Kind.FEATURE, f"PRJ1-{number}", "customers", [ACME])
    clears = [{"id": f"PRJ1-{number}", "links": {"customers": []}} for number in range(1, 102)]
    write_jobs(command.folder / "clears.jsonl", clears)
    planned = await command("plan", "clears.jsonl")
    assert "a run stops and asks before it removes more than half of the links read; --yes allows it" in planned.stdout
    assert (await command("run", "clears.jsonl")).code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("", "give either FILEs to plan or --undo RESULTS"),
        ("links.jsonl --undo x.jsonl", "give either FILEs to plan or --undo RESULTS"),
        ("--undo x.jsonl --mirror --field customers --scope feature", "--mirror and --undo cannot be used together"),
        ("links.jsonl --mirror", "--mirror needs both --field and --scope"),
        ("links.jsonl --mirror --field customers --scope release", "write release:PRODUCT"),
        ("missing.jsonl", "missing.jsonl: No such file or directory"),
    ],
)
async def test_a_plan_of_nothing_exits_2(
    links: str, command: Command, sandbox: Sandbox, arguments: str, said: str
) -> None:
    """With what to write instead, and nothing sent."""
    planned = await command("plan", *arguments.split())
    assert (planned.code, planned.stdout) == (2, "")
    assert said in planned.stderr
    assert sandbox.stats.requests == 0


@pytest.mark.parametrize("verb", ["plan", "verify"])
async def test_what_was_not_seen_to_its_end_is_not_summed_up(links: str, command: Command, verb: str) -> None:
    """A token that is not taken: exit 3, why, and neither a count nor a verdict that nobody can give."""
    command.environment["AHA_TOKEN"] = "stale"
    planned = await command(verb, links)
    assert (planned.code, planned.stdout) == (3, "")
    assert "stopped early: the account rejected your token (401: unauthorized)" in planned.stderr


@pytest.mark.parametrize("verb", ["plan", "verify"])
async def test_an_interrupted_look_is_not_summed_up(command: Command, sandbox: Sandbox, verb: str) -> None:
    """Ctrl-C: exit 130, what was seen is shown, and that it is not all there is."""
    write_jobs(command.folder / "x.jsonl", [{"id": f"PRJ1-R-{n}", "links": {"customers": []}} for n in range(100, 190)])
    process = await command.start(verb, "x.jsonl", "--concurrency", "1")
    await until(lambda: sandbox.stats.requests > 5)
    process.send_signal(signal.SIGINT)
    stdout, stderr = await process.communicate()
    assert process.returncode == 130
    unfinished = {
        "plan": "the plan is incomplete",
        "verify": "not everything was verified, so there is no answer",
    }[verb]
    assert stderr.decode().splitlines() == [
        "linker: finishing the requests in flight; press Ctrl-C again to stop now",
        f"linker: interrupted; {unfinished}",
    ]
    assert {line.split()[-1] for line in stdout.decode().splitlines()} == {"(404)"}


@pytest.mark.parametrize(("verb", "doing"), [("plan", "planning"), ("verify", "verifying")])
async def test_on_a_terminal_the_bar_stays_below_what_is_shown(
    links: str, command: Command, verb: str, doing: str
) -> None:
    """The bar says what is being done, and no line of output shares its line with it."""
    async with terminal(command, verb, links) as shown:
        await shown.ended()
    assert doing in shown.screen
    assert "linking" not in shown.screen
    assert "linked" not in shown.screen
    line = "feature PRJ1-2" if verb == "plan" else "feature PRJ1-2: customers should not have 640362830"
    lines = [each.rpartition("\x1b[2K")[2].rpartition("\r")[2] for each in shown.screen.split("\n")]
    assert line in lines


async def test_output_in_a_file_is_whole_while_the_bar_is_on_the_terminal(links: str, command: Command) -> None:
    """`linker plan FILE > plan.txt`: the changes are in the file, the bar is on the terminal alone."""
    path = command.folder / "plan.txt"
    async with terminal(command, "plan", links, output=path) as shown:
        assert await shown.ended() == 0
    assert "planning" in shown.screen
    assert "feature PRJ1-2" not in shown.screen
    text = text_of(path)
    assert text.count("\n") == 10
    assert "\x1b" not in text
