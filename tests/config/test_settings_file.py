"""`linker.toml`: what a settings file may say, what takes precedence over it, and what is wrong with one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from support.command import Command
from support.runs import names

from linker import Kind, UsageError
from linker.cli import _command
from linker.cli.access import Access, job_files
from linker.sandbox import Sandbox

TOKEN = "0123456789abcdef" * 4
FILE = """
[account]
name = "company"
token_file = "secrets/token"

[columns]
id = "Aha Ref"
record_names = "Account"

[set]
field = "customers"

[tables]
customers = "PRJ1/customers"
contracts = ["PRJ1/contracts", "PRJ2/contracts"]

[name_fields]
customers = "customer_name"

[run]
mode = "add"
rate = "60/60s"
max-wait = 5
no_progress = true
create_missing = true
results_folder = "runs"
field = "customers"
scope = "feature:PRJ1"

[profile.test.account]
url = "http://127.0.0.1:8765"

[profile.test.columns]
field = "Field"

[profile.test.tables]
customers = "TEST/customers"

[profile.test.run]
mode = "remove"
progress = true
"""

Seen = Callable[..., Any]


class _Done(Exception):
    pass


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a settings file and a token, and nothing in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("AHA_ACCOUNT", "AHA_URL", "AHA_TOKEN", "LINKER_CONFIG", "LINKER_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "linker.toml").write_text(FILE)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/token").write_text(TOKEN)
    (tmp_path / "secrets/token").chmod(0o600)
    (tmp_path / "links.csv").write_text("Aha Ref,Account,Field\nPRJ1-1,Acme Corp,customers\n")
    return tmp_path


@pytest.fixture
def access_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Seen:
    """What a command line would use, without doing it: the arguments of its `Access`."""
    seen: list[Access] = []
    real = Access

    def record(*arguments: Any) -> Access:
        seen.append(real(*arguments))
        raise _Done

    monkeypatch.setattr("linker.cli.access.Access", record)

    def run(*arguments: str) -> Access:
        with pytest.raises(_Done):
            _command.main(list(arguments), prog_name="linker", standalone_mode=False)
        return seen[-1]

    return run


def refused(*arguments: str) -> str:
    """The error of a command line."""
    with pytest.raises((UsageError, click.ClickException)) as raised:
        _command.main(list(arguments), prog_name="linker", standalone_mode=False)
    return str(raised.value)


VERBS = [
    ["run", "links.csv"],
    ["plan", "links.csv"],
    ["verify", "links.csv"],
    ["undo", "links.results.jsonl"],
    ["check"],
    ["export", "--kind", "feature"],
]


@pytest.mark.parametrize("arguments", VERBS, ids=lambda each: each[0])
def test_no_verb_needs_options_that_the_file_has(access_of: Seen, arguments: list[str]) -> None:
    """Account, token and rate are the file's; of [run], a verb takes the options that it has."""
    access = access_of(*arguments)
    assert access.settings.base_url == "https://company.aha.io"
    assert str(access.settings.rate[0]) == "60/60s"
    assert access.settings.max_wait == 5
    assert access.results_folder == Path("runs")
    assert access.settings.mirror is None  # field and scope alone ask for none
    if arguments[0] in ("run", "plan", "verify", "check"):
        assert access.settings.mode == "add"
        assert set(access.settings.table) == {
            "customers=PRJ1/customers",
            "contracts=PRJ1/contracts",
            "contracts=PRJ2/contracts",
        }
    if arguments[0] in ("run", "plan", "verify", "undo"):
        assert not access.progress


def test_an_option_goes_before_the_environment_the_profile_and_the_file(
    access_of: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Option, environment, profile, top level, default: whichever comes first."""
    monkeypatch.setenv("AHA_TOKEN", TOKEN)
    access = access_of("run", "links.csv", "--profile", "test")
    assert access.settings.base_url == "http://127.0.0.1:8765"
    assert access.settings.mode == "remove"
    assert access.progress
    assert access.settings.create_missing  # of the top level
    assert access.settings.table[0] == "customers=TEST/customers"
    assert access_of("run", "links.csv", "--profile", "test", "--mode", "replace").settings.mode == "replace"
    assert not access_of("run", "links.csv", "--no-create-missing").settings.create_missing
    tables = access_of("run", "links.csv", "--table", "customers=PRJ9/customers").settings.table
    assert sorted(tables) == ["contracts=PRJ1/contracts", "contracts=PRJ2/contracts", "customers=PRJ9/customers"]
    monkeypatch.setenv("AHA_ACCOUNT", "other")
    assert access_of("run", "links.csv").settings.base_url == "https://other.aha.io"
    assert access_of("run", "links.csv", "--account", "third").settings.base_url == "https://third.aha.io"
    monkeypatch.delenv("AHA_ACCOUNT")
    monkeypatch.setenv("LINKER_PROFILE", "test")
    assert access_of("run", "links.csv").settings.mode == "remove"


def test_an_environment_that_overrules_a_profile_s_account_says_so(
    access_of: Seen, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who names a profile expects its account; with AHA_ACCOUNT set, it is another one."""
    monkeypatch.setenv("AHA_TOKEN", TOKEN)
    monkeypatch.setenv("AHA_ACCOUNT", "other")
    access_of("run", "links.csv", "--profile", "test")
    assert "AHA_ACCOUNT is set, so this uses https://other.aha.io, not the account of the profile test" in (
        capsys.readouterr().err
    )


def test_quiet_shows_no_progress(access_of: Seen) -> None:
    """`-q` goes before `--progress`."""
    access = access_of("run", "links.csv", "-q", "--progress")
    assert (access.quiet, access.progress) == (True, False)


def test_a_token_file_is_for_its_own_account_alone(access_of: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account by option, or a profile's, never gets the token of the file's; AHA_TOKEN goes to any."""
    assert access_of("check").used[1].source == "file secrets/token (linker.toml [account])"
    assert access_of("check", "--account", "Company").used[1].source.startswith("file secrets/token")
    assert "is for https://company.aha.io. Set AHA_TOKEN" in refused("check", "--account", "other")
    assert "no token" in refused("check", "--profile", "test")
    monkeypatch.setenv("AHA_TOKEN", TOKEN)
    assert access_of("check", "--account", "other").used[1].source == "AHA_TOKEN"
    assert access_of("check").used[1].source == "AHA_TOKEN"


def test_a_token_file_without_an_account_goes_to_none(access_of: Seen, folder: Path) -> None:
    """`[account]` with a token_file alone does not say whose token it is."""
    (folder / "linker.toml").write_text('[account]\ntoken_file = "secrets/token"\n')
    assert "is for no account" in refused("check", "--account", "company")


def test_a_profile_s_token_is_for_the_account_of_the_file(access_of: Seen, folder: Path) -> None:
    """A profile may have a token of its own for the same account."""
    (folder / "linker.toml").write_text(
        '[account]\nname = "company"\n[profile.mine.account]\ntoken_file = "secrets/token"\n'
    )
    access = access_of("check", "--profile", "mine")
    assert access.settings.base_url == "https://company.aha.io"
    assert access.used[1].source == "file secrets/token (linker.toml [profile.mine.account])"


def test_a_token_file_that_others_can_read_is_refused(folder: Path) -> None:
    """As with --token-file."""
    (folder / "secrets/token").chmod(0o644)
    assert "others can read it (mode 0644)" in refused("check")


def test_paths_are_relative_to_the_file(access_of: Seen, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--config conf/x.toml` looks for secrets/token and runs/ in conf/, wherever it is called from."""
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    access = access_of("check", "--config", "../linker.toml")
    assert access.results_folder == Path("../runs")
    assert access.used[1].source == "file ../secrets/token (../linker.toml [account])"
    monkeypatch.setenv("LINKER_CONFIG", "../linker.toml")
    assert access_of("check").settings.base_url == "https://company.aha.io"


def test_without_a_file_nothing_changes(access_of: Seen, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No linker.toml, or `--config /dev/null`: options, environment and defaults alone."""
    monkeypatch.setenv("AHA_TOKEN", TOKEN)
    assert access_of("check", "--account", "x", "--config", "/dev/null").settings.mode == "replace"
    (folder / "linker.toml").unlink()
    access = access_of("check", "--account", "x")
    assert [(each.option, each.source) for each in access.used] == [("account", "option"), ("token", "AHA_TOKEN")]


def test_columns_are_for_tables_alone(access_of: Seen, folder: Path) -> None:
    """A JSONL file beside a linker.toml with [columns] is no mistake; an explicit --column is."""
    (folder / "links.jsonl").write_text('{"id": "PRJ1-1", "links": {"customers": ["1"]}}\n')
    access_of("run", "links.jsonl")
    (folder / "linker.toml").write_text(
        '[account]\nname = "company"\ntoken_file = "secrets/token"\n[set]\nkind = "idea"\n'
    )
    access_of("run", "links.jsonl")  # [set] alone would not do for a table


def test_an_explicit_column_needs_a_table(folder: Path) -> None:
    """Who gives --column with a JSONL file has made a mistake."""
    (folder / "links.jsonl").write_text('{"id": "PRJ1-1", "links": {"customers": ["1"]}}\n')
    assert "but no FILE is a table" in refused("run", "links.jsonl", "--column", "id=Ref")


def test_columns_of_options_a_file_and_the_settings_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--column and --set go first, --columns FILE replaces the settings file's sections."""
    seen: list[Any] = []
    real = job_files

    def recorded(files: tuple[str, ...], format: str | None, columns: Any) -> list[Any]:
        seen.append(columns)
        return list(real(files, format))

    monkeypatch.setattr("linker.cli.run.job_files", recorded)
    monkeypatch.setattr("linker.cli.run.run_in_loop", lambda main: main.close())
    (folder / "other.toml").write_text('[columns]\nid = "Ref"\nrecord_ids = "Ids"\nfield = "F"\n[run]\nmode = "add"\n')

    def columns(*arguments: str) -> Any:
        _command.main(["run", "links.csv", *arguments], prog_name="linker", standalone_mode=False)
        return seen[-1]

    assert columns().headers == {"id": "Aha Ref", "record_names": "Account"}
    assert columns().constants == {"field": "customers"}
    assert columns("--column", "field=Field").headers == {"id": "Aha Ref", "record_names": "Account", "field": "Field"}
    assert columns("--column", "field=Field").constants == {}
    assert columns("--columns", "other.toml").headers == {"id": "Ref", "record_ids": "Ids", "field": "F"}
    monkeypatch.setenv("AHA_TOKEN", TOKEN)
    assert columns("--profile", "test").headers["field"] == "Field"  # instead of the top level's [set]
    assert columns("--profile", "test").constants == {}


def test_overwrite_on_the_command_line_overrules_resume_in_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They exclude each other, and an option goes first."""
    seen: list[dict[str, Any]] = []

    async def carry_out(*_: Any, how: dict[str, Any]) -> int:
        seen.append(how)
        return 0

    monkeypatch.setattr("linker.cli.run.carry_out", carry_out)
    (folder / "linker.toml").write_text(FILE.replace('mode = "add"', 'mode = "add"\nresume = true'))
    for more, expected in (([], True), (["--overwrite"], False), (["--no-resume"], False)):
        _command.main(["run", "links.csv", *more], prog_name="linker", standalone_mode=False)
        assert seen[-1]["resume"] is expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[acount]\nname = 'x'", '"acount" is not a section of a settings file; did you mean "account"?'),
        ("name = 'x'", "linker.toml, line 1: name belongs in the section [account]"),
        ("[account]\nnmae = 'x'", 'linker.toml, line 2: [account] nmae is unknown; did you mean "name"?'),
        ("[account]\nname = 3", "linker.toml, line 2: [account] name must be text in quotes"),
        ("[account]\nname = 'a'\nurl = 'https://b.aha.io'", "line 3: [account] has both name and url"),
        ("[account]\nname = 'a b'", "linker.toml, line 2: [account] name: "),
        ("account = 3", "linker.toml, line 1: account is a section; write it as [account]"),
        ("\n[run]\nmdoe = 'add'", 'line 3: [run] mdoe is not an option of linker run; did you mean "mode"?'),
        ("[run]\nmode = 'ad'", 'line 2: [run] mode must be one of "replace", "add", "remove"'),
        ("[run]\nmode = true", 'line 2: [run] mode must be one of "replace", "add", "remove"'),
        ("[run]\nlimit = '3'", "line 2: [run] limit must be a whole number, without quotes"),
        ("[run]\nlimit = 0", "line 2: [run] limit: "),
        ("[run]\nmirror = 'yes'", "line 2: [run] mirror must be true or false"),
        ("[run]\nshare = 2", "line 2: [run] share: "),
        ("[run]\nrate = 'fast'", "line 2: [run] rate: "),
        ("[run]\nrate = 300", "line 2: [run] rate must be a string or a list of strings"),
        ("[run]\nconcurrency = 0", "line 2: [run] concurrency: "),
        ("[run]\nencoding = 'klingon'", "line 2: [run] encoding: "),
        ("[run]\nyes = true", "line 2: [run] yes: you decide this for each run; instead, add --yes to the command"),
        ("[run]\nallow-empty = true", "instead, add --allow-empty to the command"),
        ("[run]\naccount = 'x'", "line 2: [run] account: write name in the section [account] instead"),
        ("[run]\nresults_folder = 3", "line 2: [run] results_folder must be a folder in quotes"),
        ("[tables]\ncustomers = 'customers'", 'line 2: [tables] customers: "customers" is not a table'),
        ("[tables]\ncustomers = []", "line 2: [tables] customers must be a table or a list of tables"),
        ("[name_fields]\n'a b' = 'name'", "line 2: [name_fields] a b: write the key of a table"),
        ("[columns]\nidd = 'Ref'", 'line 2: [columns] idd is not a column of a job; did you mean "id"?'),
        ("[columns]\nid = ''", "line 2: [columns] id is empty"),
        ("[columns]\nid = 'a'\n[set]\nid = 'b'", "line 4: id is in [columns] and in [set]; keep one of them"),
        ("[profile.a.run]\nmdoe = 'add'", "line 2: [run] mdoe is not an option"),
        ("[profile.a]\nurl = 'http://localhost'", "line 2: url belongs in the section [profile.a.account]"),
        ("profile = 3", "profile is a section"),
        ("[run\n", "linker.toml is not valid TOML: line 1: "),
        ("[run]\na = \n", "linker.toml is not valid TOML: line 2: "),
        ("a = " + "[" * 5000, "nested too deeply"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_file_is_named_with_its_line(folder: Path, text: str, said: str) -> None:
    """File, line, section and key, what is wrong, and the nearest name; nothing is sent."""
    (folder / "linker.toml").write_text(text)
    assert said in refused("check")


@pytest.mark.parametrize(
    "text",
    [
        f'[account]\nname = "company"\ntoken = "{TOKEN}"',
        f'token = "{TOKEN}"',
        f'[run]\ntoken = "{TOKEN}"',
        f'[run]\nAHA_TOKEN = "{TOKEN}"',
        f'[account]\ntoken_file = "{TOKEN}"',
        f'[profile.x.account]\napi-key = "{TOKEN}"',
        f"[account]\ntoken = {TOKEN}",
        f'[account]\ntoken = ["{TOKEN}"',
    ],
)
def test_a_token_in_the_file_is_refused_and_never_repeated(folder: Path, text: str) -> None:
    """The error says where a token belongs, and does not show it."""
    (folder / "linker.toml").write_text(text)
    said = refused("check")
    assert TOKEN not in said
    assert "must not hold the token" in said or "is not valid TOML" in said


def test_a_profile_that_is_unknown(folder: Path) -> None:
    """The nearest one is named; without a file, how to name one."""
    assert refused("check", "--profile", "tset") == 'linker.toml has no profile "tset"; did you mean "test"?'
    assert "does not exist" in refused("check", "--config", "missing.toml")
    (folder / "linker.toml").unlink()
    assert "there is no linker.toml in this folder" in refused("check", "--profile", "test")


def test_a_file_that_nobody_named_may_do_less(access_of: Seen, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A linker.toml in the folder cannot have the token sent to any server, and must not be another user's."""
    monkeypatch.setenv("AHA_TOKEN", TOKEN)
    file = folder / "linker.toml"
    file.write_text('[account]\nurl = "https://evil.example"\n')
    assert "line 2: [account] url is neither an aha.io address nor on this machine" in refused("check")
    assert access_of("check", "--config", "linker.toml").settings.base_url == "https://evil.example"
    file.write_text("[run]\n")
    file.chmod(0o666)
    assert "can be changed by every user of this machine" in refused("check", "--account", "x")
    file.chmod(0o644)
    real = os.fstat
    monkeypatch.setattr(os, "fstat", lambda fd: os.stat_result((*real(fd)[:4], 54321, *real(fd)[5:])))
    assert "belongs to another user; if you trust it, add --config linker.toml" in refused("check", "--account", "x")


def test_the_way_to_send_requests_is_a_setting_like_others(access_of: Seen, folder: Path) -> None:
    """By the option, or for all verbs by the file; otherwise requests are not plain."""
    assert not access_of("check").settings.plain_requests
    assert access_of("check", "--plain-requests").settings.plain_requests
    (folder / "linker.toml").write_text(
        '[account]\nname = "company"\ntoken_file = "secrets/token"\n[run]\nplain_requests = true\n'
    )
    for arguments in (("check",), ("run", "links.csv")):
        assert access_of(*arguments).settings.plain_requests


async def test_the_verbs_work_from_a_settings_file(command: Command, sandbox: Sandbox) -> None:
    """Run into a folder for results, verify, check, undo: no option is repeated; a dry run is a plan."""
    folder = command.folder
    del command.environment["AHA_URL"], command.environment["AHA_TOKEN"]
    (folder / "token").write_text("sandbox")
    (folder / "token").chmod(0o600)
    (folder / "linker.toml").write_text(
        f'[account]\nurl = "{sandbox.url}"\ntoken_file = "token"\n[columns]\nid = "Ref"\nrecord_names = "Account"\n'
        '[set]\nfield = "customers"\n[tables]\ncustomers = "PRJ1/customers"\n[run]\nresults_folder = "runs/new"\n'
    )
    (folder / "links.csv").write_text("Ref,Account\nPRJ1-1,Acme Corp\nPRJ1-2,Zane\n")
    planned = await command("plan", "links.csv")
    dry = await command("run", "links.csv", "--dry-run", "--overwrite", "--limit", "1", "--results", "x.jsonl")
    assert (dry.code, dry.stdout.split("a run takes")[0]) == (planned.code, planned.stdout.split("a run takes")[0])
    assert planned.code == 1  # Zane is unknown
    assert sandbox.stats.methods.keys() == {"GET"}
    assert names(folder, "*.jsonl") == []
    assert (await command("run", "links.csv")).code == 1
    assert names(folder / "runs/new", "*.results.jsonl") == ["links.results.jsonl"]
    assert (await command("verify", "links.csv")).code == 1
    checked = json.loads((await command("check", "--json")).stdout)
    assert {"option": "account", "value": sandbox.url, "source": "linker.toml [account]"} in checked["settings"]
    assert {"option": "set", "value": "field=customers", "source": "linker.toml [set]"} in checked["settings"]
    assert (await command("undo", "runs/new/links.results.jsonl", "--yes")).code == 0
    assert names(folder / "runs/new", "*.undo.jsonl") == ["links.undo.jsonl"]
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1")["customers"] == []
