"""The waiting room of the retry stage, on a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.virtual_clock import run

from linker.retry.backoff import Backoff

WAITS = st.lists(st.tuples(st.floats(0, 100), st.floats(-1, 3600)), max_size=30)  # put in at, waits for


def story(tell: Callable[[Backoff[int]], Coroutine[Any, Any, None]], start: float = 0.0) -> list[tuple[float, int]]:
    """What came back and when, from a waiting room at work to which something is done."""
    due: list[tuple[float, int]] = []

    async def whole() -> None:
        loop = asyncio.get_running_loop()
        backoff = Backoff[int](lambda item: due.append((loop.time() - start, item)))
        async with asyncio.TaskGroup() as group:
            running = group.create_task(backoff.run())
            await asyncio.sleep(0)
            await tell(backoff)
            await asyncio.sleep(4000)
            running.cancel()
        assert repr(backoff) == "<Backoff, 0 waiting>"

    run(whole(), start)
    return due


@given(WAITS, st.sampled_from([0.0, 12_345.678, 1e7]))
def test_each_item_comes_back_once_when_it_is_due(waits: list[tuple[float, float]], start: float) -> None:
    """Not sooner, not later, in the order in which they are due, whatever order they came in."""

    async def tell(backoff: Backoff[int]) -> None:
        loop = asyncio.get_running_loop()
        for item, (at, seconds) in enumerate(waits):
            loop.call_at(start + at, backoff.wait, item, seconds)
        await asyncio.sleep(101)

    came = story(tell, start)
    assert sorted(item for _, item in came) == list(range(len(waits)))
    assert [at for at, _ in came] == sorted(at for at, _ in came)
    for at, item in came:
        assert at == pytest.approx(waits[item][0] + max(0.0, waits[item][1]), abs=1e-6)


def test_a_sooner_item_wakes_it() -> None:
    """It does not sleep through what comes in while it waits for something later."""

    async def tell(backoff: Backoff[int]) -> None:
        backoff.wait(1, 100)
        await asyncio.sleep(1)
        backoff.wait(2, 2)
        assert repr(backoff) == "<Backoff, 2 waiting>"

    assert story(tell) == [(3.0, 2), (100.0, 1)]


def test_items_that_are_due_together_come_back_in_the_order_in_which_they_came() -> None:
    """None overtakes another, and items need not be comparable."""

    async def tell(backoff: Backoff[int]) -> None:
        for item in (3, 1, 2):
            backoff.wait(item, 5)

    assert story(tell) == [(5.0, 3), (5.0, 1), (5.0, 2)]


def test_what_waits_when_it_is_cancelled_is_still_there() -> None:
    """A run that stops knows what it has not done."""

    async def cancelled() -> int:
        due: list[object] = []
        backoff = Backoff[object](due.append)
        running = asyncio.create_task(backoff.run())
        backoff.wait(object(), 10)
        backoff.wait(object(), 20)
        await asyncio.sleep(15)
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()
        assert len(due) == 1
        return len(backoff)

    assert run(cancelled()) == 1


def test_what_waits_can_be_given_up() -> None:
    """It comes out once, as it would have been due, and nothing comes back any more."""

    async def tell(backoff: Backoff[int]) -> None:
        for item, seconds in ((1, 30), (2, 10), (3, 20)):
            backoff.wait(item, seconds)
        await asyncio.sleep(15)
        assert backoff.drop() == [3, 1]
        assert backoff.drop() == []

    assert story(tell) == [(10.0, 2)]
