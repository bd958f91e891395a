"""Files that must not lose a line: one run at a time appends whole lines and knows when they are on disk.

All calls that a disk can refuse go through `Disk`, so that tests can make each of them fail.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, TypeAlias

import orjson

from linker.disk.private import open_private

Durability: TypeAlias = Literal["flush", "fsync"]
"""What a line survives once it is durable: `flush` the end of the process, `fsync` a loss of power."""


class Disk:
    """The operations on files that a run depends on."""

    def open(self, path: Path, flags: int) -> int:
        """Open a file and return its descriptor; a new file belongs to its owner alone."""
        return open_private(path, flags)

    def write(self, fd: int, data: memoryview) -> int:
        """Write data and return how many bytes were written."""
        return os.write(fd, data)

    def sync(self, fd: int) -> None:
        """Wait until what was written survives a loss of power."""
        os.fsync(fd)

    def truncate(self, fd: int, size: int) -> None:
        """Cut a file short."""
        os.ftruncate(fd, size)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file another name in its folder."""
        old.rename(new)

    def unlink(self, path: Path) -> None:
        """Remove a file, if it is there."""
        path.unlink(missing_ok=True)


DISK: Final = Disk()

_BLOCK: Final = 65_536


class Locked(Exception):
    """Another run has locked the file."""


def is_locked(path: Path) -> bool:
    """Whether a run is writing to the file now."""
    with path.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
    return False


class LineFile:
    """A file that grows by whole lines. It is locked against other runs until it is closed.

    Args:
        flags: flags of `open(2)` in addition to those for appending.

    Raises:
        Locked: another run has locked it.
        OSError: it cannot be opened, or is not a regular file.
    """

    def __init__(self, path: Path, disk: Disk, durability: Durability, flags: int = 0) -> None:
        self.path = path
        self._disk = disk
        self._sync = durability == "fsync"
        self._name = os.fspath(path)
        self._fd = disk.open(path, os.O_RDWR | os.O_APPEND | flags)
        try:
            self._lock()
            status = os.fstat(self._fd)
            if not stat.S_ISREG(status.st_mode):  # a pipe that nobody reads would block the run
                raise OSError(errno.EINVAL, "it is not a regular file")
            self.size, self._identity = status.st_size, (status.st_ino, status.st_dev)
            if self._sync and flags & os.O_CREAT:
                self._sync_folder()
        except BaseException:
            os.close(self._fd)
            raise
        self._broken: OSError | None = None
        self._synced = 0  # an earlier run may have left bytes that are not synced
        self._syncing = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<LineFile {self.path}, {self.size:,} bytes>"

    def _lock(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Locked from None
        except OSError:  # a file system without locks: other runs cannot be kept out
            return
        if not self._is_there():
            raise Locked  # the run that had it has just removed it

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._fd), os.stat(self._name))  # noqa: PTH116  a Path's costs as much again
        except OSError:
            return False

    def _sync_folder(self) -> None:
        """Make the file's name survive a loss of power, too."""
        folder = self._disk.open(self.path.parent, os.O_RDONLY)
        try:
            self._disk.sync(folder)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a file system that does not sync folders
                raise
        finally:
            os.close(folder)

    def close(self) -> None:
        """Close the file and release its lock."""
        with suppress(OSError):
            fcntl.flock(self._fd, fcntl.LOCK_UN)  # a thread of ours may still be in `sync` and keep the lock
        os.close(self._fd)

    def mend(self, begins: bytes) -> int:
        """Cut off a last line that a crash left incomplete, and return how many bytes that were.

        A last line that lacks only its line end gets one.

        Args:
            begins: how every line of such a file begins. Any other last line stays: the file may be somebody else's.
        """
        start, tail = self.size, b""
        while start and b"\n" not in tail:
            size = min(_BLOCK, start)
            start -= size
            tail = os.pread(self._fd, size, start) + tail
        last = tail[tail.rfind(b"\n") + 1 :]
        if not last or not (last.startswith(begins) or begins.startswith(last) or not last.strip(b"\0")):
            return 0
        try:
            orjson.loads(last)
        except orjson.JSONDecodeError:
            self.size -= len(last)
            self._disk.truncate(self._fd, self.size)
            return len(last)
        self.append(b"\n")
        return 0

    def append(self, data: bytes) -> None:
        """Append whole lines: they survive the end of the process.

        Raises:
            OSError: the disk refused (the file is cut back to whole lines), or somebody else removed or changed the
                file (nothing was written). Nothing can be appended after that.
        """
        if self._broken is not None:
            raise self._broken
        rest = memoryview(data)
        try:
            self._check()
            while rest:
                rest = rest[self._disk.write(self._fd, rest) :]
        except OSError as error:
            self._broken = error
            whole = data.rfind(b"\n", 0, len(data) - len(rest)) + 1
            if len(rest) < len(data):
                self._cut_back(self.size + whole)
            self.size += whole
            raise
        self.size += len(data)

    def _check(self) -> None:
        try:
            status = os.stat(self._name)  # noqa: PTH116  before each PUT: a Path's costs as much again
        except OSError:
            status = None
        if status is None or (status.st_ino, status.st_dev) != self._identity:
            raise OSError(0, "another program removed or replaced it during the run")
        if status.st_size != self.size:
            raise OSError(0, "another program wrote to it or cut it short during the run")

    def _cut_back(self, size: int) -> None:
        with suppress(OSError):  # else the next run to open it mends its last line
            self._disk.truncate(self._fd, size)

    def clear(self) -> None:
        """Begin anew. Raises `OSError` where it cannot."""
        self._disk.truncate(self._fd, 0)
        self.size = self._synced = 0

    async def sync(self) -> None:
        """Wait until what was appended is as durable as was asked; many who wait share one call of the disk's.

        Raises:
            OSError: the disk failed. It is unknown what it kept, so nothing can be appended after that.
        """
        mine = self.size
        if not self._sync or self._synced >= mine:
            return
        async with self._syncing:
            if self._synced < mine:
                written = self.size
                await asyncio.to_thread(self._sync_now, written)

    def sync_now(self) -> None:
        """The same where no loop runs any more."""
        if self._sync and self._synced < self.size:
            self._sync_now(self.size)

    def _sync_now(self, written: int) -> None:
        if self._broken is not None:
            raise self._broken
        try:
            self._disk.sync(self._fd)
        except OSError as error:
            self._broken = error
            raise
        self._synced = written
