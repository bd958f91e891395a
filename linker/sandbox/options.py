"""Every option of a sandbox, with its default and the reason for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from linker.errors import UsageError
from linker.model.target import Kind
from linker.sandbox.faults import Fault
from linker.sandbox.limits import WINDOWS, Limit

EMPTY_LINKS: Final = ("missing", "null", "empty", "fields")


@dataclass(frozen=True)
class SandboxOptions:
    """What a sandbox is started with.

    Raises:
        UsageError: an option is invalid; the message names it.
    """

    port: int = 0
    """Port on 127.0.0.1; 0 takes any free one."""

    token: str = "sandbox"  # noqa: S105  no secret, see below
    """The bearer token to accept. It is no secret: the server cannot be reached from outside."""

    limits: Sequence[Limit | tuple[int, float]] = (Limit(300, 60.0), Limit(20, 1.0))
    """Requests in so many seconds, by default as Aha! documents. Empty: no limit, and no rate limit headers."""

    window: Literal["sliding", "fixed", "bucket"] = "sliding"
    """How requests are counted. Aha! does not document it; an exact log (sliding) is the strictest."""

    latency_ms: float = 0.0
    """From a request's arrival to its answer. What it changes is changed at the end."""

    jitter_ms: float = 0.0
    """The latency varies evenly by up to so much, up and down."""

    faults: Sequence[Fault] = ()
    """What goes wrong with requests that were admitted, drawn in the order of their arrival."""

    records: int = 0
    """How many customers to add to those of the API document."""

    features: int = 0
    """How many features to add to PRJ1's of the API document."""

    releases: int = 0
    """How many releases to add to those of the API document, to PRJ1, PRJ2 and PRJ3 in turn."""

    linked: float = 0.0
    """Share of the added features and releases that link to a customer, from 0 to 1."""

    seed: int = 0
    """Seed of everything random: ids, names, jitter, faults."""

    hidden: frozenset[Kind] = frozenset({Kind.PRODUCT})
    """Kinds whose answers never show `custom_object_links`, such as the API document's product."""

    empty_links: Literal["missing", "null", "empty", "fields"] = "missing"
    """How an answer shows that a target has no links. Records list all their link fields all the same.

    `missing`: without the key `custom_object_links`, as in the vendor's examples. `null`: its value is `null`. `empty`:
    it is `[]`. `fields`: it lists every link field of the kind, with empty `record_ids`, also beside fields with links.
    """

    ids: Literal["strings", "numbers"] = "strings"
    """How `record_ids` are shown: as live accounts show them (strings), or as the API document prints them."""

    title_key: str = "name"
    """The key of the title field of every custom table, labelled "Name". Live ones are `customer_2_name` or `event`."""

    stale_puts: bool = False
    """The answer to a PUT shows the links as they were before it, as the vendor's "update a record" example does."""

    stale_reads: int = 0
    """After a PUT on a target, so many answers that show its links show the old ones: single GETs and lists alike."""

    blank_clears: bool = False
    """`[""]` clears a field and `[]` changes nothing, as one client found. Otherwise `[]` clears, `[""]` is refused."""

    unknown_record: Literal["error", "ignore"] = "error"
    """A PUT with a record id that is not in the field's table: answer 422, or drop the id silently."""

    unknown_field: Literal["error", "ignore"] = "ignore"
    """A PUT with a field key that the kind does not have: answer 422, or drop the field silently."""

    definitions: Literal["shown", "with_tables", "forbidden"] = "shown"
    """How field definitions are answered: as documented, with the table that a field links to, or with 403."""

    layouts: Literal["shown", "forbidden"] = "forbidden"
    """How the list of all layouts is answered: shown, as to administrators of customizations, or with 403."""

    off_layout: frozenset[tuple[str, str]] = frozenset()
    """Products whose layouts lack a field, such as `("PRJ2", "customers")`: a PUT drops it silently."""

    refused_records: frozenset[str] = frozenset()
    """Ids of records that exist, but that a PUT may not link to."""

    refused_with: int = 422
    """The status of such a PUT, 422 or 400."""

    refused_by_name: bool = True
    """Whether the answer names the invalid id."""

    lists_without_links: frozenset[Kind] = frozenset()
    """Kinds whose lists leave out `custom_object_links`, even if `fields=` asks for it."""

    ignore_fields: bool = False
    """Ignore `fields=`: lists show their short form, single resources all fields."""

    largest_page: int | None = None
    """Lists that are asked for more items a page are answered 504, as on a large account. None: no list is."""

    list_order: Literal["id", "newest_first", "last_changed_first"] = "id"
    """How lists are ordered. Aha! does not document it. By last change, each PUT moves its target to the first page."""

    list_totals: Literal["right", "too_small", "too_large", "missing"] = "right"
    """Whether the length in a list's `pagination` is right."""

    keep_requests: bool = False
    """Keep every request in `Sandbox.requests`. It takes memory."""

    def __post_init__(self) -> None:
        put = cast("Any", object.__setattr__)
        put(self, "limits", tuple(limit if isinstance(limit, Limit) else Limit(*limit) for limit in self.limits))
        put(self, "faults", tuple(self.faults))
        for name in ("hidden", "lists_without_links", "refused_records", "off_layout"):
            put(self, name, frozenset(getattr(self, name)))
        if not 0 <= self.port <= 65535:
            raise UsageError(f"port {self.port} is not from 0 to 65535")
        if not self.token or not self.token.isascii() or not self.token.isprintable():
            raise UsageError("the token is one or more printable ASCII characters")
        for name in ("latency_ms", "jitter_ms", "records", "features", "releases", "linked", "stale_reads"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"{name} {getattr(self, name)} is below 0")
        if not re.fullmatch("[a-z0-9_]+", self.title_key):
            raise UsageError(f"title_key {self.title_key!r} may hold only a-z, 0-9 and _")
        if self.largest_page is not None and self.largest_page < 1:
            raise UsageError(f"largest_page {self.largest_page} is below 1")
        if self.linked > 1:
            raise UsageError(f"linked {self.linked} is more than all, 1")
        for name, choices in (
            ("window", tuple(WINDOWS)),
            ("empty_links", EMPTY_LINKS),
            ("ids", ("strings", "numbers")),
            ("unknown_record", ("error", "ignore")),
            ("unknown_field", ("error", "ignore")),
            ("definitions", ("shown", "with_tables", "forbidden")),
            ("layouts", ("shown", "forbidden")),
            ("refused_with", (400, 422)),
            ("list_order", ("id", "newest_first", "last_changed_first")),
            ("list_totals", ("right", "too_small", "too_large", "missing")),
        ):
            if getattr(self, name) not in choices:
                raise UsageError(f"{name} {getattr(self, name)!r} is not one of {', '.join(map(str, choices))}")
