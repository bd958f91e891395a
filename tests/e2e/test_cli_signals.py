"""`linker run` interrupted: what is sent and written by then, and how the command ends."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from support.command import Command
from support.runs import features, lines_of, until, write_jobs, written

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


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_an_interrupted_run_ends_in_order(
    command: Command, sandbox: Sandbox, jobs: Path, number: signal.Signals, code: int
) -> None:
    """What was under way ends, whole lines tell exactly what was written, the exit code says who stopped it."""
    process = await command.start("run", jobs.name, *FAST)
    await until(lambda: sandbox.stats.methods["PUT"] > 20)
    process.send_signal(number)
    finished = await command.end(process)
    assert finished.code == code
    assert finished.stderr.splitlines() == [
        "linker: finishing the requests in flight; press Ctrl-C again to stop now",
        "linker: interrupted; the requests in flight have finished",
    ]
    lines = lines_of(command.folder / "links.results.jsonl")
    assert {line["status"] for line in lines} == {"linked"}
    assert {line["id"] for line in lines} == written(sandbox)
    assert 20 < len(lines) < 500
    assert finished.stdout.startswith(f"{len(lines)} features changed: {len(lines)} links added, 0 removed\n")
    again = f"linker run links.jsonl {' '.join(FAST)} --resume"
    assert f"\n{len(lines)} of 500 rows done; continue with: {again}\n" in finished.stdout
    assert finished.stdout.endswith("\nto take this back: linker undo links.results.jsonl\n")


async def test_a_second_interrupt_ends_at_once(command: Command, jobs: Path) -> None:
    """Twice Ctrl-C does not wait for an answer that is under way."""
    async with Sandbox(limits=[], features=500, latency_ms=25_000) as sandbox:
        command.environment["AHA_URL"] = sandbox.url
        process = await command.start("run", jobs.name, *FAST)
        await until(lambda: sandbox.stats.requests > 0)
        assert process.stderr is not None
        process.send_signal(signal.SIGINT)
        assert b"press Ctrl-C again to stop now" in await process.stderr.readline()
        process.send_signal(signal.SIGINT)
        finished = await command.end(process)
        assert sandbox.stats.statuses.total() == 0  # nothing was answered meanwhile
    assert finished.code == 130
    assert "linker: interrupted" in finished.stderr


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
    finished = await command.end(process)
    assert finished.code == 130
    events = [orjson.loads(line) for line in finished.stderr.splitlines()]
    assert [event["event"] for event in events] == ["interrupted", "interrupted"]
