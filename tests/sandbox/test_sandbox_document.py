"""Every request of the API document is sent as it stands, and answered as it says."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import orjson
import pytest

from linker.model.target import Kind
from linker.sandbox import Sandbox
from linker.sandbox.account import FIELDABLE_TYPES

REFERENCE = Path(__file__).parents[2].parent / "shared" / "aha"
DOCUMENT = REFERENCE / "custom_table_record_links.md"
OPENAPI = REFERENCE / "openapi.json"


class Documented(NamedTuple):
    """One example: a request and the answer to it."""

    path: str
    body: str
    answer: dict[str, Any]


def documented() -> list[Documented]:
    if not DOCUMENT.exists():
        return []
    text = DOCUMENT.read_text(encoding="utf-8")
    pattern = r"curl \"https://[^/]+(?P<path>/[^\"]+)\" -d '(?P<body>[^']+)' -X PUT.*?```json\n(?P<answer>.*?)```"
    found = re.finditer(pattern, text, re.DOTALL)
    return [Documented(each["path"], each["body"], orjson.loads(each["answer"])) for each in found]


def as_sets(resource: dict[str, Any]) -> dict[str, set[int | str]] | None:
    links = resource.get("custom_object_links")
    return None if links is None else {each["key"]: set(each["record_ids"]) for each in links}


@pytest.mark.skipif(not DOCUMENT.exists(), reason="the API document is not here")
def test_the_document_has_an_example_of_each_kind_but_two() -> None:
    """Eight examples are found, so the test below is not an empty one."""
    kinds = {next(iter(each.answer)) for each in documented()}
    assert kinds == set(Kind) - {Kind.EPIC, Kind.IDEA_ORGANIZATION}


@pytest.mark.parametrize("example", documented(), ids=lambda example: example.path.strip("/"))
async def test_a_documented_request_is_answered_as_documented(example: Documented) -> None:
    """The links in the answer, with ids as numbers, the wrapper and the identity are those that the document prints."""
    async with (
        Sandbox(ids="numbers") as sandbox,
        aiohttp.ClientSession(sandbox.url, headers=sandbox.headers) as session,
    ):
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        async with session.put(example.path, data=example.body, headers=headers) as response:
            answer = orjson.loads(await response.read())
    assert response.status == 200
    ((wrapper, resource),) = answer.items()
    ((documented_wrapper, expected),) = example.answer.items()
    assert wrapper == documented_wrapper
    assert as_sets(resource) == as_sets(expected)
    for key in ("id", "reference_num", "reference_prefix", "name", "key", "product_id", "linked_records"):
        assert resource.get(key) == expected.get(key), key
    assert set(resource) <= set(expected)
    for key, value in expected.items():
        if isinstance(value, list) and value and resource.get(key):
            assert set(resource[key][0]) <= set().union(*value), key


@pytest.mark.skipif(not OPENAPI.exists(), reason="the API description is not here")
async def test_lists_are_made_of_what_the_description_has() -> None:
    """The items of lists are made of described keys, and what holds them is of the described type."""
    paths = orjson.loads(OPENAPI.read_bytes())["paths"]
    asked = {
        "/api/v1/me": "/api/v1/me",
        "/api/v1/custom_field_definitions": "/api/v1/custom_field_definitions",
        "/api/v1/products/{product_id}/releases": "/api/v1/products/PRJ1/releases",
        "/api/v1/features/{feature_id}/requirements": "/api/v1/features/PRJ1-1/requirements",
        "/api/v1/products/{product_id}/custom_objects/{key}/records": (
            "/api/v1/products/PRJ1/custom_objects/customers/records"
        ),
        **{f"/api/v1/{kind}": f"/api/v1/{kind}" for kind in ("features", "epics", "ideas", "initiatives", "goals")},
        "/api/v1/products": "/api/v1/products",
    }
    async with Sandbox() as sandbox, aiohttp.ClientSession(sandbox.url, headers=sandbox.headers) as session:
        for described, path in asked.items():
            async with session.get(path) as response:
                answer = orjson.loads(await response.read())
            content = paths[described]["get"]["responses"]["200"]["content"]
            (example,) = (each["example"] for each in content.values())
            assert set(answer) == set(example), path
            for key, value in answer.items():
                assert type(value) is type(example[key]), (path, key)
                if isinstance(value, list):
                    assert set(value[0]) <= set().union(*example[key]), (path, key)


async def test_every_kind_has_a_many_to_many_field_and_other_fields_beside() -> None:
    """The field definitions name a LinkMany field of each fieldable type."""
    async with (
        Sandbox() as sandbox,
        aiohttp.ClientSession(sandbox.url, headers=sandbox.headers) as session,
        session.get("/api/v1/custom_field_definitions") as response,
    ):
        definitions = orjson.loads(await response.read())["custom_field_definitions"]
    many = {each["custom_fieldable_type"] for each in definitions if each["type"].endswith("::LinkMany")}
    assert many == set(FIELDABLE_TYPES.values())
    assert any(each["type"].endswith("::SelectEditable") for each in definitions)
    assert len({each["id"] for each in definitions}) == len(definitions)
