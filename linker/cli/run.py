"""`linker run FILE...`: makes the account hold the links that the files ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click

from linker import log
from linker.cli import options
from linker.cli.access import Access, job_files, results_path, takes_access
from linker.cli.before_writing import Agreement, ask_before_writing, asks_first
from linker.cli.drive import follow, run_in_loop
from linker.cli.progress import Progress
from linker.cli.prompt import may_ask
from linker.cli.summary import emit, show_summary, summary_json
from linker.cli.verb import Verb, flag, option
from linker.client.linker import Linker
from linker.errors import UsageError
from linker.records.names import NewRecord
from linker.results.result import Outcome
from linker.results.undo import UndoFile
from linker.sources import Columns, JobFile


@click.command(
    "run",
    cls=Verb,
    short_help="Make the account hold the links of job files.",
    epilog="""\b
Examples:
  linker run links.jsonl --account company
  linker run links.csv --dry-run
  linker run links.csv --limit 20
  linker run links.csv --resume
  linker run crm.csv --mode add --results runs/today.jsonl
  linker run accounts.csv \\
      --column id='Aha Ref' \\
      --column record_names='Account Name' \\
      --set field=customers --set kind=feature \\
      --table customers=PRJ1/customers
  linker run crm.csv --mirror --field customers \\
      --scope feature:PRJ1
  zcat links.jsonl.gz | linker run -

\b
A job file has one row in each line (JSONL):
  {"id": "PRJ1-1", "links": {"customers": ["640362830"]}}
or it is a table (CSV), whose rows for one feature add up:
  kind,id,field,record_ids,mode,key
  feature,PRJ1-1,customers,640362830;136661093,,

\b
Exit codes:
  0    all rows are linked or unchanged
  1    some rows failed or were rejected
  2    nothing was written: the command, a setting or a
       file is wrong, or too many links would be removed
  3    stopped early; continue with --resume
  130  interrupted; continue with --resume

To take a run back: linker undo RESULTS
""",
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@options.account
@options.batch
@options.create
@option(
    "--results",
    group="Output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    show_default="FILE's name with .results.jsonl",
    help="Write a JSON line for each row to this file",
)
@options.results
@options.setting("account_unchecked", group="Output", help="Resume results that name another account's address")
@options.setting(
    "limit",
    group="Safety",
    metavar="N",
    type=click.IntRange(min=1),
    help="Change only the first N targets, then stop (a pilot)",
)
@options.setting(
    "max_removals",
    group="Safety",
    metavar="N",
    type=click.IntRange(min=0),
    show_default="half of the links read, or 100 if that is more",
    help="Stop before removing more than N links",
)
@flag("--dry-run", group="Safety", help="Show the changes without making them, like linker plan")
@options.setting("yes", group="Safety", help="Write and remove links without asking")
@options.setting("allow_unreadable", group="Safety", help="Remove links even if some rows cannot be read")
@options.mail
@options.mirror
@options.setting("blind", group="Speed", help="Write without reading first; such a run cannot be undone")
@options.setting(
    "max_age",
    group="Speed",
    metavar="S",
    type=click.FloatRange(min=0),
    help="Read targets again before a write after S seconds",
)
@options.json_summary
@options.pace
@options.progress
@takes_access
def command(
    access: Access,
    files: tuple[str, ...],
    results: Path | None,
    format: str | None,
    columns: Columns | None,
    **how: bool,
) -> int:
    """Make the account hold the links that the job FILEs ask for.

    A FILE is JSONL or CSV; - is standard input. Rows for the same feature share one request; links that already exist
    cost none. The results file gets one line for each row.
    """
    sources = job_files(files, format, columns)
    path = results_path(access, results, f"{sources[0].stem}.results.jsonl")
    if any(path.exists() and Path(file).exists() and path.samefile(file) for file in files):
        raise UsageError(f"{path} would be read and written at the same time; name another file with --results")
    return run_in_loop(carry_out(access, sources, path, how=how))


async def carry_out(
    access: Access,
    sources: Sequence[JobFile] | UndoFile,
    path: Path,
    *,
    how: Mapping[str, bool],
    next_step: bool = True,
    on_outcome: Callable[[Outcome], None] | None = None,
) -> int:
    """Run a batch or an undo, show its summary, and return the exit code.

    Args:
        how: what to do with an existing results file: `overwrite`, `resume`, `failed_only`.
        next_step: name the commands that usually come next.
        on_outcome: called with each outcome.
    """
    undo = isinstance(sources, UndoFile)
    view = Progress(access.settings, visible=access.progress, doing="undoing" if undo else "linking", undo=undo)
    async with Linker(token=access.token, settings=access.settings) as aha:
        agreement = Agreement()
        if not isinstance(sources, UndoFile) and asks_first(access, sources, path, how):
            agreement = await ask_before_writing(aha, access, sources, view, path, how)
        if agreement.code is not None:
            return agreement.code

        async def confirm(removals: int, read: int) -> bool:
            return agreement.covers_removals(removals) or await view.confirm(removals, read)

        async def confirm_new(records: Sequence[NewRecord]) -> bool | None:
            return agreement.covers_records(records) or await view.confirm_new(records)

        asks = may_ask()
        run = aha.run(
            sources,
            path,
            **how,
            confirm=confirm if asks else None,
            confirm_new=confirm_new if asks else None,
            confirm_unreadable=view.confirm_unreadable if asks else None,
            after=agreement.after,
        )
        if not undo and how.get("resume") and (undone := path.with_name(f"{path.stem}.undo.jsonl")).exists():
            log.tell("undone", _undone(path, undone))
        code = await follow(run, view, on_outcome)
        summary = run.summary
        if access.as_json:
            if run.kept_results is not None:
                log.tell("results_kept", f"linker: earlier results: {run.kept_results}")
            emit(summary_json(summary, undo=undo))
        elif not access.quiet or code or not summary.ok:
            show_summary(summary, undo=undo, next_step=next_step, kept=run.kept_results)
        return code or (0 if summary.ok else 1)


def _undone(results: Path, undone: Path) -> str:
    return (
        f"linker: {undone} says that {results} was undone. Its rows still count as done; to link them again, "
        "use --overwrite instead of --resume"
    )
