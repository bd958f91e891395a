"""Makes files of `replace` rows with a few faults in them, and checks that no list is replaced without one of its rows.

The check goes by a reader of its own, which is as lenient as can be: it looks for reference numbers, fields and record
ids in the text of each physical line, and knows nothing of CSV but the rule for lines that are joined by quotes.
"""

from __future__ import annotations

import io
import json
import random
import re
from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from linker.batch.batch import Batch
from linker.batch.merge import Dropped
from linker.errors import UsageError
from linker.model.job import LinkJob, Mode
from linker.model.target import Target
from linker.sources import JobFile, Reading, Rejection

__all__ = ["RECORDS", "DirtyFile", "check_lists", "make", "mentioned"]

RECORDS: Final = ("640362830", "8397122", "7000000039028184409", "136661093")
COLUMNS: Final = ("id", "field", "record_ids", "key")
ODD: Final = (b'"', b'"', b",", b";", b"\t", b"\n", b"\r", b"\0", b"\\", b" ", b"x", b"0", b"\xe9", b"\xff", b"\xc3")
NOTES: Final = ("", "ok", "rack 19", "Caf\u00e9 du Nord", "a b", "5", "#N/A", "it's")
QUOTED: Final = ("Harbor, Inc", "two\nlines", 'the "old" one', "one; two")

_TARGET = re.compile(r"(?<![A-Za-z0-9_-])PRJ1-[0-9]+(?![A-Za-z0-9_-])")
_ID = re.compile(r"""["']id["']\s*:\s*["'](PRJ1-[0-9]+)["']""")
_BETWEEN = re.compile(r"\}\s*,?\s*(?=\{)")
_FIELD = re.compile(r"(?<![A-Za-z0-9_-])customers(?![A-Za-z0-9_-])")
_RECORD = re.compile(r"(?<![A-Za-z0-9_.,+-])(?:" + "|".join(RECORDS) + r")(?![A-Za-z0-9_.,+-])")


class DirtyFile(msgspec.Struct, frozen=True):
    """A file's bytes, its format, and what the lenient reader needs to know of it."""

    data: bytes
    format: Literal["csv", "jsonl"]
    delimiter: str = ","
    width: int = 0
    id_place: int = 0
    key_place: int = 0


def make(rng: random.Random) -> DirtyFile:
    """A table or a file of JSON Lines with up to three faults."""
    return _table(rng) if rng.random() < 0.65 else _json_lines(rng)


def _table(rng: random.Random) -> DirtyFile:
    columns = rng.sample(COLUMNS, 4)
    delimiter, end = rng.choice(",,;\t"), rng.choice(["\n", "\n", "\r\n", "\r"])
    quote_all, plain = rng.random() < 0.2, rng.random() < 0.6
    rows = []
    for _ in range(rng.randint(2, 7)):
        note = rng.choice(NOTES if plain else NOTES + QUOTED)
        cells = {
            "id": f"PRJ1-{rng.randint(1, 3)}",
            "field": "customers",
            "record_ids": rng.choice(RECORDS),
            "key": note,
        }
        rows.append(delimiter.join(_cell(cells[name], delimiter, quote_all) for name in columns))
    encoding = rng.choice(["utf-8"] * 6 + ["utf-8-sig", "utf-16", "cp1252"])
    head = delimiter.join(columns) + end
    text = end.join(rows) + (end if rng.random() < 0.8 else "")
    lead = len(head.encode(encoding)) + 2  # a fault in the header is one of the whole file
    data = bytearray((head + text).encode(encoding))
    _spoil(data, lead, rng)
    return DirtyFile(bytes(data), "csv", delimiter, len(columns), columns.index("id"), columns.index("key"))


def _cell(text: str, delimiter: str, always: bool) -> str:
    if always or any(char in text for char in (delimiter, '"', "\n")):
        return '"' + text.replace('"', '""') + '"'
    return text


def _json_lines(rng: random.Random) -> DirtyFile:
    lines = []
    for _ in range(rng.randint(2, 7)):
        job = {
            "id": f"PRJ1-{rng.randint(1, 3)}",
            "links": {"customers": [rng.choice(RECORDS)]},
            "key": rng.choice(NOTES),
        }
        keys = rng.sample(sorted(job), 3)
        lines.append(json.dumps({key: job[key] for key in keys}, ensure_ascii=rng.random() < 0.5))
    end = rng.choice(["\n", "\n", "\r\n"])
    data = bytearray((end.join(lines) + end).encode(rng.choice(["utf-8"] * 8 + ["utf-16", "cp1252"])))
    _spoil(data, 0, rng)
    return DirtyFile(bytes(data), "jsonl")


def _spoil(data: bytearray, lead: int, rng: random.Random) -> None:
    """Damage the bytes behind `lead`: replace, insert or leave out some, or cut the file off."""
    for _ in range(rng.randint(0, 3)):
        if len(data) <= lead + 1:
            return
        at = rng.randrange(lead, len(data))
        match rng.randrange(9):
            case 0 | 1:
                data[at : at + 1] = rng.choice(ODD)
            case 2 | 3 | 4:
                data[at:at] = rng.choice(ODD)
            case 5:
                del data[at : at + rng.randint(1, 3)]
            case 6:
                data[at:at] = rng.choice(["\u200b", "\ufeff", "\u00a0", "\u201d"]).encode()
            case 7:
                data[at:at] = b'"'
                further = rng.randrange(lead, len(data))
                data[further:further] = b'"'
            case _:
                del data[rng.randrange(max(lead, len(data) - 40), len(data)) :]


def check_lists(file: DirtyFile) -> None:
    """Read a file, and fail if a `replace` list lacks a record that a line of its target names."""
    batch = Batch(Mode.REPLACE)
    may_be_anywhere = False
    try:
        source = JobFile("dirty", stream=io.BytesIO(file.data), format=file.format)
        for number, entry in enumerate(source._read(Reading())):
            match entry.value:
                case Rejection() as rejection:
                    may_be_anywhere |= rejection.may_be_anywhere
                    for target in rejection.targets:
                        batch.add_dropped(target, Dropped(f"line {entry.line}", rejection.fields))
                case LinkJob() as job:
                    batch.add(number, "dirty", entry.line, job)
    except UsageError:
        return
    if may_be_anywhere:  # then no list loses a link without consent
        return
    lists = {
        desired.target: links.replace
        for desired, _ in batch.desired_states()
        if desired is not None and (links := desired.fields.get("customers")) is not None
    }
    for line, name, records in mentioned(file):
        replaced = lists.get(Target.parse(name))
        missing = records - replaced if replaced is not None else None
        assert not missing, f"line {line}, a row of {name}, is not in the list {sorted(replaced or ())}"


def mentioned(file: DirtyFile) -> Iterator[tuple[int, str, set[str]]]:
    """The lines that name one target and the field, with that target and the records that they name.

    Of a whole row of a table, only the cell of records counts; of JSON, each object of a line counts by itself.
    """
    for line, text in _parts(file):
        targets = set((_ID if file.format == "jsonl" else _TARGET).findall(text))
        if len(targets) == 1 and _FIELD.search(text):
            yield line, targets.pop(), set(_RECORD.findall(text))


def _parts(file: DirtyFile) -> Iterator[tuple[int, str]]:
    for line, text in _lines(file):
        if file.format == "jsonl":
            yield from ((line, part) for part in _BETWEEN.split(text))
            continue
        cells = text.replace('"', "").split(file.delimiter)
        is_whole = _is_row(text, file)
        yield line, file.delimiter.join(cells[: file.key_place] + cells[file.key_place + 1 :]) if is_whole else text


def _lines(file: DirtyFile) -> Iterator[tuple[int, str]]:
    """The physical lines that are rows: all but those inside of a cell."""
    text = file.data.decode("latin-1").replace("\0", "").replace("\xef\xbb\xbf", "").replace("\xe2\x80\x8b", "")
    lines = list(enumerate(re.split(r"\r\n|\n|\r", text), start=1))
    if file.format == "jsonl":
        yield from lines
        return
    place = 0
    while place < len(lines):
        span = _span(lines, place)
        if len(span) == 1 or all(_is_row(line, file) for _, line in span):
            yield from span
        place += len(span)


def _span(lines: list[tuple[int, str]], first: int) -> list[tuple[int, str]]:
    """The lines from an open quote to the one that may close it, or one line."""
    if lines[first][1].count('"') % 2:
        for last in range(first + 1, len(lines)):
            if lines[last][1].count('"') % 2:
                return lines[first : last + 1]
    return [lines[first]]


def _is_row(line: str, file: DirtyFile) -> bool:
    cells = line.replace('"', "").split(file.delimiter)
    return len(cells) == file.width and _TARGET.fullmatch(cells[file.id_place].strip()) is not None
