"""Layouts: which fields the resources of a product have."""

from __future__ import annotations

from typing import Any

import aiohttp
import orjson

from linker.sandbox import Sandbox
from linker.sandbox.account import FIELDABLE_TYPES

ACME = "640362830"


async def ask(sandbox: Sandbox, path: str, method: str = "GET", body: object = None) -> tuple[int, Any]:
    """Status and JSON of an answer."""
    async with (
        aiohttp.ClientSession(sandbox.url, headers=sandbox.headers) as session,
        session.request(method, f"/api/v1/{path}", json=body) as response,
    ):
        return response.status, orjson.loads(await response.read())


def fields(layouts: list[dict[str, Any]]) -> dict[int, tuple[str, set[str]]]:
    """For each layout, by id, what it is for and the keys of its fields."""
    return {
        layout["id"]: (layout["screenable_type"], {field["key"] for field in layout["custom_field_definitions"]})
        for layout in layouts
    }


async def test_the_list_of_layouts_is_for_administrators() -> None:
    """By default it is answered 403."""
    async with Sandbox() as sandbox:
        assert (await ask(sandbox, "screen_definitions"))[0] == 403


async def test_products_share_a_layout_per_kind_with_all_its_fields() -> None:
    """There is one per kind; each product names them and shows the same fields as the list."""
    async with Sandbox(layouts="shown") as sandbox:
        status, answer = await ask(sandbox, "screen_definitions")
        listed = fields(answer["screen_definitions"])
        assert (status, sorted(kind for kind, _ in listed.values())) == (200, sorted(FIELDABLE_TYPES.values()))
        for id in ("PRJ1", "PL1"):
            product = (await ask(sandbox, f"products/{id}"))[1]["product"]
            assert fields(product["screen_definitions"]) == listed
            assert product["screen_definition_ids"] == {kind: id for id, (kind, _) in listed.items()}
    assert {kind for kind, keys in listed.values() if "contracts" in keys} == {"Feature", "Epic", "Ideas::Idea"}


async def test_a_product_whose_layout_lacks_a_field_has_layouts_of_its_own() -> None:
    """They lack that field alone, where their kind has it; other products keep the shared ones; PUTs agree."""
    async with Sandbox(layouts="shown", off_layout=frozenset({("PRJ2", "contracts")})) as sandbox:
        listed = fields((await ask(sandbox, "screen_definitions"))[1]["screen_definitions"])
        shared, own = [
            (await ask(sandbox, f"products/{id}"))[1]["product"]["screen_definition_ids"] for id in ("PRJ1", "PRJ2")
        ]
        whole = (await ask(sandbox, "products/PRJ2"))[1]["product"]
        links = {"feature": {"custom_object_links": {"contracts": ["7036045937940700101"], "customers": [ACME]}}}
        _, put = await ask(sandbox, "features/PRJ2-1", "PUT", links)
    assert len(listed) == len(FIELDABLE_TYPES) + 3
    assert {kind for kind in shared if shared[kind] != own[kind]} == {"Feature", "Epic", "Ideas::Idea"}
    for kind in shared:
        missing = {"contracts"} if shared[kind] != own[kind] else set()
        assert listed[shared[kind]][1] - listed[own[kind]][1] == missing
    assert fields(whole["screen_definitions"]) == {id: listed[id] for id in own.values()}
    assert [each["key"] for each in put["feature"]["custom_object_links"]] == ["customers"]
