"""The writer of results: it makes them as it writes them, lets others run meanwhile, and loses none."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from linker import Kind, Result, Status
from linker.batch.change import Intent
from linker.batch.merge import Job
from linker.model.job import Mode
from linker.model.target import Target
from linker.results.file import ResultsFile
from linker.results.outcomes import Outcomes
from linker.results.summary import Summary
from linker.results.writer import ResultsWriter

TARGET = Target(Kind.FEATURE, "PRJ1-1")
JOBS = [Job(n, "links.csv", n + 2, TARGET, Mode.ADD, {"customers": (str(n),)}, None) for n in range(5_000)]


class Made:
    """Counts the results that were made and delivered."""

    def __init__(self) -> None:
        self.made = 0
        self.delivered = 0
        self.most_ahead = 0
        self.turns = 0
        self.begun = asyncio.Event()
        self.outcomes = Outcomes()
        self.outcomes.add(self._result, JOBS)

    def _result(self, job: Job) -> Result:
        self.made += 1
        self.most_ahead = max(self.most_ahead, self.made - self.delivered)
        return Result.of(job, Status.LINKED, change=0)

    async def deliver(self, outcomes: Any) -> None:
        """Take what is on disk."""
        self.delivered += len(outcomes)
        self.begun.set()

    async def count_turns(self) -> None:
        """Count how often the event loop lets others run."""
        while True:
            self.turns += 1
            await asyncio.sleep(0)


def jobs_in(path: Path) -> list[int]:
    """The jobs of a results file, line by line."""
    return [orjson.loads(line)["job"] for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize("is_kept", [True, False])
async def test_results_of_one_target_are_made_as_they_are_written(tmp_path: Path, is_kept: bool) -> None:
    """A few hundred at a time, and between them the event loop has a turn."""
    story, path = Made(), tmp_path / "results.jsonl"
    file = ResultsFile(path, durability="flush") if is_kept else None
    writer = ResultsWriter(file, summary := Summary(), 4, story.deliver)
    if file is not None:
        file.__enter__()
    other = asyncio.create_task(story.count_turns())
    await writer.take(story.outcomes)
    writer.end()
    await writer.run()
    other.cancel()
    assert story.made == story.delivered == summary.linked == len(JOBS)
    assert story.most_ahead <= 600
    assert story.turns >= len(JOBS) // 600
    if file is not None:
        file.__exit__(None, None, None)
        assert jobs_in(path) == list(range(len(JOBS)))


@pytest.mark.parametrize("pieces", [1, 3])
async def test_a_writer_that_is_cancelled_writes_the_rest_at_the_end(tmp_path: Path, pieces: int) -> None:
    """Each result has one line, and the journal keeps the target until the last of them is written."""
    story, path = Made(), tmp_path / "results.jsonl"
    reached, forever = asyncio.Event(), asyncio.Event()

    async def deliver(outcomes: Any) -> None:
        await story.deliver(outcomes)
        if story.delivered >= pieces * 512:
            reached.set()
            await forever.wait()

    with ResultsFile(path, durability="flush") as file:
        await file.journal.note(Intent(TARGET, {"customers": frozenset("1")}))
        writer = ResultsWriter(file, summary := Summary(), 4, deliver)
        running = asyncio.create_task(writer.run())
        await writer.take(story.outcomes, [TARGET])
        await reached.wait()
        running.cancel()
        await asyncio.wait({running})
        assert file.journal.pending == 1
        assert 0 < summary.jobs < len(JOBS)
        writer.flush()
        assert file.journal.pending == 0
    assert jobs_in(path) == list(range(len(JOBS)))
    assert summary.jobs == len(JOBS)


async def test_a_target_whose_lines_could_not_be_written_stays_open(tmp_path: Path) -> None:
    """The disk is full in the middle of its lines: the journal still has its PUT."""
    story, path = Made(), tmp_path / "results.jsonl"
    with ResultsFile(path, durability="flush") as file:
        await file.journal.note(Intent(TARGET, {"customers": frozenset("1")}))
        writer = ResultsWriter(file, Summary(), 4, story.deliver)
        running = asyncio.create_task(writer.run())
        await writer.take(story.outcomes, [TARGET])
        await story.begun.wait()
        path.write_bytes(b"")  # somebody cuts it short
        await asyncio.wait({running})
        assert running.exception() is not None
        writer.flush()
        assert file.journal.pending == 1


async def test_an_error_in_a_result_ends_the_run_and_settles_no_target(tmp_path: Path) -> None:
    """An error of linker's own while a result is made: the journal keeps the targets whose lines are not written."""
    path, other = tmp_path / "results.jsonl", Target(Kind.FEATURE, "PRJ1-2")
    outcomes = Outcomes()

    def fails(job: Job) -> Result:
        if job.number == 2:
            raise RuntimeError("not expected")
        return Result.of(job, Status.LINKED)

    outcomes.add(fails, JOBS[:4])

    async def deliver(_: Any) -> None:
        """Nobody listens."""

    with ResultsFile(path, durability="flush") as file:
        for target in (TARGET, other):
            await file.journal.note(Intent(target, {"customers": frozenset("1")}))
        writer = ResultsWriter(file, Summary(), 4, deliver)
        await writer.take([Result.of(JOBS[9], Status.LINKED)], [other])
        await writer.take(outcomes, [TARGET])
        writer.end()
        with pytest.raises(RuntimeError):
            await writer.run()
        writer.flush()
        assert file.journal.pending == 2
    assert jobs_in(path) == []
