"""The command around a write: plan before it, verify after it, undo of it, export of what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from conftest import Command

from linker import Kind
from linker.sandbox import Sandbox

ACME, ZANE = "640362830", "8397122"


def write(path: Path, *lines: dict[str, Any]) -> str:
    """A job file, by its name in the command's folder."""
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return path.name


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return [path.name for path in folder.iterdir()]


@pytest.fixture
def links(tmp_path: Path, sandbox: Sandbox) -> str:
    """A file that adds, removes, clears and leaves alone."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-2", "customers", [ACME, ZANE])
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-3", "customers", [ACME])
    return write(
        tmp_path / "links.jsonl",
        {"id": "PRJ1-1", "links": {"customers": [ACME]}},
        {"id": "PRJ1-1", "links": {"customers": [ZANE]}, "mode": "add"},
        {"id": "PRJ1-2", "links": {"customers": [ACME]}, "mode": "remove"},
        {"id": "PRJ1-3", "links": {"customers": [ACME]}},
        {"id": "PRJ1-I-5", "links": {"customers": []}},
    )


async def test_plan_shows_what_run_then_does(links: str, command: Command, sandbox: Sandbox) -> None:
    """Per target what comes and goes, no PUT, and just as many PUTs foretold as the run sends."""
    planned = await command("plan", links)
    assert (planned.code, planned.stderr) == (0, "")
    assert "feature PRJ1-1\n  customers  + 8397122, 640362830\n" in planned.stdout
    assert "feature PRJ1-2\n  customers  - 640362830\n" in planned.stdout
    assert "feature PRJ1-3" not in planned.stdout
    assert "4 targets: 3 to change, 1 unchanged; 2 links added, 2 removed" in planned.stdout
    assert "3 PUTs" in planned.stdout
    assert sandbox.stats.methods["PUT"] == 0
    await command("run", links)
    assert sandbox.stats.methods["PUT"] == 3
    again = await command("plan", links)
    assert "4 targets: 0 to change, 4 unchanged" in again.stdout


async def test_plan_as_json_is_one_change_a_line(links: str, command: Command, tmp_path: Path) -> None:
    """Changes with their jobs, and rejected lines as results; for a program, nothing else is on stdout."""
    bad = write(tmp_path / "bad.jsonl", {"id": "PRJ1-N-1", "links": {"customers": [ACME]}})
    planned = await command("plan", links, bad, "--json", "--no-progress")
    lines = [orjson.loads(line) for line in planned.stdout.splitlines()]
    assert planned.code == 1
    rejected = [line for line in lines if "status" in line]
    assert [line["error"]["type"] for line in rejected] == ["invalid_job"]
    changes = {line["id"]: line for line in lines if "put" in line}
    assert changes["PRJ1-1"]["jobs"] == [0, 1]
    assert changes["PRJ1-2"]["changes"] == {"customers": {"added": [], "removed": [ACME]}}
    assert changes["PRJ1-3"]["put"] is False


async def test_a_target_that_cannot_be_read_makes_plan_exit_1(command: Command, tmp_path: Path) -> None:
    """It is named, with the server's word."""
    planned = await command("plan", write(tmp_path / "x.jsonl", {"id": "PRJ1-9999", "links": {"customers": []}}))
    assert planned.code == 1
    assert "x.jsonl line 1: failed, not_found: 404: Record not found." in planned.stdout


async def test_plan_wants_files_or_an_undo(command: Command, links: str) -> None:
    """Neither and both are wrong."""
    for arguments in ([], [links, "--undo", "x.results.jsonl"]):
        planned = await command("plan", *arguments)
        assert planned.code == 2
        assert "give job FILEs to plan, or --undo RESULTS" in planned.stderr


async def test_verify_says_no_before_and_yes_after(links: str, command: Command, sandbox: Sandbox) -> None:
    """Each difference is named, an outsider's edit too, and nothing is written."""
    before = await command("verify", links)
    assert before.code == 1
    assert "feature PRJ1-1: customers lacks 8397122, 640362830\n" in before.stdout
    assert "feature PRJ1-2: customers" in before.stdout
    assert sandbox.stats.methods["PUT"] == 0
    await command("run", links)
    after = await command("verify", links)
    assert (after.code, after.stdout) == (0, "yes: 4 of 4 targets as asked, 0 not\n")
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-3", "customers", [])
    spoilt = await command("verify", links)
    assert spoilt.code == 1
    assert "feature PRJ1-3: customers lacks 640362830\n" in spoilt.stdout
    assert spoilt.stdout.endswith("no: 3 of 4 targets as asked, 1 not\n")


async def test_verify_names_what_shows_no_links(command: Command, tmp_path: Path) -> None:
    """A target whose answers show no links is unseen, and that alone is no no."""
    jobs = write(tmp_path / "x.jsonl", {"id": "PRJ1", "links": {"customers": [ACME]}})
    verified = await command("verify", jobs)
    assert verified.code == 0
    assert "product PRJ1: unseen" in verified.stdout
    assert "1 unseen" in verified.stdout


async def test_undo_takes_back_what_run_did(links: str, command: Command, sandbox: Sandbox) -> None:
    """All is as before, but for what others did since, which is mentioned; the undo has results of its own."""
    before = sandbox.account.all_links()
    await command("run", links)
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-2", "contracts", ["7036045937940700101"])
    held = sandbox.account.links(Kind.FEATURE, "PRJ1-1")["customers"]
    other = next(
        str(record.id)
        for record in sandbox.account.listed(Kind.CUSTOM_OBJECT_RECORD)
        if record.table == "customers" and str(record.id) not in (ACME, ZANE)
    )
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [*held, other])
    planned = await command("plan", "--undo", "links.results.jsonl")
    assert "feature PRJ1-1\n  customers  - 8397122, 640362830\n" in planned.stdout
    undone = await command("undo", "links.results.jsonl", "--yes")
    assert undone.code == 0
    assert "results in links.undo.jsonl" in undone.stdout
    assert "others' work kept: feature PRJ1-1 customers" in undone.stdout
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1") == {"customers": [other]}
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [])
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-2", "contracts", [])
    assert sandbox.account.all_links() == before
    redone = await command("undo", "links.undo.jsonl", "--yes", "--results", "redo.jsonl")
    assert redone.code == 0
    assert (await command("verify", links)).code == 0


async def test_undo_asks_and_where_nobody_can_be_asked_wants_yes(
    links: str, command: Command, sandbox: Sandbox
) -> None:
    """It tells its count, and nothing is sent."""
    await command("run", links)
    puts = sandbox.stats.methods["PUT"]
    asked = await command("undo", "links.results.jsonl")
    assert asked.code == 2
    assert "This changes 3 targets: 2 links are removed, 2 added again." in asked.stderr
    assert "--yes" in asked.stderr
    assert sandbox.stats.methods["PUT"] == puts


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "no such results file"), (b'{"id":"PRJ1-1"}\n', "line 1"), (b"{}\nnonsense\n", "line 1")],
)
async def test_undo_of_no_results_file_says_so(
    command: Command, tmp_path: Path, content: bytes | None, said: str
) -> None:
    """Exit 2, naming the line that is none of a results file."""
    if content is not None:
        (tmp_path / "x.results.jsonl").write_bytes(content)
    undone = await command("undo", "x.results.jsonl", "--yes")
    assert undone.code == 2
    assert said in undone.stderr


async def test_undo_of_a_run_that_changed_nothing(command: Command, tmp_path: Path) -> None:
    """There is nothing to undo, and that is well."""
    await command("run", write(tmp_path / "x.jsonl", {"id": "PRJ1-1", "links": {"customers": []}}))
    undone = await command("undo", "x.results.jsonl", "--yes")
    assert (undone.code, undone.stdout) == (0, "there is nothing to undo: no line tells of a change\n")


@pytest.mark.parametrize("name", ["links.jsonl", "links.csv"])
async def test_what_is_exported_is_so_already(command: Command, sandbox: Sandbox, name: str) -> None:
    """One job a target that holds any links; a run of it writes nothing."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-2", "customers", [ACME, ZANE])
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-2", "contracts", ["7036045937940700101"])
    sandbox.account.set_links(Kind.FEATURE, "PRJ2-1", "customers", [ACME])
    exported = await command("export", "--kind", "feature", "-o", name)
    assert (exported.code, exported.stdout, exported.stderr) == (0, "", f"2 targets in {name}\n")
    ran = await command("run", name)
    assert ran.code == 0
    assert sandbox.stats.methods["PUT"] == 0
    refused = await command("export", "--kind", "feature", "-o", name)
    assert refused.code == 2
    assert "exists" in refused.stderr


async def test_export_takes_a_scope_and_a_field(command: Command, sandbox: Sandbox) -> None:
    """Only what was asked for is on stdout, as JSONL or CSV."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-2", "customers", [ACME])
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-2", "contracts", ["7036045937940700101"])
    sandbox.account.set_links(Kind.FEATURE, "PRJ2-1", "customers", [ACME])
    exported = await command("export", "--kind", "features", "--scope", "PRJ1", "--field", "customers")
    assert exported.stdout == '{"kind":"feature","id":"PRJ1-2","links":{"customers":["640362830"]}}\n'
    exported = await command("export", "--kind", "feature", "--scope", "PRJ2", "--format", "csv")
    assert exported.stdout == "kind,id,field,record_ids\r\nfeature,PRJ2-1,customers,640362830\r\n"
    exported = await command("export", "--kind", "record", "--scope", "PRJ1/customers")
    assert '"id":"640362830"' in exported.stdout


async def test_export_that_fails_leaves_no_half_file(command: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    """A list that cannot be read to its end: exit 3, and no file that could be taken for all there is."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-2", "customers", [ACME])
    sandbox.script.refuse(r"GET .*/features\?", 403)
    exported = await command("export", "--kind", "feature", "-o", "links.jsonl")
    assert exported.code == 3
    assert "403" in exported.stderr
    assert names(tmp_path) == []


@pytest.mark.parametrize("arguments", [["--kind", "release"], ["--kind", "feture"], ["--kind", "record"], []])
async def test_export_of_no_list_exits_2(command: Command, arguments: list[str]) -> None:
    """With what to write instead."""
    exported = await command("export", *arguments)
    assert exported.code == 2
    assert exported.stderr
