"""Counts what a run did. A result counts only once it is on disk."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from linker.errors import Error, ErrorType
from linker.results.result import Result, Status

_MOST_PROBLEMS: Final = 1000
"""Different messages that are counted one by one; those that come later are counted by their type alone."""


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """How often one error occurred, and its first occurrence."""

    type: ErrorType
    count: int
    example: str


@dataclass(frozen=True, slots=True)
class Problem:
    """What rows have failed or been rejected for: its message, how many rows it has met, and the first of them."""

    type: ErrorType
    message: str
    count: int
    first: str


@dataclass(slots=True)
class Summary:
    """Counts of a run's results by status and error, its requests, and its duration in seconds."""

    results: Path | None = None
    rows: int = 0
    """Jobs in the input, those that an earlier run has done too; 0 until all of it is read."""
    jobs: int = 0
    """Jobs with a result."""
    targets_changed: Counter[str] = field(default_factory=Counter)
    """Targets whose links were changed, by kind."""
    links_added: int = 0
    links_removed: int = 0
    unknown_changes: int = 0
    """Targets among them whose links could not be seen, so that it is not known how many were added and removed."""
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
    _problems: dict[tuple[ErrorType, str], list[Any]] = field(default_factory=dict)
    _counted_change: int | None = None

    def add(self, result: Result) -> None:
        """Count a result."""
        self.jobs += 1
        self._statuses[result.status] += 1
        if result.after is None:
            self.unseen += result.unseen
            self.presumed += result.is_presumed
        if result.error is not None:
            self._errors[result.error.type] += 1
            self._examples.setdefault(result.error.type, f"{result.place}: {result.error.message}")
            self._add_problem(result.error, result.place)
        if result.status is Status.LINKED and result.change is not None and result.change != self._counted_change:
            self._counted_change = result.change  # results of one change come one after the other
            self._add_change(result)

    def _add_problem(self, error: Error, place: str) -> None:
        problem = error.type, error.message
        if problem not in self._problems and len(self._problems) >= _MOST_PROBLEMS:
            problem = error.type, ""
        self._problems.setdefault(problem, [0, place])[0] += 1

    def _add_change(self, result: Result) -> None:
        self.targets_changed[result.kind or ""] += 1
        if result.changes is None:
            self.unknown_changes += 1
            return
        for change in result.changes.values():
            self.links_added += len(change.added)
            self.links_removed += len(change.removed)

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

    @property
    def in_place(self) -> int:
        """Jobs whose links are in place: those of this run, and those that an earlier run has done."""
        return self.passed_over + self.linked + self.unchanged

    @property
    def problems(self) -> list[Problem]:
        """What rows have failed or been rejected for, the commonest first."""
        problems = [Problem(*problem, *counted) for problem, counted in self._problems.items()]
        return sorted(problems, key=lambda problem: -problem.count)
