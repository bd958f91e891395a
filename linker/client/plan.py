"""The plan of a batch: what a run would do, with counts."""

from __future__ import annotations

from dataclasses import dataclass, field

from linker.batch.change import Planned
from linker.results.result import Outcome, Result, Status
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
    """Targets whose answers show no links: they would be written, since nobody can compare them."""
    added: int = 0
    removed: int = 0
    new_records: int = 0
    """Records that would be created first."""
    reads: int = 0

    def add(self, outcome: Outcome, *, keep: bool = True) -> None:
        """Count an outcome of a dry run, and store it if `keep`."""
        if isinstance(outcome, Result):
            if keep:
                self.results.append(outcome)
            self._count_result(outcome)
            return
        self.targets += 1
        put = outcome.change.put
        if not put:
            self.unchanged += 1
            return
        self.puts += 1
        self.unseen += outcome.unseen
        for name in put:
            diff = outcome.change.diff(name)
            self.added += len(diff.added) if diff is not None else len(put[name])
            self.removed += len(diff.removed) if diff is not None else 0
        if keep:
            self.changes.append(outcome)

    puts: int = 0
    rejected: int = 0
    failed: int = 0
    """Jobs whose target cannot be read."""

    def _count_result(self, result: Result) -> None:
        if result.status is Status.REJECTED:
            self.rejected += 1
        else:
            self.failed += 1

    @property
    def readable(self) -> bool:
        """Whether no job was rejected, and every target could be read."""
        return not (self.rejected or self.failed)

    @property
    def holds(self) -> bool:
        """Whether the account holds what the batch asks for, as far as its answers show links."""
        return self.readable and self.puts == self.unseen

    @property
    def seconds(self) -> float:
        """The shortest time in seconds that a run could take within the rate limits."""
        return self.settings.least_s(self.puts + self.reads + self.new_records)
