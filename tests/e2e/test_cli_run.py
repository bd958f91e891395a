"""`linker run`: files or standard input in, lines and counts out, and an exit code."""

from __future__ import annotations

import json

import pytest
from support.command import Command
from support.runs import ACME, ZANE, lines_of

from linker import Kind
from linker.sandbox import Sandbox

GOOD = '{"id": "PRJ1-1", "links": {"customers": ["640362830"]}, "key": "crm-17"}\n'


async def test_run_links_a_job_file(command: Command, sandbox: Sandbox) -> None:
    """Exit 0, the counts on stdout, nothing on stderr, and a results file named after the job file."""
    (command.folder / "links.jsonl").write_text(GOOD)
    finished = await command("run", "links.jsonl")
    assert (finished.code, finished.stderr) == (0, "")
    assert finished.stdout.startswith("1 feature changed: 1 link added, 0 removed\n1 row in ")
    assert finished.stdout.endswith(
        "\nresults: links.results.jsonl\nto take this back: linker undo links.results.jsonl\n"
    )
    (line,) = lines_of(command.folder / "links.results.jsonl")
    assert list(line) == [
        *("job", "line", "source", "key", "kind", "id", "mode", "links", "status", "before", "after", "change"),
        *("changes", "http_status", "attempts", "error", "finished_at", "elapsed_ms", "run", "account"),
    ]
    assert (line["source"], line["line"], line["key"], line["status"]) == ("links.jsonl", 1, "crm-17", "linked")
    assert line["changes"] == {"customers": {"added": [ACME], "removed": []}}
    assert (line["run"], line["account"]) == (0, sandbox.url)
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1")["customers"] == [ACME]


async def test_a_second_run_finds_everything_unchanged(command: Command, sandbox: Sandbox) -> None:
    """What is so already exits 0 with no PUT; --overwrite keeps the first results under a dated name."""
    (command.folder / "links.jsonl").write_text(GOOD)
    await command("run", "links.jsonl")
    finished = await command("run", "links.jsonl", "--overwrite")
    assert finished.code == 0
    assert finished.stdout.startswith("nothing changed · 1 already in place\n")
    assert sandbox.stats.methods["PUT"] == 1
    (dated,) = command.folder.glob("links.results.2*Z.jsonl")
    assert [line["status"] for line in lines_of(dated)] == ["linked"]
    assert [line["status"] for line in lines_of(command.folder / "links.results.jsonl")] == ["unchanged"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
async def test_run_links_a_table(command: Command, sandbox: Sandbox, delimiter: str) -> None:
    """A spreadsheet's CSV (a BOM, CRLF, `;` or tabs): rows of one target add up, ids stand apart by anything."""
    rows = ["kind,id,field,record_ids,mode,key", "feature,PRJ1-1,customers,640362830 8397122,,a"]
    rows += ["feature,prj1-1,customers_table,640362830|8397122,add,b", ",PRJ1-1,customers,,,c", ",,,,,"]
    text = "\r\n".join(row.replace(",", delimiter) for row in rows)
    (command.folder / "crm.csv").write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\r\n")
    finished = await command("run", "crm.csv", "--empty-clears")
    assert finished.code == 0, finished.stdout
    lines = lines_of(command.folder / "crm.results.jsonl")
    assert [(line["line"], line["key"], line["status"]) for line in lines] == [
        (2, "a", "linked"),
        (3, "b", "linked"),
        (4, "c", "linked"),
    ]
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1") == {
        "customers": [ZANE, ACME],
        "customers_table": [ZANE, ACME],
    }


@pytest.mark.parametrize(
    ("arguments", "text"),
    [([], GOOD), (["--format", "csv"], "id,field,record_ids\nPRJ1-1,customers,640362830\n")],
    ids=["jsonl", "csv"],
)
async def test_run_reads_standard_input(command: Command, sandbox: Sandbox, arguments: list[str], text: str) -> None:
    """`-` is standard input, JSONL unless --format says CSV; its results are named after it."""
    finished = await command("run", "-", *arguments, stdin=text.encode())
    assert finished.code == 0, finished.stderr
    (line,) = lines_of(command.folder / "stdin.results.jsonl")
    assert (line["source"], line["status"]) == ("-", "linked")
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1")["customers"] == [ACME]


async def test_run_takes_several_files_as_one_batch(command: Command, sandbox: Sandbox) -> None:
    """Jobs of one target in several files become one PUT; lines count from 1 in each, jobs over all."""
    (command.folder / "a.jsonl").write_text(GOOD)
    (command.folder / "b.csv").write_text("id,field,record_ids,mode\nPRJ1-1,customers,8397122,add\n")
    finished = await command("run", "a.jsonl", "b.csv", "-", "--results", "all.jsonl", stdin=b"\n\n" + GOOD.encode())
    assert finished.code == 0
    lines = lines_of(command.folder / "all.jsonl")
    assert [(line["job"], line["source"], line["line"]) for line in lines] == [
        (0, "a.jsonl", 1),
        (1, "b.csv", 2),
        (2, "-", 3),
    ]
    assert sandbox.stats.methods["PUT"] == 1
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1")["customers"] == [ZANE, ACME]


BAD: list[tuple[bytes, str]] = [
    (b'{"id": "PRJ1-10", "links": {"customers": ["1"]}', "not JSON"),
    (b'{"id": "PRJ1-10", "links": {"customers": ["\xe9"]}}', "not UTF-8"),
    (b"[1, 2]", "not [1, 2]"),
    (b'"PRJ1-10"', "a row must be an object"),
    (b"null", "not None"),
    (b'{"id": "PRJ1-10", "links": [1]}', "links"),
    (b'{"id": "PRJ1-10", "links": {"customers": "1"}}', "must be a list"),
    (b'{"id": 1.5, "kind": "feature", "links": {"customers": ["1"]}}', "id must be a string or an integer"),
    (b'{"id": "PRJ1-10", "kind": "featuer", "links": {"customers": ["1"]}}', 'did you mean "feature"'),
    (b'{"id": "PRJ1-10", "kind": "goal", "links": {"customers": ["1"]}}', "does not match the id"),
    (b'{"id": "PRJ1-10/../x", "links": {"customers": ["1"]}}', "is not a reference such as PRJ1-12"),
    (b'{"id": 12345, "links": {"customers": ["1"]}}', "add a kind"),
    (b'{"id": "PRJ1-N-1", "links": {"customers": ["1"]}}', "a note"),
    (b'{"id": "PRJ1-KR-1", "links": {"customers": ["1"]}}', "a key result"),
    (b'{"id": "PRJ1-10", "links": {}}', "links is empty"),
    (b'{"id": "PRJ1-10"}', '"links" is missing'),
    (b'{"id": "PRJ1-10", "lnks": {"customers": ["1"]}}', 'did you mean "links"'),
    (b'{"id": "PRJ1-10", "links": {"customers": ["1"]}, "mode": "merge"}', "the modes are"),
    (b'{"id": "PRJ1-10", "links": {"customers": ["7.03605E+18"]}}', "spreadsheet"),
    (b'{"id": "PRJ1-10", "links": {"customers": [1.5]}}', "not a number"),
    (b'{"id": "PRJ1-10", "links": {"customers": [true]}}', "not a number"),
    (b'{"id": "PRJ1-10", "links": {"customers": [-3]}}', "not a number"),
    (b'{"id": "PRJ1-10", "links": {"customers": [70360459379407975441234]}}', "write it as a string"),
    (b'{"id": "PRJ1-10", "links": {"customers": ["' + b"1" * 1_000_001 + b'"]}}', "1,000,000 bytes"),
]


async def test_every_bad_line_is_rejected_with_its_reason_and_the_good_ones_are_linked(
    command: Command, sandbox: Sandbox
) -> None:
    """One of each: exit 1, one rejection a line that names file, line and reason, and the good lines linked."""
    bad = b"".join(line + b"\n\n" for line, _ in BAD)
    (command.folder / "links.jsonl").write_bytes(GOOD.encode() + bad + GOOD.replace("1-1", "1-2").encode())
    finished = await command("run", "links.jsonl")
    assert (finished.code, finished.stderr) == (1, "")
    first, *rejected, last = lines_of(command.folder / "links.results.jsonl")
    assert first["status"] == last["status"] == "linked"
    assert len(rejected) == len(BAD)
    for number, (line, (_, reason)) in enumerate(zip(rejected, BAD, strict=True)):
        assert (line["status"], line["error"]["type"]) == ("rejected", "invalid_job")
        assert (line["source"], line["line"]) == ("links.jsonl", 2 + 2 * number)
        assert reason in line["error"]["message"]
        assert len(line["error"]["message"]) < 250
    assert f" · {len(BAD)} rejected\n" in finished.stdout
    assert f"\n  {len(BAD)} rows: invalid_job\n" in finished.stdout
    assert set(sandbox.account.all_links()) >= {(Kind.FEATURE, "PRJ1-1"), (Kind.FEATURE, "PRJ1-2")}
    assert sandbox.stats.methods["PUT"] == 2


async def test_bad_rows_of_a_table_are_rejected_with_their_reason(command: Command, sandbox: Sandbox) -> None:
    """A missing cell, an open quote, a lost id, an empty cell, a byte: each rejected on its line, the rest linked."""
    rows = [
        b"id,field,record_ids,mode",
        b"PRJ1-1,customers,640362830,",
        b"PRJ1-2,customers",
        b'PRJ1-3,"customers,640362830,',
        b"PRJ1-4,customers,7.03605E+18,",
        b"PRJ1-5,customers,,",
        b"PRJ1-6,customers,6\xe9,",
        b"PRJ1-7,customers,640362830,",
    ]
    (command.folder / "links.csv").write_bytes(b"\n".join(rows) + b"\n")
    finished = await command("run", "links.csv")
    assert finished.code == 1
    assert finished.stderr.count("\n") == 1
    assert "is not UTF-8" in finished.stderr
    assert "--encoding cp1252" in finished.stderr
    told = {
        line["line"]: (line["error"] or {}).get("message") for line in lines_of(command.folder / "links.results.jsonl")
    }
    reasons = {3: "2 cells", 4: "quote", 5: "spreadsheet", 6: "--empty-clears", 7: "UTF-8"}
    assert set(told) == {2, 8, *reasons}
    for number, reason in reasons.items():
        assert reason in str(told[number])
    assert told[2] is told[8] is None
    assert sandbox.stats.methods["PUT"] == 2


async def test_run_exits_1_where_a_job_failed(command: Command) -> None:
    """A target that is not there: exit 1, the error among the commonest with an example."""
    (command.folder / "links.jsonl").write_text(GOOD + GOOD.replace("PRJ1-1", "PRJ9-9"))
    finished = await command("run", "links.jsonl")
    assert finished.code == 1
    assert "\nproblems:\n  1 row: not_found\n" in finished.stdout
    assert "links.jsonl line 2: feature PRJ9-9 does not exist, or your token cannot see it (404)" in finished.stdout


async def test_the_default_mode_is_the_commands(command: Command, sandbox: Sandbox) -> None:
    """--mode add adds where a job says nothing."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ZANE])
    (command.folder / "links.jsonl").write_text(GOOD)
    finished = await command("run", "links.jsonl", "--mode", "add", "--concurrency", "1", "--rate", "1000/1s")
    assert finished.code == 0
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1")["customers"] == [ZANE, ACME]


async def test_logs_are_json_events_on_stderr(command: Command, sandbox: Sandbox) -> None:
    """With --log-format json every line of stderr is one event with a stable name; stdout stays people's."""
    (command.folder / "links.jsonl").write_text(GOOD)
    sandbox.faults.script(503)
    finished = await command("run", "links.jsonl", "--log-format", "json", "--log-level", "info")
    events = [json.loads(line) for line in finished.stderr.splitlines()]
    assert [event["event"] for event in events] == ["retry", "batch_read"]
    assert all({"event", "level", "timestamp"} <= set(event) for event in events)
    assert "\n1 row in " in finished.stdout


async def test_what_the_command_itself_says_is_an_event_too(command: Command) -> None:
    """With --log-format json an error of the command's is an event with its message, not a stray line."""
    finished = await command("run", "nowhere.jsonl", "--log-format", "json")
    assert finished.code == 2
    (event,) = map(json.loads, finished.stderr.splitlines())
    assert (event["event"], event["level"]) == ("error", "error")
    assert "nowhere.jsonl: No such file or directory" in event["message"]


async def test_logs_for_people_are_quiet_unless_asked(command: Command, sandbox: Sandbox) -> None:
    """A retry is nobody's business by default; --log-level info tells it in a line, --no-progress changes nothing."""
    (command.folder / "links.jsonl").write_text(GOOD)
    sandbox.faults.script(503, None, 503)
    quiet = await command("run", "links.jsonl", "--no-progress")
    assert (quiet.code, quiet.stderr) == (0, "")
    sandbox.faults.script(503)
    told = await command("run", "links.jsonl", "--overwrite", "--log-level", "info")
    assert "reading field definitions, page 1 failed (503" in told.stderr
    assert "; trying again in " in told.stderr
    assert "retry" not in told.stderr  # the event's name is for programs
    assert "\x1b" not in told.stderr + told.stdout  # no colours where nobody looks
