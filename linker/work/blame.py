"""A PUT that several jobs share was refused (400, 422): find the jobs to blame, and what can be written without them.

The search goes field by field. Within a field it first tries the jobs whose ids the server's message names. If the
message names none, it halves: it tries the jobs that bring new ids group by group, each PUT adding to what the target
holds, until every group was taken or is a single job. Messages also contain numbers that are no ids (`2 of the 3 are
invalid`), so a message alone blames nobody: a job is to blame if a list was refused with it and taken without it, or if
it was refused alone.

A list without the job to blame is incomplete, so it replaces nothing: the `replace` jobs of its fields go with it, and
these fields get back what they held. The list of all other jobs is written at the end.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Generator, Sequence
from enum import Enum, auto
from typing import Final, Literal, TypeAlias

from linker.batch.change import Change
from linker.batch.merge import Dropped, Job, desired_links, merge_jobs
from linker.errors import Error
from linker.model.job import Links, Mode

_ID = re.compile(r"[0-9]+")
_NONE: frozenset[str] = frozenset()


class _Look(Enum):
    AGAIN = auto()


_AGAIN: Final = _Look.AGAIN
"""Instead of a reply: the target was read again, so the PUT is worked out anew."""

_Reply: TypeAlias = str | Literal[_Look.AGAIN] | None
"""The server's message if it refused the PUT, None if it took it."""

_Group: TypeAlias = tuple[list[Job], str]
"""Jobs that were left out of a list, and the message that named them."""


class BlameSearch:
    """The PUTs that find the jobs to blame. `put` is the next one, None at the end of the search.

    Args:
        change: what the jobs come to, and what the target holds as far as that is known.
        put: the refused PUT.
        message: the server's message on it.
    """

    def __init__(self, jobs: Sequence[Job], change: Change, put: Links, message: str) -> None:
        self._jobs = list(jobs)
        self._target = change.target
        self._is_known = change.before is not None
        self.before: dict[str, frozenset[str]] = dict(change.before or {})
        """What the target would hold without these PUTs; empty if unknown."""
        self.current: dict[str, frozenset[str]] = dict(change.current or change.before or {})
        """What the target holds now, as far as that is known."""
        self.observed: dict[str, frozenset[str]] = {}
        """Each field by the answer to its last PUT: a later edit by others is no failure of ours."""
        self.written: set[str] = set()
        """Fields of the PUTs that were taken."""
        self.guilty: list[tuple[Job, str]] = []
        self.incomplete: list[tuple[Job, Error]] = []
        """The `replace` jobs whose list is incomplete without the jobs to blame."""
        self.put: Links | None = put
        self._fields = list(put)
        suspects = [job for job in self._jobs if any(self._has_part(job, field) for field in put)]
        if len(suspects) == 1:
            self._blame(suspects, message)
        self._search = self._search_fields()
        self._reply(None)  # starts it
        if len(put) == 1 and len(suspects) != 1:  # the refused PUT was the list of this field
            self._reply(message)

    @property
    def kept(self) -> tuple[Job, ...]:
        """The jobs that are not to blame, and whose lists are complete."""
        return tuple(self._jobs)

    @property
    def change(self) -> Change:
        """What the jobs that are not to blame come to, in the fields whose list can be worked out."""
        lists = ((field, links.after(self.before.get(field))) for field, links in desired_links(self._jobs).items())
        after = {field: ids for field, ids in lists if ids is not None}
        if not self._is_known:
            return Change(self._target, None, after)
        return Change(self._target, self.before, after, self.current)

    def taken(self, links: Links | None) -> None:
        """The account took the PUT; its answer shows `links`."""
        assert self.put is not None
        if links is not None:
            self.observed |= {field: links.get(field, _NONE) for field in self.put}
        self.current |= self.put
        self.written |= self.put.keys()
        self._reply(None)

    def refused(self, message: str) -> None:
        """The account refused the PUT with this message."""
        self._reply(message)

    def has_arrived(self, observed: Links) -> bool:
        """Whether a target that holds `observed` has taken the PUT, whose answer was lost."""
        assert self.put is not None
        added = [(observed[field], ids - self._list(field)) for field, ids in self.put.items()]
        removed = [(observed[field], self._list(field) - ids) for field, ids in self.put.items()]
        if not any(ids for _, ids in added + removed):
            return False
        return all(ids <= now for now, ids in added) and all(ids.isdisjoint(now) for now, ids in removed)

    def look(self, observed: Links) -> None:
        """The target was read again and holds `observed`: what others wrote meanwhile stays."""
        for field, before in self.before.items():
            current = self.current[field]
            self.before[field] = (observed[field] - (current - before)) | (before - current)
            self.current[field] = observed[field]
        self._fields += [field for field in self.before if field not in self._fields]
        self._reply(_AGAIN)

    def _reply(self, reply: _Reply) -> None:
        self.put = self._search.send(reply)

    # The search: each `yield` is a PUT, and its value the reply.

    def _search_fields(self) -> Generator[Links | None, _Reply, None]:
        while True:
            while self._fields:
                yield from self._search_field(self._fields[0])
                self._fields.pop(0)
            yield None  # the end, unless the target is read again

    def _search_field(self, field: str) -> Generator[Links, _Reply, None]:
        """Write the list of a field without the jobs that are to blame."""
        aside: list[_Group] = []
        while True:
            after = self._after(field, aside)
            if after is not None and (after != self._list(field) or field not in self.current):
                reply = yield {field: after}
                if reply is _AGAIN:
                    continue
                if reply is not None:
                    if not (yield from self._refused_list(field, aside, reply)):
                        return
                    continue
            if not aside:
                return
            # the list stands without the jobs put aside: the last of them are why it was refused before
            (last, message), groups, aside = aside[-1], aside[:-1], []
            yield from self._split(field, last, message)
            for jobs, _ in reversed(groups):
                yield from self._try(field, jobs)

    def _refused_list(self, field: str, aside: list[_Group], message: str) -> Generator[Links, _Reply, bool]:
        """The list of a field was refused: blame jobs or put some aside. False if no job can be blamed for it."""
        in_hand = self._in_hand(aside)
        new = [job for job in in_hand if self._new_ids(job, field)]
        named = self._named(new, message, field)
        asking = [job for job in self._jobs if field in job.links]
        if not self._is_known:
            self._blame(named or new or asking, message)
        elif new and any(job.mode is Mode.REPLACE for job in asking):
            yield from self._find_first(field, named, new, message)
        elif named:
            aside.append((named, message))
        elif new or aside:
            groups = aside[:]
            aside.clear()
            yield from self._split(field, new, message)
            for jobs, _ in groups:
                yield from self._try(field, jobs)
        elif asking:
            self._blame(asking, message)
        else:  # what the target held before is not taken back
            return False
        return True

    def _find_first(
        self, field: str, named: Sequence[Job], new: Sequence[Job], message: str
    ) -> Generator[Links, _Reply, None]:
        """Find a job to blame in a list that replaces another, without ever making the target's list shorter.

        Each job that the message names is tried alone, because a PUT that is refused writes nothing.
        """
        refused: list[tuple[Job, str]] = []
        for job in named:
            reply: _Reply = _AGAIN
            while reply is _AGAIN and self._new_ids(job, field):
                reply = yield {field: self._list(field).union(job.links[field])}
            if isinstance(reply, str):
                refused.append((job, reply))
        if refused:
            self._blame_each(refused)
        else:
            yield from self._split(field, new, message)

    def _try(self, field: str, jobs: Sequence[Job]) -> Generator[Links, _Reply, bool]:
        """Add the ids of some jobs to the field; whether the account took them all in one PUT."""
        while new := self._bringing(jobs, field):
            reply = yield {field: self._list(field).union(*(job.links[field] for job in new))}
            if reply is None:
                break
            if reply is not _AGAIN:
                yield from self._split(field, new, reply)
                return False
        return True

    def _split(self, field: str, jobs: Sequence[Job], message: str) -> Generator[Links, _Reply, None]:
        """Find who is to blame among jobs that were refused together."""
        jobs = self._bringing(jobs, field)
        if len(jobs) == 1:
            self._blame(jobs, message)
        if len(jobs) < 2:
            return
        second = self._named(jobs, message, field) or jobs[len(jobs) // 2 :]
        if (yield from self._try(field, [job for job in jobs if job not in second])):
            yield from self._split(field, second, message)  # taken without these, so the message is about them
        else:
            yield from self._try(field, second)

    def _after(self, field: str, aside: Collection[_Group]) -> frozenset[str] | None:
        """The list of a field as the jobs in hand ask for it, less nothing that the jobs put aside ask for.

        None if there is none, because the target's current list is unknown.
        """
        before = self.before.get(field)
        links = desired_links(self._in_hand(aside)).get(field)
        after = links.after(before) if links is not None else before
        if links is not None and after is None:
            asking = [job for job in self._jobs if field in job.links]
            self._blame(asking, "the list was not written, because another row of it was refused")
        if after is None:
            return None
        waiting = (job for jobs, _ in aside for job in jobs if job.mode is not Mode.REMOVE)
        return after.union(*(self._list(field).intersection(job.links.get(field, ())) for job in waiting))

    def _bringing(self, jobs: Sequence[Job], field: str) -> list[Job]:
        """Those of these jobs that are still to be written and bring new ids to a field."""
        remaining = {job.number for job in self._jobs}
        return [job for job in jobs if job.number in remaining and self._new_ids(job, field)]

    def _in_hand(self, aside: Collection[_Group]) -> list[Job]:
        waiting = {job.number for jobs, _ in aside for job in jobs}
        return [job for job in self._jobs if job.number not in waiting]

    def _named(self, jobs: Sequence[Job], message: str, field: str) -> list[Job]:
        """The jobs that bring an id which the message names; none if it names most of them."""
        ids = frozenset(_ID.findall(message))
        named = [job for job in jobs if ids & self._new_ids(job, field)]
        return named if len(named) <= len(jobs) // 2 or not self._is_known else []

    def _has_part(self, job: Job, field: str) -> bool:
        """Whether a job may be why a field is to be put."""
        if job.mode is Mode.REMOVE:
            return not self._list(field).isdisjoint(job.links.get(field, ()))
        return field in job.links if job.mode is Mode.REPLACE else bool(self._new_ids(job, field))

    def _new_ids(self, job: Job, field: str) -> frozenset[str]:
        """The ids that a job would bring to a field."""
        if job.mode is Mode.REMOVE:
            return _NONE
        return frozenset(job.links.get(field, ())) - self._list(field)

    def _list(self, field: str) -> frozenset[str]:
        return self.current.get(field, _NONE)

    def _blame(self, jobs: Sequence[Job], message: str) -> None:
        self._blame_each([(job, message) for job in jobs])

    def _blame_each(self, guilty: Sequence[tuple[Job, str]]) -> None:
        """Take out jobs with the message on each, and the `replace` jobs whose lists are incomplete without them."""
        self.guilty += guilty
        jobs = [job for job, _ in guilty]
        blamed = {job.number for job in jobs}
        remaining = [job for job in self._jobs if job.number not in blamed]
        desired, incomplete = merge_jobs(
            self._target, remaining, [Dropped(job.place, tuple(job.links)) for job in jobs]
        )
        self._jobs = list(desired.jobs) if desired is not None else []
        self.incomplete += incomplete
        # fields of these jobs may hold what they brought, or may need writing now that the jobs are gone
        gone = (*jobs, *(job for job, _ in incomplete))
        touched = dict.fromkeys(field for job in gone for field in job.links)
        self._fields += [field for field in touched if field not in self._fields]
