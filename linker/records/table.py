"""Custom tables: which one a field links to, and the records of a table, read once a run, 200 a page."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, Final

from linker import log
from linker.api.answers import Answer
from linker.api.lists import Listing
from linker.api.requests import linked_in, record, records
from linker.errors import InvalidJob, LinkerError, Stopped, UsageError
from linker.model.ids import exact_id
from linker.model.job import NAME_LIMIT, TITLE, is_field
from linker.model.target import Kind
from linker.records.index import RecordIndex
from linker.records.title import ShownFields, TitleFields
from linker.retry.pages import pages
from linker.retry.sender import Read
from linker.retry.verdict import GiveUp
from linker.text import quoted

_AT_ONCE: Final = 8
"""Pages that are read at once."""

_PASSES: Final = 3
"""How often a list is read if it changes meanwhile, so that records move between its pages."""

_FIELDS_SHOWN: Final = 20

Table = tuple[Listing, ...]
"""The lists whose records a field links to: one, or one for each of several products. New records go to the first."""


def parse_table(text: str) -> tuple[str, Listing]:
    """Parse `customers=PRJ1/customers` into the field and the list of records.

    Raises:
        UsageError: it is not of that form.
    """
    field, _, place = text.partition("=")
    parent, _, table = place.strip().partition("/")
    if not (is_field(field.strip()) and is_field(parent) and is_field(table)):
        raise UsageError(
            f"table {quoted(text)} is invalid; write FIELD=PRODUCT/TABLE, such as customers=PRJ1/customers "
            "(linker tables lists them)"
        )
    return field.strip(), Listing(Kind.CUSTOM_OBJECT_RECORD, parent.upper(), table)


def table_of_targets(given: Iterable[str]) -> Table:
    """Return the table whose records are targets, as `record=PRJ1/customers` says it; empty if none is given.

    `custom_object_record=` means the same, and goes first, for an account with a field whose key is `record`.

    Raises:
        UsageError: one of the texts is not of the form FIELD=PRODUCT/TABLE.
    """
    tables = [parse_table(text) for text in given]
    whole = tuple(listing for name, listing in tables if name == Kind.CUSTOM_OBJECT_RECORD)
    return whole or tuple(listing for name, listing in tables if name == "record")


async def tables_in_use(read: Read, kind: Kind, fields: Collection[str]) -> dict[str, Listing]:
    """Return the table that each field links to, found by a record that a target on the first page of the list holds.

    A field is left out if no target there holds a record in it, or if the kind has no list of the whole account. Takes
    one request, and one for each field.
    """
    listing = Listing.of(kind, "")
    answer = await read(linked_in(listing)) if listing is not None else None
    if listing is None or not isinstance(answer, Answer) or answer.value is None:
        return {}
    records_by_field: dict[str, str] = {}
    for item in answer.value[listing.kind.plural]:
        for link in _objects(item.get("custom_object_links")):
            key, ids = link.get("key"), link.get("record_ids")
            with suppress(InvalidJob):
                if isinstance(key, str) and key in fields and isinstance(ids, list) and ids:
                    records_by_field.setdefault(key, exact_id(ids[0]))
    tables = {field: await table_of_record(read, id) for field, id in records_by_field.items()}
    return {field: table for field, table in tables.items() if table is not None}


async def table_of_record(read: Read, id: str) -> Listing | None:
    """Return the table that a record belongs to; None if the answer does not show it."""
    answer = await read(record(id))
    if not isinstance(answer, Answer) or answer.value is None:
        return None
    return Listing.of_table(answer.value["custom_object_record"])


async def read_table(
    read: Read, table: Table, field: str, *, why: str, titles: TitleFields | None = None
) -> RecordIndex:
    """Read the records of a table, indexed by one of their fields.

    Args:
        field: the field's key; `name` means the title field, whatever its key.
        why: why this is taken for the table, for error messages.
        titles: the title fields that are known; those of this table are added.

    Raises:
        UsageError: the table does not exist, its records lack that field, or linker cannot tell their title field.
        Stopped: it cannot be read to its end.
    """
    index = RecordIndex(field)
    titles = titles if titles is not None else TitleFields()
    parts = [_Part(listing, field, index, titles) for listing in table]
    for part in parts:
        for _ in range(_PASSES):
            is_complete = await _read_all(read, part.listing, part.take, why)
            if is_complete:
                break
        index.whole = index.whole and is_complete
        part.check()
    if len(index) and not any(part.has_field for part in parts):
        key = next((part.key for part in parts if part.key is not None), field)
        names = ", ".join(sorted({name for part in parts for name in part.fields})[:_FIELDS_SHOWN])
        raise UsageError(
            f"no record of {name_of(table)} has a value in the field {quoted(key)}; these fields have values: "
            f"{names or 'none'}"
        )
    log.get_logger().info(log.TABLE_READ, table=name_of(table), field=field, records=len(index))
    return index


class _Part:
    """One list of a table while it is read: adds its records to an index."""

    def __init__(self, listing: Listing, field: str, index: RecordIndex, titles: TitleFields) -> None:
        self.listing = listing
        self.fields: set[str] = set()
        """Fields that hold something, for error messages."""
        self.has_field = False
        self._index = index
        self._titles = titles
        self._shown = ShownFields()
        self._is_found = field == TITLE and titles.given(listing) is None
        self.key = (titles.given(listing) if field == TITLE else field) or None
        """The key of the field; None until the first page shows the title field."""

    def take(self, items: Sequence[dict[str, Any]]) -> list[str]:
        """Add the records of a page, and return their ids."""
        self._shown.add(items)
        if self.key is None and items:
            self.key = self._titles.get(self.listing) or self._shown.title()
            if self.key is None:
                raise self._shown.unclear(self.listing)
            self._titles.learn(self.listing, self.key)
        ids: list[str] = []
        for item in items:
            id, values = record_of(item)
            self.has_field = self.has_field or self.key in values
            if len(self.fields) < _FIELDS_SHOWN:
                self.fields.update(values)
            if id:
                ids.append(id)
                self._index.add(id, values.get(self.key or "", ""))
        return ids

    def check(self) -> None:
        """Raise `UsageError` if later pages contradict the title field that the first page showed."""
        if self._is_found and self.key is not None and self._shown.title() != self.key:
            raise self._shown.unclear(self.listing)


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
    if failed.http_status in (403, 404):  # the message names the table
        return UsageError(f"{failed.error.message}. It was {why}; linker tables lists all tables")
    if failed.http_status == 401:
        return Stopped(failed.error.message)
    return Stopped(f"linker cannot read the table {listing.place} ({why}): {failed.error.message}")


def _number(value: Mapping[str, Any], what: str) -> int:
    match value.get("pagination"):
        case dict() as pagination if isinstance(number := pagination.get(what), int) and not isinstance(number, bool):
            return number
    return 0


def record_of(item: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """Return a record's id, empty if it shows none, and its field values by key.

    The answer is `{"custom_fields": [{"key": "name", "value": "Acme Corp"}]}`.
    """
    try:
        id = exact_id(item.get("id"))
    except InvalidJob:
        id = ""
    return id, dict(_values(item))


def _values(item: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if isinstance(name := item.get("name"), str) and _is_value(name):
        yield "name", name.strip()
    for custom_field in _objects(item.get("custom_fields")):
        key, value = custom_field.get("key"), custom_field.get("value")
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if is_field(key) and isinstance(value, str) and _is_value(value):
            yield key, value.strip()


def _is_value(text: str) -> bool:
    """Whether a job can name a record by it; other values need not be kept."""
    return 0 < len(text.strip()) <= NAME_LIMIT


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def name_of(table: Sequence[Listing]) -> str:
    """Return a table in the form that `--table` takes: `PRJ1/customers`."""
    return " and ".join(listing.place for listing in table)
