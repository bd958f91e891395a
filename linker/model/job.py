"""What a user asks for: jobs, and the records that they link, given by id or by name.

Input is checked here once. Afterwards a record id is a string of digits, and every `LinkJob` can be sent.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from copy import copy
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias, TypeGuard

import msgspec

from linker.errors import InvalidJob
from linker.model.address import host_of, located
from linker.model.ids import plain_ids, record_id, sorted_ids, spoiled, undressed_id, whole_number
from linker.model.key import check_key, plain_key
from linker.model.name import NAME_LIMIT, TITLE, Name
from linker.model.target import Kind, Target, plain_target
from linker.text import quoted, without_invisible

__all__ = [
    "NAME_LIMIT",
    "TITLE",
    "LinkJob",
    "Links",
    "Mode",
    "Name",
    "check_key",
    "is_field",
    "is_record",
    "matched",
    "parse_links",
    "parse_mode",
    "parse_target",
    "record_id",
    "sorted_ids",
]

Links: TypeAlias = Mapping[str, frozenset[str]]
"""Field key → ids of the records that are linked."""


class Mode(StrEnum):
    """What a job does to a field: set exactly these records, add these, or remove these."""

    REPLACE = "replace"
    ADD = "add"
    REMOVE = "remove"


_MODES: Final[Mapping[str, Mode]] = {mode.value: mode for mode in Mode}
_FIELD = re.compile(r"[A-Za-z0-9_-]{1,200}")
_LARGEST: Final = 2**63


class JobLine(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The shape of a line of a job file. `LinkJob` checks the values."""

    id: Any
    links: dict[str, Any]
    kind: str | None = None
    mode: str | None = None
    key: Any = None


@dataclass(frozen=True, slots=True, init=False)
class LinkJob:
    """One request by the user: link these records on these fields of this target, in this mode.

    Args:
        id: reference number or numeric id of the target, or the address of its page in Aha!
            (`https://company.aha.io/features/PRJ1-1`), in any form that a job file may have. A target that is a record
            of a custom table may be a `Name` or `{"name": "Acme Corp"}`; a run replaces it by the record's id.
        links: field → list, tuple, set or array of records. Ids are strings or integers of any type (numpy's too) and
            become strings of digits, sorted as numbers, without repeats. A record without a known id is a `Name` or
            `{"name": "Acme Corp"}`; names follow the ids. `[]` clears the field.
        kind: the target's kind, if the id does not imply it.
        mode: None leaves it to the run.
        key: any JSON value that the user wants to see in the result; dates, UUIDs and decimals become text.
        host: the host of the address that `id` was given as; a run rejects the job if its account is at another host.
        columns: the columns of a table that the records were read from, as the table calls them. If there are two, both
            the ids and the names of each field stand for all of its records, so that they must agree.

    Raises:
        InvalidJob: the job cannot be sent; the message says what is wrong and where.

    Example:
        >>> LinkJob("PRJ1-1", {"customers": [640362830]}).target.kind
        <Kind.FEATURE: 'feature'>
    """

    id: str | Name
    links: Mapping[str, Sequence[str | Name]]
    kind: Kind | str | None = None
    mode: Mode | str | None = None
    key: Any = None
    host: str | None = dataclasses.field(default=None, kw_only=True, compare=False, repr=False)
    columns: tuple[str, ...] = dataclasses.field(default=(), kw_only=True, compare=False, repr=False)
    known_target: Target | None = dataclasses.field(init=False, compare=False, repr=False)
    """`target`, but None while no run has looked up the id of a target that is given by name."""

    def __init__(
        self,
        id: str | Name,
        links: Mapping[str, Sequence[str | Name]],
        kind: Kind | str | None = None,
        mode: Mode | str | None = None,
        key: Any = None,
        *,
        host: str | None = None,
        columns: tuple[str, ...] = (),
    ) -> None:
        target, host_of_id = parse_target(id, kind)
        set_ = object.__setattr__
        if isinstance(target, Name):
            set_(self, "known_target", None)
            set_(self, "id", target)
            set_(self, "kind", Kind.CUSTOM_OBJECT_RECORD)
        else:
            set_(self, "known_target", target)
            set_(self, "id", target.id)
            set_(self, "kind", target.kind)
        set_(self, "host", host_of_id or (host and host_of(host)))
        set_(self, "mode", parse_mode(mode))
        set_(self, "links", parse_links(links))
        set_(self, "key", plain_key(key))
        set_(self, "columns", columns)

    @classmethod
    def plain(
        cls,
        id: str,
        links: Mapping[str, Sequence[str | int]],
        kind: str | None,
        mode: str | None,
        key: str | None,
        columns: tuple[str, ...] = (),
    ) -> LinkJob | None:
        """The same job as `LinkJob` makes, at a fraction of its cost; None if a value is invalid or not canonical.

        Most rows have canonical values. The types of the arguments are not checked.
        """
        target = plain_target(id, kind)
        if target is None or not links or not (key is None or key.isascii()):
            return None
        if mode is not None and (mode := _MODES.get(mode)) is None:
            return None
        parsed = {}
        for field, records in links.items():
            if _FIELD.fullmatch(field) is None:
                return None
            ids: list[str] = []
            for record in records:
                if type(record) is str:
                    id_ = record
                elif record < _LARGEST:  # type: ignore[operator]
                    id_ = str(record)
                else:  # JSON parsers differ there
                    return None
                if not (id_.isascii() and id_.isdigit()) or id_[0] == "0":
                    return None
                ids.append(id_)
            parsed[field] = tuple(ids) if len(ids) < 2 else tuple(sorted_ids(ids))
        job = _new(cls)
        _set(job, "id", id)
        _set(job, "links", parsed)
        _set(job, "kind", target.kind)
        _set(job, "mode", mode)
        _set(job, "key", key)
        _set(job, "host", None)
        _set(job, "columns", columns)
        _set(job, "known_target", target)
        return job

    @property
    def target(self) -> Target:
        """The resource whose fields the job changes.

        Raises:
            InvalidJob: it is given by name, and no run has looked up its id yet.
        """
        if self.known_target is None:
            assert isinstance(self.id, Name)
            raise InvalidJob(f"the record with the {self.id.field} {quoted(self.id.value)} must be looked up first")
        return self.known_target

    @property
    def by_id(self) -> Mapping[str, Sequence[str]] | None:
        """The job's links if its target and all records are given by id, else None."""
        if self.known_target is None:
            return None
        for records in self.links.values():
            if records and isinstance(records[-1], Name):
                return None
        return self.links  # type: ignore[return-value]  # they end with the names

    def resolved(self, links: Mapping[str, Sequence[str]]) -> LinkJob:
        """The same job with the ids of linked records in place of names."""
        job = copy(self)
        object.__setattr__(job, "links", links)
        return job

    def on(self, target: Target) -> LinkJob:
        """The same job on a target whose id is known by now."""
        job = copy(self)
        object.__setattr__(job, "id", target.id)
        object.__setattr__(job, "known_target", target)
        return job

    @classmethod
    def parse(cls, line: object, match: str | None = None, columns: tuple[str, ...] = ()) -> LinkJob:
        """The job of a decoded line of a job file, or of a dict with the same keys.

        Args:
            match: the field of the custom table by which records are looked up; None if they are ids.
            columns: the columns of a table that the records were read from.

        Raises:
            InvalidJob: it is not a valid job.
        """
        if type(line) is not dict and not isinstance(line, Mapping):
            hint = "; write one object on each line, without a list around them" if isinstance(line, list) else ""
            raise InvalidJob(f"a row must be an object {{…}}, not {quoted(line)}{hint}")
        try:
            job = msgspec.convert(line, JobLine)
        except msgspec.ValidationError as error:
            raise InvalidJob(_plain_message(str(error))) from None
        except UnicodeEncodeError:
            raise InvalidJob("a key of the row is not valid text: it contains half a character") from None
        links = job.links if match is None else matched(job.links, match)
        return cls(id=job.id, links=links, kind=job.kind, mode=job.mode, key=job.key, columns=columns)


_new: Final = object.__new__
_set: Final = object.__setattr__  # a job is frozen


def parse_target(id: object, kind: Kind | str | None = None) -> tuple[Target | Name, str | None]:
    """The target of a job, or the name by which its record is to be looked up; and the host if the id is an address.

    Raises:
        InvalidJob: they name no target; the message says why and what to write.
    """
    if isinstance(id, str) or not isinstance(id, Name | Mapping):
        try:
            return located(id, kind)  # type: ignore[arg-type]  # it refuses other types
        except InvalidJob as error:
            if not (isinstance(id, str) and is_record(kind)) or not id.strip() or spoiled(undressed_id(id)):
                raise
            hint = 'if it is a name, write {"name": "…"}, or add --match name and --table record=PRODUCT/TABLE'
            raise InvalidJob(f"{error.fault}; {hint}", error.part) from None
    if kind is not None and not is_record(kind):
        raise InvalidJob(
            f"must be the reference or numeric id of {Kind.parse(kind).article}, not {quoted(id)}; only records of "
            "custom tables are found by name",
            "id",
        )
    try:
        return id if isinstance(id, Name) else Name.parse(id), None
    except InvalidJob as error:
        raise InvalidJob(error.fault, "id") from None


def is_record(kind: object) -> bool:
    """Whether a user means a record of a custom table by this kind."""
    try:
        return isinstance(kind, str) and Kind.parse(kind) is Kind.CUSTOM_OBJECT_RECORD
    except InvalidJob:
        return False


def parse_mode(mode: Mode | str | None) -> Mode | None:
    """The mode that a user means. Raises `InvalidJob` if there is no such mode."""
    if mode is None or isinstance(mode, Mode):
        return mode
    try:
        return Mode(without_invisible(mode).strip().lower())
    except (ValueError, AttributeError, TypeError):
        raise InvalidJob(f"{quoted(mode)} is unknown; the modes are {', '.join(Mode)}", "mode") from None


def matched(links: Any, field: str) -> Any:
    """The same links with bare records turned into names of that `field`. Invalid parts stay as they are."""
    if not isinstance(links, Mapping):
        return links
    return {
        name: [{field: id} if isinstance(id, str) or whole_number(id) is not None else id for id in given]
        if (given := _listed(ids)) is not None
        else ids
        for name, ids in links.items()
    }


def _listed(records: object) -> Iterable[Any] | None:
    """The records of a list, tuple, set or array; None for anything else, such as a lone id or a generator."""
    if isinstance(records, list | tuple):
        return records
    if isinstance(records, str | bytes | bytearray | memoryview | Mapping):
        return None
    if isinstance(records, Sequence | AbstractSet):
        return records
    listed = records.tolist() if hasattr(records, "tolist") else None  # an array of numpy, a column of pandas
    return listed if isinstance(listed, list) else None


def parse_links(links: Mapping[str, Sequence[Any]]) -> dict[str, tuple[str | Name, ...]]:
    """The canonical links of a job. Raises `InvalidJob`, whose message names the wrong field."""
    if type(links) is not dict and not isinstance(links, Mapping):
        raise InvalidJob(f"must be an object {{field: [record ids]}}, not {quoted(links)}", "links")
    if not links:
        raise InvalidJob('is empty; name at least one field, such as {"customers": []} ([] clears the field)', "links")
    parsed: dict[str, tuple[str | Name, ...]] = {}
    for field, ids in links.items():
        if not is_field(field):
            raise InvalidJob(
                f"{quoted(field)} is not the key of a field; keys have only letters, digits, - and _, at most 200 "
                "(linker tables lists them)",
                "field",
            )
        if (plain := plain_ids(ids)) is not None:
            parsed[field] = tuple(plain) if len(plain) < 2 else tuple(sorted_ids(plain))
            continue
        if (given := _listed(ids)) is None:
            raise InvalidJob(f"must be a list of record ids, not {quoted(ids)}", f"links.{field}")
        try:
            records = [id if isinstance(id, Name) else _record(id) for id in given]
        except InvalidJob as error:
            raise InvalidJob(error.fault, f"links.{field}") from None
        record_ids = sorted_ids([record for record in records if isinstance(record, str)])
        parsed[field] = tuple(record_ids) if len(record_ids) == len(records) else _with_names(record_ids, records)
    return parsed


def _with_names(ids: list[str], records: Sequence[str | Name]) -> tuple[str | Name, ...]:
    return (*ids, *sorted({record for record in records if isinstance(record, Name)}))


def _record(value: object) -> str | Name:
    return Name.parse(value) if isinstance(value, Mapping) else record_id(value)


def is_field(name: object) -> TypeGuard[str]:
    """Whether this can be the key of a field."""
    return isinstance(name, str) and _FIELD.fullmatch(name) is not None


_UNKNOWN_KEY = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING_KEY = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_WRONG_TYPE = re.compile(r"Expected `(.*)`, got `(.*)` - at `\$\.(.*)`", re.DOTALL)
_TYPES: Mapping[str, str] = {
    "object": "an object",
    "array": "a list",
    "str": "a string",
    "str | null": "a string",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
}


def _plain_message(message: str) -> str:
    """A message of msgspec, reworded in terms of a job file."""
    keys = JobLine.__struct_fields__
    if match := _UNKNOWN_KEY.match(message):
        near = difflib.get_close_matches(match[1], keys, n=1)
        hint = f"did you mean {quoted(near[0])}?" if near else f"the keys of a row are {', '.join(keys)}"
        return f"key {quoted(match[1])} is unknown; {hint}"
    if match := _MISSING_KEY.match(message):
        return f"key {quoted(match[1])} is missing"
    if match := _WRONG_TYPE.match(message):
        wanted, found = (_TYPES.get(each, each) for each in match.groups()[:2])
        return f"{match[3]} must be {wanted}, not {found}"
    return message[0].lower() + message[1:].replace("`$.", "`").replace(" - at ", " at ")
