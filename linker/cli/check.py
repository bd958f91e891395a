"""`linker check [FILE...]`: shows the token, the account, its limits and link fields, and checks job files."""

from __future__ import annotations

import time

import click
import msgspec
import orjson

from linker.cli import options
from linker.cli.access import Access, job_files, takes_access
from linker.cli.activity import active
from linker.cli.drive import run_in_loop
from linker.cli.machine import certificate_advice
from linker.cli.output import counted, duration
from linker.cli.summary import problem_lines, summary_dict
from linker.cli.used import used_as_json, with_settings
from linker.cli.verb import Verb, option
from linker.client.check import Check, FileCheck
from linker.client.linker import Linker
from linker.records.layouts import LayoutGap
from linker.results.summary import Summary
from linker.settings import Settings
from linker.sources import Columns, JobFile
from linker.text import harmless, harmless_json

_WIDTH = 10
_NAMED = 3


@click.command(
    "check",
    cls=Verb,
    short_help="Check the token, the settings, the account and job files.",
    epilog="""\b
Examples:
  linker check --account company
  linker check links.csv
  linker check links.csv --json
  linker check accounts.csv \\
      --column id='Aha Ref' \\
      --column record_names='Account Name' \\
      --set field=customers \\
      --table customers=PRJ1/customers

\b
Exit codes:
  0    no problem was found
  1    the token is not valid, the account cannot be read,
       or a row of a FILE would be rejected
  2    the command, a setting or a file is wrong
""",
)
@click.argument("files", metavar="[FILE...]", nargs=-1, type=click.Path())
@options.account
@options.batch
@options.create
@options.pace
@option("--json", "as_json", group="Output", is_flag=True, help="Print everything as one JSON object")
@options.progress
@takes_access
def command(access: Access, files: tuple[str, ...], format: str | None, columns: Columns | None, as_json: bool) -> int:
    """Show whose token this is, which settings are in use, what the account allows, and which fields link to records.

    With job FILEs, it also finds rows that a run would reject because of their fields or names; it does not read the
    features themselves. Nothing is written.
    """
    started = time.monotonic()
    check, requests = run_in_loop(_checked(access, job_files(files, format, columns)))
    if as_json:
        value = _json(check, requests, time.monotonic() - started) | {"settings": used_as_json(access.used)}
        click.echo(harmless_json(orjson.dumps(value, option=orjson.OPT_INDENT_2)))
    elif not access.quiet or not check.ok:
        for word, lines in with_settings(_screen(check, access.settings), access.used):
            for number, line in enumerate(lines):
                click.echo(f"{word if not number else '':<{_WIDTH}}{line}")
    return 0 if check.ok else 1


async def _checked(access: Access, sources: list[JobFile]) -> tuple[Check, int]:
    async with Linker(token=access.token, settings=access.settings) as aha, active(access, aha, "checking"):
        return await aha.check(sources), aha.requests


def _screen(check: Check, settings: Settings) -> list[tuple[str, list[str]]]:
    account = f"{check.account}, {check.url}" if check.account else check.url
    if check.problem is not None:
        advice = certificate_advice(check.problem)
        return [("account", [account]), ("problem", [check.problem, *([advice] if advice else [])])]
    owner = " ".join(filter(None, (check.user, f"<{check.email}>" if check.email else None))) or "a user without a name"
    sees = f", who sees {counted(check.workspaces, 'workspace')}" if check.workspaces is not None else ""
    screen = [
        ("account", [account]),
        ("token", [f"valid; belongs to {owner}{sees}"]),
        ("limits", [_limits(check, settings)]),
        ("fields", _fields(check)),
    ]
    if check.files_problem is not None:
        return [*screen, ("file", [check.files_problem])]
    return [*screen, ("file", _files(check.files))] if check.files is not None else screen


def _limits(check: Check, settings: Settings) -> str:
    ours = f"linker sends at most {' and '.join(map(str, settings.parts)) or 'as many as it can'}"
    if check.limit is None:
        return f"the account reports none; {ours}"
    limit = check.limit
    return f"{limit.remaining:,} of {limit.limit:,} requests left for the next {duration(limit.reset_s)}; {ours}"


def _fields(check: Check) -> list[str]:
    if check.fields is None:
        return ["the field definitions cannot be read, so a run cannot check your fields before it writes"]
    if not check.fields:
        return ["the account defines no field that links to records, so a run cannot check your fields"]
    kinds = max(len(field.kind) for field in check.fields)
    keys = max(len(field.key) for field in check.fields)
    lines = [f"{field.kind:<{kinds}}  {field.key:<{keys}}  {field.table or '-'}" for field in check.fields]
    if any(field.table is None for field in check.fields):
        lines.append("linker cannot tell which table the fields with - link to. To use names in such a field,")
        lines.append("add --table FIELD=PRODUCT/TABLE (`linker tables` lists the tables)")
    return lines


def _files(files: FileCheck) -> list[str]:
    rejected = files.rejected.rejected
    lines = [f"{counted(files.jobs, 'row')} for {counted(files.targets, 'target')}; {rejected:,} would be rejected"]
    if files.new_records:
        lines.append(f"{counted(files.new_records, 'record')} would be created")
    return [*lines, *map(_gap, files.gaps), *map(harmless, problem_lines(files.rejected.problems))]


def _gap(gap: LayoutGap) -> str:
    """Format `2 of 3 layouts of features lack the field customers (Default, Mobile); …`."""
    names = ", ".join(gap.layouts[:_NAMED]) + (", …" if len(gap.layouts) > _NAMED else "")
    lack = "lacks" if len(gap.layouts) == 1 else "lack"
    return (
        f"{len(gap.layouts):,} of {counted(gap.of, 'layout')} of {gap.kind.plural} {lack} the field {gap.field} "
        f"({names}); the account ignores its links in workspaces with such a layout"
    )


def _json(check: Check, requests: int, elapsed_s: float) -> dict[str, object]:
    files = check.files
    limit = check.limit
    summary = files.rejected if files else Summary()
    summary.requests, summary.elapsed_s = requests, elapsed_s
    return summary_dict(summary) | {
        "ok": check.ok,
        "url": check.url,
        "problem": check.problem,
        "account": check.account,
        "user": check.user,
        "email": check.email,
        "workspaces": check.workspaces,
        "limit": limit and {"limit": limit.limit, "remaining": limit.remaining, "reset_s": limit.reset_s},
        "fields": check.fields and msgspec.to_builtins(check.fields),
        "files_problem": check.files_problem,
        "files": files
        and {
            "jobs": files.jobs,
            "targets": files.targets,
            "new_records": files.new_records,
            "rejected": files.rejected.rejected,
            "layouts": msgspec.to_builtins(files.gaps),
            "errors": msgspec.to_builtins(files.rejected.errors(99)),
        },
    }
