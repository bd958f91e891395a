"""What else the account is asked: things that are read as they are, and the one thing that is created.

Paths are the vendor's OpenAPI description's; ids and keys in them hold nothing that a path could take for anything
else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, Literal, TypeAlias

import msgspec
import orjson

from linker.api.answers import Answer, HttpAnswer, understand_object, understand_target
from linker.api.lists import PAGE_SIZE, Listing, PageRequest, check_page
from linker.model.job import Links, record_id, sorted_ids
from linker.model.target import Kind, Target

__all__ = [
    "ME",
    "PRODUCTS",
    "ApiRequest",
    "Create",
    "ReadRequest",
    "Request",
    "definitions",
    "linked_in",
    "record",
    "records",
]

_RECORD: Final = "custom_object_record"


class ReadRequest(msgspec.Struct, frozen=True):
    """A GET whose answer, an object that holds one thing under `key` or `many`, is read by whoever asks."""

    path: str
    key: str
    what: str
    many: bool = True
    method: ClassVar[Literal["GET"]] = "GET"
    body: ClassVar[None] = None

    def __str__(self) -> str:
        return f"GET {self.what}"

    def understand(self, reply: HttpAnswer) -> Answer:
        """The answer that a reply is. Raises `BadAnswer` for what is none of Aha!'s."""
        return understand_object(reply, self.key, many=self.many)


PRODUCTS: Final = ReadRequest(
    f"/api/v1/products?fields=id,reference_prefix&per_page={PAGE_SIZE}", "products", "list of products"
)
ME: Final = ReadRequest("/api/v1/me", "user", "whose token it is", many=False)


def definitions(page: int) -> ReadRequest:
    """All custom fields of the account."""
    path = f"/api/v1/custom_field_definitions?per_page={PAGE_SIZE}&page={page}"
    return ReadRequest(path, "custom_field_definitions", f"field definitions, page {page}")


def records(table: Listing, page: int, *, whole: bool = False) -> ReadRequest:
    """A page of a custom table with the fields of its records; `whole`: with all else that is shown of them.

    Raises `Stopped` where no table goes on so long.
    """
    check_page(table, page)
    fields = "" if whole else "fields=id,name,custom_fields&"
    path = f"{table.path}?{fields}per_page={PAGE_SIZE}&page={page}"
    return ReadRequest(path, f"{_RECORD}s", f"records of {table.place}, page {page}")


def record(id: str) -> ReadRequest:
    """One record, which tells its table and that table's product. Raises `InvalidJob` where that is no record's id."""
    id = record_id(id)
    return ReadRequest(
        f"/api/v1/custom_object_records/{id}?fields=id,key,product_id", _RECORD, f"record {id}", many=False
    )


def linked_in(listing: Listing) -> ReadRequest:
    """A page of a list: what its targets hold."""
    path = f"{listing.path}?fields=custom_object_links,id&per_page={PAGE_SIZE}"
    return ReadRequest(path, listing.kind.plural, f"list of {listing}")


class Create(msgspec.Struct, frozen=True):
    """A record to be made in a custom table. Sent twice, it makes two."""

    table: Listing
    fields: Mapping[str, str]
    method: ClassVar[Literal["POST"]] = "POST"

    def __str__(self) -> str:
        return f"POST record of {self.table.place}"

    @property
    def path(self) -> str:
        """`/api/v1/products/PRJ1/custom_objects/customers/records`."""
        return self.table.path

    @property
    def body(self) -> bytes:
        """`{"custom_object_record":{"custom_fields":{"name":"Acme Corp"}}}` (the vendor's OpenAPI description)."""
        return orjson.dumps({_RECORD: {"custom_fields": self.fields}})

    def understand(self, reply: HttpAnswer) -> Answer:
        """The answer that a reply is. Raises `BadAnswer` for what is none of Aha!'s."""
        return understand_object(reply, _RECORD, many=False)


_SLIM: Final = "?fields=custom_object_links,reference_num,id"
_SLIM_PRODUCT: Final = "?fields=custom_object_links,reference_prefix,id"


class Request(msgspec.Struct, frozen=True):
    """One thing asked of one target. `put` None reads it. `whole`: without `fields=`, the whole answer."""

    target: Target
    put: Links | None = None
    whole: bool = False

    @property
    def method(self) -> Literal["GET", "PUT"]:
        """The request's HTTP method."""
        return "GET" if self.put is None else "PUT"

    @property
    def path(self) -> str:
        """`/api/v1/features/PRJ1-1?fields=…`; ids hold nothing that a path could take for anything else."""
        slim = _SLIM_PRODUCT if self.target.kind is Kind.PRODUCT else _SLIM
        return f"/api/v1/{self.target.kind.plural}/{self.target.id}{'' if self.whole else slim}"

    @property
    def body(self) -> bytes | None:
        """`{"feature":{"custom_object_links":{"customers":["640362830"]}}}` (the API document's own form)."""
        if self.put is None:
            return None
        links = {field: sorted_ids(ids) for field, ids in self.put.items()}
        return orjson.dumps({str(self.target.kind): {"custom_object_links": links}})

    def __str__(self) -> str:
        fields = f" {', '.join(self.put)}" if self.put else ""
        return f"{self.method} {self.target}{fields}"

    def understand(self, reply: HttpAnswer) -> Answer:
        """The answer that a reply is. Raises `BadAnswer` for what is none of Aha!'s."""
        return understand_target(reply, self.target.kind, may_be_silent=self.put is not None)


ApiRequest: TypeAlias = Request | PageRequest | ReadRequest | Create
"""Whatever is asked of the account."""
