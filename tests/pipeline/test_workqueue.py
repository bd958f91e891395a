"""The work queue: bounded, retries ahead of new work, ended by closing, nothing lost."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from itertools import chain
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.virtual_clock import run

from linker.pipeline.workqueue import QueueStats, WorkQueue

T = TypeVar("T")


def task(coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """A task, under a short name."""
    return asyncio.create_task(coroutine)


async def moment() -> None:
    """On the virtual clock: until all that can run has run."""
    await asyncio.sleep(1)


async def take(queue: WorkQueue[int]) -> int:
    """One item."""
    return await anext(queue)


async def filled(*items: int, maxsize: int = 10) -> WorkQueue[int]:
    """A queue that holds these."""
    queue: WorkQueue[int] = WorkQueue(maxsize)
    for item in items:
        await queue.put(item)
    return queue


async def taken(queue: WorkQueue[int]) -> list[int]:
    """Take and finish all that comes until the iteration ends."""
    items = []
    async for item in queue:
        items.append(item)
        queue.done()
    return items


def test_items_come_in_their_order_and_the_iteration_ends_for_every_worker_when_all_is_done() -> None:
    """Closing ends the loops; what was put before is still handed out."""

    async def whole() -> list[int]:
        queue = await filled(1, 2, 3)
        queue.close()
        return list(chain(*await asyncio.gather(*(taken(queue) for _ in range(3)))))

    assert run(whole()) == [1, 2, 3]


def test_there_is_room_for_so_many_that_are_not_done_wherever_they_are() -> None:
    """The bound holds for what waits, what is in work and what waits for a retry: only `done` makes room."""

    async def bounded() -> None:
        queue = await filled(1, 2, maxsize=2)
        putting = task(queue.put(3))
        assert await anext(queue) == 1
        assert await anext(queue) == 2
        queue.again(2)
        await moment()
        assert not putting.done()
        assert queue.stats() == QueueStats(waiting=1, unfinished=2)
        queue.done()
        await putting
        assert queue.stats() == QueueStats(waiting=2, unfinished=2)
        assert repr(queue) == "<WorkQueue 2 waiting, 2 unfinished>"

    run(bounded())


def test_retries_go_ahead_of_new_work_in_their_own_order() -> None:
    """What came back first goes out first, before all that is new."""

    async def order() -> list[int]:
        queue = await filled(1, 2, 3, 4)
        first, second = await anext(queue), await anext(queue)
        queue.again(second)
        queue.again(first)
        queue.close()
        return await taken(queue)

    assert run(order()) == [2, 1, 3, 4]


def test_a_closed_queue_does_not_end_while_an_item_may_come_back() -> None:
    """A worker waits for the retry of another's item; the end comes with the last `done`."""

    async def late() -> list[int]:
        queue = await filled(1)
        item = await anext(queue)
        queue.close()
        worker = task(taken(queue))
        await moment()
        assert not worker.done()
        queue.again(item)
        return await worker

    assert run(late()) == [1]


def test_an_empty_queue_that_is_closed_ends_at_once() -> None:
    """Also for those who wait already, and for those who come later."""

    async def empty() -> list[list[int]]:
        queue = await filled()
        waiting = task(taken(queue))
        await moment()
        queue.close()
        assert repr(queue) == "<WorkQueue 0 waiting, 0 unfinished, closed>"
        return [await waiting, await taken(queue)]

    assert run(empty()) == [[], []]


def test_dropping_forgets_what_waits_and_ends_the_iteration() -> None:
    """A run that is stopped takes up nothing more, neither what is new nor what came back; its caller gets it."""

    async def dropped() -> None:
        queue = await filled(1, 2, 3, 4)
        assert await anext(queue) == 1
        assert await anext(queue) == 2
        queue.again(2)
        waiting = task(taken(queue))
        assert queue.drop() == [2, 3, 4]
        assert queue.stats() == QueueStats(waiting=0, unfinished=1)
        assert await waiting == []

    run(dropped())


def test_what_is_in_work_when_a_queue_is_dropped_comes_back_to_be_ended() -> None:
    """Its worker may put it back and take it up once more; what was given up does not come back."""

    async def dropped() -> None:
        queue = await filled(1, 2)
        assert await anext(queue) == 1
        assert queue.drop() == [2]
        queue.again(1)
        assert await taken(queue) == [1]
        assert queue.stats() == QueueStats(waiting=0, unfinished=0)
        queue.again(2)  # from the waiting room, say
        assert await taken(queue) == []

    run(dropped())


def test_who_waits_for_room_does_not_hang_when_the_queue_ends() -> None:
    """Putters go on when the queue is dropped or closed; what they brought is not taken in."""

    async def ended(how: str) -> list[int]:
        queue = await filled(1, 2, maxsize=2)
        putting = [task(queue.put(item)) for item in (3, 4, 5)]
        await moment()
        getattr(queue, how)()
        items = await taken(queue)
        await asyncio.gather(*putting)
        await queue.put(6)
        assert queue.stats() == QueueStats(0, 0)
        return items

    assert run(ended("drop")) == []
    assert run(ended("close")) == [1, 2]


@pytest.mark.parametrize("woken", [False, True], ids=["while it waits", "at the moment of its wake-up"])
def test_a_getter_that_is_cancelled_loses_no_item(woken: bool) -> None:
    """The item goes to the next getter, and the first in line that was not cancelled gets it."""

    async def getting() -> int:
        queue = await filled()
        gone, there = task(take(queue)), task(take(queue))
        await moment()
        if woken:
            await queue.put(1)
            gone.cancel()
        else:
            gone.cancel()
            await moment()
            await queue.put(1)
        await asyncio.wait([gone])
        assert gone.cancelled()
        assert queue.stats().unfinished == 1
        return await there

    assert run(getting()) == 1


@pytest.mark.parametrize("woken", [False, True], ids=["while it waits", "at the moment of its wake-up"])
def test_a_putter_that_is_cancelled_takes_no_room(woken: bool) -> None:
    """Its item is not in the queue, and the room that it waited for is the next one's."""

    async def putting() -> list[int]:
        queue = await filled(1, maxsize=1)
        gone, there = task(queue.put(2)), task(queue.put(3))
        await moment()
        assert await anext(queue) == 1
        if woken:
            queue.done()
            gone.cancel()
        else:
            gone.cancel()
            await moment()
            queue.done()
        await asyncio.wait([gone])
        assert gone.cancelled()
        await there
        queue.close()
        return await taken(queue)

    assert run(putting()) == [3]


class Story:
    """A queue and what must be true of it, while getters and putters come, go and are cancelled."""

    STEPS: ClassVar = ["put", "put", "get", "get", "again", "done", "cancel_getter", "cancel_putter", "rest"]

    def __init__(self, maxsize: int) -> None:
        self.queue: WorkQueue[int] = WorkQueue(maxsize)
        self.maxsize = maxsize
        self.getters: list[asyncio.Task[int]] = []
        self.putters: list[asyncio.Task[None]] = []
        self.in_work: list[int] = []
        self.finished: list[int] = []

    async def put(self) -> None:
        self.putters.append(task(self.queue.put(len(self.putters))))

    async def get(self) -> None:
        self.getters.append(task(take(self.queue)))

    async def again(self) -> None:
        if self.in_work:
            self.queue.again(self.in_work.pop(0))

    async def done(self) -> None:
        if self.in_work:
            self.finished.append(self.in_work.pop(0))
            self.queue.done()

    async def cancel_getter(self) -> None:
        if self.getters:
            self.getters[0].cancel()

    async def cancel_putter(self) -> None:
        if self.putters:
            self.putters[-1].cancel()

    async def rest(self) -> None:
        await moment()

    def look(self) -> None:
        """Take what the getters got, and check the bound."""
        self.in_work += [getter.result() for getter in self.getters if getter.done() and not getter.cancelled()]
        self.getters = [getter for getter in self.getters if not getter.done()]
        assert self.queue.stats().unfinished <= self.maxsize

    async def end(self) -> list[int]:
        """Cancel who still waits; the items that are in the queue's count or have been finished."""
        for waiting in (*self.getters, *self.putters):
            waiting.cancel()
        await moment()
        self.look()
        return [item for item, putter in enumerate(self.putters) if not putter.cancelled()]


@settings(max_examples=200)
@given(st.lists(st.sampled_from(Story.STEPS), max_size=60), st.integers(1, 4), st.booleans())
def test_what_was_put_comes_out_once_whatever_happens_in_whatever_order(
    steps: list[str], maxsize: int, drop: bool
) -> None:
    """Nothing is lost, doubled or over the bound by retries and cancellations; a drop gives up what waits, no more."""

    async def whole() -> None:
        story = Story(maxsize)
        for step in steps:
            await getattr(story, step)()
            story.look()
        inside = await story.end()
        unfinished = len(inside) - len(story.finished)
        waiting = unfinished - len(story.in_work)
        assert story.queue.stats() == QueueStats(waiting, unfinished)
        given_up = story.queue.drop() if drop else []
        assert len(given_up) == (waiting if drop else 0)
        story.queue.close()
        workers = task(taken(story.queue))
        while story.in_work:
            await story.done()
        assert sorted([*story.finished, *given_up, *await workers]) == inside
        assert story.queue.stats() == QueueStats(0, 0)

    run(whole())
