"""Finds keys that stand twice in one JSON object. Parsers keep the last one and drop the others without a word."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from linker.model.job import LinkJob, is_field
from linker.model.target import Target
from linker.sources.entry import Entry, Reading, Rejection, read_entry
from linker.sources.salvage import legible_targets
from linker.text import encodable, plain


def read_object(source: str, line: int, data: bytes, value: Mapping[str, Any], reading: Reading) -> Entry:
    """Return the entry of a JSON object.

    Args:
        data: the object as it stands in the file.
        value: the same, decoded.
    """
    links = value.get("links")
    keys = len(value) + (len(links) if isinstance(links, dict) else 0)
    if data.count(b":") == keys or (most := _most_keys(data)) == keys:  # no key more than those that arrived
        return read_entry(source, line, value, reading)
    if most == _keys(value) or (repeats := _Repeats.of(data)) is None:
        return read_entry(source, line, value, reading)
    return Entry(source, line, repeats.rejection(read_entry(source, line, value, reading), reading))


def _most_keys(data: bytes) -> int:
    """How many keys an object may have: each ends with a quote and a colon, between which white space may stand."""
    spaced = data.count(b" :") + data.count(b"\t:") + data.count(b"\n:") + data.count(b"\r:")
    return data.count(b'":') + spaced


def _keys(value: object) -> int:
    """How many keys all objects of a value have."""
    count, inner = 0, [value]
    while inner:
        part: Any = inner.pop()
        if type(part) is dict:
            count += len(part)
            part = part.values()
        for each in part:
            kind = type(each)
            if kind is dict or kind is list:
                inner.append(each)
    return count


@dataclass
class _Repeats:
    """The first key of an object that stands there twice, and what the object says in all."""

    key: str
    pairs: list[tuple[str, Any]]

    @classmethod
    def of(cls, data: bytes) -> _Repeats | None:
        """Look at an object; None if no key of it or of an object inside stands twice."""
        repeated: list[str] = []
        last: list[tuple[str, Any]] = []

        def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            nonlocal last
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    repeated.append(key)
                seen.add(key)
            last = pairs
            return dict(pairs)

        try:
            json.loads(data, object_pairs_hook=look)
        except (ValueError, RecursionError):  # only lines that no job is: nested hundreds deep, or of huge numbers
            return None
        return cls(repeated[0], last) if repeated else None

    def rejection(self, entry: Entry, reading: Reading) -> Rejection:
        """Reject the object, for all targets and fields that it names.

        Args:
            entry: the object as it would be read with the last of each key.
        """
        message = f'key "{plain(encodable(self.key))}" appears twice in one object; remove one of them'
        value = entry.value
        rejection = Rejection.of(value, message) if isinstance(value, LinkJob) else replace(value, message=message)
        links = [value for key, value in self.pairs if key == "links"]
        fields = {field for each in links if isinstance(each, dict) for field in each}
        ids = [value for key, value in self.pairs if key == "id"]
        is_known = rejection.name is not None or (len(ids) < 2 and not self._has_two("kind"))
        targets = rejection.targets if is_known else self._targets(reading)
        return replace(
            rejection,
            targets=targets,
            fields=frozenset(fields) if fields and all(map(is_field, fields)) else None,
            name=rejection.name if len(ids) < 2 else None,
            links=None,
        )

    def _has_two(self, name: str) -> bool:
        return sum(key == name for key, _ in self.pairs) > 1

    def _targets(self, reading: Reading) -> tuple[Target, ...]:
        """All targets that the ids may mean; none if one of them means none, or is a name."""
        kinds = [value for key, value in self.pairs if key == "kind"] or [None]
        found: dict[Target, None] = {}
        for id in (value for key, value in self.pairs if key == "id"):
            targets = [target for kind in kinds for target in legible_targets(id, kind)]
            if not targets or any(isinstance(reading.id_of(id, kind), dict) for kind in kinds):
                return ()
            found.update(dict.fromkeys(targets))
        return tuple(found)
