"""`linker run FILE...`: makes the account hold the links that the files ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click

from linker import log
from linker.cli import options
from linker.cli.before_writing import Agreement, ask_before_writing, asks_first
from linker.cli.drive import follow, run_in_loop
from linker.cli.progress import Progress
from linker.cli.prompt import may_ask
from linker.cli.summary import emit, show_summary, summary_json
from linker.client.linker import Linker
from linker.errors import UsageError
from linker.records.names import NewRecord
from linker.results.result import Outcome
from linker.results.undo import UndoFile
from linker.sources import Columns, JobFile


@click.command(
    "run",
    short_help="Make the account hold the links of job files.",
    epilog="""\b
Examples:
  linker run links.jsonl --account company
  linker run crm.csv --mode add --results runs/today.jsonl
  linker run links.csv --limit 20
  linker run links.csv --resume
  linker run accounts.csv --column id='Aha Ref' --column record_names='Account Name' \
      --set field=customers --set kind=feature --table customers=PRJ1/customers
  linker run crm.csv --mirror --field customers --scope feature:PRJ1
  zcat links.jsonl.gz | linker run - --url http://127.0.0.1:8765

\b
A job a line (JSONL):
  {"kind": "feature", "id": "PRJ1-1", "links": {"customers": ["640362830"]}}
or a link a row (CSV, rows of one target and field add up):
  kind,id,field,record_ids,mode,key
  feature,PRJ1-1,customers,640362830;136661093,,

\b
Exit codes: 0 every job is linked or unchanged, 1 some failed or were rejected,
2 nothing was written: the command is wrong, too many links would be removed,
or rows are missing or cannot be read;
3 stopped early, 130 interrupted: go on with --resume. What was written can be undone:
linker undo RESULTS.
""",
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@options.account
@click.option(
    "--results",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="One JSON line a job. Default: the first file's stem with .results.jsonl, here.",
)
@options.results
@options.setting("account_unchecked", help="Resume results that name another account's address.")
@options.batch
@options.create
@options.mail
@options.setting("blind", help="Write without reading first: half the requests, no `before`, no `unchanged`.")
@options.setting(
    "max_removals",
    metavar="N",
    type=click.IntRange(min=0),
    help="Stop before more links than that are taken away. Default: the larger of 100 and half of those read, "
    "with --mirror half.",
)
@options.setting("yes", help="Take away as many as the files ask for.")
@options.setting("allow_unreadable", help="Remove links even if a row cannot be read.")
@options.setting("limit", metavar="N", type=click.IntRange(min=1), help="A pilot: change N targets only, and stop.")
@options.mirror
@options.setting(
    "max_age",
    metavar="S",
    type=click.FloatRange(min=0),
    help="Seconds that what was read may be old when it is written.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
@options.pace
@options.progress
@options.takes_access
def command(
    access: options.Access,
    files: tuple[str, ...],
    results: Path | None,
    format: str | None,
    columns: Columns | None,
    as_json: bool,
    **how: bool,
) -> int:
    """Make the account hold the links that FILEs ask for.

    FILE is JSONL or CSV; - is standard input. Jobs of one target become one request, what is already so costs
    none, and each job gets one line in the results file.
    """
    sources = options.job_files(files, format, columns)
    path = results or Path(f"{sources[0].stem}.results.jsonl")
    if any(path.exists() and Path(file).exists() and path.samefile(file) for file in files):
        raise UsageError(f"{path} would be read and written at the same time; name another file with --results")
    return run_in_loop(carry_out(access, sources, path, how=how, as_json=as_json))


async def carry_out(
    access: options.Access,
    sources: Sequence[JobFile] | UndoFile,
    path: Path,
    *,
    how: Mapping[str, bool],
    as_json: bool = False,
    next_step: bool = True,
    on_outcome: Callable[[Outcome], None] | None = None,
) -> int:
    """Run a batch or an undo, show its summary, and return the exit code.

    Args:
        how: what to do with an existing results file: `overwrite`, `resume`, `failed_only`.
        as_json: print the summary as one JSON object.
        next_step: name the commands that usually come next.
        on_outcome: called with each outcome.
    """
    undo = isinstance(sources, UndoFile)
    view = Progress(access.settings, visible=access.progress, doing="undoing" if undo else "linking", undo=undo)
    async with Linker(token=access.token, settings=access.settings) as aha:
        agreement = Agreement()
        if not isinstance(sources, UndoFile) and asks_first(access, sources, path, how):
            agreement = await ask_before_writing(aha, access, sources, view)
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
        code = await follow(run, view, on_outcome)
        summary = run.summary
        if (kept := run.kept_results) is not None:
            log.tell("results_kept", f"linker: the earlier results were kept as {kept}")
        if as_json:
            emit(summary_json(summary, undo=undo))
        elif not access.quiet or code or not summary.ok:
            show_summary(summary, undo=undo, next_step=next_step)
        return code or (0 if summary.ok else 1)
