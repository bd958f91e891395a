"""What the targets hold, in the fewest reads, whatever the account's lists are like: counted at the account."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from support.odd_lists import Page, asked, bend_pages, on_request, refuse_page
from support.runs import ACME, ZANE, eager, features, results_of

from linker import ErrorType, Kind, Result, Status
from linker.sandbox import Resource, Sandbox
from linker.sandbox.routes import LOGIN_PAGE, refusal

MANY = 992
"""Features beside the document's eight: a thousand, of which 997 are PRJ1's."""


@pytest.fixture
def many() -> Sandbox:
    """An account of a thousand features, not started yet."""
    return Sandbox(limits=[], features=MANY, keep_requests=True, empty_links="empty")


async def run(sandbox: Sandbox, jobs: Any, **options: Any) -> list[Result]:
    """All results of a run."""
    async with eager(sandbox, **options) as aha:
        return await results_of(aha.run(jobs))


def linked(results: Iterable[Result]) -> bool:
    """Whether every job is linked or was so already."""
    return {result.status for result in results} <= {Status.LINKED, Status.UNCHANGED}


def set_all(sandbox: Sandbox, numbers: Iterable[int], *ids: str) -> None:
    """Let features hold links from the start."""
    for number in numbers:
        sandbox.account.set_links(Kind.FEATURE, f"PRJ1-{number}", "customers", ids)


def all_hold(sandbox: Sandbox, count: int, ids: list[str]) -> bool:
    """Whether the features from PRJ1-1 on hold these and nothing else."""
    held = (sandbox.account.links(Kind.FEATURE, f"PRJ1-{n}")["customers"] for n in range(1, count + 1))
    return all(each == ids for each in held)


async def test_a_few_of_many_are_read_one_by_one() -> None:
    """Five of ten thousand features: one look at the list, and then five GETs and five PUTs at most."""
    async with Sandbox(limits=[], features=9992, keep_requests=True, empty_links="empty") as sandbox:
        jobs = [{"id": f"PRJ1-{number}", "links": {"customers": [ACME]}} for number in range(9000, 9005)]
        assert linked(await run(sandbox, jobs))
        assert asked(sandbox) == {"list": 1, "read": 5, "write": 5}


async def test_one_or_two_are_not_looked_for_in_a_list(many: Sandbox) -> None:
    """Two targets cost two GETs."""
    async with many:
        await run(many, features(2))
        assert asked(many) == {"read": 2, "write": 2}


async def test_many_are_read_by_pages_and_what_is_so_already_costs_nothing_more(many: Sandbox) -> None:
    """A thousand features of which ten are to change: five pages and ten PUTs; a second run the five pages alone."""
    async with many:
        set_all(many, range(11, 998), ACME)
        first = await run(many, features(997))
        assert linked(first)
        assert asked(many) == {"list": 5, "write": 10}
        many.requests.clear()
        second = await run(many, features(997))
        assert {result.status for result in second} == {Status.UNCHANGED}
        assert asked(many) == {"list": 5}


async def test_no_page_is_read_for_targets_that_were_seen_already(many: Sandbox) -> None:
    """Of a hundred targets that stand at the front of the list, the pages behind are not read."""
    async with many:
        assert linked(await run(many, features(100)))
        assert asked(many) == {"list": 1, "write": 100}


async def test_the_last_few_are_read_one_by_one_where_that_is_cheaper(many: Sandbox) -> None:
    """A hundred on the first page and one on the last: its own GET, not the four pages up to it."""
    async with many:
        assert linked(await run(many, [*features(100), {"id": "PRJ1-990", "links": {"customers": [ACME]}}]))
        assert asked(many) == {"list": 1, "read": 1, "write": 101}


def add_releases(sandbox: Sandbox) -> list[str]:
    """Three hundred releases in each of two products; their reference numbers."""
    names = []
    for place, product in enumerate(("PRJ3", "PRJ4")):
        owner = sandbox.account.find(Kind.PRODUCT, product)
        assert owner is not None
        for number in range(1, 301):
            names.append(f"{product}-R-{number}")
            id = 10**18 + 1000 * place + number
            sandbox.account.add(Resource(Kind.RELEASE, id, names[-1], "a release", owner.id))
    return names


async def test_releases_are_listed_by_product(sandbox: Sandbox) -> None:
    """Six hundred releases of two products, all but three as they should be: two pages each, and three PUTs."""
    names = add_releases(sandbox)
    for name in names[3:]:
        sandbox.account.set_links(Kind.RELEASE, name, "customers", [ACME])
    assert linked(await run(sandbox, [{"id": name, "links": {"customers": [ACME]}} for name in names]))
    assert asked(sandbox) == {"list": 4, "write": 3}
    paths = {seen.path for seen in sandbox.requests if seen.method == "GET"}
    assert paths == {"/api/v1/products/PRJ3/releases", "/api/v1/products/PRJ4/releases"}


async def test_requirements_are_listed_by_feature(sandbox: Sandbox) -> None:
    """Three requirements of one feature are one page of its list."""
    jobs = [{"id": f"PRJ1-1-{number}", "links": {"customers": [ACME]}} for number in (1, 2, 3)]
    assert linked(await run(sandbox, jobs))
    assert asked(sandbox) == {"list": 1, "write": 3}
    assert sandbox.requests[0].path == "/api/v1/features/PRJ1-1/requirements"


async def test_what_does_not_tell_its_list_is_read_by_itself(sandbox: Sandbox) -> None:
    """Records, and releases that go by number: a GET each, however many there are."""
    records = [str(each.id) for each in sandbox.account.listed(Kind.CUSTOM_OBJECT_RECORD)][:5]
    releases = [str(each.id) for each in sandbox.account.listed(Kind.RELEASE)][:5]
    submitter = {"custom_table_name_submitters": ["136661093"]}
    jobs: list[dict[str, Any]] = [{"kind": "record", "id": id, "links": submitter} for id in records]
    jobs = [{**job, "kind": "custom_object_record"} for job in jobs]
    jobs += [{"kind": "release", "id": id, "links": {"customers": [ACME]}} for id in releases]
    assert linked(await run(sandbox, jobs))
    assert asked(sandbox) == {"read": 10, "write": 10}


@pytest.mark.parametrize(
    "kind", [Kind.FEATURE, Kind.EPIC, Kind.IDEA, Kind.INITIATIVE, Kind.GOAL, Kind.IDEA_ORGANIZATION]
)
async def test_most_kinds_have_a_list_of_the_whole_account(sandbox: Sandbox, kind: Kind) -> None:
    """Targets of several products, by number and by reference number, are one list's."""
    found = sandbox.account.listed(kind)[-5:]
    jobs = [
        {"kind": kind, "id": each.reference if place % 2 else each.id, "links": {"customers": [ACME]}}
        for place, each in enumerate(found)
    ]
    assert linked(await run(sandbox, jobs))
    assert asked(sandbox)["list"] >= 1
    assert asked(sandbox)["read"] == 0


# — lists that are not what they should be —


def hide_links(number: int, items: list[Page], pagination: Page) -> None:
    """The list leaves the links out."""
    for item in items:
        item.pop("custom_object_links", None)


def hide_names(number: int, items: list[Page], pagination: Page) -> None:
    """The list does not say which target is which."""
    for item in items:
        del item["id"], item["reference_num"]


def ignore_fields(number: int, items: list[Page], pagination: Page) -> None:
    """The list shows its own fields whatever is asked for."""
    items[:] = [{"id": item["id"], "reference_num": item["reference_num"], "name": "…", "url": "…"} for item in items]


@pytest.mark.parametrize("bend", [hide_links, hide_names, ignore_fields])
async def test_a_list_that_does_not_show_what_is_needed_is_given_up_after_one_page(
    many: Sandbox, bend: Callable[[int, list[Page], Page], None]
) -> None:
    """One page, and single GETs take over; what they find is what is written by."""
    async with many:
        set_all(many, range(1, 301), ZANE)
        bend_pages(many, bend)
        assert linked(await run(many, features(300), mode="add"))
        assert asked(many) == {"list": 1, "read": 300, "write": 300}
        assert all_hold(many, 300, [ZANE, ACME])


def too_few(number: int, items: list[Page], pagination: Page) -> None:
    """The list says that it ends after two pages."""
    pagination["total_pages"] = 2


def untold(number: int, items: list[Page], pagination: Page) -> None:
    """The list does not say how long it is."""
    pagination.clear()


def too_many(number: int, items: list[Page], pagination: Page) -> None:
    """The list says that it has a hundred pages more."""
    pagination["total_pages"] += 100


def nonsense(number: int, items: list[Page], pagination: Page) -> None:
    """The list says how long it is in words, or less than nothing."""
    pagination["total_pages"] = ["many", -1, None][number % 3]


@pytest.mark.parametrize("bend", [too_few, untold, too_many, nonsense])
async def test_wrong_totals_cost_requests_and_no_target(
    many: Sandbox, bend: Callable[[int, list[Page], Page], None]
) -> None:
    """However long a list says it is, every target is read once and written once."""
    async with many:
        bend_pages(many, bend)
        assert linked(await run(many, features(997)))
        counts = asked(many)
        assert counts["write"] == 997
        assert counts["list"] <= 5 + 8
        assert counts["read"] == (0 if bend is too_many else 597 if bend is too_few else 797)
        assert all_hold(many, 997, [ACME])


@pytest.mark.parametrize("what", [404, 500, "html"], ids=str)
@pytest.mark.parametrize("at", [1, 3])
async def test_a_list_that_fails_is_given_up_for_single_reads(many: Sandbox, at: int, what: int | str) -> None:
    """A page that cannot be had, the first or one in the middle: what was not seen yet is read by itself."""
    async with many:
        set_all(many, range(11, 998), ACME)
        refuse_page(many, at, LOGIN_PAGE if what == "html" else refusal(int(what), "not today"))
        assert linked(await run(many, features(997), attempts=2))
        counts = asked(many)
        assert counts["write"] == 10
        assert counts["list"] <= 5 + 2
        assert counts["read"] == (997 if at == 1 else 597)
        assert all_hold(many, 997, [ACME])


def shifting(many: Sandbox, by: int) -> Callable[[int, list[Page], Page], None]:
    """A list to whose front somebody adds (or from whose front somebody takes) while it is paged."""
    found = [(str(each.id), each.reference) for each in many.account.listed(Kind.FEATURE)]
    links = many.account.links

    def bend(number: int, items: list[Page], pagination: Page) -> None:
        start = max(0, 200 * (number - 1) - by * (number - 1))
        items[:] = [
            {
                "id": id,
                "reference_num": name,
                "custom_object_links": [
                    {"key": key, "record_ids": ids} for key, ids in links(Kind.FEATURE, name).items()
                ],
            }
            for id, name in found[start : start + 200]
        ]

    return bend


@pytest.mark.parametrize("by", [50, -50, 150, -150])
async def test_a_list_that_shifts_while_it_is_paged_misses_no_target_and_doubles_none(many: Sandbox, by: int) -> None:
    """Shown twice, a target is taken once; not shown, it is read by itself; nothing is PUT twice."""
    async with many:
        set_all(many, range(1, 500), ZANE)
        bend_pages(many, shifting(many, by))
        results = await run(many, features(997), mode="add")
        assert linked(results)
        assert [result.job for result in results] == list(range(997))
        written = [seen.path for seen in many.requests if seen.method == "PUT"]
        assert len(written) == len(set(written)) == 997
        assert all_hold(many, 499, [ZANE, ACME])


# — two names of one target —


def numbered(sandbox: Sandbox, name: str) -> str:
    """The number of a feature."""
    found = sandbox.account.find(Kind.FEATURE, name)
    assert found is not None
    return str(found.id)


def both_names(sandbox: Sandbox, count: int) -> list[dict[str, Any]]:
    """Each feature twice: Acme by its reference number, Zane by its number."""
    jobs = features(count)
    return jobs + [
        {"kind": "feature", "id": numbered(sandbox, job["id"]), "links": {"customers": [ZANE]}} for job in jobs
    ]


@pytest.mark.parametrize("count", [1, 2, 50], ids=["one by one", "by a list", "by a list, many"])
async def test_a_target_by_its_number_and_by_its_reference_is_one_target(sandbox: Sandbox, count: int) -> None:
    """Half a list by each name: the target holds the union after one PUT, and both jobs went with it."""
    results = await run(sandbox, both_names(sandbox, count))
    assert linked(results)
    assert asked(sandbox)["write"] == count
    assert all_hold(sandbox, count, [ZANE, ACME])
    for one, other in zip(results[:count], results[count:], strict=True):
        assert one.change == other.change
        assert one.after == other.after == {"customers": [ZANE, ACME]}


async def test_two_names_are_found_to_be_one_target_in_the_fewest_reads(sandbox: Sandbox) -> None:
    """Where no list can be used, the names of which there are fewer are read first, and no target twice."""
    bend_pages(sandbox, hide_links)
    jobs = features(20)
    jobs.append({"kind": "feature", "id": numbered(sandbox, "PRJ1-7"), "links": {"customers": [ZANE]}})
    assert linked(await run(sandbox, jobs))
    assert asked(sandbox) == {"list": 1, "read": 20, "write": 20}
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-7")["customers"] == [ZANE, ACME]


@pytest.mark.parametrize("more", [0, 10], ids=["one by one", "by a list"])
async def test_a_conflict_between_two_names_of_a_target_is_rejected(sandbox: Sandbox, more: int) -> None:
    """One name gives what the other takes: both are rejected, each naming the other's line."""
    jobs = [
        {"id": "PRJ1-1", "links": {"customers": [ACME]}, "mode": "add"},
        {"kind": "feature", "id": numbered(sandbox, "PRJ1-1"), "links": {"customers": [ACME]}, "mode": "remove"},
        *features(more + 1)[1:],
    ]
    one, other, *rest = await run(sandbox, jobs)
    for result, line in ((one, 2), (other, 1)):
        assert result.error is not None
        assert result.error.type is ErrorType.CONFLICT
        assert f"<jobs> line {line}" in result.error.message
    assert linked(rest)
    assert asked(sandbox)["write"] == more


@pytest.mark.parametrize("more", [0, 10], ids=["one by one", "by a list"])
@pytest.mark.parametrize("rejected_by", ["number", "reference"])
async def test_a_rejected_line_holds_back_a_list_by_whichever_name(
    sandbox: Sandbox, more: int, rejected_by: str
) -> None:
    """A line that is no job, under one name of a target, takes the replace under the other name along."""
    by_number: dict[str, Any] = {"kind": "feature", "id": numbered(sandbox, "PRJ1-1")}
    by_reference: dict[str, Any] = {"id": "PRJ1-1"}
    bad, good = (by_number, by_reference) if rejected_by == "number" else (by_reference, by_number)
    jobs = [{**bad, "links": {"customers": ["x"]}}, {**good, "links": {"customers": [ACME]}}, *features(more + 1)[1:]]
    wrong, held_back, *rest = await run(sandbox, jobs)
    assert (wrong.status, held_back.status) == (Status.REJECTED, Status.REJECTED)
    assert held_back.error is not None
    assert held_back.error.type is ErrorType.INCOMPLETE
    assert "<jobs> line 1" in held_back.error.message
    assert linked(rest)
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1") == {}


async def test_blind_two_names_are_two_targets(sandbox: Sandbox) -> None:
    """Without a look beforehand nobody can tell: each name has its PUT, and the later one stays."""
    results = await run(sandbox, both_names(sandbox, 1), blind=True)
    assert linked(results)
    assert asked(sandbox) == {"write": 2}


async def test_a_name_that_cannot_be_read_while_another_may_be_the_same_is_not_written(sandbox: Sandbox) -> None:
    """Its jobs fail with the account's word, nothing was sent for it, and the rest goes on."""
    jobs = [*features(2), {"kind": "feature", "id": "12345", "links": {"customers": [ACME]}}]
    bend_pages(sandbox, hide_links)
    *good, lost = await run(sandbox, jobs)
    assert linked(good)
    assert (lost.status, lost.http_status, lost.change) == (Status.FAILED, 404, None)
    assert lost.error is not None
    assert lost.error.type is ErrorType.NOT_FOUND


async def test_a_name_that_is_there_and_cannot_be_read_is_found_by_its_other_name(sandbox: Sandbox) -> None:
    """Half a list by each name, and one of them fails for long: the other tells both, and the list is whole."""
    bend_pages(sandbox, hide_names)
    jobs = both_names(sandbox, 1) + features(3)[1:]
    sandbox.faults.script(on=rf"GET .*/{jobs[1]['id']}\b", stays=500)
    assert linked(await run(sandbox, jobs, attempts=2))
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1")["customers"] == [ZANE, ACME]
    assert asked(sandbox) == {"list": 1, "read": 2 + 3, "write": 3}


async def test_half_a_list_is_not_written_where_neither_name_can_be_read(sandbox: Sandbox) -> None:
    """What is not known to be whole stays as it was; what was read goes on."""
    bend_pages(sandbox, hide_links)
    jobs = both_names(sandbox, 1) + features(3)[1:]
    sandbox.faults.script(on=rf"GET .*/({jobs[0]['id']}|{jobs[1]['id']})\b", stays=500)
    one, other, *rest = await run(sandbox, jobs, attempts=2)
    assert (one.status, other.status) == (Status.FAILED, Status.FAILED)
    assert linked(rest)
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1") == {}


# — pages are read as the queue empties —


async def test_a_run_that_is_stopped_reads_no_further_page(many: Sandbox) -> None:
    """`stop()` while the first page is on its way: it is the last request."""
    async with many, eager(many) as aha:
        stopped = aha.run(features(997))
        on_request(many, lambda method, path, query: stopped.stop())
        assert await results_of(stopped) == []
        assert many.stats.requests == 1
