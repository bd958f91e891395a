"""`linker verify FILE...`: tells whether the account holds what the files ask for."""

from __future__ import annotations

import click

from linker.cli import options
from linker.cli.drive import run_in_loop
from linker.cli.output import called, counted, why_not
from linker.cli.plan import planned
from linker.cli.verb import Verb
from linker.client.plan import Plan
from linker.client.run import Run
from linker.results.result import Outcome, Result
from linker.sources import Columns


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
@options.pace
@options.progress
@options.takes_access
def command(
    access: options.Access,
    files: tuple[str, ...],
    format: str | None,
    columns: Columns | None,
) -> int:
    """Check whether the account now holds what the job FILEs ask for, and name each difference.

    Nothing is written.
    """
    plan, code = run_in_loop(
        planned(
            access,
            options.job_files(files, format, columns),
            _lines,
            doing="verifying",
            words=("not as asked", "as asked"),
        )
    )
    if code:  # the run ended early, so there is no answer
        return code
    click.echo(_answer(plan))
    return 0 if plan.holds else 1


def _answer(plan: Plan) -> str:
    """Return the answer: `no: 3 of 5 targets as asked, 2 not; 1 job rejected, 0 failed`."""
    verdict = "yes" if plan.holds else "no"
    answer = f"{verdict}: {plan.unchanged:,} of {counted(plan.targets, 'target')} as asked"
    if plan.differing:
        answer += f", {plan.differing:,} not"
    if plan.unseen:
        answer += f", {plan.unseen:,} unseen"
    if not plan.readable:
        answer += f"; {counted(plan.rejected, 'job')} rejected, {plan.failed:,} failed"
    kinds = " and ".join(kind.plural for kind in plan.presumed)
    return answer + (f"; no answer showed any links of {kinds}" if kinds else "")


def _lines(outcome: Outcome, run: Run) -> list[str]:
    if isinstance(outcome, Result):
        return [why_not(outcome)]
    target = outcome.change.target
    if outcome.unseen:
        return [f"{target}: unseen, its answers show no links"]
    lines: list[str] = []
    for name in outcome.change.put:
        diff = outcome.change.diff(name)
        assert diff is not None
        lacks = f"lacks {called(run, target, name, diff.added)}" if diff.added else ""
        holds = f"should not hold {called(run, target, name, diff.removed)}" if diff.removed else ""
        lines.append(f"{target}: {name} {'; '.join(filter(None, (lacks, holds)))}")
    return lines
