"""The ledger of an account's permits: who may send now, and when the next request may leave.

A rate of N in W seconds has N permits. A request holds one from when it is sent until W seconds after its *answer* (or
after its connection was closed, if none came), because only then did the account surely count it W seconds ago. So it
never counts more than N of our requests in W seconds, whatever the latency is and however its window is cut.

What the account reports about its limit is in `account.py`; how the linkers of one machine share a ledger is in
`sharing.py`.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from linker.ratelimit.account import AccountReports
from linker.ratelimit.permit import Delay, Feedback, Permit, UsedBy, Wait
from linker.ratelimit.sharing import Sharing, is_alive
from linker.ratelimit.storage import Memory, Storage
from linker.settings import Rate

_CLOCK_S: Final = 0.001
"""How much longer a permit is held: clocks have a grain, and a server may round."""

_BUSY_S: Final = 0.002
"""When to look again if another process has the lock."""

_LOOK_S: Final = 0.02
"""How often to look at a shared ledger: other processes free permits without telling."""

_REFRESH_S: Final = 0.2
"""How often a limiter that waits for a known time says that it still wants a permit."""


class PermitLedger:
    """A ledger in this process's memory, or in a storage that processes share. No method waits.

    Args:
        storage: shared storage; without one, the ledger is this process's own.
        timeout_s: how many seconds one request can be under way at most.
        clock: monotonic seconds, the same for all who share the storage.
        pid: process id that others see, instead of this process's.
        is_alive: tells whether a process with an id still runs.
    """

    def __init__(
        self,
        rates: Sequence[Rate],
        storage: Storage | None = None,
        *,
        timeout_s: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
        pid: int | None = None,
        is_alive: Callable[[int], bool] = is_alive,
    ) -> None:
        self._rates = tuple(rates)
        self._storage = storage or Memory(max((rate.requests for rate in rates), default=1))
        self._is_shared = storage is not None
        self._state = self._storage.state
        self._clock = clock
        self._account = AccountReports(self._state, rates, timeout_s)
        self._sharing = Sharing(self._state, rates, timeout_s, pid or os.getpid(), is_alive)
        self._postponed: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._catches_up = False  # at the end of this turn of the loop

    def take(self) -> Permit | Wait:
        """Return a permit within every rate, or how long to wait before asking again."""
        if not self._is_shared:
            return self._take(self._clock())
        if not self._storage.lock():
            return Wait(_BUSY_S)
        try:
            now = self._clock()
            if self._postponed:
                self._write_postponed(now)
            self._sharing.sweep(now)
            return self._take(now)
        finally:
            self._storage.unlock()

    def give_back(self, permit: Permit) -> None:
        """Return a permit that was not used: nothing was sent."""
        self._write(self._give_back, permit)

    def finish(self, permit: Permit, feedback: Feedback) -> None:
        """Return a permit whose request has ended, with or without an answer."""
        self._write(self._finish, permit, feedback)

    def finish_soon(self, permit: Permit, feedback: Feedback) -> bool:
        """Like `finish`, but leave the lock of a shared ledger to the next call that takes it.

        Returns whether `catch_up` must be called in this turn of the loop. Until then the permit is held as before.
        """
        if not self._is_shared:
            self._finish(self._clock(), permit, feedback)
            return False
        self._postponed.append((self._finish, (permit, feedback)))
        is_first, self._catches_up = not self._catches_up, True
        return is_first

    def catch_up(self) -> None:
        """Make the changes that wait for the lock, unless another process has it."""
        self._catches_up = False
        if self._postponed and self._storage.lock():
            try:
                self._write_postponed(self._clock())
            finally:
                self._storage.unlock()

    def pause(self, seconds: float) -> None:
        """Let nobody take a permit for so long, as a 429 asks."""
        self._write(self._pause, self._clock() + seconds)

    def paused_s(self) -> float:
        """Seconds for which nobody gets a permit; 0 if there is no pause."""
        return max(0.0, self._state.head.paused_until - self._clock())

    def delay(self) -> Delay | None:
        """How long until the next permit is free, and why, for people; None if one is free, or if that is unknown.

        It takes no lock, so another process may be writing at the same time.
        """
        if not self._sharing.has_joined():
            return None
        now, state = self._clock(), self._state
        delay = Delay(self._account.budget_wait_s(now), UsedBy.OTHER_CLIENTS)
        under_way = state.under_way()
        for rate in self._rates:
            needed = rate.requests - under_way
            if needed <= 0:
                return None  # until a request has ended
            seconds = state.ended_at(needed) + rate.seconds - now
            if seconds > delay.seconds:
                delay = Delay(seconds, self._sharing.used_by(state.owner_of(needed), now))
        return delay if delay.seconds > 0 else None

    def has_others(self) -> bool:
        """Whether other programs use the account, by its last reports or because it refused a request lately."""
        return self._account.has_others(self._clock())

    def has_budget(self) -> bool:
        """Whether the account reports fewer remaining requests than ours explain, or another limit than ours."""
        return self._account.has_budget()

    def free(self) -> list[tuple[Rate, int]]:
        """How many permits of each rate are free."""
        now, under_way, ended_since = self._clock(), self._state.under_way(), self._state.ended_since
        return [(rate, max(0, rate.requests - under_way - ended_since(now - rate.seconds))) for rate in self._rates]

    def _take(self, now: float) -> Permit | Wait:
        if not self._sharing.has_joined():
            self._sharing.join(now)
            self._account.join(now)
        head, me, under_way = self._state.head, self._sharing.me, self._state.under_way()
        me.seen_at = now
        wait_s = self._wait_s(now, under_way)
        if wait_s > 0:
            me.wants_at = now
            if self._is_shared:
                wait_s = min(wait_s, _LOOK_S if wait_s == math.inf else _REFRESH_S)
            return Wait(wait_s)
        me.wants_at = 0.0
        me.under_way += 1
        head.sent = sent = head.sent + 1
        head.taken = taken = head.taken + 1
        permit = Permit(now, me.id, int(taken), int(sent), under_way + 1)
        if head.trial:
            head.trial_permit, head.trial_at = permit.number, now
        return permit

    def _wait_s(self, now: float, under_way: int) -> float:
        """Seconds until a permit is free, for the longest of all reasons; infinity: until something changes."""
        wait_s = self._account.wait_s(now)
        for rate in self._rates:
            needed = rate.requests - under_way
            if needed <= 0:
                return math.inf
            free_at = self._state.ended_at(needed) + rate.seconds + _CLOCK_S
            if free_at > now + wait_s:
                wait_s = free_at - now
        if wait_s <= 0 and self._is_shared and not self._sharing.is_fair(now):
            return math.inf
        return wait_s

    def _write(self, write: Callable[..., None], *of: Any) -> None:
        """Change the state now, or at the next chance if another process has the lock."""
        if not self._is_shared:
            write(self._clock(), *of)
            return
        if not self._storage.lock():
            self._postponed.append((write, of))
            return
        try:
            now = self._clock()
            if self._postponed:
                self._write_postponed(now)
            write(now, *of)
        finally:
            self._storage.unlock()

    def _write_postponed(self, now: float) -> None:
        """Make the changes that waited for the lock. A late change frees no permit too early."""
        for write, of in self._postponed:
            write(now, *of)
        self._postponed.clear()

    def _give_back(self, now: float, permit: Permit) -> None:
        self._state.head.sent -= 1
        self._release(permit)

    def _finish(self, now: float, permit: Permit, feedback: Feedback) -> None:
        self._account.read(permit, feedback, now)
        # log before release: a process killed between the two holds its permit twice, not never
        self._state.log(now, permit.owner)
        self._release(permit)
        self._account.end_trial(permit, feedback)

    def _pause(self, now: float, until: float) -> None:
        self._account.pause(until)

    def _release(self, permit: Permit) -> None:
        me, head = self._sharing.me, self._state.head
        under_way = me.under_way
        if under_way > 0 and me.id == permit.owner:  # otherwise swept away in the meantime
            me.under_way = under_way - 1
        if head.trial_permit == permit.number:
            head.trial_permit = 0.0
