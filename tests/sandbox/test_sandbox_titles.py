"""The field that holds a record's name, whose key differs from table to table in live accounts."""

from __future__ import annotations

from typing import Any

import aiohttp
import orjson
import pytest

from linker.model.target import Kind
from linker.sandbox import Sandbox

RECORDS = "/api/v1/products/PRJ1/custom_objects/customers/records"


def texts(record: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Label and value of each custom field that a record shows, by key."""
    return {each["key"]: (each["name"], each["value"]) for each in record["custom_fields"]}


@pytest.mark.parametrize("key", ["name", "customer_2_name", "event"])
async def test_a_title_stands_under_the_key_of_its_field(key: str) -> None:
    """Records are shown, created and defined with that key, labelled "Name", and with no other title."""
    async with (
        Sandbox(title_key=key) as sandbox,
        aiohttp.ClientSession(sandbox.url, headers=sandbox.headers) as session,
    ):
        fields = {key: "Initech", "salesforce_id": "0015g"}
        async with session.post(RECORDS, json={"custom_object_record": {"custom_fields": fields}}) as response:
            assert response.status == 200
            created = orjson.loads(await response.read())["custom_object_record"]
        async with session.get(f"/api/v1/custom_object_records/{created['id']}") as response:
            single = orjson.loads(await response.read())["custom_object_record"]
        async with session.get(RECORDS) as response:
            listed = {each["id"]: each for each in orjson.loads(await response.read())["custom_object_records"]}
        async with session.get("/api/v1/custom_field_definitions") as response:
            definitions = orjson.loads(await response.read())["custom_field_definitions"]
    for record in (created, single, listed[created["id"]]):
        assert texts(record) == {key: ("Name", "Initech"), "salesforce_id": ("Salesforce id", "0015g")}
    assert texts(listed["640362830"]) == {key: ("Name", "Acme Corp")}
    of_records = [each for each in definitions if each["custom_fieldable_type"] == "CustomObjectRecord"]
    assert [each["key"] for each in of_records if each["name"] == "Name"] == [key]


@pytest.mark.parametrize("fields", [{"name": "Initech"}, {"event": " "}, {"event": 5}, {}])
async def test_a_record_without_its_title_is_not_created(fields: dict[str, Any]) -> None:
    """422 names the key that is missing, even if there is a field `name`."""
    async with (
        Sandbox(title_key="event") as sandbox,
        aiohttp.ClientSession(sandbox.url, headers=sandbox.headers) as session,
    ):
        before = len(sandbox.account.listed(Kind.CUSTOM_OBJECT_RECORD))
        async with session.post(RECORDS, json={"custom_object_record": {"custom_fields": fields}}) as response:
            assert response.status == 422
            assert "custom_fields.event" in (await response.json())["errors"]["message"]
        assert len(sandbox.account.listed(Kind.CUSTOM_OBJECT_RECORD)) == before


async def test_a_field_that_is_called_name_is_dropped_where_the_title_has_another_key() -> None:
    """A new record shows one title: that of its field."""
    async with (
        Sandbox(title_key="event") as sandbox,
        aiohttp.ClientSession(sandbox.url, headers=sandbox.headers) as session,
    ):
        fields = {"event": "Launch", "name": "Other"}
        async with session.post(RECORDS, json={"custom_object_record": {"custom_fields": fields}}) as response:
            created = orjson.loads(await response.read())["custom_object_record"]
    assert texts(created) == {"event": ("Name", "Launch")}
