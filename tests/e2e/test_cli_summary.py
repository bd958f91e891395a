"""What a run says at its end: its totals, its problems, and the command that comes next; and the same as JSON."""

from __future__ import annotations

import json
import shlex

from support.command import Command
from support.runs import ACME, ZANE, features, lines_of, write_jobs

from linker import Kind
from linker.sandbox import Sandbox

KEYS = ["linked", "undone", "unchanged", "failed", "rejected", "links_added", "links_removed", "targets_changed"]
KEYS += ["requests", "elapsed_s", "problems"]
ROWS = """kind,id,field,record_names,mode
feature,PRJ1-1,customers,Acme Corp,
feature,PRJ1-2,customers,Acme Crop,add
feature,PRJ1-3,customers,Acme Crop,add
feature,PRJ1-4,customers,,
feature,PRJ1-999,customers,Acme Corp,
feature,PRJ1-5,customers,Acme Corp,
"""
TABLE = ("--table", "customers=PRJ1/customers")


async def test_totals_problems_and_the_next_command(command: Command, sandbox: Sandbox) -> None:
    """Links added and removed, the commonest problem first with its rows, and the command to copy, which works."""
    (command.folder / "crm list.csv").write_text(ROWS)
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ZANE])
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-5", "customers", [ACME])
    first = await command("run", "crm list.csv", *TABLE)
    assert first.code == 1
    lines = first.stdout.splitlines()
    assert lines[0] == "1 feature changed: 1 link added, 1 removed · 1 already in place · 1 failed · 3 rejected"
    assert lines[1].startswith("6 rows in ")
    problems = lines[lines.index("problems:") + 1 :]
    assert problems[0] == "  2 rows: unknown_record"
    assert problems[1].startswith("    2 rows, first crm list.csv line 3: ")
    assert "Acme Crop" in problems[1]
    assert {line.strip() for line in problems if line.startswith("  1 row")} == {
        "1 row: invalid_job",
        "1 row: not_found",
    }
    again = f"linker run 'crm list.csv' {shlex.join(TABLE)} --resume"
    assert lines[-3:] == [
        "results: crm list.results.jsonl",
        f"after you have corrected these rows, continue with: {again}",
        "to take this back: linker undo 'crm list.results.jsonl'",
    ]
    (command.folder / "crm list.csv").write_text(
        ROWS.replace("Crop", "Corp").replace("customers,,", "customers,Acme Corp,")
    )
    second = await command(*shlex.split(again)[1:])
    assert second.stdout.splitlines()[0] == "3 features changed: 3 links added, 0 removed · 1 failed"
    assert "in all: 5 of 6 rows in place" in second.stdout.splitlines()
    assert "to try the failed rows again: linker run 'crm list.csv' " in second.stdout


async def test_json_has_the_same_keys_for_every_verb(command: Command, sandbox: Sandbox) -> None:
    """`run`, `undo`, `verify` and `check` print one JSON object and nothing else on stdout."""
    write_jobs(command.folder / "links.jsonl", [*features(2), {"id": "PRJ1-1", "lnks": {}}])
    run = await command("run", "links.jsonl", "--json")
    ran = json.loads(run.stdout)
    assert list(ran) == KEYS
    assert [ran[key] for key in KEYS[:8]] == [1, 0, 0, 0, 2, 1, 0, 1]
    write_jobs(command.folder / "links.jsonl", features(2))
    ran = json.loads((await command("run", "links.jsonl", "--json", "--resume")).stdout)
    assert [ran[key] for key in KEYS[:8]] == [1, 0, 0, 0, 0, 1, 0, 1]
    assert ran["requests"] > 0 < ran["elapsed_s"]
    verified = json.loads((await command("verify", "links.jsonl", "--json")).stdout)
    assert set(KEYS) <= verified.keys()
    assert (verified["ok"], verified["targets"], verified["targets_as_asked"]) == (True, 2, 2)
    undone = json.loads((await command("undo", "links.results.jsonl", "--yes", "--json")).stdout)
    assert [undone[key] for key in KEYS[:8]] == [0, 2, 0, 0, 0, 0, 2, 2]
    wrong = json.loads((await command("verify", "links.jsonl", "--json")).stdout)
    assert [(each["id"], each["field"], each["missing"]) for each in wrong["differences"]] == [
        ("PRJ1-1", "customers", [ACME]),
        ("PRJ1-2", "customers", [ACME]),
    ]
    checked = json.loads((await command("check", "links.jsonl", "--json")).stdout)
    assert set(KEYS) <= checked.keys()
    assert checked["files"]["jobs"] == 2
    assert sandbox.stats.methods["PUT"] == 4


async def test_undo_says_undone_and_overwrite_says_where_the_old_results_are(
    command: Command, sandbox: Sandbox
) -> None:
    """Nothing that an undo did is called linked; the old file is where the message says."""
    write_jobs(command.folder / "links.jsonl", features(3))
    await command("run", "links.jsonl")
    again = await command("run", "links.jsonl", "--overwrite")
    (kept,) = [line.removeprefix("earlier results: ") for line in again.stdout.splitlines() if "earlier" in line]
    assert [line["status"] for line in lines_of(command.folder / kept)] == ["linked"] * 3
    undone = await command("undo", kept, "--yes")
    assert undone.stdout.splitlines()[0] == "3 features undone: 0 links added back, 3 removed"
    assert "linked" not in undone.stdout
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1") == {}


async def test_verify_counts_rows_that_cannot_be_checked(command: Command) -> None:
    """A target with a rejected row is not as asked, so "no" never stands before "all of them"."""
    write_jobs(command.folder / "links.jsonl", features(3))
    await command("run", "links.jsonl")
    rejected = {"id": "PRJ1-2", "links": {"customers": [1.5]}, "mode": "add"}
    write_jobs(command.folder / "links.jsonl", [*features(3), rejected])
    assert (await command("verify", "links.jsonl")).stdout.splitlines()[-1] == (
        "no: 2 of 3 targets as asked; 2 rows rejected"
    )
    write_jobs(command.folder / "links.jsonl", [*features(3), {"nothing": "of use"}])
    assert (await command("verify", "links.jsonl")).stdout.splitlines()[-1] == "no: 1 row rejected"
