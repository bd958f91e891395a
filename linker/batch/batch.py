"""Many jobs become one wish a target: pure, and the one place whose memory grows with the input.

For each target and field, `after = (union of the replace lists, or else what it holds now) ∪ adds − removes`;
the order of the jobs means nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec

from linker.batch.merge import DesiredState, Dropped, Job, settle
from linker.errors import Error, ErrorType
from linker.model.job import LinkJob, Mode
from linker.model.target import Kind, Target

__all__ = ["Batch"]


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
        self._lost: dict[Target, list[Dropped]] = {}
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

    def lose(self, target: Target, lost: Dropped) -> None:
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
                self.lose(target, Dropped(job.place, tuple(job.links)))
                yield job, Error(ErrorType.UNKNOWN_FIELD, faults[named[0]])
            if not kept:
                del self._jobs[target]
                self.targets -= 1
            else:
                self._jobs[target] = kept

    def may_be_aside(self, target: Target) -> bool:
        """Whether a target that was passed over may be this one by its other name."""
        return (target.kind, not target.id.isdigit()) in self._forms_aside

    def desired_states(self) -> Iterator[tuple[DesiredState | None, list[tuple[Job, Error]]]]:
        """Take out all targets, each by its one name, in the order in which they were first named."""
        for target in list(self._jobs):
            yield self.take(target)

    def take(self, *names: Target) -> tuple[DesiredState | None, list[tuple[Job, Error]]]:
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
