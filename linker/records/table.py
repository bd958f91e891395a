"""Custom tables: which one a field links to, and the records of one, 200 a page, read once a run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, Final

from linker import log
from linker.api.answers import Answer
from linker.api.lists import Listing
from linker.api.requests import linked_in, record, records
from linker.errors import InvalidJob, LinkerError, Stopped, UsageError
from linker.model.job import NAME_LIMIT, is_field, record_id
from linker.model.target import Kind
from linker.records.index import RecordIndex
from linker.retry.pages import pages
from linker.retry.sender import Read
from linker.retry.verdict import GiveUp

__all__ = ["Table", "parse_table", "read_table", "table_of_record", "tables_in_use", "told"]

_AT_ONCE: Final = 8
"""Pages that are read at once."""

_PASSES: Final = 3
"""How often a list is read that grows or shrinks meanwhile, so that records move between its pages."""

_FIELDS_SHOWN: Final = 20

Table = tuple[Listing, ...]
"""The lists whose records a field links to: one, or those of several products; what is created goes to the first."""


def parse_table(text: str) -> tuple[str, Listing]:
    """The field and the list of records that `customers=PRJ1/customers` says.

    Raises:
        UsageError: it says none.
    """
    field, _, place = text.partition("=")
    parent, _, table = place.strip().partition("/")
    if not (is_field(field.strip()) and is_field(parent) and is_field(table)):
        raise UsageError(f"table {text!r} is not understood; write FIELD=PRODUCT/TABLE: customers=PRJ1/customers")
    return field.strip(), Listing(Kind.CUSTOM_OBJECT_RECORD, parent.upper(), table)


async def tables_in_use(read: Read, kind: Kind, fields: Collection[str]) -> dict[str, Listing]:
    """The tables of records that the fields of some targets hold: of those on the first page of the kind's list.

    A field is left out where none of them holds any, or the kind has no list of the whole account. Takes one request,
    and one for each field.
    """
    listing = Listing.of(kind, "")
    answer = await read(linked_in(listing)) if listing is not None else None
    if listing is None or not isinstance(answer, Answer) or answer.value is None:
        return {}
    held: dict[str, str] = {}
    for item in answer.value[listing.kind.plural]:
        for each in _list(item.get("custom_object_links")):
            key, ids = each.get("key"), each.get("record_ids")
            with suppress(InvalidJob):
                if isinstance(key, str) and key in fields and isinstance(ids, list) and ids:
                    held.setdefault(key, record_id(ids[0]))
    found = {field: await table_of_record(read, id) for field, id in held.items()}
    return {field: table for field, table in found.items() if table is not None}


async def table_of_record(read: Read, id: str) -> Listing | None:
    """The table in which a record is; None where that is not shown."""
    answer = await read(record(id))
    if not isinstance(answer, Answer) or answer.value is None:
        return None
    return Listing.of_table(answer.value["custom_object_record"])


async def read_table(read: Read, table: Table, field: str, *, why: str) -> RecordIndex:
    """The records of a table by one of their fields.

    Args:
        why: whence it is known that this is the table: what a user can mend.

    Raises:
        UsageError: there is no such table, or its records have no such field.
        Stopped: it cannot be read to its end.
    """
    found = RecordIndex(field)
    fields: set[str] = set()
    is_held = False

    def take(items: Sequence[dict[str, Any]]) -> list[str]:
        nonlocal is_held
        ids: list[str] = []
        for item in items:
            id, values = _known(item)
            is_held = is_held or field in values
            if len(fields) < _FIELDS_SHOWN:
                fields.update(values)
            if id:
                ids.append(id)
                found.add(id, values.get(field, ""))
        return ids

    for listing in table:
        for _ in range(_PASSES):
            is_complete = await _read_all(read, listing, take, why)
            if is_complete:
                break
        found.whole = found.whole and is_complete
    if len(found) and not is_held:
        there = ", ".join(sorted(fields)[:_FIELDS_SHOWN]) or "none that are shown"
        raise UsageError(f"no record of {told(table)} has a field {field!r} that holds anything; there are {there}")
    log.get_logger().info(log.TABLE_READ, table=told(table), field=field, records=len(found))
    return found


async def _read_all(
    read: Read, listing: Listing, take: Callable[[Sequence[dict[str, Any]]], list[str]], why: str
) -> bool:
    """Read a table's list once, and return whether as many records were seen as it reports.

    Raises:
        UsageError: there is no such list.
        Stopped: it cannot be read to its end.
    """
    total = 0
    seen: set[int] = set()
    for whole in (False, True):  # some accounts show no fields of records unless `fields=` is left out
        number = 0
        async with aclosing(pages(read, partial(records, listing, whole=whole), at_once=_AT_ONCE)) as answers:
            async for _, answer in answers:
                if isinstance(answer, GiveUp):
                    raise _unreadable(listing, answer, why)
                number += 1
                value = answer.value or {}
                items = value.get("custom_object_records", [])
                if number == 1 and not whole and items and not any("custom_fields" in item for item in items):
                    break
                seen.update(map(hash, take(items)))
                total = _number(value, "total_records")
                if len(seen) == total and number >= _number(value, "total_pages"):
                    return True
            else:
                break
    return len(seen) >= total


def _unreadable(listing: Listing, failed: GiveUp, why: str) -> LinkerError:
    message = f"the records of {listing.place} ({why}) cannot be read: {failed.error.message}"
    if failed.http_status in (403, 404):
        return UsageError(f"{message}; is that the table?")
    return Stopped(message)


def _number(value: Mapping[str, Any], what: str) -> int:
    match value.get("pagination"):
        case dict() as told if isinstance(number := told.get(what), int) and not isinstance(number, bool):
            return number
    return 0


def _known(item: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """A record's id, and what it shows of its fields: `{"custom_fields": [{"key": "name", "value": "Acme Corp"}]}`."""
    try:
        id = record_id(item.get("id"))
    except InvalidJob:
        id = ""
    return id, dict(_values(item))


def _values(item: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if isinstance(name := item.get("name"), str) and _is_value(name):
        yield "name", name.strip()
    for each in _list(item.get("custom_fields")):
        key, value = each.get("key"), each.get("value")
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if is_field(key) and isinstance(value, str) and _is_value(value):
            yield key, value.strip()


def _is_value(text: str) -> bool:
    """Whether a job could name a record by it; what it could not need not be kept."""
    return 0 < len(text.strip()) <= NAME_LIMIT


def _list(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def told(table: Sequence[Listing]) -> str:
    """A table as `--table` has it: `PRJ1/customers`."""
    return " and ".join(listing.place for listing in table)
