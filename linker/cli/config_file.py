"""Reads a settings file (TOML), and says in which line something in it is wrong."""

from __future__ import annotations

import codecs
import difflib
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

from linker.errors import UsageError
from linker.text import plain

_LONGEST: Final = 1_000_000
_POSITION: Final = re.compile(r"(.*?)\s*\(at line ([0-9]+), column [0-9]+\)", re.DOTALL)
_HEADING: Final = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?")
_SHOWN: Final = 12


@dataclass(frozen=True, slots=True)
class Document:
    """A settings file: its values, and its text to find their lines in.

    `is_chosen`: the user named the file. Otherwise linker found it in the working directory, where anybody may have put
    it, so it may do less.
    """

    path: Path
    is_chosen: bool
    value: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""

    def fail(self, keys: Iterable[str], message: str) -> NoReturn:
        """Raise the `UsageError` of a value: `linker.toml, line 4: …`.

        Args:
            keys: the way to the value, such as `("run", "mode")`.
        """
        line = self._line(tuple(keys))
        raise UsageError(f"{self.path}{f', line {line}' if line else ''}: {message}")

    def table(self, value: object, keys: tuple[str, ...]) -> Mapping[str, Any]:
        """Return a value that must be a section. Raises `UsageError` if it is not."""
        if not isinstance(value, dict):
            self.fail(keys, f"{'.'.join(keys)} is a section; write it as [{'.'.join(keys)}], with its values below")
        return value

    def _line(self, keys: tuple[str, ...]) -> int | None:
        """Return the line of a key or a section; None if its form is too unusual to find it by its text."""
        section: tuple[str, ...] = ()
        for number, line in enumerate(self.text.splitlines(), start=1):
            if (heading := _HEADING.fullmatch(line)) is not None:
                section = tuple(part.strip(" \"'") for part in heading[1].split("."))
                if section[: len(keys)] == keys:
                    return number
            name, equals, _ = line.partition("=")
            if equals and (*section, *(part.strip(" \"'") for part in name.strip().split("."))) == keys:
                return number
        return None


def read(path: Path, *, is_chosen: bool) -> Document | None:
    """Read a settings file; return None if it does not exist and was not chosen.

    Raises:
        UsageError: it cannot be read, is not TOML, or was found by chance and may be somebody else's.
    """
    try:
        with path.open("rb") as stream:
            if not is_chosen:
                _check_owner(path, os.fstat(stream.fileno()))
            data = stream.read(_LONGEST + 1)
    except FileNotFoundError:
        if not is_chosen:
            return None
        raise UsageError(f"{path} does not exist; linker init writes a settings file") from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    if len(data) > _LONGEST:
        raise UsageError(f"{path} is over {_LONGEST:,} bytes long, so it is not a settings file")
    try:
        text = data.removeprefix(codecs.BOM_UTF8).decode()
        return Document(path, is_chosen, tomllib.loads(text), text)
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not in UTF-8; save it in that encoding") from None
    except ValueError as error:  # not TOML, or a number of over 4,300 digits
        position = _POSITION.fullmatch(str(error))
        why = f"line {position[2]}: {position[1]}" if position is not None else str(error)
        raise UsageError(f"{path} is not valid TOML: {plain(why)}") from None
    except RecursionError:
        raise UsageError(f"{path} is not valid TOML: it is nested too deeply") from None


def _check_owner(path: Path, status: os.stat_result) -> None:
    """Refuse a file that another user may have put in the working directory: it could choose where links go."""
    if status.st_uid not in (0, os.geteuid()):
        raise UsageError(f"{path} belongs to another user; if you trust it, add --config {path}")
    if status.st_mode & stat.S_IWOTH:
        raise UsageError(f"{path} can be changed by every user of this machine; run: chmod o-w {path}")


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return which name was probably meant; if none is near, the names that there are."""
    known = list(dict.fromkeys(choices))
    if near := difflib.get_close_matches(name.lower(), known, n=1):
        return f'did you mean "{near[0]}"?'
    more = ", …" if len(known) > _SHOWN else ""
    return f"use one of {', '.join(known[:_SHOWN])}{more}" if known else "there are none"
