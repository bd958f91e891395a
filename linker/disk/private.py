"""Files that are linker's own, opened where they are named and nowhere else: for their owner alone.

In a folder that others can write to, somebody may have put a symbolic link in the place of a file that is about to be
made, or of a folder on the way to it: whoever writes through it writes where they want. So a path is walked name by
name, each from the folder before it, and a link is followed only where nobody else can have made it. What is walked is
what is opened: there is no time between the look and the opening.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

__all__ = ["make_folder", "open_private"]

_MOST_LINKS: Final = 40  # as Linux has it
_WALK: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PRIVATE: Final = 0o600


def open_private(path: Path, flags: int) -> int:
    """A descriptor of a file; one that is made is for its owner alone.

    Raises:
        OSError: it cannot be opened, or a symbolic link that others may have made is on the way; or it is there, and
            somebody else has put it where everybody can.
    """
    with _last_folder(path, to_the_end=not flags & os.O_EXCL) as (folder, name):
        fd = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, _PRIVATE, dir_fd=folder)
        if os.fstat(fd).st_uid not in (0, os.geteuid()) and os.fstat(folder).st_mode & stat.S_IWOTH:
            os.close(fd)
            raise PermissionError(errno.EPERM, "it is somebody else's, in a folder that everybody can write to")
        return fd


def make_folder(path: Path, mode: int = 0o777) -> None:
    """Make a folder, and those above it that are not there.

    Raises:
        OSError: it cannot be made, is no folder, or a symbolic link that others may have made is on the way.
    """
    with _last_folder(path, ".", mode=mode):
        pass


@contextmanager
def _last_folder(
    path: Path, *further: str, mode: int | None = None, to_the_end: bool = True
) -> Iterator[tuple[int, str]]:
    """The folder in which a path ends, and the name there: no link, or one that is not to be followed.

    Args:
        further: names below the path.
        mode: of folders that are made on the way; None makes none.
        to_the_end: follow the last name as well; where a file is to be new, a link is one that is there.
    """
    way = [*_names(path), *further]
    folder = os.open(path.anchor or ".", _WALK)
    links = 0
    try:
        while True:
            name = way.pop(0)
            if (way or to_the_end) and (target := _link(name, folder)) is not None:
                links += 1
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                way = [*_names(target), *way]
                if target.anchor:
                    folder = _replaced(folder, os.open(target.anchor, _WALK))
            elif not way:
                yield folder, name
                return
            else:
                folder = _replaced(folder, _step(name, folder, mode))
    finally:
        os.close(folder)


def _names(path: Path) -> list[str]:
    return [name for name in path.parts if name != path.anchor] or ["."]


def _link(name: str, folder: int) -> Path | None:
    """Where a link leads; None where the name is none. Raises `OSError` where it is not to be followed."""
    try:
        told = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISLNK(told.st_mode):
        return None
    if told.st_uid not in (0, os.geteuid()) or os.fstat(folder).st_mode & stat.S_IWOTH:
        message = f"{name!r} is a symbolic link that others may have made, and is not followed; name what it leads to"
        raise OSError(errno.ELOOP, message)
    return Path(os.readlink(name, dir_fd=folder))


def _step(name: str, folder: int, mode: int | None) -> int:
    """The folder of that name in another."""
    try:
        return os.open(name, _WALK, dir_fd=folder)
    except FileNotFoundError:
        if mode is None:
            raise
        with suppress(FileExistsError):  # somebody else has made it meanwhile
            os.mkdir(name, mode, dir_fd=folder)
        return os.open(name, _WALK, dir_fd=folder)


def _replaced(old: int, new: int) -> int:
    os.close(old)
    return new
