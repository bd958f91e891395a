"""What a source yields: exactly one entry for each line of input, either a job or the reason why it is not one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from linker.errors import ErrorType, InvalidJob
from linker.model.address import shown
from linker.model.ids import whole_number
from linker.model.job import LinkJob, Mode, Name, is_field, is_record, matched, parse_links, parse_mode, parse_target
from linker.model.key import plain_key
from linker.model.name import NAME_LIMIT
from linker.model.target import Target
from linker.sources.salvage import legible_targets
from linker.text import encodable


@dataclass(frozen=True, slots=True)
class Reading:
    """How to understand the lines of a source.

    Args:
        empty_clears: an empty cell of records clears the field, instead of being rejected.
        match: the field of the custom table by which records are looked up. In a CSV it applies to `record_names`,
            or to `record_ids` if that column is missing; in a JSONL file to values that would otherwise be ids.
        host: the host of the account, in the form of `host_of`; jobs with addresses of another one are rejected.
            Empty: no job is.
        named_targets: `match` applies to targets that are records of a custom table, too.
        mode: the mode of lines that do not set one.
        encoding: the encoding of files without a byte order mark; None: UTF-8.
    """

    empty_clears: bool = False
    match: str | None = None
    host: str = ""
    named_targets: bool = False
    mode: Mode = Mode.REPLACE
    encoding: str | None = None

    def id_of(self, id: object, kind: object) -> object:
        """The `id` of a line, as the name of a record if it is one."""
        by_name = self.named_targets and self.match is not None and is_record(kind)
        return {self.match: id} if by_name and (isinstance(id, str) or whole_number(id) is not None) else id


@dataclass(frozen=True, slots=True)
class Rejection:
    """A line that is not a valid job, with all that could still be read from it.

    `targets` are those that the line may be meant for; their lists are incomplete without it. There are none if the
    line shows none, so that it may belong to any list, except if `is_footer`: the line then ends a report, and
    belongs to none. `fields` are the fields that the line names; None if they are unknown, so that it may have meant
    any field. `name` is set instead of `targets` if the line gives its target by a name that was not looked up yet, or
    that no single record has.
    """

    message: str
    targets: tuple[Target, ...] = ()
    fields: frozenset[str] | None = None
    kind: str | None = None
    id: str | None = None
    mode: str | None = None
    links: Mapping[str, Sequence[str | Name]] | None = None
    key: Any = None
    type: ErrorType = ErrorType.INVALID_JOB
    name: Name | None = None
    is_footer: bool = False

    @property
    def may_be_anywhere(self) -> bool:
        """Whether any list may lack the line, because it shows no target."""
        return not self.targets and not self.is_footer

    @classmethod
    def of(cls, job: LinkJob, message: str, why: ErrorType = ErrorType.INVALID_JOB) -> Rejection:
        """The rejection of a valid job that cannot be carried out."""
        name = job.id if isinstance(job.id, Name) else None
        targets = (job.target,) if name is None else ()
        fields = frozenset(job.links)
        return cls(message, targets, fields, job.kind, str(job.id), job.mode, job.links, job.key, why, name)

    def on(self, target: Target) -> Rejection:
        """The same rejection of a line whose target is known by now."""
        return replace(self, targets=(target,), id=target.id, name=None)


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One line of input: its source, its number from 1, and what it says."""

    source: str
    line: int
    value: LinkJob | Rejection


def read_entry(
    source: str,
    line: int,
    value: object,
    reading: Reading = Reading(),
    columns: tuple[str, ...] = (),
    places: Callable[[], Mapping[str, str]] = dict,
) -> Entry:
    """The entry of a decoded line: of a `LinkJob`, of a mapping with a job's keys, or of anything else.

    Args:
        reading: whether the records of a mapping are ids or names, and which account's addresses are accepted.
        columns: the columns of a table that the records were read from, as the table calls them.
        places: called for a message; returns where the table has the keys of a job: `column "Aha Ref"`.
    """
    if reading.named_targets and isinstance(value, Mapping) and "id" in value:
        value = {**value, "id": reading.id_of(value["id"], value.get("kind"))}
    try:
        job = value if isinstance(value, LinkJob) else LinkJob.parse(value, reading.match, columns)
    except InvalidJob as error:
        return Entry(source, line, reject(message_of(error, places()), value, reading.match))
    host = reading.host
    if job.host is None or not host or job.host == host:
        return Entry(source, line, job)
    # the target is kept: if the host alone is wrong, the row belongs to that target's list
    why = f"the address belongs to the account {job.host}, but this run is for {host}; correct or remove the row"
    return Entry(source, line, Rejection.of(job, f"{places().get('id', 'id')}: {why}"))


def message_of(error: InvalidJob, places: Mapping[str, str]) -> str:
    """Return the message of an error, which names the column of a table instead of the key of a job."""
    place = places.get(error.part) or places.get(error.part.partition(".")[0])
    return error.at(place) if place is not None else str(error)


def reject(message: str, value: object, match: str | None = None) -> Rejection:
    """The rejection of a line. The targets that it may be meant for keep an incomplete list from being sent."""
    if not isinstance(value, Mapping):
        return Rejection(message)
    id, kind, links, key = value.get("id"), value.get("kind"), value.get("links"), value.get("key")
    target = mode = parsed_links = name = None
    with contextlib.suppress(InvalidJob):
        given, _ = parse_target(id, kind)
        if isinstance(given, Name):
            name = given
        else:
            target = given
    targets = (target,) if target is not None else () if name is not None else legible_targets(id, kind)
    with contextlib.suppress(InvalidJob):
        mode = parse_mode(value.get("mode"))
    with contextlib.suppress(InvalidJob):
        parsed_links = parse_links(matched(links, match) if match is not None else links)  # type: ignore[arg-type]
    try:
        key = plain_key(key)
    except InvalidJob:
        key = None
    shown_id: str | None = None
    if target is not None:
        shown_id = target.id
    elif name is not None or isinstance(id, str):
        shown_id = _text(name or id)
    elif (number := whole_number(id)) is not None:
        shown_id = _text(number)
    has_fields = bool(links) and isinstance(links, Mapping) and all(map(is_field, links))
    return Rejection(
        message,
        targets=targets,
        fields=frozenset(links or ()) if has_fields else None,
        kind=target.kind if target else _text(kind) if isinstance(kind, str) else None,
        id=shown_id,
        mode=mode,
        links=parsed_links,
        key=key,
        name=name,
    )


def _text(value: object) -> str | None:
    """The text of a kind or an id, in a form that a result can show, in at most 1,000 characters."""
    try:
        return encodable(shown(str(value)))[:NAME_LIMIT]
    except ValueError:  # an integer over the interpreter's limit of digits
        return None
