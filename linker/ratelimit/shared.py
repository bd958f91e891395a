"""The numbers of a ledger, and where they are kept: in this process, or in a file that processes share.

They are all 64-bit floats in one flat array, so that the file is the array: a counter, a clock's seconds (monotonic,
one clock for all processes of a machine) or the index of a row. The rules are the ledger's; here is the layout.
"""

from __future__ import annotations

import errno
import fcntl
import math
import mmap
import os
import time
import weakref
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from linker.disk.private import make_folder, open_private
from linker.settings import Rate

__all__ = ["MOST_SHARED", "Cells", "Memory", "SharedFile"]

# the head
MARK, SENT, TAKEN, ANSWERED, PAUSED_UNTIL, TRIAL, TRIAL_PLACE, TRIAL_AT, JOINED = range(9)
_HEAD: Final = 9

# what the account said of one rate
REQUESTS, SECONDS, USED_AT, BUDGET, UNTIL, READ_AT, OTHERS_UNTIL, PROBED_AT = range(8)
_RATE: Final = 8
_RATES: Final = 8

# one process (rather, one quota) that takes part
ID, PID, OUT, SEEN_AT, WANTS_AT, TIMEOUT_S, DEAD_AT = range(7)
_ROW: Final = 7

_SHARED_ROWS: Final = 64
MOST_SHARED: Final = 4096
"""The most requests of a rate whose places a file holds."""

_MARK: Final = 1.0
_LOCK_TRIES: Final = 20
_OPEN_TRIES: Final = 100
_OPEN_PAUSE_S: Final = 0.01


class Cells:
    """The array with its parts by name.

    The log holds the latest answers, oldest first: when each came, and whose it was. It is never emptied, only
    written over.
    """

    __slots__ = ("_log", "_size", "numbers", "rows")

    def __init__(self, numbers: array[float] | memoryview[float], rows: int) -> None:
        self.numbers = numbers
        first = _HEAD + _RATES * _RATE
        self._log = first + rows * _ROW
        self.rows = range(first, self._log, _ROW)
        self._size = (len(numbers) - self._log) // 2

    @staticmethod
    def length(rows: int, log: int) -> int:
        """How many numbers there are with so many rows and so long a log."""
        return _HEAD + _RATES * _RATE + rows * _ROW + 2 * log

    def under_way(self) -> int:
        """Requests of all rows: summed up, so that no process that is killed while it writes leaves it wrong."""
        return int(sum(self.numbers[self.rows.start + OUT : self._log : _ROW]))

    def rate(self, rate: Rate, now: float) -> int:
        """Where the numbers of a rate are; the one that was used longest ago makes way for a new one."""
        numbers = self.numbers
        places = range(_HEAD, _HEAD + _RATES * _RATE, _RATE)
        for permit in places:
            if numbers[permit + REQUESTS] == rate.requests and numbers[permit + SECONDS] == rate.seconds:
                break
        else:
            permit = min(places, key=lambda each: (numbers[each + REQUESTS] > 0, numbers[each + USED_AT]))
            for each, value in enumerate((rate.requests, rate.seconds, now, -1.0, 0.0, 0.0, 0.0, 0.0)):
                numbers[permit + each] = value
        numbers[permit + USED_AT] = now
        return permit

    def log(self, at: float, owner: float) -> None:
        """An answer came. Times never go back: clocks of loops lag behind one another by a little."""
        numbers, end = self.numbers, int(self.numbers[ANSWERED])
        if end:
            at = max(at, numbers[self._log + 2 * ((end - 1) % self._size)])
        permit = self._log + 2 * (end % self._size)
        numbers[permit] = at
        numbers[permit + 1] = owner
        numbers[ANSWERED] = end + 1

    def latest(self, number: int) -> float:
        """When the `number`-th latest answer came (from 1); minus infinity where there were not as many."""
        end = int(self.numbers[ANSWERED])
        if number > min(end, self._size):
            return -math.inf
        return self.numbers[self._log + 2 * ((end - number) % self._size)]

    def answers_since(self, at: float) -> int:
        """How many answers came after a moment, as far as the log goes back."""
        return int(self.numbers[ANSWERED]) - self._first_since(at)

    def owners_since(self, at: float) -> Iterator[float]:
        """Whose they were."""
        for index in range(self._first_since(at), int(self.numbers[ANSWERED])):
            yield self.numbers[self._log + 2 * (index % self._size) + 1]

    def _first_since(self, at: float) -> int:
        end = int(self.numbers[ANSWERED])
        kept = range(max(0, end - self._size), end)
        time_of = self.numbers.__getitem__
        return kept.start + bisect_right(kept, at, key=lambda index: time_of(self._log + 2 * (index % self._size)))


class Store(Protocol):
    """Where cells are kept, and the lock on them."""

    cells: Cells

    def lock(self) -> bool:
        """Take the lock; False where another process has it just now."""

    def unlock(self) -> None:
        """Let it go."""


class Memory:
    """Cells of one process: nobody else is there."""

    def __init__(self, log: int) -> None:
        self.cells = Cells(array("d", bytes(8 * Cells.length(1, log))), 1)

    def lock(self) -> bool:
        """It is ours already."""
        return True

    def unlock(self) -> None:
        """Nothing to do."""


class SharedFile:
    """Cells in a file, which all linkers on an account map into their memory.

    Raises:
        OSError: the file cannot be made, mapped or locked.
    """

    def __init__(self, path: Path) -> None:
        make_folder(path.parent, 0o700)
        self._file = open_private(path, os.O_RDWR | os.O_CREAT)
        weakref.finalize(self, os.close, self._file)
        if os.fstat(self._file).st_uid not in (os.geteuid(), 0):  # whose it is could cut it short under the mapping
            raise PermissionError(errno.EPERM, "it is somebody else's")
        size = 8 * Cells.length(_SHARED_ROWS, MOST_SHARED)
        for _ in range(_OPEN_TRIES):
            if self.lock():
                break
            time.sleep(_OPEN_PAUSE_S)
        else:
            raise BlockingIOError(errno.EAGAIN, "another process holds its lock")
        try:
            if os.fstat(self._file).st_size != size:
                self._clear(size)
            self._map = mmap.mmap(self._file, size)
            self.cells = Cells(memoryview(self._map).cast("d"), _SHARED_ROWS)
            if not self._is_sound(time.monotonic()):
                self._clear(size)
            self.cells.numbers[MARK] = _MARK
        finally:
            self.unlock()

    def lock(self) -> bool:
        """Take the lock, which others hold for some microseconds. Never wait: a process may be stopped with it."""
        for _ in range(_LOCK_TRIES):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            return True
        return False

    def unlock(self) -> None:
        """Let it go."""
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def _clear(self, size: int) -> None:
        # written and not just made longer: a full disk must be an error here, not a SIGBUS in the mapping
        done = 0
        while done < size:
            done += os.pwrite(self._file, bytes(size - done), done)
        os.ftruncate(self._file, size)

    def _is_sound(self, now: float) -> bool:
        """Whether the file is ours and of this boot: the clock starts anew at each."""
        numbers = self.cells.numbers
        if numbers[MARK] not in (0.0, _MARK):
            return False
        return all(map(math.isfinite, memoryview(self._map).cast("d"))) and self.cells.latest(1) <= now + 1
