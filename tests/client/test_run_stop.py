"""How a run ends before its last job, by whoever's wish, and how a slow reader slows it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.runs import ACME, eager, features, lines_of, names, read_into, results_of, until, written

import linker
from linker import Kind, Result, Status
from linker.results.journal import journal_of, left_open
from linker.sandbox import Sandbox

MANY = 3000


@pytest.fixture(scope="module")
def account_of_many() -> Any:
    """An account with thousands of features, made once; each test has features of its own to link."""
    return Sandbox(limits=[], features=MANY).account


@pytest.fixture
async def slow() -> AsyncIterator[Sandbox]:
    """An account that takes its time: there are always requests under way."""
    async with Sandbox(limits=[], features=300, latency_ms=20) as sandbox:
        yield sandbox


def tasks_besides(known: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """Tasks that are here now, were not known, and serve no connection of the sandbox's."""
    return {
        task
        for task in asyncio.all_tasks() - known
        if not task.done() and "RequestHandler.start" not in getattr(task.get_coro(), "__qualname__", "")
    }


async def test_a_reader_that_stops_reading_stops_the_run(account_of_many: Any) -> None:
    """Results wait for their reader within bounds, and then the account is asked no more until he reads on."""
    async with Sandbox(limits=[], account=account_of_many) as sandbox, eager(sandbox, concurrency=4) as aha:
        run = aha.run(features(MANY))
        results = aiter(run)
        await anext(results)
        await until(lambda: run.progress().targets_done > 1000)  # as far as it goes
        for _ in range(3000):  # turns of the loop: enough for all the rest, if it did go on
            await asyncio.sleep(0)
        held = run.progress()
        assert held.targets_done < 1024 + 50
        assert sandbox.stats.requests < 2 * (1024 + 50)
        rest = [result async for result in results]
    assert len(rest) == MANY - 1
    assert run.summary.linked == MANY


async def test_leaving_the_loop_stops_the_run(slow: Sandbox, tmp_path: Path) -> None:
    """After a break, what was under way has its line on disk, the rest was not written, and no task is left."""
    known = asyncio.all_tasks()
    path = tmp_path / "results.jsonl"
    async with eager(slow) as aha:
        run = aha.run(features(300), path)
        async for _ in run:
            break
    assert tasks_besides(known) == set()
    lines = lines_of(path)
    assert 1 <= len(lines) < 300
    assert {line["id"] for line in lines} == written(slow)
    assert run.summary.linked == len(lines)
    assert run.summary.stopped


async def test_an_error_in_the_callers_loop_is_the_callers(slow: Sandbox) -> None:
    """What the caller raises comes out as it was, the run is stopped, and no task is left."""
    known = asyncio.all_tasks()

    async def caller() -> None:
        async with eager(slow) as aha:
            async for result in aha.run(features(300)):
                assert result.job / 0

    with pytest.raises(ZeroDivisionError):
        await caller()
    assert tasks_besides(known) == set()
    assert len(written(slow)) < 300


async def test_a_caller_that_is_cancelled_takes_its_run_along(slow: Sandbox, tmp_path: Path) -> None:
    """Cancelled from outside: what was written has its line, nothing new is sent, no task is left."""
    known = asyncio.all_tasks()
    path = tmp_path / "results.jsonl"
    begun = asyncio.Event()

    async def caller() -> None:
        async with eager(slow) as aha:
            async for _ in aha.run(features(300), path):
                begun.set()

    task = asyncio.create_task(caller())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert tasks_besides(known) == set()
    assert {line["id"] for line in lines_of(path)} == written(slow)
    assert len(written(slow)) < 300


async def test_stop_lets_what_is_under_way_end(slow: Sandbox) -> None:
    """After `stop()` the results of what was under way still come; what has no result was not written."""
    results: list[Result] = []
    async with eager(slow) as aha:
        run = aha.run(features(300))
        async for result in run:
            results.append(result)
            run.stop()
    assert 1 <= len(results) < 300
    assert {result.status for result in results} == {Status.LINKED}
    assert {result.id for result in results} == written(slow)
    assert not run.summary.ok


async def test_what_was_written_has_its_line_however_slow_the_reader_is(slow: Sandbox, tmp_path: Path) -> None:
    """A run that is stopped while its reader holds it up, for longer than the drain lasts, loses no result."""
    path = tmp_path / "results.jsonl"
    async with eager(slow, concurrency=2, drain_s=0.01) as aha:
        run = aha.run([{**job, "key": place} for place in range(200) for job in features(20)], path)
        results = aiter(run)
        first = await anext(results)
        chunks = run._pipeline._writer._chunks
        await until(lambda: len(chunks) == 6 and len(written(slow)) - run.progress().targets_done == 2)
        for _ in range(100):  # turns of the loop, in which the last answers arrive
            await asyncio.sleep(0)
        run.stop()
        await until(lambda: not any("Workers._work" in repr(task) for task in asyncio.all_tasks()))  # they are cut off
        rest = [result async for result in results]
    assert {result.id for result in [first, *rest]} == written(slow)
    assert len(path.read_bytes().splitlines()) == 1 + len(rest)


async def test_a_run_that_is_abandoned_keeps_whole_lines(slow: Sandbox, tmp_path: Path) -> None:
    """Ended at once: the file's lines are whole, and each is of a job that was written."""
    path = tmp_path / "results.jsonl"
    async with eager(slow) as aha:
        run = aha.run(features(300), path)
        results = aiter(run)
        await anext(results)
        run.abandon()
        with pytest.raises(asyncio.CancelledError):
            await read_into([], results)
    lines = lines_of(path)
    assert {line["id"] for line in lines} <= written(slow)
    assert run.summary.jobs == len(lines) >= 1


async def test_a_run_stopped_before_it_began_sends_nothing(slow: Sandbox) -> None:
    """`stop()` before the iteration: it ends at once, and nobody was asked anything."""
    async with eager(slow) as aha:
        run = aha.run(features(10))
        run.stop()
        assert await results_of(run) == []
    assert slow.stats.requests == 0
    assert not run.summary.ok


@pytest.mark.parametrize("new", [1, 3], ids=["waits for its retry", "wait for their page"])
async def test_a_put_that_was_noted_and_never_left_is_not_left_open(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new: int
) -> None:
    """What was read is too old when the PUT may leave, and the second look fails: nothing was sent, nothing is open."""
    monkeypatch.setattr("linker.retry.sender.random.uniform", lambda *_: 3600.0)
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-50", "customers", [ACME])  # the list shows links, so missing is none
    for job in features(3)[new:]:
        sandbox.account.set_links(Kind.FEATURE, job["id"], "customers", [ACME])
    sandbox.faults.script(None, 503)  # the list's page, and the look after it
    path = tmp_path / "results.jsonl"
    async with eager(sandbox, max_age=0) as aha:
        run = aha.run(features(3), path)
        results: list[Result] = []
        reading = asyncio.create_task(read_into(results, run))
        await until(lambda: sandbox.stats.requests == 2 and journal_of(path).read_bytes().count(b"intent") == new)
        await until(lambda: not run._pipeline._pool._leases.locked())
        run.stop()
        await reading
    assert sandbox.stats.methods["PUT"] == 0
    assert left_open(journal_of(path)) == {}
    assert names(tmp_path, "*.journal") == []


async def test_a_run_is_iterated_once(sandbox: Sandbox) -> None:
    """The second iteration raises instead of sending everything again."""
    async with eager(sandbox) as aha:
        run = aha.run(features(1))
        await results_of(run)
        with pytest.raises(linker.UsageError, match="once"):
            await results_of(run)
    assert sandbox.stats.methods["PUT"] == 1


async def test_nothing_is_sent_before_the_iteration(sandbox: Sandbox, tmp_path: Path) -> None:
    """A run that nobody iterates over makes no request and no file."""
    async with eager(sandbox) as aha:
        aha.run(features(1), tmp_path / "results.jsonl")
    assert sandbox.stats.requests == 0
    assert names(tmp_path) == []


async def test_results_that_exist_are_not_written_over(sandbox: Sandbox, tmp_path: Path) -> None:
    """ResultsExist, nothing sent, the file as it was; with `overwrite` it is kept under a dated name."""
    path = tmp_path / "links.results.jsonl"
    path.write_text("mine\n")
    async with eager(sandbox) as aha:
        with pytest.raises(linker.ResultsExist, match="--overwrite"):
            await results_of(aha.run(features(1), path))
        assert sandbox.stats.requests == 0
        assert path.read_text() == "mine\n"
        await results_of(aha.run(features(1), path, overwrite=True))
    (kept,) = names(tmp_path, "links.results.2*.jsonl")
    assert (tmp_path / kept).read_text() == "mine\n"
    assert [line["status"] for line in lines_of(path)] == ["linked"]


async def test_an_iterable_that_breaks_breaks_the_run_with_its_own_error(sandbox: Sandbox) -> None:
    """What the caller's generator raises comes out as it was, and nothing was sent: the batch was not whole."""

    def jobs() -> Iterator[dict[str, Any]]:
        yield {"id": "PRJ1-1", "links": {"customers": [ACME]}}
        raise KeyError("the crm's own trouble")

    async with eager(sandbox) as aha:
        with pytest.raises(KeyError, match="the crm's own trouble"):
            await results_of(aha.run(jobs()))
    assert sandbox.stats.requests == 0


async def test_two_runs_of_one_linker_go_on_at_once(slow: Sandbox) -> None:
    """Two batches side by side share the rate limiter and are both done."""
    async with eager(slow, rate=("200/1s",)) as aha:
        runs = [aha.run(features(10)), aha.run([{"id": "PRJ1-E-1", "links": {"customers": [ACME]}}])]
        both = await asyncio.gather(*map(results_of, runs))
    assert [len(results) for results in both] == [10, 1]
    assert {result.status for results in both for result in results} == {Status.LINKED}


async def test_a_token_that_is_rejected_leaves_nothing_behind(sandbox: Sandbox, tmp_path: Path) -> None:
    """A blind run's first request is a PUT: a 401 has not changed anything, so there is neither results nor journal."""
    async with eager(sandbox, blind=True, concurrency=1) as aha:
        sandbox.faults.script(401)
        with pytest.raises(linker.Unauthorized):
            await results_of(aha.run(features(2), tmp_path / "results.jsonl"))
    assert sandbox.stats.requests == 1
    assert names(tmp_path) == []
