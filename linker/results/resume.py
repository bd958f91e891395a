"""Finds the targets that a resumed run can skip, from the lines of earlier runs in its results file.

A run always does all jobs of a target, so the lines of the last run that had the target are all of its jobs. The
target is done if it has the same jobs now and each ended as linked or unchanged. A job is recognized by its content,
not by its number or line, so lines of the job file may be added, moved, corrected or removed before a resume. Two jobs
with the same content are two jobs.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import orjson

from linker.batch.merge import Job
from linker.errors import UsageError
from linker.model.target import Target

_GOOD: Final = frozenset({"linked", "unchanged"})
_HASH_BITS: Final = 2**60 - 1  # the largest number that CPython keeps in 32 bytes


class _Line(msgspec.Struct, gc=False):
    kind: str | None
    id: str | None
    mode: str | None
    links: msgspec.Raw
    key: msgspec.Raw
    status: str
    change: Annotated[int, msgspec.Meta(ge=0, le=2**53)] | None
    run: Annotated[int, msgspec.Meta(ge=0, le=2**31)] = 0


class _Ending(msgspec.Struct, frozen=True, gc=False):
    """How a target's jobs ended in the last run that had the target."""

    run: int
    is_good: bool = True
    """Whether each of its lines is linked or unchanged."""
    has_put: bool = False
    """Whether one of its lines has the number of a PUT."""


class _LastLines(msgspec.Struct, gc=False):
    """The lines of one target from the last run that had the target."""

    ending: _Ending
    contents: int = 0
    """The sum of the hashes of its jobs' contents: the same for the same jobs in any order."""


_decode = msgspec.json.Decoder(_Line).decode
_ending = cache(_Ending)  # there are few different ones, which targets share


class EarlierRuns:
    """The targets of a results file and how their last run ended; about 200 bytes for each target."""

    def __init__(self) -> None:
        self._targets: dict[int, _LastLines] = {}
        self.lines = 0
        self.last_run = 0
        self.next_change = 0
        """The number of the next PUT."""

    def __repr__(self) -> str:
        return f"<EarlierRuns {len(self._targets):,} targets in {self.lines:,} lines>"

    def add(self, text: bytes) -> None:
        """Add a line of the file. Raises `msgspec.MsgspecError` if it is not a line of a results file."""
        line = _decode(text)
        self.lines += 1
        self.last_run = max(self.last_run, line.run)
        if line.change is not None and line.change >= self.next_change:
            self.next_change = line.change + 1
        if line.kind is None or line.id is None:
            return
        target = _hash(line.kind, line.id)
        last = self._targets.get(target)
        if last is None or last.ending.run != line.run:
            last = self._targets[target] = _LastLines(_ending(line.run))
        content = _content(line.kind, line.id, line.mode, bytes(line.links), bytes(line.key))
        last.contents = last.contents + content & _HASH_BITS
        last.ending = _ending(
            line.run, last.ending.is_good and line.status in _GOOD, last.ending.has_put or line.change is not None
        )

    def holds(self, target: Target, jobs: Iterable[Job]) -> bool:
        """Whether the target had exactly these jobs in its last run, and all ended as linked or unchanged."""
        last = self._find(target)
        if last is None or not last.ending.is_good:
            return False
        contents = 0
        for job in jobs:
            links, key = orjson.dumps(job.links), orjson.dumps(job.key)
            contents += _content(str(target.kind), target.id, str(job.mode), links, key)
        return contents & _HASH_BITS == last.contents

    def wrote(self, target: Target, run: int | None) -> bool:
        """Whether a target has result lines for its last PUT, which `run` noted in the journal (None: unknown).

        A run writes these lines after it checked the PUT's answer; a later run, after it read what the PUT did.
        """
        last = self._find(target)
        return last is not None and last.ending.has_put and run is not None and last.ending.run >= run

    def failed(self, target: Target, *names: str) -> bool:
        """Whether a job of the target failed or was rejected in its last run.

        Args:
            names: names of the target; a line has one in place of the id if no record had that name.
        """
        endings = [self._targets.get(_hash(str(target.kind), id)) for id in (target.id, *names)]
        found = [last.ending for last in endings if last is not None]
        latest = max((ending.run for ending in found), default=0)
        return any(not ending.is_good for ending in found if ending.run == latest)

    def _find(self, target: Target) -> _LastLines | None:
        return self._targets.get(_hash(str(target.kind), target.id))


def _hash(*parts: str | bytes | None) -> int:
    return hash(parts) & _HASH_BITS


def _content(kind: str, id: str, mode: str | None, links: bytes, key: bytes) -> int:
    """Return a hash of a job's content that does not depend on the order of its keys."""
    if links.count(b"[") > 1 or b"\\" in links:
        links = _sorted(links)
    if key[:1] in b"{[" or b"\\" in key:
        key = _sorted(key)
    return _hash(kind, id, mode, links, key)


def _sorted(value: bytes) -> bytes:
    """Return the same JSON with sorted keys and uniform escapes."""
    parsed: Any = orjson.loads(value)
    return orjson.dumps(parsed, option=orjson.OPT_SORT_KEYS)


def read_done(path: Path, *, whole_lines_only: bool = False) -> EarlierRuns:
    """Read a results file.

    Args:
        whole_lines_only: leave out a last line without a line end; a run that was killed may have left it.

    Raises:
        UsageError: the file cannot be read, or a line is broken.
    """
    done = EarlierRuns()
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if line.isspace() or (whole_lines_only and not line.endswith(b"\n")):
                    continue
                try:
                    done.add(line)
                except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:  # or no UTF-8
                    hint = "correct or remove that line, or start over with --overwrite"
                    why = "nested too deep" if isinstance(error, RecursionError) else error
                    message = f"{path} line {number}: this is not a line of a results file ({why}); {hint}"
                    raise UsageError(message) from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    return done
