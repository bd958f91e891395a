"""The result of a job, which is one line of the results file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, Self, TypeAlias

import msgspec
import orjson

from linker.api.visibility import Endpoint
from linker.batch.change import Change, FieldChange
from linker.batch.merge import Job
from linker.batch.placeholder import shown
from linker.errors import Error
from linker.model.job import Name
from linker.sources import Entry, Rejection
from linker.text import harmless, harmless_json

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Status(StrEnum):
    """How a job ended."""

    LINKED = "linked"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    REJECTED = "rejected"


class Effect(msgspec.Struct, frozen=True, gc=False):
    """What the links of one target were before and after its jobs, and what these have changed, field by field."""

    before: Mapping[str, Sequence[str]] | None = None
    after: Mapping[str, Sequence[str]] | None = None
    changes: Mapping[str, FieldChange] | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The result of one job; its fields are the keys of its line in the results file, in this order.

    `change` is the number of the change that the job was part of. `before`, `after` and `changes` describe the whole
    change, with the fields of all of its jobs: its results share these objects, and only the first line of a change in
    the results file has the keys. `before` and `after` are None if no answer showed the links, `changes` if it is
    unknown what was written. `attempts` counts the tries of the request that decided the result. `created` are the
    records that the run created for the job's names, `{"customers": {"Acme Corp": "7900000000000000001"}}`; the line
    has no such key if there are none.
    """

    job: int
    line: int | None
    source: str | None
    key: Any
    kind: str | None
    id: str | None
    mode: str | None
    links: Mapping[str, Sequence[str | Name]] | None
    status: Status
    before: Mapping[str, Sequence[str]] | None = None
    after: Mapping[str, Sequence[str]] | None = None
    change: int | None = None
    changes: Mapping[str, FieldChange] | None = None
    http_status: int | None = None
    attempts: int = 0
    error: Error | None = None
    finished_at: str
    elapsed_ms: float = 0.0
    created: Mapping[str, Mapping[str, str]] | None = None

    @classmethod
    def of(
        cls,
        job: Job,
        status: Status,
        *,
        before: Mapping[str, Sequence[str]] | None = None,
        after: Mapping[str, Sequence[str]] | None = None,
        change: int | None = None,
        changes: Mapping[str, FieldChange] | None = None,
        http_status: int | None = None,
        attempts: int = 0,
        error: Error | None = None,
        elapsed_ms: float = 0.0,
        created: Mapping[str, Mapping[str, str]] | None = None,
    ) -> Self:
        """Return the result of a job in the batch, finished now."""
        return cls(
            job=job.number,
            line=job.line,
            source=job.source,
            key=job.key,
            kind=job.target.kind,
            id=job.target.id,
            mode=job.mode,
            links=shown(job.links),
            status=status,
            before=before,
            after=after,
            change=change,
            changes=changes,
            http_status=http_status,
            attempts=attempts,
            error=error,
            finished_at=_now(),
            elapsed_ms=elapsed_ms,
            created=created,
        )

    @classmethod
    def rejected(cls, job: Job, error: Error) -> Self:
        """Return the result of a job in the batch that is not sent."""
        return cls.of(job, Status.REJECTED, error=error)

    @classmethod
    def unread(cls, number: int, entry: Entry, rejection: Rejection) -> Self:
        """Return the result of a line that is not a valid job."""
        return cls(
            job=number,
            line=entry.line,
            source=entry.source,
            key=rejection.key,
            kind=rejection.kind,
            id=rejection.id,
            mode=rejection.mode,
            links=rejection.links,
            status=Status.REJECTED,
            error=Error(rejection.type, rejection.message),
            finished_at=_now(),
        )

    @property
    def place(self) -> str:
        """The source and line of the job, as text for people."""
        return harmless(f"{self.source} line {self.line}" if self.line is not None else str(self.source))

    @property
    def unseen(self) -> bool:
        """Whether the job is linked, but no answer showed the links."""
        return self.status is Status.LINKED and self.after is None

    @property
    def is_presumed(self) -> bool:
        """Whether the job asked for nothing where no answer has shown any links."""
        return self.status is Status.UNCHANGED and self.after is None

    def to_json(self, *, has_effect: bool = True, **more: Any) -> bytes:
        """Return the result's line without a newline, safe to print.

        Args:
            has_effect: write `before`, `after` and `changes`; if False, another line of the same change has them.
            more: further keys of the line.
        """
        line = msgspec.structs.asdict(self)
        if self.created is None:
            del line["created"]
        if not has_effect:
            del line["before"], line["after"], line["changes"]
        return harmless_json(orjson.dumps(line | more if more else line, default=_plain))


class Planned(msgspec.Struct, frozen=True, gc=False):
    """What a run would do to one target, and the jobs that ask for it. Nothing was written.

    `presumed_by` showed no links, which is taken to mean none although it had not shown any of another target by then.
    """

    change: Change
    jobs: tuple[Job, ...]
    presumed_by: Endpoint | None = None

    @property
    def unseen(self) -> bool:
        """Whether no answer shows what the target holds."""
        return self.change.before is None


Outcome: TypeAlias = Result | Planned
"""The result of a job or, in a dry run, what a run would do to a target."""


def _plain(value: object) -> dict[str, Any]:
    if isinstance(value, Name):
        return value.written
    assert isinstance(value, msgspec.Struct)
    return msgspec.structs.asdict(value)


def _now() -> str:
    return _moment(int(datetime.now(UTC).timestamp() * 1000))


@lru_cache(maxsize=1)
def _moment(ms: int) -> str:
    """A moment in the form of RFC 3339; many results have the same."""
    at = _EPOCH + timedelta(milliseconds=ms)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
