"""Which column of a table stands for which part of a job: the job's own column names, or those that the user maps."""

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

_JOB: Final = ("kind", "id", "field", "record_ids", "record_names", "mode", "key")
_DELIMITERS: Final = ",;\t"
_CELL_LIMIT: Final = 100_000  # below the csv module's own, 131,072: 6,500 ids of 19 digits
_cell_limit = threading.Lock()


@dataclass(frozen=True, slots=True)
class Columns:
    """How a table of the user's own maps to jobs. Columns that are not named are ignored.

    Args:
        headers: column of a job → header in the table.
        constants: column of a job → value for all rows.

    Raises:
        UsageError: a job has no such column, one is given twice, or one that every job needs is missing.

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
        """The mapping that `--column`, `--set` and `--columns FILE` give together; None if they give none.

        Raises:
            UsageError: an option is invalid, or the file cannot be read.
        """
        headers, values = _parse(columns, "--column"), _parse(constants, "--set")
        if file is not None:
            file_headers, file_values = _read(file)
            file_headers = {name: text for name, text in file_headers.items() if name not in values}
            file_values = {name: text for name, text in file_values.items() if name not in headers}
            headers, values = file_headers | headers, file_values | values
        return cls(headers, values) if headers or values else None


def _parse(arguments: Iterable[str], option: str) -> dict[str, str]:
    """The `NAME=TEXT` arguments of an option."""
    parsed: dict[str, str] = {}
    for argument in arguments:
        name, equals, text = argument.partition("=")
        name = name.strip().lower()
        if not equals or not name:
            raise UsageError(f"{option} {argument}: write {option} NAME='…', with a NAME of {', '.join(_JOB)}")
        if name in parsed:
            raise UsageError(f"{option} {name} is given twice")
        parsed[name] = text.strip()
    return parsed


def _read(file: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The `[columns]` and `[set]` of a TOML file."""
    try:
        with file.open("rb") as stream:
            text = stream.read(LINE_LIMIT + 1)
        if len(text) > LINE_LIMIT:
            raise UsageError(f"{file} is over {LINE_LIMIT:,} bytes long, which no file of columns is")
        value = tomllib.loads(text.decode())
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    except ValueError as error:  # not TOML, not UTF-8, or a number of over 4,300 digits
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
    """Where a table has the columns of a job: `places` by their names, in rows of `width` cells.

    `shown` is what the table calls them, `constants` are the values that all rows share.
    """

    places: Mapping[str, int]
    shown: Mapping[str, str]
    constants: Mapping[str, str]
    width: int
    delimiter: str

    @classmethod
    def parse(cls, line: str, source: str, columns: Columns | None = None) -> Header:
        """Parse the first line of a table.

        Raises:
            UsageError: a column is unknown (it could be a misspelt `mode`) or missing; with `columns`, only missing.
        """
        wanted = _JOB if columns is None else tuple(columns.headers.values())
        names = {folded(name) for name in wanted}
        found = [(cells_of(line, delimiter) or [], delimiter) for delimiter in _DELIMITERS]
        cells, delimiter = max(found, key=lambda split: (len(names & set(map(folded, split[0]))), len(split[0])))
        if columns is None:
            return cls(_own(cells, source), {name: name for name in _JOB}, {}, len(cells), delimiter)
        places = {name: _place(header, cells, source) for name, header in columns.headers.items()}
        shown = {name: cells[place].strip() for name, place in places.items()}
        return cls(places, shown, dict(columns.constants), len(cells), delimiter)

    def __contains__(self, name: str) -> bool:
        return name in self.places or name in self.constants

    def cells(self, row: Sequence[str]) -> dict[str, str]:
        """The cells of a row by column of a job, stripped; a short row lacks some."""
        return {
            **self.constants,
            **{name: row[place].strip() for name, place in self.places.items() if place < len(row)},
        }


def _own(cells: Sequence[str], source: str) -> dict[str, int]:
    """The places of columns that have a job's own names."""
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
    """The place of a header that the user named: an exact match, else one that ignores case and white space."""
    for same in (lambda cell: cell == header, lambda cell: folded(cell) == folded(header)):
        places = [place for place, cell in enumerate(cells) if same(cell)]
        if len(places) > 1:
            raise UsageError(f"{source}, line 1: the column {header!r} stands there {len(places)} times")
        if places:
            return places[0]
    raise UsageError(f"{source}, line 1: there is no column {header!r}{_hint(header, cells)}")


def _missing(names: Iterable[str]) -> str:
    """A column that every job needs and that is not among these; empty if none is missing."""
    present = set(names)
    if not present & {"record_ids", "record_names"}:
        return "record_ids"
    return next((name for name in ("id", "field") if name not in present), "")


def _hint(name: str, choices: Iterable[str]) -> str:
    """The nearest of these choices, or all of them."""
    by_folded = {folded(choice): choice.strip() for choice in choices if choice.strip()}
    near = difflib.get_close_matches(folded(name), by_folded, n=1)
    if near:
        return f"; did you mean {by_folded[near[0]]!r}?"
    return f"; there are {', '.join(map(repr, by_folded.values()))}"


def cells_of(text: str, delimiter: str) -> list[str] | None:
    """The cells of one row (RFC 4180); None if it is not valid CSV."""
    reader = csv.reader([text], delimiter=delimiter, strict=True)
    try:
        if len(text) < _CELL_LIMIT:
            return next(reader, [])
        with _cell_limit:  # the limit holds for the whole process, so restore it at once
            usual = csv.field_size_limit(2 * LINE_LIMIT)
            try:
                return next(reader, [])
            finally:
                csv.field_size_limit(usual)
    except csv.Error:
        return None
