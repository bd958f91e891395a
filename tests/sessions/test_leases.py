"""Leases go round in order, and none is lost."""

from __future__ import annotations

import asyncio

from linker.sessions.leases import Leases


async def test_a_lease_goes_to_whoever_has_waited_longest() -> None:
    """Also if one that waited before was cancelled, and nobody overtakes them."""
    leases, order = Leases(1), list[str]()

    async def wait(name: str) -> None:
        await leases.take()
        order.append(name)

    assert leases.take_at_once()
    tasks = [asyncio.create_task(wait(name)) for name in ("gone", "first", "second")]
    await asyncio.sleep(0)  # they wait
    tasks[0].cancel()
    leases.give_back()
    assert not leases.take_at_once()
    await tasks[1]
    assert order == ["first"]
    leases.give_back()
    await tasks[2]
    leases.give_back()
    assert leases.take_at_once()
    assert not leases.take_at_once()


async def test_a_lease_that_comes_with_a_cancellation_is_not_lost() -> None:
    """Who is cancelled in the moment in which it gets its lease passes it on."""
    leases = Leases(1)
    await leases.take()
    tasks = [asyncio.create_task(leases.take()) for _ in range(2)]
    await asyncio.sleep(0)  # they wait
    leases.give_back()
    tasks[0].cancel()
    await tasks[1]
    assert tasks[0].cancelled()
    leases.give_back()
    assert leases.take_at_once()
