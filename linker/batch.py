"""Many jobs become one wish a target: pure, and the one place whose memory grows with the input.

For each target and field, `after = (union of the replace lists, or else what it holds now) ∪ adds − removes`;
the order of the jobs means nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, TypeAlias

import msgspec

from linker.errors import Error, ErrorType
from linker.job import LinkJob, Mode
from linker.target import Kind, Target

__all__ = ["Batch", "Job", "Links", "Lost", "Wish", "WishedLinks", "settle", "wished"]

Links: TypeAlias = Mapping[str, frozenset[str]]
"""Field key → ids of the records that are linked."""

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


class Lost(msgspec.Struct, frozen=True):
    """A job that will not be sent, as far as its siblings care. `fields` None: it may have been any of them."""

    place: str
    fields: Collection[str] | None


class WishedLinks(msgspec.Struct, frozen=True):
    """What all jobs of one target ask of one field. `replace` None: no job says the whole list."""

    replace: frozenset[str] | None = None
    add: frozenset[str] = _NONE
    remove: frozenset[str] = _NONE

    def after(self, before: frozenset[str] | None) -> frozenset[str] | None:
        """What the field is to hold; None where that takes knowing what it holds now, and `before` is None."""
        base = self.replace if self.replace is not None else before
        return None if base is None else (base | self.add) - self.remove


class Wish(msgspec.Struct, frozen=True):
    """What the batch asks of one target, and the jobs that ask it."""

    target: Target
    jobs: tuple[Job, ...]
    fields: Mapping[str, WishedLinks]

    @property
    def needs_before(self) -> frozenset[str]:
        """The fields whose list cannot be said without knowing what they hold now."""
        return frozenset(field for field, links in self.fields.items() if links.replace is None)


class _Packed(msgspec.Struct, array_like=True):
    """A job as the batch keeps it; MessagePack takes the fewest bytes (orjson's own results keep 4 KB each)."""

    number: int
    source: int
    line: int | None
    mode: Mode
    links: Mapping[str, Sequence[str]]
    key: Any


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Packed).decode


class Batch:
    """The jobs of one run by target, each packed: some 380 bytes a job where each has its own target."""

    def __init__(self, mode: Mode) -> None:
        self._mode = mode
        self._jobs: dict[Target, list[bytes]] = {}
        self._lost: dict[Target, list[Lost]] = {}
        self._aside: dict[Target, list[bytes]] = {}  # passed over
        self._forms_aside: set[tuple[Kind, bool]] = set()
        self._sources: list[str] = []
        self.jobs = 0
        """Jobs that were added."""
        self.targets = 0
        """Names of targets among them, those included that were taken out since."""

    def __repr__(self) -> str:
        return f"<Batch of {self.jobs} jobs on {self.targets} targets, {len(self._jobs)} of them to come>"

    def __contains__(self, target: Target) -> bool:
        return target in self._jobs

    def add(self, number: int, source: str, line: int | None, job: LinkJob) -> None:
        """Take a job in, whose records are told by their ids."""
        if not self._sources or self._sources[-1] != source:
            self._sources.append(source)
        links = job.by_id
        assert links is not None, f"{job.id}: names are resolved before"
        packed = _Packed(number, len(self._sources) - 1, line, Mode(job.mode or self._mode), links, job.key)
        target = job.target
        if target not in self._jobs:
            self._jobs[target] = []
            self.targets += 1
        self._jobs[target].append(_encode(packed))
        self.jobs += 1

    def lose(self, target: Target, lost: Lost) -> None:
        """Note a rejected line of a target: where it had a part in a list, that list is not sent."""
        self._lost.setdefault(target, []).append(lost)

    def names(self, target: Target) -> bool:
        """Whether any line names a target, a rejected one included."""
        return target in self._jobs or target in self._lost

    def all_names(self) -> set[Target]:
        """All targets that any line names."""
        return self._jobs.keys() | self._lost.keys()

    def lost_names(self) -> list[Target]:
        """The targets of rejected lines that are still to come."""
        return list(self._lost)

    def by_kind(self) -> dict[Kind, list[Target]]:
        """The targets of each kind, in the order in which they were first named."""
        grouped: dict[Kind, list[Target]] = {}
        for target in self._jobs:
            grouped.setdefault(target.kind, []).append(target)
        return grouped

    def pass_over(self, done: Callable[[Target, Sequence[Job]], bool]) -> int:
        """Take out the targets that need not be done, and tell how many jobs that were.

        One that may be another name of a target that is left (a number, where that goes by its reference) comes back
        when the account says that it is.
        """
        forms = {(name.kind, name.id.isdigit()) for name in chain(self._jobs, self._lost)}
        passed = 0
        for target in list(self._jobs):
            packed = self._jobs[target]
            if target in self._lost or not done(target, [self._unpack(target, each) for each in packed]):
                continue
            del self._jobs[target]
            self.targets -= 1
            passed += len(packed)
            if (target.kind, not target.id.isdigit()) in forms:
                self._aside[target] = packed
        left = {(name.kind, name.id.isdigit()) for name in chain(self._jobs, self._lost)}
        self._aside = {
            name: packed for name, packed in self._aside.items() if (name.kind, not name.id.isdigit()) in left
        }
        self._forms_aside = {(name.kind, name.id.isdigit()) for name in self._aside}
        return passed

    def reject(self, faults: Mapping[tuple[Kind, str], str]) -> Iterator[tuple[Job, Error]]:
        """Take out the jobs on fields that are none of their kind's, each with the reason."""
        for target in list(self._jobs):
            jobs = [self._unpack(target, packed) for packed in self._jobs[target]]
            kept: list[bytes] = []
            for job, packed in zip(jobs, self._jobs[target], strict=True):
                named = [(target.kind, field) for field in job.links if (target.kind, field) in faults]
                if not named:
                    kept.append(packed)
                    continue
                self.lose(target, Lost(job.place, tuple(job.links)))
                yield job, Error(ErrorType.UNKNOWN_FIELD, faults[named[0]])
            if not kept:
                del self._jobs[target]
                self.targets -= 1
            else:
                self._jobs[target] = kept

    def may_be_aside(self, target: Target) -> bool:
        """Whether a target that was passed over may be this one by its other name."""
        return (target.kind, not target.id.isdigit()) in self._forms_aside

    def wishes(self) -> Iterator[tuple[Wish | None, list[tuple[Job, Error]]]]:
        """Take out all targets, each by its one name, in the order in which they were first named."""
        for target in list(self._jobs):
            yield self.take(target)

    def take(self, *names: Target) -> tuple[Wish | None, list[tuple[Job, Error]]]:
        """Take out the jobs of one target, by all of its names: its wish and its rejected jobs.

        Raises:
            KeyError: the batch has none of them.
        """
        held = [(name, self._jobs.pop(name)) for name in names if name in self._jobs]
        if not held:
            raise KeyError(names)
        held += [(name, self._aside.pop(name)) for name in names if name in self._aside]
        jobs = [self._unpack(name, packed) for name, each in held for packed in each]
        lost = [loss for name in names for loss in self._lost.pop(name, ())]
        return settle(held[0][0], jobs, lost)

    def _unpack(self, target: Target, packed: bytes) -> Job:
        job = _decode(packed)
        return Job(job.number, self._sources[job.source], job.line, target, job.mode, job.links, job.key)


def settle(
    target: Target, jobs: Sequence[Job], lost: Sequence[Lost] = ()
) -> tuple[Wish | None, list[tuple[Job, Error]]]:
    """What the jobs of one target come to, and those that must not be sent with the reason for each.

    `lost` are further jobs of the target that are rejected already or have failed. Half a list never becomes
    the list: a lost job takes the `replace` jobs of its fields with it, and those take others likewise.
    """
    if len(jobs) == 1 and not lost:  # the common case: nothing that it could clash with
        return Wish(target, tuple(jobs), wished(jobs)), []
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
    wish = Wish(target, kept, wished(kept)) if kept else None
    return wish, [(job, rejected[job.number]) for job in jobs if job.number in rejected]


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


def wished(jobs: Sequence[Job]) -> dict[str, WishedLinks]:
    """What jobs of one target ask of each field."""
    if len(jobs) == 1:  # the common case, without the sets in between
        job = jobs[0]
        return {field: WishedLinks(**{str(job.mode): frozenset(ids)}) for field, ids in job.links.items()}
    gathered: dict[str, dict[str, set[str]]] = {}
    for job in jobs:
        for field, ids in job.links.items():
            gathered.setdefault(field, {}).setdefault(str(job.mode), set()).update(ids)
    return {
        field: WishedLinks(**{mode: frozenset(ids) for mode, ids in modes.items()}) for field, modes in gathered.items()
    }
