"""`linker undo RESULTS`: takes back what the run of a results file changed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import click

from linker.cli import options
from linker.cli.created import delete_created_by, stay
from linker.cli.drive import run_in_loop
from linker.cli.output import counted, host, kinds, some
from linker.cli.prompt import may_ask
from linker.cli.run import carry_out
from linker.cli.summary import emit, summary_json
from linker.cli.verb import Verb, option
from linker.errors import UsageError
from linker.model.job import LinkJob, Mode
from linker.model.target import Target
from linker.results.result import Outcome, Result
from linker.results.summary import Summary
from linker.results.undo import UndoFile
from linker.sources import Reading


@click.command(
    "undo",
    cls=Verb,
    short_help="Take back what a run changed.",
    epilog="""\b
Examples:
  linker undo links.results.jsonl
  linker undo links.results.jsonl --delete-created
  linker undo links.undo.jsonl
  linker plan --undo links.results.jsonl

An undo can be undone too. To look first, use plan --undo.

\b
Exit codes:
  0    all changes are undone
  1    some are not: they failed, their line does not say
       what was changed, or a record could not be deleted
  2    nothing was written: the command is wrong, or the
       answer to the question was no
  3    stopped early; continue with --resume
  130  interrupted; continue with --resume
""",
)
@click.argument("results", metavar="RESULTS", type=click.Path(path_type=Path))
@options.account
@option(
    "--delete-created",
    group="Safety",
    is_flag=True,
    help="Delete the records the run created, if nothing links to them",
)
@option("--yes", "sure", group="Safety", is_flag=True, help="Undo without asking")
@options.mail
@options.pace
@option(
    "--results",
    "undone",
    group="Output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    show_default="RESULTS' name with .undo.jsonl",
    help="Write a JSON line for each row to this file",
)
@options.results
@options.json_summary
@options.progress
@options.takes_access
def command(
    access: options.Access,
    results: Path,
    undone: Path | None,
    delete_created: bool,
    sure: bool,
    **how: bool,
) -> int:
    """Take back what the run with these RESULTS changed: remove what it added, and add again what it removed.

    What others have changed since then stays. An undo writes its own results file, so it can be undone too. Records
    that the run created stay, unless you add --delete-created and nothing links to them any more.
    """
    access = replace(access, settings=replace(access.settings, yes=True))  # this verb asks, the run must not
    source = UndoFile(results)
    source.check()
    source.check_account(access.settings.base_url)
    path = options.results_path(access, undone, f"{source.stem}.jsonl")
    if path.exists() and path.samefile(results):
        raise UsageError(f"{path} would be read and written at the same time; name another file with --results")
    pending = run_in_loop(_todo(source))
    created = source.created if delete_created else set()
    if not pending.targets and not created:
        return _nothing_to_do(pending, stay(source, undone), as_json=access.as_json)
    is_refused = bool(pending.targets) and path.exists() and not any(how.values())  # by the run: no need to ask
    if not (sure or is_refused) and not _agreed(pending.describe(access.settings.base_url, len(created))):
        click.echo("linker: nothing was undone", err=True)
        return 2
    if not pending.targets:
        code = _nothing_to_do(pending, as_json=access.as_json)
        return max(code, run_in_loop(delete_created_by(access, source, as_json=access.as_json)))
    others_work = _OthersWork(source)
    code = run_in_loop(carry_out(access, source, path, on_outcome=others_work.compare, how=how))
    others_work.show(as_json=access.as_json)
    if created and code in (0, 1):  # the undo has reached its end
        return max(code, run_in_loop(delete_created_by(access, source, as_json=access.as_json)))
    if kept := stay(source, undone):
        click.echo(kept, err=access.as_json)
    return code


class _OthersWork:
    """Finds what others have written since the run, from the results of its undo."""

    def __init__(self, source: UndoFile) -> None:
        self._before = source.before
        self._found: dict[tuple[Target, str], None] = {}

    def compare(self, outcome: Outcome) -> None:
        """Take in a result of the undo."""
        if not isinstance(outcome, Result) or outcome.after is None or outcome.kind is None or outcome.id is None:
            return
        target = Target.parse(outcome.id, outcome.kind)
        before = self._before.get(target, {})
        for name, ids in outcome.after.items():
            if name in before and frozenset(ids) != before[name]:
                self._found[target, name] = None

    def show(self, *, as_json: bool) -> None:
        """Print the fields that others have written to, if there are any; to stderr if stdout is JSON."""
        if self._found:
            fields = [f"{target} {name}" for target, name in self._found]
            click.echo(f"others have changed these fields since, and their changes stay: {some(fields)}", err=as_json)


@dataclass(slots=True)
class _Todo:
    """What an undo would change, according to the results file."""

    targets: set[Target] = field(default_factory=set)
    added: int = 0
    removed: int = 0
    unknown: list[str] = field(default_factory=list)
    """Lines of a PUT from which nobody can tell what it changed."""

    def describe(self, url: str, created: int) -> str:
        """Return what the undo is about to do.

        Args:
            created: how many records may be deleted.
        """
        delete = f"; deletes those of the {counted(created, 'created record')} without links" if created else ""
        unknown = f"; {counted(len(self.unknown), 'row')} cannot be undone" if self.unknown else ""
        changing = kinds(Counter(target.kind for target in self.targets)) or "no links"
        return f"{host(url)}: {changing}, +{self.added:,} −{self.removed:,} links{unknown}{delete}"


async def _todo(source: UndoFile) -> _Todo:
    pending = _Todo()
    async for entries in source.entries(Reading()):
        for entry in entries:
            if not isinstance(entry.value, LinkJob):
                pending.unknown.append(f"line {entry.line} ({entry.value.kind} {entry.value.id})")
                continue
            pending.targets.add(entry.value.target)
            count = sum(map(len, entry.value.links.values()))
            pending.added += count if entry.value.mode is Mode.ADD else 0
            pending.removed += count if entry.value.mode is Mode.REMOVE else 0
    return pending


def _nothing_to_do(pending: _Todo, kept: str = "", *, as_json: bool) -> int:
    if as_json:
        emit(summary_json(Summary(), undo=True))
    if pending.unknown:
        click.echo(
            "nothing can be undone: the results do not say what these writes changed (--blind, a lost answer, or links "
            f"that the account does not show): {some(pending.unknown)}",
            err=as_json,
        )
    else:
        click.echo("nothing to undo: the run changed nothing", err=as_json)
    if kept:
        click.echo(kept, err=as_json)
    return 1 if pending.unknown else 0


def _agreed(totals: str) -> bool:
    if not may_ask():
        raise UsageError(f"{totals}. Without a terminal, linker cannot ask; add --yes to confirm")
    try:
        return click.confirm(f"{totals}. Continue?", err=True)
    except click.Abort:
        click.echo(err=True)  # else the next line continues the prompt
        raise
