"""The virtual clock that other tests go by."""

from __future__ import annotations

import asyncio

import pytest

from support.virtual_clock import Stuck, run


def test_waits_take_virtual_time_only_and_end_in_their_order() -> None:
    """A day of sleeping is over at once, and the clock says that it was a day."""

    async def day() -> tuple[float, list[str]]:
        order: list[str] = []

        async def late(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            order.append(name)

        await asyncio.gather(late("evening", 72_000), late("noon", 43_200), late("next day", 90_000))
        return asyncio.get_running_loop().time(), order

    assert run(day(), start=1000.0) == (91_000.0, ["noon", "evening", "next day"])


def test_a_program_that_waits_for_nobody_fails() -> None:
    """What would hang for ever is an error that says so, and its tasks are cancelled."""
    cleaned: list[bool] = []

    async def forlorn() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    with pytest.raises(Stuck, match="nothing is scheduled"):
        run(forlorn())
    assert cleaned == [True]


def test_a_program_that_spins_fails() -> None:
    """What would burn a processor for ever is an error that says so."""

    async def busy() -> None:
        while True:  # noqa: ASYNC110  that is what it is about
            await asyncio.sleep(0)

    with pytest.raises(Stuck, match="spins"):
        run(busy())
