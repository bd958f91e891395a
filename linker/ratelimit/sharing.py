"""How linkers share a ledger: who takes part, what happens to the permits of the dead, and who goes first.

Each participant may hold its part of the longest rate's permits, and more if no other wants them. The permits of a dead
process are free again W seconds after it is missed, at the latest `timeout_s` + W seconds after its last request.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from linker.ratelimit.layout import LedgerState, Participant
from linker.ratelimit.permit import UsedBy
from linker.settings import Rate

_WANTS_S: Final = 0.25
"""How long the others hold back for a participant that asked for a permit in vain."""

_TAKES_PART_S: Final = 1.0
"""How long a participant counts among those that share the permits after it last asked for one."""

_SWEEP_S: Final = 0.25
_ARRIVES_S: Final = 1.0
"""What was sent before a process died has arrived after so long."""

_IDLE_S: Final = 60.0
"""Anybody may take the entry of a participant that was idle for so long."""


class Sharing:
    """One participant among those that share a ledger's state. It joins at its first permit, and again if swept away.

    Args:
        timeout_s: how many seconds one request can be under way at most.
        is_alive: tells whether a process with an id still runs; asked only about ids of this process's own namespace.
    """

    def __init__(
        self,
        state: LedgerState,
        rates: Sequence[Rate],
        timeout_s: float,
        pid: int,
        is_alive: Callable[[int], bool],
    ) -> None:
        self._state = state
        self._longest = max(rates, key=lambda rate: (rate.seconds, -rate.requests), default=None)
        self._timeout_s = timeout_s
        self._pid = pid
        self._pid_space = _pid_space()
        self._is_alive = is_alive
        self._id = -1.0  # nobody's
        self._swept_at = -math.inf
        self.me = state.participants[0]
        """This participant's entry, once it has joined."""

    def has_joined(self) -> bool:
        """Whether this participant's entry is still its own."""
        return self.me.id == self._id

    def join(self, now: float) -> None:
        """Take a free entry, or the one whose participant was idle for the longest time."""
        me = min(self._state.participants, key=lambda entry: (entry.id > 0, entry.seen_at))
        if me.id:
            self._free(me, now)
        self._state.head.joined += 1
        self.me, self._id = me, self._state.head.joined
        me.id, me.pid, me.timeout_s, me.seen_at = self._id, self._pid, self._timeout_s, now
        me.under_way = me.wants_at = me.dead_at = 0.0
        me.pid_space = self._pid_space
        self._state.refresh()

    def sweep(self, now: float) -> None:
        """Free the entries of the dead. What they had under way counts until the last moment at which it can arrive."""
        if now < self._swept_at + _SWEEP_S:
            return
        self._swept_at = now
        for other in self._others():
            is_known = other.pid_space == self._pid_space  # containers may share the file, and not their process ids
            if is_known and not other.dead_at and not self._is_alive(int(other.pid)):
                other.dead_at = now
            dead_at = other.dead_at or math.inf
            if other.under_way:
                gone_at = min(dead_at + _ARRIVES_S, other.seen_at + other.timeout_s + _ARRIVES_S)
            else:
                gone_at = min(dead_at, other.seen_at + _IDLE_S)
            if now >= gone_at:
                self._free(other, gone_at)

    def is_fair(self, now: float) -> bool:
        """Whether this participant may take a permit that others want: who has less than its part goes first."""
        longest = self._longest
        if longest is None:
            return True
        others = self._others()
        wanting = [other for other in others if other.wants_at > now - _WANTS_S]
        if not wanting:
            return True
        part = longest.requests / (1 + sum(other.seen_at > now - _TAKES_PART_S for other in others))
        owners = self._state.owners_since(now - longest.seconds)

        def permits(participant: Participant) -> float:
            return owners.count(participant.id) + participant.under_way

        return permits(self.me) < part or all(permits(other) >= math.floor(part) for other in wanting)

    def used_by(self, id: float, now: float) -> UsedBy:
        """Who the participant with an id is, or was."""
        if id == self._id:
            return UsedBy.THIS_RUN
        other = next((other for other in self._others() if other.id == id), None)
        takes_part = other is not None and (other.under_way > 0 or other.seen_at > now - _TAKES_PART_S)
        return UsedBy.OTHER_RUNS if takes_part else UsedBy.EARLIER_RUN

    def _others(self) -> list[Participant]:
        return [entry for entry in self._state.in_use if entry.id != self._id]

    def _free(self, participant: Participant, ended_at: float) -> None:
        for _ in range(int(participant.under_way)):
            self._state.log(ended_at, participant.id)
        participant.under_way = participant.id = 0.0
        self._state.refresh()


def is_alive(pid: int) -> bool:
    """Whether a process runs, as far as the system tells. A zombie does not."""
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


def _pid_space() -> float:
    """Return the number of this process's namespace of process ids; 0 if the system has none."""
    try:
        return float(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return 0.0
