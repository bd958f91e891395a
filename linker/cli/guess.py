"""Guesses what the columns of the user's own table mean, from their headers and their first cells."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linker.errors import InvalidJob, UsageError
from linker.model.target import Kind, Target
from linker.sources.columns import JOB, missing
from linker.sources.encoding import likely_encoding
from linker.sources.opening import HEAD
from linker.text import folded

_ROWS: Final = 200
_DELIMITERS: Final = ",;\t|"
_REFERENCE_WORDS: Final = ("aha", "reference", "ref", "feature", "idea", "epic", "initiative", "requirement")
_NAME_WORDS: Final = ("account name", "customer", "account", "company", "client", "organization", "name")


@dataclass(frozen=True, slots=True)
class OwnTable:
    """The header and the first rows of a table. `encoding` is None for UTF-8."""

    headers: list[str]
    rows: list[list[str]]
    encoding: str | None = None

    @property
    def is_job_table(self) -> bool:
        """Whether the columns have the names of a job's, so that nothing needs to be mapped."""
        names = [folded(header) for header in self.headers]
        return not missing(names) and all(name in JOB for name in names if name)

    def cells(self, column: int) -> list[str]:
        """Return the cells of a column that hold something."""
        return [row[column].strip() for row in self.rows if column < len(row) and row[column].strip()]


def read_own_table(path: Path) -> OwnTable:
    """Read the beginning of a CSV or TSV file.

    Raises:
        UsageError: it cannot be read, or has no header.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    whole = head.rpartition(b"\n")[0] if len(head) == HEAD else head
    encoding = None
    try:
        text = whole.decode("utf-8-sig")
    except UnicodeDecodeError:
        encoding = likely_encoding(whole) or "cp1252"
        text = whole.decode(encoding, errors="replace")
    lines = text.splitlines()
    first = lines[0] if lines else ""
    delimiter = max(_DELIMITERS, key=first.count)
    try:
        table = list(csv.reader(lines[: _ROWS + 1], delimiter=delimiter))
    except csv.Error as error:
        raise UsageError(f"{path} is not a table: {error}") from None
    headers = [" ".join(cell.split()) for cell in table[0]] if table else []
    if not any(headers):
        raise UsageError(f"{path} has no header: its first line must name its columns")
    return OwnTable(headers, table[1:], encoding)


def kind_of(reference: str) -> Kind | None:
    """Return the kind that a reference number or the address of a page implies; None if it implies none."""
    text = re.split(r"[;,\s]", reference.strip())[0].rpartition("/")[2]
    try:
        kind = Target.parse(text).kind
    except InvalidJob:
        return None
    return kind if kind is not Kind.PRODUCT or "/" in reference else None


def kind_in(cells: Sequence[str]) -> Kind | None:
    """Return the commonest kind of references; None if they imply none."""
    kinds = Counter(kind for cell in cells if (kind := kind_of(cell)) is not None)
    return kinds.most_common(1)[0][0] if kinds else None


def reference_column(table: OwnTable) -> int | None:
    """Return the column that most likely has the references of features; None if none looks like one."""
    shares = [_share(table.cells(at), lambda cell: kind_of(cell) is not None) for at in range(len(table.headers))]
    best = max(range(len(shares)), key=lambda at: (shares[at], _rank(table.headers[at], _REFERENCE_WORDS)))
    return best if shares[best] >= 0.5 or _rank(table.headers[best], _REFERENCE_WORDS) > 0 else None


def record_column(table: OwnTable, reference: int | None) -> int | None:
    """Return the column that most likely has the names or ids of records; None if none looks like one."""
    ranks = {at: _rank(header, _NAME_WORDS) for at, header in enumerate(table.headers) if at != reference}
    best = max(ranks, key=lambda at: (ranks[at], -at), default=None)
    return best if best is not None and ranks[best] > 0 else None


def holds_ids(cells: Sequence[str]) -> bool:
    """Whether cells look like ids of records: nothing but digits."""
    return bool(cells) and _share(cells, lambda cell: re.fullmatch(r"[0-9;|,\s]+", cell) is not None) > 0.9


def _share(cells: Sequence[str], is_one: object) -> float:
    assert callable(is_one)
    return sum(map(is_one, cells)) / len(cells) if cells else 0.0


def _rank(header: str, words: Sequence[str]) -> int:
    """Return how early one of the words stands in the list; 0 if the header has none of them."""
    text = f" {re.sub(r'[^a-z0-9]+', ' ', folded(header))} "
    return max((len(words) - at for at, word in enumerate(words) if f" {word}" in text), default=0)
