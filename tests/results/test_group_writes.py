"""What is noted or taken in one turn of the event loop is written together, and synced together."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from linker import Kind, Result, Status
from linker.batch.change import Intent
from linker.batch.merge import Job
from linker.disk.lines import Disk, Durability
from linker.errors import ResultsUnwritable
from linker.model.job import Mode
from linker.model.target import Target
from linker.results import journal as journals
from linker.results.file import ResultsFile
from linker.results.journal import Journal, left_open
from linker.results.summary import Summary
from linker.results.writer import ResultsWriter

TARGETS = [Target(Kind.FEATURE, f"PRJ1-{number}") for number in range(20)]


class Watched(Disk):
    """Counts what it writes and how often it syncs. `full`: it takes so many bytes and no more. `broken`: no sync."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.syncs = 0
        self.full: int | None = None
        self.broken = False

    def write(self, fd: int, data: memoryview) -> int:
        if self.full == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.full is not None:
            data = data[: self.full]
            self.full -= len(data)
        self.written.append(bytes(data))
        return super().write(fd, data)

    def sync(self, fd: int) -> None:
        self.syncs += 1
        if self.broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync(fd)


def intent(target: Target) -> Intent:
    """What a PUT to this target changes."""
    return Intent(target, {"customers": frozenset("1")})


def opened(path: Path, disk: Disk, durability: Durability) -> Journal:
    """A new journal."""
    journal = Journal(path, disk, durability)
    journal.open(anew=True)
    return journal


@pytest.mark.parametrize("durability", ["flush", "fsync"])
async def test_what_is_noted_in_one_turn_is_one_write_and_one_sync(tmp_path: Path, durability: Durability) -> None:
    """And every PUT waits until it is on disk."""
    journal = opened(path := tmp_path / "journal", disk := Watched(), durability)
    disk.written.clear()
    before, left = disk.syncs, list[int]()

    async def put(target: Target) -> None:
        await journal.note(intent(target))
        assert target in left_open(path)
        left.append(disk.syncs - before)

    async with asyncio.TaskGroup() as group:
        for target in TARGETS:
            group.create_task(put(target))
        await asyncio.sleep(0)
        assert left == []
    assert len(disk.written) == 1
    assert left == [durability == "fsync"] * len(TARGETS)
    journal.close()
    assert list(left_open(path)) == TARGETS


@pytest.mark.parametrize("lines", [0, 1, 7])
@pytest.mark.parametrize("fault", ["full", "broken", "replaced"])
async def test_no_put_of_a_group_leaves_if_the_disk_fails(tmp_path: Path, fault: str, lines: int) -> None:
    """It fails before or after some of the lines, or only as they are synced: nobody knows which of them it kept."""
    journal = opened(path := tmp_path / "journal", disk := Watched(), "fsync")
    await journal.note(intent(TARGETS[0]))
    if fault == "full":
        disk.full = lines * len(disk.written[-1]) + 20
    elif fault == "broken":
        disk.broken = True
    else:
        path.rename(tmp_path / "away")
    ends = await asyncio.gather(*map(journal.note, map(intent, TARGETS[1:])), return_exceptions=True)
    assert [type(end) for end in ends] == [ResultsUnwritable] * len(TARGETS[1:])
    assert len({str(end) for end in ends}) == 1
    assert "nothing more is sent" in str(ends[0])
    with pytest.raises(ResultsUnwritable):
        await journal.note(intent(TARGETS[0]))
    journal.settle(TARGETS[1:])
    journal.close()
    kept = tmp_path / ("away" if fault == "replaced" else "journal")
    assert TARGETS[0] in left_open(kept)
    assert kept.read_bytes().endswith(b"}\n")


async def test_what_cannot_be_written_for_another_reason_lets_no_put_wait_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of linker's own reaches each of them."""
    journal = opened(tmp_path / "journal", Watched(), "flush")

    def fails(_: object) -> bytes:
        raise RuntimeError("not expected")

    monkeypatch.setattr(journals, "harmless_json", fails)
    notes = asyncio.gather(*map(journal.note, map(intent, TARGETS)), return_exceptions=True)
    async with asyncio.timeout(60):
        assert [str(end) for end in await notes] == ["not expected"] * len(TARGETS)


async def test_a_line_that_follows_in_the_same_turn_is_written_behind_the_notes(tmp_path: Path) -> None:
    """The last line of a target tells what is open: a PUT that is noted and then settled is not."""
    journal = opened(path := tmp_path / "journal", Watched(), "flush")
    await journal.note(intent(TARGETS[0]))
    first = asyncio.create_task(journal.note(intent(TARGETS[1])))
    await asyncio.sleep(0)
    assert not first.done()
    journal.settle(TARGETS[:2])
    second = asyncio.create_task(journal.note(intent(TARGETS[0])))
    await asyncio.wait({first, second})
    assert list(left_open(path)) == [TARGETS[0]]
    journal.close()
    assert list(left_open(path)) == [TARGETS[0]]


@pytest.mark.parametrize("is_cancelled", [True, False])
async def test_a_journal_that_is_closed_has_what_was_noted_right_before(tmp_path: Path, is_cancelled: bool) -> None:
    """The PUT is not sent any more, and a resume looks at its target all the same."""
    journal = opened(path := tmp_path / "journal", Watched(), "flush")
    note = asyncio.create_task(journal.note(intent(TARGETS[0])))
    await asyncio.sleep(0)
    if is_cancelled:
        note.cancel()
    journal.close()
    await asyncio.wait({note})
    assert note.cancelled() if is_cancelled else isinstance(note.exception(), ResultsUnwritable)
    assert list(left_open(path)) == [TARGETS[0]]


async def test_a_note_whose_task_is_cancelled_holds_up_no_other(tmp_path: Path) -> None:
    """Its line may be there: whether its PUT left is for a resume to find out."""
    journal = opened(path := tmp_path / "journal", disk := Watched(), "fsync")
    disk.written.clear()
    notes = [asyncio.create_task(journal.note(intent(target))) for target in TARGETS]
    await asyncio.sleep(0)
    notes[0].cancel()
    await asyncio.wait(notes)
    assert [note.cancelled() for note in notes] == [True] + [False] * (len(TARGETS) - 1)
    assert all(note.exception() is None for note in notes[1:])
    assert len(disk.written) == 1
    assert list(left_open(path)) == TARGETS
    journal.close()


async def test_results_of_many_targets_that_are_taken_in_one_turn_are_one_write(tmp_path: Path) -> None:
    """And one sync, before anybody is told of them; then the journal closes all of their PUTs by one line."""
    path, disk = tmp_path / "results.jsonl", Watched()
    told: list[tuple[int, list[int]]] = []

    def result(number: int, target: Target) -> Result:
        job = Job(number, "links.csv", number + 2, target, Mode.ADD, {"customers": ("1",)}, None)
        return Result.of(job, Status.LINKED, change=number)

    async def deliver(outcomes: Any) -> None:
        told.append((disk.syncs, [outcome.job for outcome in outcomes]))

    with ResultsFile(path, durability="fsync", disk=disk) as file:
        writer = ResultsWriter(file, summary := Summary(), len(TARGETS), deliver)
        running = asyncio.create_task(writer.run())
        await asyncio.gather(*map(file.journal.note, map(intent, TARGETS)))
        disk.written.clear()
        before = disk.syncs
        for number, target in enumerate(TARGETS):
            await writer.take([result(number, target)], [target])
        writer.end()
        await running
        results, settled = disk.written
        assert results == path.read_bytes()
        assert results.count(b"\n") == len(TARGETS) == summary.linked
        assert settled.count(b"\n") == 1
        assert told == [(before + 1, list(range(len(TARGETS))))]
        assert file.journal.pending == 0
