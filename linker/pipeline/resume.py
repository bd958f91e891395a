"""What earlier runs of a results file have done, and what they left open, for the run that resumes them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from itertools import count
from pathlib import Path

from linker.batch.change import Intent
from linker.batch.merge import DesiredState, Job
from linker.errors import UsageError
from linker.model.target import Target
from linker.results.account import check_resume, last_account
from linker.results.file import ResultsFile
from linker.results.journal import OpenIntent
from linker.results.resume import EarlierRuns, read_done


class Resume:
    """The earlier runs, once they are read; without a results file, or for a new one, there are none.

    Args:
        failed_only: skip every target but those with a job that failed or was rejected.
        names_of: returns the names by which jobs give a target; a line whose name was unknown then has no id.
    """

    def __init__(self, *, failed_only: bool, names_of: Callable[[Target], Collection[str]] = lambda _: ()) -> None:
        self._failed_only = failed_only
        self._names_of = names_of
        self._runs = EarlierRuns()
        self.left_open: dict[Target, OpenIntent] = {}
        """The last PUT to each target of which it is not known whether it arrived."""
        self.settled: set[Target] = set()
        """Those targets of `left_open` whose results are in the file after all, so that they are done."""
        self.change_numbers = count()
        """Numbers for changes that no earlier run has used."""

    @property
    def has_results(self) -> bool:
        """Whether there is any result of an earlier run."""
        return self._runs.lines > 0

    async def read(self, file: ResultsFile) -> None:
        """Read a results file that is open.

        Raises:
            UsageError: a line of it is broken; or only what failed is to be done, and it has no results.
        """
        self._runs = await asyncio.to_thread(read_done, file.path)
        if self._failed_only and not self.has_results:
            raise UsageError(f"{file.path} has no results of an earlier run; run without --failed-only")
        self.change_numbers = count(self._runs.next_change)
        file.begin(self._runs.last_run + 1 if self.has_results else 0)
        self.left_open = dict(file.open_intents)

    async def peek(self, path: Path, account: str | None) -> None:
        """Read a results file for a dry run, which neither opens nor changes it.

        Args:
            account: the address of the account that the file must belong to; None: any.

        Raises:
            UsageError: a line of it is broken, or it belongs to another account.
        """
        if account is not None:
            check_resume(path, last_account(path), account)
        self._runs = await asyncio.to_thread(read_done, path, whole_lines_only=True)

    def is_done(self, target: Target, jobs: Sequence[Job]) -> bool:
        """Whether a target need not be done again."""
        if self._failed_only:
            return not self._runs.failed(target, *self._names_of(target))
        if not self._runs.holds(target, jobs):
            return False
        if (left := self.left_open.get(target)) is not None:
            if not self._runs.wrote(target, left.run):
                return False
            self.settled.add(target)
        return True

    def is_open(self, target: Target) -> bool:
        """Whether an earlier run began with a target and did not succeed."""
        return target in self.left_open or self._runs.failed(target)

    def intent(self, desired: DesiredState) -> Intent | None:
        """Return the last PUT that an earlier run left open, by whichever name of the target; None if there is none.

        The target is to be done, so it is not `settled` any more.
        """
        if not self.left_open:
            return None
        names = {desired.target, *(job.target for job in desired.jobs)}
        name = next((name for name in reversed(self.left_open) if name in names), None)
        if name is None:
            return None
        self.settled.discard(name)
        return self.left_open[name].intent
