"""Reads a page of a list again that has become too old, once for all of its works that are not written yet."""

from __future__ import annotations

import asyncio

from linker.api.answers import Answer
from linker.api.visibility import Endpoint, Visibility
from linker.pipeline.guard import Admission
from linker.pipeline.workqueue import WorkQueue
from linker.results.outcomes import Outcomes
from linker.results.writer import ResultsWriter
from linker.retry.sender import Fetch
from linker.work.attempts import PageSeen, Step
from linker.work.work import Work


class PageRefresh:
    """Works that wait until their page is read again; they hold no worker meanwhile."""

    def __init__(
        self,
        fetch: Fetch,
        queue: WorkQueue[Work],
        admission: Admission,
        writer: ResultsWriter,
        visibility: Visibility,
    ) -> None:
        self._fetch = fetch
        self._visibility = visibility
        self._queue = queue
        self._admission = admission
        self._writer = writer
        self._reading: dict[PageSeen[Work], asyncio.Task[None]] = {}

    def __repr__(self) -> str:
        return f"<PageRefresh, {len(self._reading)} pages>"

    def wait(self, work: Work, page: PageSeen[Work], owner: asyncio.TaskGroup) -> None:
        """Let a work wait for its page, then put it back into the queue. `owner` owns the request."""
        page.parked.append(work)
        if page not in self._reading:
            self._reading[page] = owner.create_task(self._read(page))

    def drop(self) -> list[Work]:
        """Stop reading, and return the works that waited."""
        waiting: list[Work] = []
        for page, task in self._reading.items():
            task.cancel()
            waiting += page.parked
            page.parked = []
        self._reading.clear()
        return waiting

    async def _read(self, page: PageSeen[Work]) -> None:
        answer = await self._fetch(page.request)
        now = asyncio.get_running_loop().time()
        items = answer.page.items if isinstance(answer, Answer) and answer.page is not None else ()
        listed = {name: item for item in items for name in (item.reference, item.id) if name}
        outcomes = Outcomes()
        for work in list(page.unsent):
            target = work.pending.desired.target
            item = listed.get(target.id)
            links = self._visibility.observe(target.kind, Endpoint.LIST, item) if item is not None else None
            if item is None or links is None or item.obscures(work.pending.desired.fields):
                work.read_again()
            else:
                assert isinstance(answer, Answer)
                outcomes += work.observe(links, answer.sent_at, now)
        ended = [work for work in page.unsent if work.step is None]
        page.unsent = {work for work in page.unsent if work.step is Step.WRITE}
        await self._writer.take(outcomes, [target for work in ended for target in work.targets])
        await self._admission.admit(list(page.unsent))
        del self._reading[page]
        parked, page.parked = page.parked, []
        for work in parked:
            work.freshness.looks += 1
            self._queue.again(work)  # one that waits for consent by now is not sent
