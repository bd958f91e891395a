"""What was read too long ago is read again before it is written by: a colleague's edit meanwhile stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.odd_lists import asked, bend_pages, on_request
from support.runs import ACME, ZANE, eager, features, results_of

from linker import Kind, Result, Status
from linker.sandbox import Sandbox

OLD = 0.0
"""A `max_age` that whatever was read is beyond at its very next turn."""


def feature_of(path: str) -> str:
    """The feature that a path names."""
    return path.rpartition("/")[2]


class Colleague:
    """Somebody who adds Zane Corp to features just after these were read for the first time."""

    def __init__(self, sandbox: Sandbox, *ids: str, field: str = "customers") -> None:
        self.sandbox, self.ids, self.field = sandbox, set(ids), field
        self.seen: set[str] = set()
        self.reads: dict[str, int] = {}
        on_request(sandbox, self)

    def __call__(self, method: str, path: str, query: str) -> None:
        """Write before the next request of any sort is done, once each target has been read."""
        for id in self.seen & self.ids:
            held = self.sandbox.account.links(Kind.FEATURE, id)[self.field]
            self.sandbox.account.set_links(Kind.FEATURE, id, self.field, [*held, ZANE])
        self.ids -= self.seen
        if method == "GET":
            listed = "page=" in query
            self.seen |= self.ids if listed else {feature_of(path)}


async def run(sandbox: Sandbox, jobs: Any, **options: Any) -> list[Result]:
    """All results of a run."""
    async with eager(sandbox, **options) as aha:
        return await results_of(aha.run(jobs))


@pytest.mark.parametrize("mode", ["add", "remove"])
@pytest.mark.parametrize("count", [1, 30], ids=["by itself", "by its page"])
async def test_an_edit_made_before_the_second_look_stays(sandbox: Sandbox, mode: str, count: int) -> None:
    """What a colleague added after the read is kept by an add and a remove, and the result tells of it."""
    there, other = ([], [ACME]) if mode == "add" else ([ACME], [])
    for number in range(1, 31):  # all on one page, and so many of them to be written
        sandbox.account.set_links(Kind.FEATURE, f"PRJ1-{number}", "customers", there if number <= count else other)
    Colleague(sandbox, *(f"PRJ1-{number}" for number in range(1, count + 1)))
    results = await run(sandbox, [{**job, "mode": mode} for job in features(30)], max_age=OLD)
    assert asked(sandbox) == ({"list": 1, "read": 1, "write": 1} if count == 1 else {"list": 2, "write": 30})
    for result in results[:count]:
        after = [ZANE, ACME] if mode == "add" else [ZANE]
        assert result.status is Status.LINKED
        assert sandbox.account.links(Kind.FEATURE, str(result.id))["customers"] == after
        assert result.before == {"customers": [ZANE] if mode == "add" else [ZANE, ACME]}
        assert result.after == {"customers": after}


async def test_what_a_colleague_did_already_is_not_sent(sandbox: Sandbox) -> None:
    """An edit that makes the target what is asked: unchanged at the second look, and no PUT."""
    Colleague(sandbox, *(f"PRJ1-{number}" for number in range(1, 11)))
    results = await run(sandbox, features(10, ZANE), max_age=OLD)
    assert {result.status for result in results} == {Status.UNCHANGED}
    assert asked(sandbox) == {"list": 2}


async def test_a_page_is_read_again_once_for_all_who_wait(sandbox: Sandbox) -> None:
    """Forty works of one page, each with a worker: one page read, one page read again, forty PUTs."""
    results = await run(sandbox, features(40), max_age=OLD, concurrency=40)
    assert {result.status for result in results} == {Status.LINKED}
    assert asked(sandbox) == {"list": 2, "write": 40}


async def test_what_a_single_read_showed_is_written_next(sandbox: Sandbox) -> None:
    """A target read for its PUT is not read twice."""
    await run(sandbox, features(2), max_age=OLD)
    assert asked(sandbox) == {"read": 2, "write": 2}


async def test_what_is_fresh_is_not_read_again(sandbox: Sandbox) -> None:
    """Within a minute: a page and its PUTs, however many workers there are."""
    for concurrency in (1, 40):
        sandbox.requests.clear()
        await run(sandbox, features(40, (ACME, ZANE)[concurrency == 1]), concurrency=concurrency, yes=True)
        assert asked(sandbox) == {"list": 1, "write": 40}


async def test_a_put_that_is_tried_again_goes_by_what_is_there_then(sandbox: Sandbox) -> None:
    """After a failed try and its wait, a colleague's addition is seen and stays."""

    def write(method: str, path: str, query: str) -> None:
        if sandbox.stats.faults:
            sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ZANE])

    on_request(sandbox, write)
    sandbox.faults.script(None, 503)
    (result,) = await run(sandbox, [{**features(1)[0], "mode": "add"}], max_age=OLD)
    assert asked(sandbox) == {"read": 2, "write": 2}
    assert (result.status, result.attempts) == (Status.LINKED, 2)
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1")["customers"] == [ZANE, ACME]


async def test_a_page_that_shows_a_target_no_more_sends_it_to_a_read_of_its_own(sandbox: Sandbox) -> None:
    """Where the list has shifted, who is not on the page any longer is read by itself, and nobody is lost."""
    looks = 0

    def bend(number: int, items: list[dict[str, Any]], pagination: dict[str, Any]) -> None:
        nonlocal looks
        looks += 1
        if looks > 1:
            items[:] = [item for item in items if item["reference_num"] not in ("PRJ1-7", "PRJ1-8")]

    bend_pages(sandbox, bend)
    Colleague(sandbox, "PRJ1-7", "PRJ1-9")
    results = await run(sandbox, [{**job, "mode": "add"} for job in features(20)], max_age=OLD)
    assert {result.status for result in results} == {Status.LINKED}
    assert asked(sandbox) == {"list": 2, "read": 2, "write": 20}
    for number in range(1, 21):
        held = sandbox.account.links(Kind.FEATURE, f"PRJ1-{number}")["customers"]
        assert held == ([ZANE, ACME] if number in (7, 9) else [ACME])


@pytest.mark.parametrize("show", ["no links", "nothing"])
async def test_a_page_that_can_be_read_no_more_sends_all_to_reads_of_their_own(sandbox: Sandbox, show: str) -> None:
    """The second look at the list fails: a GET each, and all is written."""
    looks = 0

    def bend(number: int, items: list[dict[str, Any]], pagination: dict[str, Any]) -> None:
        nonlocal looks
        looks += 1
        for item in items if looks > 1 else ():
            item.pop("custom_object_links", None)
        if looks > 1 and show == "nothing":
            items.clear()

    bend_pages(sandbox, bend)
    results = await run(sandbox, features(20), max_age=OLD)
    assert {result.status for result in results} == {Status.LINKED}
    assert asked(sandbox) == {"list": 2, "read": 20, "write": 20}


async def test_every_work_gets_its_turn_however_small_the_age(sandbox: Sandbox) -> None:
    """Nothing ever stays fresh until its PUT: each is read again at most once for it, and the run ends."""
    for concurrency in (1, 3, 40):
        sandbox.requests.clear()
        ids = {1: [ACME], 3: [ZANE], 40: []}[concurrency]
        jobs = [{**job, "links": {"customers": ids}} for job in features(60)]
        results = await run(sandbox, jobs, max_age=OLD, concurrency=concurrency, yes=True)
        assert {result.status for result in results} == {Status.LINKED}
        counts = asked(sandbox)
        assert counts["write"] == 60
        assert counts["list"] + counts["read"] <= 1 + 60


async def test_a_target_by_two_names_is_found_on_its_page_again(sandbox: Sandbox) -> None:
    """A target that only its number names is known on the page when that is looked at again."""
    found = [sandbox.account.find(Kind.FEATURE, f"PRJ1-{number}") for number in range(1, 11)]
    jobs = [{"kind": "feature", "id": each.id, "links": {"customers": [ACME]}, "mode": "add"} for each in found if each]
    Colleague(sandbox, "PRJ1-5")
    results = await run(sandbox, jobs, max_age=OLD)
    assert {result.status for result in results} == {Status.LINKED}
    assert asked(sandbox) == {"list": 2, "write": 10}
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-5")["customers"] == [ZANE, ACME]


async def test_removals_that_a_second_look_adds_count_with_the_guard(sandbox: Sandbox, tmp_path: Path) -> None:
    """What a colleague linked meanwhile would be taken away too: the guard knows, though the page had passed it."""
    records = [str(each.id) for each in sandbox.account.listed(Kind.CUSTOM_OBJECT_RECORD) if each.table == "customers"]
    looks = 0

    def write(method: str, path: str, query: str) -> None:
        nonlocal looks
        looks += method == "GET"
        if looks == 2 and method == "GET":
            for number in range(1, 6):
                sandbox.account.set_links(Kind.FEATURE, f"PRJ1-{number}", "customers", records[:30])

    on_request(sandbox, write)
    asked_about: list[tuple[int, int]] = []

    async def confirm(removals: int, read: int) -> bool:
        asked_about.append((removals, read))
        return True

    async with eager(sandbox, max_age=OLD) as aha:
        results = await results_of(aha.run(features(5), confirm=confirm))
    assert {result.status for result in results} == {Status.LINKED}
    (said,) = asked_about
    assert said[0] >= 5 * 29
