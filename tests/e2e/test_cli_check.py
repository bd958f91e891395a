"""`linker check`: the token, the account, its limits and link fields; and whether job files go with them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.command import Command
from support.odd_lists import refuse_page
from support.runs import ACME, ZANE, eager, names, write_jobs

from linker import Kind
from linker.sandbox import Sandbox
from linker.sandbox.routes import refusal

JOBS = [
    {"id": "PRJ1-1", "links": {"customers": [ACME]}},
    {"id": "PRJ1-2", "links": {"custmers": [ACME]}},
    {"id": "PRJ1-3", "links": {"customers": [{"name": "Acme Crop"}]}},
    {"id": "PRJ1-4", "links": {"customers": [ACME]}, "mode": "add"},
    {"id": "PRJ1-4", "links": {"customers": [ACME]}, "mode": "remove"},
    {"id": "PRJ1-N-5", "links": {"customers": [ACME]}},
]


async def test_one_screen_says_what_is_known(command: Command, sandbox: Sandbox) -> None:
    """Whose token, which workspaces, each link field of each kind with its table, where something tells that."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "contracts", ["7036045937940700101"])
    checked = await command("check", "--table", "customers=PRJ1/customers", "--rate", "1000/1s")
    assert (checked.code, checked.stderr) == (0, "")
    lines = checked.stdout.splitlines()
    assert lines[0] == f"account   Sandbox, {sandbox.url}"
    assert lines[1] == "token     valid; belongs to Mary Humpty <mary@sandbox.invalid>, who sees 6 workspaces"
    assert lines[2] == "limits    the account reports none; linker sends at most 1000/1s"
    fields = [line.split() for line in lines]
    assert ["feature", "contracts", "PRJ1/contracts"] in fields  # by what PRJ1-1 holds
    assert ["release", "customers", "PRJ1/customers"] in fields  # by --table
    assert ["idea", "revenue", "PRJ1/customers"] in fields
    assert ["epic", "contracts", "-"] in fields
    assert "custom_scorecard_definition" not in checked.stdout  # no link
    assert lines[-1].endswith("add --table FIELD=PRODUCT/TABLE (`linker tables` lists the tables)")
    assert ["table", "customers=PRJ1/customers", "option"] in fields
    assert len(lines) < 30
    assert sandbox.stats.methods.keys() == {"GET"}


async def test_what_the_account_calls_things_does_nothing_to_the_screen(command: Command, sandbox: Sandbox) -> None:
    """Users, accounts, workspaces and fields with escape codes, line ends and marks that turn the order around."""
    evil, answer = "Evil\x1b]0;x\x07\u202e\n\x9b Ltd", sandbox._routes.answer

    def bent(method: str, path: str, query: str, *rest: Any) -> Any:
        given = answer(method, path, query, *rest)
        value = json.loads(given.body)
        if "user" in value:
            value["user"] |= {"name": evil, "email": evil, "accounts": [{"account": {"name": evil}}]}
        for item in value.get("products", []):
            item["reference_prefix"] = evil
        for item in value.get("custom_field_definitions", []):
            item["name"] = evil
            item["type"] += evil if item["key"] == "contracts" else ""
        return given._replace(body=json.dumps(value).encode())

    sandbox._routes.answer = bent  # type: ignore[assignment, method-assign]
    write_jobs(command.folder / "links.jsonl", [{"id": "PRJ1-1", "links": {"contracts": ["1"]}}])
    for options in ([], ["--json"]):
        checked = await command("check", "links.jsonl", *options)
        assert checked.code == 1
        assert (checked.stdout + checked.stderr).replace("\n", "").isprintable()
        assert "Evil" in checked.stdout
        assert "131414752" in checked.stdout or options  # a workspace without a name goes by its number


async def test_the_account_s_own_word_on_its_limits(command: Command) -> None:
    """What is left of them, as its last answer says."""
    async with Sandbox() as sandbox:
        command.environment = {**command.environment, "AHA_URL": sandbox.url}
        checked = await command("check")
    (limits,) = [line for line in checked.stdout.splitlines() if line.startswith("limits")]
    assert " requests left for the next " in limits
    assert limits.endswith("; linker sends at most 300/60s and 20/1s")


async def test_a_file_is_looked_at_as_a_run_would(command: Command, sandbox: Sandbox) -> None:
    """Fields, names, conflicts and lines that are no jobs: all that can be told without the targets. Exit 1."""
    write_jobs(command.folder / "links.jsonl", JOBS)
    options = ("check", "links.jsonl", "--table", "customers=PRJ1/customers", "--rate", "1000/1s")
    checked = await command(*options)
    assert (checked.code, checked.stderr) == (1, "")
    told = checked.stdout[checked.stdout.index("file ") :]
    assert told.startswith("file      6 rows for 2 targets; 5 would be rejected\n")
    for problem in ("1 row: unknown_field", "1 row: unknown_record", "2 rows: conflict", "1 row: invalid_job"):
        assert f"\n            {problem}\n" in told
    assert "\n              links.jsonl line 6: " in told
    assert names(command.folder) == ["links.jsonl"]
    assert sandbox.stats.methods.keys() == {"GET"}
    assert not any(seen.path.startswith("/api/v1/features/") for seen in sandbox.requests)
    allowed = await command(*options, "--create-missing")
    assert "1 record would be created" in allowed.stdout


async def test_a_table_that_nothing_tells_is_on_the_screen(command: Command) -> None:
    """With the fields and their tables above it, and the option that tells it. Exit 1."""
    write_jobs(command.folder / "links.jsonl", JOBS[2:3])
    checked = await command("check", "links.jsonl", "--rate", "1000/1s")
    assert (checked.code, checked.stderr) == (1, "")
    *_, last = checked.stdout.splitlines()
    assert last.startswith("file      linker cannot tell which table the field `customers` links to. Add")
    assert "--table customers=PRODUCT/TABLE" in last


async def test_as_json_for_a_program(command: Command, sandbox: Sandbox) -> None:
    """All of it in one object."""
    write_jobs(command.folder / "links.jsonl", JOBS[:2])
    checked = await command("check", "links.jsonl", "--json", "--rate", "1000/1s")
    told = json.loads(checked.stdout)
    assert checked.code == 1
    assert (told["ok"], told["url"], told["problem"]) == (False, sandbox.url, None)
    assert (told["account"], told["user"], told["workspaces"]) == ("Sandbox", "Mary Humpty", 6)
    assert {"kind": "feature", "key": "customers", "name": "Customers", "table": None} in told["fields"]
    assert (told["files"]["jobs"], told["files"]["rejected"]) == (2, 1)
    assert told["files"]["errors"][0]["type"] == "unknown_field"


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"AHA_TOKEN": "stale"}, "problem   the account rejected your token (401: unauthorized)"),
        (
            {"AHA_URL": "http://127.0.0.1:1"},
            "Connection refused; check --url http://127.0.0.1:1 (or AHA_URL), or use --account",
        ),
    ],
)
async def test_what_keeps_it_from_looking_is_told(command: Command, environment: dict[str, str], said: str) -> None:
    """A token that is not taken, an account that is not there: exit 1, on the same screen."""
    command.environment = {**command.environment, **environment}
    checked = await command("check", "--attempts", "1")
    assert (checked.code, checked.stderr) == (1, "")
    assert said in checked.stdout
    told = await command("check", "--attempts", "1", "--json")
    assert (told.code, json.loads(told.stdout)["ok"]) == (1, False)


async def test_definitions_that_may_not_be_read_are_told(command: Command) -> None:
    """It is no fault of the file's: exit 0."""
    async with Sandbox(limits=[], definitions="forbidden") as sandbox:
        command.environment = {**command.environment, "AHA_URL": sandbox.url}
        checked = await command("check", "--rate", "1000/1s")
    assert checked.code == 0
    assert "fields    the field definitions cannot be read" in checked.stdout


async def test_from_python(sandbox: Sandbox) -> None:
    """`aha.check()`, with jobs or without."""
    sandbox.account.set_links(Kind.EPIC, "PRJ1-E-1", "contracts", ["7036045937940700101"])
    async with eager(sandbox, preflight=True) as aha:
        alone = await aha.check()
        check = await aha.check([{"id": "PRJ1-1", "links": {"customers": [ZANE]}}])
    assert (alone.ok, alone.files, alone.user) == (True, None, "Mary Humpty")
    assert check.ok
    assert check.files is not None
    assert (check.files.jobs, check.files.targets, check.files.rejected.rejected) == (1, 1, 0)
    assert check.fields is not None
    assert {(each.kind, each.key): each.table for each in check.fields}[Kind.EPIC, "contracts"] == "PRJ1/contracts"


async def test_a_token_that_is_rejected_while_a_table_is_read_is_told(command: Command) -> None:
    """On a later page of a table, when several are in flight: from Python and as a command, like on the first."""
    async with Sandbox(limits=[], records=1000) as sandbox:
        refuse_page(sandbox, 3, refusal(401, "unauthorized"))
        sandbox.faults.script(None, on="GET /api/v1/me", stays=401)
        jobs = [{"id": "PRJ1-1", "links": {"customers": [{"name": "Acme Corp"}]}}]
        async with eager(sandbox, preflight=True, max_wait=0.05, table={"customers": "PRJ1/customers"}) as aha:
            check = await aha.check(jobs)
        assert check.problem is not None
        assert check.problem.startswith("the account has rejected your token ")
        sandbox.faults.clear()
        sandbox.faults.script(None, on="GET /api/v1/me", stays=401)
        write_jobs(command.folder / "links.jsonl", jobs)
        command.environment = {**command.environment, "AHA_URL": sandbox.url}
        table = ("--table", "customers=PRJ1/customers", "--rate", "1000/1s", "--max-wait", "0.05")
        checked = await command("check", "links.jsonl", *table)
    assert checked.code == 1
    assert "internal error" not in checked.stderr
    assert "problem   the account has rejected your token " in checked.stdout
