"""`linker verify FILE...`: does the account hold, now, what the files ask for?"""

from __future__ import annotations

import click

from linker.cli.drive import run_in_loop
from linker.cli.options import (
    Access,
    account_options,
    batch_options,
    job_files,
    log_options,
    pace_options,
    takes_access,
)
from linker.cli.plan import planned
from linker.results import Result
from linker.work import Outcome

__all__ = ["command"]


@click.command(
    "verify",
    short_help="Does the account hold what job files ask for?",
    epilog="""\b
Examples:
  linker verify links.jsonl --account company

\b
Exit codes: 0 yes (but for targets that show no links, which are named), 1 no.
""",
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@account_options
@batch_options
@pace_options
@click.option("--progress/--no-progress", default=None, help="Show how far it is, on stderr. Default: on.")
@log_options
@takes_access
def command(
    access: Access,
    files: tuple[str, ...],
    format: str | None,
    progress: bool | None,
) -> int:
    """Tell whether the account holds, now, what FILEs ask for, and name each difference. It sends no PUT."""
    plan, code = run_in_loop(planned(access, job_files(files, format), progress is not False, _show))
    if code:  # it ended early: there is no verdict
        return code
    differ = plan.puts - plan.unseen
    verdict = "yes" if plan.holds else "no"
    unseen = f", {plan.unseen:,} unseen" if plan.unseen else ""
    click.echo(f"{verdict}: {plan.unchanged:,} of {plan.targets:,} targets as asked, {differ:,} not{unseen}")
    if plan.rejected or plan.failed:
        click.echo(f"{plan.rejected:,} jobs rejected, {plan.failed:,} of targets that cannot be read")
    return 0 if plan.holds else 1


def _show(outcome: Outcome) -> None:
    if isinstance(outcome, Result):
        assert outcome.error is not None
        click.echo(f"{outcome.place}: {outcome.status.value}, {outcome.error.type.value}: {outcome.error.message}")
        return
    target, put = outcome.change.target, outcome.change.put
    if outcome.unseen:
        click.echo(f"{target}: unseen, its answers show no links")
        return
    for name in put:
        diff = outcome.change.diff(name)
        assert diff is not None
        lacks = f"lacks {', '.join(diff.added)}" if diff.added else ""
        holds = f"still holds {', '.join(diff.removed)}" if diff.removed else ""
        click.echo(f"{target}: {name} {'; '.join(filter(None, (lacks, holds)))}")
