"""`linker run` kept within bounds: the guard, the pilot, the mirror."""

from __future__ import annotations

import asyncio

import pytest
from support.command import Command
from support.runs import ACME, ZANE, features, lines_of, names, write_jobs
from support.terminal import terminal

from linker import Kind
from linker.sandbox import Sandbox


@pytest.fixture
def clears(command: Command, sandbox: Sandbox) -> str:
    """A file that takes five links away."""
    ids = [f"PRJ1-{number}" for number in range(6, 11)]
    for id in ids:
        sandbox.account.set_links(Kind.FEATURE, id, "customers", [ACME])
    write_jobs(command.folder / "clears.jsonl", ({"id": id, "links": {"customers": []}} for id in ids))
    return "clears.jsonl"


def still_linked(sandbox: Sandbox) -> int:
    """How many of the five are left."""
    return sum(bool(sandbox.account.links(Kind.FEATURE, f"PRJ1-{number}")) for number in range(6, 11))


async def test_more_removals_than_may_be_stop_the_run(clears: str, command: Command, sandbox: Sandbox) -> None:
    """Exit 2, nothing written, no results file, and what to say if it is meant; `--yes` lets it through."""
    stopped = await command("run", clears, "--max-removals", "4")
    assert (stopped.code, stopped.stdout) == (2, "")
    assert stopped.stderr == (
        "linker: the run would remove 5 of the 5 links read so far, but may remove at most 4; nothing was written. "
        "To remove them anyway, add --yes or --max-removals N\n"
    )
    assert names(command.folder) == [clears]
    assert sandbox.stats.methods["PUT"] == 0
    assert (await command("run", clears, "--max-removals", "4", "--yes")).code == 0
    assert still_linked(sandbox) == 0


@pytest.mark.usefixtures("clears")
async def test_a_run_whose_only_put_was_refused_has_written_nothing(command: Command, sandbox: Sandbox) -> None:
    """The guard stops it after a 403: exit 2, not 3."""
    jobs = [{**features(1, ZANE)[0], "mode": "add"}, {"id": "PRJ1-6", "links": {"customers": []}}]
    write_jobs(command.folder / "links.jsonl", jobs)
    sandbox.faults.script(None, None, 403)  # the definitions, the feature, and its PUT
    stopped = await command("run", "links.jsonl", "--max-removals", "0", "--concurrency", "1")
    assert stopped.code == 2
    assert "; nothing was written. To remove them anyway, add --yes" in stopped.stderr
    assert sandbox.stats.methods["PUT"] == 1
    assert names(command.folder, "*.results*") == []


async def test_an_explicit_number_lets_so_many_through(clears: str, command: Command, sandbox: Sandbox) -> None:
    """Five of five."""
    assert (await command("run", clears, "--max-removals", "5")).code == 0
    assert still_linked(sandbox) == 0


async def test_over_the_number_in_mid_run_the_run_stops_early(command: Command) -> None:
    """Exit 3: what was written has its lines, the summary counts it, and undo brings it back."""
    async with Sandbox(limits=[], features=400) as sandbox:
        command.environment["AHA_URL"] = sandbox.url
        for number in range(1, 401):
            sandbox.account.set_links(Kind.FEATURE, f"PRJ1-{number}", "customers", [ACME, ZANE])
        before = sandbox.account.all_links()
        # the answer to a PUT shows that one link is left: a cleared list is looked at again, and a stop may come first
        jobs = [{"id": f"PRJ1-{number}", "links": {"customers": [ZANE]}} for number in range(1, 91)]
        jobs += [{"id": f"PRJ1-{number}", "links": {"customers": []}} for number in range(201, 401)]
        write_jobs(command.folder / "links.jsonl", jobs)
        stopped = await command("run", "links.jsonl", "--rate", "1000/1s")
        assert stopped.code == 3
        assert "linker: stopped early: " in stopped.stderr
        assert (
            "; what was written can be undone with: linker undo RESULTS. To remove them anyway, add --yes"
            in stopped.stderr
        )
        written = len(lines_of(command.folder / "links.results.jsonl"))
        assert f"\n{written} row" in stopped.stdout
        assert written == sandbox.stats.methods["PUT"] > 0
        assert (await command("undo", "links.results.jsonl", "--yes", "--rate", "1000/1s")).code == 0
        assert sandbox.account.all_links() == before


@pytest.mark.parametrize(
    ("answer", "options", "code", "left"),
    [("y", [], 0, 0), ("YES", ["--no-progress"], 0, 0), ("n", [], 2, 5), ("", ["--no-progress"], 2, 5)],
)
async def test_on_a_terminal_the_guard_asks(
    clears: str, command: Command, sandbox: Sandbox, answer: str, options: list[str], code: int, left: int
) -> None:
    """With both counts, on a line of its own; a yes goes on, all else stops before anything is written."""
    async with terminal(command, "run", clears, "--max-removals", "4", *options) as shown:
        await shown.shows("5 of the 5 links read will be removed")
        await shown.shows("Continue? [y/N]: ")
        shown.type(f"{answer}\n")
        assert await shown.ended() == code
    assert shown.screen.count("[y/N]") == 1
    assert ("linking" in shown.screen) is (options == [] and code == 0)
    assert ("nothing was written" in shown.screen) is (code == 2)
    assert still_linked(sandbox) == left


async def test_an_interrupt_takes_the_question_back(clears: str, command: Command, sandbox: Sandbox) -> None:
    """Removals that could not be shown before are asked about when they come; Ctrl-C: exit 130, nothing written."""
    assert (await command.program("mkfifo", "pipe.jsonl")).code == 0
    writer = await asyncio.create_subprocess_exec("sh", "-c", f"cat {clears} > pipe.jsonl", cwd=command.folder)
    async with terminal(command, "run", "pipe.jsonl", "--max-removals", "4") as shown:
        await shown.shows("a pipe can be read only once")
        shown.type("y\n")
        await shown.shows("5 of the 5 links read so far would be removed. Continue? [y/N]: ")
        shown.interrupt()
        assert await shown.ended() == 130
    assert await writer.wait() == 0
    after = shown.screen.rpartition("[y/N]: ")[2]
    assert after.startswith("\nlinker: finishing the requests in flight; press Ctrl-C again to stop now")
    assert names(command.folder) == [clears, "pipe.jsonl"]
    assert still_linked(sandbox) == 5


async def test_a_pilot_changes_so_many_targets(clears: str, command: Command, sandbox: Sandbox) -> None:
    """Exit 0, and it says that the rest has not been done; where all was done, it does not."""
    piloted = await command("run", clears, "--limit", "2")
    assert (piloted.code, piloted.stderr) == (0, "")
    assert piloted.stdout.startswith("2 features changed: 0 links added, 2 removed\n")
    assert "\npilot finished: 2 of 5 rows done; continue with: linker run clears.jsonl --resume\n" in piloted.stdout
    assert (still_linked(sandbox), sandbox.stats.methods["PUT"]) == (3, 2)
    assert len(lines_of(command.folder / "clears.results.jsonl")) == 2
    whole = await command("run", clears, "--limit", "3", "--overwrite")
    assert "pilot" not in whole.stdout
    assert still_linked(sandbox) == 0


async def test_a_mirror_clears_what_the_file_does_not_name(clears: str, command: Command, sandbox: Sandbox) -> None:
    """Each clear has a line of its own source, after the file's jobs."""
    del clears
    write_jobs(command.folder / "truth.jsonl", [{"id": "PRJ1-6", "links": {"customers": [ZANE]}}])
    mirror = ("--mirror", "--field", "customers", "--scope", "feature:PRJ1")
    assert (await command("run", "truth.jsonl", *mirror)).code == 2  # all five of the links there would go
    mirrored = await command("run", "truth.jsonl", *mirror, "--max-removals", "5")
    assert mirrored.code == 0
    assert still_linked(sandbox) == 1
    first, *cleared = lines_of(command.folder / "truth.results.jsonl")
    assert (first["job"], first["source"]) == (0, "truth.jsonl")
    assert [(line["job"], line["line"]) for line in cleared] == [(number, None) for number in range(1, 5)]
    assert {(line["source"], line["status"]) for line in cleared} == {("--mirror", "linked")}


async def test_a_mirror_that_only_adds_says_that_it_is_not_exact(command: Command) -> None:
    """With the mode, as a settings file may have it, and what makes it exact."""
    write_jobs(command.folder / "links.jsonl", features(1))
    mirror = ("--mirror", "--field", "customers", "--scope", "feature:PRJ1")
    planned = await command("plan", "links.jsonl", *mirror, "--mode", "add")
    assert "with mode add, --mirror does not remove other links of the rows' own targets" in planned.stderr
    assert (await command("plan", "links.jsonl", *mirror)).stderr == ""


@pytest.mark.parametrize("verb", ["run", "plan", "verify"])
async def test_an_empty_mirror_is_refused(clears: str, command: Command, sandbox: Sandbox, verb: str) -> None:
    """Exit 2 before anything is cleared, and `--yes` does not help; `--allow-empty` does, within the guard's count."""
    (command.folder / "crm.csv").write_text("id,field,record_ids\n")
    mirror = ("crm.csv", "--mirror", "--field", "customers", "--scope", "feature:PRJ1")
    yes = ("--yes",) if verb == "run" else ()
    refused = await command(verb, *mirror, *yes)
    assert (refused.code, refused.stdout) == (2, "")
    assert "linker: crm.csv has no rows, so --mirror would clear customers of all features of PRJ1" in refused.stderr
    assert "add --allow-empty" in refused.stderr
    assert still_linked(sandbox) == 5
    assert names(command.folder) == [clears, "crm.csv"]
    allowed = await command(verb, *mirror, "--allow-empty", *yes)
    assert allowed.code == (1 if verb == "verify" else 0)
    assert still_linked(sandbox) == (0 if verb == "run" else 5)


async def test_an_empty_file_is_warned_of(command: Command, sandbox: Sandbox) -> None:
    """Without a mirror it changes nothing: exit 0, and a warning with its name. `--min-rows` makes it an error."""
    (command.folder / "crm.csv").write_text("id,field,record_ids\n")
    ran = await command("run", "crm.csv")
    assert ran.code == 0
    assert "crm.csv has no rows" in ran.stderr
    assert "crm.csv" in ran.stderr
    short = await command("run", "crm.csv", "--min-rows", "1", "--overwrite")
    assert (short.code, short.stdout) == (2, "")
    assert short.stderr == "linker: the input has 0 rows, but --min-rows asks for 1; nothing was written\n"
    assert sandbox.stats.requests == 0


async def test_rows_that_cannot_be_read_protect_the_lists(clears: str, command: Command, sandbox: Sandbox) -> None:
    """Exit 1, and no link goes though `--yes` is given; the plan says so; `--allow-unreadable` consents."""
    with (command.folder / clears).open("a") as file:
        file.write("no job\n")
    ran = await command("run", clears, "--yes")
    assert ran.code == 1
    assert "links would be removed" not in ran.stdout
    assert (
        "1 link would be removed from a list that an unreadable row may belong to (clears.jsonl line 6: " in ran.stdout
    )
    assert still_linked(sandbox) == 5
    planned = await command("plan", clears)
    assert "1 row cannot be read, so a run shortens no list" in planned.stdout
    assert (await command("run", clears, "--resume", "--allow-unreadable")).code == 1
    assert still_linked(sandbox) == 0


async def test_what_was_read_longer_ago_than_max_age_is_read_again(command: Command, sandbox: Sandbox) -> None:
    """--max-age 0: each target once more before its PUT, or its page; a minute: once is enough."""
    write_jobs(command.folder / "links.jsonl", features(20))
    await command("run", "links.jsonl", "--rate", "1000/1s")
    assert sandbox.stats.methods == {"GET": 2 + 3, "PUT": 20}  # definitions, list, and what proves that it shows links
    write_jobs(command.folder / "links.jsonl", features(20, ZANE))
    ran = await command("run", "links.jsonl", "--rate", "1000/1s", "--max-age", "0", "--overwrite")
    assert ran.code == 0
    assert sandbox.stats.methods["PUT"] == 40
    assert sandbox.stats.methods["GET"] > 7


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--mirror", "--mirror needs both --field and --scope"),
        ("--mirror --field customers", "--mirror needs both --field and --scope"),
        ("--scope feature:PRJ1", "--mirror needs both --field and --scope"),
        ("--field customers --scope feature:PRJ1", "--mirror needs both --field and --scope"),
        ("--mirror --field customers --scope release", "write release:PRODUCT"),
        ("--mirror --field customers --scope feture:PRJ1", 'did you mean "feature"?'),
        ("--max-removals -1", "--max-removals must be"),
        ("--max-removals few", "--max-removals must be"),
        ("--limit 0", "--limit must be"),
        ("--max-age -1", "--max-age must be"),
    ],
)
async def test_options_that_make_no_sense_exit_2(
    clears: str, command: Command, sandbox: Sandbox, arguments: str, said: str
) -> None:
    """With what to write instead; nothing is sent, and no results file left."""
    ran = await command("run", clears, *arguments.split())
    assert (ran.code, ran.stdout) == (2, "")
    assert said in ran.stderr
    assert sandbox.stats.requests == 0
    assert names(command.folder) == [clears]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"not a job\n", "1 row could not be read (first: truth.jsonl line 2: "),
        (
            b'{"id": "PRJ1-9999", "links": {"customers": []}}\n',
            "feature PRJ1-9999 does not exist, or your token cannot see it (404), so --mirror clears nothing",
        ),
    ],
)
async def test_a_target_that_is_not_known_keeps_a_mirror_from_clearing(
    clears: str, command: Command, sandbox: Sandbox, line: bytes, said: str
) -> None:
    """Exit 2: what the line stands for might be what would be cleared."""
    (command.folder / "truth.jsonl").write_bytes(b'{"id": "PRJ1-6", "links": {"customers": []}}\n' + line)
    mirrored = await command("run", "truth.jsonl", "--mirror", "--field", "customers", "--scope", "feature:PRJ1")
    assert mirrored.code == 2
    assert said in mirrored.stderr
    assert still_linked(sandbox) == 5
    assert names(command.folder) == [clears, "truth.jsonl"]
