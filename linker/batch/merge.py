"""The jobs of one target become its desired state; jobs that conflict or belong to an incomplete list are rejected."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from linker.errors import Error, ErrorType
from linker.model.job import Mode
from linker.model.target import Target

_NONE: frozenset[str] = frozenset()
_REPLACE, _ADD = Mode.REPLACE, Mode.ADD  # an enum looks up its members in Python


class Job(msgspec.Struct, frozen=True, gc=False):
    """A link job with its `number` in the batch, from 0, and the source and line that it was read from."""

    number: int
    source: str
    line: int | None
    target: Target
    mode: Mode
    links: Mapping[str, Sequence[str]]
    key: Any

    @property
    def place(self) -> str:
        """Its source and line, as messages name it."""
        return self.source if self.line is None else f"{self.source} line {self.line}"


class Dropped(msgspec.Struct, frozen=True, gc=False):
    """A rejected job or line, as far as the other jobs of its target care. `fields` is None if they are unknown."""

    place: str
    fields: Collection[str] | None


class DesiredLinks(msgspec.Struct, frozen=True, gc=False):
    """What all jobs of one target ask of one field. `replace` is None if no job gives the whole list."""

    replace: frozenset[str] | None = None
    add: frozenset[str] = _NONE
    remove: frozenset[str] = _NONE

    def after(self, before: frozenset[str] | None) -> frozenset[str] | None:
        """The ids that the field is to hold; None if that depends on its current links and `before` is None."""
        base = self.replace if self.replace is not None else before
        return None if base is None else (base | self.add) - self.remove


class DesiredState(msgspec.Struct, frozen=True, gc=False):
    """What the batch wants one target to hold, and the jobs that ask for it."""

    target: Target
    jobs: tuple[Job, ...]
    fields: Mapping[str, DesiredLinks]

    @property
    def needs_before(self) -> frozenset[str]:
        """The fields whose new list depends on their current links."""
        return frozenset([field for field, links in self.fields.items() if links.replace is None])


def merge_jobs(
    target: Target, jobs: Sequence[Job], dropped: Sequence[Dropped] = ()
) -> tuple[DesiredState | None, list[tuple[Job, Error]]]:
    """The desired state of one target (None if no job is left), and the jobs that must not be sent with the reasons.

    An incomplete list never replaces a list: a dropped job takes the `replace` jobs on its fields with it, and
    these take others on their own fields with them.

    Args:
        dropped: further jobs of the target that were rejected or have failed before.
    """
    if len(jobs) == 1 and not dropped:  # the common case
        job = jobs[0]
        fields: dict[str, DesiredLinks] = {}
        mode = job.mode
        for field, records in job.links.items():
            ids = frozenset(records)
            if mode is _REPLACE:
                fields[field] = DesiredLinks(ids)
            elif mode is _ADD:
                fields[field] = DesiredLinks(None, ids)
            else:
                fields[field] = DesiredLinks(None, _NONE, ids)
        return DesiredState(target, (job,), fields), []
    if not dropped and not _may_conflict(jobs):
        return DesiredState(target, tuple(jobs), desired_links(jobs)), []
    rejected = dict(_conflicts(jobs))
    broken = _Broken(dropped)
    for job in jobs:
        if job.number in rejected:
            broken.add(job)
    if broken:
        for job in broken.lists_among(jobs, rejected):
            rejected[job.number] = broken.why(job)
            broken.add(job)
    kept = tuple(job for job in jobs if job.number not in rejected)
    desired = DesiredState(target, kept, desired_links(kept)) if kept else None
    return desired, [(job, rejected[job.number]) for job in jobs if job.number in rejected]


class _Broken:
    """The fields of one target whose lists are incomplete, because a job that has a part in them was dropped."""

    def __init__(self, dropped: Iterable[Dropped]) -> None:
        self._places: dict[str, str] = {}  # field -> the place of a dropped job that has a part in it
        self._place_of_all: str | None = None  # of a job that may have a part in any list
        self._errors: dict[str, Error] = {}
        for drop in dropped:
            for field in drop.fields or ():
                self._places.setdefault(field, drop.place)
            if drop.fields is None and self._place_of_all is None:
                self._place_of_all = drop.place

    def __bool__(self) -> bool:
        return bool(self._places) or self._place_of_all is not None

    def add(self, job: Job) -> None:
        """A job is dropped, so the lists of its fields are incomplete."""
        for field in job.links:
            self._places.setdefault(field, job.place)

    def lists_among(self, jobs: Sequence[Job], rejected: Container[int]) -> Iterator[Job]:
        """Yield the `replace` jobs with a part in an incomplete list; the caller adds each.

        Each job is looked at once for each of its fields, however many lists break one after the other.
        """
        by_field: dict[str, list[Job]] = {}
        for job in jobs:
            if job.mode is Mode.REPLACE and job.number not in rejected:
                for field in job.links:
                    by_field.setdefault(field, []).append(job)
        if self._place_of_all is not None:
            yield from {job.number: job for jobs in by_field.values() for job in jobs}.values()
            return
        broken = list(self._places)
        done: set[int] = set()
        for field in broken:  # grows
            for job in by_field.pop(field, ()):
                if job.number not in done:
                    done.add(job.number)
                    yield job
                    broken += [other for other in job.links if other in by_field]

    def why(self, job: Job) -> Error:
        """Why a `replace` job cannot be sent; the jobs that were dropped for the same reason share the error."""
        place = self._place_of_all or next(self._places[field] for field in job.links if field in self._places)
        if place not in self._errors:
            message = (
                f"the list was not replaced, because {place} belongs to it and could not be used; correct that row, "
                "then run again"
            )
            self._errors[place] = Error(ErrorType.INCOMPLETE, message)
        return self._errors[place]


def _may_conflict(jobs: Sequence[Job]) -> bool:
    """Whether some of the jobs remove records, and others link some."""
    if len(jobs) == 1:
        return False
    modes = {job.mode for job in jobs}
    return len(modes) > 1 and Mode.REMOVE in modes


def _conflicts(jobs: Sequence[Job]) -> Iterator[tuple[int, Error]]:
    """The numbers of jobs that add an id which another job of the target removes, and of those others."""
    if not _may_conflict(jobs):
        return
    adds: dict[tuple[str, str], Job] = {}
    removes: dict[tuple[str, str], Job] = {}
    for job in jobs:
        side = removes if job.mode is Mode.REMOVE else adds
        for field, ids in job.links.items():
            for id in ids:
                side.setdefault((field, id), job)
    both = adds.keys() & removes.keys()
    for job in jobs:
        clash = next(((field, id) for field, ids in job.links.items() for id in ids if (field, id) in both), None)
        if clash is not None:
            field, id = clash
            mine, other, theirs = (
                ("removes", adds[clash], "links") if job.mode is Mode.REMOVE else ("links", removes[clash], "removes")
            )
            message = f"this row {mine} record {id} in {field}, but {other.place} {theirs} it; correct one of the rows"
            yield job.number, Error(ErrorType.CONFLICT, message)


def desired_links(jobs: Sequence[Job]) -> dict[str, DesiredLinks]:
    """What the jobs of one target ask of each field together."""
    gathered: dict[str, dict[Mode, list[str]]] = {}
    for job in jobs:
        mode = job.mode
        for field, ids in job.links.items():
            by_mode = gathered.setdefault(field, {})
            if mode in by_mode:
                by_mode[mode] += ids
            else:
                by_mode[mode] = [*ids]
    return {field: _desired(by_mode) for field, by_mode in gathered.items()}


def _desired(by_mode: Mapping[Mode, Sequence[str]]) -> DesiredLinks:
    replace = by_mode.get(Mode.REPLACE)
    return DesiredLinks(
        None if replace is None else frozenset(replace),
        frozenset(by_mode.get(Mode.ADD, ())),
        frozenset(by_mode.get(Mode.REMOVE, ())),
    )
