"""Faults of the machine, real ones: a full disk, too few descriptors, files that others touch, a long sleep."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import resource
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from support.command import Command, Finished
from support.runs import ACME, eager, features, lines_of, names, results_of, until, write_jobs, written

import linker
from linker import Status
from linker.results.journal import journal_of
from linker.sandbox import Sandbox
from linker.sources import Entry, JobFile, Reading

COUNT = 100
RUN = (sys.executable, "-m", "linker", "run", "links.jsonl", "--rate", "1000/1s", "--concurrency", "8")


@pytest.fixture
def links(command: Command) -> Path:
    """A job file of a hundred lines."""
    path = command.folder / "links.jsonl"
    write_jobs(path, features(COUNT))
    return path


def told(path: Path) -> set[str]:
    """The targets of the whole lines that say `linked`."""
    data = path.read_bytes()
    lines = map(orjson.loads, data[: data.rfind(b"\n") + 1].splitlines())
    return {line["id"] for line in lines if line["status"] == "linked"}


async def check_resumed(command: Command, sandbox: Sandbox, stopped: Finished, said: str) -> None:
    """Exit 3 and what to do; nothing told that is not so; and one command does the rest."""
    assert stopped.code == 3, stopped.stderr
    assert said in stopped.stderr
    results = command.folder / "links.results.jsonl"
    assert told(results) <= written(sandbox)
    resumed = await command(*RUN[3:], "--resume")
    assert (resumed.code, resumed.stderr) == (0, "")
    assert told(results) == written(sandbox) == {f"PRJ1-{number}" for number in range(1, COUNT + 1)}
    assert names(command.folder, "*.journal") == []


TMPFS = """
mkdir full && mount -t tmpfs -o size=%s tmpfs full || exit 99
"$@" --results full/links.results.jsonl
code=$?
cp full/* . 2>/dev/null
exit $code
"""


@pytest.mark.parametrize(("size", "nearly_at_once"), [("24k", False), ("48k", False), ("4k", True)])
async def test_a_full_disk(command: Command, sandbox: Sandbox, links: Path, size: str, nearly_at_once: bool) -> None:
    """A file system of a few pages: exit 3, whole lines, and with more room the rest."""
    if shutil.which("unshare") is None:
        pytest.skip("no unshare(1) here")
    full = await command.program("unshare", "-rm", "sh", "-c", TMPFS % size, "sh", *RUN)
    if full.code == 99 or "unshare" in full.stderr:
        pytest.skip("no file systems may be mounted here")
    shutil.rmtree(command.folder / "full")
    if nearly_at_once:
        assert full.code in (2, 3)
        assert "No space left on device" in full.stderr
        assert told(command.folder / "links.results.jsonl") <= written(sandbox) if full.code == 3 else True
        return
    await check_resumed(command, sandbox, full, "No space left on device; nothing more is sent")


async def test_a_folder_that_cannot_be_written_to(command: Command, sandbox: Sandbox, links: Path) -> None:
    """A file system that is mounted for reading alone: exit 2 before anything is sent."""
    if shutil.which("unshare") is None:
        pytest.skip("no unshare(1) here")
    script = 'mkdir full && mount -t tmpfs -o ro tmpfs full || exit 99; "$@" --results full/links.results.jsonl'
    refused = await command.program("unshare", "-rm", "sh", "-c", script, "sh", *RUN)
    if refused.code == 99 or "unshare" in refused.stderr:
        pytest.skip("no file systems may be mounted here")
    assert (refused.code, refused.stdout) == (2, "")
    assert refused.stderr == "linker: results file full/links.results.jsonl: Read-only file system\n"
    assert sandbox.stats.requests == 0


@pytest.mark.parametrize("kilobytes", [1, 4, 16])
async def test_a_file_that_may_grow_no_further(command: Command, sandbox: Sandbox, links: Path, kilobytes: int) -> None:
    """RLIMIT_FSIZE, met by the results or by the journal, whichever grows first."""
    limited = await command.program("sh", "-c", f'ulimit -f {kilobytes * 2} && exec "$@"', "sh", *RUN)
    if not (command.folder / "links.results.jsonl").exists():
        assert limited.code == 3
        return
    await check_resumed(command, sandbox, limited, "File too large; nothing more is sent")


async def test_too_few_descriptors(command: Command, sandbox: Sandbox, links: Path) -> None:
    """RLIMIT_NOFILE below the connections: it is said what to do, and nobody's attempts are used up."""
    sandbox.options = dataclasses.replace(sandbox.options, latency_ms=100)  # so that many are needed at once
    argv = [*RUN[:-1], "40", "--attempts", "1"]
    few = await command.program("sh", "-c", 'ulimit -n 24 && exec "$@"', "sh", *argv)
    await check_resumed(
        command, sandbox, few, "(too many open files); raise the limit (ulimit -n) or lower --concurrency"
    )


def remove(path: Path) -> None:
    """Gone."""
    path.unlink()


def cut(path: Path) -> None:
    """Emptied by `> links.results.jsonl`."""
    os.truncate(path, 0)


def replace(path: Path) -> None:
    """Another file of that name, as an editor writes it."""
    other = path.with_suffix(".new")
    other.write_bytes(path.read_bytes())
    other.rename(path)


def append(path: Path) -> None:
    """Something of somebody else's at its end."""
    with path.open("ab") as stream:
        stream.write(b"\n")


@pytest.mark.parametrize("meddle", [remove, cut, replace, append])
async def test_results_that_somebody_touches_during_the_run(
    sandbox: Sandbox, tmp_path: Path, meddle: Callable[[Path], None]
) -> None:
    """It is noticed before the next line: what is told by then was on disk, nothing more is sent, a resume ends it."""
    path = tmp_path / "results.jsonl"
    async with eager(sandbox, concurrency=2) as aha:
        run = aha.run(features(COUNT), path)
        results = aiter(run)
        await anext(results)
        meddle(path)
        with pytest.raises(linker.ResultsUnwritable, match="during the run"):
            async for _ in results:
                pass
        assert len(written(sandbox)) < COUNT
        again = aha.run(features(COUNT), path, resume=True)
        await results_of(again)
    assert again.summary.ok
    assert len(written(sandbox)) == COUNT
    assert not journal_of(path).exists()


async def test_a_journal_that_is_removed_during_the_run(sandbox: Sandbox, tmp_path: Path) -> None:
    """No PUT leaves without it."""
    path = tmp_path / "results.jsonl"
    async with eager(sandbox, concurrency=2) as aha:
        run = aha.run(features(COUNT), path)
        results = aiter(run)
        await anext(results)
        journal_of(path).unlink()
        with pytest.raises(linker.ResultsUnwritable, match=r"journal .* during the run"):
            async for _ in results:
                pass
    assert {line["id"] for line in lines_of(path)} == written(sandbox)


class Meddled(JobFile):
    """A job file to which an exporter is still writing while it is read."""

    async def entries(self, reading: Reading) -> AsyncIterator[list[Entry]]:
        """Its entries, and a line more after the first of them."""
        async for chunk in super().entries(reading):
            append(Path(self.name))
            yield chunk


async def test_input_that_is_written_to_while_it_is_read(sandbox: Sandbox, tmp_path: Path) -> None:
    """It may be half of what was meant: nothing is sent, and nothing is left behind."""
    jobs = tmp_path / "links.jsonl"
    write_jobs(jobs, features(3))
    async with eager(sandbox) as aha:
        with pytest.raises(linker.InputChanged, match=r"links\.jsonl was changed while linker read it; nothing was"):
            await results_of(aha.run(Meddled(jobs), tmp_path / "results.jsonl"))
    assert sandbox.stats.requests == 0
    assert names(tmp_path) == ["links.jsonl"]


async def test_input_that_is_written_to_during_the_run(sandbox: Sandbox, tmp_path: Path) -> None:
    """What was read is done, and that there is more is said."""
    jobs, path = tmp_path / "links.jsonl", tmp_path / "results.jsonl"
    write_jobs(jobs, features(3))
    async with eager(sandbox) as aha:
        run = aha.run(jobs, path)
        results = aiter(run)
        await anext(results)
        write_jobs(jobs, features(4))
        with pytest.raises(linker.InputChanged, match=r"links\.jsonl was changed after linker read it"):
            async for _ in results:
                pass
        assert run.summary.linked == 3
        again = aha.run(jobs, path, resume=True)
        await results_of(again)
    assert (again.summary.linked, again.summary.passed_over) == (1, 3)


async def test_the_command_exits_3_where_its_input_has_changed(command: Command, sandbox: Sandbox, links: Path) -> None:
    """And says to go on with --resume, which does what is new."""
    sandbox.options = dataclasses.replace(sandbox.options, latency_ms=20)
    process = await command.start(*RUN[3:])
    await until(lambda: len(written(sandbox)) > 5)
    write_jobs(links, features(COUNT - 1))
    _, stderr = await process.communicate()
    assert process.returncode == 3
    assert b"links.jsonl was changed after linker read it; run again" in stderr


SUSPENDED = """
import asyncio, sys
import linker

async def main():
    jobs = [{"id": f"PRJ1-{n}", "links": {"customers": ["640362830"]}} for n in range(1, 61)]
    options = dict(rate=("20/1s",), timeout_s=1.0, attempts=1, refusals=1)
    async with linker.Linker(url=sys.argv[1], token="sandbox", **options) as aha:
        run = aha.run(jobs, sys.argv[2])
        async for result in run:
            print(result.status, flush=True)

asyncio.run(main())
"""


@pytest.mark.slow
async def test_a_process_that_is_suspended(command: Command) -> None:
    """SIGSTOP for longer than the time-outs, then SIGCONT, twice: no request counts as timed out, none is refused."""
    async with Sandbox(limits=[(20, 1.0)], features=100, latency_ms=300) as sandbox:
        argv = (sys.executable, "-c", SUSPENDED, sandbox.url, "results.jsonl")
        process = await asyncio.create_subprocess_exec(
            *argv, cwd=command.folder, env=command.environment, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        for count in (10, 15):
            for _ in range(count):
                await process.stdout.readline()
            process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(4)  # the time itself is what is tested
            process.send_signal(signal.SIGCONT)
        rest = await process.stdout.read()
        assert await process.wait() == 0
        assert rest.split() == [b"linked"] * 35
        assert sandbox.stats.refused == 0
        assert sandbox.stats.most_puts_at_once_on_a_target <= 2  # one that was cut off may still be at work
    lines = lines_of(command.folder / "results.jsonl")
    assert {line["status"] for line in lines} == {"linked"}
    assert all(line["changes"] == {"customers": {"added": [ACME], "removed": []}} for line in lines)


async def test_a_clock_that_is_set_back(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line an hour before the one above: nothing goes by the time of day, a resume and an undo neither."""
    path = tmp_path / "results.jsonl"

    class Clock:
        at = datetime(2026, 1, 1, tzinfo=UTC)

        @classmethod
        def now(cls, zone: object) -> datetime:
            cls.at -= timedelta(hours=1)
            return cls.at

    monkeypatch.setattr("linker.results.result.datetime", Clock)
    async with eager(sandbox) as aha:
        await results_of(aha.run(features(5), path))
        await results_of(aha.run(features(8), path, resume=True))
        times = [line["finished_at"] for line in map(orjson.loads, path.read_bytes().splitlines())]
        assert times == sorted(times, reverse=True)
        assert all(line["elapsed_ms"] >= 0 for line in lines_of(path))
        undone = await results_of(aha.run(linker.UndoFile(path)))
    assert {result.status for result in undone} == {Status.LINKED}
    assert written(sandbox) == set()


async def test_the_limits_of_this_test_are_the_systems() -> None:
    """Who runs this may lower the limits that are lowered here."""
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 24
