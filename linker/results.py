"""What became of each job, as data: the results file, one JSON line a job, written by one writer."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import orjson

from linker.batch import Job
from linker.change import FieldChange
from linker.errors import Error, ErrorType, ResultsExist, ResultsUnwritable, UsageError
from linker.sources import Entry, Rejection

__all__ = ["Result", "ResultsFile", "Status"]


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
    job's fields, None where it is not known. `attempts` counts the tries of the request that decided it.
    """

    job: int
    line: int | None
    source: str | None
    key: Any
    kind: str | None
    id: str | None
    mode: str | None
    links: Mapping[str, Sequence[str]] | None
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
            links=job.links,
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
            error=Error(ErrorType.INVALID_JOB, rejection.message),
            finished_at=_now(),
        )

    @property
    def place(self) -> str:
        """Where the job's line stands, for people."""
        return f"{self.source} line {self.line}" if self.line is not None else str(self.source)

    @property
    def unseen(self) -> bool:
        """Linked by the account's word alone: no answer showed the links."""
        return self.status is Status.LINKED and self.after is None

    def to_json(self) -> bytes:
        """The result's line, without its end."""
        return orjson.dumps(self, default=msgspec.structs.asdict)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class ResultsFile:
    """The one writer of a results file: whole lines only, one `write` for all that are there.

    Example:
        >>> with ResultsFile(Path("links.results.jsonl")) as results:
        ...     results.write([result])
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self.path = path
        self._overwrite = overwrite
        self._old: Path | None = None
        self._discarded = False
        self._size = 0
        self._fd = -1

    def __repr__(self) -> str:
        return f"<ResultsFile {self.path}, {self._size:,} bytes>"

    def __enter__(self) -> Self:
        """Make the file.

        Raises:
            ResultsExist: it is there, and `overwrite` does not say to keep the old one under a dated name.
            UsageError: it cannot be made.
        """
        try:
            if self._overwrite and self.path.is_file():
                self._old = self.path.rename(_dated(self.path))
            self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except FileExistsError:
            message = f"results file {self.path} exists; --overwrite keeps it under a dated name and starts anew"
            raise ResultsExist(message) from None
        except OSError as error:
            raise UsageError(f"results file {self.path}: {error.strerror}") from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Close the file; one in which nothing was written does not outlive an error, and the old one is put back."""
        os.close(self._fd)
        if self._discarded or (error is not None and not self._size):
            self.path.unlink(missing_ok=True)
            if self._old is not None:
                self._old.rename(self.path)

    def discard(self) -> None:
        """Leave no file behind when it is closed: the run came to nothing."""
        self._discarded = True

    def write(self, results: Sequence[Result]) -> None:
        """Append a line for each result.

        Raises:
            ResultsUnwritable: not all of it could be written; what was is cut back to whole lines.
        """
        data = b"".join([line for result in results for line in (result.to_json(), b"\n")])
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as error:
            written = len(data) - len(rest)
            whole = data.rfind(b"\n", 0, written) + 1
            os.ftruncate(self._fd, self._size + whole)
            self._size += whole
            raise ResultsUnwritable(f"results file {self.path}: {error.strerror}; nothing more was sent") from None
        self._size += len(data)


def _dated(path: Path) -> Path:
    """A free name beside `path` that tells when the file was last written: `links.results.20260101T000000Z.jsonl`."""
    stamp = datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y%m%dT%H%M%SZ")
    dated = path.with_name(f"{path.stem}.{stamp}{path.suffix}")
    count = 1
    while dated.exists():
        count += 1
        dated = path.with_name(f"{path.stem}.{stamp}-{count}{path.suffix}")
    return dated
