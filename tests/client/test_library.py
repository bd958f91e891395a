"""linker as a library: what may be given as jobs, options by name, `link()`, and what is logged where."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from support.runs import ACME, eager, features, results_of, until

import linker
from linker import JobFile, Kind, LinkJob, Status
from linker.cli.run import command as run_command
from linker.sandbox import Sandbox


async def one_by_one(jobs: list[Any]) -> AsyncIterator[Any]:
    for job in jobs:
        await asyncio.sleep(0)
        yield job


@pytest.mark.parametrize("shape", [list, tuple, iter, one_by_one, lambda jobs: (job for job in jobs)])
async def test_jobs_come_as_any_iterable(sandbox: Sandbox, shape: Any) -> None:
    """Lists, generators and async generators, of dicts and of LinkJobs, are all run, counted from line 1."""
    jobs: list[Any] = [*features(3), LinkJob("PRJ1-4", {"customers": [ACME]}), "no job", {"id": "PRJ1-5"}]
    async with eager(sandbox) as aha:
        results = await results_of(aha.run(shape(jobs)))
    assert [result.line for result in results] == [1, 2, 3, 4, 5, 6]
    assert [result.status for result in results] == [Status.LINKED] * 4 + [Status.REJECTED] * 2


async def test_no_jobs_are_no_trouble(sandbox: Sandbox) -> None:
    """An empty batch ends well and asks nobody anything."""
    async with eager(sandbox) as aha:
        run = aha.run([])
        assert await results_of(run) == []
    assert run.summary.ok
    assert sandbox.stats.requests == 0


async def test_jobs_come_from_files(sandbox: Sandbox, tmp_path: Path) -> None:
    """A path, several, and a JobFile are read as the command reads them, each result naming its file."""
    jsonl, table = tmp_path / "a.jsonl", tmp_path / "b.csv"
    jsonl.write_text('{"id": "PRJ1-1", "links": {"customers": [640362830]}}\n')
    table.write_text("id,field,record_ids\nPRJ1-2,customers,640362830\nPRJ1-3,customers,\n")
    files: list[Path | JobFile] = [jsonl, JobFile(table)]
    async with eager(sandbox) as aha:
        (alone,) = await results_of(aha.run(str(jsonl)))
        first, second, empty = await results_of(aha.run(files))
        *_, cleared = await results_of(aha.run(table, empty_clears=True))
    assert (alone.source, alone.line, alone.status) == (str(jsonl), 1, Status.LINKED)
    assert (first.source, first.job, second.source, second.line, second.job) == (str(jsonl), 0, str(table), 2, 1)
    assert (empty.status, cleared.status) == (Status.REJECTED, Status.UNCHANGED)


async def test_link_runs_a_batch_and_waits(sandbox: Sandbox, tmp_path: Path) -> None:
    """`link()` is the blocking form: it gives the summary, and the results are in their file."""
    path = tmp_path / "results.jsonl"
    summary = await asyncio.to_thread(
        linker.link, features(5), url=sandbox.url, token="sandbox", results=path, rate="1000/1s", mode="add"
    )
    assert (summary.linked, summary.failed, summary.ok) == (5, 0, True)
    assert summary.results == path
    assert len(path.read_bytes().splitlines()) == 5
    with pytest.raises(linker.ResultsExist):
        await asyncio.to_thread(linker.link, features(5), url=sandbox.url, token="sandbox", results=path)


async def test_link_says_what_to_do_where_a_loop_is_running(sandbox: Sandbox) -> None:
    """In a notebook, `link()` refuses with the lines to write instead, and sends nothing."""
    with pytest.raises(linker.UsageError, match=r"async with linker\.Linker"):
        linker.link(features(1), url=sandbox.url, token="sandbox")
    assert sandbox.stats.requests == 0


def test_options_have_the_commands_names() -> None:
    """Each option of `linker run` is one of the library's, but for those about the terminal and the token's file."""
    taken = set(linker.Settings.__dataclass_fields__)
    taken |= set(inspect.signature(linker.Linker).parameters) | set(inspect.signature(linker.Linker.run).parameters)
    of_the_terminal = {"progress", "log_level", "log_format", "log_file", "quiet", "json_summary", "dry_run"}
    elsewhere = {"files": "jobs", "token_file": "token", "format": "JobFile(format=)"}
    elsewhere |= dict.fromkeys(("config", "profile"), "linker.toml is of the command alone")
    elsewhere |= {"scope": "mirror[0]", "field": "mirror[1]"}
    elsewhere |= dict.fromkeys(("column", "constant", "columns_file"), "JobFile(columns=)")
    names = {str(parameter.name) for parameter in run_command.params}
    assert names - of_the_terminal - set(elsewhere) <= taken
    assert {"rate", "concurrency", "attempts", "mode", "empty_clears", "blind", "results", "overwrite"} <= names


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"token": ""}, "no token given"),
        ({"token": "two words"}, "no token has"),
        ({"account": None}, "no account given"),
        ({"account": "company.example/x"}, "not a subdomain"),
        ({"url": "company.aha.io"}, "the URL is invalid"),
        ({"url": "https://[company"}, "the URL is invalid"),
        ({"url": "https://company.aha.io:port"}, "the URL is invalid"),
        ({"url": "https://me:pw@company.aha.io"}, "contains a user, password"),
        ({"rate": "fast"}, "300/60s"),
        ({"rate": ("0/1s",)}, "allows no requests"),
        ({"mode": "merge"}, "the modes are replace, add, remove"),
        ({"attempts": 0}, "attempts must be 1 or more"),
        ({"timeout_s": 0}, "timeout_s must be more than 0"),
        ({"proxy": "socks5://127.0.0.1:1"}, "is not an HTTP proxy"),
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused_at_once(options: dict[str, Any], said: str) -> None:
    """A `UsageError` where the linker is made, in words that say what would do."""
    with pytest.raises(linker.UsageError, match=said):
        linker.Linker(**{"account": "company", "token": "secret"} | options)


async def test_leaving_the_loop_outside_of_a_context_stops_the_run_too(sandbox: Sandbox) -> None:
    """Without `async with`, a break stops the run all the same."""
    run = eager(sandbox).run(features(100))
    async for _ in run:
        break
    await until(lambda: run.ended)
    assert run.summary.stopped
    assert run.summary.jobs < 100


async def test_what_was_run_is_forgotten(sandbox: Sandbox) -> None:
    """A linker that lives long does not keep the batches that it has done."""
    async with eager(sandbox) as aha:
        for _ in range(3):
            await results_of(aha.run(features(1)))
        last = aha.run(features(1))
        assert aha._runs == [last]


async def test_events_have_stable_names() -> None:
    """What is logged goes by names that a program can match: read, retried, paused, given up, stopping."""
    async with Sandbox(limits=[]) as sandbox:
        sandbox.faults.script(503, 429, None, 422)
        with structlog.testing.capture_logs() as logs:
            async with eager(sandbox, concurrency=1) as aha:
                run = aha.run(features(2))
                async for _ in run:
                    run.stop()
    names = [event["event"] for event in logs]
    assert names[:3] == ["batch_read", "retry", "paused"]
    assert "gave_up" in names
    assert names[-1] == "stopping"
    events = {event["event"]: event for event in logs}
    assert (events["batch_read"]["jobs"], events["batch_read"]["targets"]) == (2, 2)
    assert set(events["retry"]) >= {"request", "attempt", "after_s", "why"}
    assert set(events["paused"]) >= {"request", "seconds"}
    assert set(events["gave_up"]) >= {"request", "error", "message"}
    assert events["gave_up"]["error"] == "invalid_value"
    assert events["paused"]["log_level"] == "warning"


async def test_a_programs_own_logging_gets_the_events(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """Where structlog is not configured, events go to the logger `linker` of the standard library."""
    sandbox.faults.script(503)
    with caplog.at_level("INFO", logger="linker"):
        async with eager(sandbox) as aha:
            await results_of(aha.run(features(1)))
    assert [record.name for record in caplog.records] == ["linker", "linker"]
    assert "event='retry'" in caplog.text
    assert "GET feature PRJ1-1" in caplog.text


QUIET = """
import asyncio, sys
import linker
from linker.sandbox import Sandbox

async def main():
    async with Sandbox(limits=[]) as sandbox:
        sandbox.faults.script(503, 429, "reset", None, 422)
        async with linker.Linker(url=sandbox.url, token="sandbox", rate=(), backoff_base_s=0.001) as aha:
            async for result in aha.run([{"id": "PRJ1-1", "links": {"customers": ["640362830"]}}, {"id": 1}]):
                print(result.status, file=sys.stderr)

asyncio.run(main())
"""


async def test_a_program_that_configured_nothing_gets_nothing_on_stdout() -> None:
    """Retries, a pause, a failure and a rejection leave the program's stdout alone."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", QUIET, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    stdout, stderr = await process.communicate()
    assert process.returncode == 0, stderr.decode()
    assert stdout == b""
    assert b"rejected" in stderr
    assert b"paused" in stderr  # a warning, by the standard library's last resort


def test_a_summary_counts_by_status_and_error() -> None:
    """`count` takes a status by its name; a summary of nothing is all right."""
    summary = linker.Summary()
    assert summary.ok
    assert summary.count("linked") == summary.count(Status.FAILED) == 0
    assert summary.errors() == []


def test_a_kind_is_told_by_the_reference_number() -> None:
    """The README's first steps: a job by its reference number, canonical once it is made."""
    job = LinkJob("prj1-r-1", {"customers": [640362830, "008397122"]})  # type: ignore[list-item]
    assert (job.kind, job.id, job.links) == (Kind.RELEASE, "PRJ1-R-1", {"customers": ("8397122", "640362830")})
