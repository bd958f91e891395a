"""The requests that linker sends: one target, field definitions, records, and their creation and deletion.

Paths are those of the vendor's OpenAPI description. Ids and keys in them were checked, so they cannot change a path.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any, ClassVar, Final, Literal, TypeAlias
from urllib.parse import quote

import msgspec
import orjson

from linker.api.answers import (
    Answer,
    HttpAnswer,
    Listed,
    paging,
    understand_deletion,
    understand_object,
    understand_target,
)
from linker.api.lists import PAGE_SIZE, Listing, PageRequest, check_page, mismatch_of_pages
from linker.api.mismatch import Mismatch
from linker.errors import BadAnswer
from linker.model.ids import DIGITS, exact_id, sorted_ids
from linker.model.job import Links
from linker.model.target import Kind, Target
from linker.text import quoted

_RECORD: Final = "custom_object_record"


class ReadRequest(msgspec.Struct, frozen=True):
    """A GET whose answer the caller reads: a JSON object with one object under `key`, or a list if `many`.

    `number` is the page of the list, with `per_page` items; 0 if it is not read by pages. `holds` is what the object,
    or each object of the list, has to say of itself if it says anything: `{"id": "640362830"}`. `thing` names what is
    read, for people; empty if `what` does.
    """

    route: str
    key: str
    what: str
    many: bool = True
    number: int = 0
    per_page: int = PAGE_SIZE
    holds: Mapping[str, str] = {}
    thing: str = ""
    method: ClassVar[Literal["GET"]] = "GET"
    body: ClassVar[None] = None
    put: ClassVar[None] = None

    def __str__(self) -> str:
        return f"GET {self.what}" + (f", page {self.number}" if self.number else "")

    @property
    def subject(self) -> str:
        """What is read, for people."""
        return self.thing or self.what

    @property
    def path(self) -> str:
        """The request's path and query."""
        if not self.number:
            return self.route
        joint = "&" if "?" in self.route else "?"
        return f"{self.route}{joint}per_page={self.per_page}&page={self.number}"

    def halves(self) -> tuple[ReadRequest, ReadRequest]:
        """The requests of two pages of half the size with the same items."""
        first, half = 2 * self.number - 1, self.per_page // 2
        page = partial(msgspec.structs.replace, self, per_page=half)
        return page(number=first), page(number=first + 1)

    def has_more(self, answer: Answer) -> bool:
        """Whether the list has a further page, by the answer to this one."""
        match answer.value:
            case {"pagination": {"total_pages": int(pages)}}:
                return pages > self.number
        return bool((answer.value or {}).get(self.key))

    def joined(self, first: Answer, second: Answer | None) -> Answer:
        """The answer to this request, from those to its halves; `second` is None if the list ends before."""
        value, rest = dict(first.value or {}), (second.value if second is not None else None) or {}
        value[self.key] = [*value.get(self.key, ()), *rest.get(self.key, ())]
        match value.get("pagination"):
            case {"total_pages": int(pages), **others}:
                value["pagination"] = {**others, "total_pages": math.ceil(pages / 2)}
        return msgspec.structs.replace(first, value=value)

    def understand(self, reply: HttpAnswer) -> Answer:
        """Parse the reply. Raises `BadAnswer` if it is not from Aha!."""
        return understand_object(reply, self.key, many=self.many)

    def mismatch(self, answer: Answer) -> Mismatch | None:
        """How the answer is none to this request; None if it is one."""
        if answer.value is None:
            return None
        if self.number and (wrong_page := mismatch_of_pages(str(self), self.number, *paging(answer.value))):
            return wrong_page
        for item in answer.value[self.key] if self.many else (answer.value[self.key],):
            for key, asked in self.holds.items():
                if (value := item.get(key)) is not None and str(value) != asked:
                    return Mismatch(self.route, f"its {key} is {quoted(value)}, not {asked}", may_be_so=False)
        return None


PRODUCTS: Final = ReadRequest(
    "/api/v1/products?fields=id,reference_prefix",
    "products",
    "list of products",
    number=1,
    thing="the list of products",
)
ME: Final = ReadRequest("/api/v1/me", "user", "whose token it is", many=False, thing="the user of the token")


def definitions(page: int) -> ReadRequest:
    """A page of the account's custom field definitions."""
    what = "custom_field_definitions"
    return ReadRequest(f"/api/v1/{what}", what, "field definitions", number=page, thing="the list of custom fields")


def records(table: Listing, page: int, *, whole: bool = False) -> ReadRequest:
    """A page of a custom table: id, name and fields of its records, or `whole` records.

    Raises `Stopped` after 10,000 pages.
    """
    check_page(table, page)
    fields = "" if whole else "?fields=id,key,name,custom_fields"
    what = f"records of {table.place}"
    holds = {"key": table.table}
    return ReadRequest(f"{table.path}{fields}", f"{_RECORD}s", what, number=page, holds=holds, thing=_table(table))


def records_named(table: Listing, name: str) -> ReadRequest:
    """The records of a custom table that a search for a name finds, as far as they fit on a page.

    The vendor describes the parameter `q` for its lists; an account may ignore it.
    """
    route = f"{table.path}?fields=id,key,name,custom_fields&q={quote(name, safe='')}"
    what = f"records of {table.place} by name"
    return ReadRequest(route, f"{_RECORD}s", what, number=1, holds={"key": table.table}, thing=_table(table))


def record(id: str) -> ReadRequest:
    """One record, with its table and that table's product. Raises `InvalidJob` if the id is not a record's."""
    id = exact_id(id)
    return ReadRequest(
        f"/api/v1/custom_object_records/{id}?fields=id,key,product_id",
        _RECORD,
        f"record {id}",
        many=False,
        holds={"id": id},
    )


LAYOUTS: Final = ReadRequest(
    "/api/v1/screen_definitions", "screen_definitions", "list of layouts", thing="the list of layouts"
)


def layouts_of(product: str) -> ReadRequest:
    """A product with its layouts (`screen_definitions`)."""
    path = f"/api/v1/products/{product}?fields=id,screen_definitions"
    return ReadRequest(path, "product", f"layouts of {product}", many=False, thing=f"product {product}")


def record_with_linkers(id: str) -> ReadRequest:
    """One whole record, with what links to it. Raises `InvalidJob` if the id is not a record's."""
    id = exact_id(id)
    path = f"/api/v1/custom_object_records/{id}"
    return ReadRequest(path, _RECORD, f"record {id}", many=False, holds={"id": id})


def linked_in(listing: Listing) -> ReadRequest:
    """The first page of a list, with its targets' links."""
    route = f"{listing.path}?fields=custom_object_links,id"
    thing = f"the list of {listing.words}"
    return ReadRequest(route, listing.kind.plural, f"list of {listing}", number=1, thing=thing)


def _table(table: Listing) -> str:
    return f"table {table.place}"


class Create(msgspec.Struct, frozen=True):
    """Creates a record in a custom table. Sent twice, it creates two."""

    table: Listing
    fields: Mapping[str, str]
    method: ClassVar[Literal["POST"]] = "POST"

    def __str__(self) -> str:
        return f"POST record of {self.table.place}"

    @property
    def subject(self) -> str:
        """What is changed, for people."""
        return _table(self.table)

    @property
    def path(self) -> str:
        """`/api/v1/products/PRJ1/custom_objects/customers/records`."""
        return self.table.path

    @property
    def body(self) -> bytes:
        """`{"custom_object_record":{"custom_fields":{"name":"Acme Corp"}}}` (the vendor's OpenAPI description)."""
        return orjson.dumps({_RECORD: {"custom_fields": self.fields}})

    def understand(self, reply: HttpAnswer) -> Answer:
        """Parse the reply. Raises `BadAnswer` if it is not from Aha!."""
        return understand_object(reply, _RECORD, many=False)

    def mismatch(self, answer: Answer) -> Mismatch | None:
        """How the answer is none to this request; None, because `records/create.py` compares the record's name."""


def _number(id: str) -> orjson.Fragment | str:
    """The id as a JSON number of any length; orjson itself writes no integer above 64 bits."""
    return orjson.Fragment(id) if DIGITS.fullmatch(id) else id


class Delete(msgspec.Struct, frozen=True):
    """Deletes a record. Sent twice, the second is answered 404.

    Raises:
        InvalidJob: the id is not a record's.
    """

    id: str
    method: ClassVar[Literal["DELETE"]] = "DELETE"
    body: ClassVar[None] = None

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "id", exact_id(self.id))

    def __str__(self) -> str:
        return f"DELETE record {self.id}"

    @property
    def subject(self) -> str:
        """What is deleted, for people."""
        return f"record {self.id}"

    @property
    def path(self) -> str:
        """`/api/v1/custom_object_records/640362830` (the vendor's documents)."""
        return f"/api/v1/custom_object_records/{self.id}"

    def understand(self, reply: HttpAnswer) -> Answer:
        """Parse the reply. Raises `BadAnswer` if it is not from Aha!."""
        return understand_deletion(reply)

    def mismatch(self, answer: Answer) -> Mismatch | None:
        """How the answer is none to this request; None, because the answer to a DELETE is empty."""


_PATHS: Final[Mapping[Kind, tuple[str, str]]] = {
    kind: (
        f"/api/v1/{kind.plural}/",
        f"?fields=custom_object_links,{'reference_prefix' if kind is Kind.PRODUCT else 'reference_num'},id",
    )
    for kind in Kind
}
"""What stands before and after the id of a target in its path."""


class Request(msgspec.Struct, frozen=True, gc=False):
    """A GET of one target, or a PUT of the links in `put`.

    `clears_with_blank`: a list is cleared by `[""]`. By a public client of 2020, an account took that and ignored `[]`.
    `names` are ids and reference numbers by which answers may name the target, besides the one of `target`. `may_move`:
    the caller finds out whether a record that answers by another name is the target, moved.
    """

    target: Target
    put: Links | None = None
    clears_with_blank: bool = False
    names: frozenset[str] = frozenset()
    may_move: bool = False

    @property
    def method(self) -> Literal["GET", "PUT"]:
        """The request's HTTP method."""
        return "GET" if self.put is None else "PUT"

    @property
    def path(self) -> str:
        """`/api/v1/features/PRJ1-1?fields=…`; an id cannot change the path."""
        target = self.target
        folder, slim = _PATHS[target.kind]
        return f"{folder}{target.id}{slim}"

    @property
    def body(self) -> bytes | None:
        """`{"feature":{"custom_object_links":{"customers":["640362830"]}}}` (the API document's own form).

        Links from a record to records are numbers there: `[136661093]`.
        """
        if self.put is None:
            return None
        links: dict[str, list[Any]] = {
            field: sorted_ids(ids) if len(ids) > 1 else list(ids) for field, ids in self.put.items()
        }
        if self.target.kind is Kind.CUSTOM_OBJECT_RECORD:
            links = {field: [_number(id) for id in ids] for field, ids in links.items()}
        if self.clears_with_blank:
            links = {field: ids or [""] for field, ids in links.items()}
        return orjson.dumps({str(self.target.kind): {"custom_object_links": links}})

    def __str__(self) -> str:
        fields = f" {', '.join(self.put)}" if self.put else ""
        return f"{self.method} {self.target}{fields}"

    @property
    def subject(self) -> str:
        """What is read or written, for people."""
        return str(self.target)

    def understand(self, reply: HttpAnswer) -> Answer:
        """Parse the reply. Raises `BadAnswer`, with the status of the reply, if it is not from Aha!."""
        try:
            return understand_target(reply, self.target.kind, self.target.id, may_be_silent=self.put is not None)
        except BadAnswer as error:
            error.status = reply.status
            raise

    def mismatch(self, answer: Answer) -> Mismatch | None:
        """How the answer is none to this request; None if it is one, or if it names no target."""
        if answer.target.reference != self.target.id and is_other(answer.target, {self.target.id} | self.names):
            why = f"it is about {self.target.kind} {answer.target.reference or answer.target.id}"
            return Mismatch(str(self), why, may_be_so=self.may_move)
        return None


def is_other(shown: Listed, names: Collection[str]) -> bool:
    """Whether an answer shows another target than the one with these ids and reference numbers."""
    if shown.id in names or shown.reference in names:
        return False
    return any((shown.id if name.isdigit() else shown.reference) for name in names)


ApiRequest: TypeAlias = Request | PageRequest | ReadRequest | Create | Delete
"""Every request that linker sends."""
