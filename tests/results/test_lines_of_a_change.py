"""Lines of one change: what they share stands on the first of them, and every reader finds it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest
from support.runs import ACME, ZANE, eager, results_of

import linker
from linker import Error, ErrorType, Kind, LinkJob, Result, Status, UndoFile, UsageError, read_results
from linker.api.answers import Answer, Listed
from linker.api.visibility import Visibility
from linker.batch.batch import Batch
from linker.batch.merge import Dropped
from linker.model.job import Mode
from linker.results.journal import journal_of
from linker.results.line import LineMaker
from linker.results.outcomes import Outcomes
from linker.sandbox import Sandbox
from linker.work.work import Work

EFFECT = ("before", "after", "changes")
GONE = Error(ErrorType.TIMEOUT, "no answer", retryable=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The results file."""
    return tmp_path / "links.results.jsonl"


def customers(sandbox: Sandbox, most: int) -> list[str]:
    """Ids of customers."""
    records = [each for each in sandbox.account.listed(Kind.CUSTOM_OBJECT_RECORD) if each.table == "customers"]
    return [str(record.id) for record in records[:most]]


def a_link_a_row(ids: list[str], **rest: Any) -> list[dict[str, Any]]:
    """One row for each id, all on one feature."""
    return [{"id": "PRJ1-1", "links": {"customers": [id]}, "key": number, **rest} for number, id in enumerate(ids)]


def lines_in(path: Path) -> list[dict[str, Any]]:
    """The lines of a results file in their order."""
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def have_effect(lines: list[dict[str, Any]]) -> list[bool]:
    """Which lines have the three keys; each has all of them or none."""
    assert all(len(line.keys() & set(EFFECT)) in (0, 3) for line in lines)
    return ["changes" in line for line in lines]


async def run(sandbox: Sandbox, jobs: Any, results: Path | None = None, **options: Any) -> list[Result]:
    """All results of a run."""
    async with eager(sandbox) as aha:
        return await results_of(aha.run(jobs, results, **options))


def batch_of(jobs: list[LinkJob], dropped: list[Dropped]) -> tuple[Work | None, Outcomes]:
    """The work of some jobs of one target, and the results of those that are rejected at once."""
    batch = Batch(Mode.REPLACE)
    for number, job in enumerate(jobs):
        batch.add(number, "links.csv", number + 2, job)
    for drop in dropped:
        batch.add_dropped(jobs[0].target, drop)
    [(desired, rejected)] = batch.desired_states()
    outcomes = Outcomes()
    outcomes.add(lambda each: Result.rejected(*each), rejected)
    next_number = count(7).__next__
    work = Work(desired, Visibility(), max_age_s=60.0, number_change=next_number) if desired is not None else None
    return work, outcomes


# --- how many bytes


def job_of(number: int, mode: str = "replace", field: str = "customers") -> LinkJob:
    """A job of one link, like those of a table with one link a row."""
    return LinkJob("PRJ1-1", {field: [str(7036045937940700000 + number)]}, mode=mode, key=f"row-{number}")


def shows(jobs: list[LinkJob]) -> Answer:
    """An answer in which the target holds what these jobs name, and as many links again."""
    ids = {str(id) for job in jobs for ids in job.links.values() for id in ids}
    return Answer(200, Listed(links={"customers": frozenset(ids | {f"9{id}" for id in ids})}))


def all_new(jobs: list[LinkJob]) -> Outcomes:
    """The results where every link was missing."""
    work, _ = batch_of(jobs, [])
    assert work is not None
    work.answered(Answer(200, Listed(links={"customers": frozenset("1")})), 0.0)
    work.request(0.0)
    return work.answered(shows(jobs), 0.0)


def not_applied(jobs: list[LinkJob]) -> Outcomes:
    """The results where the target holds more than the list, however often it is looked at."""
    work, _ = batch_of(jobs, [])
    assert work is not None
    work.answered(Answer(200, Listed(links={"customers": frozenset("1")})), 0.0)
    outcomes = Outcomes()
    while work.step is not None:
        work.request(0.0)
        outcomes = work.answered(shows(jobs), 0.0)
    return outcomes


def in_place(jobs: list[LinkJob]) -> Outcomes:
    """The results where every link was there, among as many others."""
    work, _ = batch_of(jobs, [])
    assert work is not None
    return work.answered(shows(jobs), 0.0)


def given_up(jobs: list[LinkJob]) -> Outcomes:
    """The results where the PUT may have been applied."""
    work, _ = batch_of(jobs, [])
    assert work is not None
    work.answered(Answer(200, Listed(links={"customers": frozenset("1")})), 0.0)
    work.request(0.0)
    return work.failed(GONE, None, 0.0)


def turned_down(jobs: list[LinkJob]) -> Outcomes:
    """The results where a row of the list was rejected."""
    return batch_of(jobs, [Dropped("links.csv line 1", ("customers",))] * len(jobs))[1]


def at_odds(jobs: list[LinkJob]) -> Outcomes:
    """The results where each row removes what another one adds."""
    pairs = [LinkJob(job.id, job.links, mode=mode, key=job.key) for job in jobs[::2] for mode in ("add", "remove")]
    return batch_of(pairs, [])[1]


@pytest.mark.parametrize(
    ("mode", "make", "status"),
    [
        ("add", all_new, "linked"),
        ("replace", not_applied, "failed"),
        ("add", in_place, "unchanged"),
        ("add", given_up, "failed"),
        ("replace", turned_down, "rejected"),
        ("replace", at_odds, "rejected"),
    ],
)
def test_the_bytes_of_a_row_do_not_grow_with_the_rows_of_its_target(
    mode: str, make: Callable[[list[LinkJob]], Outcomes], status: str
) -> None:
    """One link a row on one target: a row costs the same whether 50 or 5,000 others name the target."""
    bytes_a_row: list[float] = []
    for rows in (50, 5_000):
        results: list[Any] = list(make([job_of(number, mode) for number in range(rows)]))
        assert len(results) == rows
        assert {result.status for result in results} == {status}
        maker = LineMaker("https://company.aha.io")
        bytes_a_row.append(sum(len(maker.line(result)) for result in results) / rows)
    few, many = bytes_a_row
    assert many < 1.1 * few < 600


def test_results_of_one_change_share_their_lists() -> None:
    """In Python each result has the three, and all of them are the same objects."""
    results: list[Any] = list(all_new([job_of(number, "add") for number in range(300)]))
    assert all(result.before is results[0].before is not None for result in results)
    assert all(result.after is results[0].after for result in results)
    assert all(result.changes is results[0].changes for result in results)
    assert len(results[0].changes["customers"].added) == 300


# --- which lines


def told(number: int, change: int | None, effect: Any, status: Status = Status.LINKED, id: str = "PRJ1-1") -> Result:
    """A result with an effect of its own, or with one that it shares."""
    work, _ = batch_of([LinkJob(id, {"a": ["1"]}, kind="feature")], [])
    assert work is not None
    before, after, changes = effect
    job = work.pending.jobs[0]
    return Result.of(job, status, change=change, before=before, after=after, changes=changes, attempts=number)


def test_the_first_line_of_a_change_has_what_all_of_its_lines_share() -> None:
    """Whatever their status; the next change has its own, and so has a change of which nothing is known."""
    one: Any = ({"a": []}, {"a": ["1"]}, {})
    other: Any = ({"a": ["1"]}, None, {})
    unknown = (None, None, None)
    maker = LineMaker()
    lines = [
        *(told(0, 4, one), told(1, 4, one, Status.FAILED), told(2, 4, one)),
        *(told(3, 5, other), told(4, 5, other), told(5, 6, unknown), told(6, 6, unknown), told(7, 7, unknown)),
    ]
    made = [orjson.loads(maker.line(line)) for line in lines]
    assert have_effect(made) == [True, False, False, True, False, True, False, True]


def test_unchanged_lines_share_it_by_target_and_status() -> None:
    """A target with two names has it under both; what has no effect to share keeps its nulls."""
    held: Any = ({"a": ["1"]},) * 2 + ({},)
    maker = LineMaker()
    names = ["PRJ1-1", "PRJ1-1", "77", "PRJ1-1", "77"]
    lines = [told(number, None, held, Status.UNCHANGED, id) for number, id in enumerate(names)]
    lines += [told(9, None, held, Status.FAILED), *[told(9, None, (None,) * 3, Status.REJECTED)] * 2]
    made = [orjson.loads(maker.line(line)) for line in lines]
    assert have_effect(made) == [True, False, True, False, False, True, True, True]


async def test_the_first_line_of_each_run_names_the_account(sandbox: Sandbox, path: Path) -> None:
    """It has the number of the run as well, which all lines of a resumed run have."""
    jobs = a_link_a_row(customers(sandbox, 3))
    await run(sandbox, jobs, path)
    await run(sandbox, a_link_a_row(customers(sandbox, 5)), path, resume=True)
    lines = lines_in(path)
    assert [line.get("run") for line in lines] == [0, None, None, *[1] * 5]
    assert [line.get("account") for line in lines] == [sandbox.url, None, None, sandbox.url, *[None] * 4]
    assert have_effect(lines) == [True, False, False, True, *[False] * 4]


# --- readers


async def test_read_results_yields_what_the_run_yielded(sandbox: Sandbox, path: Path) -> None:
    """Every status, names instead of ids, one change and several: each result is whole again."""
    jobs = [
        *a_link_a_row(customers(sandbox, 4)),
        {"id": "PRJ1-2", "links": {"customers": []}},
        {"id": "PRJ1-3", "links": {"customers": [ACME]}, "mode": "add"},
        {"id": "PRJ1-3", "links": {"customers": [ACME]}, "mode": "remove"},
        {"id": "PRJ1-4", "links": {"customers": [{"name": "No Such Company"}]}, "key": {"a": [1]}},
        {"id": "PRJ9-1", "links": {"customers": [ACME]}},
        {"id": "PRJ2", "links": {"customers": [ACME]}},
        {"id": "nonsense!"},
    ]
    options = {"table": {"customers": "PRJ1/customers"}, "allow_unreadable": True}
    results = await run(sandbox, jobs, path, **options)
    assert {result.status for result in results} == set(Status)
    read = sorted(read_results(path), key=lambda result: result.job)
    assert [result.to_json() for result in read] == [result.to_json() for result in results]
    assert read[0].changes == read[1].changes
    assert read[1].changes is read[3].changes


async def test_readers_find_the_effect_wherever_its_line_stands(sandbox: Sandbox, path: Path) -> None:
    """A file that somebody has sorted is read and undone all the same."""
    before = sandbox.account.all_links()
    results = await run(sandbox, a_link_a_row(customers(sandbox, 4)), path)
    path.write_bytes(b"".join(line + b"\n" for line in path.read_bytes().splitlines()[::-1]))
    assert list(read_results(path)) == results[::-1]
    await run(sandbox, UndoFile(path))
    assert sandbox.account.all_links() == before


async def test_a_file_without_the_first_line_of_a_change_is_not_undone(sandbox: Sandbox, path: Path) -> None:
    """It does not say what was changed: nothing is sent, and the message says which line is missing."""
    await run(sandbox, a_link_a_row(customers(sandbox, 3)), path)
    path.write_bytes(b"".join(line + b"\n" for line in path.read_bytes().splitlines()[1:]))
    requests = sandbox.stats.requests
    with pytest.raises(
        UsageError,
        match=r"results\.jsonl line 1: the first line of change 0, which has its `changes`, is missing",
    ):
        await run(sandbox, UndoFile(path))
    assert sandbox.stats.requests == requests


@pytest.mark.parametrize("line", ["[]", "17", '{"job":0}', '{"job":', '{"status":{},"change":0,"kind":1,"id":2}'])
def test_read_results_names_the_line_that_is_not_one(path: Path, line: str) -> None:
    """A `UsageError` for a foreign or torn line, and for a file that is missing."""
    path.write_text(line)
    with pytest.raises(UsageError, match=r"results\.jsonl line 1: this is not a line of a results file"):
        list(read_results(path))
    with pytest.raises(UsageError, match="No such file"):
        list(read_results(path.with_name("missing.jsonl")))


async def test_each_row_of_an_unknown_change_is_named_by_the_undo(sandbox: Sandbox, path: Path) -> None:
    """Only the first line has `changes: null`; the others are just as impossible to undo."""
    await run(sandbox, a_link_a_row(customers(sandbox, 3)), path, blind=True)
    assert have_effect(lines_in(path)) == [True, False, False]
    undone = await run(sandbox, UndoFile(path))
    assert [(result.line, result.status) for result in undone] == [(line, Status.REJECTED) for line in (1, 2, 3)]


@pytest.mark.parametrize("lines", [1, 2])
async def test_a_run_that_was_killed_between_two_lines_of_a_change(sandbox: Sandbox, path: Path, lines: int) -> None:
    """The first line has the changes, the journal has the PUT: a resume does the target, and an undo restores it."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ZANE])
    jobs = a_link_a_row(customers(sandbox, 4))
    await run(sandbox, jobs, path)
    held = sandbox.account.links(Kind.FEATURE, "PRJ1-1")["customers"]
    path.write_bytes(b"".join(line + b"\n" for line in path.read_bytes().splitlines()[:lines]))
    intent = {
        "target": {"kind": "feature", "id": "PRJ1-1"},
        "put": {"customers": held},
        "before": {"customers": [ZANE]},
    }
    journal_of(path).write_bytes(orjson.dumps({"intent": intent, "run": 0}) + b"\n")
    killed = path.with_name("killed.jsonl")
    killed.write_bytes(path.read_bytes())
    journal_of(killed).write_bytes(journal_of(path).read_bytes())

    results = await run(sandbox, jobs, path, resume=True)
    assert {result.status for result in results} == {Status.LINKED}
    assert not journal_of(path).exists()
    for file in (path, killed):
        sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", held)
        await run(sandbox, UndoFile(file))
        assert sandbox.account.links(Kind.FEATURE, "PRJ1-1") == {"customers": [ZANE]}


# --- older files

OLD = """\
{"job":0,"line":1,"source":"old.jsonl","key":"a","kind":"feature","id":"PRJ1-1","mode":"add","links":{"customers":\
["640362830"]},"status":"linked","before":{"customers":[]},"after":{"customers":["8397122","640362830"]},"change":0,\
"changes":{"customers":{"added":["8397122","640362830"],"removed":[]}},"http_status":200,"attempts":1,"error":null,\
"finished_at":"2026-01-01T00:00:00.000Z","elapsed_ms":182.4}
{"job":1,"line":2,"source":"old.jsonl","key":"b","kind":"feature","id":"PRJ1-1","mode":"add","links":{"customers":\
["8397122"]},"status":"linked","before":{"customers":[]},"after":{"customers":["8397122","640362830"]},"change":0,\
"changes":{"customers":{"added":["8397122","640362830"],"removed":[]}},"http_status":200,"attempts":1,"error":null,\
"finished_at":"2026-01-01T00:00:00.000Z","elapsed_ms":182.4}
{"job":2,"line":3,"source":"old.jsonl","key":"c","kind":"feature","id":"PRJ1-2","mode":"replace","links":{"customers":\
[]},"status":"unchanged","before":{"customers":[]},"after":{"customers":[]},"change":null,"changes":{},\
"http_status":200,"attempts":0,"error":null,"finished_at":"2026-01-01T00:00:00.000Z","elapsed_ms":182.4}
{"job":3,"line":4,"source":"old.jsonl","key":"d","kind":"feature","id":"PRJ1-3","mode":"add","links":{"customers":\
["640362830"]},"status":"failed","before":{"customers":[]},"after":null,"change":1,"changes":{"customers":{"added":\
["640362830"],"removed":[]}},"http_status":null,"attempts":6,"error":{"type":"timeout","message":"no answer",\
"retryable":true},"finished_at":"2026-01-01T00:00:00.000Z","elapsed_ms":182.4,"run":1}
"""
"""What linker wrote when each line had the three keys, for the fields of its own job, and no line had an account."""

OLD_JOBS = [
    {"id": "PRJ1-1", "links": {"customers": [ACME]}, "mode": "add", "key": "a"},
    {"id": "PRJ1-1", "links": {"customers": [ZANE]}, "mode": "add", "key": "b"},
    {"id": "PRJ1-2", "links": {"customers": []}, "mode": "replace", "key": "c"},
    {"id": "PRJ1-3", "links": {"customers": [ACME]}, "mode": "add", "key": "d"},
]


async def test_an_older_file_is_resumed_undone_and_read(sandbox: Sandbox, path: Path) -> None:
    """Its linked rows are not done again, its changes are taken back, and each line has its own three keys."""
    path.write_text(OLD)
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ACME, ZANE])
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-3", "customers", [ACME])
    for number in (2, 3):
        read = list(read_results(path))[:4]
        assert [line.to_json() + b"\n" for line in read[:3]] == OLD.encode().splitlines(keepends=True)[:3]
        results = await run(sandbox, OLD_JOBS, path, resume=True)
        done_again = [(result.job, result.status) for result in results]
        assert done_again == ([(3, Status.UNCHANGED)] if number == 2 else [])
        assert lines_in(path)[-1]["run"] == 2
    async with eager(sandbox) as aha:
        await results_of(aha.run(linker.UndoFile(path)))
    assert not sandbox.account.links(Kind.FEATURE, "PRJ1-1").get("customers")
    assert not sandbox.account.links(Kind.FEATURE, "PRJ1-3").get("customers")
