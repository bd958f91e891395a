"""A PUT that several jobs share was refused (400, 422): which of them are to blame, so that only they fail.

First field by field; then without the jobs whose ids the server's words name; where they name none, by halving: the
jobs that bring new ids are tried group by group, each PUT adding to what the target holds, until every group was
taken or is one job. Words name numbers that are no ids as well (`2 of the 3 are invalid`), so nobody is blamed for a
word: a job is to blame where a list was refused with it and taken without it, or where it was refused alone. The rest
stays one list and is written as such at the end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from linker.batch.change import Change
from linker.batch.merge import Job, desired_links
from linker.model.job import Links, Mode

__all__ = ["BlameSearch"]

_ID = re.compile(r"[0-9]+")
_NONE: frozenset[str] = frozenset()


@dataclass(eq=False, slots=True)
class _Group:
    """Jobs to be tried together.

    `refused` is what the server says to them where that is known without a try: they were refused together with
    others, which were taken without them. `rest` are those for whom this is to be said once this group is taken.
    """

    jobs: list[Job]
    refused: str = ""
    rest: _Group | None = None
    words: str = ""


class BlameSearch:
    """What to PUT next until the guilty jobs are known. `put` None: nothing is left to try.

    Args:
        change: what the jobs come to, and what the target holds, as far as that is known.
        put: the refused PUT.
        message: the server's words on it.
    """

    def __init__(self, jobs: Sequence[Job], change: Change, put: Links, message: str) -> None:
        self._jobs = list(jobs)
        self._target = change.target
        self._known = change.before is not None
        self.before: dict[str, frozenset[str]] = dict(change.before or {})
        """What the target would hold without these PUTs; empty where that is not known."""
        self.held: dict[str, frozenset[str]] = dict(change.held or change.before or {})
        """What it holds, as far as that is known."""
        self.shown: dict[str, frozenset[str]] = {}
        """Each field by the answer to its last PUT: what others make of it after that is no failure."""
        self.written: set[str] = set()
        """Fields of the PUTs that were taken."""
        self.guilty: list[tuple[Job, str]] = []
        self.put: Links | None = put
        self._fields = list(put)
        self._groups: list[_Group] = []  # of the field in hand, still to be tried, the next one last
        self._trying: _Group | None = None
        self._aside: list[_Group] = []  # left out of the list in hand, for the server's words name them
        parts = [job for job in self._jobs if any(self._has_part(job, field) for field in put)]
        if len(parts) == 1:
            self._blame(parts, message)
            self._next()
        elif len(self._fields) == 1:
            self.refused(message)
        else:
            self._next()

    @property
    def kept(self) -> tuple[Job, ...]:
        """The jobs that are not to blame."""
        return tuple(self._jobs)

    @property
    def change(self) -> Change:
        """What the jobs that are not to blame come to, where their lists can be said."""
        asked = ((field, links.after(self.before.get(field))) for field, links in desired_links(self._jobs).items())
        after = {field: ids for field, ids in asked if ids is not None}
        return Change(self._target, self.before, after, self.held) if self._known else Change(self._target, None, after)

    def taken(self, links: Links | None) -> None:
        """The PUT in hand was accepted, by an answer that shows these."""
        assert self.put is not None
        if links is not None:
            self.shown |= {field: links.get(field, _NONE) for field in self.put}
        self.held |= self.put
        self.written |= self.put.keys()
        if self._trying is not None:
            group, self._trying = self._trying, None
            _told(group)
        elif self._aside:
            self._take_up()
        else:
            self._fields.pop(0)
        self._next()

    def refused(self, message: str) -> None:
        """The PUT in hand was refused with these words."""
        field = self._fields[0]
        if self._trying is not None:
            group, self._trying = self._trying, None
            self._split(group.jobs, message)
            self._next()
            return
        new = [job for job in self._in_hand() if self._new_ids(job, field)]
        named = self._named(new, message)
        if not self._known:
            self._blame(named or new or self._asking(field), message)
        elif named:
            self._aside.append(_Group(named, words=message))
        elif new or self._aside:
            self._groups, self._aside = self._aside[::-1], []
            if new:
                self._split(new, message)
        else:
            blamed = self._asking(field)
            self._blame(blamed, message)
            if not blamed:  # what was there before is not taken back
                self._fields.pop(0)
        self._next()

    def arrived(self, shown: Links) -> bool:
        """Whether a target that shows this has taken the PUT in hand, whose answer was lost."""
        assert self.put is not None
        added = [(shown[field], ids - self._now(field)) for field, ids in self.put.items()]
        gone = [(shown[field], self._now(field) - ids) for field, ids in self.put.items()]
        if not any(ids for _, ids in added + gone):
            return False
        return all(ids <= now for now, ids in added) and all(ids.isdisjoint(now) for now, ids in gone)

    def look(self, shown: Links) -> None:
        """The target was read again: what others did meanwhile stays."""
        for field, before in self.before.items():
            held = self.held[field]
            self.before[field] = (shown[field] - (held - before)) | (before - held)
            self.held[field] = shown[field]
        self._fields += [field for field in self.before if field not in self._fields]
        if self._trying is not None:
            self._groups.append(self._trying)
            self._trying = None
        self._next()

    def _in_hand(self) -> list[Job]:
        """The jobs whose list is tried: all that are left but those that were put aside."""
        aside = {job.number for group in self._aside for job in group.jobs}
        return [job for job in self._jobs if job.number not in aside]

    def _asking(self, field: str) -> list[Job]:
        return [job for job in self._jobs if field in job.links]

    def _named(self, jobs: Sequence[Job], message: str) -> list[Job]:
        """The few of some jobs that bring an id which the server's words name; none where these name most of them."""
        ids = frozenset(_ID.findall(message))
        named = [job for job in jobs if ids & self._new_ids(job, self._fields[0])]
        return named if len(named) <= len(jobs) // 2 or not self._known else []

    def _has_part(self, job: Job, field: str) -> bool:
        """Whether a job may be why a field is to be put."""
        if job.mode is Mode.REMOVE:
            return not self._now(field).isdisjoint(job.links.get(field, ()))
        return field in job.links if job.mode is Mode.REPLACE else bool(self._new_ids(job, field))

    def _new_ids(self, job: Job, field: str) -> frozenset[str]:
        """The ids that a job would bring to a field."""
        if job.mode is Mode.REMOVE:
            return _NONE
        return frozenset(job.links.get(field, ())) - self._now(field)

    def _now(self, field: str) -> frozenset[str]:
        return self.held.get(field, _NONE)

    def _blame(self, jobs: Sequence[Job], message: str) -> None:
        self.guilty += [(job, message) for job in jobs]
        blamed = {job.number for job in jobs}
        self._jobs = [job for job in self._jobs if job.number not in blamed]
        # what these had a part in may have been written already, or may be to write now that it is gone
        touched = dict.fromkeys(field for job in jobs for field in job.links)
        self._fields += [field for field in touched if field not in self._fields]

    def _split(self, jobs: Sequence[Job], message: str) -> None:
        """Some jobs were refused together: one is to blame, more are tried in two parts."""
        if len(jobs) == 1:
            self._blame(jobs, message)
            return
        second = self._named(jobs, message) or list(jobs[len(jobs) // 2 :])
        rest = _Group(second)
        self._groups += [rest, _Group([job for job in jobs if job not in second], rest=rest, words=message)]

    def _take_up(self) -> None:
        """The list without those that were put aside stands: the last of these are why it was refused before."""
        self._aside[-1].refused = self._aside[-1].words
        self._groups, self._aside = self._aside, []

    def _next(self) -> None:
        """The next group on top of what was taken; after the last one, the list as a whole, then the next field."""
        self.put = None
        while self._fields and self.put is None:
            field = self._fields[0]
            if self._groups:
                self._try(field, self._groups.pop())
                continue
            after = self._after(field)
            if after is not None and (after != self._now(field) or field not in self.held):
                self.put = {field: after}
            elif self._aside:
                self._take_up()
            else:
                self._fields.pop(0)

    def _try(self, field: str, group: _Group) -> None:
        jobs = [job for job in group.jobs if self._new_ids(job, field)]
        if not jobs:
            _told(group)
        elif group.refused:
            self._split(jobs, group.refused)
        else:
            self._trying = _Group(jobs, rest=group.rest, words=group.words)
            self.put = {field: self._now(field).union(*(job.links[field] for job in jobs))}

    def _after(self, field: str) -> frozenset[str] | None:
        """The list of a field as the jobs in hand ask for it, nothing taken away of which others still ask.

        None where there is none, which takes knowing what the target held.
        """
        before = self.before.get(field)
        links = desired_links(self._in_hand()).get(field)
        after = links.after(before) if links is not None else before
        if links is not None and after is None:
            self._blame(self._asking(field), "its list went with the job to blame")
        if after is None:
            return None
        aside = (job for group in self._aside for job in group.jobs if job.mode is not Mode.REMOVE)
        return after.union(*(self._now(field).intersection(job.links.get(field, ())) for job in aside))


def _told(group: _Group) -> None:
    """A group was taken: it was the rest of its jobs that were refused."""
    if group.rest is not None:
        group.rest.refused = group.words
