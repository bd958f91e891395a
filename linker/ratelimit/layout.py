"""The numbers of a permit ledger, by name.

All are 64-bit floats in one flat buffer, which a file can hold a copy of (see `storage.py`): counters, ids, and times
in seconds (of the monotonic clock, which is one for all processes of a boot). The structures below are views of that
buffer. Their order is the layout of the file: a change to it needs a new `VERSION`.
"""

from __future__ import annotations

import ctypes
import math
import zlib
from bisect import bisect_right
from itertools import pairwise
from typing import Final, TypeVar, cast

from linker.settings import Rate

S = TypeVar("S", bound=type[ctypes.Structure])
V = TypeVar("V", bound=ctypes.Structure)

VERSION: Final = 2
"""Version of the layout; it is part of the file's name, too."""

MARK: Final = float(int.from_bytes(b"linker"))
"""What a file of ours begins with, after the checksum."""

_RATES: Final = 8
"""How many rates a buffer has a report of."""

_CLOCKS_S: Final = 1.0
"""What happened is at most so far in the future: processes read the clock before they write."""

_LONGEST_WAIT_S: Final = 86_400.0
"""Nothing waits for a moment that is further away than that, or than twice the longest rate in use."""


def _doubles(structure: S) -> S:
    """Give the structure one 64-bit float for each annotation, in order."""
    structure._fields_ = [(name, ctypes.c_double) for name in structure.__annotations__]
    return structure


@_doubles
class Head(ctypes.Structure):
    """What counts for the account as a whole."""

    checksum: float
    """CRC-32 of the front: of all that follows, up to the log."""
    mark: float
    """`MARK` if the buffer is in use."""
    version: float
    begun: float
    """A random number that tells this file from one that was begun anew in its place."""
    sent: float
    """Requests that were sent. Permits that were given back do not count."""
    taken: float
    """Permits that were taken: the number of the latest one."""
    answered: float
    """Requests that ended: the number of entries that were ever written to the log."""
    paused_until: float
    """0 if there was no pause yet."""
    trial: float
    """1 from a pause until a request that was sent after it is answered."""
    trial_permit: float
    """Number of the permit that tries whether the pause is over; 0 if there is none."""
    trial_at: float
    """When that permit was taken."""
    joined: float
    """Participants that ever joined: the id of the latest one."""


@_doubles
class RateReport(ctypes.Structure):
    """What the account reports about one rate."""

    requests: float
    seconds: float
    used_at: float
    budget: float
    """No request leaves once `Head.sent` has reached this; -1 if there is no such limit."""
    until: float
    """When the budget ends: the account's Reset."""
    read_at: float
    """When the permit was taken whose answer was the last to be read."""
    others_until: float
    """Until then, other programs are assumed to use the account."""
    probed_at: float
    """When a request was let through because the Reset had passed; 0 if its answer was read."""


@_doubles
class Participant(ctypes.Structure):
    """One limiter that shares the buffer. A process may have several."""

    id: float
    """0 if nobody uses this entry."""
    pid: float
    under_way: float
    """Permits that it has taken and not returned."""
    seen_at: float
    wants_at: float
    """When it last asked for a permit in vain; 0 since it got one."""
    timeout_s: float
    dead_at: float
    """When its process was found dead; 0 if it was not."""
    pid_space: float
    """The namespace of its process id; 0 if the system has none. In others, the id is another process's."""


_HEAD: Final = ctypes.sizeof(Head) // 8
_REPORT: Final = ctypes.sizeof(RateReport) // 8
_PARTICIPANT: Final = ctypes.sizeof(Participant) // 8
_CHECKSUM: Final = 8  # bytes


class LedgerState:
    """A buffer with its parts by name: the head, the reports, the participants, and the log of ended requests.

    The log holds when each request ended and whose it was, oldest first. It is never emptied; new entries overwrite the
    oldest ones.
    """

    __slots__ = ("_owners", "_reports", "_times", "entries", "front", "head", "in_use", "numbers", "participants")

    def __init__(self, buffer: bytearray, participants: int) -> None:
        self.numbers = memoryview(buffer).cast("d")
        first = _HEAD + _RATES * _REPORT
        log = first + participants * _PARTICIPANT
        self.head = Head.from_buffer(buffer)
        self._reports = [RateReport.from_buffer(buffer, 8 * at) for at in range(_HEAD, first, _REPORT)]
        self.participants = [Participant.from_buffer(buffer, 8 * at) for at in range(first, log, _PARTICIPANT)]
        self._times, self._owners = self.numbers[log::2], self.numbers[log + 1 :: 2]
        self.front = memoryview(buffer)[: 8 * log]
        """The bytes of all but the log."""
        self.entries = memoryview(buffer)[8 * log :]
        """The bytes of the log."""
        self.in_use: list[Participant] = []
        """The entries of `participants` that somebody uses. Call `refresh` after writing to the bytes."""
        self.refresh()

    def detach(self) -> None:
        """Keep all numbers but the log outside of the buffer, which nobody else sees: a view costs far more."""
        self.head = _detached(self.head)
        self._reports = [_detached(report) for report in self._reports]
        self.participants = [_detached(participant) for participant in self.participants]
        self.refresh()

    @staticmethod
    def size(participants: int, log: int) -> int:
        """Bytes of a buffer for so many participants and log entries."""
        return 8 * (_HEAD + _RATES * _REPORT + participants * _PARTICIPANT + 2 * log)

    def refresh(self) -> None:
        """Find the entries in use. Most of them are free, and a look at each costs as much as a permit."""
        self.in_use[:] = [entry for entry in self.participants if entry.id]

    def under_way(self) -> int:
        """Requests under way of all participants. A stored total would stay wrong if a process died while writing."""
        if len(self.in_use) == 1:
            return int(self.in_use[0].under_way)
        under_way = 0.0
        for entry in self.in_use:
            under_way += entry.under_way
        return int(under_way)

    def report(self, rate: Rate, now: float) -> RateReport:
        """The report of a rate. A new rate replaces the one that was used longest ago."""
        for report in self._reports:
            if report.requests == rate.requests and report.seconds == rate.seconds:
                break
        else:
            report = min(self._reports, key=lambda report: (report.requests > 0, report.used_at))
            report.requests, report.seconds, report.budget = rate.requests, rate.seconds, -1.0
            report.until = report.read_at = report.others_until = report.probed_at = 0.0
        report.used_at = now
        return report

    def log(self, at: float, owner: float) -> None:
        """Write down that a request of a participant ended. Times never go back: the loops' clocks differ a little."""
        times, end = self._times, int(self.head.answered)
        index = end % len(times)
        times[index] = max(at, times[index - 1]) if end else at
        self._owners[index] = owner
        self.head.answered = end + 1

    def ended_at(self, number: int) -> float:
        """When the `number`-th latest request ended (from 1); minus infinity if there were fewer."""
        times, end = self._times, int(self.head.answered)
        return times[(end - number) % len(times)] if number <= end and number <= len(times) else -math.inf

    def owner_of(self, number: int) -> float:
        """The participant whose request was the `number`-th latest to end; it must be in the log."""
        return self._owners[(int(self.head.answered) - number) % len(self._owners)]

    def ended_since(self, at: float) -> int:
        """How many requests ended after a moment, as far as the log goes back."""
        return int(self.head.answered) - self._first_since(at)

    def owners_since(self, at: float) -> list[float]:
        """The participants whose requests ended after a moment, one entry for each request."""
        owners = self._owners
        return [owners[index % len(owners)] for index in range(self._first_since(at), int(self.head.answered))]

    def _first_since(self, at: float) -> int:
        times, end = self._times, int(self.head.answered)
        kept = range(max(0, end - len(times)), end)
        return kept.start + bisect_right(kept, at, key=lambda index: times[index % len(times)])

    def why_unsound(self, now: float) -> str | None:
        """Why these numbers cannot be those of linkers of this boot; None if they can.

        Whoever believed a time that is still to come, or a number that is none, could wait for ever.
        """
        head, longest_s = self.head, max(_LONGEST_WAIT_S, *(2 * report.seconds for report in self._reports))
        if not all(map(math.isfinite, self.numbers)) or min(self.numbers) < -1:
            return "its content is damaged"
        happened = [head.trial_at, *self._times]
        waited_for = [head.paused_until]
        for report in self._reports:
            happened += (report.used_at, report.read_at, report.probed_at)
            waited_for += (report.until, report.others_until)
        for participant in self.participants:
            happened += (participant.seen_at, participant.wants_at, participant.dead_at)
        if max(happened) > now + _CLOCKS_S or max(waited_for) > now + longest_s:
            return "it contains times of another clock"
        newest = range(min(int(head.answered), len(self._times) // 2), 0, -1)  # some of the oldest may be half written
        times = [0.0, *map(self.ended_at, newest)]
        if any(later <= 0 or later < earlier for earlier, later in pairwise(times)):
            return "its content is damaged"
        return None


class _Detached:
    """A structure's numbers, of their own."""


def _detached(structure: V) -> V:
    detached = _Detached()
    for name in type(structure).__annotations__:
        setattr(detached, name, getattr(structure, name))
    return cast("V", detached)


def checksum(front: bytes | memoryview) -> float:
    """Return the checksum that belongs into a front."""
    return float(zlib.crc32(front[_CHECKSUM:]))


def is_orderly(entries: bytes, after: float, now: float) -> bool:
    """Whether these bytes of the log hold times that follow one another, from `after` to now."""
    numbers = memoryview(entries).cast("d")
    times = [after, *numbers[::2], now + _CLOCKS_S]
    return all(map(math.isfinite, numbers)) and all(earlier <= later for earlier, later in pairwise(times))
