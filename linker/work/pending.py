"""What is left to do for one target: its wish, the jobs without a result yet, and the change that they come to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from linker.batch.change import Change, plan
from linker.batch.merge import DesiredState, Dropped, Job, desired_links, settle
from linker.batch.placeholder import Created, filled, new_in
from linker.errors import Error
from linker.model.job import Links

__all__ = ["Pending"]


class Pending:
    """Jobs leave it one by one, with their results; half a list takes its siblings along."""

    __slots__ = ("change", "created", "desired", "jobs")

    def __init__(self, desired: DesiredState) -> None:
        self.desired = desired
        self.jobs: Sequence[Job] = desired.jobs
        self.change: Change | None = None
        """None as long as it is not planned."""
        self.created: Created = {}
        """Records that were made for its names."""

    def __repr__(self) -> str:
        return f"<Pending of {self.desired.target}: {len(self.jobs)} of {len(self.desired.jobs)} jobs>"

    def plan(self, before: Links | None, held: Links | None = None) -> Change:
        """Plan its change from what the target held before, and holds."""
        self.change = plan(self.desired, before, held)
        return self.change

    @property
    def removals(self) -> int:
        """Links that its PUT takes away."""
        return self.change.removals if self.change is not None else 0

    @property
    def links_read(self) -> int:
        """Links that the target was seen to hold in the fields of the wish."""
        before = self.change.before if self.change is not None else None
        return sum(map(len, before.values())) if before is not None else 0

    @property
    def put(self) -> Links:
        """What a PUT is to say: the fields that are not so already, and that a job still asks for."""
        assert self.change is not None
        whole, wanted = self.change.put, {name for job in self.jobs for name in job.links}
        return {name: ids for name, ids in whole.items() if name in wanted} if whole.keys() - wanted else whole

    def idle(self, fields: Collection[str]) -> list[Job]:
        """The jobs on none of these fields."""
        put = set(fields)
        return [job for job in self.jobs if put.isdisjoint(job.links)]

    def leave_idle(self, fields: Collection[str]) -> list[Job]:
        """Take out the jobs on none of these fields, which are put.

        One that shares a field with a job that goes is not done before: where that one is to blame, it goes itself.
        """
        idle = self.idle(fields)
        going = {name for job in self.jobs if job not in idle for name in job.links}
        self.jobs = [job for job in self.jobs if not going.isdisjoint(job.links)]
        return [job for job in idle if going.isdisjoint(job.links)]

    def drop(self, lost: Collection[Job]) -> list[tuple[Job, Error]]:
        """Take out jobs that are lost, and those that half a list takes along with them, each with the reason."""
        gone = {job.number for job in lost}
        kept = [job for job in self.jobs if job.number not in gone]
        desired, rejected = settle(self.desired.target, kept, [Dropped(job.place, job.links) for job in lost])
        self.jobs = desired.jobs if desired is not None else ()
        self.desired = desired or self.desired
        return rejected

    @property
    def new(self) -> Mapping[str, Sequence[str]]:
        """The names of the records, by field, that must be created before its PUT."""
        return new_in(self.put)

    def fill(self, created: Created) -> None:
        """Records have been created for its names: its jobs are by their ids from now on."""
        assert self.change is not None
        self.created = created
        jobs = filled(self.desired.jobs, created)
        by_number = {job.number: job for job in jobs}
        self.jobs = [by_number[job.number] for job in self.jobs]
        self.desired = DesiredState(self.desired.target, tuple(jobs), desired_links(jobs))
        self.plan(self.change.before, self.change.held)
