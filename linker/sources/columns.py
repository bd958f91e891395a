"""Which column of a table is which of a job's: the table's own, or as its user says (a CRM's export as it is)."""

from __future__ import annotations

import csv
import difflib
import threading
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from linker.errors import UsageError
from linker.sources.jsonl import LINE_LIMIT
from linker.text import folded

__all__ = ["Columns", "Header", "cells_of"]

_JOB: Final = ("kind", "id", "field", "record_ids", "record_names", "mode", "key")
_DELIMITERS: Final = ",;\t"
_CELL_LIMIT: Final = 100_000  # below the csv module's own, 131,072: 6,500 ids of 19 digits
_cell_limit = threading.Lock()


@dataclass(frozen=True, slots=True)
class Columns:
    """Which headers of a user's own table stand for which columns of a job, and what holds for each of its rows.

    Columns that are not named are passed over, whatever they are called.

    Raises:
        UsageError: a job has no such column, or one is named twice, or some that a job must have are not.

    Example:
        >>> Columns({"id": "Aha Ref", "record_names": "Account Name"}, {"field": "customers", "kind": "feature"})
    """

    headers: Mapping[str, str]
    constants: Mapping[str, str]

    def __post_init__(self) -> None:
        for name in (*self.headers, *self.constants):
            if name not in _JOB:
                raise UsageError(f"column {name!r} is none of a job's{_hint(name, _JOB)}")
            if name in self.headers and name in self.constants:
                raise UsageError(f"column {name!r} is told twice: by a header of the table, and for all of its rows")
        for name, header in self.headers.items():
            if not header.strip():
                raise UsageError(f"column {name!r}: which header of the table? Write {name}='Its Header'")
        if what := _missing((*self.headers, *self.constants)):
            raise UsageError(f"{what} is not told: say --column {what}=HEADER, or --set {what}=VALUE for all rows")

    @classmethod
    def parse(cls, columns: Iterable[str], constants: Iterable[str], file: Path | None = None) -> Columns | None:
        """What `--column`, `--set` and `--columns FILE` say together; None where they say nothing.

        Raises:
            UsageError: they say nothing that could be meant, or the file cannot be read.
        """
        headers, values = _told(columns, "--column"), _told(constants, "--set")
        if file is not None:
            kept_headers, kept_values = _read(file)
            kept_headers = {name: text for name, text in kept_headers.items() if name not in values}
            kept_values = {name: text for name, text in kept_values.items() if name not in headers}
            headers, values = kept_headers | headers, kept_values | values
        return cls(headers, values) if headers or values else None


def _told(options: Iterable[str], option: str) -> dict[str, str]:
    told: dict[str, str] = {}
    for each in options:
        name, equals, text = each.partition("=")
        name = name.strip().lower()
        if not equals or not name:
            raise UsageError(f"{option} {each}: write {option} NAME='…', with a NAME of {', '.join(_JOB)}")
        if name in told:
            raise UsageError(f"{option} {name} is given twice")
        told[name] = text.strip()
    return told


def _read(file: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The tables `columns` and `set` of a TOML file."""
    try:
        with file.open("rb") as stream:
            text = stream.read(LINE_LIMIT + 1)
        if len(text) > LINE_LIMIT:
            raise UsageError(f"{file} is over {LINE_LIMIT:,} bytes long, which no file of columns is")
        value = tomllib.loads(text.decode())
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    except ValueError as error:  # what is no TOML, no UTF-8, or a number of over 4,300 digits
        raise UsageError(f"{file} is no TOML: {error}") from None
    except RecursionError:
        raise UsageError(f"{file} is no TOML of columns: it is nested too deep") from None
    for name in value:
        if name not in ("columns", "set"):
            raise UsageError(f"{file}: {name!r} is neither [columns] nor [set]{_hint(name, ('columns', 'set'))}")
    return _texts(value.get("columns", {}), file), _texts(value.get("set", {}), file)


def _texts(table: Any, file: Path) -> dict[str, str]:
    if not isinstance(table, dict) or not all(isinstance(text, str) for text in table.values()):
        raise UsageError(f'{file}: write [columns] and [set] as lines of NAME = "text"')
    return {name.strip().lower(): text.strip() for name, text in table.items()}


@dataclass(frozen=True, slots=True)
class Header:
    """Where the columns of a job stand in a table: `places` by their names, among `width` cells in a row.

    `shown` is what the table calls them, `constants` what all rows have.
    """

    places: Mapping[str, int]
    shown: Mapping[str, str]
    constants: Mapping[str, str]
    width: int
    delimiter: str

    @classmethod
    def parse(cls, line: str, source: str, columns: Columns | None = None) -> Header:
        """The header that a table's first line is.

        Raises:
            UsageError: its columns are not a job's (one too many could be a misspelt `mode`), nor those that
                `columns` names.
        """
        wanted = _JOB if columns is None else tuple(columns.headers.values())
        names = {folded(name) for name in wanted}
        found = [(cells_of(line, delimiter) or [], delimiter) for delimiter in _DELIMITERS]
        cells, delimiter = max(found, key=lambda each: (len(names & set(map(folded, each[0]))), len(each[0])))
        if columns is None:
            return cls(_own(cells, source), {name: name for name in _JOB}, {}, len(cells), delimiter)
        places = {name: _place(header, cells, source) for name, header in columns.headers.items()}
        shown = {name: cells[place].strip() for name, place in places.items()}
        return cls(places, shown, dict(columns.constants), len(cells), delimiter)

    def __contains__(self, name: str) -> bool:
        return name in self.places or name in self.constants

    def cells(self, row: Sequence[str]) -> dict[str, str]:
        """What a row says of each column of a job, without white space around it; of a short row, what there is."""
        return {
            **self.constants,
            **{name: row[place].strip() for name, place in self.places.items() if place < len(row)},
        }


def _own(cells: Sequence[str], source: str) -> dict[str, int]:
    """The places of a job's own columns."""
    names = [cell.strip().lower() for cell in cells]
    unknown = next((name for name in names if name not in _JOB), None)
    if unknown is not None or _missing(names) or len(set(names)) < len(names):
        hint = _hint(unknown, _JOB) if unknown else ""
        raise UsageError(
            f"{source}, line 1: the columns are {', '.join(name or '(unnamed)' for name in names) or '(none)'}; "
            f"wanted are {', '.join(_JOB)} (id, field and record_ids or record_names at least, each once){hint}. "
            "Where they are called otherwise, say --column id='Their Name'"
        )
    return {name: place for place, name in enumerate(names)}


def _place(header: str, cells: Sequence[str], source: str) -> int:
    """Where a header stands that a user has named: exactly so, or but for case and white space."""
    for same in (lambda cell: cell == header, lambda cell: folded(cell) == folded(header)):
        places = [place for place, cell in enumerate(cells) if same(cell)]
        if len(places) > 1:
            raise UsageError(f"{source}, line 1: the column {header!r} stands there {len(places)} times")
        if places:
            return places[0]
    raise UsageError(f"{source}, line 1: there is no column {header!r}{_hint(header, cells)}")


def _missing(names: Iterable[str]) -> str:
    """A column that a job must have and that is not among these; empty where there is none."""
    told = set(names)
    if not told & {"record_ids", "record_names"}:
        return "record_ids"
    return next((name for name in ("id", "field") if name not in told), "")


def _hint(name: str, known: Iterable[str]) -> str:
    """What may have been meant instead."""
    by_folded = {folded(each): each.strip() for each in known if each.strip()}
    near = difflib.get_close_matches(folded(name), by_folded, n=1)
    if near:
        return f"; did you mean {by_folded[near[0]]!r}?"
    return f"; there are {', '.join(map(repr, by_folded.values()))}"


def cells_of(text: str, delimiter: str) -> list[str] | None:
    """The cells of one row (RFC 4180), None where it is no CSV."""
    reader = csv.reader([text], delimiter=delimiter, strict=True)
    try:
        if len(text) < _CELL_LIMIT:
            return next(reader, [])
        with _cell_limit:  # the limit is the process's: put back at once
            usual = csv.field_size_limit(2 * LINE_LIMIT)
            try:
                return next(reader, [])
            finally:
                csv.field_size_limit(usual)
    except csv.Error:
        return None
