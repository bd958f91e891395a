"""What `linker run` asks on a terminal before its first write, and what it does not ask."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from support.command import Command
from support.runs import ACME, ZANE, features, names, write_jobs
from support.terminal import terminal

from linker import Kind
from linker.sandbox import Sandbox

QUESTION = "Continue? [y/N]:"


@pytest.fixture
def links(command: Command, sandbox: Sandbox) -> str:
    """Ten features get Zane, five of them have had Acme; another feature shows that features show their links."""
    for number in range(1, 6):
        sandbox.account.set_links(Kind.FEATURE, f"PRJ1-{number}", "customers", [ACME])
    write_jobs(command.folder / "links.jsonl", features(10, ZANE))
    return "links.jsonl"


def reads(sandbox: Sandbox) -> int:
    """How often the account was read."""
    return sandbox.stats.methods["GET"]


async def test_a_run_shows_its_totals_asks_and_reads_nothing_twice(
    links: str, command: Command, sandbox: Sandbox
) -> None:
    """The question has the account, the features and the links; after a yes, only the PUTs remain to be sent."""
    planned = await command("plan", links, "--summary")
    assert planned.stdout.startswith("10 features would change: 10 links added, 5 removed\n")
    read_by_plan = reads(sandbox)
    async with terminal(command, "run", links) as screen:
        await screen.sees(QUESTION)
        host = sandbox.url.removeprefix("http://")
        assert f"{host}: 10 features, +10 −5 links, about 1 second. {QUESTION}" in screen.lines
        note = "5 links will be removed: rows without a mode replace the whole list. To keep them: --mode add"
        assert note in screen.lines
        assert sandbox.stats.methods["PUT"] == 0
        screen.type("y\n")
        assert await screen.ended() == 0
    assert "10 features changed: 10 links added, 5 removed" in screen.lines
    assert (reads(sandbox), sandbox.stats.methods["PUT"]) == (2 * read_by_plan, 10)


async def test_a_pilot_and_an_agreed_removal_are_one_question(links: str, command: Command, sandbox: Sandbox) -> None:
    """`--limit` plans only so many; agreed removals are not asked about again."""
    options = ("--limit", "3", "--max-removals", "0", "--mode", "replace", "--no-progress")
    async with terminal(command, "run", links, *options) as screen:
        await screen.sees("the first 3 features (--limit 3), +3 −3 links")
        assert not any("rows without a mode" in line for line in screen.lines)
        assert "3 of the 5 links read will be removed" in screen.lines
        screen.type("yes\n")
        assert await screen.ended() == 0
    assert screen.screen.count("[y/N]") == 1
    assert sandbox.stats.methods["PUT"] == 3
    assert any(
        line.startswith("pilot finished: 3 of 10 rows done; continue with: linker run links.jsonl")
        for line in screen.lines
    )


@pytest.mark.parametrize("answer", ["n", "", "yep", None])
async def test_anything_but_yes_writes_nothing(
    links: str, command: Command, sandbox: Sandbox, answer: str | None
) -> None:
    """No, Enter and other words exit 2, Ctrl-C exits 130; there is no results file."""
    async with terminal(command, "run", links) as screen:
        await screen.sees(QUESTION)
        if answer is None:
            screen.interrupt()
        else:
            screen.type(f"{answer}\n")
        assert await screen.ended() == (130 if answer is None else 2)
    assert screen.lines[-1] == "" or "nothing was written" in "\n".join(screen.lines)
    assert "linker: nothing was written" in screen.lines
    assert names(command.folder) == [links]
    assert sandbox.stats.methods["PUT"] == 0


async def test_the_rest_of_a_run_is_asked_about_too(links: str, command: Command, sandbox: Sandbox) -> None:
    """What is done is left out of the totals; after `--yes`, and without a change, nothing is asked."""
    async with terminal(command, "run", links, "--yes", "--limit", "2") as screen:
        assert await screen.ended() == 0
    async with terminal(command, "run", links, "--resume") as resumed:
        await resumed.sees(": the remaining 8 features, +8 −3 links, about 1 second. Continue? [y/N]:")
        resumed.type("y\n")
        assert await resumed.ended() == 0
    assert "in all: 10 of 10 rows in place" in resumed.lines
    async with terminal(command, "run", links, "--overwrite") as again:
        assert await again.ended() == 0
    assert "nothing changed · 10 already in place" in again.lines
    assert "[y/N]" not in screen.screen + again.screen
    assert sandbox.stats.methods["PUT"] == 10


async def test_what_is_too_old_by_the_answer_is_read_again(links: str, command: Command, sandbox: Sandbox) -> None:
    """A colleague's edit that is made while the question is open is seen, and stays under `--mode add`."""
    async with terminal(command, "run", links, "--mode", "add", "--max-age", "0") as screen:
        await screen.sees(QUESTION)
        records = sandbox.account.listed(Kind.CUSTOM_OBJECT_RECORD)
        other = str([record.id for record in records if record.table == "customers"][-1])
        sandbox.account.set_links(Kind.FEATURE, "PRJ1-7", "customers", [other])
        screen.type("y\n")
        assert await screen.ended() == 0
    assert set(sandbox.account.links(Kind.FEATURE, "PRJ1-7")["customers"]) == {other, ZANE}


async def test_a_file_that_changes_while_it_asks_is_not_written(links: str, command: Command, sandbox: Sandbox) -> None:
    """What was agreed to is not what the file says now: exit 2, nothing written."""
    async with terminal(command, "run", links) as screen:
        await screen.sees(QUESTION)
        write_jobs(command.folder / links, features(11, ACME))
        screen.type("y\n")
        assert await screen.ended() == 2
    assert "links.jsonl was changed after it was read; nothing was written" in " ".join(screen.lines)
    assert sandbox.stats.methods["PUT"] == 0


async def test_an_account_that_goes_while_it_asks_is_an_outage(command: Command) -> None:
    """It has answered the plan, so linker tries again for --max-wait; then --resume continues, and Ctrl-D is a no."""
    write_jobs(command.folder / "links.jsonl", features(3))
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox(limits=[], features=10))
        command.environment["AHA_URL"] = sandbox.url
        async with terminal(command, "run", "links.jsonl") as refused:
            await refused.sees(QUESTION)
            refused.type("\x04")
            assert await refused.ended() == 2
        assert "linker: nothing was written" in refused.lines
        async with terminal(command, "run", "links.jsonl", "--max-wait", "0.1") as screen:
            await screen.sees(QUESTION)
            await stack.aclose()
            screen.type("y\n")
            assert await screen.ended() == 3
    assert screen.lines.count("no row was done; to try again: linker run links.jsonl --max-wait 0.1 --resume") == 1


async def test_a_pipe_is_not_read_twice(command: Command, sandbox: Sandbox) -> None:
    """Rows from a pipe are asked about without totals, and all of them are written."""
    write_jobs(command.folder / "links.jsonl", features(3))
    fifo = command.folder / "pipe.jsonl"
    assert (await command.program("mkfifo", str(fifo))).code == 0
    writer = await asyncio.create_subprocess_exec("sh", "-c", "cat links.jsonl > pipe.jsonl", cwd=command.folder)
    async with terminal(command, "run", "pipe.jsonl") as screen:
        await screen.sees("a pipe can be read only once")
        screen.type("y\n")
        assert await screen.ended() == 0
    assert await writer.wait() == 0
    assert sandbox.stats.methods["PUT"] == 3
