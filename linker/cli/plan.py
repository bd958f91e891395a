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
from linker.cli.access import Access, job_files, takes_access
from linker.cli.drive import run_in_loop
from linker.cli.dry import DryRun, dry_run
from linker.cli.output import called, counted, duration, kinds, lost_rows, new_lines, plurals, why_not
from linker.cli.summary import problem_lines, summary_json
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
from linker.text import harmless, harmless_json


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
@option("--summary", group="Output", is_flag=True, help="Show only the totals (with --json as one object)")
@options.pace
@options.progress
@takes_access
def command(
    access: Access,
    files: tuple[str, ...],
    undo: Path | None,
    format: str | None,
    columns: Columns | None,
    as_json: bool,
    summary: bool,
) -> int:
    """Show what a run of the job FILEs would change in the account as it is now. Nothing is written.

    Each feature that would change is shown with the records that it would gain (+) and lose (-). The totals follow,
    with the number of requests that a run would take, and the time.
    """
    if bool(files) == (undo is not None):
        raise UsageError("give either FILEs to plan or --undo RESULTS")
    if undo is not None and access.settings.mirror is not None:
        raise UsageError("--mirror and --undo cannot be used together")
    sources = job_files(files, format, columns) if undo is None else UndoFile(undo)
    dry = run_in_loop(_planned(access, sources, None if summary else _json if as_json else _lines))
    if as_json and summary and not dry.code:
        click.echo(_totals_json(dry))
    elif not as_json and not dry.code:
        if summary:
            for line in problem_lines(dry.problems.problems):
                click.echo(harmless(line))
        _show_plan(dry.plan, access.settings)
        if isinstance(sources, UndoFile) and sources.created:
            created = counted(len(sources.created), "record")
            click.echo(f"{created} that the run created would stay; undo --delete-created deletes those without links")
    return dry.code or (0 if dry.plan.readable else 1)


async def _planned(
    access: Access,
    sources: Sequence[JobFile] | UndoFile,
    describe: Callable[[Outcome, Run], list[str]] | None,
) -> DryRun:
    async with Linker(token=access.token, settings=access.settings) as aha:
        return await dry_run(aha, access, sources, doing="planning", describe=describe)


def _totals_json(dry: DryRun) -> bytes:
    """Return the totals of a plan as one JSON object; what it has in common with a run's has the same keys."""
    plan = dry.plan
    return summary_json(
        dry.problems,
        links_added=plan.added,
        links_removed=plan.removed,
        targets_changed=plan.puts,
        targets=plan.targets,
        targets_unchanged=plan.unchanged,
        targets_unseen=plan.unseen,
        records_created=plan.new_records,
        least_s=round(plan.seconds, 1),
    ).removesuffix(b"\n")


def _lines(outcome: Outcome, run: Run) -> list[str]:
    if isinstance(outcome, Result):
        return [why_not(outcome)]
    put = outcome.change.put
    if not put:
        return []
    target = outcome.change.target
    lines = [f"{target}{'  (the account does not show its links)' if outcome.unseen else ''}"]
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
    would = f"{kinds(plan.changing)} would change: {counted(plan.added, 'link')} added, {plan.removed:,} removed"
    parts = [would if plan.puts else "nothing would change"]
    for count, words in (
        (plan.unchanged, "already in place"),
        (plan.unseen - plan.presumed.total(), "not visible"),
    ):
        if count:
            parts.append(f"{counted(count, 'target')} {words}")
    parts += lost_rows(plan)
    click.echo(" · ".join(parts))
    if count := plan.presumed.total():
        whose = "1 target has none" if count == 1 else f"{count:,} targets have none"
        click.echo(f"the account shows no links of {plurals(plan.presumed)} yet, so this plan assumes that {whose}")
    if plan.new_records:
        click.echo(f"{counted(plan.new_records, 'record')} would be created first:")
        for line in new_lines(plan.creations):
            click.echo(line)
    reads = f"{plan.reads:,} to {plan.reads + plan.puts:,} reads" if plan.puts else counted(plan.reads, "read")
    limits = " and ".join(map(str, settings.parts))
    at_limits = f", at least {duration(plan.seconds)} at {limits}" if limits else ""
    click.echo(f"a run takes {reads} and {counted(plan.puts + plan.new_records, 'write')}{at_limits}")
    if plan.unreadable and plan.removed:
        rows = "1 row cannot be read" if plan.unreadable == 1 else f"{plan.unreadable:,} rows cannot be read"
        click.echo(f"{rows}, so a run shortens no list; correct the input, or add --allow-unreadable")
    if plan.removed > floor(settings):
        click.echo("a run stops and asks before it removes more than half of the links read; --yes allows it")
    if plan.puts:
        click.echo("writes may notify watchers by mail, and may trigger webhooks and integrations")


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
