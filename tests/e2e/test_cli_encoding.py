"""Files that are not UTF-8, on the command line."""

from __future__ import annotations

import pytest
from support.command import Command
from support.runs import lines_of

from linker import Kind
from linker.sandbox import Sandbox

TABLE = 'id,field,record_ids,key\nPRJ1-1,customers,640362830,\nPRJ1-1,customers,8397122,"Café\ndu Nord"\n'.encode(
    "cp1252"
)
JSONL = '{"id": "PRJ1-1", "links": {"customers": ["640362830"]}, "key": "Café"}\n'.encode("cp1252")


async def test_a_table_that_is_not_utf8_is_reported_once_with_the_option(command: Command, sandbox: Sandbox) -> None:
    """The list of an unreadable row stays as it is; with `--encoding` everything is read."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", ["8397122"])
    (command.folder / "links.csv").write_bytes(TABLE)
    finished = await command("run", "links.csv")
    assert finished.code == 1
    assert finished.stderr.count("--encoding cp1252") == 1
    results = lines_of(command.folder / "links.results.jsonl")
    assert {line["line"]: line["error"]["type"] for line in results} == {2: "incomplete", 3: "invalid_job"}
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1")["customers"] == ["8397122"]
    finished = await command("run", "links.csv", "--overwrite", "--encoding", "cp1252")
    assert (finished.code, finished.stderr) == (0, "")
    assert [line["key"] for line in lines_of(command.folder / "links.results.jsonl")] == [None, "Café\ndu Nord"]


async def test_a_job_file_may_have_any_encoding_too(command: Command) -> None:
    """JSON Lines in cp1252, and in UTF-16 as PowerShell writes it."""
    (command.folder / "links.jsonl").write_bytes(JSONL)
    assert (await command("run", "links.jsonl", "--encoding", "cp1252")).code == 0
    (command.folder / "wide.jsonl").write_bytes(JSONL.decode("cp1252").encode("utf-16"))
    assert (await command("run", "wide.jsonl")).code == 0
    for name in ("links", "wide"):
        assert [line["key"] for line in lines_of(command.folder / f"{name}.results.jsonl")] == ["Café"]


@pytest.mark.parametrize("verb", ["run", "plan", "verify", "check"])
async def test_an_unknown_encoding_is_a_usage_error(verb: str, command: Command, sandbox: Sandbox) -> None:
    """Before anything is read or sent."""
    (command.folder / "links.jsonl").write_bytes(JSONL)
    finished = await command(verb, "links.jsonl", "--encoding", "cp12522")
    assert finished.code == 2
    assert 'encoding "cp12522" is unknown; use a name such as cp1252, utf-16 or iso-8859-1' in finished.stderr
    assert sandbox.stats.requests == 0
