"""The account's field definitions: which fields of which kinds are links to records, and to which table."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

import msgspec

from linker import log
from linker.api.answers import Answer
from linker.api.lists import Listing
from linker.api.requests import definitions
from linker.errors import InvalidJob
from linker.model.job import TITLE, is_field
from linker.model.target import Kind
from linker.retry.sender import Read
from linker.text import folded, plain, quoted

LINK_MANY: Final = "CustomFieldDefinitions::LinkMany"
"""The type of a many-to-many link (the API document)."""

_TEXT: Final = "CustomFieldDefinitions::TextField"
_MOST_PAGES: Final = 100


class Definition(msgspec.Struct, frozen=True):
    """One custom field of a kind. `table` is the table that it links to, if the definition names it.

    No published answer names it. If an account's does, in the form that records use, `--table` is not needed.
    """

    kind: Kind
    key: str
    name: str
    type: str
    table: Listing | None = None

    @property
    def is_link(self) -> bool:
        """Whether it is a many-to-many link to records."""
        return self.type == LINK_MANY


class Fields:
    """All definitions of an account, by kind and key."""

    def __init__(self, definitions: Iterable[Definition]) -> None:
        self._by_kind: dict[Kind, dict[str, Definition]] = {kind: {} for kind in Kind}
        for definition in definitions:
            self._by_kind[definition.kind].setdefault(definition.key, definition)
        self._has_links = bool(self.links())

    def __repr__(self) -> str:
        return f"<Fields: {len(self.links())} links>"

    def get(self, kind: Kind, key: str) -> Definition | None:
        """Return a kind's field of that key, None if there is none."""
        return self._by_kind[kind].get(key)

    def links(self) -> list[Definition]:
        """Return the many-to-many links, ordered by kind."""
        return [field for kind in Kind for field in self._by_kind[kind].values() if field.is_link]

    def only_title(self) -> str | None:
        """Return the key of the only text field that records have, if it is labelled "Name"; else None.

        A definition does not tell its table, so of several text fields any may be that of another table.
        """
        texts = [field for field in self._by_kind[Kind.CUSTOM_OBJECT_RECORD].values() if field.type == _TEXT]
        return texts[0].key if len(texts) == 1 and folded(texts[0].name) == TITLE else None

    def fault(self, kind: Kind, key: str) -> str | None:
        """Return why a key is no link field of a kind; None if it is one.

        Also None if no kind has a link field: an account that can link records defines some, so this token is not
        shown them, and nothing follows from their absence.
        """
        definition = self.get(kind, key)
        if not self._has_links or (definition is not None and definition.is_link):
            return None
        links = {name: field for name, field in self._by_kind[kind].items() if field.is_link}
        nearest = _nearest(key, links)
        hint = f"did you mean {quoted(nearest)}?" if nearest else _listed(kind, links)
        if definition is not None:
            kind_of_field = definition.type.rpartition("::")[2]
            return f"field {quoted(key)} of {kind.plural} is a {kind_of_field}, not a link to records; {hint}"
        others = [other.plural for other in Kind if (field := self.get(other, key)) is not None and field.is_link]
        where = f", but {', '.join(others)} do" if others else ""
        return f"{kind.plural} have no field {quoted(key)}{where}; {hint}"


def _listed(kind: Kind, links: Mapping[str, Definition]) -> str:
    if not links:
        return f"{kind.plural} have no fields that link to records (linker tables lists all link fields)"
    return f"the link fields of {kind.plural} are {', '.join(links)}"


def _nearest(key: str, links: Mapping[str, Definition]) -> str | None:
    """Return the link field that was probably meant, by its key or its name; None if nothing is near."""
    folded = {key.casefold(): key for key in links} | {field.name.casefold(): field.key for field in links.values()}
    matches = difflib.get_close_matches(key.casefold(), folded, n=1)
    return folded[matches[0]] if matches else None


async def read_fields(read: Read) -> Fields | None:
    """Return the account's field definitions; None if they cannot be read or none are shown.

    A log event says so, and also if there is no link field among them.
    """
    # not `pages()`: the list need not be paged, and then a second request would be wasted in every run
    definitions_by_key: dict[tuple[Kind, str], Definition] = {}
    for page in range(1, _MOST_PAGES + 1):
        answer = await read(definitions(page))
        if not isinstance(answer, Answer) or answer.value is None:
            why = answer.error.message if not isinstance(answer, Answer) else "the answer is empty"
            log.get_logger().warning(log.NO_PREFLIGHT, why=why)
            return None
        for item in answer.value["custom_field_definitions"]:
            if (definition := _definition(item)) is not None:
                definitions_by_key.setdefault((definition.kind, definition.key), definition)
        match answer.value.get("pagination"):
            case {"total_pages": int(pages)} if page < pages:
                continue
        break
    if not definitions_by_key:  # the token may not see them: an account in which links can be made defines some
        log.get_logger().warning(log.NO_PREFLIGHT, why="the account shows none")
        return None
    fields = Fields(definitions_by_key.values())
    if not fields.links():
        log.get_logger().warning(log.NO_PREFLIGHT, why="none of them links to records")
    return fields


def _definition(item: Any) -> Definition | None:
    """Parse `{"key", "name", "type", "custom_fieldable_type"}`; None if it is not of a kind that can be linked."""
    match item:
        case {"key": str(key), "type": str(type), "custom_fieldable_type": str(fieldable)} if is_field(key):
            with suppress(InvalidJob):  # a page or a note, which cannot be linked
                name = item.get("name")
                name = plain(name) if isinstance(name, str) else key
                return Definition(
                    Kind.parse(fieldable), key, name, plain(type), Listing.of_table(item.get("custom_object"))
                )
    return None
