"""What is pending for one target: its desired state, the jobs without a result yet, and their change."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from linker.batch.change import Change, plan
from linker.batch.merge import DesiredState, Dropped, Job, desired_links, merge_jobs
from linker.batch.placeholder import Created, CreatedNames, filled, names_by_id, new_in
from linker.errors import Error
from linker.model.job import Links


class Pending:
    """The jobs of one target without a result yet. A `replace` job that goes takes the siblings of its list along."""

    __slots__ = ("_put", "_put_of", "change", "created", "desired", "jobs")

    def __init__(self, desired: DesiredState) -> None:
        self.desired = desired
        self.jobs: Sequence[Job] = desired.jobs
        self.change: Change | None = None
        """What the jobs come to; None before the target was read."""
        self.created: CreatedNames = {}
        """Records that this run created for names in its jobs."""
        self._put: Links = {}
        self._put_of: tuple[Change | None, Sequence[Job]] = (None, ())  # what it was worked out from

    def __repr__(self) -> str:
        return f"<Pending of {self.desired.target}: {len(self.jobs)} of {len(self.desired.jobs)} jobs>"

    def plan(self, before: Links | None, current: Links | None = None) -> Change:
        """Work out the change from the lists before this run, and the current ones if those differ."""
        self.change = plan(self.desired, before, current)
        return self.change

    @property
    def removals(self) -> int:
        """How many links the PUT removes."""
        return self.change.removals if self.change is not None else 0

    @property
    def links_read(self) -> int:
        """How many links the target had in the fields of the desired state; 0 if it was not read."""
        before = self.change.before if self.change is not None else None
        return sum(map(len, before.values())) if before is not None else 0

    @property
    def put(self) -> Links:
        """The fields and lists of the PUT: those that differ from the current ones and that a pending job names."""
        change, jobs = self._put_of
        if change is not self.change or jobs is not self.jobs:  # asked for several times a request
            self._put_of = self.change, self.jobs
            self._put = self._worked_out()
        return self._put

    def _worked_out(self) -> Links:
        assert self.change is not None
        put = self.change.put
        wanted = self.jobs[0].links.keys() if len(self.jobs) == 1 else {name for job in self.jobs for name in job.links}
        return put if put.keys() <= wanted else {name: ids for name, ids in put.items() if name in wanted}

    def take_idle(self, fields: Collection[str]) -> list[Job]:
        """Take out and return the jobs that are not involved in a PUT of these fields."""
        if len(self.jobs) == 1:  # the usual case
            if any(name in fields for name in self.jobs[0].links):
                return []
            idle, self.jobs = list(self.jobs), []
            return idle
        involved = self._involved(fields)
        idle = [job for job in self.jobs if involved.isdisjoint(job.links)]
        self.jobs = [job for job in self.jobs if not involved.isdisjoint(job.links)]
        return idle

    def _involved(self, fields: Collection[str]) -> set[str]:
        """All fields of the jobs that name one of `fields`, which the PUT writes.

        A job that shares a field with a written one stays: if that one is to blame for a refusal, its list is written.
        """
        put = set(fields)
        return {name for job in self.jobs if not put.isdisjoint(job.links) for name in job.links}

    def drop(self, jobs: Collection[Job]) -> list[tuple[Job, Error]]:
        """Take out jobs. Returns the siblings of their lists, which go with them, each with the reason."""
        numbers = {job.number for job in jobs}
        kept = [job for job in self.jobs if job.number not in numbers]
        desired, rejected = merge_jobs(self.desired.target, kept, [Dropped(job.place, job.links) for job in jobs])
        self.jobs = desired.jobs if desired is not None else ()
        self.desired = desired or self.desired
        return rejected

    @property
    def new(self) -> Mapping[str, Sequence[str]]:
        """The names of records, by field, that must be created before the PUT."""
        return new_in(self.put)

    def fill(self, created: Created) -> None:
        """Put the ids of created records in the place of their names."""
        assert self.change is not None
        self.created = names_by_id(created)
        jobs = filled(self.desired.jobs, created)
        by_number = {job.number: job for job in jobs}
        self.jobs = [by_number[job.number] for job in self.jobs]
        self.desired = DesiredState(self.desired.target, tuple(jobs), desired_links(jobs))
        self.plan(self.change.before, self.change.current)
