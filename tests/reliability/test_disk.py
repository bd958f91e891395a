"""Each operation on a file fails in turn, the first, the second, and so on: whichever it is, nothing is lost."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest
from support.runs import ACME, ZANE, eager, features, results_of

from linker import Kind, LinkerError, Result, Settings, Status, UndoFile
from linker.client.jobs import sources_of
from linker.client.run import Run
from linker.disk.lines import DISK, Disk
from linker.ratelimit.limiter import RateLimiter
from linker.results.file import ResultsFile
from linker.results.journal import journal_of
from linker.sandbox import Sandbox
from linker.sessions.token import Token

COUNT = 6
BEFORE = {f"PRJ1-{number}": [ZANE] if number % 2 else [] for number in range(1, COUNT + 1)}


class Failing(Disk):
    """The n-th operation fails; `half` of what it was to write is written; `for_good`, all that follow fail too."""

    def __init__(self, at: int, *, half: bool, for_good: bool) -> None:
        self._at = at
        self._half = half
        self._for_good = for_good
        self._calls = 0
        self.failed = ""

    def _fails(self, what: str) -> bool:
        self._calls += 1
        if self._calls == self._at or (self._for_good and self.failed):
            self.failed = self.failed or what
            return True
        return False

    def _call(self, what: str) -> None:
        if self._fails(what):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def open(self, path: Path, flags: int) -> int:
        self._call("open")
        return super().open(path, flags)

    def write(self, fd: int, data: memoryview) -> int:
        if self._fails("write"):
            if self._half:
                super().write(fd, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(fd, data[: max(64, len(data) // 2)] if self._half else data)  # short writes are no error

    def sync(self, fd: int) -> None:
        self._call("fsync")
        super().sync(fd)

    def truncate(self, fd: int, size: int) -> None:
        self._call("truncate")
        super().truncate(fd, size)

    def rename(self, old: Path, new: Path) -> None:
        self._call("rename")
        super().rename(old, new)

    def unlink(self, path: Path) -> None:
        self._call("unlink")
        super().unlink(path)


async def run(sandbox: Sandbox, file: ResultsFile, told: list[Result]) -> None:
    """A run of the batch into a results file; what it tells before it ends, however it ends."""
    settings = Settings(
        base_url=sandbox.url, rate=(), state_dir=None, concurrency=2, backoff_base_s=0.001, backoff_cap_s=0.01
    )
    batch = Run(settings, Token(sandbox.options.token), RateLimiter([]), sources_of(features(COUNT)), file)
    try:
        async for result in batch:
            told.append(result)  # noqa: PERF401  those before an error count too
    finally:
        assert batch.summary.jobs >= len(told)


def held(sandbox: Sandbox) -> dict[str, list[str]]:
    """What the features hold."""
    return {id: sandbox.account.links(Kind.FEATURE, id).get("customers", []) for id in BEFORE}


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """The lines that are whole."""
    data = path.read_bytes() if path.exists() else b""
    return [orjson.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]


async def check(sandbox: Sandbox, path: Path, told: list[Result]) -> None:
    """What was told is on disk and so; a resume does the rest; an undo restores."""
    lines = whole_lines(path)
    assert {result.job for result in told} <= {line["job"] for line in lines}
    state = held(sandbox)
    for line in lines:
        if line["status"] == "linked":
            assert state[line["id"]] == [ACME]
    with_results: list[Result] = []
    await run(sandbox, ResultsFile(path, resume=True), with_results)
    assert {result.status for result in with_results} <= {Status.LINKED}
    assert {line["id"] for line in whole_lines(path)} == BEFORE.keys()
    assert held(sandbox) == {id: [ACME] for id in BEFORE}
    assert not journal_of(path).exists()
    async with eager(sandbox) as aha:
        await results_of(aha.run(UndoFile(path)))
    assert held(sandbox) == BEFORE


@pytest.mark.parametrize("half", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["whole", "half"])
@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for_good"])
@pytest.mark.parametrize("how", ["new", "resume", "overwrite"])
async def test_whichever_operation_fails_nothing_is_lost(
    sandbox: Sandbox, tmp_path: Path, how: str, for_good: bool, half: bool
) -> None:
    """Fail the n-th operation for every n, until none is left to fail."""
    failed: set[str] = set()
    for at in count(1):
        path = tmp_path / f"{at}.results.jsonl"
        for id, ids in BEFORE.items():
            sandbox.account.set_links(Kind.FEATURE, id, "customers", ids)
        if how == "resume":  # after a run that was cut off: two targets done, one PUT open, the last line torn
            await cut_off(sandbox, path)
        elif how == "overwrite":
            path.write_text('{"an":"old one"}\n')
            journal_of(path).write_bytes(b'{"process":1}\n')
        disk, told = Failing(at, half=half, for_good=for_good), list[Result]()
        with suppress(LinkerError):
            await run(sandbox, ResultsFile(path, resume=how == "resume", overwrite=how == "overwrite", disk=disk), told)
        if not disk.failed:
            break
        failed.add(disk.failed)
        if how == "overwrite":
            kept = [each for each in tmp_path.glob(f"{at}.results*.jsonl") if b"an" in each.read_bytes()]
            assert kept  # the old one is somewhere
            if path in kept:
                continue
            if not path.exists():
                assert held(sandbox) == BEFORE
                continue
        await check(sandbox, path, told)
    assert {"open", "write", "fsync"} <= failed
    assert how != "overwrite" or "rename" in failed
    assert how != "resume" or "truncate" in failed


async def cut_off(sandbox: Sandbox, path: Path) -> None:
    """What a killed run leaves."""
    await run(sandbox, ResultsFile(path), [])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]) + lines[2][:50])
    open_now = {orjson.loads(line)["id"] for line in lines[2:]}
    puts = [
        {"target": {"kind": "feature", "id": id}, "put": {"customers": [ACME]}, "before": {"customers": ids}}
        for id, ids in BEFORE.items()
        if id in open_now
    ]
    journal_of(path).write_bytes(b"".join(orjson.dumps({"intent": put}) + b"\n" for put in puts) + b'{"torn')
    for id in list(open_now)[1:]:  # of the open ones, one has arrived
        sandbox.account.set_links(Kind.FEATURE, id, "customers", BEFORE[id])


class Held(Disk):
    """The journal is not synced before it may be."""

    def __init__(self) -> None:
        self.waits, self.may = threading.Event(), threading.Event()

    def sync(self, fd: int) -> None:
        if Path(f"/proc/self/fd/{fd}").readlink().suffix == ".journal":
            self.waits.set()
            self.may.wait(60)
        super().sync(fd)


async def test_no_put_leaves_before_its_intent_is_synced(sandbox: Sandbox, tmp_path: Path) -> None:
    """As long as the disk takes its time, the account sees reads alone."""
    disk, told = Held(), list[Result]()
    task = asyncio.create_task(run(sandbox, ResultsFile(tmp_path / "results.jsonl", disk=disk), told))
    assert await asyncio.to_thread(disk.waits.wait, 60)
    for _ in range(1000):  # turns of the loop, in which a PUT would leave
        await asyncio.sleep(0)
    assert (sandbox.stats.methods["PUT"], told) == (0, [])
    disk.may.set()
    await task
    assert len(told) == COUNT


class Synced(Disk):
    """Remembers each file as it was when it was last synced: what a loss of power leaves."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def sync(self, fd: int) -> None:
        super().sync(fd)
        path = Path(f"/proc/self/fd/{fd}").readlink()
        if path.is_file():
            self.kept[path.name] = path.read_bytes()


@pytest.mark.parametrize("at", range(1, COUNT + 1))
async def test_a_loss_of_power_loses_nothing(sandbox: Sandbox, tmp_path: Path, at: int) -> None:
    """Right after the n-th PUT was done, before its answer: what was told was synced, and nothing else is needed."""
    for id, ids in BEFORE.items():
        sandbox.account.set_links(Kind.FEATURE, id, "customers", ids)
    disk, told, path = Synced(), list[Result](), tmp_path / "links.results.jsonl"
    task = asyncio.create_task(run(sandbox, ResultsFile(path, disk=disk), told))
    answer = sandbox._routes.answer
    puts = 0
    kept: dict[str, bytes] = {}
    told_then: list[Result] = []

    def lost(method: str, *rest: Any) -> Any:
        nonlocal puts
        done = answer(method, *rest)
        puts += method == "PUT"
        if puts == at and not kept:  # here it goes: nothing that leaves later arrives
            kept.update(disk.kept)
            told_then.extend(told)
            sandbox.faults.script(*["reset"] * 1000)
            task.cancel()
        return done

    sandbox._routes.answer = lost  # type: ignore[method-assign, assignment]
    with suppress(asyncio.CancelledError):
        await task
    sandbox._routes.answer = answer  # type: ignore[method-assign]
    sandbox.faults.clear()
    assert kept
    for each in tmp_path.iterdir():
        each.write_bytes(kept.get(each.name, b""))
    if path.name not in kept:
        path.touch()
    journal_of(path).write_bytes(kept[journal_of(path).name])
    await check(sandbox, path, told_then)


async def test_a_disk_that_does_not_fail_is_the_system_s(tmp_path: Path) -> None:
    """The layer itself: what is written through it is there, for the owner alone, and gone when it is removed."""
    path = tmp_path / "file"
    fd = DISK.open(path, os.O_CREAT | os.O_RDWR)
    assert DISK.write(fd, memoryview(b"abc")) == 3
    DISK.truncate(fd, 2)
    DISK.sync(fd)
    os.close(fd)
    DISK.rename(path, tmp_path / "other")
    assert (tmp_path / "other").read_bytes() == b"ab"
    DISK.unlink(tmp_path / "other")
    DISK.unlink(tmp_path / "other")
    assert list(tmp_path.iterdir()) == []
