"""Going on with a run: what is done is passed over, what is not is done as a whole, and no line counts twice."""

from __future__ import annotations

import asyncio
import signal
import sys
import tracemalloc
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from support.command import Command
from support.runs import ACME, ZANE, eager, features, lines_of, names, results_of, write_jobs, written

import linker
from linker import Kind, Status
from linker.batch.change import Intent
from linker.disk.lines import DISK
from linker.model.target import Target
from linker.results.journal import Journal, journal_of, left_open
from linker.results.resume import read_done
from linker.sandbox import Sandbox

CUSTOMERS = "customers"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The results file."""
    return tmp_path / "links.results.jsonl"


def job(id: str, *ids: str, mode: str = "replace", key: Any = None, field: str = CUSTOMERS) -> dict[str, Any]:
    """A job of one field."""
    return {"id": id, "links": {field: list(ids)}, "mode": mode, "key": key}


async def run(sandbox: Sandbox, jobs: Any, path: Path, *, resume: bool = True, **options: Any) -> linker.Summary:
    """A run to its end."""
    failed_only = options.pop("failed_only", False)
    async with eager(sandbox, **options) as aha:
        batch = aha.run(jobs, path, resume=resume, failed_only=failed_only)
        await results_of(batch)
        return batch.summary


def held(sandbox: Sandbox, id: str, field: str = CUSTOMERS) -> list[str]:
    """What a feature holds."""
    return sandbox.account.links(Kind.FEATURE, id).get(field, [])


def last_lines(path: Path) -> dict[str, str]:
    """The status of each target's last line."""
    return {line["id"]: line["status"] for line in map(orjson.loads, path.read_bytes().splitlines())}


async def test_without_a_results_file_a_resume_simply_starts(sandbox: Sandbox, path: Path) -> None:
    """The nightly job may always say --resume."""
    summary = await run(sandbox, features(3), path)
    assert (summary.linked, summary.passed_over) == (3, 0)
    assert [orjson.loads(line).get("run") for line in path.read_bytes().splitlines()] == [0, None, None]


async def test_what_is_done_is_passed_over(sandbox: Sandbox, path: Path) -> None:
    """A second time costs no request and writes no line, however the file's lines are moved."""
    await run(sandbox, features(4), path)
    asked = sandbox.stats.requests
    summary = await run(sandbox, features(4)[::-1], path)
    assert (summary.jobs, summary.passed_over, summary.requests) == (0, 4, 0)
    assert summary.ok
    assert sandbox.stats.requests == asked
    assert len(lines_of(path)) == 4


async def test_lines_added_mended_and_taken_out_since_are_seen(sandbox: Sandbox, path: Path) -> None:
    """What is new is done; a target of which a line is mended or gone is done again as a whole."""
    await run(sandbox, [*features(2), job("PRJ1-3", ACME), job("PRJ1-3", ZANE)], path)
    assert held(sandbox, "PRJ1-3") == [ZANE, ACME]
    summary = await run(sandbox, [job("PRJ1-4", ACME), job("PRJ1-1", ZANE), job("PRJ1-2", ACME)], path)
    assert (summary.linked, summary.passed_over) == (2, 1)
    assert held(sandbox, "PRJ1-1") == [ZANE]
    summary = await run(sandbox, [job("PRJ1-3", ZANE)], path)
    assert (summary.linked, summary.passed_over) == (1, 0)
    assert held(sandbox, "PRJ1-3") == [ZANE]
    runs = [line.get("run") for line in map(orjson.loads, path.read_bytes().splitlines())]
    assert runs == [0, None, None, None, 1, 1, 2]


async def test_a_job_given_twice_is_two_jobs(sandbox: Sandbox, path: Path) -> None:
    """Its content is the same and it has two lines; a third one makes the target be done again."""
    await run(sandbox, features(1) * 2, path)
    assert len(lines_of(path)) == 2
    assert (await run(sandbox, features(1) * 2, path)).passed_over == 2
    summary = await run(sandbox, features(1) * 3, path)
    assert (summary.passed_over, summary.unchanged) == (0, 3)
    assert (await run(sandbox, features(1) * 3, path)).passed_over == 3


async def test_the_order_of_keys_and_fields_is_no_content(sandbox: Sandbox, path: Path) -> None:
    """A file that was written anew by another program is the same file."""
    one = {"id": "PRJ1-1", "links": {CUSTOMERS: [ACME], "contracts": []}, "key": {"a": 1, "b": [{"c": 2, "d": 3}]}}
    other = {
        "links": {"contracts": [], CUSTOMERS: [int(ACME)]},
        "key": {"b": [{"d": 3, "c": 2}], "a": 1},
        "id": "prj1-1",
    }
    await run(sandbox, [one], path)
    assert (await run(sandbox, [other], path)).passed_over == 1
    assert (await run(sandbox, [{**other, "key": None}], path)).passed_over == 0


async def test_half_of_a_target_is_never_done_alone(sandbox: Sandbox, path: Path) -> None:
    """`replace [B]` alone, after `replace [A]` was linked, would wipe A: both enter the formula again."""
    jobs = [job("PRJ1-1", ACME), job("PRJ1-1", "12345"), job("PRJ1-2", ACME)]
    first = await run(sandbox, jobs, path)
    assert (first.linked, first.failed, first.rejected) == (1, 1, 1)
    jobs[1] = job("PRJ1-1", ZANE)
    second = await run(sandbox, jobs, path)
    assert (second.linked, second.failed, second.passed_over) == (2, 0, 1)
    assert held(sandbox, "PRJ1-1") == [ZANE, ACME]


async def test_failed_only_leaves_what_was_never_tried(sandbox: Sandbox, path: Path) -> None:
    """Just the targets with a failed or rejected job; those without a line stay for a plain resume."""
    sandbox.faults.script(None, 404)
    first = await run(sandbox, features(2), path, concurrency=1)
    assert (first.linked, first.failed) == (1, 1)
    summary = await run(sandbox, features(4), path, failed_only=True)
    assert (summary.linked, summary.jobs) == (1, 1)
    assert held(sandbox, "PRJ1-3") == []
    assert (await run(sandbox, features(4), path)).linked == 2


async def test_failed_only_takes_results_to_go_on_from(sandbox: Sandbox, path: Path) -> None:
    """Without them it is a mistake, and nothing is sent."""
    with pytest.raises(linker.UsageError, match="no results of an earlier run"):
        await run(sandbox, features(1), path, failed_only=True)
    assert sandbox.stats.requests == 0
    assert names(path.parent) == []


async def test_rejected_lines_hold_their_targets_back_again(sandbox: Sandbox, path: Path) -> None:
    """A line that is no job is rejected on each resume, and what it holds back stays held back until it is mended."""
    jobs = [job("PRJ1-1", ACME), {"id": "PRJ1-1", "links": {CUSTOMERS: [1.5]}}, job("PRJ1-2", ACME)]
    assert (await run(sandbox, jobs, path)).rejected == 2
    again = await run(sandbox, jobs, path)
    assert (again.rejected, again.passed_over) == (2, 1)
    jobs[1] = job("PRJ1-1", ZANE)
    assert (await run(sandbox, jobs, path)).linked == 2
    assert held(sandbox, "PRJ1-1") == [ZANE, ACME]


@pytest.mark.parametrize("number_first", [True, False])
async def test_a_target_by_two_names_is_done_as_a_whole(sandbox: Sandbox, path: Path, number_first: bool) -> None:
    """One of its jobs goes by its number: the other is passed over, until the account says whose it is."""
    number = str(sandbox.account.find(Kind.FEATURE, "PRJ1-1").id)  # type: ignore[union-attr]
    names = [number, "PRJ1-1"] if number_first else ["PRJ1-1", number]
    jobs = [{**job(names[0], ACME), "kind": "feature"}, {**job(names[1], "12345"), "kind": "feature"}]
    assert (await run(sandbox, jobs, path)).failed == 1
    jobs[1]["links"] = {CUSTOMERS: [ZANE]}
    assert (await run(sandbox, jobs, path)).linked == 2
    assert held(sandbox, "PRJ1-1") == [ZANE, ACME]


async def test_a_last_line_torn_by_a_crash_is_mended(sandbox: Sandbox, path: Path, caplog: Any) -> None:
    """Half a line is cut off and its job done again; one that lacks but its end is a line."""
    await run(sandbox, features(3), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    assert (await run(sandbox, features(3), path)).passed_over == 2
    assert "mended" in caplog.text
    path.write_bytes(whole[:-1])
    assert (await run(sandbox, features(3), path)).passed_over == 3
    assert path.read_bytes() == whole


@pytest.mark.parametrize("theirs", [b"id,what\nPRJ1-1,no end of the line", b'{"id": "PRJ1-1"}', b"x"])
async def test_a_file_of_somebody_else_s_is_not_touched(sandbox: Sandbox, path: Path, theirs: bytes) -> None:
    """A slip of the keyboard (`--results crm.csv --resume`) costs no byte of it."""
    path.write_bytes(theirs)
    with pytest.raises(linker.UsageError, match="this is not a line of a results file"):
        await run(sandbox, features(1), path)
    assert path.read_bytes() == theirs
    assert names(path.parent) == [path.name]


async def test_a_line_torn_in_the_middle_is_named(sandbox: Sandbox, path: Path) -> None:
    """What cannot be read cannot be gone on from: the error says which line, and nothing is sent or changed."""
    await run(sandbox, features(3), path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:-30] + b"\n" + lines[2])
    asked, there = sandbox.stats.requests, path.read_bytes()
    with pytest.raises(linker.UsageError, match=r"links\.results\.jsonl line 2: this is not a line of a results file"):
        await run(sandbox, features(3), path)
    assert sandbox.stats.requests == asked
    assert path.read_bytes() == there


async def test_one_run_at_a_time(sandbox: Sandbox, path: Path) -> None:
    """The second is refused by a lock of the system's, and told which process has the file; so is an undo."""
    async with eager(sandbox) as aha:
        first = aha.run(features(5), path)
        results = aiter(first)
        await anext(results)
        for resume in (True, False):
            with pytest.raises(linker.UsageError, match=r"is in use by another run \(process \d+\)"):
                await results_of(aha.run(features(5), path, resume=resume, overwrite=not resume))
        with pytest.raises(linker.UsageError, match="is in use by another run"):
            await results_of(aha.run(linker.UndoFile(path), path.with_name("undo.jsonl")))
        assert len([result async for result in results]) == 4
    assert len(lines_of(path)) == 5


async def cut_off(path: Path, before: list[str] | None, put: list[str], id: str = "PRJ1-1") -> None:
    """What a run leaves that was killed when a PUT had left, and its answer had not come."""
    path.touch()
    journal = Journal(journal_of(path), DISK, "flush")
    journal.open(anew=True)
    known = None if before is None else {CUSTOMERS: frozenset(before)}
    await journal.note(Intent(Target(Kind.FEATURE, id), {CUSTOMERS: frozenset(put)}, known))
    journal.close()


async def test_a_put_that_arrived_is_told_with_its_own_delta(sandbox: Sandbox, path: Path) -> None:
    """Killed before the answer: the status is `linked` and not `unchanged`, and the undo restores exactly."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", CUSTOMERS, [ACME])
    await cut_off(path, [ZANE], [ACME])
    summary = await run(sandbox, features(1), path)
    assert (summary.linked, sandbox.stats.methods["PUT"]) == (1, 0)
    (line,) = lines_of(path)
    assert (line["status"], line["before"], line["after"]) == ("linked", {CUSTOMERS: [ZANE]}, {CUSTOMERS: [ACME]})
    assert line["changes"] == {CUSTOMERS: {"added": [ACME], "removed": [ZANE]}}
    assert not journal_of(path).exists()
    async with eager(sandbox) as aha:
        await results_of(aha.run(linker.UndoFile(path)))
    assert held(sandbox, "PRJ1-1") == [ZANE]


async def test_a_put_that_did_not_arrive_is_sent(sandbox: Sandbox, path: Path) -> None:
    """It is read afresh; what a colleague has done meanwhile is not taken for ours."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", CUSTOMERS, [ACME])  # a colleague, half of what we meant
    await cut_off(path, [], [ACME, ZANE])
    await run(sandbox, features(1, ACME, ZANE), path)
    (line,) = lines_of(path)
    assert (line["status"], line["before"]) == ("linked", {CUSTOMERS: [ACME]})
    assert line["changes"] == {CUSTOMERS: {"added": [ZANE], "removed": []}}


async def test_a_colleague_s_edit_after_the_kill_is_the_colleague_s(sandbox: Sandbox, path: Path) -> None:
    """The PUT had arrived, then somebody added a link: ours is told, theirs is `before`, and the undo leaves it."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", CUSTOMERS, [ACME, ZANE])
    await cut_off(path, [], [ACME])
    await run(sandbox, [job("PRJ1-1", ACME, mode="add")], path)
    (line,) = lines_of(path)
    assert (line["status"], line["before"]) == ("linked", {CUSTOMERS: [ZANE]})
    async with eager(sandbox) as aha:
        await results_of(aha.run(linker.UndoFile(path)))
    assert held(sandbox, "PRJ1-1") == [ZANE]


async def test_a_run_that_was_cut_off_is_undone_without_a_resume(sandbox: Sandbox, path: Path) -> None:
    """The undo takes the journal's word: what is there of a PUT is taken back."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", CUSTOMERS, [ACME])
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-2", CUSTOMERS, [ZANE])
    await cut_off(path, [ZANE], [ACME])
    async with eager(sandbox) as aha:
        await results_of(aha.run(linker.UndoFile(path)))
    assert held(sandbox, "PRJ1-1") == [ZANE]


async def test_the_journal_stays_while_a_put_is_open_that_no_job_asks_for_any_more(
    sandbox: Sandbox, path: Path
) -> None:
    """Its line was taken out of the file meanwhile: nothing else knows what that PUT has done."""
    await cut_off(path, [], [ACME], id="PRJ1-9")
    await run(sandbox, features(1), path)
    assert set(left_open(journal_of(path))) == {Target(Kind.FEATURE, "PRJ1-9")}


async def test_a_mirror_tells_of_the_clear_that_was_cut_off(sandbox: Sandbox, path: Path) -> None:
    """The target holds nothing any more, so that the mirror alone would not name it."""
    await cut_off(path, [ACME], [], id="PRJ1-5")
    await run(sandbox, features(1), path, mirror=("feature:PRJ1", CUSTOMERS), yes=True)
    told = {line["id"]: line for line in lines_of(path)}
    assert told["PRJ1-5"]["changes"] == {CUSTOMERS: {"added": [], "removed": [ACME]}}
    assert told["PRJ1-5"]["status"] == "linked"


async def test_numbers_of_puts_go_on(sandbox: Sandbox, path: Path) -> None:
    """A PUT of a resume has a number that no earlier one has: the undo keeps them apart."""
    await run(sandbox, features(3), path)
    await run(sandbox, features(6), path)
    assert sorted(line["change"] for line in lines_of(path)) == list(range(6))


async def test_a_blind_put_that_arrived_is_linked_with_nothing_known(sandbox: Sandbox, path: Path) -> None:
    """What it changed was never known, and is not made up."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", CUSTOMERS, [ACME])
    await cut_off(path, None, [ACME])
    await run(sandbox, features(1), path)
    (line,) = lines_of(path)
    assert (line["status"], line["before"], line["changes"]) == ("linked", None, None)


KILLED: Final = """
import os, pathlib, signal, sys
import linker
from linker.disk.lines import Disk

write = Disk.write

def write_or_die(disk, fd, data):
    if pathlib.Path(f"/proc/self/fd/{fd}").readlink().suffix == ".journal" and b'"done"' in bytes(data):
        os.kill(os.getpid(), signal.SIGKILL)
    return write(disk, fd, data)

Disk.write = write_or_die
linker.link("links.jsonl", url=sys.argv[1], token="sandbox", results="links.results.jsonl", resume=True, rate=())
"""
"""A run that is killed when its first result lines are on disk, and the journal is about to be told so."""


async def test_a_target_whose_lines_are_in_the_file_is_not_sent_again_after_a_kill(
    sandbox: Sandbox, path: Path, command: Command
) -> None:
    """Killed after the result lines and before the journal's entry: a resume neither reads nor writes these targets."""
    jobs = features(30)
    write_jobs(path.with_name("links.jsonl"), jobs)
    killed = await command.program(sys.executable, "-c", KILLED, sandbox.url)
    assert (killed.code, killed.stderr) == (-signal.SIGKILL, "")
    done = last_lines(path)
    assert set(done.values()) == {Status.LINKED}
    assert done.keys() <= {target.id for target in left_open(journal_of(path))}
    resumed = await run(sandbox, [job for job in jobs if job["id"] in done], path)
    assert (resumed.passed_over, resumed.requests) == (len(done), 0)
    assert not done.keys() & {target.id for target in left_open(journal_of(path))}
    asked = len(sandbox.requests)
    assert (await run(sandbox, jobs, path)).ok
    assert not done.keys() & {seen.path.rpartition("/")[2] for seen in sandbox.requests[asked:]}
    assert last_lines(path) == {job["id"]: Status.LINKED for job in jobs}
    assert not journal_of(path).exists()
    async with eager(sandbox) as aha:
        await results_of(aha.run(linker.UndoFile(path)))
    assert written(sandbox) == set()


async def test_an_open_put_whose_lines_are_in_the_file_is_undone_once(
    sandbox: Sandbox, path: Path, command: Command
) -> None:
    """The results and the journal both tell of it; what was there comes back, by one PUT a target."""
    write_jobs(path.with_name("links.jsonl"), features(3))
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", CUSTOMERS, [ZANE])
    await command.program(sys.executable, "-c", KILLED, sandbox.url)
    assert last_lines(path).keys() & {target.id for target in left_open(journal_of(path))}
    puts = sandbox.stats.methods["PUT"]
    async with eager(sandbox) as aha:
        await results_of(aha.run(linker.UndoFile(path)))
    assert held(sandbox, "PRJ1-1") == [ZANE]
    assert written(sandbox) == {"PRJ1-1"}
    assert sandbox.stats.methods["PUT"] == 2 * puts


@pytest.mark.parametrize("noted_in", [None, 1])
async def test_lines_of_an_earlier_run_than_the_open_put_settle_nothing(
    sandbox: Sandbox, path: Path, noted_in: int | None
) -> None:
    """Noted by a later run, or by a linker that did not note its run: the target is looked at again, its line stays."""
    await run(sandbox, features(1), path)
    open_put = {
        "target": {"kind": "feature", "id": "PRJ1-1"},
        "put": {CUSTOMERS: [ZANE]},
        "before": {CUSTOMERS: [ACME]},
    }
    line = {"intent": open_put} | ({} if noted_in is None else {"run": noted_in})
    journal_of(path).write_bytes(orjson.dumps(line) + b"\n")
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", CUSTOMERS, [ZANE])
    summary = await run(sandbox, features(1), path)
    assert (summary.passed_over, summary.linked) == (0, 1)
    assert held(sandbox, "PRJ1-1") == [ACME]
    assert not journal_of(path).exists()


async def test_a_line_that_was_written_before_the_put_does_not_settle_it(sandbox: Sandbox, path: Path) -> None:
    """The job of the PUT was taken out of the file since; the one that was in place already says nothing of it."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", CUSTOMERS, [ACME])
    await run(sandbox, features(1), path)
    assert last_lines(path) == {"PRJ1-1": Status.UNCHANGED}
    open_put = {"target": {"kind": "feature", "id": "PRJ1-1"}, "put": {"contracts": []}, "before": {"contracts": []}}
    journal_of(path).write_bytes(orjson.dumps({"intent": open_put, "run": 0}) + b"\n")
    assert (await run(sandbox, features(1), path)).passed_over == 0


async def test_resume_and_overwrite_exclude_each_other(sandbox: Sandbox, path: Path) -> None:
    """One goes on, the other starts anew: which was meant is asked, before anything is touched."""
    async with eager(sandbox) as aha:
        with pytest.raises(linker.UsageError, match="use only one of them"):
            aha.run(features(1), path, resume=True, overwrite=True)


async def test_link_resumes_too(sandbox: Sandbox, path: Path, tmp_path: Path) -> None:
    """The plain call takes the same words."""
    jobs = tmp_path / "links.jsonl"
    write_jobs(jobs, features(3))
    given: dict[str, Any] = {"url": sandbox.url, "token": "sandbox", "results": path, "rate": ()}
    assert (await asyncio.to_thread(linker.link, jobs, **given)).linked == 3
    assert (await asyncio.to_thread(linker.link, jobs, **given, resume=True)).passed_over == 3
    with pytest.raises(linker.UsageError, match="needs the results file"):
        await asyncio.to_thread(linker.link, jobs, **{**given, "results": None}, resume=True)


def test_a_million_lines_are_few_bytes(tmp_path: Path) -> None:
    """What is kept of a line: far below the 600 bytes a job that a resume may take in all."""
    path = tmp_path / "results.jsonl"
    line = b'{"kind":"feature","id":"PRJ1-%d","mode":"add","links":{"c":["1"]},"key":null,"status":"linked","change":1}'
    path.write_bytes(b"".join(line % number + b"\n" for number in range(20_000)))
    tracemalloc.start()
    done = read_done(path)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert done.lines == 20_000
    assert kept / 20_000 < 250


async def test_a_stopped_run_is_gone_on_with(sandbox: Sandbox, path: Path) -> None:
    """Stopped again and again: each job is linked once, has its line, and the journal is gone."""
    jobs = features(60)
    for _ in range(100):
        async with eager(sandbox, concurrency=2) as aha:
            batch = aha.run(jobs, path, resume=True)
            count = 0
            async for _result in batch:
                count += 1
                if count == 7:
                    batch.stop()
        if batch.summary.ok:
            break
    assert last_lines(path) == dict.fromkeys((each["id"] for each in jobs), Status.LINKED)
    assert sandbox.stats.methods["PUT"] == 60
    assert not journal_of(path).exists()
