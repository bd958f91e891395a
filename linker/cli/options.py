"""The options that several verbs share, and how they become settings."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import Enum
from functools import wraps
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

import click
from click.core import ParameterSource

from linker import log
from linker.cli.environment import proxy_of, unread_proxy
from linker.cli.token import token_of
from linker.errors import UsageError
from linker.sessions.token import Token
from linker.settings import DEFAULT_RATES, Settings, base_url
from linker.sources import Columns, JobFile

_FIELDS: Final = {field.name: field for field in fields(Settings)}
_TYPES: Final = get_type_hints(Settings)

F = TypeVar("F", bound=Callable[..., Any])


def setting(name: str, **options: Any) -> Callable[[F], F]:
    """Return the option of a setting, with the name, default and choices of its field in `Settings`.

    Args:
        options: further arguments of `click.option`: `help`, `metavar`, and `type` for bounds to show in the help.
    """
    flag, default = f"--{name.replace('_', '-')}", _FIELDS[name].default
    if isinstance(default, bool):
        return click.option(f"{flag}/--no-{flag[2:]}" if default else flag, is_flag=True, default=default, **options)
    if isinstance(default, tuple):
        return click.option(flag, multiple=True, **options)
    if isinstance(default, Enum):
        options["type"], default = click.Choice(list(map(str, type(default)))), str(default)
    elif get_origin(_TYPES[name]) is Literal:
        options["type"] = click.Choice(get_args(_TYPES[name]))
    return click.option(flag, default=default, show_default=default is not None, **options)


def _all(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


account = _all(
    click.option(
        "--account",
        metavar="NAME",
        envvar="AHA_ACCOUNT",
        help="The NAME of https://NAME.aha.io, or an address there [AHA_ACCOUNT].",
    ),
    click.option("--url", metavar="URL", envvar="AHA_URL", help="Any other base: a sandbox, a proxy [AHA_URL]."),
    click.option(
        "--token-file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Holds the token, for its owner's eyes only; without it AHA_TOKEN does. A token is never an argument.",
    ),
    setting("insecure_http", help="Send the token in clear, to an http:// URL of another machine."),
)

name_field = setting(
    "name_field",
    metavar="KEY",
    help="Key of the field with the names of records, or TABLE=KEY; repeatable. Default: the field labelled Name.",
)

batch = _all(
    setting("mode", help="What a job does that does not say."),
    setting("empty_clears", help="An empty record_ids cell of a CSV clears the field."),
    click.option("--format", type=click.Choice(["jsonl", "csv"]), help="What standard input holds (jsonl)."),
    setting("encoding", metavar="NAME", help="Read files without a byte order mark in this encoding: cp1252."),
    setting(
        "match",
        metavar="FIELD",
        help="Records are told by what this field of their table holds, name or a CRM's own id, not by their ids.",
    ),
    setting(
        "table",
        metavar="FIELD=PRODUCT/TABLE",
        help="The table that a field links to: customers=PRJ1/customers; record= is that of named targets. Repeatable.",
    ),
    name_field,
    click.option(
        "--column",
        metavar="NAME=HEADER",
        multiple=True,
        help="A column of your own table: id='Aha Ref'; repeatable. All others are passed over.",
    ),
    click.option(
        "--set",
        "constant",
        metavar="NAME=VALUE",
        multiple=True,
        help="What holds for each row of your table: field=customers; repeatable.",
    ),
    click.option(
        "--columns",
        "columns_file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="A TOML file of [columns] and [set].",
    ),
    setting("preflight", help="Look at the account's field definitions first. Default: on."),
)

create = _all(
    setting("create_missing", help="Create the records whose names their table does not have, first."),
    setting("create_all", help="Create them even if a name looks like an error or an id."),
    setting("create_wait", metavar="S", help="Look S seconds for a record whose creation got no answer."),
)

mail = setting("no_mail", help="Ask Aha! not to mail watchers of what is written (third-party word).")

results = _all(
    click.option("--overwrite", is_flag=True, help="Keep a results file that exists under a dated name, start anew."),
    click.option("--resume", is_flag=True, help="Go on from the results file, if there is one: what is done stays."),
    click.option("--failed-only", is_flag=True, help="Resume just the targets with a job that failed or was rejected."),
    setting("durability", help="What results survive at once: flush the end of the process, fsync a loss of power."),
)

mirror = _all(
    click.option(
        "--mirror",
        is_flag=True,
        help="The files are the whole truth: clear --field of the targets of --scope that they do not name.",
    ),
    click.option("--field", metavar="KEY", help="With --mirror: the field, for example customers."),
    click.option(
        "--scope", metavar="KIND:PARENT", help="With --mirror: feature:PRJ1, idea, release:PRJ1, record:PRJ1/TABLE."
    ),
    setting("allow_empty", help="With --mirror: accept a file that has no rows."),
    setting("min_rows", metavar="N", type=click.IntRange(min=0), help="Stop if the files have fewer rows than N."),
)

pace = _all(
    setting(
        "rate",
        metavar="N/SECONDSs",
        help=f"Requests that may leave in a time; repeatable. Default: {' and '.join(map(str, DEFAULT_RATES))}.",
    ),
    setting(
        "share",
        metavar="PART",
        type=click.FloatRange(0, 1, min_open=True),
        help="Take that part of the rates at most: 0.5 leaves half to others.",
    ),
    setting("pace", help="even spreads the slowest rate too: one request each 200 ms."),
    setting("concurrency", metavar="N", help="Connections in all."),
    setting("attempts", metavar="N", help="Tries of one request, the first included."),
    setting(
        "max_wait",
        metavar="S",
        type=click.FloatRange(min=0),
        help="Most seconds to wait for a Retry-After or an outage, from its first failure; then the run stops, exit 3.",
    ),
)


def _configure_logs(ctx: click.Context, param: click.Parameter, value: str) -> None:
    log.configure(ctx.params.get("log_level", "warning"), "json" if value == "json" else "console")


logging = _all(
    click.option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"]),
        default="warning",
        show_default=True,
        is_eager=True,
        help="What to tell on stderr.",
    ),
    click.option(
        "--log-format",
        type=click.Choice(["console", "json"]),
        default="console",
        show_default=True,
        expose_value=False,
        callback=_configure_logs,
        help="Lines for people, or one JSON event a line.",
    ),
    click.option("-q", "--quiet", is_flag=True, help="Print errors only, no progress and no summary."),
)

json_summary = click.option("--json", "json_summary", is_flag=True, help="Print the summary as one JSON object.")


progress = _all(
    click.option("--progress/--no-progress", default=True, help="Show how far it is, on stderr. Default: on."),
    logging,
)


@dataclass(frozen=True, slots=True)
class Access:
    """What a verb needs to use an account: settings, token, and what to show.

    `quiet`: print no summary if all went well, and no progress; errors still go to stderr. `as_json`: print the
    summary as one JSON object on stdout.
    """

    settings: Settings
    token: Token
    progress: bool = True
    quiet: bool = False
    as_json: bool = False


def takes_access(function: Callable[..., Any]) -> Callable[..., Any]:
    """Pass the options of account, token, settings and progress to a verb as one argument, `access`."""

    @wraps(function)
    def gathered(
        *,
        account: str | None,
        url: str | None,
        token_file: Path | None,
        log_level: str,
        progress: bool = True,
        quiet: bool = False,
        json_summary: bool = False,
        **options: Any,
    ) -> Any:
        del log_level  # logging was configured when the option was parsed
        if "mirror" in options:
            options["mirror"] = _mirror(options["mirror"], options.pop("scope"), options.pop("field"))
        if "column" in options:
            options["columns"] = Columns.parse(*map(options.pop, ("column", "constant", "columns_file")))
        settings = {name: options.pop(name) for name in _FIELDS.keys() & options.keys()}
        if not settings["rate"]:
            del settings["rate"]
        access = Access(
            settings_of(account, url, **settings), token_of(token_file), progress and not quiet, quiet, json_summary
        )
        return function(access=access, **options)

    return gathered


def _mirror(mirror: bool, scope: str | None, field: str | None) -> tuple[str, str] | None:
    if mirror and scope is not None and field is not None:
        return scope, field
    if mirror or scope is not None or field is not None:
        raise UsageError("--mirror goes with --field KEY and --scope KIND:PARENT, and they with it")
    return None


def settings_of(account: str | None, url: str | None, **others: Any) -> Settings:
    """Return the settings for the options. The command line takes precedence over the environment.

    Raises:
        UsageError: a value is invalid, or no account is given.
    """
    source = click.get_current_context().get_parameter_source
    if source("account") is ParameterSource.COMMANDLINE and source("url") is not ParameterSource.COMMANDLINE:
        url = None
    base = base_url(account, url)
    if (ignored := unread_proxy(base)) is not None:
        log.tell("proxy_ignored", f"linker: {ignored}")
    return Settings(base_url=base, proxy=proxy_of(base), **others)


def job_files(files: tuple[str, ...], format: str | None, columns: Columns | None = None) -> list[JobFile]:
    """Return the sources of FILE arguments; `-` is standard input.

    Args:
        columns: what the columns of CSV and TSV files mean.

    Raises:
        UsageError: the format of a file is unknown, `-` is given twice, or columns are given without a table.
    """
    if files.count("-") > 1:
        raise UsageError("standard input (-) can be read once")
    if "-" in files and sys.stdin is None:
        raise UsageError("standard input (-) is closed")
    format_: Any = format
    streams: dict[str, Any] = {"-": sys.stdin.buffer} if "-" in files else {}
    sources = [JobFile(file, format=format_, stream=streams.get(file)) for file in files]
    if columns is None:
        return sources
    if not any(source.is_table for source in sources):
        raise UsageError("--column, --columns and --set are of tables, and none of the files is one (.csv, .tsv)")
    return [
        JobFile(file, format=format_, stream=streams.get(file), columns=columns) if source.is_table else source
        for file, source in zip(files, sources, strict=True)
    ]
