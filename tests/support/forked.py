"""The test's side of the fork server: starts commands, signals them, and waits for their end."""

from __future__ import annotations

import array
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

__all__ = ["Forked", "can_fork", "fork"]

_SERVER: Final = Path(__file__).with_name("fork_server.py")
_OURS: Final = ("AHA_", "LINKER_", "XDG_", "PYTEST_")
_FREE: Final = frozenset({"HOME", "TERM", "NO_COLOR", "COLUMNS", "LINES", "LINKS", "PATH", "PWD"})
_servers: Final[list[subprocess.Popen[bytes]]] = []


def can_fork(environment: Mapping[str, str]) -> bool:
    """Whether the command would run the same: variables that libraries read when they are imported must not differ."""
    names = {name for name in environment.keys() ^ os.environ.keys() if not _is_free(name)}
    return not names and all(environment[name] == value for name, value in os.environ.items() if not _is_free(name))


def _is_free(name: str) -> bool:
    return name.startswith(_OURS) or name in _FREE or name.lower().endswith("_proxy")


class Forked:
    """A command that was forked. It has what tests use of `asyncio.subprocess.Process`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._reader = reader
        self._writer = writer

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the command has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End the command at once."""
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        """Wait for the end, and return the exit code."""
        if self.returncode is None:
            self.returncode = int(await self._reader.readline())
            self._writer.close()
        return self.returncode


async def fork(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], streams: Sequence[int]
) -> Forked:
    """Start `linker ARGUMENTS`.

    Args:
        streams: its standard input, output and error.
    """
    reader, writer = await asyncio.open_unix_connection(_server())
    request = {"folder": str(folder), "environment": dict(environment), "arguments": list(arguments)}
    connection: socket.socket = writer.get_extra_info("socket")._sock  # asyncio cannot send streams
    data = json.dumps(request).encode() + b"\n"
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", streams))]
    sent = connection.sendmsg([data], rights)
    writer.write(data[sent:])
    return Forked(reader, writer, int(await reader.readline()))


@cache
def _server() -> str:
    """Start the server, and return the path of its socket."""
    path = Path(tempfile.mkdtemp(prefix="linker-fork-")) / "socket"
    # it ends when this process does, since that closes its standard input
    server = subprocess.Popen([sys.executable, _SERVER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    _servers.append(server)
    return str(path)
