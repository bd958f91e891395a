"""Layouts (`screen_definitions`) as answers show them: which fields a kind has in a workspace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from linker.errors import InvalidJob
from linker.model.target import Kind


def parse_layouts(definitions: Any) -> dict[Kind, set[str]]:
    """Parse `[{"screenable_type", "custom_field_definitions": [{"key"}]}]` into the field keys of each kind."""
    fields: dict[Kind, set[str]] = {}
    for _, kind, keys in each_layout(definitions):
        fields.setdefault(kind, set()).update(keys)
    return fields


def each_layout(definitions: Any) -> Iterator[tuple[dict[str, Any], Kind, set[str]]]:
    """Yield each layout with its kind and the keys of its fields."""
    for item in definitions if isinstance(definitions, list) else ():
        match item:
            case {"screenable_type": str(type), "custom_field_definitions": list(shown)}:
                with suppress(InvalidJob):  # a page, or something else that cannot be linked
                    keys = (field.get("key") for field in shown if isinstance(field, dict))
                    yield item, Kind.parse(type), {key for key in keys if isinstance(key, str)}
