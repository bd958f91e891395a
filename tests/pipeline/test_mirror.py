"""The mirror: a batch that is the whole truth for one field of a scope; what it does not name is cleared."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.odd_lists import Page, asked, bend_pages
from support.runs import ACME, ZANE, eager, features, lines_of, names, results_of, write_jobs

from linker import Kind, LinkJob, NoRows, Result, Status, TooManyRemovals, UndoFile, UsageError
from linker.sandbox import Sandbox

SCOPE = ("feature:PRJ1", "customers")
CONTRACT = "7036045937940700101"


@pytest.fixture
async def full() -> AsyncIterator[Sandbox]:
    """An account in which the features PRJ1-1 to 40 and PRJ2-1 link to Acme, PRJ1-41 to 45 to nothing."""
    async with Sandbox(limits=[], features=40, keep_requests=True) as sandbox:
        for number in range(1, 41):
            sandbox.account.set_links(Kind.FEATURE, f"PRJ1-{number}", "customers", [ACME])
        sandbox.account.set_links(Kind.FEATURE, "PRJ2-1", "customers", [ACME])
        yield sandbox


async def mirrored(sandbox: Sandbox, jobs: Any, scope: tuple[str, str] = SCOPE, **options: Any) -> list[Result]:
    """All results of a mirror run that may remove any number of links."""
    async with eager(sandbox) as aha:
        return await results_of(aha.run(jobs, mirror=scope, **{"yes": True, **options}))


def holding(sandbox: Sandbox, field: str = "customers") -> set[str]:
    """The features that hold something in a field."""
    return {id for (kind, id), links in sandbox.account.all_links().items() if kind is Kind.FEATURE and field in links}


def number_of(sandbox: Sandbox, name: str, kind: Kind = Kind.FEATURE) -> str:
    """The number of a target."""
    found = sandbox.account.find(kind, name)
    assert found is not None
    return str(found.id)


async def test_what_the_batch_does_not_name_is_cleared(full: Sandbox) -> None:
    """Ten features are named: the thirty others of the scope that hold anything are cleared, and no other product's."""
    results = await mirrored(full, features(10))
    assert holding(full) == {f"PRJ1-{number}" for number in range(1, 11)} | {"PRJ2-1"}
    assert len(results) == 40
    assert asked(full)["write"] == 30


async def test_each_clear_has_its_line(full: Sandbox, tmp_path: Path) -> None:
    """Its source is `--mirror`, it has no line, and it is numbered after the batch's jobs, the rejected included."""
    path = tmp_path / "results.jsonl"
    jobs = [*features(38), {"id": "PRJ1-39", "links": {"customers": ["x"]}}]
    *named, cleared = await mirrored(full, jobs, results=path)
    assert [result.job for result in named] == list(range(39))
    assert (cleared.job, cleared.source, cleared.line, cleared.id) == (39, "--mirror", None, "PRJ1-40")
    assert (cleared.mode, cleared.links, cleared.status) == ("replace", {"customers": []}, Status.LINKED)
    assert cleared.before == {"customers": [ACME]}
    assert lines_of(path)[-1]["source"] == "--mirror"


async def test_what_is_named_by_any_name_or_on_a_rejected_line_is_not_cleared(full: Sandbox) -> None:
    """By its number, in lower case, on a line that is no job, or for another field only: named is named."""
    jobs: list[dict[str, Any]] = [
        {"kind": "feature", "id": number_of(full, "PRJ1-1"), "links": {"customers": [ACME]}},
        {"id": "prj1-2", "links": {"customers": [ACME]}},
        {"id": "PRJ1-3", "links": {"customers": ["x"]}},
        {"kind": "feature", "id": number_of(full, "PRJ1-4"), "links": {}},
        {"id": "PRJ1-5", "links": {"contracts": []}},
        {"id": "PRJ1-6", "links": {"customers": [ZANE]}, "mode": "add"},
    ]
    await mirrored(full, jobs)
    assert holding(full) == {f"PRJ1-{number}" for number in range(1, 7)} | {"PRJ2-1"}
    assert full.account.links(Kind.FEATURE, "PRJ1-6")["customers"] == [ZANE, ACME]


async def test_other_fields_stay(full: Sandbox) -> None:
    """Of a target that is cleared, the mirror's field alone is."""
    full.account.set_links(Kind.FEATURE, "PRJ1-40", "contracts", [CONTRACT])
    await mirrored(full, features(39))
    assert full.account.links(Kind.FEATURE, "PRJ1-40") == {"contracts": [CONTRACT]}


async def test_an_empty_batch_clears_the_scope_if_that_is_allowed(full: Sandbox, tmp_path: Path) -> None:
    """Nothing is to hold anything. `yes` does not allow it: an export that failed may be an empty file."""
    with pytest.raises(NoRows, match=r"<jobs> has no rows, so --mirror would clear customers .*--allow-empty"):
        await mirrored(full, [], results=tmp_path / "results.jsonl")
    assert (full.stats.methods["PUT"], names(tmp_path)) == (0, [])
    await mirrored(full, [], allow_empty=True)
    assert holding(full) == {"PRJ2-1"}


@pytest.mark.parametrize(
    ("name", "content"),
    [("empty.jsonl", ""), ("empty.jsonl", "\n\n"), ("empty.csv", "id,field,record_ids\n")],
)
async def test_one_empty_file_of_several_is_refused(full: Sandbox, tmp_path: Path, name: str, content: str) -> None:
    """Half of the truth would clear the other half."""
    write_jobs(tmp_path / "whole.jsonl", features(40))
    (tmp_path / name).write_text(content)
    files = [str(tmp_path / "whole.jsonl"), str(tmp_path / name)]
    with pytest.raises(NoRows, match=rf"{name} has no rows"):
        await mirrored(full, files)
    assert full.stats.methods["PUT"] == 0


async def test_rows_of_which_none_is_valid_are_no_rows(full: Sandbox) -> None:
    """They keep their own targets from being cleared, and no others."""
    jobs = [{"id": f"PRJ1-{number}", "links": {"customers": ["x"]}} for number in range(1, 4)]
    with pytest.raises(NoRows, match="the input has no valid row"):
        await mirrored(full, jobs)
    await mirrored(full, jobs, allow_empty=True)
    assert holding(full) == {"PRJ1-1", "PRJ1-2", "PRJ1-3", "PRJ2-1"}


async def test_an_empty_mirror_is_not_planned_either(full: Sandbox) -> None:
    """`plan` and `verify` say beforehand what the run will say."""
    async with eager(full) as aha:
        with pytest.raises(NoRows):
            await aha.plan([], mirror=SCOPE)
        plan = await aha.plan([], mirror=SCOPE, allow_empty=True)
    assert plan.removed == 40


async def test_a_mirror_may_remove_half_of_what_was_read(full: Sandbox) -> None:
    """20 of 40 are cleared without a word, and not 21: there is no floor of a hundred."""
    with pytest.raises(TooManyRemovals) as caught:
        await mirrored(full, features(19), yes=False)
    assert (caught.value.removals, caught.value.read, caught.value.budget) == (21, 40, 20)
    assert full.stats.methods["PUT"] == 0
    await mirrored(full, features(20), yes=False)
    assert len(holding(full)) == 21


async def test_a_second_mirror_run_writes_nothing(full: Sandbox) -> None:
    """What is cleared is no longer there to be cleared."""
    await mirrored(full, features(10))
    full.requests.clear()
    results = await mirrored(full, features(10))
    assert {result.status for result in results} == {Status.UNCHANGED}
    assert len(results) == 10
    assert asked(full)["write"] == 0


async def test_an_empty_scope_has_nothing_to_clear(full: Sandbox) -> None:
    """A product without features: the batch's jobs are done, and that is all."""
    results = await mirrored(full, features(1), ("feature:PRJ4", "customers"))
    assert [result.source for result in results] == ["<jobs>"]


@pytest.mark.parametrize(
    ("scope", "kind", "id", "other"),
    [
        ("feature", Kind.FEATURE, "PRJ2-1", "PRJ1-1"),
        ("release:PRJ1", Kind.RELEASE, "PRJ1-R-1", "PRJ1-R-2"),
        ("requirement:PRJ1-1", Kind.REQUIREMENT, "PRJ1-1-1", "PRJ1-1-2"),
        ("idea", Kind.IDEA, "PRJ2-I-1", "PRJ1-I-2"),
        ("epic:PRJ1", Kind.EPIC, "PRJ1-E-1", "PRJ1-E-2"),
        ("goal:131414752", Kind.GOAL, "DEMOENT-G-1", "DEMOENT-G-2"),
        ("organizations", Kind.IDEA_ORGANIZATION, "ACCOUNT-O-1", "ACCOUNT-O-2"),
    ],
)
async def test_scopes_of_all_sorts(sandbox: Sandbox, scope: str, kind: Kind, id: str, other: str) -> None:
    """The named one is linked and the other cleared, by account, by product or by feature."""
    sandbox.account.set_links(kind, other, "customers", [ZANE])
    await mirrored(sandbox, [{"kind": kind, "id": id, "links": {"customers": [ACME]}}], (scope, "customers"))
    assert sandbox.account.links(kind, id)["customers"] == [ACME]
    assert sandbox.account.links(kind, other)["customers"] == []


async def test_a_mirror_of_records(sandbox: Sandbox) -> None:
    """The records of one table: those that the batch does not name lose the field."""
    field = "custom_table_name_link_many"
    job = LinkJob(ZANE, {field: ["1059223798"]}, kind=Kind.CUSTOM_OBJECT_RECORD)
    await mirrored(sandbox, [job], ("record:PRJ1/customers", field))
    assert sandbox.account.links(Kind.CUSTOM_OBJECT_RECORD, ZANE)[field] == ["1059223798"]
    assert sandbox.account.links(Kind.CUSTOM_OBJECT_RECORD, ACME)[field] == []


async def refused(sandbox: Sandbox, jobs: Any, folder: Path, scope: tuple[str, str] = SCOPE) -> str:
    """What the run says that clears nothing and leaves no file."""
    before = sandbox.account.all_links()
    with pytest.raises(UsageError) as caught:
        await mirrored(sandbox, jobs, scope, results=folder / "results.jsonl")
    assert sandbox.stats.methods["PUT"] == 0
    assert sandbox.account.all_links() == before
    assert names(folder) == []
    return str(caught.value)


@pytest.mark.parametrize("line", ["no job", {"id": "nonsense!", "links": {"customers": []}}])
async def test_a_line_that_does_not_tell_its_target_clears_nothing(full: Sandbox, tmp_path: Path, line: Any) -> None:
    """It may have named any of them: the run ends, nothing was written, and no results file stays."""
    said = await refused(full, [*features(10), line], tmp_path)
    assert "1 row could not be read (first: <jobs> line 11: " in said
    assert "Correct the input, or add --allow-unreadable" in said


async def test_with_consent_a_line_that_does_not_tell_its_target_clears_the_others(full: Sandbox) -> None:
    """`allow_unreadable` is the user's word that the row belongs to none of them."""
    await mirrored(full, [*features(10), "no job"], allow_unreadable=True)
    assert {name for name in holding(full) if name.startswith("PRJ1-")} == {f"PRJ1-{number}" for number in range(1, 11)}


async def test_a_target_that_cannot_be_read_clears_nothing(full: Sandbox, tmp_path: Path) -> None:
    """A number that nobody knows might have been any of them."""
    jobs = [*features(10), {"kind": "feature", "id": "12345", "links": {"customers": [ACME]}}]
    assert (
        "feature 12345 does not exist, or your token cannot see it (404), so --mirror clears nothing"
        in await refused(full, jobs, tmp_path)
    )


def without_links(number: int, items: list[Page], pagination: Page) -> None:
    """A list that shows no links."""
    for item in items:
        item.pop("custom_object_links", None)


def without_ids(number: int, items: list[Page], pagination: Page) -> None:
    """A list that shows no numbers."""
    for item in items:
        del item["id"]


@pytest.mark.parametrize(
    ("bend", "said"), [(without_links, "does not show existing links"), (without_ids, "does not show ids")]
)
async def test_a_list_that_does_not_show_what_is_needed_clears_nothing(
    full: Sandbox, tmp_path: Path, bend: Any, said: str
) -> None:
    """Without links it is not known what to clear, without ids not what the batch names."""
    bend_pages(full, bend)
    assert said in await refused(full, features(10), tmp_path)


@pytest.mark.parametrize("status", [403, 404, 500])
async def test_a_list_that_cannot_be_read_clears_nothing(full: Sandbox, tmp_path: Path, status: int) -> None:
    """The scope is not known whole, so nothing in it is cleared."""
    full.faults.script(on=r"GET .*[?&]page=1\b", stays=status)
    assert f"({status}" in await refused(full, features(10), tmp_path)


@pytest.mark.parametrize("scope", ["release", "product:PRJ1", "record:PRJ1", "feature:", "nothing:PRJ1", ""])
async def test_a_scope_that_names_no_list_is_refused(full: Sandbox, tmp_path: Path, scope: str) -> None:
    """A `UsageError`, and nothing was written; but a kind alone is the account's whole list."""
    if scope == "feature:":
        results = await mirrored(full, features(40), (scope, "customers"))
        assert [result.id for result in results if result.source == "--mirror"] == ["PRJ2-1"]
    else:
        assert "scope" in await refused(full, features(10), tmp_path, (scope, "customers"))


async def test_the_guard_counts_what_a_mirror_clears(sandbox: Sandbox, tmp_path: Path) -> None:
    """A file that was cut short would clear most of the scope: stopped, nothing written. An empty one may be meant."""
    found = [each.reference for each in sandbox.account.listed(Kind.FEATURE) if each.reference.startswith("PRJ1-")]
    for id in found:
        sandbox.account.set_links(Kind.FEATURE, id, "customers", [ACME])
    with pytest.raises(TooManyRemovals):
        await mirrored(sandbox, features(2), results=tmp_path / "results.jsonl", yes=False, allow_empty=True)
    assert sandbox.stats.methods["PUT"] == 0
    assert names(tmp_path) == []
    await mirrored(sandbox, [], yes=False, allow_empty=True)
    assert holding(sandbox) == set()


async def test_a_mirror_is_planned_and_undone(full: Sandbox, tmp_path: Path) -> None:
    """The plan tells the clears and sends none; the undo brings back what they took."""
    before = full.account.all_links()
    path = tmp_path / "results.jsonl"
    async with eager(full) as aha:
        plan = await aha.plan(features(10), mirror=SCOPE)
        assert (plan.puts, plan.removed, plan.unchanged) == (30, 30, 10)
        assert full.account.all_links() == before
        await results_of(aha.run(features(10), path, mirror=SCOPE, yes=True))
        assert len(holding(full)) == 11
        await results_of(aha.run(UndoFile(path)))
    assert full.account.all_links() == before


@pytest.mark.parametrize("totals", [1, None])
async def test_a_scope_is_read_to_its_end_whatever_its_total_says(totals: int | None) -> None:
    """Too small a total, or none: the targets on the further pages are cleared too."""
    async with Sandbox(limits=[], features=450) as sandbox:
        sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ACME])
        sandbox.account.set_links(Kind.FEATURE, "PRJ1-455", "customers", [ACME])

        def bend(number: int, items: list[Page], pagination: Page) -> None:
            pagination["total_pages"] = totals

        bend_pages(sandbox, bend)
        await mirrored(sandbox, features(1))
        assert holding(sandbox) == {"PRJ1-1"}


async def test_a_list_that_shows_some_twice_clears_them_once(full: Sandbox) -> None:
    """A scope that shifts while it is paged: one clear a target."""

    def bend(number: int, items: list[Page], pagination: Page) -> None:
        pagination["total_pages"] = 2
        items[:] = items if number == 1 else shown[-10:]
        shown.extend(items)

    shown: list[Page] = []
    bend_pages(full, bend)
    results = await mirrored(full, features(10))
    cleared = [result.id for result in results if result.source == "--mirror"]
    assert len(cleared) == len(set(cleared)) == 30
