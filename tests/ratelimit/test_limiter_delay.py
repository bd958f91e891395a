"""How long a request waits for the rate limit, and who has used it up, as the progress display says it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import repeat

import pytest
from support.virtual_account import Account, Client
from support.virtual_clock import run

from linker.ratelimit.layout import LedgerState
from linker.ratelimit.ledger import PermitLedger
from linker.ratelimit.permit import UsedBy
from linker.settings import Rate

RATES = [Rate(30, 60.0), Rate(20, 1.0)]


class Page:
    """A buffer that processes share; its lock is always free."""

    def __init__(self, state: LedgerState) -> None:
        self.state = state

    def lock(self) -> bool:
        """Take it."""
        return True

    def unlock(self) -> None:
        """Nothing to do."""


class Machine:
    """Processes on one account, by their ids."""

    def __init__(self) -> None:
        self.account = Account(RATES, "sliding")
        self._state = LedgerState(bytearray(LedgerState.size(4, 64)), 4)
        self.alive: set[int] = set()

    def client(self, pid: int, *, share: float = 1.0) -> Client:
        """A process's linker."""
        self.alive.add(pid)
        clock = asyncio.get_running_loop().time
        ledger = PermitLedger(
            RATES, Page(self._state), timeout_s=30.0, clock=clock, pid=pid, is_alive=self.alive.__contains__
        )
        return Client(self.account, RATES, repeat((0.01, 0.01)), ledger=ledger, share=share)


@asynccontextmanager
async def waiting(client: Client) -> AsyncIterator[None]:
    """Let one request wait for its turn meanwhile."""
    task = asyncio.create_task(client.get())
    await asyncio.sleep(0.5)
    yield
    task.cancel()
    await asyncio.wait({task})


def test_nobody_waits_where_permits_are_free() -> None:
    """Before the first request, and after it."""

    async def main() -> None:
        client = Machine().client(1)
        assert client.limiter.delay is None
        await client.get()
        assert client.limiter.delay is None

    run(main())


def test_a_run_waits_for_its_own_requests() -> None:
    """All permits are used up: the next is free a minute after the first request ended; none waits, nothing is said."""

    async def main() -> None:
        client = Machine().client(1)
        begun = asyncio.get_running_loop().time()
        for _ in range(30):
            await client.get()
        assert client.limiter.delay is None
        async with waiting(client):
            delay = client.limiter.delay
            assert delay is not None
            assert delay.used_by is UsedBy.THIS_RUN
            assert asyncio.get_running_loop().time() + delay.seconds == pytest.approx(begun + 60, abs=0.1)

    run(main())


@pytest.mark.parametrize("lives", [True, False], ids=["idle", "ended"])
def test_a_run_waits_for_the_requests_of_an_earlier_one(lives: bool) -> None:
    """Whether its process has ended, or has sent nothing for a while."""

    async def main() -> None:
        machine = Machine()
        earlier = machine.client(1)
        for _ in range(30):
            await earlier.get()
        if not lives:
            machine.alive.remove(1)
        await asyncio.sleep(5)
        later = machine.client(2)
        async with waiting(later):
            delay = later.limiter.delay
        assert delay is not None
        assert delay.used_by is UsedBy.EARLIER_RUN
        assert 30 < delay.seconds < 60

    run(main())


def test_a_run_waits_for_the_requests_of_one_beside_it() -> None:
    """Both want more than there is."""

    async def main() -> None:
        machine = Machine()
        other, client = machine.client(1), machine.client(2)
        for _ in range(30):
            await other.get()
        async with waiting(other), waiting(client):
            delay = client.limiter.delay
            assert delay is not None
            assert delay.used_by is UsedBy.OTHER_RUNS
            own = other.limiter.delay
            assert own is not None
            assert own.used_by is UsedBy.THIS_RUN

    run(main())


def test_a_run_waits_for_the_requests_of_other_clients() -> None:
    """The account reports that nothing is left until its Reset, and hardly anything of it was ours."""

    async def main() -> None:
        machine = Machine()
        client = machine.client(1)
        for _ in range(29):
            machine.account.others()
            await asyncio.sleep(0.1)
        await client.get()
        async with waiting(client):
            delay = client.limiter.delay
        assert machine.account.refused == []
        assert delay is not None
        assert delay.used_by is UsedBy.OTHER_CLIENTS
        assert 50 < delay.seconds < 60

    run(main())


def test_a_share_that_is_used_up_is_this_run_s() -> None:
    """A tenth of the rate: three requests, and then a wait though the account would take more."""

    async def main() -> None:
        client = Machine().client(1, share=0.1)
        for _ in range(3):
            await client.get()
        async with waiting(client):
            delay = client.limiter.delay
        assert delay is not None
        assert delay.used_by is UsedBy.THIS_RUN
        assert delay.seconds == pytest.approx(58, abs=2)

    run(main())
