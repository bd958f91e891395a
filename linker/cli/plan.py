"""`linker plan FILE...`: what a run would do to the account as it is now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import orjson

from linker.change import Planned
from linker.cli.drive import follow, run_in_loop
from linker.cli.options import (
    Access,
    account_options,
    batch_options,
    job_files,
    log_options,
    pace_options,
    takes_access,
)
from linker.cli.progress import Progress
from linker.cli.screen import duration
from linker.client import Linker
from linker.errors import UsageError
from linker.job import sorted_ids
from linker.plan import Plan
from linker.results import Result
from linker.settings import Settings
from linker.sources import JobFile, UndoFile
from linker.work import Outcome

__all__ = ["command", "planned"]


@click.command(
    "plan",
    short_help="Show what run would do; sends no PUT.",
    epilog="""\b
Examples:
  linker plan links.jsonl --account company
  linker plan links.csv --json > plan.jsonl
  linker plan --undo links.results.jsonl

\b
Exit codes: 0, with changes too; 1 where a line was rejected or a target could not be read.
""",
)
@click.argument("files", metavar="FILE...", nargs=-1)
@account_options
@click.option(
    "--undo", "undo", metavar="RESULTS", type=click.Path(path_type=Path), help="Plan the undo of a run instead."
)
@batch_options
@click.option("--json", "as_json", is_flag=True, help="One change a line, with its jobs; what is rejected as well.")
@pace_options
@click.option("--progress/--no-progress", default=None, help="Show how far it is, on stderr. Default: on.")
@log_options
@takes_access
def command(
    access: Access,
    files: tuple[str, ...],
    undo: Path | None,
    format: str | None,
    as_json: bool,
    progress: bool | None,
) -> int:
    """Show what a run of FILEs would do to the account as it is now. It reads, and sends no PUT.

    For each target that would change, `+` and `-` with the ids of records; then how many PUTs and reads a run
    takes, and how long at the account's limits.
    """
    if bool(files) == bool(undo):
        raise UsageError("give job FILEs to plan, or --undo RESULTS")
    sources = job_files(files, format) if undo is None else UndoFile(undo)

    def show(outcome: Outcome) -> None:
        if as_json:
            click.echo(_json(outcome))
        else:
            _show(outcome)

    plan, code = run_in_loop(planned(access, sources, progress is not False, show))
    if code:  # it ended early: what was counted is no plan
        return code
    if not as_json:
        _show_plan(plan, access.settings)
    return 0 if plan.readable else 1


async def planned(access: Access, sources: Sequence[JobFile] | UndoFile, progress: bool, show: Any) -> tuple[Plan, int]:
    """The counts of a dry run whose outcomes are shown as they come, and the exit code of one that ended early."""
    plan = Plan(access.settings.rate)

    def each(outcome: Outcome) -> None:
        plan.add(outcome, keep=False)
        show(outcome)

    async with Linker(token=access.token, settings=access.settings) as aha:
        run = aha.dry_run(sources)
        code = await follow(run, Progress(access.settings) if progress else None, each)
        plan.reads = run.summary.requests
    return plan, code


def _show(outcome: Outcome) -> None:
    if isinstance(outcome, Result):
        assert outcome.error is not None
        click.echo(f"{outcome.place}: {outcome.status.value}, {outcome.error.type.value}: {outcome.error.message}")
        return
    put = outcome.change.put
    if not put:
        return
    click.echo(f"{outcome.change.target}{'  (its answers show no links)' if outcome.unseen else ''}")
    for name, ids in put.items():
        diff = outcome.change.diff(name)
        if diff is None:
            click.echo(f"  {name}  = {', '.join(sorted_ids(ids)) or 'nothing'}")
            continue
        if diff.added:
            click.echo(f"  {name}  + {', '.join(diff.added)}")
        if diff.removed:
            click.echo(f"  {name}  - {', '.join(diff.removed)}")


def _show_plan(plan: Plan, settings: Settings) -> None:
    unseen = f", {plan.unseen:,} of them unseen" if plan.unseen else ""
    click.echo(
        f"{plan.targets:,} targets: {plan.puts:,} to change{unseen}, {plan.unchanged:,} unchanged; "
        f"{plan.added:,} links added, {plan.removed:,} removed"
    )
    if plan.rejected or plan.failed:
        click.echo(f"{plan.rejected:,} jobs rejected, {plan.failed:,} of targets that cannot be read")
    limits = " and ".join(map(str, settings.rate))
    at_limits = f"; {duration(plan.seconds)} at {limits}" if limits else ""
    click.echo(f"a run takes {plan.puts:,} PUTs, and {plan.reads:,} to {plan.reads + plan.puts:,} reads{at_limits}")
    if plan.puts:
        click.echo("writes may set off mails to watchers, webhooks and integrations of the account")


def _json(outcome: Outcome) -> str:
    if isinstance(outcome, Result):
        return outcome.to_json().decode()
    return orjson.dumps(_change(outcome)).decode()


def _change(planned: Planned) -> dict[str, Any]:
    change = planned.change
    before = change.before
    return {
        "kind": change.target.kind.value,
        "id": change.target.id,
        "put": bool(change.put),
        "before": None if before is None else {name: sorted_ids(ids) for name, ids in before.items()},
        "after": {name: sorted_ids(ids) for name, ids in change.after.items()},
        "changes": {name: change.diff(name) for name in change.after} if before is not None else None,
        "jobs": [job.number for job in planned.jobs],
    }
