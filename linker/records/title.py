"""Finds the title field of a custom table, which is what `{"name": …}` in a job means.

Its key is not always `name`: live accounts have tables with `customer_2_name` and `event` (public clients).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from linker.api.lists import Listing
from linker.errors import UsageError
from linker.model.job import TITLE, is_field
from linker.text import folded, plain

_TEXT: Final = frozenset({"string", "text"})
_MOST_FIELDS: Final = 1000
"""The most fields of a table that are remembered, so that odd answers cannot fill the memory."""


class TitleFields:
    """The keys of title fields, by table: those that the user has given, and those that records have shown.

    Args:
        given: keys as `Settings.name_field` has them: `KEY` for all tables, `TABLE=KEY` for one.
    """

    def __init__(self, given: Iterable[str] = ()) -> None:
        pairs = [text.rpartition("=") for text in given]
        self._given = {table: key for table, _, key in pairs}
        self._found: dict[Listing, str] = {}

    def __repr__(self) -> str:
        return f"<TitleFields: {len(self._given)} given, {len(self._found)} found>"

    def given(self, table: Listing) -> str | None:
        """Return the key that the user has given for a table; None if there is none."""
        return self._given.get(table.table) or self._given.get("")

    def get(self, table: Listing) -> str | None:
        """Return the key of a table's title field; None if it is not known yet."""
        return self.given(table) or self._found.get(table)

    def learn(self, table: Listing, key: str) -> None:
        """Keep the key that the records of a table have shown."""
        self._found[table] = key


class ShownFields:
    """The fields that the records of one table have shown so far, empty ones too."""

    def __init__(self) -> None:
        self._fields: dict[str, tuple[str, bool]] = {}  # key -> label, and whether it holds text

    @property
    def keys(self) -> list[str]:
        """The keys in alphabetical order."""
        return sorted(self._fields)

    def add(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Take in the fields of records, such as `{"key": "event", "name": "Event", "type": "string", "value": …}`."""
        for item in items:
            custom_fields = item.get("custom_fields")
            for field in custom_fields if isinstance(custom_fields, list) else ():
                key = field.get("key") if isinstance(field, dict) else None
                if not is_field(key) or key in self._fields or len(self._fields) >= _MOST_FIELDS:
                    continue
                label, kind = field.get("name"), field.get("type")
                is_text = kind in _TEXT if isinstance(kind, str) else isinstance(field.get("value"), str)
                self._fields[key] = (label if isinstance(label, str) else "", is_text)
            if isinstance(item.get("name"), str):  # no documented record has a name of its own
                self._fields.setdefault(TITLE, ("", True))

    def title(self) -> str | None:
        """Return the key of the title field: the one labelled "Name", or else the only text field.

        Of several labelled "Name", or if there is none, the key `name` counts. None if these rules find no field.
        """
        labelled = [key for key, (label, _) in self._fields.items() if folded(label) == TITLE]
        if len(labelled) == 1:
            return labelled[0]
        if TITLE in (labelled or self._fields):
            return TITLE
        texts = [key for key, (_, is_text) in self._fields.items() if is_text]
        return texts[0] if len(texts) == 1 and not labelled else None

    def unclear(self, table: Listing) -> UsageError:
        """Return the error of a table whose title field cannot be told from its records."""
        return no_title(table, f"Its fields are {', '.join(map(plain, self.keys[:20])) or 'not shown'}")


def no_title(table: Listing, why: str) -> UsageError:
    """Return the error of a table whose title field is not known, with the option that helps."""
    return UsageError(
        f"linker cannot tell which field of the table {table.place} contains the names of its records. {why}. "
        f"Add --name-field {table.table}=KEY"
    )
