"""Stopped at every stage, by every means: what was under way has its line, and a resume does the rest, once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.command import Command
from support.runs import features, lines_of, names, until, write_jobs, written

from linker.results.journal import journal_of
from linker.sandbox import Sandbox

COUNT = 200
FAST = ("--rate", "1000/1s", "--concurrency", "8", "--no-progress")
ALL = {f"PRJ1-{number}" for number in range(1, COUNT + 1)}


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """An account that takes its time."""
    async with Sandbox(limits=[], features=COUNT, latency_ms=30) as sandbox:
        yield sandbox


@pytest.fixture
def results(command: Command) -> Path:
    """The results file of the batch of two hundred jobs."""
    write_jobs(command.folder / "links.jsonl", features(COUNT))
    return command.folder / "links.results.jsonl"


async def check_resumed(command: Command, sandbox: Sandbox, results: Path) -> None:
    """Exactly what was written has its line; the rest is done by a resume."""
    if results.exists():
        assert {line["id"] for line in lines_of(results)} <= written(sandbox)
    sandbox.faults.clear()
    resumed = await command("run", "links.jsonl", "--resume", *FAST)
    assert (resumed.code, resumed.stderr) == (0, "")
    assert {line["id"] for line in lines_of(results)} == written(sandbox) == ALL
    assert not journal_of(results).exists()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=str
)
@pytest.mark.parametrize("stage", ["reading", "writing", "paused", "outage"])
async def test_a_signal_at_any_stage(
    command: Command, sandbox: Sandbox, results: Path, stage: str, number: signal.Signals, code: int
) -> None:
    """A pause of a minute, an outage, is left at once; the summary says how to go on."""
    if stage == "paused":
        sandbox.faults.script(*[None] * 30, *[429] * COUNT)
    elif stage == "outage":
        sandbox.faults.script(*[None] * 30, *[503] * 10_000)
    process = await command.start("run", "links.jsonl", *FAST, "--log-level", "warning")
    assert process.stderr is not None
    if stage == "reading":
        await until(lambda: sandbox.stats.methods["GET"] > 0)
    elif stage == "writing":
        await until(lambda: sandbox.stats.methods["PUT"] > 20)
    else:
        while (
            b"all requests wait" if stage == "paused" else b"is not answering"
        ) not in await process.stderr.readline():
            pass
    process.send_signal(number)
    stdout, stderr = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == code
    assert b"linker: interrupted; the requests in flight have finished" in stderr
    assert b"Traceback" not in stderr
    if results.exists():
        assert {line["id"] for line in lines_of(results)} == written(sandbox)
        assert b" rows done; continue with: linker run links.jsonl " in stdout
    await check_resumed(command, sandbox, results)


async def test_a_hangup_that_is_ignored_stays_so(command: Command, sandbox: Sandbox, results: Path) -> None:
    """`nohup linker run …` goes on when the terminal goes."""
    script = 'trap "" HUP; exec "$@"'
    process = await command._start("sh", "-c", script, "sh", *command.argv("run", "links.jsonl", *FAST))
    await until(lambda: sandbox.stats.methods["PUT"] > 20)
    process.send_signal(signal.SIGHUP)
    await process.communicate()
    assert process.returncode == 0
    assert written(sandbox) == ALL


async def test_a_stderr_that_closes_stops_the_run_in_order(command: Command, sandbox: Sandbox, results: Path) -> None:
    """`2>&1 | head`: nobody follows it any more. What was under way has its line, and no write fails."""
    reader, writer = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *command.argv("run", "links.jsonl", *FAST, "--log-level", "info"),
        cwd=command.folder,
        env=command.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=writer,
    )
    os.close(writer)
    await until(lambda: sandbox.stats.methods["PUT"] > 20)
    os.close(reader)
    sandbox.faults.script(500)  # a retry is logged
    stdout, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 141
    assert b" rows done; continue with: linker run links.jsonl " in stdout
    assert {line["id"] for line in lines_of(results)} == written(sandbox) != ALL
    await check_resumed(command, sandbox, results)


PROGRAM = """
import asyncio, sys
import linker

async def main():
    jobs = [{"id": f"PRJ1-{n}", "links": {"customers": ["640362830"]}} for n in range(1, 201)]
    async with linker.Linker(url=sys.argv[1], token="sandbox", rate=("1000/1s",), concurrency=8) as aha:
        async for result in aha.run(jobs, "links.results.jsonl", resume=True):
            print(result.id, flush=True)

if sys.argv[2] == "run":
    asyncio.run(main())
else:
    jobs = [{"id": f"PRJ1-{n}", "links": {"customers": ["640362830"]}} for n in range(1, 201)]
    linker.link(jobs, url=sys.argv[1], token="sandbox", rate=("1000/1s",), concurrency=8,
                results="links.results.jsonl", resume=True)
"""


@pytest.mark.parametrize("how", ["run", "link"])
async def test_ctrl_c_in_a_program(command: Command, sandbox: Sandbox, results: Path, how: str) -> None:
    """As in a notebook's cell: KeyboardInterrupt comes out, after what was under way has got its lines."""
    process = await command._start(sys.executable, "-c", PROGRAM, sandbox.url, how)
    await until(lambda: sandbox.stats.methods["PUT"] > 20)
    process.send_signal(signal.SIGINT)
    stdout, stderr = await asyncio.wait_for(process.communicate(), 30)
    assert stderr.splitlines()[-1] == b"KeyboardInterrupt"
    ids = {line["id"] for line in lines_of(results)}
    assert ids == written(sandbox) != ALL
    assert {line.decode() for line in stdout.splitlines()} <= ids
    assert names(command.folder, "*.journal") == []
    process = await command._start(sys.executable, "-c", PROGRAM, sandbox.url, how)
    await process.communicate()
    assert process.returncode == 0
    assert written(sandbox) == ALL
    assert len(lines_of(results)) == COUNT


async def test_the_nightly_job(command: Command, sandbox: Sandbox, results: Path) -> None:
    """The README's line, killed on its first try, right on the second, idle on the third; a new night begins anew."""
    night = ("run", "links.jsonl", "--results", "runs/2026-01-01.jsonl", "--resume", "--yes", *FAST)
    process = await command.start(*night)
    await until(lambda: sandbox.stats.methods["PUT"] > 20)
    process.kill()
    await process.communicate()
    done = await command(*night)
    assert (done.code, done.stderr) == (0, "")
    asked = sandbox.stats.requests
    idle = await command(*night)
    assert (idle.code, sandbox.stats.requests) == (0, asked)
    assert f"in all: {COUNT} of {COUNT} rows in place" in idle.stdout
    lines = lines_of(command.folder / "runs" / "2026-01-01.jsonl")
    assert {line["id"] for line in lines} == written(sandbox) == ALL
    assert {line["status"] for line in lines} == {"linked"}
    tomorrow = await command(*(word.replace("01-01", "01-02") for word in night))
    assert tomorrow.code == 0
    assert f"nothing changed · {COUNT} already in place" in tomorrow.stdout
    assert names(command.folder / "runs") == ["2026-01-01.jsonl", "2026-01-02.jsonl"]


async def test_two_signals_leave_whole_lines(command: Command, sandbox: Sandbox, results: Path) -> None:
    """The second ends at once, in the middle of requests; a resume knows which of them arrived."""
    process = await command.start("run", "links.jsonl", *FAST)
    await until(lambda: sandbox.stats.methods["PUT"] > 20)
    assert process.stderr is not None
    process.send_signal(signal.SIGTERM)
    await process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert process.returncode == 143
    await check_resumed(command, sandbox, results)
    assert {line["status"] for line in lines_of(results)} == {"linked"}  # none `unchanged`: the journal knew
