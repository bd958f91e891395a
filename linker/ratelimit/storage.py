"""Where a ledger's numbers are kept: in this process, or in a file that processes share."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from linker import log
from linker.disk.private import make_folder, open_private
from linker.ratelimit.layout import MARK, VERSION, Head, LedgerState, checksum, is_orderly

MOST_SHARED: Final = 4096
"""The most requests of a rate that a file has room for."""

_PARTICIPANTS: Final = 32
"""With them, all but the log fits in one page of 4,096 bytes: a process that is killed writes all of it or nothing."""

_SIZE: Final = LedgerState.size(_PARTICIPANTS, MOST_SHARED)
_ENTRY: Final = 16
"""Bytes of an entry of the log."""

_LOCK_TRIES: Final = 20
_OPEN_TRIES: Final = 100
_OPEN_PAUSE_S: Final = 0.01
_LOOK_S: Final = 0.25
"""How often to look whether the file still has its name."""

_STUCK_S: Final = 5.0
"""A lock that others have for longer than that will not be released: it is held for some microseconds."""

ADVICE: Final = "this run counts only its own requests; leave room for other runs with --share"


_LATELY_S: Final = 120.0
"""How old the file of another machine may be at most to speak of a run there now."""


def state_file(folder: Path, account: str, boot: str) -> Path:
    """Return the file that the linkers of one boot share for an account's URL. Its name tells neither."""
    return folder / f"quota-{VERSION}-{_hash(account)}-{_hash(boot)}"


def is_used_elsewhere(path: Path) -> bool:
    """Whether linkers of another boot, so most likely of another machine, have lately used the account, too."""
    others = path.parent.glob(f"{path.name.rpartition('-')[0]}-*")
    with suppress(OSError):
        return any(other != path and abs(time.time() - other.stat().st_mtime) < _LATELY_S for other in others)
    return False


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Storage(Protocol):
    """A ledger's state, and the lock on it."""

    state: LedgerState

    def lock(self) -> bool:
        """Take the lock and bring the state up to date; False if another process holds the lock."""

    def unlock(self) -> None:
        """Let others see the state, and release the lock."""


class Memory:
    """State of one process alone. `log` is how many ended requests it remembers."""

    def __init__(self, log: int) -> None:
        self.state = LedgerState(bytearray(LedgerState.size(1, log)), 1)
        self.state.detach()

    def lock(self) -> bool:
        """Return True: there is nobody else."""
        return True

    def unlock(self) -> None:
        """Do nothing."""


class _Unusable(Exception):
    """The file can no longer be shared; the message says why."""


class SharedFile:
    """State in a file that all linkers on an account share. Each has a copy, which is up to date under the lock.

    If anything is wrong with the file later, it is logged once, and this process goes on with its copy alone.

    Args:
        clock: monotonic seconds, the same for all who share the file.
        longest_wait_s: cut a pause that the file asks for to so many seconds.

    Raises:
        OSError: the file cannot be made, read or locked, or it is of a later version of linker.
    """

    def __init__(
        self, path: Path, *, clock: Callable[[], float] = time.monotonic, longest_wait_s: float = 86_400.0
    ) -> None:
        self.state = LedgerState(bytearray(_SIZE), _PARTICIPANTS)
        self._path = path
        self._clock = clock
        self._loaded = b""
        """The front as it is in the file, as far as this process knows."""
        self._logged = 0
        """How many requests had ended then."""
        self._busy_since: float | None = None
        self._is_shared = True
        make_folder(path.parent, 0o700)
        self._file = open_private(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK)
        self._close = weakref.finalize(self, os.close, self._file)
        status = os.fstat(self._file)
        self._identity = (status.st_dev, status.st_ino)
        self._look_at = clock() + _LOOK_S
        if status.st_uid not in (os.geteuid(), 0):  # its owner could write waits into it that never end
            raise PermissionError(errno.EPERM, "it belongs to another user")
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        for _ in range(_OPEN_TRIES):
            if self._try_lock():
                break
            time.sleep(_OPEN_PAUSE_S)
        else:
            raise BlockingIOError(errno.EAGAIN, "another process holds its lock")
        try:
            self._open(longest_wait_s)
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def lock(self) -> bool:
        """Take the lock, which others hold for some microseconds. Never wait: a process may be stopped with it."""
        if not self._is_shared:
            return True
        try:
            if not self._try_lock():
                self._check_lock()
                return False
            self._busy_since = None
            self._load()
        except (OSError, _Unusable) as error:
            self._leave(error)
        return True

    def unlock(self) -> None:
        """Write what has changed, and release the lock."""
        if not self._is_shared:
            return
        try:
            self._store()
            fcntl.flock(self._file, fcntl.LOCK_UN)
        except (OSError, _Unusable) as error:
            self._leave(error)

    def _try_lock(self) -> bool:
        for _ in range(_LOCK_TRIES):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            return True
        return False

    def _check_lock(self) -> None:
        """Raise `_Unusable` if others have had the lock for too long."""
        now = self._clock()
        if self._busy_since is None:
            self._busy_since = now
        elif now > self._busy_since + _STUCK_S:
            raise _Unusable(f"another process has held its lock for {_STUCK_S:g} s")

    def _open(self, longest_wait_s: float) -> None:
        """Read the whole file, and begin it anew if it is new or holds nothing that linkers of this boot wrote."""
        now, head = self._clock(), self.state.head
        content = os.pread(self._file, _SIZE, 0)
        size = os.fstat(self._file).st_size
        why: str | None = f"it is {size:,} bytes long, not {_SIZE:,}"
        if size == len(content) == _SIZE:
            self.state.numbers.cast("B")[:] = content
            if head.mark == MARK and head.version > VERSION:
                raise OSError(errno.EPROTONOSUPPORT, "a later version of linker wrote it")
            why = "its content is damaged"
            if head.mark == MARK and head.version == VERSION and head.checksum == checksum(self.state.front):
                why = self.state.why_unsound(now)
        self.state.refresh()
        if why is not None:
            if size:
                log.get_logger().warning(log.QUOTA_ANEW, file=str(self._path), why=why)
            self._begin()
            return
        self._loaded, self._logged = bytes(self.state.front), int(head.answered)
        if head.paused_until > now + longest_wait_s:
            log.get_logger().warning(
                log.PAUSE_CUT, file=str(self._path), asked_s=round(head.paused_until - now), waits_s=longest_wait_s
            )
            head.paused_until = now + longest_wait_s
            self._store()

    def _begin(self) -> None:
        """Write the file anew, whole: a full disk is an error here and not later."""
        state = self.state
        state.numbers.cast("B")[:] = bytes(_SIZE)
        state.refresh()
        state.head.mark, state.head.version = MARK, VERSION
        state.head.begun = float(int.from_bytes(os.urandom(6)))
        state.head.checksum = checksum(state.front)
        try:
            self._write(bytes(state.numbers), 0)
            os.ftruncate(self._file, _SIZE)
        except OSError:
            os.ftruncate(self._file, 0)  # half a file would be told of as a damaged one
            raise
        self._loaded, self._logged = bytes(state.front), 0

    def _load(self) -> None:
        """Bring the copy up to date. Raises `_Unusable`, and leaves the copy as it was, if the file is not sound."""
        state, now = self.state, self._clock()
        if now >= self._look_at:
            self._look_at = now + _LOOK_S
            self._check_name()
        front = os.pread(self._file, len(state.front), 0)
        if front == self._loaded:
            return
        if len(front) < len(state.front):
            raise _Unusable("it was cut short")
        head = Head.from_buffer_copy(front)
        if head.checksum != checksum(front) or (head.mark, head.version) != (MARK, VERSION):
            raise _Unusable("its content was damaged")
        if head.begun != state.head.begun or head.answered < self._logged:
            raise _Unusable("another linker has started it over")
        after = state.ended_at(1) if self._logged else 0.0
        entries = [(at, self._read(len(place), at)) for at, place in self._places(self._logged, int(head.answered))]
        if not is_orderly(b"".join(read for _, read in entries)[-len(state.entries) :], after, now):
            raise _Unusable("its content was damaged")
        for at, read in entries:
            start = at - len(state.front)
            state.entries[start : start + len(read)] = read
        state.front[:] = front
        state.refresh()
        self._loaded, self._logged = front, int(head.answered)

    def _store(self) -> None:
        """Write the log first, since the front says how much of it counts."""
        state, ended = self.state, int(self.state.head.answered)
        if ended != self._logged:
            for at, entries in self._places(self._logged, ended):
                self._write(entries, at)
        state.head.checksum = checksum(state.front)
        self._write(front := bytes(state.front), 0)
        self._loaded, self._logged = front, ended

    def _places(self, first: int, end: int) -> Iterator[tuple[int, memoryview]]:
        """Where in the file, and in the copy, the entries of these requests are: one place, or two around the end."""
        state = self.state
        first = max(first, end - MOST_SHARED)
        while first < end:
            index = first % MOST_SHARED
            number = min(end - first, MOST_SHARED - index)
            start = index * _ENTRY
            yield len(state.front) + start, state.entries[start : start + number * _ENTRY]
            first += number

    def _read(self, size: int, at: int) -> bytes:
        read = os.pread(self._file, size, at)
        if len(read) < size:
            raise _Unusable("it was cut short")
        return read

    def _write(self, content: bytes | memoryview, at: int) -> None:
        done = os.pwrite(self._file, content, at)
        while done < len(content):
            done += os.pwrite(self._file, content[done:], at + done)

    def _check_name(self) -> None:
        """Raise `_Unusable` if those who open the file now get another one, or none, or begin it anew."""
        try:
            status = self._path.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise _Unusable("it was deleted") from None
        except OSError:
            return  # who cannot look into the folder opens no other file there
        if (status.st_dev, status.st_ino) != self._identity:
            raise _Unusable("it was replaced")
        if status.st_size != _SIZE:
            raise _Unusable("it was cut short" if status.st_size < _SIZE else "its content was damaged")

    def _leave(self, error: OSError | _Unusable) -> None:
        """Go on alone, with the last copy: it has all requests that are known, also those of others."""
        self._is_shared = False
        self._close()  # and so releases the lock
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        log.get_logger().warning(log.NOT_SHARED, file=str(self._path), why=why, advice=ADVICE)
