"""What a list leaves out: the parameters `updated_since` and `q`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from linker.model.target import Kind
from linker.sandbox.account import Resource
from linker.sandbox.bodies import Refused

FIRST_UPDATE: Final = datetime(2019, 1, 1, tzinfo=UTC)
"""When resources that nobody has changed were updated."""

_BY_UPDATE: Final = frozenset(
    {
        *(Kind.FEATURE, Kind.EPIC, Kind.IDEA, Kind.INITIATIVE, Kind.RELEASE, Kind.REQUIREMENT, Kind.PRODUCT),
        Kind.CUSTOM_OBJECT_RECORD,
    }
)


def filtered(kind: Kind, found: Sequence[Resource], parameters: Mapping[str, str]) -> Sequence[Resource]:
    """The resources that a list shows: changed at or after `updated_since`, and with `q` in their names.

    `updated_since` is a date or time in ISO 8601, in UTC unless it says otherwise. Lists of goals ignore it, since
    the vendor does not document it for them.

    Raises:
        Refused: `updated_since` is neither a date nor a time.
    """
    since = parameters.get("updated_since")
    if since and kind in _BY_UPDATE:
        earliest = _timestamp(since)
        found = [resource for resource in found if _updated_at(resource) >= earliest]
    text = parameters.get("q", "").strip().casefold()
    if text:
        found = [resource for resource in found if text in resource.name.casefold()]
    return found


def _updated_at(resource: Resource) -> float:
    return resource.updated_at or FIRST_UPDATE.timestamp()


def _timestamp(text: str) -> float:
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise Refused(400, f"updated_since {text[:80]!r} is not an ISO 8601 date or time") from None
