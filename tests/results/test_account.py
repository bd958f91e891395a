"""Results and journals belong to one account: another one is refused before anything is sent to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from support.command import Command
from support.runs import ACME, ZANE, eager, features, lines_of, results_of, write_jobs, written

import linker
from linker import Kind, Linker, UsageError
from linker.results.journal import journal_of
from linker.sandbox import Sandbox

COUNT: Final = 3
INTENT: Final = {"target": {"kind": "feature", "id": "PRJ1-1"}, "put": {"customers": [ACME]}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The results file."""
    return tmp_path / "links.results.jsonl"


@pytest.fixture
async def other() -> AsyncIterator[Sandbox]:
    """Another account with the same features, which have links of their own."""
    async with Sandbox(limits=[], features=10, records=10) as other:
        for number in range(1, COUNT + 1):
            other.account.set_links(Kind.FEATURE, f"PRJ1-{number}", "customers", [ACME])
        yield other


async def run(sandbox: Sandbox, jobs: Any, path: Path, **options: Any) -> linker.Summary:
    """A run to its end."""
    async with eager(sandbox) as aha:
        batch = aha.run(jobs, path, **options)
        await results_of(batch)
        return batch.summary


def without_account(path: Path) -> None:
    """Make the file one of an earlier version."""
    lines = [{key: value for key, value in line.items() if key != "account"} for line in lines_of(path)]
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))


def refused(sandbox: Sandbox, other: Sandbox, error: BaseException) -> None:
    """The error names both accounts, and nothing has reached the other one."""
    assert sandbox.url in str(error)
    assert other.url in str(error)
    assert other.stats.requests == 0


@pytest.mark.parametrize("how", ["resume", "failed_only"])
async def test_a_resume_for_another_account_is_refused(sandbox: Sandbox, other: Sandbox, path: Path, how: str) -> None:
    """After a rehearsal, rows would count as done that the account has never seen; the results stay as they are."""
    await run(sandbox, features(COUNT), path)
    before = path.read_bytes()
    with pytest.raises(UsageError) as caught:
        await run(other, features(COUNT), path, **{how: True})
    refused(sandbox, other, caught.value)
    assert path.read_bytes() == before
    assert not journal_of(path).exists()


async def test_a_journal_without_its_results_belongs_to_its_account_too(
    sandbox: Sandbox, other: Sandbox, path: Path
) -> None:
    """A run that was killed before its first result has left just its journal; it stays as it is."""
    journal = journal_of(path)
    text = orjson.dumps({"process": 1, "version": 2, "account": sandbox.url}) + b"\n"
    journal.write_bytes(text + orjson.dumps({"intent": INTENT, "run": 0}) + b"\n")
    before = journal.read_bytes()
    with pytest.raises(UsageError) as caught:
        await run(other, features(COUNT), path, resume=True)
    refused(sandbox, other, caught.value)
    assert journal.read_bytes() == before


async def test_account_unchecked_lets_a_resume_pass_and_the_next_one_with_it(
    sandbox: Sandbox, other: Sandbox, path: Path
) -> None:
    """An account that was renamed: its own lines name the new address, so a later resume need not say it again."""
    await run(sandbox, features(COUNT), path)
    summary = await run(other, features(COUNT + 1), path, resume=True, account_unchecked=True)
    assert (summary.linked, summary.passed_over) == (1, COUNT)
    assert (await run(other, features(COUNT + 1), path, resume=True)).passed_over == COUNT + 1
    with pytest.raises(UsageError):
        await run(sandbox, features(COUNT + 1), path, resume=True)


async def plan_undo(aha: Linker, path: Path) -> None:
    """Plan the undo."""
    await aha.plan(linker.UndoFile(path))


async def undo(aha: Linker, path: Path) -> None:
    """Undo the run."""
    await results_of(aha.run(linker.UndoFile(path)))


async def undo_unchecked(aha: Linker, path: Path) -> None:
    """Undo the run with the option that is for a resume."""
    await results_of(aha.run(linker.UndoFile(path), account_unchecked=True))


async def delete_created(aha: Linker, path: Path) -> None:
    """Delete what the run created."""
    async for _ in aha.delete_created(linker.UndoFile(path)):
        pass


@pytest.mark.parametrize("use", [plan_undo, undo, undo_unchecked, delete_created])
async def test_an_undo_on_another_account_is_always_refused(
    sandbox: Sandbox, other: Sandbox, path: Path, use: Callable[[Linker, Path], Coroutine[Any, Any, None]]
) -> None:
    """It would take away links that the other account holds by its own right."""
    await run(sandbox, features(COUNT), path)
    before = other.account.all_links()
    with pytest.raises(UsageError) as caught:
        async with eager(other) as aha:
            await use(aha, path)
    refused(sandbox, other, caught.value)
    assert other.account.all_links() == before


async def test_an_undo_refuses_a_file_whose_runs_wrote_to_two_accounts(
    sandbox: Sandbox, other: Sandbox, path: Path
) -> None:
    """Whichever of the two it is for, and it names the line of the other; a run that wrote nothing does not count."""
    await run(sandbox, features(COUNT), path)
    await run(other, features(COUNT, ACME), path, resume=True, account_unchecked=True)
    jobs = [{"id": "PRJ1-1", "links": {"customers": [ACME, ZANE]}}]
    async with eager(sandbox) as aha:
        await aha.plan(linker.UndoFile(path))  # the second run wrote nothing
    await run(other, jobs, path, resume=True, account_unchecked=True)
    for account, line in ((sandbox, COUNT + 1), (other, 1)):
        async with eager(account) as aha:
            with pytest.raises(UsageError, match=f" line {line} "):
                await undo(aha, path)


async def test_an_undo_refuses_an_intent_of_another_account(sandbox: Sandbox, other: Sandbox, path: Path) -> None:
    """A killed run has written its intent alone; after a run that names the account, the intent stays its own."""
    path.touch()
    heads = [{"process": 1, "version": 2, "account": sandbox.url}, {"process": 2, "version": 2, "account": other.url}]
    lines = [heads[0], {"intent": INTENT, "run": 0}, heads[1]]
    journal_of(path).write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    with pytest.raises(UsageError) as caught:
        async with eager(other) as aha:
            await undo(aha, path)
    refused(sandbox, other, caught.value)


async def test_results_of_earlier_versions_resume_and_undo_anywhere(
    sandbox: Sandbox, other: Sandbox, path: Path
) -> None:
    """They name no account, so nobody knows that it is another one."""
    await run(sandbox, features(COUNT), path)
    without_account(path)
    assert (await run(other, features(COUNT), path, resume=True)).passed_over == COUNT
    async with eager(other) as aha:
        await undo(aha, path)
    assert written(other) == set()


async def test_another_spelling_of_the_address_is_the_same_account(sandbox: Sandbox, path: Path) -> None:
    """A slash at the end of the address in the file makes no other account of it."""
    await run(sandbox, features(COUNT), path)
    path.write_bytes(path.read_bytes().replace(sandbox.url.encode(), sandbox.url.encode() + b"/"))
    assert (await run(sandbox, features(COUNT), path, resume=True)).passed_over == COUNT


@pytest.mark.parametrize("version", [b"3", b"2.5", b'"next"', b"null"])
async def test_a_journal_of_a_later_version_is_refused_by_name(sandbox: Sandbox, path: Path, version: bytes) -> None:
    """What its lines mean is unknown: nothing is sent, and neither a resume nor an undo changes the file."""
    path.touch()
    journal = journal_of(path)
    journal.write_bytes(b'{"process":{"id":1},"version":' + version + b'}\n{"intents":[]}\n{"torn')
    before = journal.read_bytes()
    for jobs, options in ((features(COUNT), {"resume": True}), (linker.UndoFile(path), {})):
        with pytest.raises(UsageError, match="Update linker") as caught:
            await run(sandbox, jobs, path if options else path.with_name("undo.jsonl"), **options)
        assert journal.name in str(caught.value)
    assert journal.read_bytes() == before
    assert sandbox.stats.requests == 0


async def test_the_command_ends_with_exit_code_2(
    sandbox: Sandbox, other: Sandbox, command: Command, path: Path
) -> None:
    """Resume, undo, its plan and its deletions on another account say so before anybody is asked."""
    write_jobs(command.folder / "links.jsonl", features(COUNT))
    assert (await command("run", "links.jsonl")).code == 0
    elsewhere = ("--url", other.url)
    commands = [
        ("run", "links.jsonl", "--resume", *elsewhere),
        ("undo", path.name, *elsewhere),
        ("undo", path.name, "--yes", "--delete-created", *elsewhere),
        ("plan", "--undo", path.name, *elsewhere),
    ]
    for arguments in commands:
        finished = await command(*arguments)
        assert (finished.code, finished.stdout) == (2, "")
        refused(sandbox, other, AssertionError(finished.stderr))
    passed = await command("run", "links.jsonl", "--resume", "--account-unchecked", *elsewhere)
    assert (passed.code, other.stats.requests) == (0, 0)
