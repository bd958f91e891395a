"""The jobs of one target become one wish: conflicts, and lists that are not whole."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from linker.errors import Error, ErrorType
from linker.model.job import Mode
from linker.model.target import Target

__all__ = ["DesiredLinks", "DesiredState", "Dropped", "Job", "desired_links", "settle"]

_NONE: frozenset[str] = frozenset()


class Job(msgspec.Struct, frozen=True):
    """A link job in its place in the batch: `number` from 0, and where its line stands."""

    number: int
    source: str
    line: int | None
    target: Target
    mode: Mode
    links: Mapping[str, Sequence[str]]
    key: Any

    @property
    def place(self) -> str:
        """Where its line stands, for people."""
        return self.source if self.line is None else f"{self.source} line {self.line}"


class Dropped(msgspec.Struct, frozen=True):
    """A job that will not be sent, as far as its siblings care. `fields` None: it may have been any of them."""

    place: str
    fields: Collection[str] | None


class DesiredLinks(msgspec.Struct, frozen=True):
    """What all jobs of one target ask of one field. `replace` None: no job says the whole list."""

    replace: frozenset[str] | None = None
    add: frozenset[str] = _NONE
    remove: frozenset[str] = _NONE

    def after(self, before: frozenset[str] | None) -> frozenset[str] | None:
        """What the field is to hold; None where that takes knowing what it holds now, and `before` is None."""
        base = self.replace if self.replace is not None else before
        return None if base is None else (base | self.add) - self.remove


class DesiredState(msgspec.Struct, frozen=True):
    """What the batch asks of one target, and the jobs that ask it."""

    target: Target
    jobs: tuple[Job, ...]
    fields: Mapping[str, DesiredLinks]

    @property
    def needs_before(self) -> frozenset[str]:
        """The fields whose list cannot be said without knowing what they hold now."""
        return frozenset(field for field, links in self.fields.items() if links.replace is None)


def settle(
    target: Target, jobs: Sequence[Job], lost: Sequence[Dropped] = ()
) -> tuple[DesiredState | None, list[tuple[Job, Error]]]:
    """What the jobs of one target come to, and those that must not be sent with the reason for each.

    `lost` are further jobs of the target that are rejected already or have failed. Half a list never becomes
    the list: a lost job takes the `replace` jobs of its fields with it, and those take others likewise.
    """
    if len(jobs) == 1 and not lost:  # the common case: nothing that it could clash with
        return DesiredState(target, tuple(jobs), desired_links(jobs)), []
    rejected = dict(_conflicts(jobs))
    broken: dict[str, str] = {}  # field -> the place of a lost job that had a part in it
    broken_all = next((loss.place for loss in lost if loss.fields is None), None)
    for loss in lost:
        broken |= dict.fromkeys(loss.fields or (), loss.place)
    for job in jobs:
        if job.number in rejected:
            broken |= dict.fromkeys(job.links, job.place)
    spreading = bool(broken) or broken_all is not None
    while spreading:  # at most once for each field of the target
        spreading = False
        for job in jobs:
            if job.mode is not Mode.REPLACE or job.number in rejected:
                continue
            place = broken_all or next((broken[field] for field in job.links if field in broken), None)
            if place is not None:
                message = f"{place} has a part in this list and was not taken; half a list is never sent"
                rejected[job.number] = Error(ErrorType.INCOMPLETE, message)
                broken = dict.fromkeys(job.links, job.place) | broken
                spreading = True
    kept = tuple(job for job in jobs if job.number not in rejected)
    desired = DesiredState(target, kept, desired_links(kept)) if kept else None
    return desired, [(job, rejected[job.number]) for job in jobs if job.number in rejected]


def _conflicts(jobs: Sequence[Job]) -> Iterator[tuple[int, Error]]:
    """Jobs that give an id to a field from which another takes it, and those others."""
    if all(job.mode is not Mode.REMOVE for job in jobs) or all(job.mode is Mode.REMOVE for job in jobs):
        return
    gives: dict[tuple[str, str], Job] = {}
    takes: dict[tuple[str, str], Job] = {}
    for job in jobs:
        side = takes if job.mode is Mode.REMOVE else gives
        for field, ids in job.links.items():
            for id in ids:
                side.setdefault((field, id), job)
    both = gives.keys() & takes.keys()
    for job in jobs:
        clash = next(((field, id) for field, ids in job.links.items() for id in ids if (field, id) in both), None)
        if clash is not None:
            field, id = clash
            other, verb = (gives[clash], "gives") if job.mode is Mode.REMOVE else (takes[clash], "removes")
            yield job.number, Error(ErrorType.CONFLICT, f"links.{field}: {other.place} {verb} {id} at the same time")


def desired_links(jobs: Sequence[Job]) -> dict[str, DesiredLinks]:
    """What jobs of one target ask of each field."""
    if len(jobs) == 1:  # the common case, without the sets in between
        job = jobs[0]
        return {field: DesiredLinks(**{str(job.mode): frozenset(ids)}) for field, ids in job.links.items()}
    gathered: dict[str, dict[str, set[str]]] = {}
    for job in jobs:
        for field, ids in job.links.items():
            gathered.setdefault(field, {}).setdefault(str(job.mode), set()).update(ids)
    return {
        field: DesiredLinks(**{mode: frozenset(ids) for mode, ids in modes.items()})
        for field, modes in gathered.items()
    }
