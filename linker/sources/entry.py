"""What a source yields: for each line of input exactly one entry, a job or the reason why it is none."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from linker.errors import ErrorType, InvalidJob
from linker.model.job import LinkJob, Name, check_key, is_field, matched, parse_links, parse_mode
from linker.model.target import Target
from linker.text import encodable

__all__ = ["Entry", "Reading", "Rejection", "read_entry"]


@dataclass(frozen=True, slots=True)
class Reading:
    """How lines are to be understood.

    `empty_clears`: an empty cell of records clears the field. `match`: records are told by what that field of their
    table holds: a table's `record_names`, or where it has none its `record_ids`; in other job files, bare ids.
    """

    empty_clears: bool = False
    match: str | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A line that is no job, with what could be told of it all the same.

    `target` is known where the line's `id` and `kind` were good, or where the `id` tells one by itself; `fields`
    are the fields that the line would have had a part in, None where that is not known (then it may have been
    any of them).
    """

    message: str
    target: Target | None = None
    fields: frozenset[str] | None = None
    kind: str | None = None
    id: str | None = None
    mode: str | None = None
    links: Mapping[str, Sequence[str | Name]] | None = None
    key: Any = None
    type: ErrorType = ErrorType.INVALID_JOB

    @classmethod
    def of(cls, job: LinkJob, message: str, why: ErrorType = ErrorType.INVALID_JOB) -> Rejection:
        """The rejection of a job that is one, and cannot be done."""
        known = job.target
        return cls(message, known, frozenset(job.links), known.kind, job.id, job.mode, job.links, job.key, why)


class Entry(msgspec.Struct, frozen=True):
    """One line of input: where it stands, and what it says. Lines count from 1."""

    source: str
    line: int
    value: LinkJob | Rejection


def read_entry(source: str, line: int, value: object, match: str | None = None) -> Entry:
    """The entry of a decoded line: a `LinkJob`, a mapping with a job's keys, or anything that is neither."""
    if isinstance(value, LinkJob):
        return Entry(source, line, value)
    try:
        return Entry(source, line, LinkJob.parse(value, match))
    except InvalidJob as error:
        return Entry(source, line, _salvaged(str(error), value, match))


def _salvaged(message: str, value: object, match: str | None) -> Rejection:
    """A rejection with all that can still be told of the line: its target keeps half a list from being sent."""
    if not isinstance(value, Mapping):
        return Rejection(message)
    id, kind, links, key = value.get("id"), value.get("kind"), value.get("links"), value.get("key")
    target = told = mode = parsed = None
    with contextlib.suppress(InvalidJob):
        target = told = Target.parse(id, kind)  # type: ignore[arg-type]
    with contextlib.suppress(InvalidJob):
        told = told or Target.parse(id)  # type: ignore[arg-type]  # a bad kind beside a good reference number
    with contextlib.suppress(InvalidJob):
        mode = parse_mode(value.get("mode"))
    with contextlib.suppress(InvalidJob):
        parsed = parse_links(matched(links, match) if match is not None else links)  # type: ignore[arg-type]
    try:
        check_key(key)
    except InvalidJob:
        key = None
    named = bool(links) and isinstance(links, Mapping) and all(map(is_field, links))
    return Rejection(
        message,
        target=told,
        fields=frozenset(links or ()) if named else None,
        kind=target.kind if target else _text(kind) if isinstance(kind, str) else None,
        id=target.id if target else _text(id) if isinstance(id, str | int) and not isinstance(id, bool) else None,
        mode=mode,
        links=parsed,
        key=key,
    )


def _text(value: str | int) -> str | None:
    """What was written where a kind or an id belongs, as a result can show it."""
    try:
        return encodable(str(value))
    except ValueError:  # an integer over the interpreter's limit of digits
        return None
