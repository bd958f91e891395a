"""Opens linker's own files: readable by their owner alone, and never through somebody else's symbolic link.

In a folder that others can write to, somebody may have put a symbolic link in place of a file that is about to be
created, or of a folder above it, so that linker would write where they want. So a path is opened name by name, each
from the folder before it, and a link is followed only if nobody else can have made it. Because each name is opened as
it is checked, nobody can swap it in between.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_MOST_LINKS: Final = 40  # as Linux has it
_WALK: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PRIVATE: Final = 0o600


def open_private(path: Path, flags: int) -> int:
    """Open a file and return its descriptor; a new file belongs to its owner alone.

    Args:
        flags: flags of `open(2)`.

    Raises:
        OSError: it cannot be opened, the path has a symbolic link that others may have made, or the file belongs to
            somebody else and lies in a folder that everybody can write to.
    """
    with _last_folder(path, to_the_end=not flags & os.O_EXCL) as (folder, name):
        fd = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, _PRIVATE, dir_fd=folder)
        if os.fstat(fd).st_uid not in (0, os.geteuid()) and os.fstat(folder).st_mode & stat.S_IWOTH:
            os.close(fd)
            raise PermissionError(errno.EPERM, "it belongs to another user, in a folder that everybody can write to")
        return fd


def make_folder(path: Path, mode: int = 0o777) -> None:
    """Create a folder, and the missing folders above it.

    Raises:
        OSError: it cannot be created, is not a folder, or the path has a symbolic link that others may have made.
    """
    with _last_folder(path, ".", mode=mode):
        pass


@contextmanager
def _last_folder(
    path: Path, *further: str, mode: int | None = None, to_the_end: bool = True
) -> Iterator[tuple[int, str]]:
    """The folder that a path ends in, opened, and the last name: not a link, or one that must not be followed.

    Args:
        further: names below the path.
        mode: permissions of missing folders, which are created; None if none are to be created.
        to_the_end: follow a link in the last name, too. False for a file that must be new: a link is in its place.
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
    """Where a link leads; None if the name is not a link. Raises `OSError` if it must not be followed."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISLNK(status.st_mode):
        return None
    if status.st_uid not in (0, os.geteuid()) or os.fstat(folder).st_mode & stat.S_IWOTH:
        message = (
            f"{name!r} is a symbolic link that another user may have made, so linker does not follow it; give the path "
            "that it leads to"
        )
        raise OSError(errno.ELOOP, message)
    return Path(os.readlink(name, dir_fd=folder))


def _step(name: str, folder: int, mode: int | None) -> int:
    """Open the folder of that name in another folder; with `mode`, create it if it is missing."""
    try:
        return os.open(name, _WALK, dir_fd=folder)
    except FileNotFoundError:
        if mode is None:
            raise
        with suppress(FileExistsError):  # somebody else has created it meanwhile
            os.mkdir(name, mode, dir_fd=folder)
        return os.open(name, _WALK, dir_fd=folder)


def _replaced(old: int, new: int) -> int:
    os.close(old)
    return new
