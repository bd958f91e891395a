"""`linker tables` and `linker records`: the keys that job files and options need."""

from __future__ import annotations

import csv
import io
import json

from support.command import Command
from support.runs import ACME
from support.terminal import terminal

from linker import Kind
from linker.sandbox import Sandbox

EVIL = "Evil\x1b]0;x\x07\u202e\t\n Ltd"


async def test_tables_are_listed_with_the_fields_that_link_to_them(command: Command) -> None:
    """Place, workspace, key, number and title field; for each kind the link fields, and what a mark means."""
    shown = await command("tables")
    assert (shown.code, shown.stderr) == (0, "")
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert ["PRJ1/customers", "PRJ1", "customers", "102", "name"] in rows
    assert ["idea", "revenue", "PRJ1/customers", "Revenue"] in rows
    assert ["epic", "contracts", "PRJ1/contracts", "?", "Contracts"] in rows
    assert any(line.startswith("-  linker cannot tell which table") for line in shown.stdout.splitlines())
    as_json = json.loads((await command("tables", "--json")).stdout)
    assert {"place", "key", "workspace", "title", "records", "problem"} == as_json["tables"][0].keys()
    assert {"kind", "key", "name", "table", "likely_table"} == as_json["fields"][0].keys()


async def test_records_are_plain_lines_in_a_pipe(command: Command, sandbox: Sandbox) -> None:
    """An id, a tab, a name; hostile names stay on their line and harmless, in each format."""
    product = sandbox.account.find(Kind.PRODUCT, "PRJ1")
    assert product is not None
    record = sandbox.account.create_record(product, "customers", EVIL)
    formula = sandbox.account.create_record(product, "customers", "=cmd|' /C'!A0")
    lines = (await command("records", "PRJ1/customers")).stdout.split("\n")
    assert f"{ACME}\tAcme Corp" in lines
    assert len(lines) == 102 + 2 + 1
    (evil,) = (line for line in lines if line.startswith(str(record.id)))
    assert evil.replace("\t", "").isprintable()
    assert evil.count("\t") == 1
    rows = list(csv.reader(io.StringIO((await command("records", "PRJ1/customers", "--csv")).stdout)))
    assert rows[0] == ["id", "name"]
    assert [str(formula.id), "'=cmd|' /C'!A0"] in rows
    as_json = (await command("records", "PRJ1/customers", "--json")).stdout
    assert {"id": ACME, "name": "Acme Corp"} in json.loads(as_json)
    assert "\u202e" not in as_json


async def test_nothing_found_says_what_to_do(command: Command) -> None:
    """On stderr, exit 1; JSON stays JSON."""
    nothing = await command("records", "PRJ1/customers", "--find", "zzz", "--json")
    assert (nothing.code, json.loads(nothing.stdout)) == (1, [])
    assert "list all of them: linker records PRJ1/customers" in nothing.stderr
    wrong = await command("records", "customers")
    assert (wrong.code, wrong.stdout) == (2, "")
    assert "linker tables lists them" in wrong.stderr


async def test_on_a_terminal_records_have_headings(command: Command) -> None:
    """Columns below each other for people."""
    async with terminal(command, "records", "PRJ1/contracts", "--find", "SUPPORT") as shown:
        assert await shown.ended() == 0
        assert shown.screen.splitlines() == [
            "ID                   NAME",
            "7036045937940700218  Acme Corp, support 2026",
        ]
