"""The plan of a batch: what a run would do, with counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from linker.api.visibility import Endpoint, Visibility
from linker.errors import InvalidJob
from linker.model.target import Kind, Target
from linker.records.names import NewRecord
from linker.results.result import Outcome, Planned, Result, Status
from linker.settings import Settings


@dataclass(slots=True)
class Plan:
    """The changes that a run would make now, the jobs that it could not do, and the counts of both.

    The number of PUTs is exact unless somebody else writes. A run sends as many reads as the plan did, and up to one
    more for each PUT whose read is older than `max_age` by then.
    """

    settings: Settings = field(repr=False)
    changes: list[Planned] = field(default_factory=list)
    """Targets that would be written."""
    results: list[Result] = field(default_factory=list)
    """Jobs that are rejected, or whose target cannot be read."""
    targets: int = 0
    unchanged: int = 0
    """Targets that already hold what the batch asks for."""
    unseen: int = 0
    """Targets of which no answer shows what they hold."""
    differing: int = 0
    """Targets that are known to hold something else than the batch asks for."""
    presumed: Counter[Kind] = field(default_factory=Counter)
    """By kind, those of them that are presumed to hold no links, because no answer of their kind has shown any."""
    as_asked: int = 0
    """Targets that are seen to hold what all of their rows ask for; none of these failed or was rejected."""
    _at_fault: set[Target] = field(default_factory=set, repr=False)
    _planned_at_fault: int = 0
    _presumed_by: Counter[tuple[Kind, Endpoint, bool, bool]] = field(default_factory=Counter)
    added: int = 0
    removed: int = 0
    new_records: int = 0
    """Records that would be created first."""
    creations: Sequence[NewRecord] = ()
    """These records, with the rows that name them."""
    unreadable: int = 0
    """Rows that do not tell their target. If there are any, a run removes links only with `allow_unreadable`."""
    reads: int = 0

    def add(self, outcome: Outcome, *, keep: bool = True) -> None:
        """Count an outcome of a dry run, and store it if `keep`."""
        if isinstance(outcome, Result):
            if keep:
                self.results.append(outcome)
            self._count_result(outcome)
            return
        self.targets += 1
        is_at_fault = outcome.change.target in self._at_fault
        self._planned_at_fault += is_at_fault
        put = outcome.change.put
        if outcome.presumed_by is not None:
            self._presumed_by[outcome.change.target.kind, outcome.presumed_by, bool(put), is_at_fault] += 1
        elif outcome.unseen:
            self.unseen += 1
        elif put:
            self.differing += 1
        else:
            self.unchanged += 1
            self.as_asked += not is_at_fault
        if not put:
            return
        self.puts += 1
        self.changing[outcome.change.target.kind] += 1
        for name in put:
            diff = outcome.change.diff(name)
            self.added += len(diff.added) if diff is not None else len(put[name])
            self.removed += len(diff.removed) if diff is not None else 0
        if keep:
            self.changes.append(outcome)

    def end(self, visibility: Visibility) -> None:
        """Count the targets that were presumed to hold no links, now that it is known which answers show links."""
        for (kind, endpoint, has_put, is_at_fault), count in self._presumed_by.items():
            if not visibility.is_proved(kind, endpoint):
                self.unseen += count
                self.presumed[kind] += count
            elif has_put:
                self.differing += count
            else:
                self.unchanged += count
                self.as_asked += count * (not is_at_fault)
        self._presumed_by.clear()

    puts: int = 0
    changing: Counter[Kind] = field(default_factory=Counter)
    """By kind, the targets that would be written."""
    rejected: int = 0
    failed: int = 0
    """Jobs whose target cannot be read."""

    def _count_result(self, result: Result) -> None:
        if result.kind is not None and result.id is not None:
            with suppress(InvalidJob):
                self._at_fault.add(Target.parse(result.id, result.kind))
        if result.status is Status.REJECTED:
            self.rejected += 1
        else:
            self.failed += 1

    @property
    def named(self) -> int:
        """How many targets the rows name, those of rows that failed or were rejected too."""
        return self.targets + len(self._at_fault) - self._planned_at_fault

    @property
    def readable(self) -> bool:
        """Whether no job was rejected, and every target could be read."""
        return not (self.rejected or self.failed)

    @property
    def holds(self) -> bool:
        """Whether the account is seen to hold what the batch asks for."""
        return self.readable and not self.puts and not self.unseen

    @property
    def seconds(self) -> float:
        """The shortest time in seconds that a run could take within the rate limits."""
        return self.settings.least_s(self.puts + self.reads + self.new_records)
