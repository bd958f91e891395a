"""The settings file `linker.toml`: account, tables, columns and options of a run, for one or several accounts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click

from linker.cli.config_file import Document, nearest, read
from linker.cli.config_run import parse_run
from linker.errors import UsageError
from linker.model.job import is_field
from linker.records.table import parse_table
from linker.settings import base_url, is_loopback
from linker.sources.columns import JOB

NAME: Final = "linker.toml"
"""The file that is read from the working directory."""

_SECTIONS: Final = ("account", "columns", "set", "tables", "name_fields", "run")
_ACCOUNT_KEYS: Final = ("name", "url", "token_file")
_TOKEN_KEYS: Final = ("token", "aha_token", "api_key", "api_token", "password", "secret")
_LOOKS_LIKE_A_TOKEN: Final = re.compile(r"[0-9A-Fa-f]{32,}|[A-Za-z0-9_-]{43,}")
_NOT_HERE: Final = (
    "a settings file must not hold the token. Put the token in a file that only you can read (chmod 600) and write "
    'token_file = "FILE" here, or set AHA_TOKEN'
)


@dataclass(slots=True)
class Config:
    """What a settings file says, with the values of its profile in place of those of the top level.

    `origins` says where a value is from: `("run", "mode")` → `linker.toml [run]`.
    """

    path: Path | None = None
    profile: str | None = None
    url: str | None = None
    """URL of the account; None if the file names none."""
    token_file: Path | None = None
    """File with the token of that account, and of no other."""
    columns: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    tables: dict[str, tuple[str, ...]] = field(default_factory=dict)
    name_fields: dict[str, str] = field(default_factory=dict)
    """Title fields by table; the key `""` is for all other tables."""
    run: dict[str, Any] = field(default_factory=dict)
    """Values of run's options, by the names of their parameters."""
    results_folder: Path | None = None
    origins: dict[tuple[str, str], str] = field(default_factory=dict)


def load(path: Path | None, profile: str | None, options: Sequence[click.Parameter]) -> Config:
    """Read the settings file.

    Args:
        path: the file that the user named; None: `linker.toml` in the working directory, if there is one.
        profile: the profile that the user named.
        options: the parameters of `linker run`.

    Raises:
        UsageError: the file cannot be used, or has no such profile.
    """
    document = read(path or Path(NAME), is_chosen=path is not None)
    if document is None:
        if profile is not None:
            raise UsageError(
                f'profile "{profile}": there is no {NAME} in this folder. Name the file that has the profile: '
                f"--config FILE"
            )
        return Config()
    profiles = document.table(document.value.get("profile", {}), ("profile",))
    config = Config(document.path, profile)
    _Reader(document, (), options).read_into(config, document.value)
    for name, section in profiles.items():  # all of them, so that a mistake shows at once
        scratch = Config()
        keys = ("profile", name)
        wanted = config if name == profile else scratch
        _Reader(document, keys, options).read_into(wanted, document.table(section, keys))
    if profile is not None and profile not in profiles:
        raise UsageError(f'{document.path} has no profile "{profile}"; {nearest(profile, profiles)}')
    return config


@dataclass(slots=True)
class _Reader:
    """Reads the sections of the top level, or those of a profile."""

    document: Document
    within: tuple[str, ...]
    """Empty, or `("profile", NAME)`."""
    options: Sequence[click.Parameter]

    def read_into(self, config: Config, value: Mapping[str, Any]) -> None:
        """Put the values into a config. They replace those that it has, key by key."""
        for name, section in value.items():
            if name == "profile" and not self.within:
                continue
            keys = (*self.within, name)
            self._refuse_token(name, keys)
            if name not in _SECTIONS:
                self._unknown_section(name, keys)
            self.document.table(section, keys)
        both = value.get("columns", {}).keys() & value.get("set", {}).keys()
        for name in sorted(both):
            self.document.fail((*self.within, "set", name), f"{name} is in [columns] and in [set]; keep one of them")
        for name, parse in (
            ("account", self._account),
            ("columns", self._columns),
            ("set", self._constants),
            ("tables", self._tables),
            ("name_fields", self._name_fields),
            ("run", self._run),
        ):
            if name in value:
                parse(config, value[name])

    def _unknown_section(self, name: str, keys: tuple[str, ...]) -> None:
        own = [*_SECTIONS, *([] if self.within else ["profile.NAME"])]
        if name in _ACCOUNT_KEYS:
            self.document.fail(keys, f"{name} belongs in the section [{'.'.join((*self.within, 'account'))}]")
        self.document.fail(keys, f'"{name}" is not a section of a settings file; {nearest(name, own)}')

    def _refuse_token(self, name: str, keys: tuple[str, ...]) -> None:
        if name.lower().replace("-", "_") in _TOKEN_KEYS:
            self.document.fail(keys, _NOT_HERE)

    def _note(self, config: Config, section: str, name: str) -> None:
        config.origins[section, name] = f"{self.document.path} [{'.'.join((*self.within, section))}]"

    def _texts(self, section: str, value: Mapping[str, Any]) -> dict[str, str]:
        """Return the texts of a section of `NAME = "text"` lines."""
        for name, text in value.items():
            keys = (*self.within, section, name)
            self._refuse_token(name, keys)
            if not isinstance(text, str):
                self.document.fail(keys, f'[{section}] {name} must be text in quotes: {name} = "…"')
        return dict(value)

    def _path(self, text: str) -> Path:
        return self.document.path.parent / Path(text).expanduser()

    def _account(self, config: Config, value: Mapping[str, Any]) -> None:
        texts = self._texts("account", value)
        keys = (*self.within, "account")
        for name in texts:
            if name not in _ACCOUNT_KEYS:
                self.document.fail((*keys, name), f"[account] {name} is unknown; {nearest(name, _ACCOUNT_KEYS)}")
        if "name" in texts and "url" in texts:
            self.document.fail((*keys, "url"), "[account] has both name and url; keep one of them")
        named = next((name for name in ("name", "url") if name in texts), None)
        if named is not None:
            config.url, config.token_file = self._url(named, texts[named], (*keys, named)), None
            self._note(config, "account", "url")
        if "token_file" in texts:
            if _LOOKS_LIKE_A_TOKEN.fullmatch(texts["token_file"].strip()):
                self.document.fail(
                    (*keys, "token_file"), f"[account] token_file looks like a token itself; {_NOT_HERE}"
                )
            config.token_file = self._path(texts["token_file"])
            self._note(config, "account", "token_file")

    def _url(self, name: str, text: str, keys: tuple[str, ...]) -> str:
        try:
            url = base_url(text, None) if name == "name" else base_url(None, text)
        except UsageError as error:
            self.document.fail(keys, f"[account] {name}: {error}")
        is_aha = url.startswith("https://") and url.endswith(".aha.io")
        if not (self.document.is_chosen or is_aha or is_loopback(url)):
            self.document.fail(
                keys,
                f"[account] url is neither an aha.io address nor on this machine. Such an address would receive your "
                f"token, so you must name the file yourself: --config {self.document.path}",
            )
        return url

    def _columns(self, config: Config, value: Mapping[str, Any]) -> None:
        self._mapping(config, "columns", value, config.columns, config.constants)

    def _constants(self, config: Config, value: Mapping[str, Any]) -> None:
        self._mapping(config, "set", value, config.constants, config.columns)

    def _mapping(
        self, config: Config, section: str, value: Mapping[str, Any], into: dict[str, str], other: dict[str, str]
    ) -> None:
        for name, text in self._texts(section, value).items():
            column = name.strip().lower()
            keys = (*self.within, section, name)
            if column not in JOB:
                self.document.fail(keys, f"[{section}] {name} is not a column of a job; {nearest(column, JOB)}")
            if section == "columns" and not text.strip():
                self.document.fail(keys, f"[columns] {name} is empty; write the header of your table")
            other.pop(column, None)  # the profile replaces what the top level says
            into[column] = text.strip()
            self._note(config, section, column)

    def _tables(self, config: Config, value: Mapping[str, Any]) -> None:
        for name, places in value.items():
            keys = (*self.within, "tables", name)
            listed = [places] if isinstance(places, str) else places
            if not isinstance(listed, list) or not listed or not all(isinstance(place, str) for place in listed):
                self.document.fail(keys, f'[tables] {name} must be a table or a list of tables: "PRODUCT/TABLE"')
            for place in listed:
                try:
                    parse_table(f"{name}={place}")
                except UsageError:
                    self.document.fail(
                        keys,
                        f'[tables] {name}: "{place[:80]}" is not a table; write it as "PRODUCT/TABLE", such as '
                        '"PRJ1/customers" (linker tables lists them)',
                    )
            config.tables[name.strip()] = tuple(listed)
            self._note(config, "tables", name.strip())

    def _name_fields(self, config: Config, value: Mapping[str, Any]) -> None:
        for name, key in self._texts("name_fields", value).items():
            if not is_field(name.strip()) or not is_field(key.strip()):
                self.document.fail(
                    (*self.within, "name_fields", name),
                    f'[name_fields] {name}: write the key of a table and the key of its field: customers = "name"',
                )
            config.name_fields[name.strip()] = key.strip()
            self._note(config, "name_fields", name.strip())

    def _run(self, config: Config, value: Mapping[str, Any]) -> None:
        for name in value:
            self._refuse_token(name, (*self.within, "run", name))
        run = parse_run(self.document, (*self.within, "run"), value, self.options, self._path)
        for section, name, text in run.pairs:
            target: Any = {
                "columns": self._columns,
                "set": self._constants,
                "tables": self._tables,
                "name_fields": self._name_fields,
            }[section]
            if section == "name_fields" and not name:
                config.name_fields[""] = text
                self._note(config, "name_fields", "")
            else:
                target(config, {name: text})
        for name, setting in run.values.items():
            config.run[name] = setting
            self._note(config, "run", name)
        if run.results_folder is not None:
            config.results_folder = run.results_folder
            self._note(config, "run", "results_folder")


def merged(given: Iterable[str], by_name: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return options of the form NAME=VALUE, with those of a file whose NAME was not given.

    Args:
        given: the options on the command line.
        by_name: values of the file; the name `""` makes an option without a name.
    """
    options = tuple(given)
    names = {text.rpartition("=")[0].strip() for text in options}
    of_file = [(name, value) for name, values in by_name.items() if name not in names for value in values]
    return (*options, *(f"{name}={value}" if name else value for name, value in of_file))
