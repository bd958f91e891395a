"""The options that several verbs share; `access.py` makes settings of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

import click
from click.core import ParameterSource

from linker import log
from linker.cli.config import load
from linker.cli.log_file import copy_to
from linker.cli.verb import flag, option, verb_of
from linker.settings import DEFAULT_RATES, Settings

FIELDS: Final = {field.name: field for field in fields(Settings)}
_TYPES: Final = get_type_hints(Settings)

F = TypeVar("F", bound=Callable[..., Any])


def setting(name: str, *, group: str = "Other", **options: Any) -> Callable[[F], F]:
    """Return the option of a setting, with the name, default and choices of its field in `Settings`.

    Args:
        group: the group of the help.
        options: further arguments of `click.option`: `help`, `metavar`, and `type` for bounds to show in the help.
    """
    written, default = f"--{name.replace('_', '-')}", FIELDS[name].default
    options["group"] = group
    if isinstance(default, bool):
        return flag(f"{written} {name}", default=default, **options)
    if isinstance(default, tuple):
        return option(written, multiple=True, **options)
    if isinstance(default, Enum):
        options["type"], default = click.Choice(list(map(str, type(default)))), str(default)
    elif get_origin(_TYPES[name]) is Literal:
        options["type"] = click.Choice(get_args(_TYPES[name]))
    options.setdefault("show_default", default is not None)
    return option(written, default=default, **options)


def _all(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for decorator in reversed(options):
            function = decorator(function)
        return function

    return decorate


_ACCOUNT: Final = partial(option, group="Account")
_INPUT: Final = partial(option, group="Input")
_SAFETY: Final = partial(option, group="Safety")
_OUTPUT: Final = partial(option, group="Output")
_PATH: Final = click.Path(path_type=Path)

CONFIG: Final = "linker.cli.config"
_OTHER_MEANING: Final = {"export": frozenset({"field", "scope", "format"})}
"""Options that mean something else to a verb than to `linker run`, so that `[run]` does not set them."""


def _read_config(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Read the settings file once both --config and --profile are parsed; its values become click's defaults."""
    if ctx.resilient_parsing:
        return
    given = ctx.meta.setdefault(f"{CONFIG}.given", {})
    given[param.name] = value
    if given.keys() != {"config", "profile"}:
        return
    ctx.meta[CONFIG] = config = load(given["config"], given["profile"], verb_of(ctx, "run").params)
    own = {param.name for param in ctx.command.params if isinstance(param, click.Option)}
    own -= _OTHER_MEANING.get(ctx.command.name or "", frozenset())
    ctx.default_map = {name: text for name, text in config.run.items() if name in own}


place = _all(
    _ACCOUNT(
        "--account",
        metavar="NAME",
        envvar="AHA_ACCOUNT",
        show_envvar=True,
        help="Use the account at https://NAME.aha.io",
    ),
    _ACCOUNT(
        "--url",
        metavar="URL",
        envvar="AHA_URL",
        show_envvar=True,
        help="Use another address, such as that of a sandbox",
    ),
    _ACCOUNT("--token-file", metavar="FILE", type=_PATH, help="Read the token from this file instead of AHA_TOKEN"),
    setting("insecure_http", group="Account", help="Send the token unencrypted to an http:// address"),
)

account = _all(
    place,
    _ACCOUNT(
        "--config",
        metavar="FILE",
        type=_PATH,
        envvar="LINKER_CONFIG",
        show_envvar=True,
        is_eager=True,
        expose_value=False,
        callback=_read_config,
        help="Read settings from this file instead of linker.toml",
    ),
    _ACCOUNT(
        "--profile",
        metavar="NAME",
        envvar="LINKER_PROFILE",
        show_envvar=True,
        is_eager=True,
        expose_value=False,
        callback=_read_config,
        help="Use the sections [profile.NAME] of the settings file",
    ),
)

name_field = setting(
    "name_field", group="Input", metavar="KEY", help="Read the names of records from this field, or TABLE=KEY"
)

table = setting(
    "table",
    group="Input",
    metavar="FIELD=PLACE",
    help="Set a field's table, such as customers=PRJ1/customers",
)

batch = _all(
    setting("mode", group="Input", help="Set the mode for rows that do not set one"),
    setting("empty_clears", group="Input", help="Clear the field if a record_ids cell is empty"),
    _INPUT("--format", type=click.Choice(["jsonl", "csv"]), help="Set the format of standard input"),
    setting("encoding", group="Input", metavar="NAME", help="Read files in this encoding, such as cp1252"),
    setting(
        "match",
        group="Input",
        metavar="FIELD",
        help="Look up records by this field of their table, such as name",
    ),
    table,
    name_field,
    _INPUT(
        "--column", metavar="NAME=HEADER", multiple=True, help="Name a column of your own table, such as id='Aha Ref'"
    ),
    _INPUT(
        "--set",
        "constant",
        metavar="NAME=VALUE",
        multiple=True,
        help="Set a value for all rows, such as field=customers",
    ),
    _INPUT(
        "--columns", "columns_file", metavar="FILE", type=_PATH, help="Read [columns] and [set] from this TOML file"
    ),
    setting("preflight", group="Input", help="Skip the check of the account's field definitions"),
)

create = _all(
    setting("create_missing", group="Input", help="Create records for names that their table does not have"),
    setting("create_all", group="Input", help="Create records even for names that look like mistakes"),
    setting("create_wait", group="Input", metavar="S", help="Look S seconds for a record whose creation got no answer"),
)

mail = setting("no_mail", group="Safety", help="Ask Aha! not to mail watchers about the changes")

results = _all(
    flag("--overwrite", group="Output", help="Rename an existing results file (adds a date) and start over"),
    flag("--resume", group="Output", help="Continue from the results file and skip rows that are done"),
    flag("--failed-only", group="Output", help="Resume only rows that failed or were rejected"),
    setting("durability", group="Output", help="Keep results after a crash (flush) or power loss (fsync)"),
)

mirror = _all(
    flag("--mirror", group="Safety", help="Clear --field on everything in --scope that no row names"),
    _SAFETY("--field", metavar="KEY", help="Choose the field that --mirror clears, such as customers"),
    _SAFETY("--scope", metavar="KIND:PARENT", help="Choose what --mirror covers, such as feature:PRJ1"),
    setting("allow_empty", group="Safety", help="Accept a file without rows under --mirror"),
    setting(
        "min_rows",
        group="Safety",
        metavar="N",
        type=click.IntRange(min=0),
        help="Stop if the files have fewer than N rows",
    ),
)

pace = _all(
    setting(
        "rate",
        group="Speed",
        metavar="RATE",
        show_default=" and ".join(map(str, DEFAULT_RATES)),
        help="Send at most this many requests, such as 300/60s",
    ),
    setting(
        "share",
        group="Speed",
        metavar="PART",
        type=click.FloatRange(0, 1, min_open=True),
        help="Use only this part of the rate, such as 0.5",
    ),
    setting("pace", group="Speed", help="Send requests in bursts or at even intervals"),
    setting("concurrency", group="Speed", metavar="N", help="Open at most N connections"),
    setting("plain_requests", group="Speed", help="Send by aiohttp's own client: slower, for odd proxies"),
    setting("attempts", group="Speed", metavar="N", help="Try each request at most N times"),
    setting(
        "max_wait",
        group="Speed",
        metavar="S",
        type=click.FloatRange(min=0),
        help="Stop if the account does not answer for S seconds",
    ),
)


def _configure_logs(ctx: click.Context, param: click.Parameter, value: str) -> None:
    """Configure logging, once --log-level and --log-file are parsed."""
    if ctx.resilient_parsing:
        return
    level: str = ctx.params.get("log_level", "warning")
    file: Path | None = ctx.params.get("log_file")
    copy = None
    if file is not None:
        is_default = ctx.get_parameter_source("log_level") is ParameterSource.DEFAULT
        copy = copy_to(file, "info" if is_default else level, "error" if level == "error" else "warning")
    log.configure(level, "json" if value == "json" else "console", copy)


logging = _all(
    _OUTPUT("-q", "--quiet", is_flag=True, help="Print errors only, no progress and no summary"),
    _OUTPUT(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"]),
        default="warning",
        show_default=True,
        is_eager=True,
        help="Log messages of this level and above",
    ),
    _OUTPUT(
        "--log-format",
        type=click.Choice(["console", "json"]),
        default="console",
        show_default=True,
        expose_value=False,
        callback=_configure_logs,
        help="Write logs for people, or as JSON",
    ),
    _OUTPUT("--log-file", metavar="FILE", type=_PATH, is_eager=True, help="Append the log to this file"),
)

progress = _all(
    flag("--progress", default=True, group="Output", help="Hide the progress display"),
    logging,
)

json_summary = _OUTPUT("--json", "json_summary", is_flag=True, help="Print the summary as one JSON object")
