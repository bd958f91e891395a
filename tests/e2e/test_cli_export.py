"""`linker export`: the account's links as a job file."""

from __future__ import annotations

import asyncio
import signal
import sys

import pytest
from support.command import Command
from support.odd_lists import refuse_page
from support.runs import ACME, ZANE, eager, names, until

from linker import Kind
from linker.errors import ExportFailed
from linker.sandbox import Sandbox
from linker.sandbox.routes import refusal

CONTRACT = "7036045937940700101"


@pytest.fixture
def held(sandbox: Sandbox) -> None:
    """Three features of two products that hold links, one of them in two fields."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-2", "customers", [ACME, ZANE])
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-2", "contracts", [CONTRACT])
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-3", "contracts", [CONTRACT])
    sandbox.account.set_links(Kind.FEATURE, "PRJ2-1", "customers", [ACME])


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize(
    ("name", "arguments", "starts"),
    [
        ("links.jsonl", [], '{"kind":"feature","id":"PRJ'),
        ("links.csv", [], "kind,id,field,record_ids\r\nfeature,PRJ"),
        ("links.TSV", [], "kind\tid\tfield\trecord_ids\r\nfeature\tPRJ"),
        ("links.dat", [], '{"kind":"feature","id":"PRJ'),
        ("links.jsonl.csv", ["--format", "csv"], "kind,id,field,record_ids\r\n"),
    ],
)
async def test_what_is_exported_is_so_already(
    command: Command, sandbox: Sandbox, name: str, arguments: list[str], starts: str
) -> None:
    """JSONL or a table, by FILE's name or --format: a run of it finds everything unchanged, and verify says yes."""
    exported = await command("export", "--kind", "feature", "-o", name, *arguments)
    assert (exported.code, exported.stdout, exported.stderr) == (
        0,
        "",
        f"linker: links of 3 targets written to {name}\n",
    )
    assert (command.folder / name).read_bytes().decode().startswith(starts)
    assert names(command.folder) == [name]
    if name.endswith(".dat"):
        return  # no job file by its name
    ran = await command("run", name)
    assert ran.code == 0
    assert ran.stdout.startswith("nothing changed · ")
    assert sandbox.stats.methods["PUT"] == 0


@pytest.mark.usefixtures("held")
async def test_export_writes_to_standard_output(command: Command) -> None:
    """Without -o only the jobs are on stdout: a target a line, or a field of one a row; and a run reads them there."""
    jsonl = await command("export", "--kind", "features", "--scope", "PRJ2")
    assert jsonl.stdout == '{"kind":"feature","id":"PRJ2-1","links":{"customers":["640362830"]}}\n'
    table = await command("export", "--kind", "feature", "--scope", "prj1", "--format", "csv")
    assert (table.code, table.stderr) == (jsonl.code, jsonl.stderr) == (0, "")
    header, *rows = table.stdout.splitlines()
    assert header == "kind,id,field,record_ids"
    assert sorted(rows) == [
        f"feature,PRJ1-2,contracts,{CONTRACT}",
        "feature,PRJ1-2,customers,8397122;640362830",
        f"feature,PRJ1-3,contracts,{CONTRACT}",
    ]
    verified = await command("verify", "-", "--format", "csv", stdin=table.stdout.encode())
    assert verified.stdout == "yes: 2 of 2 targets as asked\n"


@pytest.mark.usefixtures("held")
async def test_a_field_alone_can_be_exported(command: Command) -> None:
    """--field leaves out other fields, and targets that hold nothing in it."""
    exported = await command("export", "--kind", "feature", "--scope", "PRJ1", "--field", "customers")
    assert exported.stdout == '{"kind":"feature","id":"PRJ1-2","links":{"customers":["8397122","640362830"]}}\n'


KINDS = {
    "feature": (Kind.FEATURE, "PRJ1-2", ""),
    "epic": (Kind.EPIC, "PRJ1-E-3", ""),
    "idea": (Kind.IDEA, "PRJ1-I-5", "PRJ1"),
    "initiative": (Kind.INITIATIVE, "PRJ1-S-1", ""),
    "goal": (Kind.GOAL, "DEMOENT-G-1", ""),
    "organization": (Kind.IDEA_ORGANIZATION, "ACCOUNT-O-1", ""),
    "release": (Kind.RELEASE, "PRJ1-R-1", "PRJ1"),
    "requirement": (Kind.REQUIREMENT, "PRJ1-1-1", "PRJ1-1"),
    "record": (Kind.CUSTOM_OBJECT_RECORD, ACME, "PRJ1/customers"),
}


async def test_every_kind_with_a_list_can_be_exported(command: Command, sandbox: Sandbox) -> None:
    """Each to a file of its own, and one run of them all writes nothing."""
    for kind, id, _ in KINDS.values():
        if kind is not Kind.CUSTOM_OBJECT_RECORD:  # the document's own hold links already
            sandbox.account.set_links(kind, id, "customers", [ZANE])
    exports = [
        command("export", "--kind", word, *(["--scope", scope] if scope else []), "-o", f"{word}.jsonl")
        for word, (_, _, scope) in KINDS.items()
    ]
    for exported in await asyncio.gather(*exports):
        assert exported.code == 0, exported.stderr
        assert " of 0 targets" not in exported.stderr
    ran = await command("run", *(f"{word}.jsonl" for word in KINDS))
    assert ran.code == 0, ran.stdout
    assert ran.stdout.startswith("nothing changed · ")
    assert sandbox.stats.methods["PUT"] == 0


@pytest.mark.usefixtures("held")
async def test_a_file_that_exists_is_refused(command: Command, sandbox: Sandbox) -> None:
    """Exit 2, the file as it was, and nothing asked of the account; nor where there is no such folder."""
    (command.folder / "links.jsonl").write_text("mine\n")
    refused = await command("export", "--kind", "feature", "-o", "links.jsonl")
    exists = "linker: links.jsonl already exists; name another file, or move it away\n"
    assert (refused.code, refused.stderr) == (2, exists)
    nowhere = await command("export", "--kind", "feature", "-o", "nowhere/links.jsonl")
    assert (nowhere.code, nowhere.stderr) == (2, "linker: nowhere/links.jsonl: No such file or directory\n")
    assert (command.folder / "links.jsonl").read_text() == "mine\n"
    assert names(command.folder) == ["links.jsonl"]
    assert sandbox.stats.requests == 0


THEIRS = """
import os, pathlib, sys
from linker.cli import main

link, rename, links = os.link, pathlib.Path.rename, os.environ["LINKS"]

def late_link(*names, **options):
    if links == "no links":
        raise PermissionError(1, "Operation not permitted")
    pathlib.Path("links.jsonl").write_text("theirs")
    return link(*names, **options)

def late_rename(*names):
    if links == "links":
        pathlib.Path("links.jsonl").write_text("theirs")
    return rename(*names)

os.link, pathlib.Path.rename = late_link, late_rename
main()
"""
"""An export during which a file of its name appears at the last moment; or one on a file system without links."""


@pytest.mark.usefixtures("held")
async def test_a_file_that_appears_at_the_last_moment_is_left_as_it_is(command: Command) -> None:
    """Exit 2, and the export's own file is gone."""
    command.environment["LINKS"] = "links"
    refused = await command.program(sys.executable, "-c", THEIRS, "export", "--kind", "feature", "-o", "links.jsonl")
    assert (refused.code, refused.stderr) == (
        2,
        "linker: another program has created links.jsonl meanwhile; the export did not replace it. Name another file\n",
    )
    assert (command.folder / "links.jsonl").read_text() == "theirs"
    assert names(command.folder) == ["links.jsonl"]


@pytest.mark.usefixtures("held")
async def test_a_file_system_without_links_is_exported_to(command: Command) -> None:
    """The file gets its name by a rename there."""
    command.environment["LINKS"] = "no links"
    exported = await command.program(sys.executable, "-c", THEIRS, "export", "--kind", "feature", "-o", "links.jsonl")
    assert exported.code == 0, exported.stderr
    assert names(command.folder) == ["links.jsonl"]


@pytest.mark.usefixtures("held")
async def test_an_export_that_fails_leaves_no_half_file(command: Command, sandbox: Sandbox) -> None:
    """A list that cannot be read to its end: exit 3, why, and no file that could be taken for all there is."""
    sandbox.faults.script(on=r"GET .*/features\?", stays=403)
    exported = await command("export", "--kind", "feature", "-o", "links.jsonl")
    assert exported.code == 3
    assert "403" in exported.stderr
    assert names(command.folder) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_an_interrupted_export_leaves_no_half_file(command: Command, number: signal.Signals, code: int) -> None:
    """Its exit code says who stopped it."""
    async with Sandbox(limits=[], features=300, latency_ms=20_000) as sandbox:
        command.environment["AHA_URL"] = sandbox.url
        process = await command.start("export", "--kind", "feature", "-o", "links.jsonl")
        await until(lambda: sandbox.stats.requests > 0)
        assert names(command.folder) == ["links.jsonl.part"]
        process.send_signal(number)
        _, stderr = await process.communicate()
    assert (process.returncode, stderr) == (code, b"linker: interrupted; no file was written\n")
    assert names(command.folder) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--kind release", 'scope "release" is not a list of the account; write release:PRODUCT'),
        ("--kind record", "write record:PRODUCT/TABLE"),
        ("--kind record --scope PRJ1", "write record:PRODUCT/TABLE"),
        ("--kind requirement", "write requirement:FEATURE"),
        ("--kind product --scope PRJ1", 'scope "product:PRJ1" is not a list of the account; write product\n'),
        ("--kind feature --scope PRJ1/x", "write feature or feature:PRODUCT"),
        ("--kind feature --scope ../x", 'scope "feature:../x" is not a list of the account'),
        ("--kind feture", 'did you mean "feature"?'),
        ("--kind feature --format tsv", '--format must be jsonl or csv, not "tsv"'),
        ("", "the option --kind is missing"),
    ],
)
async def test_what_is_no_list_exits_2(command: Command, sandbox: Sandbox, arguments: str, said: str) -> None:
    """With what to write instead, and nothing sent."""
    exported = await command("export", *arguments.split())
    assert (exported.code, exported.stdout) == (2, "")
    assert said in exported.stderr
    assert sandbox.stats.requests == 0


async def test_a_page_of_names_that_the_token_may_not_read_is_told(command: Command) -> None:
    """On a later page of a table, when several are in flight: exit 3, and `ExportFailed` from Python."""
    why = "(401: unauthorized); other requests are accepted"
    async with Sandbox(limits=[], records=1000) as sandbox:
        sandbox.account.set_links(Kind.FEATURE, "PRJ1-2", "customers", [ACME])
        refuse_page(sandbox, 3, refusal(401, "unauthorized"))
        async with eager(sandbox, max_wait=0.05) as aha:
            with pytest.raises(ExportFailed) as caught:
                _ = [job async for job in aha.export("feature", names=True)]
        assert why in str(caught.value)
        command.environment = {**command.environment, "AHA_URL": sandbox.url}
        options = ("--rate", "1000/1s", "--max-wait", "0.05")
        exported = await command("export", "--kind", "feature", "--names", "-o", "links.jsonl", *options)
    assert exported.code == 3
    assert why in exported.stderr
    assert names(command.folder) == []
