"""The layouts of workspaces: which fields a kind has there. The account ignores a PUT of a field that is not on one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from linker.api.answers import Answer
from linker.api.requests import layouts_of
from linker.errors import InvalidJob
from linker.model.target import Kind, Target
from linker.retry.sender import Read


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
    for definition in definitions if isinstance(definitions, list) else ():
        match definition:
            case {"screenable_type": str(type), "custom_field_definitions": list(shown)}:
                try:
                    kind = Kind.parse(type)
                except InvalidJob:  # a page, or something else that cannot be linked
                    continue
                keys = (field.get("key") for field in shown if isinstance(field, dict))
                fields.setdefault(kind, set()).update(key for key in keys if isinstance(key, str))
    return fields
