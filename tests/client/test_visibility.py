"""What an account shows of links: what it costs to learn that a missing list means none, and what if nothing shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.runs import ACME, ZANE, eager, features, lines_of, results_of

from linker import ErrorType, Kind, Status, UndoFile
from linker.sandbox import Sandbox

HIDDEN = frozenset({Kind.PRODUCT, Kind.FEATURE})


async def test_the_first_links_of_a_kind_cost_a_handful_of_requests_more() -> None:
    """600 adds where nothing is linked: the pages, the PUTs, and one target read and read back."""
    async with Sandbox(limits=[], features=595) as sandbox, eager(sandbox) as aha:
        results = await results_of(aha.run(features(600), mode="add"))
        assert {result.status for result in results} == {Status.LINKED}
        assert all(result.before == {"customers": []} for result in results)
        assert sandbox.stats.methods == {"PUT": 600, "GET": 3 + 3}


async def test_where_some_are_linked_no_proof_is_needed() -> None:
    """The first page shows some links, so there the others have none."""
    async with Sandbox(limits=[], features=595) as sandbox, eager(sandbox) as aha:
        for number in range(1, 601, 20):
            sandbox.account.set_links(Kind.FEATURE, f"PRJ1-{number}", "customers", [ZANE])
        results = await results_of(aha.run(features(600), mode="add"))
        assert {result.status for result in results} == {Status.LINKED}
        assert sandbox.stats.methods == {"PUT": 600, "GET": 3}


async def test_the_undo_of_a_first_migration_reads_back_only_a_few(tmp_path: Path) -> None:
    """The answer to a clear shows nothing either way: after a few that were right, the others are believed."""
    path = tmp_path / "results.jsonl"
    async with Sandbox(limits=[], features=595) as sandbox, eager(sandbox, concurrency=4, yes=True) as aha:
        await results_of(aha.run(features(600), path, mode="add"))
        before = sandbox.stats.requests
        undone = await results_of(aha.run(UndoFile(path)))
        assert {result.status for result in undone} == {Status.LINKED}
        assert not sandbox.account.all_links().keys() & {(Kind.FEATURE, f"PRJ1-{number}") for number in range(1, 601)}
        assert sandbox.stats.requests - before <= 600 + 3 + 12


@pytest.mark.parametrize("count", [1, 2, 40])
async def test_one_target_is_written_on_trust_where_nothing_shows_links(count: int, tmp_path: Path) -> None:
    """The others' adds fail and may be tried again; the one that was tried tells what was asked, for the undo."""
    path = tmp_path / "results.jsonl"
    async with Sandbox(limits=[], features=100, hidden=HIDDEN) as sandbox, eager(sandbox) as aha:
        results = await results_of(aha.run(features(count), path, mode="add"))
        assert sandbox.stats.methods["PUT"] == 1
    tried, *others = sorted(results, key=lambda result: result.attempts == 0)
    assert {result.status for result in results} == {Status.FAILED}
    assert all(result.error is not None and result.error.retryable for result in results)
    assert {result.error.type for result in others if result.error is not None} <= {ErrorType.BAD_ANSWER}
    [line] = [line for line in lines_of(path) if line["change"] is not None]
    assert (line["before"], line["changes"]) == (None, {"customers": {"added": [ACME], "removed": []}})
    assert tried.id == line["id"]


async def test_whole_lists_go_on_where_nothing_shows_links() -> None:
    """Each is written once, and not read: their lines have no `before`."""
    async with Sandbox(limits=[], features=100, hidden=HIDDEN) as sandbox, eager(sandbox) as aha:
        run = aha.run(features(50))
        results = await results_of(run)
        assert {result.status for result in results} == {Status.LINKED}
        assert all(result.unseen and result.before is None for result in results)
        assert run.summary.unseen == 50
        assert sandbox.stats.methods["PUT"] == 50
        assert sandbox.stats.methods["GET"] <= 1 + 1 + 3 + 3 + 1  # page, read, three looks at both, layout


async def test_removals_alone_need_no_proof() -> None:
    """Where no links are shown there are none to take away: nothing is written, and the summary says so."""
    async with Sandbox(limits=[], features=595) as sandbox, eager(sandbox) as aha:
        clears = [{"id": f"PRJ1-{number}", "links": {"customers": []}} for number in range(1, 601)]
        run = aha.run(clears)
        assert {result.status for result in await results_of(run)} == {Status.UNCHANGED}
        assert run.summary.presumed == 600
        assert sandbox.stats.methods == {"GET": 3 + 5}


async def test_a_plan_says_what_it_assumes_and_a_verify_never_says_yes_unseen() -> None:
    """Nothing shows links: the plan counts on none, and what the account holds is not known."""
    async with Sandbox(limits=[], features=100, hidden=HIDDEN) as sandbox, eager(sandbox) as aha:
        plan = await aha.plan(features(40), mode="add")
        assert (plan.puts, plan.unseen, dict(plan.presumed)) == (40, 40, {Kind.FEATURE: 40})
        assert not plan.holds
        clears = await aha.plan([{"id": "PRJ1-1", "links": {"customers": []}}])
        assert (clears.puts, clears.holds) == (0, False)
        assert sandbox.stats.methods["PUT"] == 0
