"""`linker verify FILE...`: tells whether the account holds what the files ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import click

from linker.batch.placeholder import shown
from linker.cli import options
from linker.cli.access import Access, job_files, takes_access
from linker.cli.drive import run_in_loop
from linker.cli.dry import DryRun, dry_run
from linker.cli.output import called, counted, lost_rows, plurals, why_not
from linker.cli.summary import emit, summary_json
from linker.cli.verb import Verb
from linker.client.linker import Linker
from linker.client.plan import Plan
from linker.client.run import Run
from linker.results.result import Outcome, Result
from linker.sources import Columns, JobFile


@click.command(
    "verify",
    cls=Verb,
    short_help="Check whether the account holds what job files ask for.",
    epilog="""\b
Examples:
  linker verify links.jsonl --account company
  linker verify crm.csv --mirror --field customers \\
      --scope feature:PRJ1
  linker verify links.jsonl > differences.txt \\
      || mail -s "links differ" me < differences.txt

\b
Exit codes:
  0    yes: the account holds what the files ask for
  1    no; or the account does not show some of the links
  2    the command, a setting or a file is wrong
  3    stopped early, so there is no answer
  130  interrupted, so there is no answer
""",
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@options.account
@options.batch
@options.mirror
@options.json_summary
@options.pace
@options.progress
@takes_access
def command(
    access: Access,
    files: tuple[str, ...],
    format: str | None,
    columns: Columns | None,
) -> int:
    """Check whether the account now holds what the job FILEs ask for, and name each difference.

    Nothing is written.
    """
    differences: list[dict[str, object]] = []

    def collect(outcome: Outcome, _: Run) -> list[str]:
        differences.extend(_differences(outcome))
        return []

    describe = collect if access.as_json else _lines
    dry = run_in_loop(_verified(access, job_files(files, format, columns), describe))
    if dry.code:  # the run ended early, so there is no answer
        return dry.code
    if access.as_json:
        emit(_json(dry, differences))
    elif not access.quiet or not dry.plan.holds:
        click.echo(_answer(dry.plan))
    return 0 if dry.plan.holds else 1


async def _verified(
    access: Access, sources: Sequence[JobFile], describe: Callable[[Outcome, Run], list[str]]
) -> DryRun:
    async with Linker(token=access.token, settings=access.settings) as aha:
        return await dry_run(
            aha,
            access,
            sources,
            doing="verifying",
            words=("not as asked", "as asked"),
            describe=describe,
            unfinished="not everything was verified, so there is no answer",
        )


def _answer(plan: Plan) -> str:
    """Return the answer: `no: 2,301 of 2,441 targets as asked; 60 rows rejected`."""
    total = counted(plan.named, "target")
    if plan.holds:
        return f"yes: {plan.as_asked:,} of {total} as asked"
    parts = [f"{plan.as_asked:,} of {total} as asked"]
    if plan.as_asked == plan.named:  # rows without a target are missing in that number
        parts = []
    if plan.unseen:
        parts.append(f"{plan.unseen:,} not visible")
    if plan.presumed:
        parts.append(f"the account shows no links of {plurals(plan.presumed)} yet")
    parts += lost_rows(plan)
    return f"no: {'; '.join(parts)}"


def _json(dry: DryRun, differences: list[dict[str, object]]) -> bytes:
    """Return the answer as one JSON object; what it has in common with a run's summary has the same keys."""
    plan = dry.plan
    return summary_json(
        dry.problems,
        ok=plan.holds,
        targets=plan.named,
        targets_as_asked=plan.as_asked,
        targets_unseen=plan.unseen,
        links_missing=plan.added,
        links_extra=plan.removed,
        differences=differences,
    )


def _differences(outcome: Outcome) -> Iterator[dict[str, object]]:
    """Yield how a target differs from what its rows ask for, one object for each field."""
    if isinstance(outcome, Result) or outcome.unseen:
        return
    target = outcome.change.target
    for name in outcome.change.put:
        diff = outcome.change.diff(name)
        assert diff is not None
        there = shown({"missing": diff.added, "extra": diff.removed})
        yield {"kind": target.kind.value, "id": target.id, "field": name, **there}


def _lines(outcome: Outcome, run: Run) -> list[str]:
    if isinstance(outcome, Result):
        return [why_not(outcome)]
    target = outcome.change.target
    if outcome.unseen:
        return [f"{target}: not visible, because the account does not show its links"]
    lines: list[str] = []
    for name in outcome.change.put:
        diff = outcome.change.diff(name)
        assert diff is not None
        missing = f"missing {called(run, target, name, diff.added)}" if diff.added else ""
        extra = f"should not have {called(run, target, name, diff.removed)}" if diff.removed else ""
        lines.append(f"{target}: {name} {'; '.join(filter(None, (missing, extra)))}")
    return lines
