"""A PUT that several jobs share was refused (400, 422): which of them are to blame, so that only they fail.

First field by field; then without the ids that the server's words name; where they name none, by halving: the jobs
that bring new ids are tried group by group, each PUT adding to what the target holds, until every group was taken or
is one job. The rest stays one list and is written as such at the end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from linker.batch import Job, Links, wished
from linker.job import Mode, Target

__all__ = ["Mending"]

_ID = re.compile(r"[0-9]+")
_NONE: frozenset[str] = frozenset()


class Mending:
    """What to PUT next until the guilty jobs are known. `put` None: nothing is left to try.

    Args:
        before: what the target holds, None where it is not known.
        put: the refused PUT.
        message: the server's words on it.
    """

    def __init__(self, target: Target, jobs: Sequence[Job], before: Links | None, put: Links, message: str) -> None:
        self._target = target
        self._jobs = list(jobs)
        self._before = before
        self._fields = list(put)
        self._groups: list[list[Job]] = []  # of the field in hand, still to be tried
        self._taken: list[Job] = []
        self._trying: list[Job] = []
        self._held: dict[str, frozenset[str]] = {}  # what the last PUT that was taken left there
        self.guilty: list[tuple[Job, str]] = []
        self.put: Links | None = put
        if len(self._fields) == 1:
            self.refused(message)
        else:
            self._next()

    @property
    def kept(self) -> tuple[Job, ...]:
        """The jobs that are not to blame."""
        return tuple(self._jobs)

    def taken(self) -> None:
        """The PUT in hand was accepted."""
        assert self.put is not None
        self._held |= self.put
        if self._trying:
            self._taken += self._trying
            self._trying = []
            self._next_group()
        else:
            self._fields.pop(0)
            self._next()

    def refused(self, message: str) -> None:
        """The PUT in hand was refused with these words."""
        field = self._fields[0]
        if self._trying:
            group, self._trying = self._trying, []
            if len(group) == 1:
                self._blame(group, message)
            else:
                middle = len(group) // 2
                self._groups[:0] = [group[:middle], group[middle:]]
            self._next_group()
            return
        new = [job for job in self._jobs if self._new_ids(job, field)]
        named = set(_ID.findall(message))
        suspects = [job for job in new if named & self._new_ids(job, field)]
        if suspects:
            self._blame(suspects, message)
            self._next()
        elif len(new) > 1:
            middle = len(new) // 2
            self._groups, self._taken = [new[:middle], new[middle:]], []
            self._next_group()
        else:
            blamed = new or [job for job in self._jobs if field in job.links]
            self._blame(blamed, message)
            if not blamed:  # what was there before is not taken back
                self._fields.pop(0)
            self._next()

    def _new_ids(self, job: Job, field: str) -> frozenset[str]:
        """The ids that a job would bring to a field."""
        if job.mode is Mode.REMOVE:
            return _NONE
        return frozenset(job.links.get(field, ())) - self._now(field)

    def _now(self, field: str) -> frozenset[str]:
        held = self._held.get(field)
        return held if held is not None else (self._before or {}).get(field, _NONE)

    def _blame(self, jobs: Sequence[Job], message: str) -> None:
        self.guilty += [(job, message) for job in jobs]
        blamed = {job.number for job in jobs}
        self._jobs = [job for job in self._jobs if job.number not in blamed]
        # what these had a part in may have been written already, or may be to write now that it is gone
        touched = dict.fromkeys(field for job in jobs for field in job.links)
        self._fields += [field for field in touched if field not in self._fields]

    def _next_group(self) -> None:
        """Try the next group on top of what was taken; after the last one, the list as a whole."""
        if not self._groups:
            self._next()
            return
        field = self._fields[0]
        self._trying = self._groups.pop(0)
        ids = frozenset(id for job in self._trying for id in job.links[field])
        self.put = {field: self._now(field) | ids}

    def _next(self) -> None:
        """The list of the field in hand, as the jobs that are left ask for it; or of the next field."""
        wish = wished(self._jobs)
        while self._fields:
            field = self._fields[0]
            links = wish.get(field)
            before = self._before.get(field) if self._before is not None else None
            after = links.after(before) if links is not None else before
            if links is not None and after is None:  # its one whole list was to blame, and what it holds is not known
                self._blame([job for job in self._jobs if field in job.links], "its list went with the job to blame")
                wish = wished(self._jobs)
            elif after is not None and (
                after != self._now(field) or (self._before is None and field not in self._held)
            ):
                self.put = {field: after}
                return
            self._fields.pop(0)
        self.put = None
