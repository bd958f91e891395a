"""What is created is shown beforehand: in a plan, and on a terminal with a question."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from support.command import Command
from support.runs import eager, lines_of, results_of
from support.terminal import terminal

from linker import ErrorType, Kind, Status
from linker.records.names import NewRecord
from linker.sandbox import Sandbox

OPTIONS = ("--table", "customers=PRJ1/customers", "--create-missing", "--rate", "1000/1s")
HEAD = "id,field,record_names\n"
ROWS = "PRJ1-1,customers,Newcomer\nPRJ1-2,customers,newcomer\nPRJ1-3,customers,Acme Corp\nPRJ1-2,customers,Another\n"


def created(sandbox: Sandbox) -> int:
    """How many records there are that were created."""
    return sum(held.id >= 79 * 10**17 for held in sandbox.account.listed(Kind.CUSTOM_OBJECT_RECORD))


async def test_a_plan_names_the_records_with_their_rows(command: Command, sandbox: Sandbox) -> None:
    """The first three rows of each, and how many others; of many records the first twenty."""
    (command.folder / "a.csv").write_text(HEAD + ROWS + 4 * "PRJ1-4,customers,NEWCOMER\n")
    planned = await command("plan", "a.csv", *OPTIONS)
    assert (
        "\n2 records would be created first:\n"
        "  Newcomer in PRJ1/customers: a.csv line 2, a.csv line 3, a.csv line 6 and 3 other rows\n"
        "  Another in PRJ1/customers: a.csv line 5\n"
    ) in planned.stdout
    (command.folder / "a.csv").write_text(HEAD + "".join(f"PRJ1-1,customers,New {n}\n" for n in range(25)))
    planned = await command("plan", "a.csv", *OPTIONS)
    assert "  New 19 in PRJ1/customers: a.csv line 21\n  and 5 more\n" in planned.stdout
    assert "  New 20 in" not in planned.stdout
    assert created(sandbox) == 0


@pytest.mark.parametrize(("answer", "options"), [("y", []), ("yes", ["--no-progress"])])
async def test_on_a_terminal_a_run_asks_once(
    command: Command, sandbox: Sandbox, answer: str, options: list[str]
) -> None:
    """With the records and their rows, before the first is created."""
    (command.folder / "a.csv").write_text(HEAD + ROWS)
    async with terminal(command, "run", "a.csv", *OPTIONS, *options) as shown:
        await shown.shows("Continue? [y/N]: ")
        assert "2 records will be created first:\n" in shown.screen
        assert "  Newcomer in PRJ1/customers: a.csv line 2, a.csv line 3\n" in shown.screen
        assert created(sandbox) == 0
        shown.type(f"{answer}\n")
        assert await shown.ended() == 0
    assert shown.screen.count("[y/N]") == 1
    assert created(sandbox) == 2


async def test_a_no_rejects_the_rows_and_creates_nothing(command: Command, sandbox: Sandbox) -> None:
    """Other rows are done; half a list is not sent."""
    (command.folder / "a.csv").write_text(f"{HEAD}{ROWS}PRJ1-1,customers,Acme Corp\n")
    async with terminal(command, "run", "a.csv", *OPTIONS, "--blind") as shown:
        await shown.shows("the changes are unknown. Continue? [y/N]: ")
        shown.type("y\n")
        await shown.shows("Create 2 records? [y/N]: ")
        shown.type("n\n")
        assert await shown.ended() == 1
    lines = lines_of(command.folder / "a.results.jsonl")
    assert [line["status"] for line in lines] == ["rejected", "rejected", "linked", "rejected", "rejected"]
    assert lines[0]["error"]["message"] == (
        'no record has the name "Newcomer", and you chose not to create it. '
        "Correct the name, or run again and answer yes"
    )
    assert lines[4]["error"]["type"] == "incomplete"
    assert (created(sandbox), sandbox.stats.methods["POST"]) == (0, 0)


async def test_an_interrupt_withdraws_the_question(command: Command, sandbox: Sandbox) -> None:
    """The rows have no results, and a resume asks again."""
    (command.folder / "a.csv").write_text(HEAD + ROWS)
    async with terminal(command, "run", "a.csv", *OPTIONS, "--blind") as shown:
        await shown.shows("the changes are unknown. Continue? [y/N]: ")
        shown.type("y\n")
        await shown.shows("Create 2 records? [y/N]: ")
        shown.interrupt()
        assert await shown.ended() == 130
    assert created(sandbox) == 0
    results = command.folder / "a.results.jsonl"
    assert [line for line in (lines_of(results) if results.exists() else []) if line["status"] != "linked"] == []
    async with terminal(command, "run", "a.csv", *OPTIONS, "--resume") as shown:
        await shown.shows("[y/N]: ")
        shown.type("y\n")
        assert await shown.ended() == 0
    assert created(sandbox) == 2


@pytest.mark.parametrize("options", [("--yes",), ("--create-all", "--yes")])
async def test_yes_answers_before(command: Command, sandbox: Sandbox, options: tuple[str, ...]) -> None:
    """On a terminal too."""
    (command.folder / "a.csv").write_text(HEAD + ROWS)
    async with terminal(command, "run", "a.csv", *OPTIONS, *options) as shown:
        assert await shown.ended() == 0
    assert "[y/N]" not in shown.screen
    assert created(sandbox) == 2


async def test_elsewhere_nobody_is_asked(command: Command, sandbox: Sandbox) -> None:
    """A nightly job goes on."""
    (command.folder / "a.csv").write_text(HEAD + ROWS)
    assert (await command("run", "a.csv", *OPTIONS)).code == 0
    assert created(sandbox) == 2


async def test_a_program_may_be_asked(sandbox: Sandbox, tmp_path: Path) -> None:
    """Once, with all records; its answer holds for the run."""
    (tmp_path / "a.csv").write_text(HEAD + ROWS)
    asked: list[Sequence[NewRecord]] = []

    async def no(records: Sequence[NewRecord]) -> bool:
        asked.append(records)
        return False

    async with eager(sandbox, table=("customers=PRJ1/customers",), create_missing=True) as aha:
        results = await results_of(aha.run(tmp_path / "a.csv", confirm_new=no))
        (planned,) = [record for record in (await aha.plan(tmp_path / "a.csv")).creations if record.rows == 2]
    assert [[record.name for record in records] for records in asked] == [["Newcomer", "Another"]]
    assert (planned.name, planned.table) == ("Newcomer", "PRJ1/customers")
    assert [result.status for result in results if result.id == "PRJ1-3"] == [Status.LINKED]
    assert {result.error.type for result in results if result.error} == {ErrorType.UNKNOWN_RECORD}
    assert created(sandbox) == 0
