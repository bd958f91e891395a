"""Indexes the records of a custom table by one of their fields. Compact, and pure.

An exact match goes first. Then names match that differ in case, white space and Unicode form (NFC) alone; all else is a
suggestion. The case of other systems' ids always counts; the two forms of a Salesforce id are one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from linker.model.ids import undressed_id, undressed_name
from linker.model.name import TITLE
from linker.model.salesforce import short_form
from linker.text import folded, same_name, spaced, without_invisible

_NEAR: Final = 0.85
"""The least similarity (Jaro-Winkler) of a name that may have been meant."""

_AS_NEAR: Final = 0.06
"""How much less similar than the nearest name others may be."""

_SLIPS: Final = 1
"""The most characters in which an id of another system may differ from one that may have been meant."""


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
        self.has_semicolons = False
        """Whether a value has a `;`, which stands between names in cells."""
        self._alike: dict[str, list[int]] | None = None  # by what people may take for the same; made when needed

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
        self.has_semicolons = self.has_semicolons or ";" in value
        key = key_of(value, self.field)
        if key:
            same = self._by_key.get(key)
            key = value if key == value else key  # keep one string instead of two equal ones
            self._by_key[key] = place if same is None else (*_as_tuple(same), place)

    def ids(self, value: str) -> list[str]:
        """Return the ids of the records with that value: none, one or several.

        A value that a spreadsheet keeps as text, such as `="Acme Corp"`, stands for itself and for `Acme Corp`.
        """
        places = self._places(value)
        text = without_invisible(value).strip()
        plain = undressed_name(text) if self.field == TITLE else undressed_id(text)
        if plain != text:
            places = tuple(dict.fromkeys((*places, *self._places(plain))))
        return [self._all_ids[place] for place in places]

    def _places(self, value: str) -> tuple[int, ...]:
        places = _as_tuple(self._by_key.get(key_of(value, self.field), ()))
        return tuple(place for place in places if self._values[place] == value) or places

    def value(self, id: str) -> str | None:
        """Return a record's value; None if there is no such record."""
        place = self._ids.get(id)
        return self._values[place] if place is not None else None

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield each record's id and value, in the order of the table."""
        return zip(self._all_ids, self._values, strict=True)

    def nearest(self, value: str, most: int = 3) -> Sequence[tuple[str, str]]:
        """Return values that may have been meant, each with its id, the likeliest first. Takes 100 ns a record.

        Of ids of other systems only those with a slip of one character, or in their case, because they are all alike.
        """
        places = list(dict.fromkeys((*self._look_alikes(value), *self._similar(value, most))))
        return [(self._values[place], self._all_ids[place]) for place in places[:most]]

    def _look_alikes(self, value: str) -> Sequence[int]:
        if self._alike is None:
            self._alike = {}
            for place, known in enumerate(self._values):
                self._alike.setdefault(folded(known), []).append(place)
        return self._alike.get(folded(value), ())

    def _similar(self, value: str, most: int) -> Iterator[int]:
        from rapidfuzz import process  # takes 4 MB, and most runs do not need it
        from rapidfuzz.distance import OSA, JaroWinkler

        key = key_of(value, self.field)
        if self.field != TITLE:
            for text in (key, key[:15]) if len(key) == 18 else (key,):  # its check characters may be the slip
                slips = process.extract(text, self._by_key.keys(), scorer=OSA.distance, limit=most, score_cutoff=_SLIPS)
                for known, _, _ in slips:
                    yield from _as_tuple(self._by_key[known])
            return
        near = process.extract(
            key, self._by_key.keys(), scorer=JaroWinkler.similarity, processor=None, limit=most, score_cutoff=_NEAR
        )
        best = near[0][1] if near else 1.0
        for known, like, _ in near:
            if like >= best - _AS_NEAR:
                yield from _as_tuple(self._by_key[known])


def _as_tuple(places: int | tuple[int, ...]) -> tuple[int, ...]:
    return (places,) if isinstance(places, int) else places


def key_of(value: str, field: str) -> str:
    """Return what two values have in common if they count as the same."""
    if field == TITLE:
        return same_name(value)
    text = spaced(value)
    return short_form(text) or text
