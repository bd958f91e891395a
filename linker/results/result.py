"""What became of each job, as data: a line of the results file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self, TypeAlias

import msgspec
import orjson

from linker.batch.change import FieldChange, Planned
from linker.batch.merge import Job
from linker.batch.placeholder import shown
from linker.errors import Error
from linker.model.job import Name
from linker.sources import Entry, Rejection
from linker.text import harmless, harmless_json


class Status(StrEnum):
    """What became of a job."""

    LINKED = "linked"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    REJECTED = "rejected"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one job; the fields are the keys of its line in the results file, in that order.

    `before` and `after` show the fields that the job names as the whole target's field stood, None where no
    answer showed it. `change` numbers the PUT that the job went with and `changes` is what that PUT did to the
    job's fields, None where it is not known. `attempts` counts the tries of the request that decided it. `created` are
    records that the run has made for its names, `{"customers": {"Acme Corp": "7900000000000000001"}}`; a line has the
    key where there are any.
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
    def of(cls, job: Job, status: Status, **rest: Any) -> Self:
        """The result of a job in the batch, finished now."""
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
            finished_at=_now(),
            **rest,
        )

    @classmethod
    def rejected(cls, job: Job, error: Error) -> Self:
        """The result of a job in the batch that is never sent."""
        return cls.of(job, Status.REJECTED, error=error)

    @classmethod
    def unread(cls, number: int, entry: Entry, rejection: Rejection) -> Self:
        """The result of a line that is no job."""
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
        """Where the job's line stands, for people."""
        return harmless(f"{self.source} line {self.line}" if self.line is not None else str(self.source))

    @property
    def unseen(self) -> bool:
        """Linked by the account's word alone: no answer showed the links."""
        return self.status is Status.LINKED and self.after is None

    def to_json(self, run: int = 0) -> bytes:
        """The result's line, without its newline; all of it can be printed. It names its run, if not the first."""
        line = msgspec.structs.asdict(self)
        if self.created is None:
            del line["created"]
        if run:
            line["run"] = run
        return harmless_json(orjson.dumps(line, default=_plain))


Outcome: TypeAlias = Result | Planned
"""What becomes of a job; where a run is dry, of a target."""


def _plain(value: object) -> dict[str, Any]:
    if isinstance(value, Name):
        return value.written
    assert isinstance(value, msgspec.Struct)
    return msgspec.structs.asdict(value)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
