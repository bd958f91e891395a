"""One timer for all deadlines ends each request in its own time, and no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from linker.sessions.deadline import Deadlines


@pytest.fixture
async def deadlines() -> AsyncIterator[Deadlines]:
    """Deadlines whose timer is removed after the test."""
    deadlines = Deadlines()
    yield deadlines
    deadlines.close()


async def wait(deadlines: Deadlines, seconds: float, go: asyncio.Event | None = None) -> str:
    """Wait for an event, or until a deadline; says which came."""
    try:
        with deadlines.until(asyncio.get_running_loop().time() + seconds):
            await (go or asyncio.Event()).wait()
    except TimeoutError:
        return "late"
    return "in time"


async def test_each_deadline_ends_its_own_block(deadlines: Deadlines) -> None:
    """Of three that began in the wrong order, the two that are due end, the sooner one first; the third goes on."""
    go, ended = asyncio.Event(), list[str]()

    async def note(name: str, seconds: float) -> None:
        ended.append(f"{name} {await wait(deadlines, seconds, go)}")

    tasks = [asyncio.create_task(note(*each)) for each in (("last", 60), ("second", 0.02), ("first", 0.01))]
    await asyncio.gather(*tasks[1:])
    assert ended == ["first late", "second late"]
    go.set()
    await tasks[0]
    assert ended[2:] == ["last in time"]


async def test_a_deadline_that_has_passed_ends_its_block_at_once(deadlines: Deadlines) -> None:
    """And the task can go on to wait for other things: it is not cancelled any more."""
    assert await wait(deadlines, -1) == "late"
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_who_is_cancelled_is_not_late(deadlines: Deadlines) -> None:
    """A run that is stopped counts more than a deadline, also if both come at the same moment."""
    for seconds in (60, 0):
        task = asyncio.create_task(wait(deadlines, seconds))
        await asyncio.sleep(0)  # it has begun
        if not seconds:
            deadlines._cancel_overdue()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_another_error_in_the_block_is_not_hidden(deadlines: Deadlines) -> None:
    """Nor is it taken for a cancellation afterwards."""
    task = asyncio.current_task()
    assert task is not None

    async def fail() -> None:
        with deadlines.until(0.0):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise ZeroDivisionError from None

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert task.cancelling() == 0


async def test_no_timer_is_left_when_nothing_is_waited_for(deadlines: Deadlines) -> None:
    """One that ended in time leaves its timer until it is due; that finds nothing to do and sets no other."""
    go = asyncio.Event()
    go.set()
    assert await wait(deadlines, 0.01, go) == "in time"
    timer = deadlines._timer
    assert timer is not None
    timer.cancel()
    deadlines._cancel_overdue()
    assert (deadlines._timer, deadlines._pending) == (None, set())
