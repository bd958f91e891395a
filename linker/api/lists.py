"""The lists that the account offers, and the requests for their pages of 200 targets.

Lists of the whole account exist for features, epics, ideas, initiatives, goals, products and organizations; releases
are listed by product, requirements by feature, records by product and custom table (the vendor's OpenAPI description).
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import msgspec

from linker.api.answers import Answer, HttpAnswer, Page, understand_page
from linker.api.mismatch import Mismatch
from linker.errors import InvalidJob, Stopped, UsageError
from linker.model.ids import exact_id
from linker.model.job import is_field
from linker.model.target import Kind
from linker.text import quoted

PAGE_SIZE: Final = 200
"""The most items that a page may have (the vendor's API page)."""

SMALLEST_PAGE: Final = 25
"""Pages are not halved below this size. By a public client, pages of 200 may time out on large accounts."""

_MOST_PAGES: Final = 10_000
"""The most pages of one list: two million targets, half an hour at 300 requests a minute."""

_OF_THE_ACCOUNT: Final = frozenset({Kind.PRODUCT, Kind.IDEA_ORGANIZATION})
"""Kinds that belong to no product, so that the account has no other list of them."""

_ACCOUNT_WIDE: Final = _OF_THE_ACCOUNT | {Kind.FEATURE, Kind.EPIC, Kind.IDEA, Kind.INITIATIVE, Kind.GOAL}


@dataclass(frozen=True, slots=True)
class Listing:
    """One list of a kind: in the whole account (`parent` is empty), a product, a feature, or a custom table.

    Example:
        >>> Listing.parse("release:PRJ1").path
        '/api/v1/products/PRJ1/releases'
    """

    kind: Kind
    parent: str = ""
    table: str = ""

    def __post_init__(self) -> None:
        """Refuse a part that could change the path of a request."""
        for part in (self.parent, self.table):
            if part and not is_field(part):
                raise InvalidJob(f"{quoted(part)} is not the name of a product, a feature or a table")

    def __str__(self) -> str:
        within = f":{self.parent}" + (f"/{self.table}" if self.table else "") if self.parent else ""
        return f"{self.kind}{within}"

    @property
    def words(self) -> str:
        """What the list contains, for people: `features of PRJ1`."""
        if self.kind is Kind.CUSTOM_OBJECT_RECORD:
            return f"records of {self.place}"
        return f"{self.kind.plural} of {self.parent}" if self.parent else self.kind.plural

    @property
    def path(self) -> str:
        """The path of the list, without a query."""
        match self.kind:
            case _ if not self.parent:
                return f"/api/v1/{self.kind.plural}"
            case Kind.REQUIREMENT:
                return f"/api/v1/features/{self.parent}/requirements"
            case Kind.CUSTOM_OBJECT_RECORD if self.table:
                return f"/api/v1/products/{self.parent}/custom_objects/{self.table}/records"
            case _:
                return f"/api/v1/products/{self.parent}/{self.kind.plural}"

    @classmethod
    def of(cls, kind: Kind, reference: str) -> Listing | None:
        """The list that has a target, as far as its reference number tells; None if it does not."""
        if kind in _ACCOUNT_WIDE:
            return cls(kind)
        head, dash, _ = reference.rpartition("-")
        if not dash:  # a bare number
            return None
        return cls(kind, head if kind is Kind.REQUIREMENT else head.rpartition("-")[0])

    @classmethod
    def of_product(cls, kind: Kind, reference: str) -> Listing | None:
        """The list of a product that has a target, as its reference number tells; None if there is none."""
        product, dash, _ = reference.partition("-")
        return cls(kind, product) if dash and kind not in _OF_THE_ACCOUNT else None

    @classmethod
    def parse(cls, scope: str) -> Listing:
        """The list of a scope: `feature`, `feature:PRJ1`, `requirement:PRJ1-1` or `record:PRJ1/customers`.

        Raises:
            UsageError: the account has no such list.
        """
        name, _, within = scope.partition(":")
        try:
            kind = Kind.CUSTOM_OBJECT_RECORD if name.strip().lower() in ("record", "records") else Kind.parse(name)
        except InvalidJob as error:
            raise UsageError(f"scope {quoted(scope)}: {error}") from None
        parent, _, table = within.strip().partition("/")
        legible = all(is_field(part) for part in (parent, table) if part)
        if kind is Kind.CUSTOM_OBJECT_RECORD:
            wanted = "record:PRODUCT/TABLE" if not (parent and table) else ""
        elif kind is Kind.REQUIREMENT:
            wanted = "requirement:FEATURE" if not parent or table else ""
        elif kind is Kind.RELEASE:
            wanted = "release:PRODUCT" if not parent or table else ""
        elif kind in _OF_THE_ACCOUNT:
            wanted = str(kind) if parent or table else ""
        else:
            wanted = f"{kind} or {kind}:PRODUCT" if table else ""
        if wanted or not legible:
            raise UsageError(f"scope {quoted(scope)} is not a list of the account; write {wanted or 'KIND:PARENT'}")
        return cls(kind, parent.upper(), table)

    @property
    def place(self) -> str:
        """A custom table as `--table` names it: `PRJ1/customers`."""
        return f"{self.parent}/{self.table}"

    @classmethod
    def of_table(cls, table: object) -> Listing | None:
        """The list of a custom table that an answer describes as `{"key", "product_id"}`; None if it does not."""
        match table:
            case {"key": str(key), "product_id": str() | int() as product} if is_field(key):
                with suppress(InvalidJob):
                    return cls(Kind.CUSTOM_OBJECT_RECORD, exact_id(product), key)
        return None

    def page(self, number: int) -> PageRequest:
        """The request of a page; pages count from 1. Raises `Stopped` after 10,000 pages."""
        check_page(self, number)
        return PageRequest(self, number)


def check_page(listing: Listing, number: int) -> None:
    """Raise `Stopped` after 10,000 pages: a server that always has one more page would never let a run end."""
    if number > _MOST_PAGES:
        most = _MOST_PAGES * PAGE_SIZE
        raise Stopped(f"the list of {listing.words} has more than {most:,} items; linker does not read more")


def mismatch_of_pages(subject: str, asked: int, number: int | None, pages: int | None) -> Mismatch | None:
    """How an answer is not the page that was asked for, although its list has that page."""
    if number is None or number == asked or asked > (pages or 0):
        return None
    return Mismatch(subject, f"it shows page {number} of the list", may_be_so=False)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The request of one page of a list, with `fields=`: 200 targets in about 20 KB."""

    listing: Listing
    number: int
    per_page: int = PAGE_SIZE
    method: ClassVar[Literal["GET"]] = "GET"
    body: ClassVar[None] = None
    put: ClassVar[None] = None

    def __str__(self) -> str:
        return f"GET list of {self.listing}, page {self.number}"

    @property
    def subject(self) -> str:
        """What is read, for people."""
        return f"the list of {self.listing.words}"

    @property
    def path(self) -> str:
        """The request's path and query. Products are named by `reference_prefix`, records by `id` alone."""
        name = "reference_prefix" if self.listing.kind is Kind.PRODUCT else "reference_num"
        return f"{self.listing.path}?fields=custom_object_links,{name},id&per_page={self.per_page}&page={self.number}"

    def halves(self) -> tuple[PageRequest, PageRequest]:
        """The requests of two pages of half the size with the same items."""
        first, half = 2 * self.number - 1, self.per_page // 2
        return PageRequest(self.listing, first, half), PageRequest(self.listing, first + 1, half)

    def has_more(self, answer: Answer) -> bool:
        """Whether the list has a further page, by the answer to this one."""
        page = answer.page or Page(())
        return bool(page.items) and (page.pages is None or page.pages > self.number)

    def joined(self, first: Answer, second: Answer | None) -> Answer:
        """The answer to this request, from those to its halves; `second` is None if the list ends before."""
        page, rest = first.page or Page(()), (second.page if second is not None else None) or Page(())
        pages = None if page.pages is None else math.ceil(page.pages / 2)
        return msgspec.structs.replace(first, page=Page(page.items + rest.items, pages, self.number))

    def mismatch(self, answer: Answer) -> Mismatch | None:
        """How the answer is none to this request; None if it is one.

        A product line may list what belongs to its products, so another prefix than the one asked for may be right.
        """
        page = answer.page
        if page is None:
            return None
        if wrong_page := mismatch_of_pages(str(self), self.number, page.number, page.pages):
            return wrong_page
        prefix = f"{self.listing.parent}-"
        references = [item.reference for item in page.items]
        if not prefix[0].isalpha() or not all(references) or not references:
            return None
        if any(reference.startswith(prefix) for reference in references):
            return None
        why = f"it lists {references[0]} and nothing of {self.listing.parent}"
        return Mismatch(str(self.listing), why)

    def understand(self, reply: HttpAnswer) -> Answer:
        """Parse the reply. Raises `BadAnswer` if it is not from Aha!."""
        return understand_page(reply, self.listing.kind)
