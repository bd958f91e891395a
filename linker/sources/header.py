"""Reads the header of a table: which of its columns is which, and what a row must look like."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from linker.errors import UsageError
from linker.sources.columns import JOB, Columns, hint, missing, nearest
from linker.sources.encoding import Text
from linker.sources.lines import Line, Lines
from linker.sources.quoting import Record, State, without_end
from linker.text import folded, quoted, without_invisible

_DELIMITERS: Final = ",;\t|"
_SEP: Final = re.compile(r'"?sep=([^\w\s"]|\t)"?\1*', re.IGNORECASE)
"""The line by which Excel is told the delimiter."""
_MOST_LINES: Final = 100
"""Lines over which a header may extend."""
_SHOWN: Final = 10
_IDS: Final = re.compile(r"[0-9\s;|]*[0-9][0-9\s;|]*")
_CERTAIN: Final = re.compile(r"[A-Za-z0-9_]+-[A-Za-z0-9-]+|\S+/[^\s;|,]+")
"""A reference number or an address, which hardly stands in another column."""
_REFERENCE: Final = re.compile(r"\s*[A-Za-z][A-Za-z0-9_]*(-[A-Za-z]{1,2})?-[0-9]+\s*")


@dataclass(frozen=True, slots=True)
class Header:
    """Where a table has the columns of a job: `places` by their names, in rows of `width` cells.

    `shown` is what the table calls them, `names` are the names of all its columns, `constants` are the values that all
    rows share. If it `is_spaced`, spaces may stand between a delimiter and a quote.
    """

    places: Mapping[str, int]
    shown: Mapping[str, str]
    constants: Mapping[str, str]
    names: Sequence[str]
    delimiter: str
    is_spaced: bool = False

    @property
    def width(self) -> int:
        """How many cells a row has."""
        return len(self.names)

    def __contains__(self, name: str) -> bool:
        return name in self.places or name in self.constants

    def cells(self, row: Sequence[str]) -> dict[str, str]:
        """The cells of a row by column of a job, stripped; a short row lacks some."""
        return {
            **self.constants,
            **{name: row[place].strip() for name, place in self.places.items() if place < len(row)},
        }

    def column(self, place: int) -> str:
        """The column at this place, as a message names it."""
        name = " ".join(self.names[place].split()) if place < len(self.names) else ""
        return (
            f'column "{name if len(name) <= _SHOWN * 6 else name[: _SHOWN * 6] + "…"}"' if name else f"cell {place + 1}"
        )

    def place(self, name: str) -> str:
        """Where the table has this column of a job, as a message names it: `column "Aha Ref"` or `--set kind`."""
        return self.column(self.places[name]) if name in self.places else f"--set {name}"

    def fault(self, row: Sequence[str]) -> str | None:
        """Why a row cannot be used for the number of its cells; None if it can.

        Spreadsheets leave out empty cells at the end of a row, or write more of them than the header has.
        """
        count, width = len(row), self.width
        if count == width:
            return None
        found = f"the row has {count:,} cell{'s' * (count != 1)}, but the header has {width:,}"
        if count > width:
            if any(cell.strip() for cell in row[width:]):
                return f"{found}; put quotes around a cell that contains a {quoted(self.delimiter)}"
            place = self._shifted(row)
            if place is None:
                return None
            return (
                f"{found}, and {quoted(row[place + 1].strip())} may belong to {self.column(place)}; put quotes around "
                "that cell, or remove the delimiter at the end of the row"
            )
        id = self.cells(row).get("id", "")
        if id and "id" in self.places and not self._is_certain(id):
            place = self.places["id"]
            return f"{found}, so {quoted(id)} may not belong to {self.column(place)}; add the missing cells"
        lacking = next((self.places[name] for name in ("id", "field") if self.places.get(name, 0) >= count), None)
        if lacking is None and not self._has_records(row):
            lacking = min(
                self.places[name] for name in ("record_ids", "record_names") if self.places.get(name, 0) >= count
            )
        return None if lacking is None else f"{found}: {self.column(lacking)} is missing"

    def _is_certain(self, id: str) -> bool:
        """Whether the id of a short row is no other cell, and no two of them: a delimiter may be missing before it."""
        parts = [part.strip() for part in re.split(r"[;|,\r\n]", without_invisible(id))]
        return (len(parts) == 1 and self.places["id"] == 0) or all(map(_CERTAIN.fullmatch, filter(None, parts)))

    def _has_records(self, row: Sequence[str]) -> bool:
        """Whether no column of records is missing in a short row, or another one is filled."""
        names = [name for name in ("record_ids", "record_names") if name in self]
        cells = self.cells(row)
        return all(name in cells for name in names) or any(cells.get(name) for name in names)

    def _shifted(self, row: Sequence[str]) -> int | None:
        """The place of a list that an unquoted delimiter may have cut in two; then the rest stands too far right."""
        for name in ("id", "record_ids", "record_names"):
            place = self.places.get(name, self.width)
            if place + 1 >= self.width or not row[place].strip():
                continue
            after = row[place + 1]
            looks_alike = {"id": _REFERENCE, "record_ids": _IDS}.get(name)
            if (looks_alike is not None and looks_alike.fullmatch(after)) or (
                name != "id" and not self.is_spaced and after.startswith(" ") and after.strip()
            ):
                return place
        return None


def read_header(lines: Lines, text: Text, source: str, columns: Columns | None) -> Header:
    """Read the header, and leave the lines behind it.

    Raises:
        UsageError: a column is unknown (it could be a misspelt `mode`) or missing; with `columns`, only missing.
    """
    first = lines.take() or Line(1, b"")
    delimiters = _DELIMITERS
    if (sep := _SEP.fullmatch(without_end(_decoded(first)))) is not None:
        delimiters = sep[1]
        first = lines.take() or Line(2, b"")
    wanted = JOB if columns is None else tuple(columns.headers.values())
    names = {_folded(name) for name in wanted}
    further: list[Line] = []
    found = [(*_record(first, further, lines, delimiter), delimiter) for delimiter in delimiters]
    cells, used, delimiter = max(found, key=lambda each: (len(names & set(map(_folded, each[0]))), len(each[0])))
    lines.put_back(further[used:])
    place = f"{source} line {first.number:,}"
    names_of_cells = [" ".join(without_invisible(cell).split()) for cell in cells]
    while names_of_cells and not names_of_cells[-1]:
        names_of_cells.pop()
    try:
        if columns is None:
            places = _own(names_of_cells)
            shown, constants = {name: name for name in JOB}, {}
        else:
            places = {name: _place(header, cells[: len(names_of_cells)]) for name, header in columns.headers.items()}
            shown, constants = {name: cells[at].strip() for name, at in places.items()}, dict(columns.constants)
    except _NotThere as error:
        raise UsageError(f"{place}: {_other_file(first, text) or error}") from None
    for line in (first, *further[:used]):
        text.decode(line.data, line.number)  # reports it if it is not UTF-8
    return Header(places, shown, constants, names_of_cells, delimiter, _is_spaced(_decoded(first), delimiter))


class _NotThere(Exception):
    """A column is missing, unknown or ambiguous."""


def _record(first: Line, further: list[Line], lines: Lines, delimiter: str) -> tuple[list[str], int]:
    """The cells of the first row, and how many of the further lines it takes. These are taken as they are needed."""
    for spaced in (False, True):
        record = Record(delimiter, spaced=spaced)
        state, used = record.feed(_decoded(first)), 0
        while state is State.OPEN and used < _MOST_LINES:
            if used == len(further):
                line = lines.take()
                if line is None:
                    break
                further.append(line)
            state, used = record.feed(_decoded(further[used])), used + 1
        if state is State.COMPLETE and (spaced or not any(cell.lstrip(" ").startswith('"') for cell in record.cells)):
            return record.cells, used
    return [], 0


def _decoded(line: Line) -> str:
    """A line of the header; what is not UTF-8 matches no name."""
    return line.data.decode(errors="replace")


def _folded(name: str) -> str:
    return folded(without_invisible(name))


def _is_spaced(line: str, delimiter: str) -> bool:
    """Whether a space stands behind each delimiter of the header, or before a quote."""
    count = line.count(delimiter)
    return 0 < count == line.count(f"{delimiter} ") or re.search(rf'{re.escape(delimiter)} +"', line) is not None


def _own(cells: Sequence[str]) -> dict[str, int]:
    """The places of columns that have a job's own names. A column without a name is passed over."""
    names = [_folded(cell) for cell in cells]
    unknown = next((name for name in names if name and name not in JOB), None)
    if unknown is not None or missing(names) or any(names.count(name) > 1 for name in JOB):
        near = nearest(unknown[:200], JOB) if unknown else ""
        doubt = f"{quoted(_bounded(unknown))} is unknown{near or '.'} " if unknown else ""
        shown = ", ".join(_bounded(name) or "(unnamed)" for name in names[:_SHOWN]) or "(none)"
        more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
        raise _NotThere(
            f"the columns are {shown}{more}; linker needs id, field, and record_ids or record_names, each once (kind, "
            f"mode and key are optional). {doubt}For columns with other names, run linker init FILE, "
            "or add --column id='Your Column' and so on"
        )
    return {name: place for place, name in enumerate(names) if name}


def _place(header: str, cells: Sequence[str]) -> int:
    """The place of a header that the user named: an exact match, else one that ignores case and white space."""
    for same in (lambda cell: cell == header, lambda cell: _folded(cell) == _folded(header)):
        places = [place for place, cell in enumerate(cells) if same(cell)]
        if len(places) > 1:
            raise _NotThere(f"the column {quoted(header)} appears {len(places)} times; rename all but one of them")
        if places:
            return places[0]
    raise _NotThere(f"there is no column {quoted(header)}{hint(header, (cell[:200] for cell in cells))}")


def _bounded(name: str) -> str:
    return name if len(name) <= 40 else f"{name[:40]}…"


def _other_file(first: Line, text: Text) -> str | None:
    """What the file is, if its first line shows that it is no table in UTF-8, and what to do."""
    start = without_invisible(_decoded(first)[:1000]).lstrip().lower()
    if re.match(r"<(!doctype|!--|\?xml|[a-z]+[\s>/:])", start):
        kind = "XML" if start.startswith("<?xml") else "HTML"
        return f"this is {kind}, not a table; open it in a spreadsheet and save it as CSV UTF-8"
    if re.match(r'\{\s*("|\}|\Z)|\[\s*([\[{"0-9]|\]|\Z)', start):
        return "this is JSON, not a table; if it has one object on each line, rename it to .jsonl"
    try:
        whole = b"\0" not in first.data and first.data.decode() is not None
    except UnicodeDecodeError:
        whole = False
    if whole:
        return None
    shown = ", ".join(_bounded(cell.strip()) for cell in re.split(r"[,;\t|]", without_end(_decoded(first)))[:_SHOWN])
    fault = "contains zero bytes" if b"\0" in first.data else "is not UTF-8"
    return f"the header {fault} ({shown}); {text.advice(first.data)}"
