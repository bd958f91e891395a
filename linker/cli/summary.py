"""Shows what a run did: one line of totals, the commonest problems, and the command that usually comes next."""

from __future__ import annotations

import io
import os
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import click
import orjson
from rich.console import Console
from rich.text import Text

from linker import log
from linker.cli.again import command, this_command
from linker.cli.output import counted, duration, kinds
from linker.model.target import Kind
from linker.results.summary import Problem, Summary
from linker.text import harmless, harmless_json

_TYPES_SHOWN: Final = 5
_PROBLEMS_SHOWN: Final = 3
_PROBLEMS_IN_JSON: Final = 100


def show_summary(summary: Summary, *, undo: bool = False, next_step: bool = True, kept: Path | None = None) -> None:
    """Print what a run has done, its problems, where its results are, and what to do next.

    Args:
        undo: the run has undone another.
        next_step: name the commands that usually come next.
        kept: the new name of an earlier results file.
    """
    text = io.StringIO()
    console = Console(
        file=text, force_terminal=sys.stdout.isatty(), soft_wrap=True, highlight=False, markup=False, emoji=False
    )
    console.print(_totals(summary, undo=undo))
    requests = counted(summary.requests, "request")
    console.print(f"{counted(summary.jobs, 'row')} in {duration(summary.elapsed_s)}, {requests}")
    for line in (
        *_remarks(summary, undo=undo),
        *problem_lines(summary.problems, "the results file has all"),
        *(_ending(summary, undo, kept) if next_step else ()),
    ):
        console.print(harmless(line))
    emit(text.getvalue())


def emit(text: str | bytes) -> None:
    """Print to stdout. If stdout is closed, log an error: the run is over, and its results are in their file."""
    try:
        click.echo(text, nl=False)
    except OSError as error:
        log.tell("error", f"linker: the summary could not be shown: {error.strerror}", "error")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python reports it again


def summary_json(summary: Summary, *, undo: bool = False, **more: Any) -> bytes:
    """Return the summary as one line of JSON.

    Args:
        undo: the run has undone another, so its rows are `undone` and not `linked`.
        more: further keys.
    """
    return harmless_json(orjson.dumps(summary_dict(summary, undo=undo) | more)) + b"\n"


def summary_dict(summary: Summary, *, undo: bool = False) -> dict[str, Any]:
    """Return what is printed with `--json`; every command has these keys."""
    return {
        "linked": 0 if undo else summary.linked,
        "undone": summary.linked if undo else 0,
        "unchanged": summary.unchanged,
        "failed": summary.failed,
        "rejected": summary.rejected,
        "links_added": summary.links_added,
        "links_removed": summary.links_removed,
        "targets_changed": summary.targets_changed.total(),
        "requests": summary.requests,
        "elapsed_s": round(summary.elapsed_s, 3),
        "problems": [
            {"type": each.type.value, "message": each.message, "count": each.count, "first": each.first}
            for each in summary.problems[:_PROBLEMS_IN_JSON]
        ],
    }


def _totals(summary: Summary, *, undo: bool) -> Text:
    """Return `1,300 features changed: 2,950 links added, 12 removed · 57 already in place · 8 failed · 35 rejected`."""
    changed = Counter({Kind(kind): count for kind, count in summary.targets_changed.items()})
    parts: list[tuple[str, str]] = []
    if changed:
        verb, back = ("undone", " back") if undo else ("changed", "")
        links = f"{counted(summary.links_added, 'link')} added{back}, {summary.links_removed:,} removed"
        parts.append((f"{kinds(changed)} {verb}: {links}", "green"))
    else:
        parts.append(("nothing undone" if undo else "nothing changed", ""))
    for count, words, colour in (
        (summary.unchanged, "already undone" if undo else "already in place", "cyan"),
        (summary.failed, "failed", "red"),
        (summary.rejected, "rejected", "yellow"),
    ):
        if count:
            parts.append((f"{count:,} {words}", colour))
    return Text(" · ").join(Text(text, style=style) for text, style in parts)


def _remarks(summary: Summary, *, undo: bool) -> list[str]:
    lines: list[str] = []
    if summary.passed_over and not undo:
        rows = max(summary.rows, summary.passed_over + summary.jobs)
        lines.append(f"in all: {summary.in_place:,} of {counted(rows, 'row')} in place")
    if summary.unknown_changes:
        written = counted(summary.unknown_changes, "change")
        lines.append(f"{written} written without seeing the previous links, so their links are not counted")
    if summary.unseen:
        lines.append(f"{counted(summary.unseen, 'row')} written but not visible: the account shows no links there")
    if summary.presumed:
        lines.append(f"{counted(summary.presumed, 'row')} taken as in place, because the account shows no links there")
    if summary.created:
        lines.append(f"{counted(summary.created, 'record')} created for names that were missing from their table")
    return lines


def problem_lines(problems: Sequence[Problem], where: str = "linker plan lists all") -> list[str]:
    """Return lines about problems: for each type how many rows, and its commonest messages with their counts.

    Args:
        where: where those are that are not shown.
    """
    by_type = [
        (type_, list(group))
        for type_, group in groupby(sorted(problems, key=lambda each: each.type), key=lambda each: each.type)
    ]
    by_type.sort(key=lambda item: -_rows(item[1]))
    if not by_type:
        return []
    lines = ["problems:"]
    for type_, group in by_type[:_TYPES_SHOWN]:
        lines.append(f"  {counted(_rows(group), 'row')}: {type_.value}")
        shown = [each for each in group if each.message][:_PROBLEMS_SHOWN]
        for each in shown:
            many = f"{each.count:,} rows, first " if each.count > 1 else ""
            lines.append(f"    {many}{each.first}: {each.message}")
        if more := _rows(group) - _rows(shown):
            lines.append(f"    and {more:,} more ({where})")
    if further := by_type[_TYPES_SHOWN:]:
        rows = counted(sum(_rows(group) for _, group in further), "row")
        lines.append(f"  {rows} with other problems")
    return lines


def _rows(problems: Sequence[Problem]) -> int:
    return sum(problem.count for problem in problems)


def _ending(summary: Summary, undo: bool, kept: Path | None) -> list[str]:
    """Return where the results are, and the command that comes next."""
    has_results = summary.results is not None and summary.results.exists()  # an empty results file has been deleted
    lines = [f"results: {summary.results}"] if has_results else []
    lines += [f"earlier results: {kept}"] if kept is not None else []
    if summary.stopped and not summary.jobs:
        again = this_command()
        if has_results and "--overwrite" not in again:  # it may hold a write that may have arrived
            again = this_command("--resume")
        return [f"no row was done; to try again: {again}"]
    again = this_command("--resume", without=("--overwrite", "--limit="))
    if (summary.stopped or summary.limited) and summary.results is not None:
        of = f" of {summary.rows:,}" if summary.rows else ""
        pilot = "pilot finished: " if summary.limited and not summary.stopped else ""
        lines.append(f"{pilot}{summary.passed_over + summary.jobs:,}{of} rows done; continue with: {again}")
    elif summary.rejected:
        lines.append(f"after you have corrected these rows, continue with: {again}")
    elif summary.failed:
        lines.append(f"to try the failed rows again: {again}")
    if has_results and summary.links_added + summary.links_removed and not undo:
        lines.append(f"to take this back: {command('undo', str(summary.results))}")
    return lines
