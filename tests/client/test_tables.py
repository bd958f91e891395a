"""The custom tables of an account, and their records: what is found, and in how many requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from support.runs import ACME

from linker import Kind, Linker, Stopped, UsageError
from linker.sandbox import Sandbox


async def found(sandbox: Sandbox, table: str, find: str | None = None) -> list[tuple[str, str]]:
    """The records that a search shows."""
    async with Linker(url=sandbox.url, token=sandbox.options.token) as aha:
        return [(record.id, record.name) async for record in aha.records(table, find)]


async def test_tables_are_found_by_links_and_by_the_keys_of_fields(sandbox: Sandbox) -> None:
    """Each with its records and its title field; a field is given the table that a link proves, else a likely one."""
    async with Linker(url=sandbox.url, token=sandbox.options.token) as aha:
        tables = await aha.tables()
    by_place = {table.place: table for table in tables.tables}
    assert by_place["PRJ1/customers"].records == 102
    assert by_place["PRJ1/customers"].title == "name"
    assert by_place["PRJ1/contracts"].records == 5
    assert tables.fields is not None
    fields = {(field.kind, field.key): field.table for field in tables.fields}
    assert fields[Kind.IDEA, "revenue"] == "PRJ1/customers"
    assert fields[Kind.EPIC, "contracts"] is None
    assert tables.guesses["contracts"] == "PRJ1/contracts"
    assert "customers_table" not in tables.guesses
    assert sandbox.stats.requests <= 35
    assert sandbox.stats.methods.keys() == {"GET"}


async def test_a_table_that_is_named_is_looked_at(sandbox: Sandbox) -> None:
    """`table` and `name_field` of the settings count; one that does not exist is shown with its problem."""
    table, name_field = {"x": "PRJ1/partners", "y": "PRJ1/nothing"}, {"partners": "website"}
    async with Linker(url=sandbox.url, token=sandbox.options.token, table=table, name_field=name_field) as aha:
        by_place = {table.place: table for table in (await aha.tables()).tables}
    assert (by_place["PRJ1/partners"].records, by_place["PRJ1/partners"].title) == (1, "website")
    assert by_place["PRJ1/nothing"].records is None
    assert "404" in (by_place["PRJ1/nothing"].problem or "")


@pytest.mark.parametrize("options", [{"title_key": "event"}, {"ignore_fields": True}, {"list_totals": "missing"}])
async def test_records_are_listed_whatever_the_account_is_like(options: dict[str, object]) -> None:
    """Another title field, lists without fields, lists without totals."""
    async with Sandbox(limits=[], records=450, **options) as sandbox:  # type: ignore[arg-type]
        records = await found(sandbox, "prj1/customers")
        assert len(records) == 452
        assert (ACME, "Acme Corp") in records
        assert await found(sandbox, "PRJ1/customers", "ACME co") == [(ACME, "Acme Corp")]


async def test_a_search_takes_one_request(sandbox: Sandbox) -> None:
    """If the account searches itself, no table is read."""
    assert await found(sandbox, "PRJ1/customers", "acme") == [(ACME, "Acme Corp")]
    assert sandbox.stats.requests == 1


async def test_a_search_that_the_account_ignores_or_does_otherwise_reads_the_table(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account may ignore `q`, or find whole words only; then linker looks for itself."""
    for is_ignored in (True, False):

        def search(kind: Kind, found: list[Any], parameters: Mapping[str, str]) -> list[Any]:
            return found if is_ignored or "q" not in parameters else []  # noqa: B023  used in this round alone

        monkeypatch.setattr("linker.sandbox.routes.filtered", search)
        assert await found(sandbox, "PRJ1/customers", "cme") == [(ACME, "Acme Corp")]


@pytest.mark.parametrize("table", ["customers", "PRJ1/", "/customers", "PRJ1/a/b", "x=PRJ1/customers", "", "PRJ1/../x"])
async def test_what_is_no_table_is_refused(sandbox: Sandbox, table: str) -> None:
    """With the form of a table, and the command that lists them; nothing is sent."""
    with pytest.raises(UsageError, match="linker tables lists them"):
        await found(sandbox, table)
    assert sandbox.stats.requests == 0


async def test_a_table_that_does_not_exist(sandbox: Sandbox) -> None:
    """It is named; and a wrong token stops the reading."""
    with pytest.raises(UsageError, match="PRJ1/custmers"):
        await found(sandbox, "PRJ1/custmers")
    async with Linker(url=sandbox.url, token="wrong") as aha:
        with pytest.raises(Stopped):
            await aha.tables()
