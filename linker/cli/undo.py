"""`linker undo RESULTS`: takes back what the run of a results file changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import click

from linker.cli import options
from linker.cli.drive import run_in_loop
from linker.cli.output import counted
from linker.cli.prompt import may_ask
from linker.cli.run import carry_out
from linker.errors import UsageError
from linker.model.job import LinkJob, Mode
from linker.model.target import Target
from linker.results.result import Outcome, Result
from linker.results.undo import UndoFile
from linker.sources import Reading

_SHOWN: Final = 3


@click.command(
    "undo",
    short_help="Take back what a run changed.",
    epilog="""\b
Examples:
  linker undo links.results.jsonl
  linker undo links.undo.jsonl            (an undo can be undone, too)
  linker plan --undo links.results.jsonl  (what it would do; sends no PUT)

\b
Exit codes: as of run; 2 where the question was answered with no; 1 where a line
does not tell what its PUT changed (blind, no answer), and so was left.
""",
)
@click.argument("results", metavar="RESULTS", type=click.Path(path_type=Path))
@options.account
@click.option(
    "--results",
    "undone",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="One JSON line a job of the undo. Default: RESULTS' stem with .undo.jsonl, here.",
)
@options.results
@options.mail
@click.option("--yes", "sure", is_flag=True, help="Do not ask.")
@options.pace
@options.progress
@options.takes_access
def command(
    access: options.Access,
    results: Path,
    undone: Path | None,
    sure: bool,
    **how: bool,
) -> int:
    """Take back what the run of RESULTS changed: remove what it added, add again what it removed.

    What others have written since stays, and is mentioned. It is a run like any other, with results of its own.
    """
    access = replace(access, settings=replace(access.settings, yes=True))  # this verb asks, the run must not
    source = UndoFile(results)
    source.check()
    path = undone or Path(f"{source.stem}.jsonl")
    if path.exists():
        if path.samefile(results):
            raise UsageError(f"{path} is to be read and to be written; give --results another name")
        sure = sure or not any(how.values())  # the run will refuse the file: no need to ask
    pending = run_in_loop(_todo(source))
    if not pending.targets:
        return _nothing_to_do(pending)
    if not sure and not _agreed(pending.describe(access.settings.base_url)):
        click.echo("nothing was undone", err=True)
        return 2
    others_work: dict[tuple[Target, str], None] = {}

    def compare(outcome: Outcome) -> None:
        if not isinstance(outcome, Result) or outcome.after is None or outcome.kind is None or outcome.id is None:
            return
        target = Target.parse(outcome.id, outcome.kind)
        before = source.before.get(target, {})
        for name, ids in outcome.after.items():
            if name in before and frozenset(ids) != before[name]:
                others_work[target, name] = None

    code = run_in_loop(carry_out(access, source, path, doing="undoing", on_outcome=compare, how=how))
    if source.created:
        stay = "1 record that the run created stays" if len(source.created) == 1 else None
        click.echo(stay or f"{len(source.created):,} records that the run created stay")
    if others_work:
        fields = [f"{target} {name}" for target, name in others_work]
        click.echo(f"others wrote since, and their work was kept: {_some(fields)}")
    return code


@dataclass(slots=True)
class _Todo:
    """What an undo would change, according to the results file."""

    targets: set[Target] = field(default_factory=set)
    added: int = 0
    removed: int = 0
    unknown: list[str] = field(default_factory=list)
    """Lines of a PUT from which nobody can tell what it changed."""

    def describe(self, url: str) -> str:
        unknown = f"; {counted(len(self.unknown), 'line')} cannot be undone" if self.unknown else ""
        return (
            f"{counted(len(self.targets), 'target')} on {url} would change: "
            f"{counted(self.removed, 'link')} removed, {self.added:,} added again{unknown}."
        )


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


def _nothing_to_do(pending: _Todo) -> int:
    if not pending.unknown:
        click.echo("there is nothing to undo: no line tells of a change")
        return 0
    click.echo(
        "nothing can be undone: what these PUTs changed is not known (blind, no answer, or links that are not shown): "
        + _some(pending.unknown)
    )
    return 1


def _agreed(prompt: str) -> bool:
    if not may_ask():
        raise UsageError(f"{prompt} Say --yes where nobody can be asked")
    try:
        return click.confirm(f"{prompt} Go on?", err=True)
    except click.Abort:
        click.echo(err=True)  # else the next line continues the prompt
        raise


def _some(names: Sequence[str]) -> str:
    """Return the first three names, and how many more there are."""
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
