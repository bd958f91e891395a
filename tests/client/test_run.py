"""A batch through `Linker` against the sandbox: what the account holds afterwards, and what the results say."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from support.runs import ACME, ZANE, by_id, eager, features, results_of

import linker
from linker import ErrorType, Kind, LinkJob, Status
from linker.batch.change import FieldChange
from linker.sandbox import Sandbox

CONTRACT = "7036045937940700101"


async def test_a_batch_makes_the_account_hold_what_it_asks_for(sandbox: Sandbox) -> None:
    """Replace, add, remove, clear, several fields: the account holds the formula's links, each job has one result."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-2", "customers", [ZANE])
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-3", "customers", [ACME, ZANE])
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-4", "customers", [ACME])
    jobs: list[dict[str, Any]] = [
        {"id": "PRJ1-1", "links": {"customers": [ACME], "contracts": [CONTRACT]}},
        {"id": "PRJ1-2", "links": {"customers": [ACME]}, "mode": "add"},
        {"id": "PRJ1-3", "links": {"customers": [ACME]}, "mode": "remove"},
        {"id": "PRJ1-4", "links": {"customers": []}},
        {"id": "PRJ1-1", "links": {"customers": [ZANE]}, "mode": "add"},
        {"id": "PRJ1-5", "links": {"customers": [ACME]}},
        {"id": "PRJ1-5", "links": {"customers": [ZANE]}},
    ]
    async with eager(sandbox) as aha:
        run = aha.run(jobs)
        results = await results_of(run)
    links = {number: dict(sandbox.account.links(Kind.FEATURE, f"PRJ1-{number}")) for number in range(1, 6)}
    assert links == {
        1: {"customers": [ZANE, ACME], "contracts": [CONTRACT]},
        2: {"customers": [ZANE, ACME]},
        3: {"customers": [ZANE]},
        4: {},
        5: {"customers": [ZANE, ACME]},
    }
    assert [result.job for result in results] == list(range(len(jobs)))
    assert {result.status for result in results} == {Status.LINKED}
    assert run.summary.linked == run.summary.jobs == len(jobs)
    assert run.summary.ok
    assert sandbox.stats.methods["PUT"] == 5


async def test_jobs_of_one_target_become_one_put(sandbox: Sandbox) -> None:
    """Fifty additions to one feature, in two spellings of its reference number, cost one GET and one PUT."""
    records = sandbox.account.listed(Kind.CUSTOM_OBJECT_RECORD)
    customers = [str(record.id) for record in records if record.table == "customers"][:50]
    jobs = [
        {"id": ("PRJ1-1", "prj1-1")[number % 2], "links": {"customers": [id]}, "mode": "add"}
        for number, id in enumerate(customers)
    ]
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "contracts", [CONTRACT])
    async with eager(sandbox) as aha:
        results = await results_of(aha.run(jobs))
    assert sandbox.stats.methods == {"GET": 1, "PUT": 1}
    assert {result.change for result in results} == {0}
    assert set(sandbox.account.links(Kind.FEATURE, "PRJ1-1")["customers"]) == set(customers)


async def test_what_is_so_already_costs_no_put(sandbox: Sandbox) -> None:
    """A batch that is run twice sends its PUTs once; the second run's jobs are unchanged, with before and after."""
    async with eager(sandbox) as aha:
        await results_of(aha.run(features(20)))
        results = await results_of(aha.run(features(20)))
    assert sandbox.stats.methods["PUT"] == 20
    for result in results:
        assert result.status is Status.UNCHANGED
        assert result.before == result.after == {"customers": [ACME]}
        assert (result.change, result.attempts, result.http_status) == (None, 0, 200)


async def test_a_result_shows_what_was_there_and_what_the_put_did(sandbox: Sandbox) -> None:
    """`before`, `after` and `changes` tell the whole field, the key comes back, and ids are strings in order."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ZANE])
    job = LinkJob("PRJ1-1", {"customers": [int(ACME)]}, key={"row": 17})  # type: ignore[list-item]
    async with eager(sandbox) as aha:
        (result,) = await results_of(aha.run([job]))
    assert result.before == {"customers": [ZANE]}
    assert result.after == {"customers": [ACME]}
    assert result.changes == {"customers": FieldChange([ACME], [ZANE])}
    assert (result.key, result.mode, result.attempts, result.http_status) == ({"row": 17}, "replace", 1, 200)
    assert (result.source, result.line, result.kind, result.id) == ("<jobs>", 1, "feature", "PRJ1-1")
    assert result.error is None


async def test_the_default_mode_is_the_runs(sandbox: Sandbox) -> None:
    """A job that names no mode takes the run's, which goes before the linker's own; one that does keeps it."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ZANE])
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-2", "customers", [ZANE])
    jobs: list[dict[str, Any]] = [{"id": "PRJ1-1", "links": {"customers": [ACME]}}]
    jobs += [{"id": "PRJ1-2", "links": {"customers": [ACME]}, "mode": "replace"}]
    async with eager(sandbox, mode="remove") as aha:
        results = await results_of(aha.run(jobs, mode="add"))
    assert [result.mode for result in results] == ["add", "replace"]
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1")["customers"] == [ZANE, ACME]
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-2")["customers"] == [ACME]


async def test_blind_writes_without_reading_what_need_not_be_read(sandbox: Sandbox) -> None:
    """Blind, a replace costs a PUT alone and tells no before; an add is read all the same."""
    jobs = [*features(10), {"id": "PRJ2-1", "links": {"customers": [ZANE]}, "mode": "add"}]
    sandbox.account.set_links(Kind.FEATURE, "PRJ2-1", "contracts", [CONTRACT])
    async with eager(sandbox, blind=True) as aha:
        *replaced, added = await results_of(aha.run(jobs))
    assert sandbox.stats.methods == {"GET": 1, "PUT": 11}
    for result in replaced:
        assert (result.status, result.before, result.changes) == (Status.LINKED, None, None)
        assert result.after == {"customers": [ACME]}
    assert added.before == {"customers": []}


async def test_a_conflict_names_both_lines_and_spares_the_rest(sandbox: Sandbox) -> None:
    """An id that one job gives and another removes: both are rejected, each naming the other, nothing is sent."""
    jobs: list[dict[str, Any]] = [
        {"id": "PRJ1-1", "links": {"customers": [ACME]}, "mode": "add"},
        {"id": "PRJ1-1", "links": {"customers": [ACME, ZANE]}, "mode": "remove"},
        {"id": "PRJ1-2", "links": {"customers": [ACME]}},
    ]
    async with eager(sandbox) as aha:
        gives, takes, other = await results_of(aha.run(jobs))
    for result, line in ((gives, 2), (takes, 1)):
        assert result.status is Status.REJECTED
        assert result.error is not None
        assert result.error.type is ErrorType.CONFLICT
        assert f"<jobs> line {line}" in result.error.message
    assert other.status is Status.LINKED
    assert sandbox.stats.methods["PUT"] == 1


async def test_half_a_list_never_becomes_the_list(sandbox: Sandbox) -> None:
    """A line that is no job takes the replace jobs of its target and field with it, and leaves an add alone."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ZANE])
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-2", "customers", [ZANE])
    jobs: list[dict[str, Any]] = [
        {"id": "PRJ1-1", "links": {"customers": [ACME]}},
        {"id": "PRJ1-1", "links": {"customers": ["7.03605E+18"]}},
        {"id": "PRJ1-2", "links": {"customers": [ACME]}, "mode": "add"},
        {"id": "PRJ1-2", "links": {"customers": [1.5]}, "mode": "add"},
    ]
    async with eager(sandbox) as aha:
        results = await results_of(aha.run(jobs))
    types = [result.error.type if result.error else None for result in results]
    assert types == [ErrorType.INCOMPLETE, ErrorType.INVALID_JOB, None, ErrorType.INVALID_JOB]
    assert "<jobs> line 2" in results[0].error.message  # type: ignore[union-attr]
    assert "spreadsheet" in results[1].error.message  # type: ignore[union-attr]
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1")["customers"] == [ZANE]
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-2")["customers"] == [ZANE, ACME]


TOLD_BY_REFERENCE = {
    "PRJ2": Kind.PRODUCT,
    "PRJ1-MR-1": Kind.RELEASE,
    "PRJ1-1": Kind.FEATURE,
    "PRJ1-1-2": Kind.REQUIREMENT,
    "PRJ1-I-2": Kind.IDEA,
    "PRJ1-S-1": Kind.INITIATIVE,
    "DEMOENT-G-1": Kind.GOAL,
    "PRJ1-E-1": Kind.EPIC,
    "ACCOUNT-O-1": Kind.IDEA_ORGANIZATION,
}


async def test_all_ten_kinds_are_linked(sandbox: Sandbox) -> None:
    """A target of each kind gets its link; a product's, which no answer shows, by the account's word."""
    jobs: list[dict[str, Any]] = [{"id": id, "links": {"customers": [ACME]}} for id in TOLD_BY_REFERENCE]
    record = {"custom_table_name_submitters": ["136661093"]}
    jobs.append({"kind": "custom_object_record", "id": ZANE, "links": record})
    async with eager(sandbox) as aha:
        run = aha.run(jobs)
        results = by_id(await results_of(run))
    for id, kind in TOLD_BY_REFERENCE.items():
        assert results[id].kind == kind
        assert results[id].status is Status.LINKED
        assert sandbox.account.links(kind, id)["customers"] == [ACME]
        assert results[id].after == (None if kind is Kind.PRODUCT else {"customers": [ACME]})
    assert sandbox.account.links(Kind.CUSTOM_OBJECT_RECORD, ZANE) == record
    assert len({result.kind for result in results.values()}) == len(Kind)
    assert run.summary.unseen == 1


async def test_what_answers_do_not_show_is_neither_added_to_nor_removed_from(sandbox: Sandbox) -> None:
    """Where no answer shows links, add and remove fail with bad_answer and take a replace of their field along."""
    jobs: list[dict[str, Any]] = [
        {"id": "PRJ1", "links": {"customers": [ACME]}, "mode": "add"},
        {"id": "PRJ2", "links": {"customers": [ACME]}, "mode": "remove"},
        {"id": "PRJ3", "links": {"customers": [ACME]}},
        {"id": "PRJ4", "links": {"customers": [ACME]}},
        {"id": "PRJ4", "links": {"contracts": [CONTRACT]}, "mode": "add"},
    ]
    async with eager(sandbox) as aha:
        added, removed, replaced, beside, needy = await results_of(aha.run(jobs))
    for result in (added, removed, needy):
        assert result.status is Status.FAILED
        assert result.error is not None
        assert result.error.type is ErrorType.BAD_ANSWER
        assert result.http_status == 200
    for result in (replaced, beside):
        assert (result.status, result.before, result.after) == (Status.LINKED, None, None)
        assert result.unseen
    assert replaced.changes == {"customers": FieldChange([ACME], [])}  # what was asked: it went first, on trust
    assert beside.changes is None
    assert sandbox.account.links(Kind.PRODUCT, "PRJ4") == {"customers": [ACME]}
    assert sandbox.account.links(Kind.PRODUCT, "PRJ1") == {}


@pytest.mark.parametrize("empty_links", ["empty", "fields", "missing"])
async def test_empty_fields_are_understood_however_an_account_shows_them(
    empty_links: Literal["empty", "fields", "missing"],
) -> None:
    """Fields left out, shown empty, or the whole key gone: whatever says that there are none, all is done."""
    async with Sandbox(limits=[], empty_links=empty_links) as sandbox:
        sandbox.account.set_links(Kind.FEATURE, "PRJ1-2", "customers", [ACME])
        jobs: list[dict[str, Any]] = [
            {"id": "PRJ1-1", "links": {"customers": [ACME]}},
            {"id": "PRJ1-2", "links": {"customers": []}},
            {"id": "PRJ1-3", "links": {"customers": [ACME]}, "mode": "add"},
            {"id": "PRJ1-4", "links": {"customers": []}},
        ]
        async with eager(sandbox) as aha:
            filled, cleared, added, clear = await results_of(aha.run(jobs))
        links = [sandbox.account.links(Kind.FEATURE, f"PRJ1-{number}")["customers"] for number in range(1, 5)]
    assert filled.status is cleared.status is Status.LINKED
    assert filled.after == {"customers": [ACME]}
    assert cleared.before == {"customers": [ACME]}
    assert links == [[ACME], [], [ACME], []]
    assert filled.before == cleared.after == {"customers": []}
    assert added.status is Status.LINKED
    assert clear.status is Status.UNCHANGED


async def test_a_field_that_the_account_drops_in_silence_is_not_applied(sandbox: Sandbox) -> None:
    """Answered 200 and not there: the job fails as not_applied, and its target's good field is linked."""
    jobs = [
        {"id": "PRJ1-1", "links": {"custommers": [ACME]}},
        {"id": "PRJ1-1", "links": {"customers": [ACME]}},
    ]
    async with eager(sandbox) as aha:
        wrong, right = await results_of(aha.run(jobs))
    assert wrong.status is Status.FAILED
    assert wrong.error is not None
    assert wrong.error.type is ErrorType.NOT_APPLIED
    assert "custommers" in wrong.error.message
    assert wrong.after == right.after == {"custommers": [], "customers": [ACME]}
    assert right.status is Status.LINKED
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1") == {"customers": [ACME]}


async def test_what_the_account_does_not_take_fails_with_its_own_words(sandbox: Sandbox) -> None:
    """A record that does not exist (422), a target that does not exist (404): one try each, and what it means."""
    jobs = [
        {"id": "PRJ1-1", "links": {"customers": ["12345"]}},
        {"id": "PRJ9-1", "links": {"customers": [ACME]}},
        {"id": "PRJ1-2", "links": {"customers": [ACME]}},
    ]
    async with eager(sandbox) as aha:
        record, target, good = await results_of(aha.run(jobs))
    assert record.error == linker.Error(
        ErrorType.INVALID_VALUE,
        "the account refused customers of feature PRJ1-1 "
        "(422: custom_object_links.customers: the record 12345 does not exist)"
        "; check the record ids (linker records PRODUCT/TABLE lists them)",
    )
    assert (record.http_status, record.attempts, record.before) == (422, 1, {"customers": []})
    assert target.error == linker.Error(
        ErrorType.NOT_FOUND, "feature PRJ9-1 does not exist, or your token cannot see it (404)"
    )
    assert (target.http_status, target.attempts, target.before, target.change) == (404, 1, None, None)
    assert good.status is Status.LINKED


async def test_results_are_in_the_file_as_they_are_yielded(sandbox: Sandbox, tmp_path: Any) -> None:
    """Each result is on disk, a whole line, before it is seen; at the end the file holds them all, in that order."""
    path = tmp_path / "links.results.jsonl"
    seen: list[linker.Result] = []
    async with eager(sandbox) as aha:
        run = aha.run([*features(30), {"id": "nonsense!"}], path)
        async for result in run:
            seen.append(result)
            assert result in list(linker.read_results(path))
    assert seen == list(linker.read_results(path))
    assert run.summary.results == path
    assert len(seen) == 31
