"""From a request to its answer: which paths there are, and what they do to the account."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, unquote

import orjson

from linker.model.target import Kind
from linker.sandbox.account import Account, Definition, Resource
from linker.sandbox.bodies import Refused, attributes_of, fields_of, links_of
from linker.sandbox.filters import filtered
from linker.sandbox.lag import Lag
from linker.sandbox.layouts import Layouts
from linker.sandbox.options import SandboxOptions
from linker.sandbox.shapes import Shapes
from linker.sandbox.stats import Stats

JSON: Final = "application/json; charset=utf-8"
HTML: Final = "text/html; charset=utf-8"

_PREFIX: Final = "/api/v1/"
_KINDS: Final[Mapping[str, Kind]] = {kind.plural: kind for kind in Kind}
_MOST_PER_PAGE: Final = 200
_PER_PAGE: Final = 30

_OF_THE_ACCOUNT: Final = frozenset({Kind.PRODUCT, Kind.IDEA_ORGANIZATION})
_ACCOUNT_WIDE: Final = _OF_THE_ACCOUNT | {Kind.FEATURE, Kind.EPIC, Kind.IDEA, Kind.INITIATIVE, Kind.GOAL}
_WITHIN: Final[Mapping[Kind, frozenset[Kind]]] = {
    Kind.PRODUCT: _ACCOUNT_WIDE - _OF_THE_ACCOUNT | {Kind.RELEASE},
    Kind.RELEASE: frozenset({Kind.FEATURE, Kind.EPIC}),
    Kind.FEATURE: frozenset({Kind.REQUIREMENT}),
}

# Aha!'s error bodies differ from status to status, and so do these.
_ERROR_BODIES: Final[Mapping[int, Callable[[str], Any]]] = {
    403: lambda message: {"message": message},
    408: lambda message: {"message": message},
    415: lambda message: {"message": message},
    422: lambda message: {"errors": {"message": message}},
}
_PROXY_ERRORS: Final = frozenset({502, 503, 504})


class Answer(NamedTuple):
    """A response: its status, body and content type."""

    status: int
    body: bytes
    content_type: str = JSON


def refusal(status: int, message: str) -> Answer:
    """An error as the API answers it, or the proxy in front of it."""
    if status in _PROXY_ERRORS:
        return Answer(status, _page(f"{status} {message}"), HTML)
    shape = _ERROR_BODIES.get(status)
    return Answer(status, orjson.dumps({"error": message} if shape is None else shape(message)))


def _page(title: str) -> bytes:
    return f"<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>".encode()


LOGIN_PAGE: Final = Answer(200, _page("Log in"), HTML)
_FORBIDDEN: Final = refusal(403, "You do not have access to this resource.")
_NO_RECORD: Final = refusal(404, "Record not found.")
_NO_ROUTE: Final = Answer(404, _page("The page you were looking for does not exist"), HTML)


@lru_cache(maxsize=1024)
def _parameters(query: str) -> Mapping[str, str]:
    return {key: values[-1] for key, values in parse_qs(query, keep_blank_values=True).items()}


def _whole_number(text: str | None, default: int) -> int:
    number = int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else 0
    return number or default


class Routes:
    """Answers requests from an account. No limits, no faults, no HTTP.

    It reads resources, links them, and creates and deletes records. Everything else that the API can do is a missing
    route.
    """

    def __init__(self, account: Account, options: SandboxOptions, stats: Stats) -> None:
        self._stats = stats
        self._account = account
        self._options = options
        self._lag = Lag(options)
        self._layouts = Layouts(account, options)
        self._shapes = Shapes(account, options, self._lag, self._layouts)

    def target(self, path: str) -> Resource | None:
        """The resource that a path names; None if it names none or a list."""
        parts = path.removeprefix(_PREFIX).split("/")
        kind = _KINDS.get(parts[0])
        return self._account.find(kind, unquote(parts[1])) if kind is not None and len(parts) == 2 else None

    def what(self, path: str) -> tuple[Kind | None, bool]:
        """The kind that a path is about, and whether it lists them."""
        parts = path.removeprefix(_PREFIX).split("/")
        if len(parts) == 2:
            return _KINDS.get(parts[0]), False
        if parts[-1] == "records" and len(parts) == 5:
            return Kind.CUSTOM_OBJECT_RECORD, True
        return _KINDS.get(parts[-1]), True

    def answer(self, method: str, path: str, query: str, content_type: str = "", body: bytes = b"") -> Answer:
        """Do what the request asks, and return the answer."""
        if not path.startswith(_PREFIX):
            return _NO_ROUTE
        parts = path[len(_PREFIX) :].split("/")
        kind = _KINDS.get(parts[0])
        if kind is not None and len(parts) == 2 and method in ("GET", "PUT"):
            resource = self._account.find(kind, unquote(parts[1]))
            if resource is None:
                return _NO_RECORD
            try:
                if method == "PUT":
                    resource = self._put(resource, content_type, body)
            except Refused as refused:
                return refusal(refused.status, refused.message)
            fields = self._fields(_parameters(query)) if query else None
            return Answer(200, orjson.dumps({kind.value: self._shapes.whole(resource, fields)}))
        if method == "DELETE":
            return self._delete(parts)
        if method == "POST":
            return self._create(parts, content_type, body)
        if method != "GET":
            return _NO_ROUTE
        return self._read(parts, kind, _parameters(query))

    def _put(self, resource: Resource, content_type: str, body: bytes) -> Resource:
        attributes = attributes_of(resource.kind, content_type, body)
        links: Mapping[str, tuple[int, ...]] = {}
        if "custom_object_links" in attributes:
            links = links_of(self._account, resource, attributes["custom_object_links"], self._options)
        name = attributes.get("name")
        before = dict(resource.links)
        self._account.apply(resource, links, name if isinstance(name, str) else None)
        return self._lag.put(resource, before)

    def _read(self, parts: list[str], kind: Kind | None, parameters: Mapping[str, str]) -> Answer:
        match parts:
            case ["me"]:
                return Answer(200, orjson.dumps({"user": self._me()}))
            case ["custom_field_definitions"] if self._options.definitions == "forbidden":
                return _FORBIDDEN
            case ["screen_definitions"] if self._options.layouts == "forbidden":
                return _FORBIDDEN
            case ["screen_definitions"]:
                return Answer(200, orjson.dumps({"screen_definitions": self._layouts.all()}))
            case ["custom_field_definitions"]:
                return Answer(200, orjson.dumps({"custom_field_definitions": self._definitions()}))
            case [_] if kind in _ACCOUNT_WIDE:
                return self._list(kind, self._account.listed(kind), parameters)
            case [_, id, plural] if kind is not None and _KINDS.get(plural) in _WITHIN.get(kind, ()):
                return self._list_within(kind, id, _KINDS[plural], parameters)
            case ["products", id, "custom_objects", table, "records"]:
                return self._list_within(Kind.PRODUCT, id, Kind.CUSTOM_OBJECT_RECORD, parameters, unquote(table))
        return _NO_ROUTE

    def _list_within(self, owner: Kind, id: str, kind: Kind, parameters: Mapping[str, str], table: str = "") -> Answer:
        within = self._account.find(owner, unquote(id))
        if within is None or (kind is Kind.CUSTOM_OBJECT_RECORD and table not in self._account.tables):
            return _NO_RECORD
        return self._list(kind, self._account.listed(kind, within, table), parameters)

    def _list(self, kind: Kind, found: Sequence[Resource], parameters: Mapping[str, str]) -> Answer:
        page = _whole_number(parameters.get("page"), 1)
        per_page = min(_whole_number(parameters.get("per_page"), _PER_PAGE), _MOST_PER_PAGE)
        if self._options.largest_page is not None and per_page > self._options.largest_page:
            return refusal(504, "Gateway Time-out")
        try:
            found = self._ordered(filtered(kind, found, parameters))
        except Refused as refused:
            return refusal(refused.status, refused.message)
        fields = self._fields(parameters)
        items = [self._shapes.item(resource, fields) for resource in found[(page - 1) * per_page : page * per_page]]
        if kind in self._options.lists_without_links:
            for item in items:
                item.pop("custom_object_links", None)
        total = len(found) + {"too_small": -per_page, "too_large": per_page}.get(self._options.list_totals, 0)
        total = max(0, total)
        pagination = {"total_records": total, "total_pages": math.ceil(total / per_page), "current_page": page}
        value = {kind.plural: items}
        if self._options.list_totals != "missing":
            value["pagination"] = pagination  # type: ignore[assignment]
        return Answer(200, orjson.dumps(value))

    def _ordered(self, found: Sequence[Resource]) -> Sequence[Resource]:
        match self._options.list_order:
            case "newest_first":
                return found[::-1]
            case "last_changed_first":
                return sorted(found, key=lambda resource: resource.changed, reverse=True)
        return found

    def _fields(self, parameters: Mapping[str, str]) -> str | None:
        return None if self._options.ignore_fields else parameters.get("fields") or None

    def _create(self, parts: list[str], content_type: str, body: bytes) -> Answer:
        match parts:
            case ["products", id, "custom_objects", table, "records"]:
                product = self._account.find(Kind.PRODUCT, unquote(id))
                if product is None or unquote(table) not in self._account.tables:
                    return _NO_RECORD
                try:
                    name, values = fields_of(content_type, body, self._options.title_key)
                except Refused as refused:
                    return refusal(refused.status, refused.message)
                record = self._account.create_record(product, unquote(table), name, values)
                self._stats.created[record.table] += 1
                return Answer(200, orjson.dumps({record.kind.value: self._shapes.whole(record)}))
        return _NO_ROUTE

    def _delete(self, parts: list[str]) -> Answer:
        match parts:
            case ["custom_object_records", id]:
                record = self._account.find(Kind.CUSTOM_OBJECT_RECORD, unquote(id))
                if record is None:
                    return _NO_RECORD
                self._account.remove(record.kind, record.id)
                return Answer(204, b"")
        return _NO_ROUTE

    def _definitions(self) -> list[dict[str, Any]]:
        return [
            {
                "name": definition.name,
                "id": str(definition.id),
                "key": definition.key,
                "type": definition.type,
                "custom_fieldable_type": definition.fieldable_type,
                "internal_name": None,
                **self._table_of(definition),
            }
            for definition in self._account.definitions
        ]

    def _table_of(self, definition: Definition) -> dict[str, Any]:
        """The table that a field links to, which no documented answer shows."""
        if self._options.definitions != "with_tables" or not definition.table:
            return {}
        records = self._account.listed(Kind.CUSTOM_OBJECT_RECORD)
        product = next(record.product for record in records if record.table == definition.table)
        return {"custom_object": {"key": definition.table, "product_id": str(product)}}

    def _me(self) -> dict[str, Any]:
        products = self._account.listed(Kind.PRODUCT)
        return {
            "id": "1020675218",
            "name": "Mary Humpty",
            "email": "mary@sandbox.invalid",
            "timezone": "Etc/UTC",
            "created_at": "2019-01-01T00:00:00.000Z",
            "updated_at": "2019-01-01T00:00:00.000Z",
            "accessed_at": "2019-01-01T00:00:00.000Z",
            "product_roles": [
                {"role": 20, "role_description": "Owner", "product_id": str(product.id), "product_name": product.name}
                for product in products
            ],
            "preferences": {"current_product_id": products[0].id},
            "accounts": [
                {
                    "account": {
                        "name": "Sandbox",
                        "domain": "sandbox",
                        "logo": None,
                        "alt_logo": None,
                        "enabled": True,
                    }
                }
            ],
        }
