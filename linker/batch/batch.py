"""All jobs of a run, gathered by target: the one place whose memory grows with the input.

For each target and field, `after = (union of the replace lists, or the current list if there are none) ∪ adds −
removes`. The order of the jobs has no meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from struct import Struct
from typing import Any, Final, TypeAlias

import msgspec

from linker.batch.merge import DesiredState, Dropped, Job, merge_jobs
from linker.errors import Error, ErrorType
from linker.model.job import LinkJob, Mode
from linker.model.target import Kind, Target

_Packed: TypeAlias = tuple[int, int, int | None, Mode, Mapping[str, Sequence[str]], Any]
"""A job as the batch keeps it, in MessagePack: its number, the place of its source, line, mode, links and key.

Bytes from orjson would keep 4 KB of memory each.
"""

_encode = msgspec.msgpack.Encoder().encode
_decode_all = msgspec.msgpack.Decoder(list[_Packed]).decode

_ARRAY: Final = b"\xdd"  # of MessagePack; the number of its values follows
_COUNT: Final = Struct(">I")
_ARRAY_OF_ONE: Final = _ARRAY + _COUNT.pack(1)


class Batch:
    """The jobs of one run by target, packed: about 280 bytes a job if each has a target of its own."""

    def __init__(self, mode: Mode) -> None:
        self._mode = Mode(mode)
        self._jobs: dict[Target, bytearray] = {}  # one array each: lists would keep the garbage collector busy
        self._dropped: dict[Target, dict[frozenset[str] | None, Dropped]] = {}  # one for the same fields
        self._skipped: dict[Target, bytearray] = {}  # those that may be another name of a pending target
        self._skipped_forms: set[tuple[Kind, bool]] = set()
        self._sources: list[str] = []
        self.jobs = 0
        """Jobs that were added."""
        self.targets = 0
        """How many targets they name, including targets that were taken out since."""

    def __repr__(self) -> str:
        return f"<Batch of {self.jobs} jobs on {self.targets} targets, {len(self._jobs)} of them pending>"

    def __contains__(self, target: Target) -> bool:
        return target in self._jobs

    def add(self, number: int, source: str, line: int | None, job: LinkJob) -> None:
        """Add a job; all of its records are given by id."""
        if not self._sources or self._sources[-1] != source:
            self._sources.append(source)
        target, links, mode = job.known_target, job.links, job.mode
        assert target is not None, f"{job.id}: names must be resolved first"
        for ids in links.values():
            assert not ids or type(ids[-1]) is str, f"{job.id}: names must be resolved first"
        if mode is None:
            mode = self._mode
        packed = _encode((number, len(self._sources) - 1, line, mode, links, job.key))
        jobs = self._jobs.get(target)
        if jobs is None:
            self._jobs[target] = bytearray(_ARRAY_OF_ONE + packed)
            self.targets += 1
        else:
            _COUNT.pack_into(jobs, 1, _count(jobs) + 1)
            jobs += packed
        self.jobs += 1

    def add_dropped(self, target: Target, dropped: Dropped) -> None:
        """Note a rejected line of a target: a `replace` list that it belongs to will not be sent."""
        fields = None if dropped.fields is None else frozenset(dropped.fields)
        self._dropped.setdefault(target, {}).setdefault(fields, dropped)

    def mentions(self, target: Target) -> bool:
        """Whether a pending job or a rejected line names this target."""
        return target in self._jobs or target in self._dropped

    def all_targets(self) -> set[Target]:
        """The targets of all pending jobs and rejected lines."""
        return self._jobs.keys() | self._dropped.keys()

    def dropped_targets(self) -> list[Target]:
        """The targets of rejected lines that were not taken out yet."""
        return list(self._dropped)

    def by_kind(self) -> dict[Kind, list[Target]]:
        """The pending targets of each kind, in the order in which they were first named."""
        grouped: dict[Kind, list[Target]] = {}
        for target in self._jobs:
            grouped.setdefault(target.kind, []).append(target)
        return grouped

    def skip(self, is_done: Callable[[Target, Sequence[Job]], bool]) -> int:
        """Take out the targets that are done already, and return how many jobs these had.

        A skipped target may be another name of a pending one: its numeric id, if that is named by its reference
        number. `take` brings it back if the account says so.
        """
        skipped = 0
        for target in [target for target in self._jobs if target not in self._dropped]:
            packed = self._jobs[target]
            if is_done(target, self._unpacked(target, packed)):
                self._skipped[target] = self._jobs.pop(target)
                self.targets -= 1
                skipped += _count(packed)
        pending = set(map(_form, chain(self._jobs, self._dropped)))
        self._skipped = {name: packed for name, packed in self._skipped.items() if _other_form(name) in pending}
        self._skipped_forms = set(map(_form, self._skipped))
        return skipped

    def reject(self, faults: Mapping[tuple[Kind, str], str]) -> Iterator[tuple[Job, Error]]:
        """Take out the jobs that name one of these fields, each with its error.

        Args:
            faults: kind and field → why no job can link records there.
        """
        for target in list(self._jobs):
            packed = self._jobs[target]
            kept: list[_Packed] = []
            for job, each in zip(self._unpacked(target, packed), _decode_all(packed), strict=True):
                named = [(target.kind, field) for field in job.links if (target.kind, field) in faults]
                if not named:
                    kept.append(each)
                    continue
                self.add_dropped(target, Dropped(job.place, tuple(job.links)))
                yield job, Error(ErrorType.UNKNOWN_FIELD, faults[named[0]])
            if not kept:
                del self._jobs[target]
                self.targets -= 1
            else:
                self._jobs[target] = _array_of(*kept)

    def may_be_skipped(self, target: Target) -> bool:
        """Whether a skipped target may be this one by its other name."""
        return _other_form(target) in self._skipped_forms

    def desired_states(self) -> Iterator[tuple[DesiredState | None, list[tuple[Job, Error]]]]:
        """Take out all targets, each by one name, in the order in which they were first named."""
        for target in list(self._jobs):
            yield self.take(target)

    def take(self, *names: Target) -> tuple[DesiredState | None, list[tuple[Job, Error]]]:
        """Take out the jobs of one target: its desired state, and its jobs that must not be sent with the reasons.

        Args:
            names: all names of the target.

        Raises:
            KeyError: no pending job has any of these names.
        """
        if len(names) == 1 and not self._skipped and not self._dropped:  # the common case
            return merge_jobs(names[0], self._unpacked(names[0], self._jobs.pop(names[0])))
        found = [(name, self._jobs.pop(name)) for name in names if name in self._jobs]
        if not found:
            raise KeyError(names)
        found += [(name, self._skipped.pop(name)) for name in names if name in self._skipped]
        jobs = [job for name, packed in found for job in self._unpacked(name, packed)]
        dropped = [drop for name in names for drop in self._dropped.pop(name, {}).values()]
        return merge_jobs(found[0][0], jobs, dropped)

    def _unpacked(self, target: Target, packed: bytearray) -> list[Job]:
        sources = self._sources
        decoded = _decode_all(packed)
        if len(decoded) == 1:  # without the frame that a comprehension takes
            ((number, source, line, mode, links, key),) = decoded
            return [Job(number, sources[source], line, target, mode, links, key)]
        return [
            Job(number, sources[source], line, target, mode, links, key)
            for number, source, line, mode, links, key in decoded
        ]


def _array_of(*jobs: _Packed) -> bytearray:
    """An array of jobs in MessagePack, to which more can be appended."""
    return bytearray(_ARRAY + _COUNT.pack(len(jobs)) + b"".join(map(_encode, jobs)))


def _count(array: bytearray) -> int:
    count: int = _COUNT.unpack_from(array, 1)[0]
    return count


def _form(target: Target) -> tuple[Kind, bool]:
    """How a target is named: its kind, and whether by its numeric id instead of its reference number."""
    return target.kind, target.id.isdigit()


def _other_form(target: Target) -> tuple[Kind, bool]:
    return target.kind, not target.id.isdigit()
