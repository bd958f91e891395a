"""What linker reads besides targets, compared with the vendor's own examples if they are at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from linker import Kind
from linker.api.answers import Answer, HttpAnswer
from linker.api.lists import Listing
from linker.api.requests import ME, Create, ReadRequest
from linker.records.fields import read_fields
from linker.records.table import read_table, table_of_record

OPENAPI = Path(__file__).parents[3] / "shared" / "aha" / "openapi.json"
CUSTOMERS = Listing(Kind.CUSTOM_OBJECT_RECORD, "PRJ1", "customers")
RECORDS = "/api/v1/products/{product_id}/custom_objects/{key}/records"

pytestmark = pytest.mark.skipif(not OPENAPI.exists(), reason="the vendor's description is not here")


def operation(method: str, path: str) -> dict[str, Any]:
    """One operation of the description."""
    described: dict[str, Any] = orjson.loads(OPENAPI.read_bytes())["paths"][path][method]
    return described


def answer(look: ReadRequest | Create, path: str) -> Answer:
    """What linker understands of the example answer to a request."""
    (content,) = operation(look.method.lower(), path)["responses"]["200"]["content"].values()
    return look.understand(HttpAnswer(200, {}, orjson.dumps(content["example"]), 0.0))


async def test_the_records_of_a_table_as_the_vendor_shows_them() -> None:
    """Ids, names, and the other fields by which a record can be looked up."""

    async def read(look: ReadRequest) -> Answer:
        return answer(look, RECORDS)

    records = await read_table(read, (CUSTOMERS,), "name", why="by the example")
    assert (records.ids("acme corp"), records.ids("Zane Corp")) == (["640362830"], ["8397122"])
    by_website = await read_table(read, (CUSTOMERS,), "website", why="by the example")
    assert by_website.ids("www.acme.com") == ["640362830"]


async def test_a_record_tells_its_table() -> None:
    """By its key and the number of its product."""

    async def read(look: ReadRequest) -> Answer:
        return answer(look, "/api/v1/custom_object_records/{id}")

    assert await table_of_record(read, "640362830") == Listing(Kind.CUSTOM_OBJECT_RECORD, "131414752", "customers")


async def test_a_record_is_created_as_the_vendor_s_example_is() -> None:
    """The same body for the same fields, and an answer that tells the id."""
    (content,) = operation("post", RECORDS)["requestBody"]["content"].values()
    fields = content["example"]["custom_object_record"]["custom_fields"]
    request = Create(CUSTOMERS, fields)
    assert orjson.loads(request.body) == content["example"]
    assert request.path == RECORDS.format(product_id="PRJ1", key="customers")
    understood = answer(request, RECORDS)
    assert understood.value is not None
    assert understood.value["custom_object_record"]["id"] == "6776881149486714349"


async def test_field_definitions_as_the_vendor_shows_them() -> None:
    """One of a kind that can be linked, and no link, so that no field is rejected for not being there."""

    async def read(look: ReadRequest) -> Answer:
        return answer(look, "/api/v1/custom_field_definitions")

    fields = await read_fields(read)
    assert fields is not None
    assert fields.links() == []
    definition = fields.get(Kind.FEATURE, "priority")
    assert definition is not None
    assert definition.type == "CustomFieldDefinitions::SelectConstant"
    assert fields.fault(Kind.FEATURE, "priority") is None


def test_whose_the_token_is_as_the_vendor_shows_it() -> None:
    """A user with a name and the accounts."""
    understood = answer(ME, "/api/v1/me")
    assert understood.value is not None
    assert understood.value["user"]["name"] == "Mary Humpty"
