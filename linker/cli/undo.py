"""`linker undo RESULTS`: take back what the run of a results file changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from linker.cli.drive import may_ask, run_in_loop
from linker.cli.options import Access, account_options, log_options, pace_options, takes_access
from linker.cli.run import carry_out
from linker.errors import UsageError
from linker.job import LinkJob, Mode, Target
from linker.results import Result
from linker.sources import UndoFile
from linker.work import Outcome

__all__ = ["command"]


@click.command(
    "undo",
    short_help="Take back what a run changed.",
    epilog="""\b
Examples:
  linker plan --undo links.results.jsonl
  linker undo links.results.jsonl
  linker undo links.undo.jsonl          (an undo can be undone, too)
""",
)
@click.argument("results", metavar="RESULTS", type=click.Path(path_type=Path))
@account_options
@click.option(
    "--results",
    "undone",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="One JSON line a job of the undo. Default: RESULTS' stem with .undo.jsonl, here.",
)
@click.option("--overwrite", is_flag=True, help="Keep a results file that exists under a dated name, and start anew.")
@click.option("--yes", "sure", is_flag=True, help="Do not ask.")
@pace_options
@click.option("--progress/--no-progress", default=None, help="Show how far it is, on stderr. Default: on.")
@log_options
@takes_access
def command(
    access: Access,
    results: Path,
    undone: Path | None,
    overwrite: bool,
    sure: bool,
    progress: bool | None,
) -> int:
    """Take back what the run of RESULTS changed: remove what it added, add again what it removed.

    What others have written since stays, and is mentioned. It is a run like any other, with results of its own.
    """
    access = replace(access, settings=replace(access.settings, yes=True))  # it is asked here, and once
    source = UndoFile(results)
    source.check()
    targets, added, removed = run_in_loop(_count(source))
    if not targets:
        click.echo("there is nothing to undo: no line tells of a change")
        return 0
    question = f"This changes {targets:,} targets: {removed:,} links are removed, {added:,} added again."
    if not sure:
        if not may_ask():
            raise UsageError(f"{question} Say --yes where nobody can be asked")
        if not click.confirm(f"{question} Go on?", err=True):
            return 2
    path = undone or Path(f"{source.stem}.jsonl")
    others_work: dict[Target, str] = {}

    def compare(outcome: Outcome) -> None:
        if not isinstance(outcome, Result) or outcome.after is None or outcome.kind is None or outcome.id is None:
            return
        target = Target.parse(outcome.id, outcome.kind)
        before = source.before.get(target, {})
        for field, ids in outcome.after.items():
            if field in before and frozenset(ids) != before[field]:
                others_work[target] = field

    code = run_in_loop(
        carry_out(access, source, path, overwrite=overwrite, progress=progress is not False, each=compare)
    )
    if others_work:
        some = ", ".join(f"{target} {field}" for target, field in list(others_work.items())[:3])
        click.echo(f"{len(others_work):,} targets hold other links than before the run, others' work kept: {some}")
    return code


async def _count(source: UndoFile) -> tuple[int, int, int]:
    targets: set[Target] = set()
    added = removed = 0
    async for entries in source.entries(empty_clears=False):
        for entry in entries:
            if isinstance(entry.said, LinkJob):
                targets.add(entry.said.target)
                count = sum(map(len, entry.said.links.values()))
                added += count if entry.said.mode is Mode.ADD else 0
                removed += count if entry.said.mode is Mode.REMOVE else 0
    return len(targets), added, removed
