"""What a run came to, in numbers: counted as results become durable, so it never says more than is on disk."""

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
    """Counts by status and error, requests sent, and seconds from the first to the last."""

    results: Path | None = None
    jobs: int = 0
    """Jobs with a result."""
    unseen: int = 0
    """Of the linked ones, those whose links no answer showed."""
    requests: int = 0
    elapsed_s: float = 0.0
    puts: int = 0
    """Targets that were written to, or may have been. A PUT that was refused does not count."""
    created: int = 0
    """Records that were made for names that their table did not have."""
    limited: bool = False
    """The run ended as its `limit` says, before its last job."""
    passed_over: int = 0
    """Jobs that an earlier run of the results file has done."""
    stopped: bool = False
    """The run ended before its last job."""
    _statuses: Counter[Status] = field(default_factory=Counter)
    _errors: Counter[ErrorType] = field(default_factory=Counter)
    _examples: dict[ErrorType, str] = field(default_factory=dict)

    def add(self, result: Result) -> None:
        """Count a result in."""
        self.jobs += 1
        self._statuses[result.status] += 1
        self.unseen += result.unseen
        if result.error is not None:
            self._errors[result.error.type] += 1
            self._examples.setdefault(result.error.type, f"{result.place}: {result.error.message}")

    def count(self, status: Status | str) -> int:
        """How many jobs ended so."""
        return self._statuses[Status(status)]

    @property
    def linked(self) -> int:
        """Jobs whose links were written."""
        return self.count(Status.LINKED)

    @property
    def unchanged(self) -> int:
        """Jobs whose links were so already."""
        return self.count(Status.UNCHANGED)

    @property
    def failed(self) -> int:
        """Jobs that were tried in vain."""
        return self.count(Status.FAILED)

    @property
    def rejected(self) -> int:
        """Jobs that were never sent."""
        return self.count(Status.REJECTED)

    @property
    def ok(self) -> bool:
        """Every job was read, and is linked or unchanged."""
        return not (self.failed or self.rejected or self.stopped)

    def errors(self, most: int = 3) -> list[ErrorCount]:
        """The commonest errors, each with an example."""
        return [ErrorCount(word, count, self._examples[word]) for word, count in self._errors.most_common(most)]
