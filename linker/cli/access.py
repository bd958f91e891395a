"""What a verb gets of the options: the settings, the token, what to show, and the sources of FILE arguments."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource

from linker import log
from linker.cli.config import Config, merged
from linker.cli.environment import proxy_of, unread_proxy
from linker.cli.guess import read_own_table
from linker.cli.options import CONFIG, FIELDS
from linker.cli.used import Used, account_of, token_for, used
from linker.cli.verb import verb_of
from linker.disk.private import make_folder
from linker.errors import UsageError
from linker.model.job import Mode
from linker.sessions.token import Token
from linker.settings import Settings
from linker.sources import Columns, JobFile
from linker.sources.files import FORMATS

_COLUMNS: Final = ("column", "constant", "columns_file")


@dataclass(frozen=True, slots=True)
class Access:
    """What a verb needs to use an account: settings, token, and what to show.

    `quiet`: print no summary if all went well, and no progress; errors still go to stderr. `as_json`: print the
    summary as one JSON object on stdout. `results_folder`: where results files go whose name is not given. `used`: the
    settings that are not defaults, and where they come from.
    """

    settings: Settings
    token: Token
    progress: bool = True
    quiet: bool = False
    as_json: bool = False
    results_folder: Path = Path()
    used: tuple[Used, ...] = ()


def takes_access(function: Callable[..., Any]) -> Callable[..., Any]:
    """Pass the options of account, token, settings and progress to a verb as one argument, `access`.

    With `--dry-run`, the function of `linker plan` is called instead.
    """

    @wraps(function)
    def gathered(
        *,
        account: str | None,
        url: str | None,
        token_file: Path | None,
        log_level: str,
        log_file: Path | None = None,
        progress: bool = True,
        quiet: bool = False,
        json_summary: bool = False,
        dry_run: bool = False,
        **options: Any,
    ) -> Any:
        del log_level, log_file  # logging was configured when the option was parsed
        ctx = click.get_current_context()
        config: Config = ctx.meta.get(CONFIG) or Config()
        if "mirror" in options:
            options["mirror"] = _mirror(ctx, options)
        if "column" in options:
            options["columns"] = _columns(ctx, config, options)
        if "table" in options:
            options["table"] = merged(options["table"], config.tables)
        if "name_field" in options:
            keys = {table: (key,) for table, key in config.name_fields.items()}
            options["name_field"] = merged(options["name_field"], keys)
        if _is_given(ctx, "overwrite"):  # it overrules what a settings file says of resuming
            options |= {name: False for name in ("resume", "failed_only") if not _is_given(ctx, name)}
        if dry_run:
            function_of_verb, options = _plan_instead(ctx, options, as_json=json_summary)
        else:
            function_of_verb = function
        settings = {name: options.pop(name) for name in FIELDS.keys() & options.keys()}
        if not settings["rate"]:
            del settings["rate"]
        place = account_of(ctx, config, account, url)
        token, token_source = token_for(config, place.url, token_file)
        access = Access(
            settings_of(place.url, **settings),
            token,
            progress and not quiet,
            quiet,
            json_summary,
            config.results_folder or Path(),
            used(ctx, config, place, token_source),
        )
        return function_of_verb(access=access, **options)

    return gathered


def _is_given(ctx: click.Context, *names: str) -> bool:
    """Whether one of these options is on the command line."""
    return any(ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in names)


def _mirror(ctx: click.Context, options: dict[str, Any]) -> tuple[str, str] | None:
    """Take the three options of a mirror. What a settings file says of them counts if they are of use."""
    mirror, scope, field = options["mirror"], options.pop("scope"), options.pop("field")
    if not mirror and not _is_given(ctx, "scope", "field"):
        return None
    if mirror and options.get("undo") is not None and not _is_given(ctx, "mirror"):
        return None
    if mirror and scope is not None and field is not None:
        if options["mode"] != Mode.REPLACE:
            log.tell(
                "mirror_not_exact",
                f"linker: with mode {options['mode']}, --mirror does not remove other links of the rows' own targets; "
                "for an exact mirror, add --mode replace",
            )
        return scope, field
    raise UsageError("--mirror needs both --field and --scope, and these need --mirror")


def _is_job_table(file: str) -> bool:
    """Whether a table has linker's own columns, such as an export, so that a settings file's columns are not its."""
    if Path(file).suffix.lower() not in (".csv", ".tsv") or not Path(file).is_file():
        return False
    try:
        return read_own_table(Path(file)).is_job_table
    except UsageError:  # a run says what is wrong
        return False


def _columns(ctx: click.Context, config: Config, options: dict[str, Any]) -> Columns | None:
    """Take the options of a table's columns, with what the settings file says of others; None without a table."""
    columns, constants, file = map(options.pop, ("column", "constant", "columns_file"))
    if not _is_given(ctx, *_COLUMNS):
        formats = (FORMATS.get(Path(name).suffix.lower(), options["format"]) for name in options["files"])
        if "csv" not in formats or all(map(_is_job_table, options["files"])):
            return None
    if file is None:
        names = {text.partition("=")[0].strip().lower() for text in (*columns, *constants)}
        columns = (*columns, *(f"{name}={text}" for name, text in config.columns.items() if name not in names))
        constants = (*constants, *(f"{name}={text}" for name, text in config.constants.items() if name not in names))
    return Columns.parse(columns, constants, file)


def _plan_instead(
    ctx: click.Context, options: dict[str, Any], *, as_json: bool
) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Return the function of `linker plan`, with the options that it has; the others are as if they were not given."""
    plan = verb_of(ctx, "plan")
    function = inspect.unwrap(plan.callback) if plan.callback is not None else None
    assert function is not None
    defaults = plan.make_context("plan", [], resilient_parsing=True).params
    wanted = {*inspect.signature(function).parameters, *(FIELDS.keys() & defaults.keys())} - {"access"}
    known = {**defaults, **options, "as_json": as_json}
    return function, {name: known[name] for name in wanted}


def settings_of(url: str, **others: Any) -> Settings:
    """Return the settings for the options.

    Raises:
        UsageError: a value is invalid.
    """
    if (ignored := unread_proxy(url)) is not None:
        log.tell("proxy_ignored", f"linker: {ignored}")
    return Settings(base_url=url, proxy=proxy_of(url), **others)


def results_path(access: Access, given: Path | None, name: str) -> Path:
    """Return the path of the results file: the one that was given, else `name` in the folder for results.

    Raises:
        UsageError: that folder cannot be created.
    """
    if given is not None:
        return given
    try:
        make_folder(access.results_folder)
    except OSError as error:
        raise UsageError(f"results folder {access.results_folder}: {error.strerror}") from None
    return access.results_folder / name


def job_files(files: tuple[str, ...], format: str | None, columns: Columns | None = None) -> list[JobFile]:
    """Return the sources of FILE arguments; `-` is standard input.

    Args:
        columns: what the columns of CSV and TSV files mean.

    Raises:
        UsageError: the format of a file is unknown, `-` is given twice, or columns are given without a table.
    """
    if files.count("-") > 1:
        raise UsageError("standard input (-) can be read only once")
    if "-" in files and sys.stdin is None:
        raise UsageError("standard input (-) is closed")
    format_: Any = format
    streams: dict[str, Any] = {"-": sys.stdin.buffer} if "-" in files else {}
    sources = [JobFile(file, format=format_, stream=streams.get(file)) for file in files]
    if columns is None:
        return sources
    if not any(source.is_table for source in sources):
        raise UsageError("--column, --columns and --set describe a table, but no FILE is a table (.csv or .tsv)")
    return [
        JobFile(file, format=format_, stream=streams.get(file), columns=columns) if source.is_table else source
        for file, source in zip(files, sources, strict=True)
    ]
