"""What a sandbox does besides: scripted writers, bent lists, refused records, new records, counts."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from linker.errors import UsageError
from linker.model.target import Kind
from linker.sandbox import Resource, Sandbox

ACME = "640362830"


async def ask(sandbox: Sandbox, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """One request, and its status and JSON."""
    async with (
        aiohttp.ClientSession(headers=sandbox.headers) as session,
        session.request(method, f"{sandbox.url}/api/v1/{path}", json=body) as response,
    ):
        return response.status, await response.json(content_type=None)


def put(*ids: str) -> dict[str, Any]:
    """The body of a PUT of a feature's customers."""
    return {"feature": {"custom_object_links": {"customers": list(ids)}}}


async def test_somebody_else_writes_right_before_a_request() -> None:
    """An action before the n-th request that matches is seen by that request, and done once."""
    async with Sandbox(limits=[]) as sandbox:
        sandbox.script.before(
            r"GET .*/PRJ1-1\b",
            lambda account: account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ACME]),
            nth=2,
        )
        observed = [
            (await ask(sandbox, "GET", "features/PRJ1-1"))[1]["feature"].get("custom_object_links") for _ in range(2)
        ]
        assert [bool(links) for links in observed] == [False, True]
        sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [])
        assert not (await ask(sandbox, "GET", "features/PRJ1-1"))[1]["feature"].get("custom_object_links")


async def test_somebody_else_writes_right_after_a_request() -> None:
    """An action after a request is not in its answer, and stays."""
    async with Sandbox(limits=[]) as sandbox:
        sandbox.script.after(
            r"PUT .*/PRJ1-1\b", lambda account: account.set_links(Kind.FEATURE, "PRJ1-1", "customers", ["8397122"])
        )
        _, answer = await ask(sandbox, "PUT", "features/PRJ1-1", put(ACME))
        assert answer["feature"]["custom_object_links"][0]["record_ids"] == [ACME]
        assert sandbox.account.links(Kind.FEATURE, "PRJ1-1") == {"customers": ["8397122"]}


async def test_a_page_of_a_list_cannot_be_had() -> None:
    """What the script refuses is answered with its status each time, and other pages are not."""
    async with Sandbox(limits=[], features=50) as sandbox:
        sandbox.faults.script(on=r"GET .*/features\?.*\bpage=2\b", stays=500)
        statuses = [(await ask(sandbox, "GET", f"features?page={page}&per_page=20"))[0] for page in (1, 2, 3, 2)]
        assert statuses == [200, 500, 200, 500]


async def test_a_list_shifts_while_it_is_paged() -> None:
    """A resource that goes between two pages moves all behind it up, so that one is missed."""
    async with Sandbox(limits=[], features=50) as sandbox:
        first = await ask(sandbox, "GET", "features?page=1&per_page=20")
        names = [item["reference_num"] for item in first[1]["features"]]
        sandbox.script.before(r"page=2", lambda account: account.remove(Kind.FEATURE, names[0]))
        second = await ask(sandbox, "GET", "features?page=2&per_page=20")
        again = await ask(sandbox, "GET", "features?page=1&per_page=20")
        missed = {item["reference_num"] for item in again[1]["features"]} - set(names)
        assert len(missed) == 1
        assert not missed & {item["reference_num"] for item in second[1]["features"]}


async def listed(sandbox: Sandbox, page: int) -> list[str]:
    """The reference numbers on a page of 20 features."""
    _, answer = await ask(sandbox, "GET", f"features?page={page}&per_page=20")
    return [item["reference_num"] for item in answer["features"]]


async def test_a_resource_that_comes_between_two_pages_doubles_another() -> None:
    """What is added before the place where a page ended moves the page's last one to the next page."""
    async with Sandbox(limits=[], features=50) as sandbox:
        new = Resource(Kind.FEATURE, 1, "PRJ1-999", "New", 131414752)
        sandbox.script.after(r"GET .*\bpage=1\b", lambda account: account.add(new))
        first, second = await listed(sandbox, 1), await listed(sandbox, 2)
        assert set(first) & set(second) == {first[-1]}
        assert "PRJ1-999" not in first


async def test_lists_may_show_the_newest_first() -> None:
    """The pages are those of the order of ids, read backwards."""
    async with Sandbox(limits=[], features=50) as sandbox:
        names = [name for page in (1, 2, 3) for name in await listed(sandbox, page)]
    async with Sandbox(limits=[], features=50, list_order="newest_first") as sandbox:
        assert [name for page in (1, 2, 3) for name in await listed(sandbox, page)] == names[::-1]


async def test_lists_may_be_ordered_by_the_last_change_so_that_a_put_moves_its_target() -> None:
    """A PUT of a target of the second page brings it to the head of the first; whoever reads on misses another."""
    async with Sandbox(limits=[], features=50, list_order="last_changed_first") as sandbox:
        first, second = await listed(sandbox, 1), await listed(sandbox, 2)
        assert (await ask(sandbox, "PUT", f"features/{second[3]}", put(ACME)))[0] == 200
        assert await listed(sandbox, 1) == [second[3], *first[:-1]]


async def test_an_action_may_come_at_several_requests() -> None:
    """It is done from the n-th on, as many times as told; None is for ever."""
    done: list[str] = []
    async with Sandbox(limits=[]) as sandbox:
        sandbox.script.before(r"GET .*/me\b", lambda account: done.append("twice"), nth=2, times=2)
        sandbox.script.after(r"GET .*/me\b", lambda account: done.append("always"), times=None)
        for _ in range(5):
            await ask(sandbox, "GET", "me")
    assert done == ["always", "twice", "always", "twice", "always", "always", "always"]


async def test_an_action_that_cannot_be_done_fails_the_test_that_asked_for_it() -> None:
    """Its request is answered as if nothing were, and the sandbox raises the error when it ends."""

    async def rehearse() -> None:
        async with Sandbox(limits=[]) as sandbox:
            sandbox.script.before(r"GET .*/me\b", lambda account: account.remove(Kind.FEATURE, "PRJ9-9"))
            assert (await ask(sandbox, "GET", "me"))[0] == 200

    with pytest.raises(LookupError, match="no feature PRJ9-9"):
        await rehearse()


async def test_a_page_that_cannot_be_had_may_be_had_later() -> None:
    """A refusal may come at some of the requests only."""
    async with Sandbox(limits=[]) as sandbox:
        sandbox.faults.script(None, 500, 500, on=r"GET .*/features\?")
        statuses = [(await ask(sandbox, "GET", "features?page=1"))[0] for _ in range(4)]
    assert statuses == [200, 500, 500, 200]


async def test_a_page_of_a_list_may_be_cut() -> None:
    """A trouble befalls the request that the pattern means, and no other."""
    async with Sandbox(limits=[]) as sandbox:
        sandbox.faults.script("cut", on=r"GET .*/features\?.*\bpage=2\b")
        assert (await ask(sandbox, "GET", "features?page=1&per_page=5"))[0] == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await ask(sandbox, "GET", "features?page=2&per_page=5")
        assert (await ask(sandbox, "GET", "features?page=2&per_page=5"))[0] == 200
        assert sandbox.stats.faults == {"cut": 1}


def test_a_refusal_that_is_none_is_named() -> None:
    """A UsageError, when it is asked for."""
    with pytest.raises(UsageError, match="explode"):
        Sandbox().faults.script("explode", on="GET")


async def test_a_removed_record_is_gone_from_the_fields_that_held_it() -> None:
    """A target shows it no longer, and what else the target holds stays."""
    async with Sandbox(limits=[]) as sandbox:
        sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ACME, "8397122"])
        sandbox.account.remove(Kind.CUSTOM_OBJECT_RECORD, ACME)
        _, answer = await ask(sandbox, "GET", "features/PRJ1-1?fields=custom_object_links")
        assert [each["record_ids"] for each in answer["feature"]["custom_object_links"]] == [["8397122"]]
        assert (await ask(sandbox, "PUT", "features/PRJ1-1", put(ACME)))[0] == 422


async def test_what_was_removed_can_be_put_back() -> None:
    """A removed resource is found under none of its names and links to nothing; added again, it is as before."""
    async with Sandbox(limits=[]) as sandbox:
        sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ACME])
        gone = sandbox.account.remove(Kind.FEATURE, "PRJ1-1")
        assert (await ask(sandbox, "GET", "features/PRJ1-1"))[0] == 404
        assert (await ask(sandbox, "GET", f"features/{gone.id}"))[0] == 404
        sandbox.account.add(gone)
        assert sandbox.account.links(Kind.FEATURE, gone.id) == {"customers": [ACME]}


@pytest.mark.parametrize(("totals", "pages"), [("right", 3), ("too_small", 2), ("too_large", 4), ("missing", None)])
async def test_a_list_tells_a_wrong_length(totals: str, pages: int | None) -> None:
    """`pagination` may say too little, too much, or not be there, while the items are right."""
    async with Sandbox(limits=[], features=52, list_totals=totals) as sandbox:
        _, answer = await ask(sandbox, "GET", "features?per_page=20")
        assert answer.get("pagination", {}).get("total_pages") == pages
        assert len(answer["features"]) == 20


async def test_a_kind_s_lists_may_leave_links_out() -> None:
    """Lists of such a kind show no links even where they are asked for; single answers do."""
    async with Sandbox(limits=[], lists_without_links={Kind.FEATURE}) as sandbox:
        sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ACME])
        _, listed = await ask(sandbox, "GET", "features?fields=custom_object_links,id")
        assert all(set(item) == {"id"} for item in listed["features"])
        _, single = await ask(sandbox, "GET", "features/PRJ1-1?fields=custom_object_links,id")
        assert set(single["feature"]) == {"custom_object_links", "id"}


async def test_fields_may_be_ignored() -> None:
    """Without regard to `fields=`, lists are short and show no links, and single resources are whole."""
    async with Sandbox(limits=[], ignore_fields=True) as sandbox:
        sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ACME])
        _, listed = await ask(sandbox, "GET", "features?fields=custom_object_links,id")
        assert all("name" in item and "custom_object_links" not in item for item in listed["features"])
        _, single = await ask(sandbox, "GET", "features/PRJ1-1?fields=id")
        assert "custom_object_links" in single["feature"]


@pytest.mark.parametrize(("status", "by_name"), [(422, True), (422, False), (400, True)])
async def test_a_record_may_be_refused_though_it_exists(status: int, by_name: bool) -> None:
    """Such a PUT changes nothing, and its answer names the id or does not."""
    options: dict[str, Any] = {"refused_with": status, "refused_by_name": by_name}
    async with Sandbox(limits=[], refused_records={ACME}, **options) as sandbox:
        answered, answer = await ask(sandbox, "PUT", "features/PRJ1-1", put("8397122", ACME))
        assert answered == status
        assert (ACME in str(answer)) is by_name
        assert not sandbox.account.links(Kind.FEATURE, "PRJ1-1")
        assert (await ask(sandbox, "PUT", "features/PRJ1-1", put("8397122")))[0] == 200


async def test_a_record_is_created() -> None:
    """A POST makes a record that has its name and can be linked to, and is counted by table."""
    async with Sandbox(limits=[]) as sandbox:
        body = {"custom_object_record": {"custom_fields": {"name": "Major conglomerate"}}}
        status, answer = await ask(sandbox, "POST", "products/PRJ1/custom_objects/customers/records", body)
        record = answer["custom_object_record"]
        assert status == 200
        assert [field["value"] for field in record["custom_fields"] if field["key"] == "name"] == ["Major conglomerate"]
        assert (await ask(sandbox, "PUT", "features/PRJ1-1", put(record["id"])))[0] == 200
        assert sandbox.stats.created == {"customers": 1}
        assert (await ask(sandbox, "POST", "products/PRJ1/custom_objects/nothing/records", body))[0] == 404
        nameless: dict[str, Any] = {"custom_object_record": {"custom_fields": {}}}
        assert (await ask(sandbox, "POST", "products/PRJ1/custom_objects/customers/records", nameless))[0] == 422


async def test_requests_are_counted_by_what_they_ask_for() -> None:
    """Pages of lists, single reads and writes are told apart, by kind."""
    async with Sandbox(limits=[]) as sandbox:
        await ask(sandbox, "GET", "features?page=1")
        await ask(sandbox, "GET", "products/PRJ1/releases")
        await ask(sandbox, "GET", "products/PRJ1/custom_objects/customers/records")
        await ask(sandbox, "GET", "ideas/PRJ1-I-1")
        await ask(sandbox, "PUT", "features/PRJ1-1", put(ACME))
        stats = sandbox.stats
        assert stats.lists == {Kind.FEATURE: 1, Kind.RELEASE: 1, Kind.CUSTOM_OBJECT_RECORD: 1}
        assert (stats.reads, stats.writes) == ({Kind.IDEA: 1}, {Kind.FEATURE: 1})


async def test_a_large_account_holds_releases_and_links() -> None:
    """Generated releases are spread over three products, and a share of what is generated is linked already."""
    async with Sandbox(limits=[], releases=300, features=400, records=20, linked=0.5) as sandbox:
        _, answer = await ask(sandbox, "GET", "products/PRJ2/releases?per_page=200")
        assert answer["pagination"]["total_records"] >= 100
        linked = sum(kind in (Kind.FEATURE, Kind.RELEASE) for kind, _ in sandbox.account.all_links())
        assert 250 < linked < 450


async def test_definitions_of_all_documented_types_are_listed() -> None:
    """The account's field definitions have every type that the API document shows, and do not tell tables."""
    async with Sandbox(limits=[]) as sandbox:
        _, answer = await ask(sandbox, "GET", "custom_field_definitions")
        types = {each["type"].removeprefix("CustomFieldDefinitions::") for each in answer["custom_field_definitions"]}
        assert types >= {
            *("LinkMany", "LinkMasterDetail", "SelectConstant", "SelectEditable", "Records::UsersField"),
            *("DateField", "TextField", "UrlField", "ScorecardField"),
        }
        assert all("table" not in each for each in answer["custom_field_definitions"])
