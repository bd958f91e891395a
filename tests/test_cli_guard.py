"""`linker run` kept within bounds: the guard, the pilot, the mirror."""

from __future__ import annotations

import asyncio
import os
import pty
from pathlib import Path
from typing import Any

import orjson
import pytest
from conftest import Command

from linker import Kind
from linker.sandbox import Sandbox

ACME, ZANE = "640362830", "8397122"


def write(path: Path, *lines: dict[str, Any]) -> str:
    """A job file, by its name in the command's folder."""
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return path.name


@pytest.fixture
def clears(tmp_path: Path, sandbox: Sandbox) -> str:
    """A file that takes five links away."""
    ids = [f"PRJ1-{number}" for number in range(6, 11)]
    for id in ids:
        sandbox.account.set_links(Kind.FEATURE, id, "customers", [ACME])
    return write(tmp_path / "clears.jsonl", *({"id": id, "links": {"customers": []}} for id in ids))


def still_linked(sandbox: Sandbox) -> int:
    """How many of the five are left."""
    return sum(bool(sandbox.account.links(Kind.FEATURE, f"PRJ1-{number}")) for number in range(6, 11))


async def test_more_removals_than_may_be_stop_the_run(
    clears: str, command: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Exit 2, nothing written, no results file, and what to say if it is meant; `--yes` lets it through."""
    stopped = await command("run", clears, "--max-removals", "4")
    assert stopped.code == 2
    assert "5 of the 5 links read so far would be removed, more than the 4 that may be" in stopped.stderr
    assert "nothing was written" in stopped.stderr
    assert "--yes" in stopped.stderr
    assert not (tmp_path / "clears.results.jsonl").exists()
    assert still_linked(sandbox) == 5
    assert (await command("run", clears, "--max-removals", "4", "--yes")).code == 0
    assert still_linked(sandbox) == 0


async def test_an_explicit_number_lets_so_many_through(clears: str, command: Command, sandbox: Sandbox) -> None:
    """Five of five."""
    assert (await command("run", clears, "--max-removals", "5")).code == 0
    assert still_linked(sandbox) == 0


@pytest.mark.parametrize(("answer", "code", "left"), [(b"y\n", 0, 0), (b"n\n", 2, 5)])
async def test_on_a_terminal_the_guard_asks(
    clears: str, command: Command, sandbox: Sandbox, answer: bytes, code: int, left: int
) -> None:
    """With both counts; a yes goes on, a no stops before anything is written."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *command.argv("run", clears, "--max-removals", "4"),
        cwd=command.folder,
        env=command.environment,
        stdin=theirs,
        stdout=asyncio.subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    screen = bytearray()
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def read() -> None:
        try:
            screen.extend(os.read(ours, 65536))
        except OSError:  # the other end is closed
            loop.remove_reader(ours)
            asked.set()
        if b"Go on?" in screen:
            asked.set()

    loop.add_reader(ours, read)
    try:
        await asked.wait()
        os.write(ours, answer)
        await process.communicate()
    finally:
        loop.remove_reader(ours)
        os.close(ours)
    assert b"5 of the 5 links read so far would be removed. Go on?" in screen
    assert process.returncode == code, bytes(screen)
    assert still_linked(sandbox) == left


async def test_a_pilot_changes_so_many_targets(clears: str, command: Command, sandbox: Sandbox) -> None:
    """Exit 0, and it says that the rest has not been done."""
    piloted = await command("run", clears, "--limit", "2")
    assert piloted.code == 0
    assert "the pilot is over: jobs without a line have not been done" in piloted.stdout
    assert still_linked(sandbox) == 3
    assert sandbox.stats.methods["PUT"] == 2


async def test_a_mirror_clears_what_the_file_does_not_name(
    clears: str, command: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Each clear has a line of its own source, after the file's jobs."""
    del clears
    jobs = write(tmp_path / "truth.jsonl", {"id": "PRJ1-6", "links": {"customers": [ZANE]}})
    mirrored = await command("run", jobs, "--mirror", "--field", "customers", "--scope", "feature:PRJ1")
    assert mirrored.code == 0
    assert still_linked(sandbox) == 1
    lines = [orjson.loads(line) for line in (tmp_path / "truth.results.jsonl").read_bytes().splitlines()]
    clears_of = sorted((line["job"], line["line"]) for line in lines if line["source"] == "--mirror")
    assert clears_of == [(number, None) for number in range(1, 5)]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--mirror"],
        ["--mirror", "--field", "customers"],
        ["--scope", "feature:PRJ1"],
        ["--field", "customers", "--scope", "feature:PRJ1"],
        ["--mirror", "--field", "customers", "--scope", "release"],
        ["--max-removals", "-1"],
        ["--limit", "0"],
        ["--max-age", "-1"],
    ],
    ids=" ".join,
)
async def test_options_that_make_no_sense_exit_2(
    clears: str, command: Command, sandbox: Sandbox, arguments: list[str]
) -> None:
    """Nothing is sent."""
    ran = await command("run", clears, *arguments)
    assert ran.code == 2
    assert ran.stderr
    assert sandbox.stats.methods["PUT"] == 0


async def test_a_line_that_does_not_tell_its_target_keeps_a_mirror_from_clearing(
    clears: str, command: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Exit 2: what it stands for might be what would be cleared."""
    del clears
    (tmp_path / "truth.jsonl").write_bytes(b'{"id": "PRJ1-6", "links": {"customers": []}}\nnot a job\n')
    mirrored = await command("run", "truth.jsonl", "--mirror", "--field", "customers", "--scope", "feature:PRJ1")
    assert mirrored.code == 2
    assert "--mirror" in mirrored.stderr
    assert still_linked(sandbox) == 5
    assert not (tmp_path / "truth.results.jsonl").exists()
