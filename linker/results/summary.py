"""Counts what a run did. A result counts only once it is on disk."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from linker.errors import ErrorType
from linker.results.result import Result, Status


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """How often one error occurred, and its first occurrence."""

    type: ErrorType
    count: int
    example: str


@dataclass(slots=True)
class Summary:
    """Counts of a run's results by status and error, its requests, and its duration in seconds."""

    results: Path | None = None
    jobs: int = 0
    """Jobs with a result."""
    unseen: int = 0
    """Linked jobs whose links no answer has shown."""
    presumed: int = 0
    """Unchanged jobs that had nothing to take away, because no answer has shown any links."""
    requests: int = 0
    elapsed_s: float = 0.0
    puts: int = 0
    """Targets that were written, or may have been. A PUT that the account refused does not count."""
    created: int = 0
    """Records created for names that were missing from their table."""
    limited: bool = False
    """Whether the run ended before its last job because it reached its `limit`."""
    passed_over: int = 0
    """Jobs that an earlier run with the same results file has done."""
    stopped: bool = False
    """Whether the run was stopped before its last job."""
    _statuses: Counter[Status] = field(default_factory=Counter)
    _errors: Counter[ErrorType] = field(default_factory=Counter)
    _examples: dict[ErrorType, str] = field(default_factory=dict)

    def add(self, result: Result) -> None:
        """Count a result."""
        self.jobs += 1
        self._statuses[result.status] += 1
        self.unseen += result.unseen
        self.presumed += result.is_presumed
        if result.error is not None:
            self._errors[result.error.type] += 1
            self._examples.setdefault(result.error.type, f"{result.place}: {result.error.message}")

    def count(self, status: Status | str) -> int:
        """Return how many jobs have this status."""
        return self._statuses[Status(status)]

    @property
    def linked(self) -> int:
        """Jobs whose links were written."""
        return self.count(Status.LINKED)

    @property
    def unchanged(self) -> int:
        """Jobs whose links were already in place."""
        return self.count(Status.UNCHANGED)

    @property
    def failed(self) -> int:
        """Jobs whose requests failed."""
        return self.count(Status.FAILED)

    @property
    def rejected(self) -> int:
        """Jobs that were never sent."""
        return self.count(Status.REJECTED)

    @property
    def ok(self) -> bool:
        """Whether every job was read and is linked or unchanged."""
        return not (self.failed or self.rejected or self.stopped)

    def errors(self, most: int = 3) -> list[ErrorCount]:
        """Return the commonest errors, at most `most`, each with its count and an example."""
        return [ErrorCount(error, count, self._examples[error]) for error, count in self._errors.most_common(most)]
