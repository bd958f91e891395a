"""Which boot of which machine this process runs in, and the clock that all processes of that boot share.

A monotonic clock starts anew at each boot, so its times mean something to the processes of one boot alone. A home
directory may be on a network and belong to several machines.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_OFFSETS: Final = Path("/proc/self/timens_offsets")
_NAMESPACES: Final = Path("/proc/self/ns")


class Boot(NamedTuple):
    """A boot of a machine. Containers on one machine have one boot, since they share its clock."""

    name: str
    """Text that no other boot has; the host name if the system has no id for its boots."""
    clock: Callable[[], float]
    """Monotonic seconds, the same for all processes of the boot."""


def this_boot() -> Boot:
    """Return the boot that this process runs in."""
    try:
        name = _BOOT_ID.read_text().strip()
    except OSError:
        name = socket.gethostname()
    try:
        offset_s = _offset_s()
    except (OSError, ValueError):  # who cannot tell its offset shares with those in the same time namespace alone
        return Boot(f"{name} {_namespace('time')}", time.monotonic)
    return Boot(name, (lambda: time.monotonic() - offset_s) if offset_s else time.monotonic)


def _offset_s() -> float:
    """Return how far this process's monotonic clock is ahead of the machine's own (time_namespaces(7)).

    Raises:
        OSError, ValueError: the system does not tell.
    """
    if not _OFFSETS.exists():  # the system has no time namespaces
        return 0.0
    if _namespace("time") != _namespace("time_for_children"):
        raise ValueError("the offsets are those of processes that are yet to start")
    for line in _OFFSETS.read_text().splitlines():
        clock, seconds, nanoseconds = line.split()
        if clock in ("monotonic", str(time.CLOCK_MONOTONIC)):
            return int(seconds) + int(nanoseconds) / 1e9
    raise ValueError("the offset of the monotonic clock is missing")


def _namespace(kind: str) -> str:
    try:
        return str((_NAMESPACES / kind).readlink())
    except OSError:
        return ""
