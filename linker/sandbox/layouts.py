"""Layouts (the API's `screen_definitions`): which custom fields the resources of a product have, per kind."""

from __future__ import annotations

from typing import Any, Final

from linker.model.target import Kind
from linker.sandbox.account import FIELDABLE_TYPES, Account, Resource
from linker.sandbox.options import SandboxOptions

_FIRST_ID: Final = 19837977


class Layouts:
    """The account's layouts.

    There is one per kind with all its fields, which products share. A product whose layout lacks fields
    (`off_layout`) has its own for each kind that would have them.
    """

    def __init__(self, account: Account, options: SandboxOptions) -> None:
        self._account = account
        self._off_layout = options.off_layout

    def all(self) -> list[dict[str, Any]]:
        """Every layout with its fields."""
        return [self._layout(*key, number) for number, key in enumerate(self._keys())]

    def of_product(self, product: Resource) -> list[dict[str, Any]]:
        """The layouts that a product uses, one per kind."""
        used = {}
        for number, (fieldable_type, prefix) in enumerate(self._keys()):
            if prefix in ("", product.reference):
                used[fieldable_type] = self._layout(fieldable_type, prefix, number)  # the product's own come last
        return list(used.values())

    def ids_of_product(self, product: Resource) -> dict[str, int]:
        """The ids of the layouts that a product uses, by the type of what they are for."""
        return {layout["screenable_type"]: layout["id"] for layout in self.of_product(product)}

    def _keys(self) -> list[tuple[str, str]]:
        """For each layout its type and the prefix of the product whose own it is; those that are shared go first."""
        own = {
            (definition.fieldable_type, product.reference)
            for product in self._account.listed(Kind.PRODUCT)
            for definition in self._account.definitions
            if (product.reference, definition.key) in self._off_layout
        }
        types = list(FIELDABLE_TYPES.values())
        return [(fieldable_type, "") for fieldable_type in types] + sorted(key for key in own if key[0] in types)

    def _layout(self, fieldable_type: str, prefix: str, number: int) -> dict[str, Any]:
        return {
            "id": _FIRST_ID + number,
            "screenable_type": fieldable_type,
            "name": f"Screen Definition {number}",
            "custom_field_definitions": [
                {"id": field.id, "key": field.key, "position": 1, "name": field.name, "type": field.type}
                for field in self._account.definitions
                if field.fieldable_type == fieldable_type and (prefix, field.key) not in self._off_layout
            ],
        }
