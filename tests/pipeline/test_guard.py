"""The guard and the pilot: how many links may go, how many targets may change, and what is left where they stop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.odd_lists import asked, bend_pages, on_request
from support.runs import ACME, ZANE, eager, features, lines_of, names, read_into, results_of

from linker import Kind, NoRows, Result, Run, Status, TooManyRemovals, UndoFile
from linker.pipeline.guard import Guard
from linker.sandbox import Sandbox

# — the guard alone: (removals, links read) of a page after the other, and whether each is let through —


@pytest.mark.parametrize(
    ("most", "pages", "through"),
    [
        (None, [(100, 0)], [True]),
        (None, [(101, 0)], [False]),
        (None, [(101, 201)], [False]),
        (None, [(101, 202)], [True]),
        (None, [(60, 0), (40, 0), (1, 0)], [True, True, False]),
        (None, [(0, 1000), (500, 0), (1, 0), (1, 2)], [True, True, False, False]),
        (None, [(100, 100), (100, 300), (0, 0), (1, 0)], [True, True, True, False]),
        (0, [(0, 1000), (1, 1000)], [True, False]),
        (10, [(10, 0), (0, 100_000), (1, 0)], [True, True, False]),
        (1000, [(1000, 1000), (1, 0)], [True, False]),
    ],
)
def test_the_budget_is_a_number_or_the_larger_of_a_hundred_and_half_of_what_was_read(
    most: int | None, pages: list[tuple[int, int]], through: list[bool]
) -> None:
    """It runs: what was let through counts, and what was read makes it larger unless a number is given."""
    guard = Guard(most)
    assert [guard.count(removals, read) for removals, read in pages] == through
    assert guard.removals == sum(removals for removals, _ in pages)
    assert guard.read == sum(read for _, read in pages)


def test_what_removes_nothing_is_let_through_though_the_budget_is_used_up() -> None:
    """Over the budget, additions are nobody's loss."""
    guard = Guard(5)
    assert not guard.count(6, 0)
    assert guard.count(0, 10)


def test_a_guard_that_is_lifted_counts_and_lets_through() -> None:
    """By `--yes` or by a word in mid-run; the numbers are kept all the same."""
    assert Guard(0, lifted=True).count(1000, 0)
    guard = Guard(0)
    assert not guard.count(1, 7)
    assert "at most 0" in repr(guard)
    guard.lift()
    assert guard.count(1, 0)
    assert (guard.removals, guard.read, guard.lifted) == (2, 7, True)
    assert repr(guard) == "<Guard 2 removals of 7 links read, lifted>"


@pytest.mark.parametrize(
    ("written", "said"), [(False, "nothing was written"), (True, "what was written can be undone")]
)
def test_what_a_guard_says(written: bool, said: str) -> None:
    """The error tells the numbers, what was written by then, and what would do."""
    guard = Guard(None)
    guard.count(1500, 2000)
    error = guard.stopped(written)
    assert (error.removals, error.read, error.budget, error.written) == (1500, 2000, 1000, written)
    assert "1,500 of the 2,000 links read so far" in str(error)
    assert said in str(error)
    assert "--max-removals" in str(error)


# — end to end —


@pytest.fixture
async def full() -> AsyncIterator[Sandbox]:
    """An account in which 400 features link to Acme each; on the first page of their list stand PRJ1-1 to 200."""
    async with Sandbox(limits=[], features=400, records=200, keep_requests=True, empty_links="empty") as sandbox:
        for number in range(1, 401):
            sandbox.account.set_links(Kind.FEATURE, f"PRJ1-{number}", "customers", [ACME])
        yield sandbox


def clears(first: int, last: int) -> list[dict[str, Any]]:
    """Jobs that clear features."""
    return [{"id": f"PRJ1-{number}", "links": {"customers": []}} for number in range(first, last + 1)]


def keeps(first: int, last: int) -> list[dict[str, Any]]:
    """Jobs that ask for what is there."""
    return [{"id": f"PRJ1-{number}", "links": {"customers": [ACME]}} for number in range(first, last + 1)]


def held(sandbox: Sandbox) -> int:
    """Features that link to something."""
    return sum(kind is Kind.FEATURE for kind, _ in sandbox.account.all_links())


async def stopped_by(run: Run, results: list[Result] | None = None) -> TooManyRemovals:
    """The guard's error that ends a run."""
    with pytest.raises(TooManyRemovals) as caught:
        await read_into(results if results is not None else [], run)
    return caught.value


async def test_a_file_that_would_empty_an_account_is_stopped_before_its_first_put(full: Sandbox) -> None:
    """A page of clears is counted as one, before any of them is sent."""
    async with eager(full) as aha:
        run = aha.run(clears(1, 400))
        error = await stopped_by(run)
    assert (error.removals, error.read, error.budget, error.written) == (200, 200, 100, False)
    assert full.stats.methods["PUT"] == 0
    assert run.summary.stopped
    assert held(full) == 400


async def test_where_nothing_was_written_no_results_file_stays(full: Sandbox, tmp_path: Path) -> None:
    """Lines of what was unchanged or rejected by then are no reason to keep it; an old file is back in its place."""
    path = tmp_path / "links.results.jsonl"
    jobs = [*clears(1, 200), *keeps(201, 205), {"id": "nonsense!"}]
    async with eager(full) as aha:
        await stopped_by(aha.run(jobs, path, allow_unreadable=True))
        assert names(tmp_path) == []
        path.write_text("the last run's\n")
        await stopped_by(aha.run(jobs, path, overwrite=True, allow_unreadable=True))
    assert names(tmp_path) == [path.name]
    assert path.read_text() == "the last run's\n"


async def test_half_of_what_was_read_may_go(full: Sandbox) -> None:
    """Links that stay count as read: 150 of 400 go without a word, while 100 would be the least."""
    bend_pages(full, lambda number, items, pagination: items.reverse() if number == 1 else None)
    async with eager(full) as aha:
        results = await results_of(aha.run([*clears(1, 90), *keeps(91, 300), *clears(301, 360)]))
    assert len(results) == 360
    assert held(full) == 250


async def test_an_explicit_number_replaces_the_half(full: Sandbox) -> None:
    """10 may go where 10 are allowed, and not 11, however many were read; 400 where 400 are."""
    async with eager(full, max_removals=10) as aha:
        error = await stopped_by(aha.run([*clears(1, 11), *keeps(12, 400)]))
        assert (error.budget, error.written) == (10, False)
        await results_of(aha.run([*clears(1, 10), *keeps(11, 400)]))
        assert held(full) == 390
        await results_of(aha.run(clears(1, 400), max_removals=400))
    assert held(full) == 0


async def test_none_may_go_where_none_is_allowed(full: Sandbox) -> None:
    """`max_removals=0`: additions are written, and the first removal stops the run."""
    async with eager(full, max_removals=0) as aha:
        results = await results_of(aha.run([{**job, "mode": "add"} for job in features(20, ZANE)]))
        assert {result.status for result in results} == {Status.LINKED}
        error = await stopped_by(aha.run(clears(30, 30)))
    assert (error.removals, error.written) == (1, False)


async def test_over_the_budget_in_mid_run_the_results_are_whole_and_can_be_undone(
    full: Sandbox, tmp_path: Path
) -> None:
    """What was written before the page that is too much has its lines, and undo brings it back."""
    path = tmp_path / "links.results.jsonl"
    before = full.account.all_links()
    results: list[Result] = []
    async with eager(full) as aha:
        run = aha.run([*clears(1, 90), *clears(201, 400)], path)
        error = await stopped_by(run, results)
        assert error.written
        assert full.stats.methods["PUT"] == run.summary.puts > 0
        assert held(full) == 400 - run.summary.puts
        lines = lines_of(path)
        assert len(lines) == len(results) == run.summary.linked == run.summary.puts
        assert {line["status"] for line in lines} == {"linked"}
        await results_of(aha.run(UndoFile(path)))
    assert full.account.all_links() == before


@pytest.mark.parametrize(
    ("faults", "written"),
    [((403,), False), ((422,), False), ((429, 429), False), ((503,), True), (("reset",), True)],
    ids=str,
)
async def test_a_put_that_was_refused_is_not_written(
    full: Sandbox, tmp_path: Path, faults: tuple[int | str, ...], written: bool
) -> None:
    """The guard stops the run after it: nothing was written, unless that PUT may have been applied all the same."""
    full.faults.script(None, *faults)  # the first target's read, and then its PUT
    jobs = [{**features(1, ZANE)[0], "mode": "add"}, *clears(2, 2)]
    async with eager(full, max_removals=0, concurrency=1, attempts=1, refusals=1) as aha:
        run = aha.run(jobs, tmp_path / "results.jsonl")
        error = await stopped_by(run)
    assert error.written is written
    assert run.summary.puts == written
    assert names(tmp_path, "results.jsonl") == (["results.jsonl"] if written else [])


async def test_a_refused_change_keeps_its_number(full: Sandbox, tmp_path: Path) -> None:
    """Numbers of changes are used once, refused or not, in this run and the next; the count is of those written."""
    path = tmp_path / "results.jsonl"
    full.faults.script(None, 403)
    async with eager(full, concurrency=1) as aha:
        run = aha.run(features(2, ZANE), path)
        first = await results_of(run)
        assert ([result.change for result in first], run.summary.puts) == ([0, 1], 1)
        again = aha.run(features(2, ZANE), path, resume=True)
        assert [(result.id, result.change) for result in await results_of(again)] == [("PRJ1-1", 2)]
        assert again.summary.puts == 1


async def test_yes_lets_everything_through(full: Sandbox) -> None:
    """`yes=True` is asked nothing."""

    async def confirm(removals: int, read: int) -> bool:
        raise AssertionError("nobody is to be asked")

    async with eager(full) as aha:
        await results_of(aha.run(clears(1, 400), yes=True, confirm=confirm))
    assert held(full) == 0


@pytest.mark.parametrize("single", [False, True], ids=["by pages", "one by one"])
async def test_who_says_go_on_is_asked_once(full: Sandbox, single: bool) -> None:
    """The budget is used up on the way: one question, with the numbers, and then it goes on to the end."""
    questions: list[tuple[int, int]] = []

    async def confirm(removals: int, read: int) -> bool:
        questions.append((removals, read))
        return True

    if single:
        bend_pages(full, lambda number, items, pagination: items.clear())
    async with eager(full) as aha:
        results = await results_of(aha.run(clears(1, 400), confirm=confirm))
    ((removals, read),) = questions
    assert removals == (101 if single else 200)
    assert read >= removals
    assert len(results) == 400
    assert held(full) == 0


async def test_who_says_no_is_asked_once_and_the_run_stops(full: Sandbox, tmp_path: Path) -> None:
    """One question though several wait for its answer, nothing written, no file."""
    questions = 0

    async def confirm(removals: int, read: int) -> bool:
        nonlocal questions
        questions += 1
        return False

    bend_pages(full, lambda number, items, pagination: items.clear())
    async with eager(full, max_removals=0) as aha:
        error = await stopped_by(aha.run(clears(1, 400), tmp_path / "results.jsonl", confirm=confirm))
    assert not error.written
    assert questions == 1
    assert held(full) == 400
    assert names(tmp_path) == []


async def test_blind_is_its_own_consent(full: Sandbox) -> None:
    """What was never read cannot be counted: 400 clears go out."""
    async with eager(full, max_removals=0, blind=True) as aha:
        await results_of(aha.run(clears(1, 400)))
    assert asked(full) == {"write": 400}
    assert held(full) == 0


async def test_a_plan_is_not_stopped_by_the_guard(full: Sandbox) -> None:
    """Looking costs nothing: the plan tells how many would go."""
    async with eager(full, max_removals=0) as aha:
        plan = await aha.plan(clears(1, 400))
    assert (plan.puts, plan.removed) == (400, 400)
    assert held(full) == 400


async def test_a_plan_sends_no_put_where_the_run_would_be_blind(full: Sandbox) -> None:
    """`blind` is about writing: a plan reads all the same, and writes nothing."""
    async with eager(full, blind=True) as aha:
        plan = await aha.plan([*clears(1, 3), *keeps(4, 6)])
    assert (plan.puts, plan.unchanged, plan.unseen) == (3, 3, 0)
    assert full.stats.methods["PUT"] == 0


# — rows that are missing, and rows that cannot be read —


@pytest.mark.parametrize("least", [3, 4])
@pytest.mark.parametrize("verb", ["run", "plan"])
async def test_fewer_rows_than_asked_for_stop_the_run(full: Sandbox, tmp_path: Path, verb: str, least: int) -> None:
    """Rejected rows count, and nothing is written; whoever said `yes` is stopped too."""
    jobs = [*features(2, ZANE), {"id": "PRJ1-3", "links": {}}]
    async with eager(full, yes=True, min_rows=least) as aha:
        run = aha.run(jobs, tmp_path / "results.jsonl") if verb == "run" else aha.dry_run(jobs)
        if least == 3:
            assert [outcome async for outcome in run.outcomes()]
            return
        with pytest.raises(NoRows, match="the input has 3 rows, but --min-rows asks for 4; nothing was written"):
            await results_of(run)
    assert full.stats.requests == 0
    assert names(tmp_path) == []


async def test_a_row_of_several_targets_is_one_row(full: Sandbox, tmp_path: Path) -> None:
    """As a spreadsheet counts them."""
    (tmp_path / "links.csv").write_text("id,field,record_ids\nPRJ1-1;PRJ1-2,customers,640362830\n")
    async with eager(full) as aha:
        assert len(await results_of(aha.run(tmp_path / "links.csv", min_rows=1))) == 2
        with pytest.raises(NoRows, match="has 1 row, but --min-rows asks for 2"):
            await results_of(aha.run(tmp_path / "links.csv", min_rows=2))


UNREADABLE: list[Any] = ["no job", {"id": "nonsense!", "links": {"customers": []}}]


@pytest.mark.parametrize("options", [{}, {"yes": True}, {"max_removals": 100}, {"limit": 1}], ids=str)
async def test_a_row_that_cannot_be_read_keeps_links_from_being_removed(
    full: Sandbox, tmp_path: Path, options: dict[str, Any]
) -> None:
    """It may belong to the list, which stays as it is, whatever the guard allows, unless `allow_unreadable` is set."""
    path = tmp_path / "results.jsonl"
    jobs = [*features(1, ZANE), *UNREADABLE]
    async with eager(full, **options) as aha:
        result, *_ = await results_of(aha.run(jobs, path))
        assert result.error is not None
        assert (result.status, result.error.type) == ("rejected", "incomplete")
        assert result.error.message.startswith(
            "1 link would be removed from a list that an unreadable row may belong to"
        )
        assert "2 rows could not be read, the first is <jobs> line 2: " in result.error.message
        assert result.error.message.endswith("Correct the input, or add --allow-unreadable")
        assert (held(full), full.stats.methods["PUT"]) == (400, 0)
        results = await results_of(aha.run(jobs, path, resume=True, allow_unreadable=True))
    assert sorted(result.status for result in results) == ["linked", "rejected", "rejected"]


@pytest.mark.parametrize(
    "job",
    [
        {"id": "PRJ1-1", "links": {"customers": [ZANE]}, "mode": "add"},
        {"id": "PRJ1-1", "links": {"customers": [ACME]}, "mode": "remove"},
        {"id": "PRJ1-1", "links": {"customers": [ACME, ZANE]}},
        {"id": "PRJ1-1", "links": {"contracts": ["7036045937940700101"]}},
    ],
    ids=["add", "remove", "longer list", "new list"],
)
async def test_a_row_that_cannot_be_read_does_not_keep_others_from_being_done(
    full: Sandbox, job: dict[str, Any]
) -> None:
    """What is added, what is removed by name, and lists that lose nothing."""
    async with eager(full) as aha:
        *_, result = await results_of(aha.run([*UNREADABLE, job]))
    assert result.status is Status.LINKED


async def test_a_target_that_would_lose_a_link_waits_as_a_whole(full: Sandbox) -> None:
    """What its other rows ask for is not written either; targets that only gain are."""
    jobs = [
        *UNREADABLE,
        {"id": "PRJ1-1", "links": {"customers": []}},
        {"id": "PRJ1-1", "links": {"contracts": ["7036045937940700101"]}, "mode": "add"},
        {"id": "PRJ1-2", "links": {"customers": [ACME, ZANE]}},
    ]
    async with eager(full) as aha:
        results = {result.line: result for result in await results_of(aha.run(jobs))}
    assert [results[line].status for line in (3, 4, 5)] == ["rejected", "rejected", "linked"]
    assert full.account.all_links()[Kind.FEATURE, "PRJ1-1"] == {"customers": [ACME]}
    assert full.stats.methods["PUT"] == 1


async def test_what_was_never_read_may_be_shortened(full: Sandbox) -> None:
    """A blind run, and a product whose answers show no links: nobody can tell that nothing is lost."""
    jobs = [*UNREADABLE, {"kind": "product", "id": "PRJ1", "links": {"customers": [ACME]}}]
    async with eager(full) as aha:
        for run in (aha.run([*UNREADABLE, *features(1)], blind=True), aha.run(jobs)):
            *_, result = await results_of(run)
            assert result.error is not None
            assert result.error.type == "incomplete"
        assert full.stats.methods["PUT"] == 0


@pytest.mark.parametrize("answer", [True, False])
async def test_consent_is_asked_for_once_at_the_end(full: Sandbox, answer: bool) -> None:
    """By then everything else is done and all links that would go are counted. The answer decides about all of them."""
    asked: list[tuple[int, int]] = []

    async def consent(rows: int, removals: int) -> bool:
        asked.append((rows, removals))
        assert full.stats.methods["PUT"] == 190
        return answer

    jobs = [*(job | {"mode": "add"} for job in features(190, ZANE)), *clears(191, 300), *UNREADABLE]
    async with eager(full, max_removals=110) as aha:
        run = aha.run(jobs, confirm_unreadable=consent)
        results = await results_of(run)
    assert asked == [(2, 110)]
    assert len(results) == 302
    assert run.progress().targets_done == 300
    assert held(full) == (290 if answer else 400)
    incomplete = [result for result in results if result.error is not None and result.error.type == "incomplete"]
    assert len(incomplete) == (0 if answer else 110)


async def test_a_list_that_others_made_longer_meanwhile_waits_too(full: Sandbox) -> None:
    """A target that lost nothing when it was read first, and would lose a link by the time its PUT leaves."""
    full.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [])

    def link(method: str, path: str, query: str) -> None:
        if method == "GET" and path.endswith("/features/PRJ1-1"):
            full.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ZANE])

    on_request(full, link)
    async with eager(full, max_age=0, preflight=False) as aha:
        jobs = [*UNREADABLE, {"id": "PRJ1-1", "links": {"customers": [ACME]}}]
        *_, result = await results_of(aha.run(jobs))
    assert result.error is not None
    assert result.error.type == "incomplete"
    assert full.account.all_links()[Kind.FEATURE, "PRJ1-1"] == {"customers": [ZANE]}


async def test_a_plan_counts_the_rows_that_cannot_be_read(full: Sandbox) -> None:
    """It is not stopped, and tells."""
    async with eager(full) as aha:
        plan = await aha.plan([*features(1, ZANE), *UNREADABLE])
    assert (plan.unreadable, plan.removed, plan.rejected) == (2, 1, 2)


# — the pilot —


@pytest.mark.parametrize("limit", [1, 7])
@pytest.mark.parametrize("single", [False, True], ids=["by pages", "one by one"])
async def test_a_pilot_changes_so_many_targets(full: Sandbox, limit: int, single: bool, tmp_path: Path) -> None:
    """Exactly N are changed, with their lines; what was unchanged on the way has its line too; the rest has none."""
    if single:
        bend_pages(full, lambda number, items, pagination: items.clear())
    path = tmp_path / "results.jsonl"
    async with eager(full) as aha:
        run = aha.run([*keeps(1, 5), *clears(6, 100)], path, limit=limit)
        results = await results_of(run)
    assert full.stats.methods["PUT"] == run.summary.linked == run.summary.puts == limit
    assert held(full) == 400 - limit
    assert run.summary.limited
    assert not run.summary.stopped
    assert len([result for result in results if result.status is Status.UNCHANGED]) == 5
    assert [line["job"] for line in lines_of(path)] == [result.job for result in results]
    assert len(results) == limit + 5


async def test_a_pilot_that_is_as_large_as_the_batch_is_a_run(full: Sandbox) -> None:
    """As many changes as the limit, or fewer: every job has its line, and nothing was limited."""
    async with eager(full) as aha:
        run = aha.run([*clears(1, 10), *keeps(11, 300)], limit=10)
        assert len(await results_of(run)) == 300
        assert not run.summary.limited
        again = aha.run([*clears(1, 10), *keeps(11, 300)], limit=1)
        assert len(await results_of(again)) == 300
        assert not again.summary.limited


async def test_the_jobs_of_one_target_are_one_change_of_the_pilot(full: Sandbox) -> None:
    """Two jobs on one target, under either name, count once."""
    jobs = [{**job, "mode": "add"} for job in (*features(3, ZANE), *features(3, "7036045937940700101"))]
    jobs = [{**job, "links": {"contracts" if place > 2 else "customers": job["links"]["customers"]}}
            for place, job in enumerate(jobs)]  # fmt: skip
    async with eager(full) as aha:
        results = await results_of(aha.run(jobs, limit=2))
    assert len(results) == 4
    assert full.stats.methods["PUT"] == 2


async def test_a_pilot_ends_its_reads_too(full: Sandbox) -> None:
    """Once it is full, no further page is read and no further target is looked at."""
    async with eager(full, concurrency=2) as aha:
        await results_of(aha.run(clears(1, 400), limit=3, yes=True))
    assert asked(full) == {"list": 1, "write": 3}


@pytest.mark.parametrize("single", [False, True], ids=["by pages", "one by one"])
async def test_the_guard_counts_what_a_pilot_changes(full: Sandbox, single: bool) -> None:
    """A file that takes 200 links away is more than the guard allows; the five of its pilot are not."""
    if single:
        bend_pages(full, lambda number, items, pagination: items.clear())
    async with eager(full) as aha:
        run = aha.run(clears(1, 200), limit=5)
        await results_of(run)
        assert (run.summary.linked, run.summary.limited) == (5, True)
        assert held(full) == 395
        error = await stopped_by(aha.run(clears(6, 200), limit=5, max_removals=4))
    assert (error.removals, error.budget) == (5, 4)
    assert held(full) == 395 - full.stats.methods["PUT"] + 5
