"""Reads a cell with names by the records of their table: the whole cell first, then its parts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from linker.model.ids import undressed_name
from linker.model.name import NAME_LIMIT, Name, name_spans
from linker.records.index import RecordIndex
from linker.sources.formula import from_text
from linker.text import quoted

_LONGEST_RUN: Final = 4
"""The most neighbouring parts that are tried as one name, besides the whole cell: names hold few semicolons."""


_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class CellReading:
    """What a cell with names says.

    Args:
        names: the names, in the order of the cell.
        ambiguity: why it can be read in two ways; empty if it cannot.
        ids: the records of all its readings.
        is_guess: no record has the whole cell's name or that of a part, and a `;` stands in it: one name or several.
    """

    names: tuple[Name, ...]
    ambiguity: str = ""
    ids: tuple[str, ...] = ()
    is_guess: bool = False


def read_cell(cell: Name, records: RecordIndex) -> CellReading:
    """Return the names in a cell. Parts that together are the name of a record, such as `Smith; Jones & Co`, are one.

    If such a part by itself is the name of a record as well, the cell is ambiguous.
    """
    text = undressed_name(cell.value)
    spans = name_spans(text)
    parts = [from_text(text[start:end]) for start, end in spans]
    known = [bool(records.ids(part)) for part in parts]
    joined = _runs(text, spans, may_join=records.has_semicolons)
    runs = {(first, end): name for first, end, name in joined if records.ids(name)}
    names: list[Name] = []
    at = 0
    for (first, end), name in sorted(runs.items()):
        inside = [each for each, is_known in zip(parts[first:end], known[first:end], strict=True) if is_known]
        inside = [part for part in inside if part != name]
        if inside or first < at:
            others = inside or [each for (_, last), each in sorted(runs.items()) if last > first and each != name]
            ids = [id for each in [*runs.values(), *parts] for id in records.ids(each)]
            return CellReading((), _both(cell, records, name, others), tuple(dict.fromkeys(ids)))
        names += [Name(cell.field, part) for part in parts[at:first]]
        names.append(Name(cell.field, name))
        at = end
    names += [Name(cell.field, part) for part in parts[at:]]
    is_guess = len(parts) > 1 and ";" in text and not runs and not any(known)
    return CellReading(tuple(dict.fromkeys(names)), is_guess=is_guess)


def _runs(text: str, spans: list[tuple[int, int]], *, may_join: bool) -> Iterator[tuple[int, int, str]]:
    """Yield neighbouring parts as one name, each with the places of its first part and behind its last; and all.

    Args:
        may_join: whether any record's name has a `;` in it.
    """
    count = len(spans)
    whole = from_text(text.strip())
    if len(whole) <= NAME_LIMIT:  # also with a `;` at its end, which separates nothing
        yield 0, count, whole
    if not (may_join or "\n" in text or "\r" in text):
        return
    for first in range(count):
        for end in range(first + 2, min(first + _LONGEST_RUN, count) + 1):
            if (first, end) != (0, count) and spans[end - 1][1] - spans[first][0] <= NAME_LIMIT:
                yield first, end, from_text(text[spans[first][0] : spans[end - 1][1]])


def _both(cell: Name, records: RecordIndex, name: str, others: Sequence[str]) -> str:
    called = [f"{quoted(each)} ({', '.join(records.ids(each)[:_SHOWN])})" for each in (name, *others[:_SHOWN])]
    more = f" and {len(others) - _SHOWN:,} more" if len(others) > _SHOWN else ""
    return (
        f"the cell {quoted(cell.value)} may be the record {called[0]}, or a list that contains {', '.join(called[1:])}"
        f"{more}; give the ids of the records instead"
    )
