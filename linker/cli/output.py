"""Formats results, counts and durations for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from linker.batch.placeholder import is_new, name_of
from linker.client.plan import Plan
from linker.client.run import Run
from linker.model.target import Kind, Target
from linker.records.names import NewRecord
from linker.results.result import Result
from linker.text import harmless, plain

_SHOWN: Final = 3
_MOST_NEW: Final = 20
_NOUNS: Final = {Kind.CUSTOM_OBJECT_RECORD: "record", Kind.IDEA_ORGANIZATION: "organization"}


def duration(seconds: float) -> str:
    """Format seconds: `7.2 s`, `12 min 5 s`, `4 h 27 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def rough_duration(seconds: float) -> str:
    """Format an estimate in seconds: `about 20 seconds`, `about 5 minutes`, `about 4 h 27 min`."""
    if seconds < 90:
        return f"about {counted(max(1, round(seconds)), 'second')}"
    return f"about {counted(round(seconds / 60), 'minute')}" if seconds < 5400 else f"about {duration(seconds)}"


def kinds(counts: Mapping[Kind, int]) -> str:
    """Format how many targets of each kind: `1,300 features, 2 ideas and 1 record`."""
    return listed([counted(count, _NOUNS.get(kind, str(kind))) for kind, count in sorted(counts.items())])


def plurals(several: Iterable[Kind]) -> str:
    """Name kinds: `features, ideas and records`."""
    return listed([f"{_NOUNS.get(kind, str(kind))}s" for kind in sorted(several)])


def listed(names: Sequence[str]) -> str:
    """Join names: `features, ideas and records`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def host(url: str) -> str:
    """Return the part of an account's URL that people know it by: `company.aha.io`."""
    parts = urlsplit(url)
    return f"{parts.netloc}{parts.path}"


def counted(count: int, noun: str) -> str:
    """Format a count with its noun: `1 target`, `2,000 targets`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def lost_rows(plan: Plan) -> list[str]:
    """Return how many rows of a plan were rejected, and how many failed; nothing of those that are none."""
    counts = ((plan.rejected, "rejected"), (plan.failed, "failed"))
    return [f"{counted(count, 'row')} {what}" for count, what in counts if count]


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
    """Return one line about a row that cannot be carried out: its place, its status and the reason."""
    assert result.error is not None
    return f"{result.place}: {result.status.value} ({result.error.type.value}): {result.error.message}"
