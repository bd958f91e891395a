"""Finds the custom tables of an account, the fields that link to them, and their records."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

import msgspec

from linker.api.answers import Answer
from linker.api.lists import PAGE_SIZE, Listing
from linker.api.requests import records, records_named
from linker.client.check import Check, LinkField, link_fields, workspace_prefixes
from linker.errors import UsageError
from linker.model.job import is_field
from linker.model.name import TITLE
from linker.model.target import Kind
from linker.ratelimit.limiter import RateLimiter
from linker.records.fields import read_fields
from linker.records.table import parse_table, read_table, record_of
from linker.records.title import ShownFields, TitleFields
from linker.retry.sender import Read, Sender
from linker.retry.verdict import GiveUp
from linker.sessions.pool import SessionPool
from linker.sessions.token import Token
from linker.settings import Settings
from linker.text import folded, quoted

_MOST_GUESSES: Final = 12
"""The most requests for tables that have the key of a field, but that no answer names."""

_WORKSPACES: Final = 2
"""The number of workspaces in which such a table is looked for."""


@dataclass(frozen=True, slots=True)
class CustomTable:
    """A custom table in one workspace.

    `title` is the key of the field with the names of its records, `records` their number; None if unknown. `problem`
    says why the table cannot be read.
    """

    place: str
    key: str
    workspace: str
    title: str | None = None
    records: int | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Tables:
    """The custom tables and the link fields of an account.

    `fields` is None if the account does not show its field definitions. `guesses` are tables that have the key of a
    field whose table no answer names, by that key: most likely, but not certainly, the table of that field.
    """

    url: str
    tables: list[CustomTable]
    fields: list[LinkField] | None
    guesses: dict[str, str]


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a custom table. `name` is empty if it has none."""

    id: str
    name: str


@asynccontextmanager
async def _reading(settings: Settings, token: Token, limiter: RateLimiter) -> AsyncIterator[Read]:
    async with SessionPool(settings, token, limiter, asyncio.Event()) as pool:
        yield Sender(settings, pool, limiter).fetch


async def find_tables(settings: Settings, token: Token, limiter: RateLimiter) -> Tables:
    """Find the tables that fields link to, that settings name, and that have the key of a field.

    The API has no list of tables. Takes two requests, one for each kind of which a table is unknown, one for each table
    that is found by a link, one for each table, and at most 12 for tables by the keys of fields.

    Raises:
        UsageError: a `table` of the settings is not of the form FIELD=PRODUCT/TABLE.
        Stopped: the account rejects the token, or cannot be reached.
    """
    named = [listing for _, listing in map(parse_table, settings.table)]
    titles = TitleFields(settings.name_field)
    async with _reading(settings, token, limiter) as read:
        prefixes = await workspace_prefixes(Check(settings.base_url), read)
        definitions = await read_fields(read)
        fields = None
        if definitions is not None:
            fields = await link_fields(definitions, dict(map(parse_table, settings.table)), read, prefixes)
        places = dict.fromkeys(field.table for field in fields or () if field.table is not None)
        listings = dict.fromkeys([*named, *(parse_table(f"x={place}")[1] for place in places)])
        tables = list(await asyncio.gather(*(_look(read, listing, titles) for listing in listings)))
        unknown = [field.key for field in fields or () if field.table is None]
        workspaces = dict.fromkeys([*(table.workspace for table in tables), *prefixes.values()])
        guessed = await _guess(read, dict.fromkeys(unknown), workspaces, titles)
    seen = {table.place for table in tables}
    tables += [table for table in guessed.values() if table.place not in seen]
    guesses = {key: table.place for key, table in guessed.items()}
    return Tables(settings.base_url, sorted(tables, key=lambda table: table.place), fields, guesses)


async def _guess(
    read: Read, keys: Iterable[str], workspaces: Iterable[str], titles: TitleFields
) -> dict[str, CustomTable]:
    """Return tables whose key is that of a field, in the first workspace in which they have records."""
    found: dict[str, CustomTable] = {}
    pairs = [(key, workspace) for workspace in islice(workspaces, _WORKSPACES) for key in keys]
    for key, workspace in pairs[:_MOST_GUESSES]:
        if key in found and found[key].records:
            continue
        table = await _look(read, parse_table(f"{key}={workspace}/{key}")[1], titles)
        if table.problem is None and (key not in found or table.records):
            found[key] = table
    return found


async def _look(read: Read, listing: Listing, titles: TitleFields) -> CustomTable:
    """Read the first page of a table."""
    table = CustomTable(listing.place, listing.table, listing.parent)
    shown, title = ShownFields(), titles.given(listing)
    for whole in (False, True):  # some accounts show no fields of records unless `fields=` is left out
        answer = await read(records(listing, 1, whole=whole))
        if isinstance(answer, GiveUp):
            return replace(table, problem=answer.error.message)
        value = answer.value or {}
        items = value.get("custom_object_records", [])
        shown.add(items)
        if shown.keys or not items:
            break
    return replace(table, title=title or shown.title(), records=_total(value, len(items)))


def _total(value: Mapping[str, Any], seen: int) -> int | None:
    match value.get("pagination"):
        case {"total_records": int(total)}:
            return total
    return seen if seen < PAGE_SIZE else None


async def find_records(
    settings: Settings, token: Token, limiter: RateLimiter, table: str, find: str | None
) -> AsyncGenerator[Record, None]:
    """Yield the records of a table, or those with a text in their names.

    The account's own search (`q`) takes one request. If it finds nothing, or something else, the table is read.

    Raises:
        UsageError: the table does not exist, or linker cannot tell which of its fields holds the names.
        Stopped: it cannot be read to its end.
    """
    parent, _, key = table.strip().partition("/")
    if not (is_field(parent) and is_field(key)):
        raise UsageError(
            f"{quoted(table)} is not a table; write PRODUCT/TABLE, such as PRJ1/customers (linker tables lists them)"
        )
    listing = Listing(Kind.CUSTOM_OBJECT_RECORD, parent.upper(), key)
    titles = TitleFields(settings.name_field)
    wanted = folded(find) if find is not None else ""
    async with _reading(settings, token, limiter) as read:
        if wanted and (found := await _search(read, listing, find or "", wanted, titles)) is not None:
            for record in found:
                yield record
            return
        index = await read_table(read, (listing,), TITLE, why="the table that you named", titles=titles)
    for id, name in index.items():
        if wanted in folded(name):
            yield Record(id, name)


async def _search(read: Read, listing: Listing, text: str, wanted: str, titles: TitleFields) -> list[Record] | None:
    """Return what the account's search finds; None if its answer cannot be relied on."""
    found: list[Record] = []
    shown = ShownFields()
    page, pages = 1, 1
    while page <= pages:
        answer = await read(msgspec.structs.replace(records_named(listing, text), number=page))
        if not isinstance(answer, Answer) or answer.value is None:
            return None
        items = answer.value["custom_object_records"]
        shown.add(items)
        key = titles.given(listing) or shown.title()
        for item in items:
            id, values = record_of(item)
            name = values.get(key or "", "")
            if not id or wanted not in folded(name):
                return None  # the account ignores `q`, or searches other fields too
            found.append(Record(id, name))
        match answer.value.get("pagination"):
            case {"total_pages": int(total)}:
                pages = total
        page += 1
    return found or None
