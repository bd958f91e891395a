"""The state of an Aha! account, as far as links go: resources, custom tables, fields, and who links to what.

Nothing here knows HTTP. Ids are integers inside, as in Aha!'s database, and strings of digits in arguments and results.
"""

from __future__ import annotations

import bisect
import itertools
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from linker.model.target import Kind

LINK_MANY: Final = "CustomFieldDefinitions::LinkMany"
LINK_ONE: Final = "CustomFieldDefinitions::LinkMasterDetail"

FIELDABLE_TYPES: Final[Mapping[Kind, str]] = {
    Kind.PRODUCT: "Project",
    Kind.RELEASE: "Release",
    Kind.FEATURE: "Feature",
    Kind.REQUIREMENT: "Requirement",
    Kind.IDEA: "Ideas::Idea",
    Kind.INITIATIVE: "Initiative",
    Kind.GOAL: "StrategicImperative",
    Kind.CUSTOM_OBJECT_RECORD: "CustomObjectRecord",
    Kind.EPIC: "Epic",
    Kind.IDEA_ORGANIZATION: "Ideas::IdeaOrganization",  # not published: formed as the documented Ideas::IdeaPortal is
}

_PARENTS: Final = {Kind.FEATURE: Kind.RELEASE, Kind.EPIC: Kind.RELEASE, Kind.REQUIREMENT: Kind.FEATURE}
_LONGEST_ID: Final = 19  # the digits of the largest id in a database's 64-bit column


@dataclass(frozen=True, slots=True)
class Definition:
    """A custom field. If its type is a link, `table` is the custom table that it links to."""

    fieldable_type: str
    key: str
    name: str
    id: int
    type: str = LINK_MANY
    table: str = ""


@dataclass(slots=True, eq=False)
class Resource:
    """One target. `parent` is a feature's or an epic's release or a requirement's feature."""

    kind: Kind
    id: int
    reference: str
    name: str
    product: int
    parent: int = 0
    table: str = ""
    links: dict[str, tuple[int, ...]] = field(default_factory=dict)
    updated_at: float = 0.0
    values: Mapping[str, str] = field(default_factory=dict)
    """A record's own fields besides its name, by key."""
    changed: int = 0
    """The number of its last change among all changes of the account; 0 if it was never changed."""


class Account:
    """What one account holds. Tests use it to write as somebody else would, and to see what answers hide."""

    def __init__(self) -> None:
        self.tables: dict[str, str] = {}
        self._next_record = 7_900_000_000_000_000_001
        self._changes = itertools.count(1)
        self.definitions: list[Definition] = []
        self._link_fields: dict[Kind, dict[str, Definition]] = {kind: {} for kind in Kind}
        self._by_id: dict[Kind, dict[int, Resource]] = {kind: {} for kind in Kind}
        self._by_reference: dict[Kind, dict[str, Resource]] = {kind: {} for kind in Kind}
        self._listed: defaultdict[tuple[object, ...], list[Resource]] = defaultdict(list)
        self._linkers: defaultdict[int, dict[tuple[Resource, str], None]] = defaultdict(dict)

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(found)} {kind.plural}" for kind, found in self._by_id.items() if found)
        return f"<Account {counts}>"

    def define(self, definition: Definition) -> None:
        """Add a custom field."""
        self.definitions.append(definition)
        if definition.type in (LINK_MANY, LINK_ONE) and definition.table:
            for kind, fieldable_type in FIELDABLE_TYPES.items():
                if fieldable_type == definition.fieldable_type:
                    self._link_fields[kind][definition.key] = definition

    def add(self, resource: Resource) -> None:
        """Add a resource and index its links. The records that it links to may be added later."""
        kind, id = resource.kind, resource.id
        self._by_id[kind][id] = resource
        if resource.reference:
            self._by_reference[kind][resource.reference] = resource
        self._insert((kind,), resource)
        self._insert((kind, Kind.PRODUCT, resource.product, resource.table), resource)
        if resource.parent:
            self._insert((kind, _PARENTS[kind], resource.parent, ""), resource)
        for key, ids in resource.links.items():
            for linked in ids:
                self._linkers[linked][resource, key] = None

    def _insert(self, scope: tuple[object, ...], resource: Resource) -> None:
        listed = self._listed[scope]
        if not listed or listed[-1].id < resource.id:
            listed.append(resource)
        else:
            bisect.insort(listed, resource, key=lambda resource: resource.id)

    def remove(self, kind: Kind, id: str | int) -> Resource:
        """Remove and return a resource, as if somebody else deleted it; `add` puts it back.

        A record is also removed from the fields that link to it, and `add` does not put it back there.

        Raises:
            LookupError: there is no such target.
        """
        resource = self._found(kind, id)
        del self._by_id[kind][resource.id]
        self._by_reference[kind].pop(resource.reference, None)
        for listed in self._listed.values():
            if resource in listed:
                listed.remove(resource)
        for key, ids in resource.links.items():
            for linked in ids:
                self._linkers[linked].pop((resource, key), None)
        for holder, key in tuple(self.linkers(resource.id)) if kind is Kind.CUSTOM_OBJECT_RECORD else ():
            self.apply(holder, {key: tuple(linked for linked in holder.links[key] if linked != resource.id)})
        return resource

    def create_record(
        self, product: Resource, table: str, name: str, values: Mapping[str, str] | None = None
    ) -> Resource:
        """Add a record to a custom table, with the next free id."""
        record = Resource(
            Kind.CUSTOM_OBJECT_RECORD, self._next_record, "", name, product.id, table=table, values=values or {}
        )
        record.updated_at = time.time()
        self._next_record += 1
        self.add(record)
        return record

    def link_fields(self, kind: Kind) -> Mapping[str, Definition]:
        """The kind's link fields by key."""
        return self._link_fields[kind]

    def find(self, kind: Kind, id: str) -> Resource | None:
        """The resource with a numeric id or a reference number. Records have a numeric id only."""
        if id.isascii() and id.isdigit():
            return self._by_id[kind].get(int(id)) if len(id) <= _LONGEST_ID else None
        return self._by_reference[kind].get(id.upper())

    def by_id(self, kind: Kind, id: int) -> Resource | None:
        """The resource of a kind with this numeric id."""
        return self._by_id[kind].get(id)

    def listed(self, kind: Kind, within: Resource | None = None, table: str = "") -> Sequence[Resource]:
        """All resources of a kind, or those of a product (and table), release or feature, ordered by id."""
        scope = (kind,) if within is None else (kind, within.kind, within.id, table)
        return self._listed.get(scope, [])

    def apply(self, resource: Resource, links: Mapping[str, tuple[int, ...]], name: str | None = None) -> None:
        """Replace the list of each given field. The caller has checked the ids."""
        for key, ids in links.items():
            current = resource.links.get(key, ())
            for removed in set(current).difference(ids):
                del self._linkers[removed][resource, key]
            for linked in set(ids).difference(current):
                self._linkers[linked][resource, key] = None
            if ids:
                resource.links[key] = ids
            else:
                resource.links.pop(key, None)
        if name is not None:
            resource.name = name
        resource.updated_at = time.time()
        resource.changed = next(self._changes)

    def linkers(self, record: int) -> Iterator[tuple[Resource, str]]:
        """The resources that link to a record, each with the key of the field."""
        return iter(self._linkers.get(record, ()))

    def links(self, kind: Kind, id: str | int) -> defaultdict[str, list[str]]:
        """What a target links to, field by field, whether answers show it or not.

        Fields without links are not in it, but `links(kind, id)["customers"]` is `[]`.

        Raises:
            LookupError: there is no such target.
        """
        links: defaultdict[str, list[str]] = defaultdict(list)
        for key, ids in self._found(kind, id).links.items():
            links[key] = [str(linked) for linked in ids]
        return links

    def all_links(self) -> dict[tuple[Kind, str], dict[str, list[str]]]:
        """The links of every target that has any, by kind and reference number (a record: its id)."""
        return {
            (kind, resource.reference or str(resource.id)): {
                key: [str(linked) for linked in ids] for key, ids in resource.links.items()
            }
            for kind, found in self._by_id.items()
            for resource in found.values()
            if resource.links
        }

    def set_links(self, kind: Kind, id: str | int, field: str, ids: Iterable[str | int]) -> None:
        """Replace one field's list as somebody else would, without a request or a limit.

        Raises:
            LookupError: there is no such target, field or record.
        """
        resource = self._found(kind, id)
        if field not in self._link_fields[kind]:
            raise LookupError(f"a {kind} has no link field {field!r}")
        wanted = tuple(sorted({int(linked) for linked in ids}))
        for linked in wanted:
            self._found(Kind.CUSTOM_OBJECT_RECORD, linked)
        self.apply(resource, {field: wanted})

    def _found(self, kind: Kind, id: str | int) -> Resource:
        resource = self.find(kind, str(id))
        if resource is None:
            raise LookupError(f"there is no {kind} {id}")
        return resource
