"""`--log-file`: a log that outlives the terminal, and `--quiet`."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from support.command import Command
from support.runs import ACME, write_jobs

from linker import log
from linker.cli.log_file import copy_to
from linker.sandbox import Sandbox

JOBS = [{"id": "PRJ1-1", "links": {"customers": [ACME]}}, {"id": "PRJ1-99999", "links": {"customers": [ACME]}}]


async def test_a_log_file_keeps_what_happened(command: Command, sandbox: Sandbox) -> None:
    """Info and above, appended; for its owner alone; stderr has no more than without; the token is not in it."""
    write_jobs(command.folder / "links.jsonl", JOBS)
    plain = await command("plan", "links.jsonl", "--no-progress")
    logged = await command("plan", "links.jsonl", "--no-progress", "--log-file", "linker.log")
    assert logged.stderr.count("\n") == plain.stderr.count("\n")
    file = command.folder / "linker.log"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    first = file.read_text()
    assert "batch_read" in first or "read" in first
    assert sandbox.options.token not in first
    assert "\x1b" not in first
    again = await command(
        "run", "links.jsonl", "--log-file", "linker.log", "--log-format", "json", "--log-level", "debug", "--resume"
    )
    assert again.code == 1
    text = file.read_text()
    assert text.startswith(first)
    events = [json.loads(line) for line in text[len(first) :].splitlines()]
    assert {"level", "event", "timestamp"} <= events[0].keys()


async def test_errors_of_the_command_are_in_the_log_file_too(command: Command) -> None:
    """What a nightly run says on stderr, it says in its log."""
    (command.folder / "links.jsonl").write_text("")
    finished = await command("run", "missing.jsonl", "--log-file", "linker.log")
    assert finished.code == 2
    assert finished.stderr.strip().removeprefix("linker: ") in (command.folder / "linker.log").read_text()


@pytest.mark.parametrize("name", [".", "missing/linker.log", "links.jsonl/x"])
async def test_a_log_file_that_cannot_be_written_stops_the_run(command: Command, sandbox: Sandbox, name: str) -> None:
    """Exit 2 and one clear line, before anything is sent."""
    write_jobs(command.folder / "links.jsonl", JOBS)
    finished = await command("run", "links.jsonl", "--log-file", name)
    assert (finished.code, sandbox.stats.requests) == (2, 0)
    assert finished.stderr.startswith(f"linker: log file {name}: ")


def test_a_full_disk_ends_the_log_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    """The run goes on, and stderr says once that the log is incomplete."""
    log.configure("warning", "console", copy_to(Path("/dev/full"), "info", "warning"))
    logger = log.get_logger()
    logger.info("one")
    logger.info("two")
    assert (
        capsys.readouterr().err
        == "linker: nothing more is written to the log file /dev/full: No space left on device\n"
    )
