"""The planner by itself: against answers from memory, on a clock of ours."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from support import virtual_clock
from support.runs import ACME

from linker import ErrorType, Kind, LinkJob, Target
from linker.api.answers import Answer, Listed
from linker.api.answers import Page as ListPage
from linker.api.lists import PageRequest
from linker.api.requests import Request
from linker.api.visibility import Visibility
from linker.batch.batch import Batch
from linker.batch.merge import Dropped
from linker.errors import Error
from linker.model.job import Mode
from linker.pipeline.reader import Snapshot, StateReader
from linker.pipeline.workqueue import WorkQueue
from linker.retry.sender import Fetch
from linker.retry.verdict import GiveUp


def page_answer(request: PageRequest, pages: int) -> Answer:
    """A page of features that hold nothing."""
    first = 200 * (request.number - 1) + 1
    items = (Listed(str(10**9 + number), f"PRJ1-{number}", {}) for number in range(first, first + 200))
    return Answer(200, page=ListPage(tuple(items), pages))


def batch_of(count: int) -> Batch:
    """A batch with a job for each of the features from PRJ1-1 on."""
    batch = Batch(Mode.REPLACE)
    for number in range(count):
        batch.add(number, "<jobs>", number + 1, LinkJob(f"PRJ1-{number + 1}", {"customers": [ACME]}))
    return batch


async def sights_of(batch: Batch, fetch: Fetch) -> list[Snapshot]:
    """All sights of a batch, with nobody behind the queue."""
    async with asyncio.TaskGroup() as group:
        reader = StateReader(batch, fetch, WorkQueue(10), group, Visibility())
        return [snapshot async for seen in reader.snapshots() for snapshot in seen]


class Stage:
    """A planner between a list that takes a second a page, and a queue that is emptied at some pace."""

    def __init__(self, pages: int, *, changing: bool, per_second: float) -> None:
        self.pages, self.changing, self.per_second = pages, changing, per_second
        self.batch = batch_of(200 * pages)
        self.queue: WorkQueue[Snapshot] = WorkQueue(1000)
        self.under_way = 0
        self.most_under_way = 0
        self.most_waiting = 0
        self.oldest = 0.0
        self.asked = 0

    async def fetch(self, request: Request | PageRequest) -> Answer | GiveUp:
        assert isinstance(request, PageRequest)
        self.asked += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        sent_at = asyncio.get_running_loop().time()
        await asyncio.sleep(1.0)
        self.under_way -= 1
        answer = page_answer(request, self.pages)
        return Answer(200, page=answer.page, sent_at=sent_at)

    async def work(self) -> None:
        async for snapshot in self.queue:
            age = asyncio.get_running_loop().time() - snapshot.read_at
            self.oldest = max(self.oldest, age)
            await asyncio.sleep(1 / self.per_second)
            self.queue.done()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            worker = group.create_task(self.work())
            reader = StateReader(self.batch, self.fetch, self.queue, group, Visibility())
            async with aclosing(reader.snapshots()) as snapshots:
                async for seen in snapshots:
                    for snapshot in seen if self.changing else ():
                        await self.queue.put(snapshot)
                    self.most_waiting = max(self.most_waiting, self.queue.waiting)
            self.queue.close()
            await worker


def test_pages_are_read_as_the_queue_empties() -> None:
    """Where all is to be written at five a second, one page at a time is in work, and none gets a minute old."""
    stage = Stage(50, changing=True, per_second=5)
    virtual_clock.run(stage.run())
    assert stage.asked == 50
    assert stage.most_under_way == 1
    assert stage.most_waiting <= 200 + 40
    assert stage.oldest < 60


def test_where_nothing_is_to_be_written_several_pages_are_read_at_once() -> None:
    """The list is paged as fast as some requests at once allow, still each page once."""
    stage = Stage(50, changing=False, per_second=5)
    virtual_clock.run(stage.run())
    assert stage.asked == 50
    assert stage.most_under_way == 8


def test_what_a_target_holds_lives_only_while_it_is_in_work() -> None:
    """At any moment no more than a page and a little has been taken out of the batch and not been written."""
    stage = Stage(20, changing=True, per_second=100)
    taken: list[int] = []

    async def watched() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(stage.run())
            while not task.done():
                taken.append(len(stage.queue._new))
                await asyncio.sleep(0.1)

    virtual_clock.run(watched())
    assert max(taken) <= 200 + 40


def test_a_rejected_line_by_another_name_is_looked_up_only_where_it_matters() -> None:
    """A lost line in the same form of name, or of another kind, costs no read."""
    batch = batch_of(1)
    batch.add_dropped(Target(Kind.FEATURE, "PRJ1-5"), Dropped("a.jsonl line 2", None))
    batch.add_dropped(Target(Kind.EPIC, "77"), Dropped("a.jsonl line 3", None))

    async def fetch(request: Request | PageRequest) -> Answer | GiveUp:
        raise AssertionError(request)

    (snapshot,) = virtual_clock.run(sights_of(batch, fetch))
    assert snapshot.desired is not None
    assert snapshot.item is None


def test_a_lost_name_that_cannot_be_read_holds_up_nothing() -> None:
    """A rejected line whose target is not there is nobody's other name."""
    batch = batch_of(1)
    batch.add_dropped(Target(Kind.FEATURE, "77"), Dropped("a.jsonl line 2", None))

    async def fetch(request: Request | PageRequest) -> Answer | GiveUp:
        return GiveUp(Error(ErrorType.NOT_FOUND, "404: Record not found."), 404)

    (snapshot,) = virtual_clock.run(sights_of(batch, fetch))
    assert snapshot.desired is not None
    assert snapshot.error is None
