"""Which account, token and settings a command uses, and where they come from: option, environment, or settings file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource

from linker import log
from linker.cli.config import Config
from linker.cli.token import token_of
from linker.errors import UsageError
from linker.sessions.token import Token
from linker.settings import base_url
from linker.text import harmless, plain

_OPTION: Final = "option"
_SEPARATE: Final = frozenset({"account", "url", "token_file", "config", "profile"})


@dataclass(frozen=True, slots=True)
class Used:
    """A setting in use. `source` is `option`, a variable, `linker.toml [run]`, or `default`."""

    option: str
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class Place:
    """The URL of the account, and where it comes from."""

    url: str
    source: str


def account_of(ctx: click.Context, config: Config, account: str | None, url: str | None) -> Place:
    """Return the account: by option, else by the environment, else by the settings file.

    Raises:
        UsageError: no account is given, or what is given is invalid.
    """
    by_account, by_url = ctx.get_parameter_source("account"), ctx.get_parameter_source("url")
    if by_account is ParameterSource.COMMANDLINE and by_url is not ParameterSource.COMMANDLINE:
        url = None
    if not (account or url) and config.url is not None:
        return Place(config.url, config.origins["account", "url"])
    is_option = (by_url if url else by_account) is ParameterSource.COMMANDLINE
    place = Place(base_url(account, url), _OPTION if is_option else "AHA_URL" if url else "AHA_ACCOUNT")
    if config.profile is not None and not is_option and config.url not in (None, place.url):
        log.tell(
            "profile_account_ignored",
            f"linker: {place.source} is set, so this uses {place.url}, not the account of the profile "
            f"{config.profile}; to use that one: unset {place.source}",
        )
    return place


def token_for(config: Config, url: str, file: Path | None) -> tuple[Token, str]:
    """Return the token for an account, and where it comes from. The settings file's is for its own account alone.

    Raises:
        UsageError: there is no token, or its file cannot be used.
    """
    if file is not None:
        return token_of(file), f"file {file} ({_OPTION})"
    if os.environ.get("AHA_TOKEN", "").strip() or config.token_file is None:
        return token_of(None), "AHA_TOKEN"
    if config.url != url:
        owner = config.url or "no account, because [account] has no name or url"
        raise UsageError(
            f"no token for {url}: the token file of {config.path} is for {owner}. "
            "Set AHA_TOKEN, or add --token-file FILE"
        )
    return token_of(config.token_file), f"file {config.token_file} ({config.origins['account', 'token_file']})"


def used(ctx: click.Context, config: Config, place: Place, token_source: str) -> tuple[Used, ...]:
    """Return the settings of a command that are not defaults, the account and the token first."""
    first = [Used("account", place.url, place.source), Used("token", "not shown", token_source)]
    return (*first, *_of_options(ctx, config), *_of_file(ctx, config))


def _of_options(ctx: click.Context, config: Config) -> Iterator[Used]:
    for param in ctx.command.params:
        name, source = param.name or "", ctx.get_parameter_source(param.name or "")
        if not isinstance(param, click.Option) or name in _SEPARATE or source is None:
            continue
        if source is ParameterSource.COMMANDLINE or source is ParameterSource.ENVIRONMENT:
            where = _OPTION if source is ParameterSource.COMMANDLINE else str(param.envvar)
        elif source is ParameterSource.DEFAULT_MAP:
            where = config.origins["run", name]
        else:
            continue
        value = ctx.params.get(name, config.run.get(name))
        for each in value if isinstance(value, tuple) else (value,):
            yield Used(param.opts[-1].removeprefix("--"), _text(each), where)


def _of_file(ctx: click.Context, config: Config) -> Iterator[Used]:
    """Yield what the file's sections say, unless an option says it."""
    known = {param.name for param in ctx.command.params}
    columns = {name: (text,) for name, text in config.columns.items()}
    constants = {name: (text,) for name, text in config.constants.items()}
    name_fields = {name: (text,) for name, text in config.name_fields.items()}
    pairs = _given(ctx, "column", "constant")
    for name, option, section, values, given in (
        ("column", "column", "columns", columns, pairs),
        ("constant", "set", "set", constants, pairs),
        ("table", "table", "tables", config.tables, _given(ctx, "table")),
        ("name_field", "name-field", "name_fields", name_fields, _given(ctx, "name_field")),
    ):
        if name not in known or (given is pairs and ctx.params.get("columns_file") is not None):
            continue
        for key, texts in values.items():
            for text in texts if key not in given else ():
                yield Used(option, f"{key}={text}" if key else text, config.origins[section, key])
    if config.results_folder is not None:
        yield Used("results-folder", str(config.results_folder), config.origins["run", "results_folder"])


def _given(ctx: click.Context, *names: str) -> set[str]:
    """Return what options of the form NAME=VALUE name on the command line."""
    texts = [text for name in names for text in ctx.params.get(name, ())]
    return {text.partition("=")[0].strip() if "=" in text else "" for text in texts}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return plain(f"{value:g}" if isinstance(value, float) else str(value))


def with_settings(screen: Sequence[tuple[str, list[str]]], settings: Sequence[Used]) -> list[tuple[str, list[str]]]:
    """Return the screen of `linker check` with a block of the settings in use, before the block of the fields."""
    at = next((number for number, (word, _) in enumerate(screen) if word == "fields"), len(screen))
    return [*screen[:at], ("settings", _lines(settings)), *screen[at:]]


def _lines(settings: Sequence[Used]) -> list[str]:
    options = max(len(each.option) for each in settings)
    values = min(40, max(len(each.value) for each in settings))
    return [harmless(f"{each.option:<{options}}  {each.value:<{values}}  {each.source}") for each in settings]


def used_as_json(settings: Sequence[Used]) -> list[dict[str, str]]:
    """Return the settings for the JSON output of `linker check`."""
    return [{"option": each.option, "value": each.value, "source": each.source} for each in settings]
