"""Formats results, counts and durations for people."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import Final

import click
from rich.console import Console
from rich.text import Text

from linker import log
from linker.batch.placeholder import is_new, name_of
from linker.client.run import Run
from linker.model.target import Kind, Target
from linker.records.names import NewRecord
from linker.results.result import Result, Status
from linker.results.summary import Summary
from linker.text import harmless, plain

_SHOWN: Final = 3
_MOST_NEW: Final = 20

_COLOURS = {
    Status.LINKED: "green",
    Status.UNCHANGED: "cyan",
    Status.FAILED: "red",
    Status.REJECTED: "yellow",
}


def show_summary(summary: Summary) -> None:
    """Print counts by status, the three commonest errors, requests, time, and the path of the results.

    If stdout is closed, it only logs an error: the run is over, and its results are in their file.
    """
    text = io.StringIO()
    terminal = sys.stdout.isatty()
    _print_summary(Console(file=text, force_terminal=terminal, soft_wrap=True, highlight=False, markup=False), summary)
    try:
        click.echo(text.getvalue(), nl=False)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python reports it again
        log.tell("error", f"linker: the summary could not be shown: {error.strerror}", "error")


def _print_summary(console: Console, summary: Summary) -> None:
    requests = counted(summary.requests, "request")
    console.print(f"{counted(summary.jobs, 'job')} in {duration(summary.elapsed_s)}, {requests}")
    for status, colour in _COLOURS.items():
        count = summary.count(status)
        line = Text(f"  {status.value:<10}").append(f"{count:>9,}", style=colour if count else "dim")
        if status is Status.LINKED and summary.unseen:
            line.append(f"   {summary.unseen:,} of them unseen: the account's answers show no links there")
        if status is Status.UNCHANGED and summary.presumed:
            line.append(f"   {summary.presumed:,} of them with no links seen: no answer showed links of their kind")
        console.print(line)
    errors = summary.errors()
    if errors:
        console.print("commonest errors")
    for error in errors:
        console.print(Text(f"  {error.type.value:<14}").append(f"{error.count:>5,}   ").append(error.example))
    if summary.created:
        console.print(f"{counted(summary.created, 'record')} created for names that their table did not have")
    if summary.passed_over:
        console.print(f"{counted(summary.passed_over, 'job')} had been done by an earlier run, and stayed")
    if summary.limited:
        console.print("the pilot is over")
    if summary.results is not None and summary.results.exists():  # an empty results file has been deleted
        console.print(f"results in {harmless(str(summary.results))}")
        if summary.stopped or summary.limited:
            console.print("what has no line there is to be done yet: go on with the same command and --resume")


def duration(seconds: float) -> str:
    """Format seconds: `7.2 s`, `12 min 5 s`, `4 h 27 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def counted(count: int, noun: str) -> str:
    """Format a count with its noun: `1 target`, `2,000 targets`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def some(names: Sequence[str], between: str = ", ") -> str:
    """Return the first three names, and how many more there are."""
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return f"{between.join(names[:_SHOWN])}{more}"


def called(run: Run, target: Target, field: str, ids: Sequence[str]) -> str:
    """Format records with the names that the run has read: `Acme Corp (640362830), Newcomer Ltd (new)`."""
    return ", ".join(_called(run, target.kind, field, id) for id in ids)


def _called(run: Run, kind: Kind, field: str, id: str) -> str:
    if is_new(id):
        return f"{plain(name_of(id))} (new)"
    name = run.name_of(kind, field, id)
    return f"{plain(name)} ({id})" if name is not None else id


def new_lines(records: Sequence[NewRecord]) -> list[str]:
    """Return a line about each record that is to be created, with the rows that name it; of over 20, the first 20."""
    lines = [_new_line(record) for record in records[:_MOST_NEW]]
    more = len(records) - _MOST_NEW
    return [*lines, f"  and {more:,} more"] if more > 0 else lines


def _new_line(record: NewRecord) -> str:
    more = record.rows - len(record.places)
    others = f" and {counted(more, 'other row')}" if more > 0 else ""
    return harmless(f"  {plain(record.name)} in {record.table}: {', '.join(record.places)}{others}")


def why_not(result: Result) -> str:
    """Return one line about a job that a plan cannot do: its place, its target, and why."""
    assert result.error is not None
    target = f"{result.kind} {result.id} " if result.kind is not None and result.id is not None else ""
    return f"{result.place}: {target}{result.status.value}, {result.error.type.value}: {result.error.message}"
