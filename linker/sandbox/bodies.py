"""Reads the body of a PUT or POST as the API does: strictly, and all of it before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from linker.model.target import Kind
from linker.sandbox.account import LINK_ONE, Account, Definition, Resource
from linker.sandbox.options import SandboxOptions


class Refused(Exception):
    """The request is answered with this status and message, and changes nothing."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def attributes_of(kind: Kind, content_type: str, body: bytes) -> Mapping[str, Any]:
    """The attributes in the body, without the object around them. Raises `Refused`."""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, f"the content type {content_type!r} is not application/json")
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"the body is not JSON: {error}") from None
    attributes = decoded.get(kind.value) if isinstance(decoded, dict) else None
    if not isinstance(attributes, dict) or not attributes:
        raise Refused(400, f"param is missing or the value is empty: {kind.value}")
    return attributes


def links_of(
    account: Account, resource: Resource, wanted: object, options: SandboxOptions
) -> dict[str, tuple[int, ...]]:
    """The new list of each field that `custom_object_links` names. Raises `Refused`."""
    if not isinstance(wanted, dict):
        raise Refused(422, f"custom_object_links is {_shortened(wanted)}, not an object of lists by field key")
    fields = account.link_fields(resource.kind)
    links: dict[str, tuple[int, ...]] = {}
    for key, ids in wanted.items():
        if not isinstance(ids, list):
            raise Refused(422, f"custom_object_links.{key} is {_shortened(ids)}, not a list of record ids")
        definition = fields.get(key)
        if definition is not None and (_prefix(account, resource), key) in options.off_layout:
            continue
        if definition is not None:
            if options.blank_clears and not ids:
                continue
            is_clear = options.blank_clears and ids == [""]
            links[key] = () if is_clear else _records(account, definition, ids, options)
        elif options.unknown_field == "error":
            raise Refused(422, f"{key} is not a link field of a {resource.kind}")
    return links


def fields_of(content_type: str, body: bytes, title_key: str) -> tuple[str, dict[str, str]]:
    """The name of a new record, and its other text fields. Raises `Refused`."""
    attributes = attributes_of(Kind.CUSTOM_OBJECT_RECORD, content_type, body)
    fields = attributes.get("custom_fields")
    fields = fields if isinstance(fields, dict) else {}
    name = fields.get(title_key)
    if not isinstance(name, str) or not name.strip():
        raise Refused(422, f"custom_fields.{title_key} is missing or empty")
    no_values = (title_key, "name")  # a table whose title has another key has no field "name"
    return name, {key: value for key, value in fields.items() if key not in no_values and isinstance(value, str)}


def _prefix(account: Account, resource: Resource) -> str:
    product = account.by_id(Kind.PRODUCT, resource.product)
    return product.reference if product is not None else ""


def _records(account: Account, definition: Definition, ids: list[Any], options: SandboxOptions) -> tuple[int, ...]:
    found: set[int] = set()
    for id in ids:
        digits = _digits(id)
        if digits is None:
            raise Refused(422, f"custom_object_links.{definition.key}: {_shortened(id)} is not a record id")
        record = account.find(Kind.CUSTOM_OBJECT_RECORD, digits)
        if digits in options.refused_records:
            named = f"the record {digits} is invalid" if options.refused_by_name else "is invalid"
            raise Refused(options.refused_with, f"custom_object_links.{definition.key}: {named}")
        if record is not None and record.table == definition.table:
            found.add(record.id)
        elif options.unknown_record == "error":
            where = f"is not in the table {definition.table}" if record is not None else "does not exist"
            raise Refused(422, f"custom_object_links.{definition.key}: the record {_shortened(digits)} {where}")
    if definition.type == LINK_ONE and len(found) > 1:
        raise Refused(422, f"custom_object_links.{definition.key} takes one record, not {len(found)}")
    return tuple(sorted(found))


def _digits(id: object) -> str | None:
    if isinstance(id, str):
        return (id.lstrip("0") or "0") if id.isascii() and id.isdigit() else None
    if isinstance(id, int) and not isinstance(id, bool) and id >= 0:
        return str(id)
    return None  # a float too: an integer beyond 64 bits becomes one and loses its last digits


def _shortened(value: object) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= 80 else f"{text[:79]}…"
