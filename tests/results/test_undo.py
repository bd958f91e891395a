"""Undo: what a run changed is taken back, write by write, and what others did since stays."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from support.runs import ACME, ZANE, eager, features, lines_of, read_into, results_of, write_jobs

from linker import ErrorType, Kind, Result, Status, TooManyRemovals, UndoFile, UsageError
from linker.batch.change import FieldChange
from linker.results.result import Planned
from linker.sandbox import Sandbox
from linker.sources import Reading

CONTRACT = "7036045937940700101"


def customers(sandbox: Sandbox) -> list[str]:
    """Ids of customers."""
    return [str(each.id) for each in sandbox.account.listed(Kind.CUSTOM_OBJECT_RECORD) if each.table == "customers"]


def join(path: Path, *others: Path, more: bytes = b"") -> None:
    """Append files to a file, as runs that went on later do, and perhaps something else."""
    path.write_bytes(b"".join(each.read_bytes() for each in (path, *others)) + more)


def size_of(path: Path) -> int:
    """Bytes of a file."""
    return path.stat().st_size


async def run(sandbox: Sandbox, jobs: Any, results: Path | None = None, **options: Any) -> list[Result]:
    """All results of a run, written to a file."""
    async with eager(sandbox) as aha:
        return await results_of(aha.run(jobs, results, **options))


async def undo(sandbox: Sandbox, results: Path, undone: Path | None = None, **options: Any) -> list[Result]:
    """All results of a run that takes back what another did."""
    return await run(sandbox, UndoFile(results), undone, **options)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a run's results go."""
    return tmp_path / "links.results.jsonl"


MIXED: list[dict[str, Any]] = [
    {"id": "PRJ1-1", "links": {"customers": [ACME]}},
    {"id": "PRJ1-2", "links": {"customers": []}},
    {"id": "PRJ1-3", "links": {"customers": [ZANE]}, "mode": "add"},
    {"id": "PRJ1-4", "links": {"customers": [ACME]}, "mode": "remove"},
    {"id": "PRJ1-5", "links": {"customers": [ACME], "contracts": [CONTRACT]}},
    {"id": "PRJ1-5", "links": {"customers": [ZANE]}},
    {"id": "PRJ1-6", "links": {"customers": [ACME, ZANE]}, "mode": "remove"},
    {"id": "PRJ1-6", "links": {"contracts": [CONTRACT]}, "mode": "add"},
    {"id": "PRJ1-7", "links": {"customers": [ACME]}, "mode": "add"},
    {"id": "PRJ1-E-1", "links": {"customers": [ACME]}},
    {"id": "PRJ1-I-1", "links": {"revenue": [], "customers": [ZANE]}},
    {"id": "PRJ1-8", "links": {"customers": [1.5]}},
    {"id": "PRJ1-8", "links": {"customers": [ACME]}},
    {"id": "PRJ1-9", "links": {"customers": ["12345"]}},
    {"id": "PRJ1-10", "links": {"custommers": [ACME]}},
    {"id": "PRJ1-10", "links": {"customers": [ACME]}},
    {"id": "PRJ1-11", "links": {"customers": ["12345"]}, "mode": "add"},
    {"id": "PRJ1-11", "links": {"customers": [ZANE]}, "mode": "add"},
    {"id": "PRJ9-1", "links": {"customers": [ACME]}},
]


def set_up(sandbox: Sandbox) -> dict[Any, Any]:
    """Some links for `MIXED` to change; what the account holds then."""
    for number, ids in {
        1: [ZANE],
        2: [ACME, ZANE],
        3: [ACME],
        4: [ACME, ZANE],
        6: [ACME],
        7: [ACME],
        11: [ACME],
    }.items():
        sandbox.account.set_links(Kind.FEATURE, f"PRJ1-{number}", "customers", ids)
    return sandbox.account.all_links()


async def test_a_run_that_is_undone_leaves_exactly_what_was_there(sandbox: Sandbox, path: Path) -> None:
    """All modes, several fields, merged jobs; failed, dropped and rejected ones in between: all is as before."""
    before = set_up(sandbox)
    results = await run(sandbox, MIXED, path)
    assert {result.status for result in results} == set(Status)
    assert sandbox.account.all_links() != before
    undone = await undo(sandbox, path)
    assert sandbox.account.all_links() == before
    assert {result.status for result in undone} == {Status.LINKED}
    assert {result.id for result in undone} == {f"PRJ1-{n}" for n in (1, 2, 3, 4, 5, 6, 10, 11)} | {
        "PRJ1-E-1",
        "PRJ1-I-1",
    }


async def test_an_undo_costs_one_put_a_target_that_was_written(sandbox: Sandbox, path: Path) -> None:
    """Additions and removals, in all fields, go together; what was unchanged is left alone."""
    set_up(sandbox)
    results = await run(sandbox, MIXED, path)
    puts = sandbox.stats.methods["PUT"]
    await undo(sandbox, path)
    written = {result.id for result in results if result.changes}
    assert sandbox.stats.methods["PUT"] - puts == len(written)


async def test_jobs_of_one_target_by_two_names_are_undone_once(sandbox: Sandbox, path: Path) -> None:
    """Each line tells the same change under its own name: taken back in one PUT."""
    found = sandbox.account.find(Kind.FEATURE, "PRJ1-1")
    assert found is not None
    before = sandbox.account.all_links()
    await run(sandbox, [*features(1), {"kind": "feature", "id": found.id, "links": {"customers": [ZANE]}}], path)
    puts = sandbox.stats.methods["PUT"]
    await undo(sandbox, path)
    assert sandbox.account.all_links() == before
    assert sandbox.stats.methods["PUT"] == puts + 1


async def test_others_later_work_stays(sandbox: Sandbox, path: Path) -> None:
    """What a colleague added or took away after the run is as he left it; the undo's own part is taken back."""
    first, second, third, *_ = (id for id in customers(sandbox) if id not in (ACME, ZANE))
    for number in range(1, 5):
        sandbox.account.set_links(Kind.FEATURE, f"PRJ1-{number}", "customers", [ZANE, first])
    await run(sandbox, features(4, ACME, first, second), path)  # adds Acme and the second, removes Zane
    account = sandbox.account
    account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ACME, first, second, third])
    account.set_links(Kind.FEATURE, "PRJ1-2", "customers", [ACME, second])
    account.set_links(Kind.FEATURE, "PRJ1-3", "customers", [first])
    account.set_links(Kind.FEATURE, "PRJ1-4", "customers", [ZANE, first])
    results = await undo(sandbox, path)
    held = [set(account.links(Kind.FEATURE, f"PRJ1-{number}")["customers"]) for number in range(1, 5)]
    assert held == [{ZANE, first, third}, {ZANE}, {ZANE, first}, {ZANE, first}]
    assert {result.status for result in results if result.id == "PRJ1-4"} == {Status.UNCHANGED}


async def test_an_undo_is_planned_like_any_other_run(sandbox: Sandbox, path: Path) -> None:
    """The plan foretells its PUTs and sends none, and its file tells what was there before the run."""
    set_up(sandbox)
    await run(sandbox, MIXED, path)
    puts = sandbox.stats.methods["PUT"]
    source = UndoFile(path)
    async with eager(sandbox) as aha:
        plan = await aha.plan(source)
    assert sandbox.stats.methods["PUT"] == puts
    assert plan.readable
    assert all(isinstance(change, Planned) for change in plan.changes)
    for change in plan.changes:
        for field, ids in change.change.put.items():
            assert source.before[change.change.target][field] == ids
    await undo(sandbox, path)
    assert sandbox.stats.methods["PUT"] - puts == plan.puts


async def test_an_undo_is_undone(sandbox: Sandbox, path: Path, tmp_path: Path) -> None:
    """Undo of an undo is what the run had made, and undone again what was there before."""
    before = set_up(sandbox)
    await run(sandbox, MIXED, path)
    after = sandbox.account.all_links()
    await undo(sandbox, path, tmp_path / "first.jsonl")
    assert sandbox.account.all_links() == before
    await undo(sandbox, tmp_path / "first.jsonl", tmp_path / "second.jsonl")
    assert sandbox.account.all_links() == after
    await undo(sandbox, tmp_path / "second.jsonl")
    assert sandbox.account.all_links() == before


async def test_a_second_undo_writes_nothing(sandbox: Sandbox, path: Path) -> None:
    """What is taken back already is so already."""
    set_up(sandbox)
    await run(sandbox, MIXED, path)
    await undo(sandbox, path)
    puts = sandbox.stats.methods["PUT"]
    assert {result.status for result in await undo(sandbox, path)} == {Status.UNCHANGED}
    assert sandbox.stats.methods["PUT"] == puts


async def test_of_several_writes_the_oldest_tells_what_was_there(sandbox: Sandbox, path: Path, tmp_path: Path) -> None:
    """The lines of two runs in one file: an id that came and went, and one that went and came, are as at first."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ZANE])
    before = sandbox.account.all_links()
    second = tmp_path / "second.jsonl"
    await run(sandbox, features(1, ACME), path)
    await run(sandbox, features(1, ZANE), second)
    await run(sandbox, features(1, ACME), tmp_path / "third.jsonl")
    join(path, second, tmp_path / "third.jsonl")
    await undo(sandbox, path)
    assert sandbox.account.all_links() == before


@pytest.mark.parametrize("why", ["blind", "unseen"])
async def test_a_line_without_a_delta_is_named_and_left(sandbox: Sandbox, path: Path, tmp_path: Path, why: str) -> None:
    """What a blind PUT did, or one on a target that shows no links, is not known: rejected by its line, and left."""
    target = "PRJ1-1" if why == "blind" else "PRJ2"
    kind = Kind.FEATURE if why == "blind" else Kind.PRODUCT
    job = {"id": target, "links": {"customers": [ACME]}, "key": "row 7"}
    pioneer = [] if why == "blind" else [{"id": "PRJ1", "links": {"customers": [ACME]}}]  # its line tells what it asked
    await run(sandbox, [*pioneer, job], tmp_path / "first.jsonl", blind=why == "blind")
    path.write_bytes((tmp_path / "first.jsonl").read_bytes().splitlines(keepends=True)[-1])
    others = path.with_name("others.jsonl")
    await run(sandbox, [{"id": "PRJ1-2", "links": {"customers": [ACME]}}], others)
    join(path, others)
    left, undone = await undo(sandbox, path)
    assert (left.status, left.id, left.line, left.source, left.key) == (Status.REJECTED, target, 1, str(path), "row 7")
    assert left.error is not None
    assert left.error.type is ErrorType.INVALID_JOB
    assert "cannot undo it" in left.error.message
    assert (undone.status, undone.id, undone.line) == (Status.LINKED, "PRJ1-2", 2)
    assert sandbox.account.links(kind, target)["customers"] == [ACME]
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-2") == {}


@pytest.mark.parametrize("what", ["reset_after", "reset", 502])
async def test_of_a_put_that_may_have_arrived_what_is_there_is_taken_back(
    sandbox: Sandbox, path: Path, what: str | int
) -> None:
    """Its job has failed, and its line says what was asked: the undo takes away what is there of it."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ZANE])
    sandbox.faults.script(None, what)
    async with eager(sandbox, attempts=1) as aha:
        (failed,) = await results_of(aha.run(features(1), path))
    assert failed.status is Status.FAILED
    assert failed.changes == {"customers": FieldChange([ACME], [ZANE])}
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1")["customers"] == [ACME if what == "reset_after" else ZANE]
    undone = await undo(sandbox, path)
    assert {result.status for result in undone} == {Status.LINKED if what == "reset_after" else Status.UNCHANGED}
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1")["customers"] == [ZANE]


@pytest.mark.parametrize("what", ["reset_after", "reset"])
async def test_a_search_that_was_broken_off_is_taken_back_too(sandbox: Sandbox, path: Path, what: str) -> None:
    """A shared PUT was refused, and each answer to its part was lost: both jobs failed, and say what was asked."""
    sandbox.faults.script(None, None, *[what] * 3)
    jobs = [{"id": "PRJ1-1", "links": {"customers": [id]}, "mode": "add"} for id in (ACME, "12345")]
    async with eager(sandbox, attempts=3) as aha:
        failed = await results_of(aha.run(jobs, path))
    assert [result.status for result in failed] == [Status.FAILED] * 2
    assert [result.changes for result in failed] == [{"customers": FieldChange([ACME], [])}] * 2
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1")["customers"] == ([ACME] if what == "reset_after" else [])
    await undo(sandbox, path)
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1")["customers"] == []


async def test_what_was_refused_for_good_is_nothing_to_undo(sandbox: Sandbox, path: Path) -> None:
    """A PUT that the account did not take changed nothing, and is not mentioned."""
    await run(sandbox, features(1, "12345"), path)
    assert await undo(sandbox, path) == []


async def test_a_line_may_be_long(sandbox: Sandbox, path: Path) -> None:
    """A target with very many links has a line of more than a megabyte, which is undone like any other."""
    many = [str(7 * 10**18 + number) for number in range(20_000)]
    line = {"kind": "feature", "id": "PRJ1-1", "status": "linked", "change": 0, "before": {"customers": many}}
    changes = {"customers": {"added": [ACME], "removed": []}}
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ACME, ZANE])
    write_jobs(
        path, [{**line, "after": {"customers": [ACME, *many]}, "links": {"customers": many}, "changes": changes}]
    )
    assert size_of(path) > 1_000_000
    (result,) = await undo(sandbox, path)
    assert result.status is Status.LINKED
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1")["customers"] == [ZANE]


async def test_reading_a_file_lets_everything_else_go_on(sandbox: Sandbox, path: Path) -> None:
    """However large it is: signals and progress are dealt with while it is read."""
    await run(sandbox, features(3), path)
    went_on = asyncio.Event()
    asyncio.get_running_loop().call_soon(went_on.set)
    async for entries in UndoFile(path).entries(Reading()):
        assert entries
        assert went_on.is_set()


async def test_there_must_be_a_results_file(sandbox: Sandbox, tmp_path: Path) -> None:
    """A `UsageError` that names it; nobody was asked anything."""
    for path in (tmp_path / "missing.jsonl", tmp_path):
        with pytest.raises(UsageError, match="there is no such results file"):
            await undo(sandbox, path)
    assert sandbox.stats.requests == 0


@pytest.mark.parametrize(
    "line",
    [
        b'{"job":0,"line":1,"source":"a.jsonl","status":"lin',
        b"[1, 2]",
        b"17",
        b'{"id": "PRJ1-1", "links": {"customers": ["640362830"]}}',
        b'{"status": "linked", "change": 0, "changes": {"customers": []}, "id": "PRJ1-1", "kind": "feature"}',
        b'{"status": "linked", "change": 0, "changes": [], "id": "PRJ1-1", "kind": "feature"}',
        b'{"status": "linked", "change": 0, "id": "A-1", "kind": null, "changes": {"a": {"added": ["x"]}}}',
        b'{"status": "linked", "change": 0, "changes": {}, "id": "nonsense!", "kind": "feature"}',
        b'{"status": "linked", "change": 0, "changes": {}, "id": null, "kind": "feature"}',
        b"id,kind,field,record_ids",
        b"\xff\xfe",
    ],
)
async def test_a_torn_or_foreign_file_is_refused(sandbox: Sandbox, path: Path, line: bytes) -> None:
    """Not a half of it is undone: a `UsageError` that names the line, before anything is sent."""
    await run(sandbox, features(2), path)
    requests = sandbox.stats.requests
    join(path, more=b"\n" + line)
    with pytest.raises(UsageError, match=r"links\.results\.jsonl line 4: this is not a line of a results file"):
        await undo(sandbox, path)
    assert sandbox.stats.requests == requests


async def test_keys_that_are_not_known_are_passed_over(sandbox: Sandbox, path: Path) -> None:
    """Lines may gain keys: a later version's file is undone too."""
    before = sandbox.account.all_links()
    await run(sandbox, features(2), path)
    write_jobs(path, [{**line, "colour": "red"} for line in lines_of(path)])
    await undo(sandbox, path)
    assert sandbox.account.all_links() == before


async def test_an_undo_names_its_own_results_after_the_run(path: Path) -> None:
    """`links.results.jsonl` is undone into `links.undo.results.jsonl`: its stem is `links.undo`."""
    assert UndoFile(path).stem == "links.undo"
    assert UndoFile("elsewhere/a.jsonl").stem == "a.undo"


async def test_a_run_that_was_stopped_is_undone_as_far_as_it_got(sandbox: Sandbox, path: Path) -> None:
    """After `stop()` in mid-run, the lines are what was written, and the undo is whole."""
    before = sandbox.account.all_links()
    results: list[Result] = []
    async with eager(sandbox, concurrency=2) as aha:
        stopped = aha.run(features(100), path)
        async for result in stopped:
            results.append(result)
            stopped.stop()
    assert 0 < len(results) < 100
    await undo(sandbox, path)
    assert sandbox.account.all_links() == before


async def test_the_guard_counts_for_an_undo_too(sandbox: Sandbox, path: Path) -> None:
    """Taking back many additions is taking away many links: `yes` lets it through."""
    before = sandbox.account.all_links()
    records = customers(sandbox)[:30]
    await run(sandbox, features(5, *records), path)
    with pytest.raises(TooManyRemovals, match="but may remove at most 100"):
        async with eager(sandbox, max_removals=100) as aha:
            await read_into([], aha.run(UndoFile(path)))
    await undo(sandbox, path, yes=True)
    assert sandbox.account.all_links() == before
