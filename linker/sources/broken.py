"""Finds the targets of a row that cannot be read whole, by where its id should stand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

from linker.errors import InvalidJob
from linker.model.job import parse_target
from linker.model.name import Name
from linker.model.target import Kind, Target
from linker.sources.entry import Reading, Rejection
from linker.sources.header import Header
from linker.sources.quoting import readings
from linker.sources.rows import names_of
from linker.sources.salvage import legible_targets

_REFERENCE: Final = re.compile(r"([A-Za-z0-9_]{1,30}+)(?:-[A-Za-z]{1,2})?-[0-9]+")
_START: Final = re.compile("(?<![A-Za-z])[A-Za-z]|(?<=[a-z])[A-Z]")
"""Where a reference number may start that is glued to other text."""
_LETTER: Final = re.compile("[A-Za-z]")
_MOST: Final = 50
"""Parts of an id cell that are looked at."""


def rejected(
    message: str,
    line: str,
    header: Header,
    reading: Reading,
    *,
    cells: Sequence[str] | None = None,
    is_cut_off: bool = False,
    is_text: bool = True,
) -> Rejection:
    """Return the rejection of a row, with all targets that it may be meant for.

    Args:
        line: the row's first line, whose quotes need not follow the rules.
        cells: the row's cells if it could be split into them.
        is_cut_off: the file ends in the row, so that its last cell is not whole.
        is_text: False if some of the line's bytes could not be decoded, so that a name in it may be wrong.
    """
    found = [list(cells)] if cells is not None else readings(line, header.delimiter)
    if is_cut_off:
        found = [row[:-1] for row in found]
    targets: dict[Target, None] = {}
    names: dict[Name, None] = {}
    for row in found:
        for id, kind, is_sure in _ids(row, header):
            if is_name(kind, reading):
                with suppress(InvalidJob):
                    for given in names_of(id, str(reading.match)):
                        name, _ = parse_target(given, kind)
                        assert isinstance(name, Name)
                        names[name] = None
            elif is_sure or _LETTER.search(id):  # a number may be the id of a record
                targets |= dict.fromkeys(targets_of(id, kind))
    if targets:  # a row that is too wide may be two rows whose line end is lost
        for row in (row for row in found if len(row) > header.width):
            for cell in row[header.width - 1 :]:
                targets |= dict.fromkeys(_behind_other_text(cell))
    if len(names) == 1 and not targets and is_text:
        name = next(iter(names))
        return Rejection(message, kind=Kind.CUSTOM_OBJECT_RECORD, id=name.value, name=name)
    if len(targets) != 1:
        return Rejection(message, tuple(targets))
    (target,) = targets
    return Rejection(message, (target,), kind=target.kind, id=target.id)


def is_row(line: str, header: Header, reading: Reading) -> bool:
    """Whether a line by itself, without its quotes, is a row of the full width with a legible target."""
    for cells in readings(line, header.delimiter):
        while len(cells) > header.width and not cells[-1].strip():
            cells.pop()
        if len(cells) == header.width and has_target(cells, header, reading):
            return True
    return False


def has_target(cells: Sequence[str], header: Header, reading: Reading) -> bool:
    """Whether the id of a row names a target, in whatever form."""
    row = header.cells(cells)
    id, kind = row.get("id", ""), row.get("kind")
    return bool(id) if is_name(kind, reading) else bool(targets_of(id, kind))


def is_name(kind: str | None, reading: Reading) -> bool:
    """Whether the targets of this kind are given by name in this run."""
    return isinstance(reading.id_of("", kind), dict)


def targets_of(id: str, kind: str | None) -> tuple[Target, ...]:
    """Return all targets that an id cell may mean, whatever separates them."""
    whole = legible_targets(id, kind)
    if "," not in id:
        return whole
    parts = id.split(",", _MOST)
    return tuple(dict.fromkeys((*whole, *(target for part in parts for target in legible_targets(part, kind)))))


def _ids(row: Sequence[str], header: Header) -> Iterator[tuple[str, str | None, bool]]:
    """Yield the id and the kind of a row, and whether they surely are those.

    If the width is wrong, they are counted from the start of the row and from its end.
    """
    cells = header.cells(row)
    if "id" in cells:
        id, kind = cells["id"], cells.get("kind")
        is_whole = "id" in header.constants or len(row) == header.width
        yield id, kind, is_whole or (header.places["id"] == 0 and bool(kind))
        if is_whole or _is_plain(id, kind):
            return
    if len(row) > header.width:
        cells = header.cells(row[len(row) - header.width :])
        yield cells["id"], cells.get("kind"), False


def _behind_other_text(cell: str) -> Iterator[Target]:
    """Yield the targets whose reference numbers end in a cell, wherever they start: `okPRJ1-2`."""
    for match in islice(_REFERENCE.finditer(cell), _MOST):
        for start in _START.finditer(match[1]):
            yield from legible_targets(match[0][start.start() :])


def _is_plain(id: str, kind: str | None) -> bool:
    """Whether an id is a valid reference number or address, which is hardly there by chance."""
    try:
        parse_target(id, kind or None)
    except InvalidJob:
        return False
    return "-" in id or "/" in id
