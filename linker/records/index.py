"""The records of a custom table by what a field of theirs holds: compact, and pure.

Exactly what is asked for goes first; else what differs in white space, Unicode form (NFKC) and, for names, case. Ids of
other systems are never folded in their case: those of Salesforce with 15 characters differ in nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from linker.text import folded, unified

__all__ = ["RecordIndex", "key_of"]

_NEAR: Final = 0.85
"""Similarity (Jaro-Winkler) from which on a name may be what was meant."""

_AS_NEAR: Final = 0.06
"""By how much less than the nearest others may be like it."""


class RecordIndex:
    """The records of one table by one field.

    Example:
        >>> customers = Records("name")
        >>> customers.add("640362830", "Acme Corp")
        >>> customers.ids("ACME corp")
        ['640362830']
    """

    def __init__(self, field: str) -> None:
        self.field = field
        self.whole = True
        """They are as many as the table has by its own word; where not, one that is not here may be there."""
        self._values: list[str] = []
        self._ids: dict[str, int] = {}  # id -> place in the values
        self._by_key: dict[str, int | tuple[int, ...]] = {}
        self._all_ids: list[str] = []

    def __repr__(self) -> str:
        return f"<RecordIndex {len(self):,} by {self.field}>"

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, id: object) -> bool:
        return id in self._ids

    def is_same(self, other: RecordIndex) -> bool:
        """Whether these are the records of the same table, as far as can be told."""
        return len(self) == len(other) and next(iter(other._ids), None) in self

    def add(self, id: str, value: str) -> None:
        """Take a record in; one that is there already stays as it is."""
        if id in self._ids:
            return
        place = self._ids[id] = len(self._values)
        self._values.append(value)
        self._all_ids.append(id)
        key = key_of(value, self.field)
        if key:
            same = self._by_key.get(key)
            kept = value if key == value else key  # one string where both are the same
            self._by_key[kept] = place if same is None else (*_each(same), place)

    def ids(self, value: str) -> list[str]:
        """The records that are called that: none, one, or several."""
        places = _each(self._by_key.get(key_of(value, self.field), ()))
        exactly = [place for place in places if self._values[place] == value]
        return [self._all_ids[place] for place in exactly or places]

    def value(self, id: str) -> str | None:
        """What a record is called; None where there is no such record."""
        place = self._ids.get(id)
        return self._values[place] if place is not None else None

    def nearest(self, value: str, most: int = 3) -> Sequence[tuple[str, str]]:
        """Names that may have been meant, each with its id: the likeliest first. Takes 100 ns a record."""
        from rapidfuzz import process  # 4 MB, for runs in which every name is there
        from rapidfuzz.distance import JaroWinkler

        near = process.extract(
            key_of(value, self.field),
            self._by_key.keys(),
            scorer=JaroWinkler.similarity,
            processor=None,
            limit=most,
            score_cutoff=_NEAR,
        )
        best = near[0][1] if near else 1.0
        places = [place for key, like, _ in near if like >= best - _AS_NEAR for place in _each(self._by_key[key])]
        return [(self._values[place], self._all_ids[place]) for place in places[:most]]


def _each(places: int | tuple[int, ...]) -> tuple[int, ...]:
    return (places,) if isinstance(places, int) else places


def key_of(value: str, field: str) -> str:
    """What values have in common that are taken for the same."""
    return folded(value) if field == "name" else unified(value)
