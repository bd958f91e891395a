"""The layouts of workspaces: which fields a kind has there. The account ignores a PUT of a field that is not on one."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from linker.api.answers import Answer
from linker.api.requests import LAYOUTS, layouts_of
from linker.errors import InvalidJob
from linker.model.target import Kind, Target
from linker.retry.sender import Read
from linker.text import plain


@dataclass(frozen=True, slots=True)
class LayoutGap:
    """Layouts of a kind that lack a field: the account ignores its links there. `of` counts all layouts of the kind."""

    kind: Kind
    field: str
    layouts: tuple[str, ...]
    of: int


async def read_gaps(read: Read, used: Collection[tuple[Kind, str]]) -> list[LayoutGap]:
    """Return the layouts that lack one of these fields; none if the account does not tell.

    The list of all layouts is for administrators of customizations alone (the vendor's documents).
    """
    answer = await read(LAYOUTS)
    definitions = (answer.value or {}).get("screen_definitions") if isinstance(answer, Answer) else None
    layouts = [(kind, plain(str(item.get("name"))), keys) for item, kind, keys in _parse(definitions)]
    gaps: list[LayoutGap] = []
    for kind, field in sorted(used):
        lacking = tuple(name for of, name, keys in layouts if of is kind and field not in keys)
        if lacking:
            gaps.append(LayoutGap(kind, field, lacking, sum(of is kind for of, _, _ in layouts)))
    return gaps


class Layouts:
    """The layouts of the workspaces that targets belong to, each read once. A product's answer shows them."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._fields: dict[str, dict[Kind, set[str]]] = {}

    def __repr__(self) -> str:
        return f"<Layouts of {len(self._fields)} workspaces>"

    async def lack(self, target: Target, fields: Collection[str]) -> bool:
        """Whether the layout of a target's workspace lacks one of these fields; False if the account does not tell."""
        if target.id.isdigit() or target.kind in (Kind.PRODUCT, Kind.CUSTOM_OBJECT_RECORD):
            return False
        workspace = target.id.partition("-")[0]
        if workspace not in self._fields:
            answer = await self._read(layouts_of(workspace))
            value = answer.value if isinstance(answer, Answer) else None
            self._fields[workspace] = parse_layouts((value or {}).get("product", {}).get("screen_definitions"))
        on_layout = self._fields[workspace].get(target.kind)
        return on_layout is not None and not on_layout.issuperset(fields)


def parse_layouts(definitions: Any) -> dict[Kind, set[str]]:
    """Parse `[{"screenable_type", "custom_field_definitions": [{"key"}]}]` into the field keys of each kind."""
    fields: dict[Kind, set[str]] = {}
    for _, kind, keys in _parse(definitions):
        fields.setdefault(kind, set()).update(keys)
    return fields


def _parse(definitions: Any) -> Iterator[tuple[dict[str, Any], Kind, set[str]]]:
    for item in definitions if isinstance(definitions, list) else ():
        match item:
            case {"screenable_type": str(type), "custom_field_definitions": list(shown)}:
                with suppress(InvalidJob):  # a page, or something else that cannot be linked
                    keys = (field.get("key") for field in shown if isinstance(field, dict))
                    yield item, Kind.parse(type), {key for key in keys if isinstance(key, str)}
