"""What a user asks for: link jobs, and the records that they link, by their ids or by their names.

Everything that crosses this file is checked once and canonical afterwards: a record id is a string of digits,
and a `LinkJob` that exists is one that can be sent.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias, TypeGuard, cast

import msgspec
import orjson

from linker.errors import InvalidJob
from linker.model.target import DIGITS, SPREADSHEET, Kind, Target, digits, float_hint
from linker.text import quoted

__all__ = ["NAME_LIMIT", "LinkJob", "Links", "Mode", "Name", "record_id", "sorted_ids"]

Links: TypeAlias = Mapping[str, frozenset[str]]
"""Field key → ids of the records that are linked."""


class Mode(StrEnum):
    """What a job does to a field: it holds exactly these, these too, or these no longer."""

    REPLACE = "replace"
    ADD = "add"
    REMOVE = "remove"


def record_id(value: object) -> str:
    """The exact id of a record, without leading zeros, from a string or an integer of any length.

    Raises:
        InvalidJob: it is no whole number, or one that has lost its last digits on its way here.
    """
    if isinstance(value, str):
        text = value.strip()
        if DIGITS.fullmatch(text):
            return text.lstrip("0") or "0"
        if SPREADSHEET.fullmatch(text):
            raise InvalidJob(f"record id {quoted(text)} has lost its last digits in a spreadsheet; export it as text")
    elif isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return digits(value)
    hint = '; if it is a name, say --match name, or {"name": …}' if isinstance(value, str) and value.strip() else ""
    raise InvalidJob(f"record id {quoted(value)} is no string of digits{float_hint(value)}{hint}")


def sorted_ids(ids: Sequence[str] | frozenset[str] | set[str]) -> list[str]:
    """Record ids in the order of their numbers, without repeats."""
    return sorted(set(ids), key=lambda id: (len(id), id))


_FIELD = re.compile(r"[A-Za-z0-9_-]{1,200}")
NAME_LIMIT: Final = 1000
"""Characters of what a record is called, at the most."""


class Name(msgspec.Struct, frozen=True, order=True):
    """A record by what a field of its table holds, where its id is not known: by its `name`, or by a CRM's own id.

    In a job file it is an object of one key: `{"name": "Acme Corp"}`, `{"salesforce_id": "0015g00000Q7pXkAAJ"}`.
    """

    field: str
    value: str

    def __str__(self) -> str:
        return self.value

    @property
    def written(self) -> dict[str, str]:
        """The name as a job file has it."""
        return {self.field: self.value}

    @classmethod
    def parse(cls, value: object) -> Name:
        """The name that an object of a job file says, without white space around it.

        Raises:
            InvalidJob: it says none, or one that is empty, or is neither text nor a whole number.
        """
        if not isinstance(value, Mapping) or len(value) != 1:
            raise InvalidJob(f'a record is an id or {{"name": …}}, not {quoted(value)}')
        ((field, value),) = value.items()
        if not is_field(field):
            raise InvalidJob(f"{quoted(field)} is no field of a custom table: letters, digits, '-' and '_' only")
        if isinstance(value, int) and not isinstance(value, bool):
            value = digits(value)
        if not isinstance(value, str):
            raise InvalidJob(f"a record's {field} is text, not {quoted(value)}{float_hint(value)}")
        text = value.strip()
        if not text:
            raise InvalidJob(f"a record's {field} is empty")
        if len(text) > NAME_LIMIT:
            raise InvalidJob(f"a record's {field} is over {NAME_LIMIT:,} characters long")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidJob(f"a record's {field} is no text: it holds half a character") from None
        return cls(field, text)


class JobLine(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A line of a job file as it is written: the shape is checked here, the values by `LinkJob`."""

    id: Any
    links: dict[str, Any]
    kind: str | None = None
    mode: str | None = None
    key: Any = None


@dataclass(frozen=True, slots=True)
class LinkJob:
    """One thing asked: these record ids on these fields of this target, in this mode.

    Arguments are taken as a job file has them and are canonical afterwards: ids of any length as strings or
    integers become strings of digits, sorted as numbers and without repeats. A list `[]` clears the field.
    A record whose id is not known is a `Name`, `{"name": "Acme Corp"}`; names come after ids. `mode` None leaves it
    to the run. `key` is anything (JSON) that the user wants to see in the result.

    Raises:
        InvalidJob: the job could not be sent as it is; the message says what is wrong and where.

    Example:
        >>> LinkJob("PRJ1-1", {"customers": [640362830]}).target.kind
        <Kind.FEATURE: 'feature'>
    """

    id: str
    links: Mapping[str, Sequence[str | Name]]
    kind: Kind | str | None = None
    mode: Mode | str | None = None
    key: Any = None

    def __post_init__(self) -> None:
        target = Target.parse(self.id, self.kind)
        set_ = object.__setattr__
        set_(self, "id", target.id)
        set_(self, "kind", target.kind)
        set_(self, "mode", parse_mode(self.mode))
        set_(self, "links", parse_links(self.links))
        check_key(self.key)

    @property
    def target(self) -> Target:
        """What the job links to."""
        assert isinstance(self.kind, Kind)
        return Target(self.kind, self.id)

    @property
    def by_id(self) -> Mapping[str, Sequence[str]] | None:
        """Its links where all of its records are told by their ids, else None."""
        if any(ids and isinstance(ids[-1], Name) for ids in self.links.values()):
            return None
        return cast("Mapping[str, Sequence[str]]", self.links)

    def resolved(self, links: Mapping[str, Sequence[str]]) -> LinkJob:
        """The same job with the ids of its records in the place of their names."""
        job = copy(self)
        object.__setattr__(job, "links", links)
        return job

    @classmethod
    def parse(cls, line: object, match: str | None = None) -> LinkJob:
        """The job that a decoded line of a job file, or a dict of the same keys, says.

        With `match`, its records are told by what that field of their table holds, and not by their ids.

        Raises:
            InvalidJob: it says none.
        """
        if not isinstance(line, Mapping):
            hint = "; a job file holds one job a line, not one list" if isinstance(line, list) else ""
            raise InvalidJob(f"a job is an object {{…}}, not {quoted(line)}{hint}")
        try:
            job = msgspec.convert(line, JobLine)
        except msgspec.ValidationError as error:
            raise InvalidJob(_said_plainly(str(error))) from None
        except UnicodeEncodeError:
            raise InvalidJob("a key of the job is no text: it holds half a character") from None
        links = job.links if match is None else matched(job.links, match)
        return cls(id=job.id, links=links, kind=job.kind, mode=job.mode, key=job.key)


def parse_mode(mode: Mode | str | None) -> Mode | None:
    """The mode that a user means. Raises `InvalidJob` where there is none such."""
    if mode is None or isinstance(mode, Mode):
        return mode
    try:
        return Mode(mode.strip().lower())
    except (ValueError, AttributeError):
        raise InvalidJob(f"mode {quoted(mode)} is not known; the modes are {', '.join(Mode)}") from None


def matched(links: Any, field: str) -> Any:
    """The links of a job whose bare records are values of a field of their table. What is wrong is left as it is."""
    if not isinstance(links, Mapping):
        return links
    return {
        name: [{field: id} if isinstance(id, str | int) else id for id in ids] if isinstance(ids, list | tuple) else ids
        for name, ids in links.items()
    }


def parse_links(links: Mapping[str, Sequence[Any]]) -> dict[str, tuple[str | Name, ...]]:
    """The canonical links of a job. Raises `InvalidJob` naming the place of what is wrong."""
    if not isinstance(links, Mapping):
        raise InvalidJob(f"links must be an object {{field: [record ids]}}, not {quoted(links)}")
    if not links:
        raise InvalidJob("links is empty: name at least one field ([] clears it)")
    parsed: dict[str, tuple[str | Name, ...]] = {}
    for field, ids in links.items():
        if not is_field(field):
            raise InvalidJob(f"field {quoted(field)} may hold only letters, digits, '-' and '_' (200 at most)")
        if isinstance(ids, str) or not isinstance(ids, Sequence):
            raise InvalidJob(f"links.{field} must be a list of record ids, not {quoted(ids)}")
        try:
            records = [id if isinstance(id, Name) else _record(id) for id in ids]
        except InvalidJob as error:
            raise InvalidJob(f"links.{field}: {error}") from None
        known = sorted_ids([record for record in records if isinstance(record, str)])
        parsed[field] = tuple(known) if len(known) == len(records) else _with_names(known, records)
    return parsed


def _with_names(known: list[str], records: Sequence[str | Name]) -> tuple[str | Name, ...]:
    return (*known, *sorted({record for record in records if isinstance(record, Name)}))


def _record(value: object) -> str | Name:
    return Name.parse(value) if isinstance(value, Mapping) else record_id(value)


def is_field(name: object) -> TypeGuard[str]:
    """Whether a field can be called that."""
    return isinstance(name, str) and _FIELD.fullmatch(name) is not None


def check_key(key: object) -> None:
    """Raise `InvalidJob` where a key could not be shown again in a result, which nests it."""
    try:
        orjson.dumps([[key]])
    except TypeError as error:
        raise InvalidJob(f"key cannot be written as JSON: {error}") from None


_UNKNOWN_KEY = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING_KEY = re.compile(r"Object missing required field `(.*)`", re.DOTALL)


def _said_plainly(message: str) -> str:
    """msgspec's message in the words of a job file."""
    keys = JobLine.__struct_fields__
    if match := _UNKNOWN_KEY.match(message):
        near = difflib.get_close_matches(match[1], keys, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"a job has {', '.join(keys)}"
        return f"key {quoted(match[1])} is not known; {hint}"
    if match := _MISSING_KEY.match(message):
        return f"key {match[1]!r} is missing"
    return message[0].lower() + message[1:].replace("`$.", "`").replace(" - at ", " at ")
