"""What a source yields: for each line of input exactly one entry, a job or the reason why it is none."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from linker.errors import InvalidJob
from linker.job import LinkJob, Target, parse_links, parse_mode

__all__ = ["Entry", "Rejection", "read_entry"]


@dataclass(frozen=True, slots=True)
class Rejection:
    """A line that is no job, with what could be told of it all the same.

    `target` is known where the line's `id` and `kind` were good; `fields` are the fields that the line would
    have had a part in, None where that is not known (then it may have been any of them).
    """

    message: str
    target: Target | None = None
    fields: frozenset[str] | None = None
    kind: str | None = None
    id: str | None = None
    mode: str | None = None
    links: Mapping[str, Sequence[str]] | None = None
    key: Any = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of input: where it stands, and what it says. Lines count from 1."""

    source: str
    line: int
    said: LinkJob | Rejection


def read_entry(source: str, line: int, value: object) -> Entry:
    """The entry of a decoded line: a `LinkJob`, a mapping with a job's keys, or anything that is neither."""
    if isinstance(value, LinkJob):
        return Entry(source, line, value)
    try:
        return Entry(source, line, LinkJob.parse(value))
    except InvalidJob as error:
        return Entry(source, line, _salvaged(str(error), value))


def _salvaged(message: str, value: object) -> Rejection:
    """A rejection with all that can still be told of the line: its target keeps half a list from being sent."""
    if not isinstance(value, Mapping):
        return Rejection(message)
    id, kind, links = value.get("id"), value.get("kind"), value.get("links")
    target = mode = parsed = None
    with contextlib.suppress(InvalidJob, AttributeError):
        target = Target.parse(id, kind)  # type: ignore[arg-type]
    with contextlib.suppress(InvalidJob):
        mode = parse_mode(value.get("mode"))
    with contextlib.suppress(InvalidJob, AttributeError, TypeError):
        parsed = parse_links(links)  # type: ignore[arg-type]
    fields = frozenset(map(str, links)) if isinstance(links, Mapping) and links else None
    return Rejection(
        message,
        target=target,
        fields=fields,
        kind=target.kind if target else kind if isinstance(kind, str) else None,
        id=target.id if target else str(id) if isinstance(id, str | int) and not isinstance(id, bool) else None,
        mode=mode,
        links=parsed,
        key=value.get("key"),
    )
