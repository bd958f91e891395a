"""`linker run FILE...`: make the account hold the links that the files ask for."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self, TypeVar

import click

from linker import log
from linker.cli.options import account_options, job_files, log_options, pace_options, settings_of, token_of
from linker.cli.progress import show_progress
from linker.cli.screen import show_summary
from linker.client import Linker, Run
from linker.errors import Stopped, UsageError
from linker.job import Mode
from linker.settings import Settings
from linker.sources import JobFile

__all__ = ["command", "drive", "run_in_loop"]

T = TypeVar("T")


@click.command(
    "run",
    short_help="Make the account hold the links of job files.",
    epilog="""\b
Examples:
  linker run links.jsonl --account company
  linker run crm.csv --mode add --results runs/today.jsonl
  zcat links.jsonl.gz | linker run - --url http://127.0.0.1:8765

\b
A job a line (JSONL):
  {"kind": "feature", "id": "PRJ1-1", "links": {"customers": ["640362830"]}}
or a link a row (CSV, rows of one target and field add up):
  kind,id,field,record_ids,mode,key
  feature,PRJ1-1,customers,640362830;136661093,,

\b
Exit codes: 0 every job is linked or unchanged, 1 some failed or were rejected,
2 the command is wrong (nothing was sent), 3 stopped early, 130 interrupted.
""",
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@account_options
@click.option(
    "--results",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="One JSON line a job. Default: the first file's stem with .results.jsonl, here.",
)
@click.option("--overwrite", is_flag=True, help="Keep a results file that exists under a dated name, and start anew.")
@click.option(
    "--mode",
    type=click.Choice([mode.value for mode in Mode]),
    default="replace",
    show_default=True,
    help="What a job does that does not say.",
)
@click.option("--empty-clears", is_flag=True, help="An empty record_ids cell of a CSV clears the field.")
@click.option("--format", type=click.Choice(["jsonl", "csv"]), help="What standard input holds (jsonl).")
@click.option(
    "--blind", is_flag=True, help="Write without reading first: half the requests, no `before`, no `unchanged`."
)
@pace_options
@click.option("--progress/--no-progress", default=None, help="Show how far it is, on stderr. Default: on.")
@log_options
def command(
    files: tuple[str, ...],
    account: str | None,
    url: str | None,
    token_file: Path | None,
    results: Path | None,
    overwrite: bool,
    format: str | None,
    rate: tuple[str, ...],
    progress: bool | None,
    log_level: str,
    **others: Any,
) -> int:
    """Make the account hold the links that FILEs ask for.

    FILE is JSONL or CSV; - is standard input. Jobs of one target become one request, what is already so costs
    none, and each job gets one line in the results file.
    """
    settings = settings_of(account, url, rate, **others)
    token = token_of(token_file)
    sources = job_files(files, format)
    path = results or Path(f"{sources[0].stem}.results.jsonl")
    if any(path.exists() and Path(file).exists() and path.samefile(file) for file in files):
        raise UsageError(f"{path} is to be read and to be written; give --results another name")
    return run_in_loop(drive(settings, token, sources, path, overwrite=overwrite, progress=progress is not False))


def run_in_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run the command's loop, on uvloop where it is installed (the extra `fast`)."""
    factory: Callable[[], asyncio.AbstractEventLoop] | None
    try:
        import uvloop

        factory = uvloop.new_event_loop
    except ImportError:
        factory = None
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


async def drive(
    settings: Settings, token: str, sources: list[JobFile], path: Path, *, overwrite: bool, progress: bool
) -> int:
    """Run a batch with progress and signals, show what it came to, and tell the exit code.

    Raises:
        UsageError: a file cannot be used; nothing was sent.
    """
    async with Linker(token=token, settings=settings) as aha:
        run = aha.run(sources, path, overwrite=overwrite)
        stopped: Stopped | None = None
        async with AsyncExitStack() as stack:
            signals = stack.enter_context(_Signals(run))
            if progress:
                await stack.enter_async_context(show_progress(run, settings))
            try:
                async for _ in run:
                    pass
            except Stopped as error:
                stopped = error
            except asyncio.CancelledError:
                if signals.caught is None:
                    raise
        show_summary(run.summary)
        if stopped is not None:
            log.tell("stopped_early", f"linker: stopped early: {stopped}", "error")
            return 3
        if signals.caught is not None:
            log.tell(
                "interrupted", "linker: interrupted; jobs without a line in the results have not been done", "error"
            )
            return 128 + signals.caught
        return 0 if run.summary.ok else 1


class _Signals:
    """The first Ctrl-C (or SIGTERM) lets what is under way end; the second ends at once."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.caught: int | None = None

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._catch, number)
        return self

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().remove_signal_handler(number)

    def _catch(self, number: int) -> None:
        if self.caught is None:
            self.caught = number
            log.tell("interrupted", "linker: stopping when what is under way has ended; once more stops at once")
            self._run.stop()
        else:
            self._run.abandon()
