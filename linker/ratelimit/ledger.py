"""The ledger of an account's places: who may send now, and when again.

A rate of N in W seconds has N places. A request holds one from its turn until W seconds after its *answer* (or after
its connection was closed, where none came), for only then has it surely been counted W seconds ago. So the server
never counts more than N in W of ours, whatever the latency is and however the server's window is cut.

Three things more are kept here, because all who use the account must know them:

* **What the account says is left.** Where there were others at the account (it has fewer places left than ours can
  explain), no more leave than it says are left, until its Reset; then one request finds out.
* **A pause**, which a 429 asks for; after it one request finds out whether it is over.
* **Who takes part.** Linkers of one machine share a file. Each may hold its part of the longest rate's places, and
  more where nobody lacks them. What a dead process held is freed W seconds after it is missed, at the latest
  `timeout_s` + W after its last request.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec

from linker.api.headers import RateLimit
from linker.ratelimit import shared as c
from linker.ratelimit.shared import Memory, Store
from linker.settings import Rate

__all__ = ["ANSWER", "SILENCE", "Feedback", "Ledger", "Permit", "Places", "Wait"]

_CLOCK_S: Final = 0.001
"""By how much a place is held longer: clocks have a grain, and a server's may round."""

_BUSY_S: Final = 0.002
"""When to look again where another process has the lock."""

_LOOK_S: Final = 0.02
"""How often to look at a shared ledger: others free places there without a word."""

_REFRESH_S: Final = 0.2
"""How often who waits there for a known time says that it still wants a place."""

_WANTS_S: Final = 0.25
"""How long others hold back for who wanted a place and had no turn."""

_TAKES_PART_S: Final = 1.0
"""How long a process counts among those that share the places after it was last there."""

_SWEEP_S: Final = 0.25
_ARRIVES_S: Final = 1.0
"""What was sent before a process died has arrived by then."""

_IDLE_S: Final = 60.0
"""A row that was not used for so long is anybody's."""

_RESET_SLACK_S: Final = 2.0
"""A Reset may be later than a whole window by what whole seconds and clocks make of it."""


class Permit(msgspec.Struct, frozen=True, gc=False):
    """A place taken, and how the account's requests stood then, this one included."""

    at: float
    owner: float
    number: int
    sent: int
    under_way: int


class Feedback(msgspec.Struct, frozen=True):
    """What came of a request: whether the account answered, whether with 429, and what it said of its limit."""

    answered: bool
    refused: bool = False
    limit: RateLimit | None = None


SILENCE: Final = Feedback(answered=False)
ANSWER: Final = Feedback(answered=True)


class Wait(msgspec.Struct, frozen=True, gc=False):
    """No place is free: look again after so long; infinity for when something changes."""

    seconds: float


class Ledger(Protocol):
    """What the quota needs of a ledger. None of it waits: one on a server would lend out places from what it leased."""

    def take(self) -> Permit | Wait:
        """A place of every rate, or how long to wait before another look."""

    def give_back(self, permit: Permit) -> None:
        """Nothing was sent."""

    def answer(self, permit: Permit, heard: Feedback) -> None:
        """The request came to its end, one way or another."""

    def pause(self, seconds: float) -> None:
        """A 429: nobody takes a place for so long."""

    def paused_s(self) -> float:
        """Seconds for which nobody takes a place; 0 where there is no pause."""

    def others(self) -> bool:
        """Whether others are at the account, or were just now: by what it says, or since it refused a request."""

    def free(self) -> list[tuple[Rate, int]]:
        """The places that are free of each rate."""


class Places:
    """A ledger in cells: those of this process alone, or those that it shares.

    Args:
        timeout_s: how long one request can be under way at most.
        clock: monotonic seconds, the same for all who share the cells.
    """

    def __init__(
        self,
        rates: Sequence[Rate],
        store: Store | None = None,
        *,
        timeout_s: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
        pid: int | None = None,
        is_alive: Callable[[int], bool] | None = None,
    ) -> None:
        self._store = store or Memory(max((rate.requests for rate in rates), default=1))
        self._shared = store is not None
        self._cells = self._store.cells
        self._numbers = self._cells.numbers
        self._clock = clock
        self._timeout_s = timeout_s
        self._pid = pid or os.getpid()
        self._is_alive = is_alive or _is_alive
        self._rates = [(rate, 0) for rate in rates]  # each with where its numbers are, once there is a row
        self._longest = max(rates, key=lambda rate: (rate.seconds, -rate.requests), default=None)
        told = {rate.requests: rate for rate in sorted(rates, key=lambda rate: rate.seconds)}
        self._told = set(told.values())  # of rates with one number the longest: what is said of it is true of that
        self._row = self._cells.rows.start
        self._id = 0.0
        self._swept_at = -math.inf
        self._deeds: list[Callable[[float], None]] = []

    def take(self) -> Permit | Wait:
        """See `Ledger`."""
        if not self._store.lock():
            return Wait(_BUSY_S)
        try:
            now = self._clock()
            self._catch_up(now)
            if self._shared:
                self._sweep(now)
            row, numbers, under_way = self._my_row(now), self._numbers, self._cells.under_way()
            numbers[row + c.SEEN_AT] = now
            wait = self._wait(now, row, under_way)
            if wait is not None:
                numbers[row + c.WANTS_AT] = now
                if not self._shared:
                    return wait
                return Wait(min(wait.seconds, _LOOK_S if wait.seconds == math.inf else _REFRESH_S))
            numbers[row + c.WANTS_AT] = 0.0
            numbers[row + c.OUT] += 1
            numbers[c.SENT] += 1
            numbers[c.TAKEN] += 1
            permit = Permit(now, self._id, int(numbers[c.TAKEN]), int(numbers[c.SENT]), under_way + 1)
            if numbers[c.TRIAL]:
                numbers[c.TRIAL_PLACE], numbers[c.TRIAL_AT] = permit.number, now
            return permit
        finally:
            self._store.unlock()

    def give_back(self, permit: Permit) -> None:
        """See `Ledger`."""

        def deed(_: float) -> None:
            self._numbers[c.SENT] -= 1
            self._leave(permit)

        self._do(deed)

    def answer(self, permit: Permit, heard: Feedback) -> None:
        """See `Ledger`."""

        def deed(now: float) -> None:
            for rate, said in self._rates:
                if rate in self._told:
                    self._hear(rate, said, permit, heard, now)
            self._cells.log(now, permit.owner)  # before it leaves: who is killed between the two holds it twice
            self._leave(permit)
            if heard.answered and not heard.refused and permit.at >= self._numbers[c.PAUSED_UNTIL]:
                self._numbers[c.TRIAL] = 0.0

        self._do(deed)

    def pause(self, seconds: float) -> None:
        """See `Ledger`."""
        until = self._clock() + seconds

        def deed(_: float) -> None:
            numbers = self._numbers
            numbers[c.PAUSED_UNTIL] = max(numbers[c.PAUSED_UNTIL], until)
            numbers[c.TRIAL], numbers[c.TRIAL_PLACE] = 1.0, 0.0

        self._do(deed)

    def paused_s(self) -> float:
        """See `Ledger`."""
        return max(0.0, self._numbers[c.PAUSED_UNTIL] - self._clock())

    def others(self) -> bool:
        """See `Ledger`."""
        now, numbers = self._clock(), self._numbers
        paused_until = numbers[c.PAUSED_UNTIL] or -math.inf  # 0: never
        return any(now < max(numbers[said + c.OTHERS_UNTIL], paused_until + rate.seconds) for rate, said in self._rates)

    def free(self) -> list[tuple[Rate, int]]:
        """See `Ledger`."""
        now, under_way = self._clock(), self._cells.under_way()
        return [
            (rate, max(0, rate.requests - under_way - self._cells.answers_since(now - rate.seconds)))
            for rate, _ in self._rates
        ]

    def _do(self, deed: Callable[[float], None]) -> None:
        if not self._store.lock():
            self._deeds.append(deed)
            return
        try:
            now = self._clock()
            self._catch_up(now)
            deed(now)
        finally:
            self._store.unlock()

    def _catch_up(self, now: float) -> None:
        """Do what the lock was wanted for; later than it happened, which frees no place too early."""
        for deed in self._deeds:
            deed(now)
        self._deeds.clear()

    def _leave(self, permit: Permit) -> None:
        numbers = self._numbers
        if numbers[self._row + c.ID] == permit.owner and numbers[self._row + c.OUT] > 0:  # not swept away meanwhile
            numbers[self._row + c.OUT] -= 1
        if numbers[c.TRIAL_PLACE] == permit.number:
            numbers[c.TRIAL_PLACE] = 0.0

    # How long to wait: the longest of all reasons.

    def _wait(self, now: float, row: int, under_way: int) -> Wait | None:
        numbers = self._numbers
        wait_s = said_wait_s = 0.0
        for rate, said in self._rates:
            needed = rate.requests - under_way
            wait_s = max(wait_s, self._cells.latest(needed) + rate.seconds + _CLOCK_S - now if needed > 0 else math.inf)
            if numbers[said + c.BUDGET] >= 0:
                said_wait_s = max(said_wait_s, self._said_wait_s(rate, said, now))
        if numbers[c.TRIAL] and numbers[c.TRIAL_PLACE] and now < numbers[c.TRIAL_AT] + self._timeout_s:
            wait_s = math.inf  # one request finds out whether a pause is over
        wait_s = max(wait_s, said_wait_s, numbers[c.PAUSED_UNTIL] - now)
        if wait_s > 0:
            return Wait(wait_s)
        return Wait(math.inf) if self._shared and not self._is_fair(now, row) else None

    def _said_wait_s(self, rate: Rate, said: int, now: float) -> float:
        """Seconds until the account has a place left, by its own word."""
        numbers = self._numbers
        if numbers[c.SENT] < numbers[said + c.BUDGET]:
            return 0.0
        if now < numbers[said + c.UNTIL]:
            return numbers[said + c.UNTIL] - now
        # past its Reset: one request finds out what is left now, and another where nothing comes of that one
        numbers[said + c.BUDGET] = numbers[c.SENT] + 1
        numbers[said + c.UNTIL] = now + rate.seconds
        numbers[said + c.PROBED_AT] = now
        return 0.0

    def _is_fair(self, now: float, mine: int) -> bool:
        """Whether a place may be taken that others want: who holds less than its part goes first."""
        numbers, longest = self._numbers, self._longest
        if longest is None:
            return True
        others = [row for row in self._cells.rows if numbers[row + c.ID] and row != mine]
        wanting = [row for row in others if numbers[row + c.WANTS_AT] > now - _WANTS_S]
        if not wanting:
            return True
        taking_part = 1 + sum(numbers[row + c.SEEN_AT] > now - _TAKES_PART_S for row in others)
        part = longest.requests / taking_part
        owners = list(self._cells.owners_since(now - longest.seconds))

        def held(row: int) -> float:
            return owners.count(numbers[row + c.ID]) + numbers[row + c.OUT]

        return held(mine) < part or all(held(row) >= math.floor(part) for row in wanting)

    # What the account says.

    def _hear(self, rate: Rate, said: int, permit: Permit, heard: Feedback, now: float) -> None:
        numbers, limit = self._numbers, heard.limit
        if limit is None or limit.limit != rate.requests or limit.reset_s > rate.seconds + _RESET_SLACK_S:
            if heard.answered and numbers[said + c.PROBED_AT] and permit.at >= numbers[said + c.PROBED_AT]:
                self._forget(said)  # past its Reset the account answered, and says nothing of this rate any more
            return
        if permit.at < numbers[said + c.READ_AT]:
            return
        numbers[said + c.READ_AT] = permit.at
        counted, since = rate.requests - limit.remaining, self._cells.answers_since
        later = int(numbers[c.SENT]) - permit.sent
        if counted > self._cells.under_way() + since(permit.at - rate.seconds):
            # more than all of ours that can have been counted: others are there, and that will not change at once
            numbers[said + c.OTHERS_UNTIL] = now + rate.seconds
        if now < numbers[said + c.OTHERS_UNTIL]:
            later += permit.under_way - 1  # what was under way already may have been counted later, too
        elif counted <= permit.under_way + since(permit.at - rate.seconds) - since(permit.at):
            self._forget(said)  # no more than ours that left before it
            return
        numbers[said + c.BUDGET] = numbers[c.SENT] + max(0, limit.remaining - later)
        numbers[said + c.UNTIL] = now + limit.reset_s
        numbers[said + c.PROBED_AT] = 0.0

    def _forget(self, said: int) -> None:
        self._numbers[said + c.BUDGET] = -1.0
        self._numbers[said + c.PROBED_AT] = 0.0

    # Who takes part.

    def _my_row(self, now: float) -> int:
        """My row, which is anybody's after a minute without use."""
        numbers = self._numbers
        if self._id and numbers[self._row + c.ID] == self._id:
            return self._row
        for row in self._cells.rows:
            if not numbers[row + c.ID]:
                break
        else:
            row = min(self._cells.rows, key=lambda each: numbers[each + c.SEEN_AT])
            self._free(row, now)
        numbers[c.JOINED] += 1
        self._row, self._id = row, numbers[c.JOINED]
        for each, value in enumerate((self._id, self._pid, 0.0, now, 0.0, self._timeout_s, 0.0)):
            numbers[row + each] = value
        self._rates = [(rate, self._cells.rate(rate, now)) for rate, _ in self._rates]
        return row

    def _sweep(self, now: float) -> None:
        """Free the rows of the dead; what they had under way holds its places as if it had been answered now."""
        if now < self._swept_at + _SWEEP_S:
            return
        self._swept_at = now
        numbers = self._numbers
        for row in self._cells.rows:
            if not numbers[row + c.ID] or numbers[row + c.ID] == self._id:
                continue
            out = int(numbers[row + c.OUT])
            if not numbers[row + c.DEAD_AT] and not self._is_alive(int(numbers[row + c.PID])):
                numbers[row + c.DEAD_AT] = now
            dead_at, seen_at = numbers[row + c.DEAD_AT] or math.inf, numbers[row + c.SEEN_AT]
            arrived_at = dead_at + (_ARRIVES_S if out else 0.0)
            ended_at = seen_at + (numbers[row + c.TIMEOUT_S] + _ARRIVES_S if out else _IDLE_S)
            if now >= min(arrived_at, ended_at):
                self._free(row, now)

    def _free(self, row: int, now: float) -> None:
        numbers = self._numbers
        for _ in range(int(numbers[row + c.OUT])):
            self._cells.log(now, numbers[row + c.ID])
        numbers[row + c.OUT] = numbers[row + c.ID] = 0.0


def _is_alive(pid: int) -> bool:
    """Whether a process runs, as far as it can be told; one that is dead and not buried does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return b") Z" not in Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return True
