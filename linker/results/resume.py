"""What a results file says of earlier runs, by target: which need not be done again.

A target is always done as a whole, so the lines of the last run that had it are its jobs: where they are just the
jobs that it has now, and all of them are linked or unchanged, it is done. A job is known by its content, not by its
number or line: a file with lines added, moved, mended or taken out since resumes rightly. Two jobs of one content are
two jobs.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import orjson

from linker.batch.merge import Job
from linker.errors import UsageError
from linker.model.target import Target

__all__ = ["EarlierRuns", "read_done"]

_WELL: Final = frozenset({"linked", "unchanged"})
_64: Final = 2**64 - 1
_COUNT: Final = 64  # where the count of lines starts in what is kept of a target, above the sum of their contents
_RUN: Final = 96
_ILL: Final = 128


class _Line(msgspec.Struct, gc=False):
    kind: str | None
    id: str | None
    mode: str | None
    links: msgspec.Raw
    key: msgspec.Raw
    status: str
    change: Annotated[int, msgspec.Meta(ge=0, le=2**53)] | None
    run: Annotated[int, msgspec.Meta(ge=0, le=2**31)] = 0


_decode = msgspec.json.Decoder(_Line).decode


class EarlierRuns:
    """What is kept of each target is one number: the sum of its lines' contents, their count, their run, and whether
    one of them is neither linked nor unchanged."""

    def __init__(self) -> None:
        self._targets: dict[int, int] = {}
        self.lines = 0
        self.last_run = 0
        self.next_change = 0
        """Free for the next PUT."""

    def __repr__(self) -> str:
        return f"<EarlierRuns {len(self._targets):,} targets in {self.lines:,} lines>"

    def add(self, line: bytes) -> None:
        """Count a line in. Raises `msgspec.MsgspecError` where it is none of a results file."""
        told = _decode(line)
        self.lines += 1
        self.last_run = max(self.last_run, told.run)
        if told.change is not None and told.change >= self.next_change:
            self.next_change = told.change + 1
        if told.kind is None or told.id is None:
            return
        target = hash((told.kind, told.id))
        kept = self._targets.get(target, 0)
        if not kept or (kept >> _RUN) & 0xFFFFFFFF != told.run:
            kept = told.run << _RUN
        kept = _with(kept, _content(told.kind, told.id, told.mode, bytes(told.links), bytes(told.key)))
        self._targets[target] = kept if told.status in _WELL else kept | 1 << _ILL

    def holds(self, target: Target, jobs: Iterable[Job]) -> bool:
        """Whether just these jobs were a target's when it was last done, and all of them ended well."""
        known = self._targets.get(hash((str(target.kind), target.id)))
        if known is None:
            return False
        kept = known & 0xFFFFFFFF << _RUN
        for job in jobs:
            links, key = orjson.dumps(job.links), orjson.dumps(job.key)
            kept = _with(kept, _content(str(target.kind), target.id, str(job.mode), links, key))
        return kept == known

    def failed(self, target: Target) -> bool:
        """Whether one of a target's jobs failed or was rejected when it was last done."""
        return bool(self._targets.get(hash((str(target.kind), target.id)), 0) >> _ILL)


def _with(kept: int, content: int) -> int:
    """One line more."""
    return (kept & ~_64 | (kept & _64) + content & _64) + (1 << _COUNT)


def _content(kind: str, id: str, mode: str | None, links: bytes, key: bytes) -> int:
    """What a job is known by, as a number of 64 bits."""
    if links.count(b"[") > 1 or b"\\" in links:
        links = _sorted(links)
    if key[:1] in b"{[" or b"\\" in key:
        key = _sorted(key)
    return hash((kind, id, mode, links, key)) & _64


def _sorted(value: bytes) -> bytes:
    """The same JSON, whatever the order of its keys, and what of it is escaped."""
    whole: Any = orjson.loads(value)
    return orjson.dumps(whole, option=orjson.OPT_SORT_KEYS)


def read_done(path: Path) -> EarlierRuns:
    """What a results file says of each target; some 200 bytes a target.

    Raises:
        UsageError: it cannot be read, or a line of it is broken.
    """
    done = EarlierRuns()
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if line.isspace():
                    continue
                try:
                    done.add(line)
                except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:  # no UTF-8, too deep
                    hint = "mend or remove that line, or start anew with --overwrite"
                    why = "nested too deep" if isinstance(error, RecursionError) else error
                    message = f"{path} line {number}: this is no line of a results file ({why}); {hint}"
                    raise UsageError(message) from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    return done
