"""Which fields and which items a list shows: `fields=*`, `updated_since` and `q`; and lists that do not exist."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import aiohttp
import orjson
import pytest

from linker.model.target import Kind
from linker.sandbox import Sandbox

TABLE = "products/PRJ1/custom_objects/customers/records"
LISTS = {
    Kind.FEATURE: ("features", "PRJ1-3"),
    Kind.EPIC: ("products/PRJ1/epics", "PRJ1-E-2"),
    Kind.IDEA: ("ideas", "PRJ1-I-2"),
    Kind.INITIATIVE: ("initiatives", "PRJ1-S-2"),
    Kind.RELEASE: ("products/PRJ1/releases", "PRJ1-R-2"),
    Kind.REQUIREMENT: ("features/PRJ1-1/requirements", "PRJ1-1-2"),
    Kind.PRODUCT: ("products", "PRJ2"),
    Kind.CUSTOM_OBJECT_RECORD: (TABLE, "8397122"),
}


async def ask(sandbox: Sandbox, path: str, method: str = "GET") -> tuple[int, str, Any]:
    """Status, content type, and the JSON of an answer that is JSON."""
    async with (
        aiohttp.ClientSession(sandbox.url, headers=sandbox.headers) as session,
        session.request(method, f"/api/v1/{path}") as response,
    ):
        body = await response.read()
        is_json = response.content_type == "application/json"
        return response.status, response.content_type, orjson.loads(body) if is_json else None


async def ids(sandbox: Sandbox, path: str) -> list[str]:
    """The ids of a list's items; as many as the list says it has."""
    status, _, answer = await ask(sandbox, path)
    assert status == 200
    (items,) = (value for value in answer.values() if isinstance(value, list))
    assert answer["pagination"]["total_records"] == len(items)
    return [item["id"] for item in items]


@pytest.mark.parametrize("path", ["features/PRJ1-1", "features", "ideas", "releases/PRJ1-R-1/epics", TABLE, "products"])
async def test_all_fields_may_be_asked_for(path: str) -> None:
    """`fields=*` shows of each item what its own GET shows, links as well."""
    async with Sandbox(empty_links="empty") as sandbox:
        kind = Kind.CUSTOM_OBJECT_RECORD if path == TABLE else Kind.parse(path.split("/")[0 if path[-1] == "1" else -1])
        _, _, answer = await ask(sandbox, f"{path}?fields=*")
        items = answer.get(kind.plural) or [answer[kind.value]]
        for item in items:
            _, _, single = await ask(sandbox, f"{kind.plural}/{item['id']}")
            assert item == single[kind.value]
    assert kind is Kind.PRODUCT or any("custom_object_links" in item for item in items)


@pytest.mark.parametrize("kind", LISTS)
async def test_a_list_shows_what_was_updated_since(kind: Kind) -> None:
    """The one target that changed is shown until the time that it shows as its update, and not after it."""
    path, changed = LISTS[kind]
    async with Sandbox() as sandbox:
        resource = sandbox.account.find(kind, changed)
        assert resource is not None
        sandbox.account.apply(resource, {})
        _, _, answer = await ask(sandbox, f"{kind.plural}/{resource.id}")
        updated_at = answer[kind.value]["updated_at"]
        everything = await ids(sandbox, path)
        assert len(everything) > 1
        for first in ("2019-01-01T00:00:00Z", "2019-01-01", "2019-01-01T02:00:00%2B02:00"):
            assert await ids(sandbox, f"{path}?updated_since={first}") == everything
        for since in ("2019-01-02", "2019-01-01T00:00:00.001Z", updated_at, updated_at.replace("Z", "%2B00:00")):
            assert await ids(sandbox, f"{path}?updated_since={since}") == [str(resource.id)]
        assert await ids(sandbox, f"{path}?updated_since=2999-01-01") == []


async def test_goals_are_listed_whenever_they_were_updated() -> None:
    """The vendor documents no `updated_since` for them."""
    async with Sandbox() as sandbox:
        assert len(await ids(sandbox, "goals?updated_since=2999-01-01")) == 9


async def test_a_record_that_was_just_created_counts_as_updated() -> None:
    """It is in the list of records that were updated since any day before today."""
    async with Sandbox() as sandbox:
        product = sandbox.account.find(Kind.PRODUCT, "PRJ1")
        assert product is not None
        record = sandbox.account.create_record(product, "customers", "Initech")
        assert await ids(sandbox, f"{TABLE}?updated_since=2020-01-01") == [str(record.id)]


@pytest.mark.parametrize("since", ["yesterday", "2019-13-01", "12", "2019-01-01T00:00:00Zebra"])
async def test_a_time_that_is_none_is_refused(since: str) -> None:
    """400 and what it was."""
    async with Sandbox() as sandbox:
        status, _, answer = await ask(sandbox, f"features?updated_since={since}")
    assert status == 400
    assert since in answer["error"]


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("features", "ANOTHER f", ["209201304", "622562724", "998184963"]),
        ("ideas", "project 2", ["731163180", "849214356"]),
        ("releases/PRJ1-R-1/features", "third", ["303873333"]),
        (TABLE, "acme", ["640362830"]),
        (TABLE, "nobody", []),
        ("goals", "line goal", ["352745835"]),
    ],
)
async def test_a_list_is_searched_by_name(path: str, text: str, found: list[str]) -> None:
    """`q` keeps the items whose names contain it, in whatever case."""
    async with Sandbox() as sandbox:
        assert sorted(await ids(sandbox, f"{path}?q={quote(text)}")) == sorted(found)
        assert await ids(sandbox, f"{path}?q=") == await ids(sandbox, path)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("products/PRJ1/custom_objects/nosuch/records", "application/json"),
        ("products/PRJ1/custom_objects//records", "application/json"),
        ("products/PRJ1/custom_objects/Customers/records", "application/json"),
        ("products/PRJ9/custom_objects/customers/records", "application/json"),
        ("products/PRJ1/custom_objects", "text/html"),
        ("products/PRJ1/custom_objects/customers", "text/html"),
        ("products/PRJ1/custom_objects/customers/widgets", "text/html"),
        ("products/PRJ1/custom_objects/customers/records/640362830", "text/html"),
        ("features/PRJ1-1/custom_objects/customers/records", "text/html"),
        ("custom_objects/customers/records", "text/html"),
        ("custom_objects", "text/html"),
    ],
)
async def test_an_unknown_path_below_custom_objects_is_not_found(method: str, path: str, content_type: str) -> None:
    """404: JSON where the route exists and the product or table does not, a page where there is no such route."""
    async with Sandbox() as sandbox:
        status, answered, _ = await ask(sandbox, path, method)
    assert (status, answered) == (404, content_type)
