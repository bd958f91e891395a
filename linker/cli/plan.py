"""`linker plan FILE...`: shows what a run would do to the account as it is now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import orjson

from linker.batch.change import FieldChange
from linker.batch.placeholder import shown
from linker.cli import options
from linker.cli.drive import follow, run_in_loop
from linker.cli.output import called, counted, duration, new_lines, why_not
from linker.cli.progress import Progress
from linker.cli.verb import Verb, option
from linker.client.linker import Linker
from linker.client.plan import Plan
from linker.client.run import Run
from linker.errors import UsageError
from linker.model.job import Name, sorted_ids
from linker.pipeline.guard import floor
from linker.results.result import Outcome, Planned, Result
from linker.results.undo import UndoFile
from linker.settings import Settings
from linker.sources import Columns, JobFile
from linker.text import harmless_json


@click.command(
    "plan",
    cls=Verb,
    short_help="Show what run would change, without changing it.",
    epilog="""\b
Examples:
  linker plan links.jsonl --account company
  linker plan links.csv --json > plan.jsonl
  linker plan crm.csv --mirror --field customers \\
      --scope feature:PRJ1
  linker plan --undo links.results.jsonl

\b
Exit codes:
  0    all rows could be planned, with changes or without
  1    a row was rejected or could not be read
  2    the command, a setting or a file is wrong
  3    stopped early; the plan is incomplete
  130  interrupted
""",
)
@click.argument("files", metavar="FILE...", nargs=-1, type=click.Path())
@options.account
@option(
    "--undo",
    group="Input",
    metavar="RESULTS",
    type=click.Path(path_type=Path),
    help="Show what the undo of this results file would change",
)
@options.batch
@options.create
@options.mirror
@option("--json", "as_json", group="Output", is_flag=True, help="Print each change as one line of JSON")
@options.pace
@options.progress
@options.takes_access
def command(
    access: options.Access,
    files: tuple[str, ...],
    undo: Path | None,
    format: str | None,
    columns: Columns | None,
    as_json: bool,
) -> int:
    """Show what a run of the job FILEs would change in the account as it is now. Nothing is written.

    Each feature that would change is shown with the records that it would gain (+) and lose (-); then follow the
    totals, and how many requests a run would take, and how long.
    """
    if bool(files) == (undo is not None):
        raise UsageError("give job FILEs to plan, or --undo RESULTS")
    if undo is not None and access.settings.mirror is not None:
        raise UsageError("--mirror goes with job FILEs, not with --undo")
    sources = options.job_files(files, format, columns) if undo is None else UndoFile(undo)
    describe = _json if as_json else _lines
    plan, code = run_in_loop(planned(access, sources, describe, doing="planning"))
    if not as_json and not code:
        _show_plan(plan, access.settings)
        if isinstance(sources, UndoFile) and sources.created:
            created = counted(len(sources.created), "record")
            click.echo(f"{created} created by the run would stay; undo --delete-created deletes what nothing links to")
    return code or (0 if plan.readable else 1)


async def planned(
    access: options.Access,
    sources: Sequence[JobFile] | UndoFile,
    describe: Callable[[Outcome, Run], list[str]],
    *,
    doing: str,
    words: tuple[str, str] = ("to change", "unchanged"),
) -> tuple[Plan, int]:
    """Do a dry run; return its counts and an exit code, which is not 0 if it ended early (the counts are then partial).

    Args:
        describe: returns the lines to print for an outcome.
        doing: the word for the dry run in the progress display.
        words: the words for targets that would change, and for those that would not.
    """
    plan = Plan(access.settings)
    to_change, unchanged = words
    progress = Progress(
        access.settings,
        visible=access.progress,
        doing=doing,
        counts=lambda _: {
            to_change: plan.puts,
            unchanged: plan.unchanged,
            "failed": plan.failed + plan.rejected,
        },
        talks=True,
    )

    def take(outcome: Outcome) -> None:
        plan.add(outcome, keep=False)
        for line in describe(outcome, run):
            progress.say(line)

    async with Linker(token=access.token, settings=access.settings) as aha:
        run = aha.dry_run(sources)
        code = await follow(run, progress, take, unfinished="there is more to see than this")
        plan.end(run.visibility)
        plan.reads, plan.new_records, plan.unreadable = run.summary.requests, run.new_records, run.unreadable
        plan.creations = run.creations
    return plan, code


def _lines(outcome: Outcome, run: Run) -> list[str]:
    if isinstance(outcome, Result):
        return [why_not(outcome)]
    put = outcome.change.put
    if not put:
        return []
    target = outcome.change.target
    lines = [f"{target}{'  (its answers show no links)' if outcome.unseen else ''}"]
    width = max(map(len, put))
    for name, ids in put.items():
        diff = outcome.change.diff(name)
        if diff is None:
            lines.append(f"  {name:<{width}}  = {called(run, target, name, sorted_ids(ids)) or 'nothing'}")
            continue
        if diff.added:
            lines.append(f"  {name:<{width}}  + {called(run, target, name, diff.added)}")
        if diff.removed:
            lines.append(f"  {name:<{width}}  - {called(run, target, name, diff.removed)}")
    return lines


def _show_plan(plan: Plan, settings: Settings) -> None:
    hidden = plan.unseen - plan.presumed.total()
    unseen = f" ({hidden:,} of them unseen)" if hidden else ""
    click.echo(
        f"{counted(plan.targets, 'target')}: {plan.puts:,} to change{unseen}, {plan.unchanged:,} unchanged; "
        f"{counted(plan.added, 'link')} added, {plan.removed:,} removed"
    )
    for kind, count in sorted(plan.presumed.items()):
        click.echo(f"no answer showed any links of {kind.plural}; this plan assumes that {_of_them(count)} none")
    if plan.new_records:
        click.echo(f"{counted(plan.new_records, 'record')} to create first, with a POST each")
        for line in new_lines(plan.creations):
            click.echo(line)
    if not plan.readable:
        click.echo(f"{counted(plan.rejected, 'job')} rejected, {plan.failed:,} failed: see above")
    reads = f"{plan.reads:,} to {plan.reads + plan.puts:,} reads" if plan.puts else counted(plan.reads, "read")
    limits = " and ".join(map(str, settings.parts))
    at_limits = f"; at {limits} that is {duration(plan.seconds)} or more" if limits else ""
    click.echo(f"a run takes {counted(plan.puts, 'PUT')} and {reads}{at_limits}")
    if plan.unreadable and plan.removed:
        rows = counted(plan.unreadable, "row")
        click.echo(
            f"{rows} could not be read, so a run leaves lists alone that would lose links: add --allow-unreadable"
        )
    if plan.removed > floor(settings):
        click.echo("where more than half of the links read would be removed, a run asks first, or wants --yes")
    if plan.puts:
        click.echo("writes may set off mails to watchers, webhooks and integrations of the account")


def _of_them(count: int) -> str:
    return "1 of them holds" if count == 1 else f"{count:,} of them hold"


def _json(outcome: Outcome, run: Run) -> list[str]:
    del run  # programs need ids, not names
    if isinstance(outcome, Result):
        return [outcome.to_json().decode()]
    return [harmless_json(orjson.dumps(_change(outcome), default=_plain)).decode()]


def _plain(value: object) -> dict[str, Any]:
    if isinstance(value, Name):
        return value.written
    assert isinstance(value, FieldChange)
    return dict(shown({"added": value.added, "removed": value.removed}))


def _change(planned: Planned) -> dict[str, Any]:
    change = planned.change
    before = change.before
    return {
        "kind": change.target.kind.value,
        "id": change.target.id,
        "put": bool(change.put),
        "before": None if before is None else {name: sorted_ids(ids) for name, ids in before.items()},
        "after": shown({name: sorted_ids(ids) for name, ids in change.after.items()}),
        "changes": {name: change.diff(name) for name in change.after} if before is not None else None,
        "jobs": [job.number for job in planned.jobs],
        **({"assumed": True} if planned.presumed_by is not None else {}),
    }
