"""What the resources of each kind look like in answers.

The keys are the API's. The values besides name, ids and links are made up and the same for each resource; there are as
many as make an answer as large as a real one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from linker.model.target import Kind
from linker.sandbox.account import FIELDABLE_TYPES, Account, Resource
from linker.sandbox.lag import Lag
from linker.sandbox.layouts import Layouts
from linker.sandbox.options import SandboxOptions

Show = Callable[[Resource], Any]

_SITE: Final = "http://sandbox.invalid"
_CREATED: Final = "2019-01-01T00:00:00.000Z"
_DAY: Final = "2019-01-01"
_MOST_LINKERS: Final = 200  # a record that everything links to still has a short answer

_OWNER: Final = {
    "id": "1020675218",
    "name": "Mary Humpty",
    "email": "mary@sandbox.invalid",
    "created_at": _CREATED,
    "updated_at": _CREATED,
}
_STATUS: Final = {"id": "3259216", "name": "New", "position": 1, "complete": False, "color": "#dce7c6"}
_PROSE: Final = 8 * (
    "<p>This resource lives in a sandbox. Link to it, clear it, link again: no one is notified and nothing is lost. "
    "The text is here so that an answer weighs what a real one does.</p>"
)
_TRACKER: Final = [
    {
        "id": str(68217473 + number),
        "name": name,
        "value": value,
        "integration_id": 204584239,
        "service_name": "tracker",
        "created_at": _CREATED,
    }
    for number, (name, value) in enumerate((("id", "10777"), ("key", "SBX-777")))
]

# list items show these if the request names no fields
_SHORT: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.PRODUCT: ("id", "reference_prefix", "name", "product_line", "created_at", "workspace_type", "url"),
    Kind.FEATURE: ("id", "reference_num", "name", "created_at", "url", "resource", "product_id"),
    Kind.EPIC: ("id", "reference_num", "name", "created_at", "url", "resource"),
    Kind.IDEA_ORGANIZATION: ("id", "name", "created_at", "url", "resource"),
    Kind.IDEA: (
        *("id", "reference_num", "name", "created_at", "updated_at", "workflow_status", "description", "url"),
        "resource",
    ),
    Kind.RELEASE: (
        *("id", "reference_num", "name", "start_date", "release_date", "parking_lot", "created_at", "product_id"),
        *("integration_fields", "url", "resource", "owner", "project"),
    ),
}

# where the pages of these kinds are in Aha!, if not at the plural (the vendor's OpenAPI description)
_PAGES: Final[Mapping[Kind, str]] = {
    Kind.GOAL: "strategic_imperatives",
    Kind.IDEA: "ideas/ideas",
    Kind.IDEA_ORGANIZATION: "ideas/idea_organizations",
}

# keys that these kinds lack in the documented answers, unlike most
_LACKING: Final[Mapping[Kind, frozenset[str]]] = {
    Kind.RELEASE: frozenset({"description"}),
    Kind.REQUIREMENT: frozenset({"product_id", "progress", "progress_source", "project"}),
    Kind.IDEA: frozenset({"position", "progress", "progress_source", "project"}),
    Kind.GOAL: frozenset({"workflow_status", "integration_fields", "created_by_user"}),
    Kind.IDEA_ORGANIZATION: frozenset(
        {"position", "product_id", "progress", "progress_source", "project", "workflow_status", "comments_count"}
    ),
}


def _same(value: Any) -> Show:
    return lambda resource: value


def _time(at: float) -> str:
    if not at:
        return _CREATED
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _description(resource: Resource) -> dict[str, Any]:
    return {
        "id": str(resource.id % 999_999_937),
        "body": _PROSE,
        "editor_version": 1,
        "created_at": _CREATED,
        "updated_at": _CREATED,
        "attachments": [],
    }


class Shapes:
    """Shows resources: whole, in a list, or just the fields that a request names."""

    def __init__(self, account: Account, options: SandboxOptions, lag: Lag, layouts: Layouts) -> None:
        self._account = account
        self._lag = lag
        self._layouts = layouts
        self._empty_links = options.empty_links
        self._title_key = options.title_key
        self._id: Callable[[int], str | int] = str if options.ids == "strings" else int
        self._whole: dict[Kind, dict[str, Show]] = {}
        for kind in Kind:
            shape = self._shape(kind)
            if kind in options.hidden:
                del shape["custom_object_links"]
            self._whole[kind] = shape
        self.picked = lru_cache(maxsize=256)(self._picked)

    def whole(self, resource: Resource, fields: str | None = None) -> dict[str, Any]:
        """A resource in the answer to a request for it alone."""
        shape = self._whole[resource.kind] if fields is None else self.picked(resource.kind, fields)
        values = {key: show(resource) for key, show in shape.items()}
        if self._empty_links == "missing" and not values.get("custom_object_links", True):
            del values["custom_object_links"]
        return values

    def item(self, resource: Resource, fields: str | None = None) -> dict[str, Any]:
        """A resource in a list: its short form, with links only if `fields` names them, except for records."""
        if fields is not None or resource.kind is Kind.CUSTOM_OBJECT_RECORD:
            return self.whole(resource, fields)
        short = _SHORT.get(resource.kind)
        shape = self._whole[resource.kind]
        if short is not None:
            return {key: shape[key](resource) for key in short}
        return {key: show(resource) for key, show in shape.items() if key != "custom_object_links"}

    def _picked(self, kind: Kind, fields: str) -> dict[str, Show]:
        shape = self._whole[kind]
        keys = dict.fromkeys(key.strip() for key in fields.split(","))
        if "*" in keys:
            return shape
        return {key: shape[key] for key in keys if key in shape}

    def _shape(self, kind: Kind) -> dict[str, Show]:
        if kind is Kind.PRODUCT:
            return self._product()
        if kind is Kind.CUSTOM_OBJECT_RECORD:
            return self._record()
        path = _PAGES.get(kind, kind.plural)
        shape: dict[str, Show] = {
            "id": lambda resource: str(resource.id),
            "name": lambda resource: resource.name,
            "reference_num": lambda resource: resource.reference,
            "position": _same(1),
            "created_at": _same(_CREATED),
            "updated_at": lambda resource: _time(resource.updated_at),
            "product_id": lambda resource: str(resource.product),
            "progress": _same(None),
            "progress_source": _same("progress_manual"),
            "url": lambda resource: f"{_SITE}/{path}/{resource.reference}",
            "resource": lambda resource: f"{_SITE}/api/v1/{kind.plural}/{resource.reference}",
            "project": lambda resource: self._owner(Kind.PRODUCT, resource.product),
            "workflow_status": _same(_STATUS),
            "description": _description,
            "comments_count": _same(1),
            "integration_fields": _same(_TRACKER),
            "custom_fields": _same([]),
            "custom_object_links": self._links,
            "created_by_user": _same(_OWNER),
        }
        lacking = _LACKING.get(kind, ())
        return {key: show for key, show in shape.items() if key not in lacking} | self._particulars(kind)

    def _particulars(self, kind: Kind) -> dict[str, Show]:
        dates = {"start_date": _same(_DAY), "due_date": _same(_DAY)}
        tags: dict[str, Show] = {"tags": _same([]), "full_tags": _same([])}
        tagged: dict[str, Show] = tags | {"attachments": _same([])}
        release: dict[str, Show] = {"release": lambda resource: self._owner(Kind.RELEASE, resource.parent)}
        match kind:
            case Kind.RELEASE:
                marks = ("released", "parking_lot", "master_release")
                days = ("start_date", "release_date", "external_release_date", "development_started_on")
                return (
                    {mark: _same(False) for mark in marks}
                    | {day: _same(_DAY) for day in days}
                    | {"position": _same(None), "end_date": _same(None), "theme": _description, "owner": _same(_OWNER)}
                )
            case Kind.FEATURE:
                return dates | tagged | release | self._family() | {"score": _same(3), "feature_links": _same([])}
            case Kind.EPIC:
                return dates | tagged | release | {"score": _same(3), "epic_links": _same([])}
            case Kind.REQUIREMENT:
                feature: dict[str, Show] = {"feature": lambda resource: self._owner(Kind.FEATURE, resource.parent)}
                return tagged | feature | {"assigned_to_user": _same(_OWNER)}
            case Kind.IDEA:
                return tags | {"votes": _same(1), "visibility": _same("Visible to all"), "categories": _same([])}
            case Kind.IDEA_ORGANIZATION:
                return {"endorsements_count": _same(2), "email_domains": _same(""), "revenue": _same(None)}
            case Kind.INITIATIVE:
                return {"effort": _same(30), "value": _same(50), "color": _same("#bada55"), "goals": _same([])}
            case _:
                figures: dict[str, Show] = {"progress": _same(0), "effort": _same(10), "value": _same(70)}
                return figures | {"color": _same("#bada55"), "features": _same([])}

    def _family(self) -> dict[str, Show]:
        account = self._account
        return {
            "assigned_to_user": _same(_OWNER),
            "workflow_kind": _same({"id": "1049377090", "name": "New"}),
            "requirements": lambda resource: [
                self.item(requirement) for requirement in account.listed(Kind.REQUIREMENT, resource)[:_MOST_LINKERS]
            ],
            "goals": _same([]),
            "score_facts": _same([{"id": str(number), "value": 1, "name": f"Fact {number}"} for number in range(8)]),
        }

    def _product(self) -> dict[str, Show]:
        workflow = {"id": 717623509, "name": "Sandbox workflow"}
        flows = ("release", "requirement", "feature", "initiative", "epic", "idea", "strategic_imperative")
        return {
            "id": lambda resource: str(resource.id),
            "reference_prefix": lambda resource: resource.reference,
            "name": lambda resource: resource.name,
            "product_line": lambda resource: resource.reference.startswith("PL"),
            "product_line_type": _same(None),
            "created_at": _same(_CREATED),
            "updated_at": lambda resource: _time(resource.updated_at),
            "description": _description,
            "url": lambda resource: f"{_SITE}/projects/{resource.reference}",
            "resource": lambda resource: f"{_SITE}/projects/{resource.reference}",
            "children": _same([]),
            "custom_fields": _same([]),
            "custom_object_links": self._links,
            "screen_definition_ids": self._layouts.ids_of_product,
            "screen_definitions": self._layouts.of_product,
            "has_ideas": _same(True),
            "has_epics": _same(True),
            "workspace_type": _same("product_workspace"),
        } | {f"{flow}_workflow": _same(workflow | {"workflow_type": flow}) for flow in flows}

    def _record(self) -> dict[str, Show]:
        return {
            "id": lambda resource: str(resource.id),
            "product_id": lambda resource: str(resource.product),
            "key": lambda resource: resource.table,
            "created_at": _same(_CREATED),
            "updated_at": lambda resource: _time(resource.updated_at),
            "custom_fields": lambda resource: [
                {
                    "id": 262515157 + number,
                    "key": key,
                    "name": "Name" if key == self._title_key else key.replace("_", " ").capitalize(),
                    "updatedAt": "2019-01-01T00:00:00Z",
                    "value": value,
                    "type": "string",
                }
                for number, (key, value) in enumerate([(self._title_key, resource.name), *resource.values.items()])
            ],
            "custom_object_links": self._links,
            "linked_records": self._linked_records,
            "created_by_user": _same(_OWNER),
        }

    def _links(self, resource: Resource) -> list[dict[str, Any]] | None:
        links = self._lag.read(resource)
        shows_all = self._empty_links == "fields" or resource.kind is Kind.CUSTOM_OBJECT_RECORD
        if not links and not shows_all:
            return None if self._empty_links == "null" else []
        return [
            {
                "key": key,
                "name": definition.name,
                "record_type": "CustomObjectRecord",
                "record_ids": list(map(self._id, links.get(key, ()))),
            }
            for key, definition in self._account.link_fields(resource.kind).items()
            if shows_all or key in links
        ]

    def _linked_records(self, resource: Resource) -> list[dict[str, Any]]:
        linkers = itertools.islice(self._account.linkers(resource.id), _MOST_LINKERS)
        return [
            {
                "key": key,
                "name": self._account.link_fields(linker.kind)[key].name,
                "record_type": FIELDABLE_TYPES[linker.kind],
                "record_id": linker.id,
            }
            for linker, key in sorted(linkers, key=lambda linker: (linker[1], linker[0].id))
        ]

    def _owner(self, kind: Kind, id: int) -> dict[str, Any] | None:
        owner = self._account.by_id(kind, id)
        return self.item(owner, _OWNER_FIELDS[kind]) if owner is not None else None


_OWNER_FIELDS: Final = {
    Kind.PRODUCT: "id,reference_prefix,name,product_line,created_at,workspace_type,url",
    Kind.RELEASE: "id,reference_num,name,start_date,release_date,parking_lot,created_at,product_id,url,resource,owner",
    Kind.FEATURE: "id,reference_num,name,created_at,url,resource,product_id",
}
