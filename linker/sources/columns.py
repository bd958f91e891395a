"""Which column of the user's table stands for which column of a job, by options or by a TOML file."""

from __future__ import annotations

import codecs
import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from linker.errors import UsageError
from linker.sources.lines import LINE_LIMIT
from linker.text import folded, plain, quoted

JOB: Final = ("kind", "id", "field", "record_ids", "record_names", "mode", "key")
"""The columns of a job."""

_SECTIONS: Final = ("columns", "set", "account", "tables", "name_fields", "run", "profile")
"""The sections of a settings file, of which `[columns]` and `[set]` are read here."""

_AT_LINE: Final = re.compile(r"(.*) \(at line ([0-9]+), column [0-9]+\)")
_SHOWN: Final = 10
_COMPARED: Final = 1_000


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
            if name not in JOB:
                raise UsageError(f"column {quoted(name)} is unknown{hint(name, JOB)}")
            if name in self.headers and name in self.constants:
                raise UsageError(f"column {quoted(name)} is given twice, by --column and by --set; remove one of them")
        for name, header in self.headers.items():
            if not header.strip():
                raise UsageError(f"column {quoted(name)} has no header; write --column {name}='Your Column'")
        if what := missing((*self.headers, *self.constants)):
            raise UsageError(
                f"column {quoted(what)} is missing; add --column {what}='Your Column', or --set {what}=VALUE if it is "
                "the same in all rows"
            )

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
            raise UsageError(f"{option} {argument}: write {option} NAME='…', where NAME is one of {', '.join(JOB)}")
        if name in parsed:
            raise UsageError(f"{option} {name} is given twice; remove one of them")
        parsed[name] = text.strip()
    return parsed


def _read(file: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The `[columns]` and `[set]` of a TOML file."""
    try:
        with file.open("rb") as stream:
            text = stream.read(LINE_LIMIT + 1)
        if len(text) > LINE_LIMIT:
            raise UsageError(f"{file} is longer than {LINE_LIMIT:,} bytes, so it is not a file of columns")
        value = tomllib.loads(text.removeprefix(codecs.BOM_UTF8).decode())
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    except ValueError as error:  # not TOML, not UTF-8, or a number of over 4,300 digits
        raise UsageError(f"{file} is not valid TOML: {_why(error)}") from None
    except RecursionError:
        raise UsageError(f"{file} is not valid TOML: it is nested too deeply") from None
    for name in value:
        if name not in _SECTIONS:
            raise UsageError(f"{file}: [{plain(name)}] is unknown{hint(name, ('columns', 'set'))}")
    return _texts(value.get("columns", {}), file), _texts(value.get("set", {}), file)


def _texts(table: Any, file: Path) -> dict[str, str]:
    if not isinstance(table, dict) or not all(isinstance(text, str) for text in table.values()):
        raise UsageError(f'{file}: each line of [columns] and [set] must be NAME = "text"')
    return {name.strip().lower(): text.strip() for name, text in table.items()}


def _why(error: ValueError) -> str:
    """What is wrong with a TOML file, beginning with the line: `line 4: Expected '=' after a key`."""
    text = plain(str(error))
    match = _AT_LINE.fullmatch(text)
    return f"line {match[2]}: {match[1]}" if match is not None else text


def missing(names: Iterable[str]) -> str:
    """A column that every job needs and that is not among these; empty if none is missing."""
    present = set(names)
    if not present & {"record_ids", "record_names"}:
        return "record_ids"
    return next((name for name in ("id", "field") if name not in present), "")


def hint(name: str, choices: Iterable[str]) -> str:
    """Return the nearest of these choices, or some of them, as the end of a message."""
    by_folded = _by_folded(choices)
    if near := nearest(name, by_folded.values()):
        return near
    shown = ", ".join(map(quoted, islice(by_folded.values(), _SHOWN)))
    more = f" and {len(by_folded) - _SHOWN:,} more" if len(by_folded) > _SHOWN else ""
    return f"; choose one of {shown}{more}" if shown else ""


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return the nearest of these choices as the end of a message; empty if none is near."""
    by_folded = _by_folded(choices)
    near = difflib.get_close_matches(folded(name), by_folded, n=1)
    return f"; did you mean {quoted(by_folded[near[0]])}?" if near else ""


def _by_folded(choices: Iterable[str]) -> dict[str, str]:
    return {folded(choice): choice.strip() for choice in islice(choices, _COMPARED) if choice.strip()}
