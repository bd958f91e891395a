"""The account's field definitions: which keys are links to records, on which kinds, and to which table."""

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
from linker.model.job import is_field
from linker.model.target import Kind
from linker.retry.sender import Read
from linker.text import plain

__all__ = ["LINK_MANY", "Definition", "Fields", "read_fields"]

LINK_MANY: Final = "CustomFieldDefinitions::LinkMany"
"""The type of a many-to-many link (the API document)."""

_MOST_PAGES: Final = 100


class Definition(msgspec.Struct, frozen=True):
    """One custom field of a kind. `table` is what a link leads to, where the definition says so.

    No published answer has that; where one does, in a record's own words, nobody need say `--table`.
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

    def __init__(self, found: Iterable[Definition]) -> None:
        self._by_kind: dict[Kind, dict[str, Definition]] = {kind: {} for kind in Kind}
        for each in found:
            self._by_kind[each.kind].setdefault(each.key, each)

    def __repr__(self) -> str:
        return f"<Fields: {len(self.links())} links>"

    def get(self, kind: Kind, key: str) -> Definition | None:
        """A kind's field of that key, None where there is none."""
        return self._by_kind[kind].get(key)

    def links(self) -> list[Definition]:
        """The many-to-many links, by kind."""
        return [each for kind in Kind for each in self._by_kind[kind].values() if each.is_link]

    def fault(self, kind: Kind, key: str) -> str | None:
        """Why a key is no link field of a kind; None where it is one."""
        found = self.get(kind, key)
        if found is not None and found.is_link:
            return None
        links = {name: each for name, each in self._by_kind[kind].items() if each.is_link}
        near = _near(key, links)
        hint = f"did you mean {near!r}?" if near else _there(kind, links)
        if found is not None:
            return f"field {key!r} of {kind.plural} is a {found.type.rpartition('::')[2]}, no many-to-many link; {hint}"
        others = [other.plural for other in Kind if (it := self.get(other, key)) is not None and it.is_link]
        where = f" (there is one for {', '.join(others)})" if others else ""
        return f"no field {key!r} is defined for {kind.plural}{where}; {hint}"


def _there(kind: Kind, links: Mapping[str, Definition]) -> str:
    return f"their link fields are {', '.join(links)}" if links else f"no link field is defined for {kind.plural}"


def _near(key: str, links: Mapping[str, Definition]) -> str | None:
    """The link field that was meant, by its key or by its name."""
    folded = {key.casefold(): key for key in links} | {each.name.casefold(): each.key for each in links.values()}
    near = difflib.get_close_matches(key.casefold(), folded, n=1)
    return folded[near[0]] if near else None


async def read_fields(read: Read) -> Fields | None:
    """The account's field definitions; None where they cannot be read, or none are shown, which is logged."""
    found: list[Definition] = []
    seen: set[tuple[object, ...]] = set()
    for page in range(1, _MOST_PAGES + 1):
        answer = await read(definitions(page))
        if not isinstance(answer, Answer) or answer.value is None:
            why = answer.error.message if not isinstance(answer, Answer) else "nothing in it"
            log.get_logger().warning(log.NO_PREFLIGHT, why=why)
            return None
        listed = answer.value["custom_field_definitions"]
        new = [each for item in listed if (each := _definition(item)) is not None]
        fresh = [each for each in new if (each.kind, each.key) not in seen]
        found += fresh
        seen.update((each.kind, each.key) for each in fresh)
        match answer.value.get("pagination"):
            case {"total_pages": int(pages)} if page < pages:
                continue
        break
    if not found:  # a token that is shown nothing; where links can be made, something is defined
        log.get_logger().warning(log.NO_PREFLIGHT, why="none are shown")
        return None
    return Fields(found)


def _definition(item: Any) -> Definition | None:
    """A definition of one of the kinds that can be linked, as `{"key", "name", "type", "custom_fieldable_type"}`."""
    match item:
        case {"key": str(key), "type": str(type), "custom_fieldable_type": str(fieldable)} if is_field(key):
            with suppress(InvalidJob):  # a page, a note: nothing that can be linked
                name = item.get("name")
                shown = plain(name) if isinstance(name, str) else key
                return Definition(
                    Kind.parse(fieldable), key, shown, plain(type), Listing.of_table(item.get("custom_object"))
                )
    return None
