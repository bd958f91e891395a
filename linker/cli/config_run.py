"""Reads the section `[run]` of a settings file: any option of `linker run`, by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click

from linker.cli.config_file import Document, nearest
from linker.errors import UsageError
from linker.settings import Settings

RESULTS_FOLDER: Final = "results_folder"
"""The folder for results files whose name is not given. It is not an option: `--results` is the path of one file."""

_FOR_EACH_RUN: Final = frozenset(
    {"yes", "overwrite", "allow_empty", "allow_unreadable", "account_unchecked", "insecure_http", "dry_run"}
)
"""Options that waive a protection, or decide whether a run writes: only the command line says them, each time."""

_OF_THE_ACCOUNT: Final = {"account": "name", "url": "url", "token_file": "token_file"}
_PAIRS: Final = {"column": "columns", "set": "set", "table": "tables", "name_field": "name_fields"}
"""Options of the form NAME=VALUE, and the sections that say the same."""


@dataclass(slots=True)
class RunSection:
    """Values of `[run]`: by parameter of the command, and those that other sections may say too."""

    values: dict[str, Any] = field(default_factory=dict)
    pairs: list[tuple[str, str, str]] = field(default_factory=list)
    """Section, name and value."""
    results_folder: Path | None = None


def parse_run(
    document: Document,
    keys: tuple[str, ...],
    section: Mapping[str, Any],
    options: Sequence[click.Parameter],
    resolve: Callable[[str], Path],
) -> RunSection:
    """Parse the section.

    Args:
        keys: the way to the section in the file.
        options: the parameters of `linker run`.
        resolve: returns the path that a text of the file means.

    Raises:
        UsageError: an option is unknown, has a wrong type, or must be given on the command line.
    """
    run = RunSection()
    by_name = _by_name(options)
    for key, value in section.items():
        name = key.strip().replace("-", "_").lower()
        way = (*keys, key)
        if name == RESULTS_FOLDER:
            if not isinstance(value, str) or not value.strip():
                document.fail(way, f'[run] {key} must be a folder in quotes: {key} = "runs"')
            run.results_folder = resolve(value)
            continue
        if name in _OF_THE_ACCOUNT:
            document.fail(way, f"[run] {key}: write {_OF_THE_ACCOUNT[name]} in the section [account] instead")
        if name in _FOR_EACH_RUN:
            document.fail(
                way,
                f"[run] {key}: you decide this for each run; instead, add --{name.replace('_', '-')} to the command",
            )
        if name not in by_name:
            document.fail(
                way, f"[run] {key} is not an option of linker run; {nearest(name, [*by_name, RESULTS_FOLDER])}"
            )
        option, is_on = by_name[name]
        if name in _PAIRS:
            run.pairs += [(_PAIRS[name], *_pair(document, way, name, text)) for text in _list(document, way, value)]
            continue
        parsed = _value(document, way, option, value, resolve)
        run.values[option.name or name] = parsed if is_on else not parsed
    return run


def _by_name(options: Sequence[click.Parameter]) -> dict[str, tuple[click.Option, bool]]:
    """Return the options that a file may set, by name; with False for a name that switches its option off."""
    by_name: dict[str, tuple[click.Option, bool]] = {}
    for option in options:
        if isinstance(option, click.Option) and option.name not in ("config", "profile", "help", *_OF_THE_ACCOUNT):
            for names, is_on in ((option.opts, True), (option.secondary_opts, False)):
                for name in names:
                    if name.startswith("--"):
                        by_name[name[2:].replace("-", "_")] = option, is_on
    return {name: found for name, found in by_name.items() if found[0].name not in _FOR_EACH_RUN}


def _list(document: Document, way: tuple[str, ...], value: object) -> list[str]:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(text, str) for text in listed):
        document.fail(way, f'[run] {way[-1]} must be a string or a list of strings: ["…", "…"]')
    return listed


def _pair(document: Document, way: tuple[str, ...], name: str, text: str) -> tuple[str, str]:
    left, equals, right = text.partition("=")
    if not equals and name == "name_field":
        return "", text.strip()
    if not equals:
        document.fail(way, f'[run] {way[-1]}: "{text[:80]}" is not of the form NAME=VALUE')
    return left.strip(), right.strip()


def _value(
    document: Document, way: tuple[str, ...], option: click.Option, value: Any, resolve: Callable[[str], Path]
) -> Any:
    expected, is_right = _expected(option, value)
    if not is_right:
        document.fail(way, f"[run] {way[-1]} must be {expected}")
    if option.multiple:
        value = _list(document, way, value)
    try:
        for each in value if isinstance(value, list) else [value]:
            option.type.convert(each, option, None)
        if option.name in Settings.__dataclass_fields__:
            Settings(base_url="https://company.aha.io", **{option.name: value})
    except click.BadParameter as error:
        document.fail(way, f"[run] {way[-1]}: {error.message}")
    except UsageError as error:
        document.fail(way, f"[run] {way[-1]}: {error}")
    return str(resolve(value)) if isinstance(option.type, click.Path) and isinstance(value, str) else value


def _expected(option: click.Option, value: object) -> tuple[str, bool]:
    """Return what an option takes, and whether the value has that type."""
    if option.is_flag:
        return "true or false", isinstance(value, bool)
    if option.multiple:
        return 'a string or a list of strings: ["…", "…"]', isinstance(value, str | list)
    if isinstance(option.type, click.types.IntParamType):
        return "a whole number, without quotes", isinstance(value, int) and not isinstance(value, bool)
    if isinstance(option.type, click.types.FloatParamType):
        return "a number, without quotes", isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(option.type, click.Choice):
        choices = ", ".join(f'"{choice}"' for choice in option.type.choices)
        return f"one of {choices}", isinstance(value, str) and value in map(str, option.type.choices)
    return 'text in quotes: "…"', isinstance(value, str)
