"""Export: the account's links as jobs; a run of them writes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from support.odd_lists import Page, asked, bend_pages
from support.runs import ACME, ZANE, eager, features, results_of

from linker import Kind, Linker, LinkJob, Mode, Status, Unauthorized, UsageError
from linker.errors import ExportFailed
from linker.sandbox import Sandbox

CONTRACT = "7036045937940700101"
LISTED = {
    "feature:PRJ1": Kind.FEATURE,
    "feature": Kind.FEATURE,
    "epic": Kind.EPIC,
    "idea": Kind.IDEA,
    "initiative": Kind.INITIATIVE,
    "goal": Kind.GOAL,
    "organization": Kind.IDEA_ORGANIZATION,
    "release:PRJ1": Kind.RELEASE,
    "requirement:PRJ1-1": Kind.REQUIREMENT,
    "record:PRJ1/customers": Kind.CUSTOM_OBJECT_RECORD,
}


async def exported(sandbox: Sandbox, scope: str = "feature:PRJ1", field: str | None = None) -> list[LinkJob]:
    """All jobs of an export."""
    async with eager(sandbox, attempts=2) as aha:
        return [job async for job in aha.export(scope, field)]


@pytest.fixture
async def full(sandbox: Sandbox) -> Sandbox:
    """An account in which every third feature of PRJ1 links to something."""
    for number in range(1, 106, 3):
        sandbox.account.set_links(Kind.FEATURE, f"PRJ1-{number}", "customers", [ACME, ZANE][: 1 + number % 2])
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "contracts", [CONTRACT])
    sandbox.account.set_links(Kind.FEATURE, "PRJ2-1", "contracts", [CONTRACT])
    return sandbox


@pytest.mark.parametrize("scope", LISTED)
async def test_an_export_that_is_run_writes_nothing(sandbox: Sandbox, scope: str) -> None:
    """For every kind that has lists: the jobs are what the account holds, so all of them are unchanged."""
    kind = LISTED[scope]
    field = "custom_table_name_submitters" if kind is Kind.CUSTOM_OBJECT_RECORD else "customers"
    ids = ["136661093"] if kind is Kind.CUSTOM_OBJECT_RECORD else [ACME, ZANE]
    for each in sandbox.account.listed(kind)[::2]:
        sandbox.account.set_links(kind, each.id, field, ids)
    jobs = await exported(sandbox, scope)
    assert jobs
    assert {job.kind for job in jobs} == {kind}
    async with eager(sandbox) as aha:
        run = aha.run(jobs, mode="replace")
        assert {result.status for result in await results_of(run)} == {Status.UNCHANGED}
    assert sandbox.stats.methods["PUT"] == 0


async def test_an_export_is_what_the_account_holds(full: Sandbox) -> None:
    """One job a target that links to anything, by its reference number, with all of its fields."""
    jobs = {job.id: job for job in await exported(full)}
    assert set(jobs) == {f"PRJ1-{number}" for number in range(1, 106, 3)}
    assert jobs["PRJ1-1"] == LinkJob("PRJ1-1", {"customers": [ACME, ZANE], "contracts": [CONTRACT]})
    assert jobs["PRJ1-4"].links == {"customers": (ACME,)}
    assert asked(full) == {"list": 1}


async def test_an_export_of_one_field_leaves_the_others_out(full: Sandbox) -> None:
    """Targets that hold nothing in it are left out too; a field that is nowhere is nothing."""
    (job,) = await exported(full, field="contracts")
    assert (job.id, job.links) == ("PRJ1-1", {"contracts": (CONTRACT,)})
    assert await exported(full, field="nothing") == []


async def test_an_export_puts_back_what_was_lost_since(full: Sandbox) -> None:
    """Run as it is, in any mode of the run's, an export is a backup of the links that were there."""
    jobs = await exported(full)
    before = full.account.all_links()
    for number in range(1, 106):
        full.account.set_links(Kind.FEATURE, f"PRJ1-{number}", "customers", [])
    assert {job.mode for job in jobs} == {None}
    async with eager(full) as aha:
        await results_of(aha.run(jobs, mode=Mode.ADD))
    assert full.account.all_links() == before


async def test_an_empty_list_is_an_empty_export(sandbox: Sandbox) -> None:
    """A product without features."""
    assert await exported(sandbox, "feature:PRJ4") == []


async def test_a_list_without_links_is_made_up_for_by_single_reads(full: Sandbox) -> None:
    """One single answer shows links that the list leaves out: all are read singly, and the export is the same."""
    jobs = await exported(full)

    def bend(number: int, items: list[Page], pagination: Page) -> None:
        for item in items:
            item.pop("custom_object_links", None)

    bend_pages(full, bend)
    full.requests.clear()
    assert await exported(full) == jobs
    assert asked(full) == {"list": 1, "read": 1 + 105}


async def test_fields_that_the_account_does_not_pick_are_made_up_for_too() -> None:
    """An account that takes no notice of `fields=`: its lists are short, its single answers whole."""
    async with Sandbox(limits=[], ignore_fields=True) as sandbox:
        sandbox.account.set_links(Kind.FEATURE, "PRJ1-3", "customers", [ACME])
        assert await exported(sandbox) == [LinkJob("PRJ1-3", {"customers": [ACME]})]


async def test_where_no_answer_shows_any_links_an_export_fails(sandbox: Sandbox) -> None:
    """The products' answers show none, which does not prove that there are none: no empty file says so."""
    sandbox.account.set_links(Kind.PRODUCT, "PRJ1", "customers", [ACME])
    with pytest.raises(ExportFailed, match="no answer shows the links of product"):
        await exported(sandbox, "product")


async def test_where_empty_targets_show_nothing_the_others_are_exported() -> None:
    """An account whose answers leave the key out where nothing is linked: what is linked is exported."""
    async with Sandbox(limits=[], empty_links="missing") as sandbox:
        sandbox.account.set_links(Kind.FEATURE, "PRJ1-3", "customers", [ACME])
        assert await exported(sandbox) == [LinkJob("PRJ1-3", {"customers": [ACME]})]


@pytest.mark.parametrize("by", [30, 130])
async def test_a_list_that_shifts_while_it_is_paged_doubles_nothing(by: int) -> None:
    """Somebody adds features while the list is paged, so that it shows some twice: each is one job."""
    async with Sandbox(limits=[], features=592) as sandbox:
        for number in range(1, 598):
            sandbox.account.set_links(Kind.FEATURE, f"PRJ1-{number}", "customers", [ACME])
        shown: list[Page] = []

        def bend(number: int, items: list[Page], pagination: Page) -> None:
            shown.extend(items)
            items[:] = shown[len(shown) - len(items) - by * (number > 1) :][: len(items)]
            pagination["total_pages"] = 3 + 1

        bend_pages(sandbox, bend)
        jobs = await exported(sandbox)
    ids = [job.id for job in jobs]
    assert len(ids) == len(set(ids)) >= 597 - by


@pytest.mark.parametrize("totals", ["too_small", "too_large", "missing"])
async def test_a_list_is_read_to_its_end_whatever_its_total_says(totals: Any) -> None:
    """Too small, too large or none at all: every target is exported, once."""
    async with Sandbox(limits=[], features=592, list_totals=totals, keep_requests=True) as sandbox:
        for number in (1, 300, 597):
            sandbox.account.set_links(Kind.FEATURE, f"PRJ1-{number}", "customers", [ACME])
        assert [job.id for job in await exported(sandbox)] == ["PRJ1-1", "PRJ1-300", "PRJ1-597"]
        assert asked(sandbox)["list"] <= 5


async def test_a_list_that_always_shows_the_same_page_ends(full: Sandbox) -> None:
    """An account that takes no notice of `page=`, with a full page and no total: read twice, not for ever."""

    def bend(number: int, items: list[Page], pagination: Page) -> None:
        pagination.clear()

    async with Sandbox(limits=[], features=195, keep_requests=True) as sandbox:
        answer = sandbox._routes.answer

        def first_page(method: str, path: str, query: str, *rest: Any) -> Any:
            return answer(method, path, query.replace("page=2", "page=1"), *rest)

        sandbox._routes.answer = first_page  # type: ignore[assignment, method-assign]
        bend_pages(sandbox, bend)
        sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ACME])
        assert len(await exported(sandbox)) == 1
        assert asked(sandbox) == {"list": 2}


@pytest.mark.parametrize("status", [403, 404, 500])
async def test_a_page_that_cannot_be_read_fails_the_export(status: int) -> None:
    """After what could be read, an error says that it is not all there is, and what failed."""
    jobs: list[LinkJob] = []
    async with Sandbox(limits=[], features=592) as sandbox, eager(sandbox, attempts=2) as aha:
        sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ACME])
        sandbox.faults.script(on=r"GET .*[?&]page=3\b", stays=status)
        with pytest.raises(ExportFailed, match=rf"list of features of PRJ1.*{status}.*; the export is incomplete"):
            await gather(jobs, aha)
    assert [job.id for job in jobs] == ["PRJ1-1"]


async def test_a_scope_that_the_account_does_not_have_is_an_error_of_the_command(sandbox: Sandbox) -> None:
    """A product that is misspelt, or hidden from the token."""
    with pytest.raises(UsageError, match=r"^the list of features of NOPE does not exist, .*\(404\)\. Check"):
        await exported(sandbox, "feature:NOPE")


async def gather(jobs: list[LinkJob], aha: Linker) -> None:
    """An export's jobs up to whatever ends it."""
    async for job in aha.export("feature:PRJ1"):
        jobs.append(job)  # noqa: PERF401  those before an error count too


async def test_passing_faults_are_got_over(full: Sandbox) -> None:
    """An error, a refusal for the rate and a broken answer: the export is whole."""
    full.faults.script(503, 429, "cut")
    async with eager(full) as aha:
        assert len([job async for job in aha.export("feature:PRJ1")]) == 35


async def test_a_token_that_is_not_taken_ends_the_export(sandbox: Sandbox) -> None:
    """`Unauthorized` after one request."""
    async with Linker(url=sandbox.url, token="stale", rate=()) as aha:
        with pytest.raises(Unauthorized):
            await gather([], aha)
    assert sandbox.stats.requests == 1


@pytest.mark.parametrize("scope", ["release", "requirement:", "record:PRJ1", "nothing", "feature:../x"])
async def test_a_scope_that_names_no_list_is_refused(sandbox: Sandbox, scope: str) -> None:
    """A `UsageError`, and nobody was asked anything."""
    with pytest.raises(UsageError, match="scope"):
        await exported(sandbox, scope)
    assert sandbox.stats.requests == 0


async def test_leaving_an_export_early_leaves_nothing_behind(full: Sandbox) -> None:
    """After a break no further page is asked for, and the linker goes on to other things."""
    async with eager(full) as aha:
        jobs: AsyncIterator[LinkJob] = aha.export("feature:PRJ1")
        async with aclosing(jobs) as export:  # type: ignore[type-var]
            async for _ in export:
                break
        results = await results_of(aha.run(features(1)))
    assert [result.status for result in results] == [Status.LINKED]
    assert asked(full)["list"] == 1
