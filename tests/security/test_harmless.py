"""Text of others: escape codes, bidi marks and line ends do nothing on the terminal, in logs and in results."""

from __future__ import annotations

import json
import os
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import orjson
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from support.command import Command
from support.raw_server import Arrived, Wire, page
from support.runs import features, lines_of, results_of, write_jobs
from support.terminal import terminal

import linker
from linker import InvalidJob, Kind, Linker, LinkerError, Result, Status, log
from linker.batch.change import Intent
from linker.disk.lines import DISK
from linker.errors import Error, ErrorType
from linker.model.target import Target
from linker.results.journal import Journal, left_open
from linker.sandbox import Resource, Sandbox
from linker.sources import Reading, Rejection, as_text
from linker.sources.csv import read_table
from linker.sources.formula import from_text
from linker.text import harmless, harmless_json, plain, quoted, tidied

# a window's title, a cleared screen, an 8-bit CSI; overrides, isolates and marks of direction; ends of a line
EVIL = "Evil \x1b]0;owned\x07\x1b[2J\x9b31m\u202eproc\u2066\u200f\u061c\u2028\u2029\x85 x\r\n\ty\x7f\x00\U000e0041 Ltd"
SEEN = r"Evil \x1b]0;owned\x07\x1b[2J\x9b31m\u202eproc\u2066\u200f\u061c"
PRJ1 = 131414752


def assert_harmless(*texts: str) -> None:
    """All of it can be printed; lines end where a line ends, with LF."""
    for text in texts:
        assert text.replace("\n", "").isprintable(), text


@given(st.text())
def test_whatever_it_is_it_can_be_printed(text: str) -> None:
    """In one line; and what could be printed before is what it was."""
    for made in (harmless(text), plain(text), quoted(text)):
        assert_harmless(made)
        assert "\n" not in made
    if text.isprintable():
        assert harmless(text) == text
    assert len(plain(text)) <= 10 * 301
    assert harmless(harmless(text)) == harmless(text)


def test_all_characters_there_are() -> None:
    """One by one, halves of a character too: none does anything, and none is lost."""
    for code in range(0x110000):
        char = chr(code)
        made = harmless(char)
        assert made == char or made.startswith("\\")
        assert made.isprintable()


@given(
    st.recursive(
        st.none() | st.text() | st.integers(0, 2**53), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_says_the_same_and_can_be_printed(value: Any) -> None:
    """As it is read by anybody: what was escaped comes back."""
    made = harmless_json(orjson.dumps(value))
    assert orjson.loads(made) == json.loads(made) == value
    assert made.decode().isprintable()


@pytest.mark.parametrize("kind", [LinkerError, InvalidJob, linker.UsageError, linker.Stopped, linker.Unauthorized])
def test_no_message_of_an_error_does_anything(kind: type[LinkerError]) -> None:
    """Whoever prints it: it is harmless from the moment it is made."""
    error = kind(f"no such thing: {EVIL}")
    assert_harmless(str(error), *error.args)
    assert SEEN in str(error)
    assert_harmless(Error(ErrorType.INVALID_JOB, EVIL).message)


def test_no_line_of_a_result_does_anything() -> None:
    """Whatever a job brings along stands in its line as it is, for programs, and escaped, for the screen."""
    job = {"id": "PRJ1-1", "links": {"customers": [{"name": EVIL}]}, "key": {EVIL: [EVIL]}}
    result = Result(
        job=1,
        line=1,
        source=EVIL,
        kind=EVIL,
        mode=None,
        status=Status.REJECTED,
        finished_at="",
        **job,  # type: ignore[arg-type]
    )
    line = result.to_json()
    assert line.decode().isprintable()
    told = orjson.loads(line)
    assert (told["key"], told["source"], told["links"]) == (job["key"], EVIL, job["links"])


async def test_no_line_of_a_journal_does_anything(tmp_path: Path) -> None:
    """What a target holds is told in the account's own keys."""
    path = tmp_path / "out.jsonl.journal"
    journal = Journal(path, DISK, "flush")
    journal.open(anew=True)
    intent = Intent(Target(Kind.FEATURE, "PRJ1-1"), {"customers": frozenset({"1"})}, {EVIL: frozenset({"2"})})
    await journal.note(intent)
    journal.close()
    assert_harmless(path.read_text())
    assert left_open(path)[intent.target].intent == intent


def spoil(sandbox: Sandbox) -> None:
    """A customer of the evil name, held by a feature."""
    record = Resource(Kind.CUSTOM_OBJECT_RECORD, 900, "", EVIL, PRJ1, table="customers")
    sandbox.account.add(record)
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-2", "customers", [900])


def evil_jobs() -> list[dict[str, Any]]:
    """Jobs that name the evil record, misname it, and are no jobs in many ways."""
    names = {"links": {"customers": [{"name": EVIL}]}}
    return [
        {"id": "PRJ1-1", "key": EVIL} | names,
        {"id": "PRJ1-3", "links": {"customers": [{"name": EVIL + "x"}]}},
        {"id": EVIL} | names,
        {"id": "PRJ1-4", "kind": EVIL} | names,
        {"id": "PRJ1-4", "mode": EVIL} | names,
        {"id": "PRJ1-4", EVIL: 1} | names,
        {"id": "PRJ1-4", "links": {EVIL: ["1"]}},
        {"id": "PRJ1-4", "links": {"customers": [EVIL]}},
        {"id": "PRJ1-4", "links": {"customers": [{EVIL: "x"}]}},
        {"id": "PRJ1-4", "links": EVIL},
    ]


@pytest.mark.parametrize("format", ["console", pytest.param("json", marks=pytest.mark.slow)])
async def test_nothing_that_the_command_says_does_anything(command: Command, sandbox: Sandbox, format: str) -> None:
    """Names of the account, lines of files, names of files: on stdout, on stderr, in the logs, in the results."""
    spoil(sandbox)
    file = f"links{EVIL.replace('/', '').replace(chr(0), '')}.jsonl"
    write_jobs(command.folder / file, evil_jobs())
    (command.folder / "evil.csv").write_text(f'id,"{EVIL}"\n')
    (command.folder / "evil.toml").write_text(f'"{EVIL[:4]}\\u202e" = 1\n')
    logs = ("--log-level", "debug", "--log-format", format)
    table = ("--table", "customers=PRJ1/customers")
    results = ("--results", "out.jsonl")
    codes = []
    for told in (
        ("plan", file, *table),
        ("plan", file, "--json", "--create-all", *table),
        ("run", file, "--create-missing", "--results", "refused.jsonl", *table),
        ("run", file, "--create-all", *results, *table),
        ("run", file, *results, *table),
        ("run", file, *results, "--resume", *table),
        ("verify", file, *table),
        ("undo", "out.jsonl", "--yes"),
        ("check", file, *table),
        ("check", file, "--json", *table),
        ("check", file, "--match", "nothing", *table),
        ("run", "evil.csv"),
        ("run", "evil.csv", "--columns", "evil.toml"),
        ("run", f"missing{file}"),
        ("run", file, f"--{EVIL[:-17]}"),
        ("run", file, "--table", EVIL.replace("\0", "")),
        ("run", file, "--match", EVIL.replace("\0", "")),
        ("plan", file, "--mode", EVIL.replace("\0", "")),
        ("export", "--kind", "feature", "--names"),
        ("export", "--kind", "feature", "--names", "--format", "csv"),
        ("export", "--kind", EVIL.replace("\0", "")),
        ("export", "--kind", "feature", EVIL.replace("\0", "")),
    ):
        finished = await command(*told, *logs)
        codes.append(finished.code)
        if told[0] == "plan" and "--json" in told:
            planned = [orjson.loads(line)["after"] or {} for line in finished.stdout.splitlines()]
            assert {"name": tidied(EVIL + "x")} in [name for each in planned for name in each.get("customers", ())]
        assert_harmless(finished.stdout.replace("\r\n", "\n") if "csv" in told else finished.stdout, finished.stderr)
    assert codes == [1, 1, 1, 1, 2, 1, 1, 0, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 0, 0, 2, 2]
    lines = (command.folder / "out.jsonl").read_text()
    assert_harmless(lines, (command.folder / "out.undo.jsonl").read_text())
    assert EVIL in {orjson.loads(line)["key"] for line in lines.splitlines()}


async def test_what_is_escaped_in_the_results_is_known_again(sandbox: Sandbox, tmp_path: Path) -> None:
    """A resume knows a job by its content, however that is written."""
    jobs = [{"id": "PRJ1-1", "links": {"customers": ["1"]}, "key": key} for key in (EVIL, {EVIL: [EVIL]})]
    sandbox.account.add(Resource(Kind.CUSTOM_OBJECT_RECORD, 1, "", "One", PRJ1, table="customers"))
    async with Linker(url=sandbox.url, token="sandbox", rate=()) as aha:
        await results_of(aha.run(jobs, tmp_path / "out.jsonl"))
        requests = sandbox.stats.requests
        assert await results_of(aha.run(jobs, tmp_path / "out.jsonl", resume=True)) == []
    assert sandbox.stats.requests == requests


async def test_a_file_may_be_called_what_is_no_text(command: Command) -> None:
    """A name of Latin-1 from an old disk: the results show it with a `?`, and go by it in full."""
    name = os.fsdecode(b"caf\xe9.jsonl")
    write_jobs(command.folder / name, [*features(1), {"id": "PRJ1-1", "kind": "nothing"}])
    for told in (("run", name), ("run", name, "--resume"), ("undo", os.fsdecode(b"caf\xe9.results.jsonl"), "--yes")):
        finished = await command(*told)
        assert finished.code == ("run" in told), finished.stderr
        assert_harmless(finished.stdout, finished.stderr)
    lines = lines_of(command.folder / os.fsdecode(b"caf\xe9.results.jsonl"))
    assert {line["source"] for line in lines} == {"caf?.jsonl"}


async def test_a_terminal_does_nothing_of_it(command: Command, sandbox: Sandbox) -> None:
    """With a bar and with colours, which are ours: what others wrote is shown, and not obeyed."""
    spoil(sandbox)
    write_jobs(command.folder / "links.jsonl", evil_jobs())
    for verb in ("plan", "run", "verify"):
        async with terminal(command, verb, "links.jsonl", "--table", "customers=PRJ1/customers") as shown:
            if verb == "run":
                await shown.shows("Continue? [y/N]: ")
                shown.type("y\n")
            await shown.ended()
        assert "\x1b]0;" not in shown.screen
        assert not {"\x9b", "\x07", "\u202e", "\u2066", "\u200f", "\x85", "\x7f"} & set(shown.screen)
        assert SEEN[5:] in shown.screen.replace("\n", "")


MESSAGES = {
    "422": page("422 No", orjson.dumps({"error": EVIL})),
    "422 deep": page("422 No", orjson.dumps({"errors": {EVIL: [EVIL]}})),
    "400 text": page("400 No", EVIL.encode()),
    "302": page("302 Go", b"", "Location: https://x\x1b]0;owned\x07\x9b"),
    "200": page("200 OK", orjson.dumps({EVIL: EVIL})),
    "200 links": page("200 OK", orjson.dumps({"feature": {"custom_object_links": EVIL}})),
    "200 text": page("200 OK", EVIL.encode()),
    "500": page("500 \x1b[2J", EVIL.encode()),
}


@pytest.mark.parametrize("message", MESSAGES)
async def test_no_message_of_a_server_does_anything(message: str) -> None:
    """Its words on an error, in each form, in results and in logs of the caller's own."""

    async def answer(_: Arrived, writer: Any) -> None:
        writer.write(MESSAGES[message])

    async with Wire(answer) as wire:
        with structlog.testing.capture_logs() as logs:
            aha = Linker(url=wire.url, token="sandbox", attempts=2, rate=(), backoff_base_s=0.001, preflight=False)
            async with aha:
                try:
                    (result,) = await results_of(aha.run(features(1)))
                except linker.Unreachable as error:  # a redirect to another host
                    said = str(error)
                else:
                    assert result.status is Status.FAILED
                    said = result.error.message if result.error is not None else ""
    assert said
    assert_harmless(said)
    for event in logs:
        assert_harmless(*(value for value in event.values() if isinstance(value, str)))


@pytest.mark.parametrize("format", ["console", "json"])
def test_no_log_of_the_command_does_anything(
    format: Literal["console", "json"], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is logged, in a text or deeper: one line an event, all of which can be printed."""
    log.configure("debug", format)
    log.get_logger().warning("something", file=EVIL.replace(" ", ""), deeper=[{"x": EVIL}])
    log.tell("something", EVIL)
    said = capsys.readouterr().err
    assert_harmless(said)
    assert len(said.splitlines()) == 2
    if format == "json":
        told = orjson.loads(said.splitlines()[0])
        assert told["deeper"] == [{"x": EVIL}]


async def test_a_programs_own_logs_get_harmless_text(sandbox: Sandbox) -> None:
    """Where a record is made, its name is told: as it can be shown anywhere."""
    with structlog.testing.capture_logs() as logs:
        aha = Linker(url=sandbox.url, token="sandbox", rate=(), table={"customers": "PRJ1/customers"})
        async with aha:
            await results_of(aha.run([evil_jobs()[1]], create_all=True))
    (made,) = (event for event in logs if event["event"] == "record_created")
    assert made["name"].startswith(SEEN)
    assert_harmless(made["name"])


FORMULAS = ["=cmd|' /C calc'!A0", "+1-2", "-Acme", "@SUM(1)", "＝1", "'=x", "''-y", "-", "=", "'", "''", "'a", "a=b"]


@given(st.sampled_from(FORMULAS) | st.text())
def test_what_is_written_as_text_is_read_back(cell: str) -> None:
    """Whatever it is; and nothing that is written begins as a formula does."""
    assert from_text(as_text(cell)) == cell
    assert as_text(cell)[:1] not in set("=+-@＝＋－＠")


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
async def test_formulas_are_neutralised_in_an_export_and_read_back(
    command: Command, sandbox: Sandbox, suffix: str
) -> None:
    """Each name in each cell, the second too: a spreadsheet may cut the cell at its `;`. A run finds all of it so.

    A name that would do something on a terminal is told by its id.
    """
    called = [*FORMULAS, "a\x1b[2Jb", "x\u202ey", "p\u00a0q"]
    for number, name in enumerate(called, start=901):
        record = Resource(Kind.CUSTOM_OBJECT_RECORD, number, "", name, PRJ1, table="customers")
        sandbox.account.add(record)
    ids = list(range(901, 901 + len(called)))
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-2", "customers", ids)
    exported = await command("export", "--kind", "feature", "--names", "-o", f"links.{suffix}")
    assert exported.code == 0, exported.stderr
    text = (command.folder / f"links.{suffix}").read_text()
    of_ids, row = (line for line in text.splitlines() if line.startswith("feature,PRJ1-2,") or "\tPRJ1-2\t" in line)
    between = "," if suffix == "csv" else "\t"
    cells = row.replace('"', "").split(between)
    for each in cells[4].split(";"):
        assert each[:1] not in set("=+-@＝＋－＠")
    assert "'=cmd|' /C calc'!A0" in row
    assert (of_ids.split(between)[3], "p\u00a0q" in cells[4]) == ("914;915", True)
    assert_harmless(text.replace("\t", "").replace("\u00a0", ""))
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-2", "customers", [])
    again = await command("run", f"links.{suffix}", "--table", "customers=PRJ1/customers")
    assert again.code == 0, again.stdout
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-2")["customers"] == [str(id) for id in ids]


@pytest.mark.parametrize(
    "cell", ["a" + " " * 900_000 + "b", ";" * 900_000, " ;" * 400_000], ids=["run", "many", "both"]
)
@pytest.mark.parametrize("row", ['"{}",customers,Acme', 'PRJ1-1,customers,"{}"'], ids=["id", "names"])
def test_long_runs_of_white_space_hold_nothing_up(cell: str, row: str) -> None:
    """A cell is split in one pass: with a look back at each space, this would take the rest of the day."""
    table = f"id,field,record_names\n{row.format(cell)}\n".encode()
    (entry,) = read_table(BytesIO(table), "long.csv", Reading())
    assert isinstance(entry.value, Rejection)
