"""Shows on a terminal what a run is about to change, and asks whether to go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from click.core import ParameterSource

from linker import log
from linker.cli.access import Access
from linker.cli.drive import until_signal
from linker.cli.dry import DryRun, dry_run
from linker.cli.output import counted, host, kinds, new_lines, rough_duration
from linker.cli.progress import Progress
from linker.cli.prompt import may_ask
from linker.cli.summary import problem_lines
from linker.client.linker import Linker
from linker.client.plan import Plan
from linker.client.run import Run
from linker.errors import UsageError
from linker.model.job import Mode
from linker.records.names import NewRecord
from linker.settings import Settings
from linker.sources import JobFile
from linker.text import harmless


class Agreement:
    """What somebody at the terminal has agreed to before the first write.

    `code` is the exit code if the run is not to begin, else None. `dry` is the dry run that was
    shown, if there was one.
    """

    def __init__(self, code: int | None = None, dry: DryRun | None = None) -> None:
        self.code = code
        self.dry = dry

    @property
    def after(self) -> Run | None:
        """The dry run whose reads the run uses."""
        return self.dry.run if self.dry is not None else None

    def covers_removals(self, removals: int) -> bool:
        """Whether so many removed links were shown and agreed to."""
        return self.dry is not None and removals <= self.dry.plan.removed

    def covers_records(self, records: Sequence[NewRecord]) -> bool:
        """Whether the creation of these records was shown and agreed to."""
        if self.dry is None:
            return False
        shown = {(record.name, record.table) for record in self.dry.plan.creations}
        return all((record.name, record.table) in shown for record in records)


def asks_first(access: Access, sources: Sequence[JobFile], path: Path, how: Mapping[str, bool]) -> bool:
    """Whether `run` asks before its first write.

    Only on a terminal, and without `--yes`.
    """
    is_refused = path.exists() and not any(how.values())
    has_input = all(source.name != "-" for source in sources)  # else the answer would be taken for a row
    return may_ask() and has_input and not access.settings.yes and not is_refused


async def ask_before_writing(
    aha: Linker, access: Access, sources: Sequence[JobFile], view: Progress, path: Path, how: Mapping[str, bool]
) -> Agreement:
    """Plan the run, show the totals, and ask. What was read for it is kept for the run.

    Args:
        path: the results file.
        how: what to do with it if it exists: `overwrite`, `resume`, `failed_only`.

    Raises:
        UsageError: a file cannot be used, or was changed while the question was open; nothing was written.
    """
    settings, where = access.settings, host(access.settings.base_url)
    if settings.blind:
        return await _answer(view, f"{where}: writing without reading first, so the changes are unknown. Continue?")
    if not all(source.can_be_read_again for source in sources):
        return await _answer(view, f"{where}: a pipe can be read only once, so the changes are unknown. Continue?")
    is_resumed = path.exists() and not how["overwrite"]  # noqa: ASYNC240  a local file
    dry = await dry_run(
        aha,
        access,
        sources,
        doing="planning",
        keep_reads=True,
        done_in=path if is_resumed else None,
        failed_only=is_resumed and how["failed_only"],
        most=settings.limit,
        unfinished="nothing was written",
    )
    if dry.code:
        return Agreement(dry.code)
    if not dry.plan.puts:
        return Agreement(None, dry)
    totals = _totals(dry.plan, settings, is_resumed=is_resumed)
    agreement = await _answer(view, f"{where}: {totals}. Continue?", _notes(dry, settings), dry)
    if agreement.code is None and (changed := next((each.name for each in sources if each.changed()), None)):
        raise UsageError(f"{changed} was changed after it was read; nothing was written. Run the command again")
    return agreement


async def _answer(view: Progress, question: str, notes: Sequence[str] = (), dry: DryRun | None = None) -> Agreement:
    is_agreed, caught = await until_signal(view.ask(question, notes), None)
    if is_agreed:
        return Agreement(None, dry)
    if caught:
        click.echo(err=True)  # else the next line continues the prompt
    log.tell("not_agreed", "linker: nothing was written")
    return Agreement(128 + caught if caught else 2)


def _totals(plan: Plan, settings: Settings, *, is_resumed: bool) -> str:
    """Return `1,300 features, +2,950 −12 links, about 5 minutes`."""
    changing = f"the remaining {kinds(plan.changing)}" if is_resumed else kinds(plan.changing)
    if settings.limit is not None and plan.puts >= settings.limit:
        changing = f"the first {kinds(plan.changing)} (--limit {settings.limit:,})"
    seconds = settings.least_s(plan.puts + plan.new_records)
    return f"{changing}, +{plan.added:,} −{plan.removed:,} links, {rough_duration(seconds)}"


def _notes(dry: DryRun, settings: Settings) -> list[str]:
    """Return what else somebody should know who agrees."""
    plan, lines = dry.plan, problem_lines(dry.problems.problems)
    if plan.creations:
        most = "up to " if settings.limit is not None else ""
        lines += [f"{most}{counted(plan.new_records, 'record')} will be created first:", *new_lines(plan.creations)]
    if plan.removed and _is_by_default(dry.run, settings):
        removed = counted(plan.removed, "link")
        lines.append(f"{removed} will be removed: rows without a mode replace the whole list. To keep them: --mode add")
    if plan.removed > dry.run.most_removals:
        lines.append(f"{plan.removed:,} of the {dry.run.links_read:,} links read will be removed")
    if plan.unseen:
        lines.append(f"the account shows no links for {counted(plan.unseen, 'target')}; linker assumes they have none")
    return list(map(harmless, lines))


def _is_by_default(run: Run, settings: Settings) -> bool:
    """Whether rows replace whole lists only because no mode was given."""
    source = click.get_current_context().get_parameter_source("mode")
    is_default = source in (None, ParameterSource.DEFAULT)
    return settings.mode is Mode.REPLACE and is_default and settings.mirror is None and run.rows_without_mode > 0
