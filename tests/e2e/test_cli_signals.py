"""The command interrupted; and the two verbs that serve: the sandbox and the demo."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from support.command import Command
from support.runs import features, lines_of, names, until, write_jobs, written

from linker.sandbox import Sandbox

FAST = ("--rate", "1000/1s", "--concurrency", "8")


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """An account that takes its time, so that a run is in its middle for a while."""
    async with Sandbox(limits=[], features=500, latency_ms=40) as sandbox:
        yield sandbox


@pytest.fixture
def jobs(command: Command) -> Path:
    """A job file of five hundred lines."""
    path = command.folder / "links.jsonl"
    write_jobs(path, features(500))
    return path


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    """Exit code, stdout and stderr of a command that was started."""
    stdout, stderr = await process.communicate()
    assert b"Traceback" not in stderr
    return process.returncode, stdout.decode(), stderr.decode()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_an_interrupted_run_ends_in_order(
    command: Command, sandbox: Sandbox, jobs: Path, number: signal.Signals, code: int
) -> None:
    """What was under way ends, whole lines tell exactly what was written, the exit code says who stopped it."""
    process = await command.start("run", jobs.name, *FAST)
    await until(lambda: sandbox.stats.methods["PUT"] > 20)
    process.send_signal(number)
    returned, stdout, stderr = await ended(process)
    assert returned == code
    assert stderr.splitlines() == [
        "linker: stopping when what is under way has ended; once more stops at once",
        "linker: interrupted; what was under way has ended",
    ]
    lines = lines_of(command.folder / "links.results.jsonl")
    assert {line["status"] for line in lines} == {"linked"}
    assert {line["id"] for line in lines} == written(sandbox)
    assert 20 < len(lines) < 500
    assert stdout.startswith(f"{len(lines)} jobs in ")


async def test_a_second_interrupt_ends_at_once(command: Command, jobs: Path) -> None:
    """Twice Ctrl-C does not wait for an answer that is under way."""
    async with Sandbox(limits=[], features=500, latency_ms=25_000) as sandbox:
        command.environment["AHA_URL"] = sandbox.url
        process = await command.start("run", jobs.name, *FAST)
        await until(lambda: sandbox.stats.requests > 0)
        assert process.stderr is not None
        process.send_signal(signal.SIGINT)
        assert b"once more stops at once" in await process.stderr.readline()
        process.send_signal(signal.SIGINT)
        code, _, stderr = await ended(process)
        assert sandbox.stats.statuses.total() == 0  # nothing was answered meanwhile
    assert code == 130
    assert "linker: interrupted" in stderr


async def test_an_interrupt_need_not_wait_for_standard_input(command: Command, sandbox: Sandbox) -> None:
    """A pipe whose writer sleeps: Ctrl-C ends the run all the same, and nothing was sent."""
    process = await command.start("run", "-", "--log-level", "debug")
    assert process.stdin is not None
    process.stdin.write(b'{"id": "PRJ1-1", "links": {"customers": []}}\n')
    results = command.folder / "stdin.results.jsonl"
    await until(results.exists)
    process.send_signal(signal.SIGINT)
    code = await process.wait()
    _, stderr = await process.communicate()
    assert code == 130, stderr
    assert sandbox.stats.requests == 0


async def test_interruptions_are_events_where_logs_are_json(command: Command, sandbox: Sandbox, jobs: Path) -> None:
    """With --log-format json what is said about the signal is JSON as well."""
    process = await command.start("run", jobs.name, *FAST, "--log-format", "json")
    await until(lambda: sandbox.stats.methods["PUT"] > 0)
    process.send_signal(signal.SIGINT)
    code, _, stderr = await ended(process)
    assert code == 130
    events = [orjson.loads(line) for line in stderr.splitlines()]
    assert [event["event"] for event in events] == ["interrupted", "interrupted"]


async def test_a_bar_moves_on_a_terminal_and_leaves_it_tidy(command: Command, jobs: Path) -> None:
    """On a terminal there is a bar, which is whole and gone from its line before the summary begins."""
    write_jobs(jobs, features(50))
    terminal, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *command.argv("run", jobs.name, *FAST),
        cwd=command.folder,
        env={**command.environment, "TERM": "xterm", "COLUMNS": "100"},
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = asyncio.create_task(asyncio.to_thread(read_all, terminal))
    assert await process.wait() == 0
    bar, ended, summary = (await shown).decode().rpartition("\r\n\x1b[?25h")  # the line's end, the cursor's return
    os.close(terminal)
    assert ended
    assert "linking" in bar
    assert "100% linked 50, unchanged 0" in bar
    assert "jobs in" not in bar
    assert summary.startswith("50 jobs in ")
    assert summary.endswith("results in links.results.jsonl\r\n")


def read_all(terminal: int) -> bytes:
    """What is written to a terminal until its other end is closed."""
    data = b""
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # Linux's end of a pseudo-terminal
            return data
        if not chunk:
            return data
        data += chunk


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_sandbox_serves_until_it_is_interrupted(command: Command, number: signal.Signals) -> None:
    """It prints its URL and what to type next, serves the account there, and ends with its count, exit 0."""
    process = await command.start("sandbox", "--port", "0", "--token", "rehearsal", "--features", "3")
    assert process.stdout is not None
    said = (await process.stdout.readuntil(b"linker run")).decode()
    url = said.split(",")[0].removeprefix("sandbox at ")
    assert f"export AHA_URL={url} AHA_TOKEN=rehearsal" in said
    headers = {"Authorization": "Bearer rehearsal"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{url}/api/v1/features/PRJ1-8") as response,
    ):
        answer: dict[str, Any] = await response.json()
    assert answer["feature"]["reference_num"] == "PRJ1-8"
    process.send_signal(number)
    code, stdout, stderr = await ended(process)
    assert (code, stderr) == (0, "")
    assert stdout.endswith("1 requests served, 0 of them refused (429)\n")


async def test_a_port_that_is_taken_is_said(command: Command, sandbox: Sandbox) -> None:
    """Exit 2 and which port, where something listens there already."""
    port = sandbox.url.rpartition(":")[2]
    finished = await command("sandbox", "--port", port)
    assert finished.code == 2
    assert f"port {port} on 127.0.0.1" in finished.stderr


async def test_demo_shows_a_migration(command: Command) -> None:
    """Exit 0: the job file, the command, the summary, results of both sorts, and where to go next; no file is left."""
    finished = await command("demo")
    assert finished.code == 0, finished.stderr
    for said in ("A sandbox serves", "$ linker run migration.jsonl", '"status":"linked"', '"status":"rejected"'):
        assert said in finished.stdout
    assert "refused 0 requests (429)" in finished.stdout
    assert "Next: `linker sandbox`" in finished.stdout
    assert names(command.folder) == []
