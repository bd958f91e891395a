"""The line of waiters: first come, first served, and retries ahead of new requests."""

from __future__ import annotations

import asyncio

import pytest
from support.virtual_clock import run

from linker.ratelimit.limiter import RateLimiter
from linker.settings import Rate


@pytest.mark.parametrize("cancelled", [[], ["a"], ["first"], ["b", "first"]])
def test_who_goes_first_is_served_before_all_others_that_wait(cancelled: list[str]) -> None:
    """But not before the head of the line; the others keep their order, and who goes away holds up nobody."""

    async def served() -> list[str]:
        limiter, stop = RateLimiter([Rate(1, 10)], clock=asyncio.get_running_loop().time), asyncio.Event()
        order: list[str] = []

        async def send(name: str, *, first: bool = False) -> None:
            async with limiter.turn(stop, first=first) as turn:
                turn.record_answer(200, {})
                order.append(name)

        await send("open")
        tasks = {}
        for name in ("head", "a", "b", "first", "also first"):
            tasks[name] = asyncio.create_task(send(name, first="first" in name), name=name)
            await asyncio.sleep(0)
        await asyncio.sleep(1)
        for name in cancelled:
            tasks[name].cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        assert "0 waiting" in repr(limiter)
        await send("after")
        return order

    line = ["head", "first", "also first", "a", "b"]
    assert run(served()) == ["open", *(name for name in line if name not in cancelled), "after"]


def test_a_permit_that_was_not_used_is_free_again_at_once() -> None:
    """A turn that finds nothing to send costs nothing of the account's rate limit."""

    async def given_back() -> float:
        limiter, stop = (
            RateLimiter([Rate(1, 60), Rate(1000, 0.5)], clock=asyncio.get_running_loop().time),
            asyncio.Event(),
        )
        for _ in range(3):
            async with limiter.turn(stop) as turn:
                turn.give_back()
        async with limiter.turn(stop) as turn:
            turn.record_answer(200, {})
        assert limiter.turns == 1
        return asyncio.get_running_loop().time()

    assert run(given_back()) == 0
