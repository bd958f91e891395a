"""Where a ledger's numbers are kept: in this process, or in a file that processes share."""

from __future__ import annotations

import errno
import fcntl
import math
import mmap
import os
import time
import weakref
from pathlib import Path
from typing import Final, Protocol

from linker.disk.private import make_folder, open_private
from linker.ratelimit.layout import LedgerState

_PARTICIPANTS: Final = 64
MOST_SHARED: Final = 4096
"""The most requests of a rate that a file has room for."""

_MARK: Final = 1.0
_LOCK_TRIES: Final = 20
_OPEN_TRIES: Final = 100
_OPEN_PAUSE_S: Final = 0.01


class Storage(Protocol):
    """A ledger's state, and the lock on it."""

    state: LedgerState

    def lock(self) -> bool:
        """Take the lock; False if another process holds it."""

    def unlock(self) -> None:
        """Release the lock."""


class Memory:
    """State of one process alone. `log` is how many ended requests it remembers."""

    def __init__(self, log: int) -> None:
        self.state = LedgerState(bytearray(LedgerState.size(1, log)), 1)

    def lock(self) -> bool:
        """Return True: there is nobody else."""
        return True

    def unlock(self) -> None:
        """Do nothing."""


class SharedFile:
    """State in a file, which all linkers on an account map into their memory.

    Raises:
        OSError: the file cannot be made, mapped or locked.
    """

    def __init__(self, path: Path) -> None:
        make_folder(path.parent, 0o700)
        self._file = open_private(path, os.O_RDWR | os.O_CREAT)
        weakref.finalize(self, os.close, self._file)
        if os.fstat(self._file).st_uid not in (os.geteuid(), 0):  # its owner could cut it short under the mapping
            raise PermissionError(errno.EPERM, "it is somebody else's")
        size = LedgerState.size(_PARTICIPANTS, MOST_SHARED)
        for _ in range(_OPEN_TRIES):
            if self.lock():
                break
            time.sleep(_OPEN_PAUSE_S)
        else:
            raise BlockingIOError(errno.EAGAIN, "another process holds its lock")
        try:
            if os.fstat(self._file).st_size != size:
                self._clear(size)
            self.state = LedgerState(mmap.mmap(self._file, size), _PARTICIPANTS)
            if not self._is_sound(time.monotonic()):
                self._clear(size)
            self.state.head.mark = _MARK
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
        """Release the lock."""
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def _clear(self, size: int) -> None:
        # written and not just made longer: a full disk must be an error here, not a SIGBUS in the mapping
        done = 0
        while done < size:
            done += os.pwrite(self._file, bytes(size - done), done)
        os.ftruncate(self._file, size)

    def _is_sound(self, now: float) -> bool:
        """Whether the file has our mark and is from this boot: the clock starts anew at each."""
        state = self.state
        if state.head.mark not in (0.0, _MARK):
            return False
        return all(map(math.isfinite, state.numbers)) and state.ended_at(1) <= now + 1
