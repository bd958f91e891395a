"""Indexes the records of a custom table by one of their fields. Compact, and pure.

An exact match goes first; then one that differs in white space, in Unicode form (NFKC) or, for names, in case. The case
of other systems' ids always counts, because Salesforce ids of 15 characters may differ in nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from linker.model.job import TITLE
from linker.text import folded, unified

_NEAR: Final = 0.85
"""The least similarity (Jaro-Winkler) of a name that may have been meant."""

_AS_NEAR: Final = 0.06
"""How much less similar than the nearest name others may be."""


class RecordIndex:
    """The records of one table by one field.

    Example:
        >>> customers = RecordIndex("name")
        >>> customers.add("640362830", "Acme Corp")
        >>> customers.ids("ACME corp")
        ['640362830']
    """

    def __init__(self, field: str) -> None:
        self.field = field
        self.whole = True
        """Whether these are as many records as the table reports; if not, a missing one may exist all the same."""
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
        """Whether both probably hold the records of the same table."""
        return len(self) == len(other) and next(iter(other._ids), None) in self

    def add(self, id: str, value: str) -> None:
        """Add a record; one that was added before stays as it is."""
        if id in self._ids:
            return
        place = self._ids[id] = len(self._values)
        self._values.append(value)
        self._all_ids.append(id)
        key = key_of(value, self.field)
        if key:
            same = self._by_key.get(key)
            key = value if key == value else key  # keep one string instead of two equal ones
            self._by_key[key] = place if same is None else (*_as_tuple(same), place)

    def ids(self, value: str) -> list[str]:
        """Return the ids of the records with that value: none, one or several."""
        places = _as_tuple(self._by_key.get(key_of(value, self.field), ()))
        exactly = [place for place in places if self._values[place] == value]
        return [self._all_ids[place] for place in exactly or places]

    def value(self, id: str) -> str | None:
        """Return a record's value; None if there is no such record."""
        place = self._ids.get(id)
        return self._values[place] if place is not None else None

    def nearest(self, value: str, most: int = 3) -> Sequence[tuple[str, str]]:
        """Return values that may have been meant, each with its id, the likeliest first. Takes 100 ns a record."""
        from rapidfuzz import process  # takes 4 MB, and most runs do not need it
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
        places = [place for key, like, _ in near if like >= best - _AS_NEAR for place in _as_tuple(self._by_key[key])]
        return [(self._values[place], self._all_ids[place]) for place in places[:most]]


def _as_tuple(places: int | tuple[int, ...]) -> tuple[int, ...]:
    return (places,) if isinstance(places, int) else places


def key_of(value: str, field: str) -> str:
    """Return what two values have in common if they count as the same."""
    return folded(value) if field == TITLE else unified(value)
