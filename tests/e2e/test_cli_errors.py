"""What the command says, and how it ends, where it is told what cannot be."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from support.command import Command
from support.runs import features, lines_of, names, write_jobs, written

from linker import Kind
from linker.sandbox import Sandbox

GOOD = '{"id": "PRJ1-1", "links": {"customers": ["640362830"]}}\n'


@pytest.fixture
def links(command: Command) -> Path:
    """A job file of one good line, beside files that are none."""
    (command.folder / "header.csv").write_text("id,field,records\nPRJ1-1,customers,640362830\n")
    (command.folder / "links.txt").write_text(GOOD)
    (command.folder / "folder.jsonl").mkdir()
    (command.folder / "empty.token").write_text("\n")
    (command.folder / "empty.token").chmod(0o600)
    path = command.folder / "links.jsonl"
    path.write_text(GOOD)
    return path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("run header.csv", "header.csv line 1: the columns are id, field, records; linker needs id, field"),
        ("run links.jsonl header.csv", "header.csv line 1"),
        ("run missing.jsonl", "missing.jsonl: No such file or directory"),
        ("run links.jsonl missing.csv", "missing.csv: No such file or directory"),
        ("run folder.jsonl", "folder.jsonl: this is a folder; give the files in it"),
        ("run links.txt", "rename it to .jsonl or .csv"),
        ("run - -", "standard input (-) can be read once"),
        ("run - --format csv", "- line 1: the columns are id, field, records"),
        ("run links.jsonl --results links.jsonl", "is to be read and to be written"),
        ("run links.jsonl --results links.jsonl --overwrite", "is to be read and to be written"),
        ("run links.jsonl --results links.jsonl/r.jsonl", "links.jsonl/r.jsonl: Not a directory"),
        ("run links.jsonl --rate fast", "such as 300/60s"),
        ("run links.jsonl --rate 0/1s", "allows no requests"),
        ("run links.jsonl --attempts 0", "attempts must be 1 or more"),
        ("run links.jsonl --concurrency many", "'--concurrency': 'many' is not a valid integer"),
        ("run links.jsonl --mode merge", "'merge' is not one of 'replace', 'add', 'remove'"),
        ("run links.jsonl --url company.aha.io", "the URL is invalid; write it as https://company.aha.io"),
        ("run links.jsonl --results .", "results '.' is a folder; give the name of a file"),
        ("run links.jsonl --results / --overwrite", "results '/' is a folder; give the name of a file"),
        ("run links.jsonl --results ..", "results '..' is a folder; give the name of a file"),
        ("run header.csv --columns /dev/zero", "/dev/zero is longer than 1,000,000 bytes"),
        ("run links.jsonl --token-file missing", "token file missing: No such file or directory"),
        ("run links.jsonl --token-file empty.token", "token file empty.token is empty"),
        ("run links.jsonl --token secret", "No such option"),
        ("run links.jsonl --log-level loud", "'loud' is not one of"),
        ("run", "Missing argument 'FILE...'"),
        ("rum links.jsonl", "No such command 'rum'"),
        ("--bogus", "No such option"),
        ("sandbox --limit fast", "for example 300/60s"),
        ("sandbox --fail 666:0.1", "neither a status"),
        ("sandbox --port 70000", "port 70000"),
    ],
    ids=str,
)
async def test_a_command_that_is_wrong_exits_2_and_sends_nothing(
    command: Command, sandbox: Sandbox, links: Path, arguments: str, said: str
) -> None:
    """One clear message on stderr, nothing on stdout, no request, no results file, the job file as it was."""
    stdin = b"id,field,records\nPRJ1-1,customers,640362830\n"
    finished = await command(*arguments.split(), stdin=stdin)
    assert finished.code == 2
    assert said in finished.stderr
    assert finished.stdout == ""
    assert sandbox.stats.requests == 0
    assert names(command.folder, "*.results*") == []
    assert lines_in(links) == [GOOD]


def lines_in(path: Path) -> list[str]:
    """The lines of a file, as they are."""
    return path.read_text().splitlines(keepends=True)


async def test_results_that_exist_are_refused(command: Command, sandbox: Sandbox, links: Path) -> None:
    """Exit 2, what would do, nothing sent, and the old results as they were."""
    results = command.folder / "links.results.jsonl"
    results.write_text("mine\n")
    finished = await command("run", "links.jsonl")
    assert (finished.code, finished.stdout) == (2, "")
    assert finished.stderr == (
        "linker: results file links.results.jsonl already exists; continue it with --resume, "
        "or start over with --overwrite (renames it, adds a date)\n"
    )
    assert results.read_text() == "mine\n"
    assert sandbox.stats.requests == 0


async def test_no_token_and_no_account_are_each_said(command: Command, links: Path) -> None:
    """Without AHA_TOKEN, and without an account or URL: exit 2, and where to get it."""
    url = command.environment.pop("AHA_URL")
    no_account = await command("run", links.name)
    command.environment |= {"AHA_URL": url, "AHA_TOKEN": " "}
    no_token = await command("run", links.name)
    assert no_account.code == no_token.code == 2
    assert "no account given; add --account NAME (or set AHA_ACCOUNT)" in no_account.stderr
    assert "no token: set AHA_TOKEN, or give --token-file FILE" in no_token.stderr


async def test_an_account_on_the_command_line_beats_a_url_in_the_environment(command: Command, links: Path) -> None:
    """--account is what was asked for now: it is this one that is looked at, whatever AHA_URL says."""
    finished = await command("run", links.name, "--account", "no name")
    assert finished.code == 2
    assert 'account "no name" is not a subdomain' in finished.stderr


async def test_a_url_on_the_command_line_beats_an_account_in_the_environment(
    command: Command, sandbox: Sandbox, links: Path
) -> None:
    """--url is what was asked for now, whatever AHA_ACCOUNT says; and AHA_URL too goes before it."""
    url = command.environment.pop("AHA_URL")
    command.environment["AHA_ACCOUNT"] = "no name"
    from_environment = await command("run", links.name)
    finished = await command("run", links.name, "--url", url)
    assert "is not a subdomain" in from_environment.stderr
    assert finished.code == 0
    command.environment["AHA_URL"] = url
    assert (await command("run", links.name, "--overwrite")).code == 0
    assert sandbox.stats.methods["PUT"] == 1


@pytest.mark.parametrize("verb", ["run", "plan", "verify"])
async def test_an_account_that_does_not_exist_is_said_at_once(command: Command, links: Path, verb: str) -> None:
    """Exit 2 without a wait, naming what to check: the host, or a proxy that is not there, without its password."""
    del command.environment["AHA_URL"]
    command.environment |= {"AHA_ACCOUNT": "no-such-account", "HTTPS_PROXY": "http://me:secret@127.0.0.1:1"}
    by_proxy = await command(verb, links.name)
    assert (by_proxy.code, by_proxy.stdout) == (2, "")
    assert by_proxy.stderr == (
        "linker: no connection to the proxy 127.0.0.1:1: Connection refused; check the proxy (HTTPS_PROXY)\n"
    )
    command.environment |= {"HTTPS_PROXY": "", "AHA_ACCOUNT": "", "AHA_URL": "http://no-such-host.invalid"}
    unknown = await command(verb, links.name, "--insecure-http")
    assert (unknown.code, unknown.stdout) == (2, "")
    assert "linker: no connection to no-such-host.invalid:80: " in unknown.stderr
    assert "check --url http://no-such-host.invalid (or AHA_URL), or use --account" in unknown.stderr
    assert names(command.folder, "*.results*") == []


async def test_a_token_file_goes_before_the_environment(command: Command, links: Path) -> None:
    """The token in --token-file is the one that is sent, without the line's end."""
    command.environment["AHA_TOKEN"] = "stale"
    (command.folder / "token").write_text("sandbox\n")
    (command.folder / "token").chmod(0o600)
    finished = await command("run", links.name, "--token-file", "token")
    assert finished.code == 0, finished.stderr


async def test_a_token_that_is_not_taken_exits_3(command: Command, sandbox: Sandbox, links: Path) -> None:
    """Exit 3, said why, one request, and no results file that would be in the way of the next try."""
    write_jobs(links, features(50))
    command.environment["AHA_TOKEN"] = "stale"
    finished = await command("run", links.name)
    assert finished.code == 3
    assert "stopped early: the account rejected your token (401: unauthorized)" in finished.stderr
    assert sandbox.stats.requests == 1
    assert names(command.folder, "*.results*") == []


async def test_a_full_disk_exits_3_with_whole_lines(command: Command, sandbox: Sandbox, links: Path) -> None:
    """Where the results cannot be written, the run stops: exit 3, and the lines that are there are whole."""
    write_jobs(links, features(100))
    script = 'ulimit -f 8 && exec "$@"'  # blocks: the results, and nothing else here, grow beyond
    arguments = (sys.executable, "-m", "linker", "run", links.name, "--rate", "1000/1s", "--concurrency", "2")
    finished = await command.program("sh", "-c", script, "sh", *arguments)
    assert finished.code == 3
    assert "results file links.results.jsonl: File too large; nothing more is sent" in finished.stderr
    ids = {line["id"] for line in lines_of(command.folder / "links.results.jsonl")}
    assert 1 < len(ids) <= sandbox.stats.methods["PUT"] < 100


async def test_nobody_who_reads_the_summary_changes_nothing(command: Command, links: Path) -> None:
    """stdout closed at the other end: the jobs are linked, the exit code says so, and stderr says what is missing."""
    reader, writer = os.pipe()
    os.close(reader)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "linker", "run", links.name),
        cwd=command.folder,
        env=command.environment,
        stdout=writer,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(writer)
    _, stderr = await process.communicate()
    assert stderr == b"linker: the summary could not be shown: Broken pipe\n"
    assert process.returncode == 0


async def test_a_closed_standard_input_is_said(command: Command) -> None:
    """`linker run - <&-` has nothing to read: exit 2."""
    finished = await command.program("sh", "-c", '"$@" <&-', "sh", sys.executable, "-m", "linker", "run", "-")
    assert finished.code == 2
    assert "standard input (-) is closed" in finished.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
async def test_a_stream_that_is_closed_leads_nowhere(
    command: Command, links: Path, closed: str, sandbox: Sandbox
) -> None:
    """All verbs do as ever without standard streams: no socket takes their numbers, and no output goes into one."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ2-1", "contracts", ["7036045937940700101"])  # else export warns
    for verb, code in (
        (f"plan {links.name}", 0),
        (f"verify {links.name}", 1),
        (f"run {links.name}", 0),
        (f"verify {links.name}", 0),
        ("undo links.results.jsonl --yes", 0),
        ("export --kind feature", 0),
    ):
        script = f'exec "$@" {closed}'
        finished = await command.program("sh", "-c", script, "sh", *command.argv(*verb.split()))
        assert (finished.code, finished.stderr) == (code, "")
    assert sandbox.stats.methods["PUT"] == 2 * len(lines_of(command.folder / "links.results.jsonl"))
    assert written(sandbox) == {"PRJ2-1"}
