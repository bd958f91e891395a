"""How answers show links, or that there are none: options for what accounts do differently."""

from __future__ import annotations

from typing import Any, Literal

import aiohttp
import orjson
import pytest

from linker.model.target import Kind
from linker.sandbox import Sandbox

ACME, ZANE = "640362830", "8397122"
CONTRACTS = "7036045937940700101", "7036045937940700218"
FIELDS = ["customers", "customers_table", "contracts"]


async def ask(sandbox: Sandbox, method: str, path: str, links: dict[str, list[Any]] | None = None) -> Any:
    """The JSON of the answer, which is 200. With `links`, they are put on a feature."""
    body = None if links is None else orjson.dumps({"feature": {"custom_object_links": links}})
    headers = sandbox.headers | {"Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession(sandbox.url, headers=headers) as session,
        session.request(method, f"/api/v1/{path}", data=body) as response,
    ):
        assert response.status == 200, path
        return orjson.loads(await response.read())


async def feature_everywhere(sandbox: Sandbox, links: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """PRJ1-1 in the answer to its PUT, to its GET and in lists, with and without `fields`."""
    query = "fields=reference_num,custom_object_links"
    seen = [
        (await ask(sandbox, "PUT", "features/PRJ1-1", links))["feature"],
        (await ask(sandbox, "PUT", f"features/PRJ1-1?{query}", links))["feature"],
        (await ask(sandbox, "GET", "features/PRJ1-1"))["feature"],
        (await ask(sandbox, "GET", f"features/PRJ1-1?{query}"))["feature"],
    ]
    for path in ("features", "products/PRJ1/features", "releases/PRJ1-R-1/features"):
        listed = (await ask(sandbox, "GET", f"{path}?{query}"))["features"]
        seen += [item for item in listed if item["reference_num"] == "PRJ1-1"]
    assert len(seen) == 7
    return seen


@pytest.mark.parametrize(
    ("empty_links", "shown"),
    [
        ("missing", {}),
        ("null", {"custom_object_links": None}),
        ("empty", {"custom_object_links": []}),
        ("fields", {"custom_object_links": [(field, []) for field in FIELDS]}),
    ],
)
async def test_a_target_without_links_shows_it_as_the_option_says(
    empty_links: Literal["missing", "null", "empty", "fields"], shown: dict[str, Any]
) -> None:
    """In the answer to its PUT, to its GET and in every list: no key, `null`, `[]`, or each field, empty."""
    async with Sandbox(empty_links=empty_links, limits=[]) as sandbox:
        seen = await feature_everywhere(sandbox, {"customers": []})
    for feature in seen:
        links = {key: value for key, value in feature.items() if key == "custom_object_links"}
        if links.get("custom_object_links"):
            links = {key: [(each["key"], each["record_ids"]) for each in value] for key, value in links.items()}
        assert links == shown


@pytest.mark.parametrize("empty_links", ["missing", "null", "empty", "fields"])
async def test_a_record_lists_all_its_link_fields_whatever_the_option_says(
    empty_links: Literal["missing", "null", "empty", "fields"],
) -> None:
    """A record that links to nothing shows three fields with empty lists, by itself and in its table's list."""
    async with Sandbox(empty_links=empty_links) as sandbox:
        record = (await ask(sandbox, "GET", "custom_object_records/8397122"))["custom_object_record"]
        listed = await ask(sandbox, "GET", "products/PRJ1/custom_objects/customers/records")
    again = next(each for each in listed["custom_object_records"] if each["id"] == "8397122")
    for shown in (record, again):
        assert [each["record_ids"] for each in shown["custom_object_links"]] == [[], [], []]


@pytest.mark.parametrize(("empty_links", "fields"), [("missing", FIELDS[:1]), ("fields", FIELDS)])
async def test_a_target_with_links_lists_its_empty_fields_only_by_option(
    empty_links: Literal["missing", "fields"], fields: list[str]
) -> None:
    """Beside a field with links the others are left out, or listed with no ids."""
    async with Sandbox(empty_links=empty_links) as sandbox:
        for feature in await feature_everywhere(sandbox, {"customers": [ACME]}):
            assert [each["key"] for each in feature["custom_object_links"]] == fields


@pytest.mark.parametrize(
    ("options", "shown"),
    [({}, list(CONTRACTS)), ({"ids": "strings"}, list(CONTRACTS)), ({"ids": "numbers"}, list(map(int, CONTRACTS)))],
)
async def test_ids_are_strings_or_numbers_and_exact_in_both_forms(options: dict[str, Any], shown: list[Any]) -> None:
    """Ids of 19 digits are strings unless the option says numbers, and lose no digit either way."""
    async with Sandbox(limits=[], **options) as sandbox:
        for sent in (CONTRACTS, tuple(map(int, CONTRACTS))):
            for feature in await feature_everywhere(sandbox, {"contracts": list(sent)}):
                assert [each["record_ids"] for each in feature["custom_object_links"]] == [shown]
        assert sandbox.account.links(Kind.FEATURE, "PRJ1-1")["contracts"] == list(CONTRACTS)


def customers(feature: dict[str, Any]) -> list[str]:
    """The ids that a feature shows in its field `customers`."""
    return [
        id for each in feature.get("custom_object_links", ()) if each["key"] == "customers" for id in each["record_ids"]
    ]


async def test_the_answer_to_a_put_may_show_the_links_from_before_it() -> None:
    """With stale_puts each PUT answers with the list before it, while GETs and lists show the new one."""
    async with Sandbox(stale_puts=True) as sandbox:
        for sent, answered in ((ACME, []), (ZANE, [ACME])):
            put = await ask(sandbox, "PUT", "features/PRJ1-1", {"customers": [sent]})
            assert customers(put["feature"]) == answered
            assert sandbox.account.links(Kind.FEATURE, "PRJ1-1")["customers"] == [sent]
            got = await ask(sandbox, "GET", "features/PRJ1-1")
            assert customers(got["feature"]) == [sent]


async def test_reads_after_a_put_may_show_the_old_links_so_many_times() -> None:
    """With stale_reads=3 the PUT's own answer and the fourth read are right; other reads do not count."""
    query = "fields=reference_num,custom_object_links"
    async with Sandbox(stale_reads=3) as sandbox:
        put = await ask(sandbox, "PUT", "features/PRJ1-1", {"customers": [ACME]})
        assert customers(put["feature"]) == [ACME]
        seen = []
        for path in ("features/PRJ1-1", f"features?{query}", "features?fields=id", f"features/PRJ1-1?{query}"):
            answer = await ask(sandbox, "GET", path)
            await ask(sandbox, "GET", "features/PRJ1-2")
            items = answer.get("features") or [answer["feature"]]
            seen += [customers(item) for item in items if item.get("reference_num") == "PRJ1-1"]
        assert seen == [[], [], []]
        for _ in range(2):
            assert customers((await ask(sandbox, "GET", "features/PRJ1-1"))["feature"]) == [ACME]


async def test_a_field_may_be_cleared_by_a_blank_id_alone() -> None:
    """With blank_clears `[]` is answered 200 and changes nothing, also beside another field; `[""]` clears."""
    async with Sandbox(blank_clears=True) as sandbox:
        await ask(sandbox, "PUT", "features/PRJ1-1", {"customers": [ACME]})
        put = await ask(sandbox, "PUT", "features/PRJ1-1", {"customers": [], "contracts": [CONTRACTS[0]]})
        assert customers(put["feature"]) == [ACME]
        assert sandbox.account.links(Kind.FEATURE, "PRJ1-1") == {"customers": [ACME], "contracts": [CONTRACTS[0]]}
        put = await ask(sandbox, "PUT", "features/PRJ1-1", {"customers": [""]})
        assert customers(put["feature"]) == []
        assert sandbox.account.links(Kind.FEATURE, "PRJ1-1") == {"contracts": [CONTRACTS[0]]}
