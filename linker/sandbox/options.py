"""Every option of a sandbox, its default, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from linker.errors import UsageError
from linker.model.target import Kind
from linker.sandbox.faults import Fault
from linker.sandbox.limits import WINDOWS, Limit

__all__ = ["SandboxOptions"]


@dataclass(frozen=True)
class SandboxOptions:
    """What a sandbox is told at its start.

    Raises:
        UsageError: an option makes no sense; the message names it.
    """

    port: int = 0
    """On 127.0.0.1; 0 takes any free one."""

    token: str = "sandbox"  # noqa: S105  no secret, see below
    """The bearer token that is taken. No secret: nobody outside reaches the server."""

    limits: Sequence[Limit | tuple[int, float]] = (Limit(300, 60.0), Limit(20, 1.0))
    """Requests in seconds, as Aha! documents its own. Empty: no limit, and no rate limit headers."""

    window: Literal["sliding", "fixed", "bucket"] = "sliding"
    """How they are counted. Aha! does not say; an exact log is the strictest."""

    latency_ms: float = 0.0
    """From a request's arrival to its answer; what it changes is changed at the end."""

    jitter_ms: float = 0.0
    """By how much at most the latency is more or less, evenly."""

    faults: Sequence[Fault] = ()
    """What befalls requests that were admitted, drawn in the order of their arrival."""

    records: int = 0
    """How many more customers there are than the document's."""

    features: int = 0
    """How many more features product PRJ1 has than the document's."""

    releases: int = 0
    """How many releases there are besides the document's, over PRJ1, PRJ2 and PRJ3 in turn."""

    linked: float = 0.0
    """Share of those features and releases that hold a customer already."""

    seed: int = 0
    """Of all that is drawn: ids, names, jitter, faults."""

    hidden: frozenset[Kind] = frozenset({Kind.PRODUCT})
    """Kinds whose answers never show `custom_object_links`, as the document's product."""

    empty_fields: Literal["left_out", "shown", "no_key"] = "left_out"
    """Fields without links in an answer: left out (`[]` where no field has links), shown with empty
    `record_ids`, or left out and with them, where no field has links, the key. Records always show them."""

    unknown_record: Literal["error", "ignore"] = "error"
    """A PUT with a record id that does not exist, or not in the field's table: 422, or dropped in silence."""

    unknown_field: Literal["error", "ignore"] = "ignore"
    """A PUT with a field key that the kind lacks: 422, or dropped in silence."""

    definitions: Literal["shown", "with_tables", "forbidden"] = "shown"
    """Of the field definitions: as documented, with the table that a link leads to as well, or 403."""

    off_layout: frozenset[tuple[str, str]] = frozenset()
    """Products and field keys, `("PRJ2", "customers")`, whose layouts lack the field: a PUT passes it by."""

    refused_records: frozenset[str] = frozenset()
    """Ids of records that a PUT may not give to a target, though they exist."""

    refused_with: int = 422
    """The status of such a PUT, 422 or 400."""

    refused_by_name: bool = True
    """Whether the answer names the id, or says no more than that something is invalid."""

    lists_without_links: frozenset[Kind] = frozenset()
    """Kinds whose lists leave `custom_object_links` out whatever `fields=` says."""

    ignore_fields: bool = False
    """Take no notice of `fields=`: lists give their short form, single resources their whole one."""

    list_order: Literal["id", "newest_first", "last_changed_first"] = "id"
    """How lists are ordered. Aha! does not say; by the last change, each PUT moves its target to the first page."""

    list_totals: Literal["right", "too_small", "too_large", "missing"] = "right"
    """What a list's `pagination` says of its length."""

    keep_requests: bool = False
    """Keep every request for `Sandbox.requests`; costs memory."""

    def __post_init__(self) -> None:
        put = cast("Any", object.__setattr__)
        put(self, "limits", tuple(each if isinstance(each, Limit) else Limit(*each) for each in self.limits))
        put(self, "faults", tuple(self.faults))
        for name in ("hidden", "lists_without_links", "refused_records", "off_layout"):
            put(self, name, frozenset(getattr(self, name)))
        if not 0 <= self.port <= 65535:
            raise UsageError(f"port {self.port} is not from 0 to 65535")
        if not self.token or not self.token.isascii() or not self.token.isprintable():
            raise UsageError("the token is one or more printable ASCII characters")
        for name in ("latency_ms", "jitter_ms", "records", "features", "releases", "linked"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"{name} {getattr(self, name)} is below 0")
        if self.linked > 1:
            raise UsageError(f"linked {self.linked} is more than all, 1")
        for name, choices in (
            ("window", tuple(WINDOWS)),
            ("empty_fields", ("left_out", "shown", "no_key")),
            ("unknown_record", ("error", "ignore")),
            ("unknown_field", ("error", "ignore")),
            ("definitions", ("shown", "with_tables", "forbidden")),
            ("refused_with", (400, 422)),
            ("list_order", ("id", "newest_first", "last_changed_first")),
            ("list_totals", ("right", "too_small", "too_large", "missing")),
        ):
            if getattr(self, name) not in choices:
                raise UsageError(f"{name} {getattr(self, name)!r} is none of {', '.join(map(str, choices))}")
