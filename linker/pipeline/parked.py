"""Targets that wait until it is known whether a record exists that they need; they hold no worker meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from linker.pipeline.workqueue import WorkQueue
from linker.work.work import Work


class ParkedWorks:
    """Works that wait for records in doubt, each until its records are found or given up."""

    def __init__(self, queue: WorkQueue[Work]) -> None:
        self._queue = queue
        self._works: set[Work] = set()

    def __repr__(self) -> str:
        return f"<ParkedWorks, {len(self._works)}>"

    def __contains__(self, work: Work) -> bool:
        return work in self._works

    def wait(self, work: Work, records: Collection[asyncio.Task[Any]], owner: asyncio.TaskGroup) -> None:
        """Put a work back into the queue when these tasks have ended. `owner` owns the task that waits."""
        self._works.add(work)
        owner.create_task(self._wait(work, records))

    def drop(self) -> list[Work]:
        """Return the works that wait; they do not come back."""
        works, self._works = [*self._works], set()
        return works

    async def _wait(self, work: Work, records: Collection[asyncio.Task[Any]]) -> None:
        await asyncio.wait(records)
        if work in self._works:
            self._works.remove(work)
            self._queue.again(work)
