"""Names of records, by which jobs give a record whose id they do not know; and where a cell with several is split."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from linker.errors import InvalidJob
from linker.model.ids import digits, float_hint, whole_number
from linker.text import quoted, without_invisible

NAME_LIMIT: Final = 1000
"""The most characters that a record's name may have."""

TITLE: Final = "name"
"""As the field of a `Name`: the title field of the table, whatever its key."""

_FIELD = re.compile(r"[A-Za-z0-9_-]{1,200}")
_SEPARATOR = re.compile(r"[;\r\n]")  # anything else may be part of a name
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31})\Z")
_LONGEST_ENTITY: Final = 33


class Name(msgspec.Struct, frozen=True, order=True):
    """A record given by the value of a field of its table, such as `name` or a CRM's id, instead of by its id.

    The field `name` means the title field of the table, whatever its key. In a job file a name is an object with one
    key: `{"name": "Acme Corp"}`, `{"salesforce_id": "0015g00000Q7pXkAAJ"}`.

    `is_cell` says that the value is a cell of a table that may hold several names. Only the table's records can tell
    whether `Smith; Jones & Co` is one.
    """

    field: str
    value: str
    is_cell: bool = False

    def __str__(self) -> str:
        return self.value

    @property
    def written(self) -> dict[str, str]:
        """The name in the form that a job file has."""
        return {self.field: self.value}

    @classmethod
    def parse(cls, value: object) -> Name:
        """The name that an object of a job file gives, stripped.

        Raises:
            InvalidJob: it gives none, or the value is empty, or neither text nor a whole number.
        """
        if not isinstance(value, Mapping) or len(value) != 1:
            raise InvalidJob(f'a record must be an id or {{"name": "…"}}, not {quoted(value)}')
        ((field, value),) = value.items()
        if not (isinstance(field, str) and _FIELD.fullmatch(field)):
            raise InvalidJob(f"{quoted(field)} is not the key of a field; keys have only letters, digits, - and _")
        if (number := whole_number(value)) is not None:
            value = digits(number)
        if not isinstance(value, str):
            raise InvalidJob(f"a record's {field} must be text, not {quoted(value)}{float_hint(value)}")
        text = value.strip()
        if not without_invisible(text).strip():
            raise InvalidJob(f"a record's {field} is empty")
        if len(text) > NAME_LIMIT:
            raise InvalidJob(f"a record's {field} is longer than {NAME_LIMIT:,} characters")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidJob(f"a record's {field} is not valid text: it contains half a character") from None
        return cls(field, text)


def name_spans(cell: str) -> list[tuple[int, int]]:
    """The start and end of each name in a cell, between `;` and line breaks, without white space around it.

    A `;` that ends an HTML entity separates nothing: `Smith &amp; Co` is one name.
    """
    spans: list[tuple[int, int]] = []
    start = 0
    for end in [*_separators(cell), len(cell)]:
        text = cell[start:end]
        if stripped := text.strip():
            begin = start + len(text) - len(text.lstrip())
            spans.append((begin, begin + len(stripped)))
        start = end + 1
    return spans


def _separators(cell: str) -> list[int]:
    places = [match.start() for match in _SEPARATOR.finditer(cell)]
    if "&" not in cell:
        return places
    return [place for place in places if cell[place] != ";" or not _ends_entity(cell, place)]


def _ends_entity(cell: str, place: int) -> bool:
    match = _ENTITY.search(cell, max(0, place - _LONGEST_ENTITY), place)
    if match is None:
        return False
    if match[0][1] == "#":
        return True
    from html.entities import html5  # 2,000 names, which few runs need

    return f"{match[0][1:]};" in html5
