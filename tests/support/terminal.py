"""The command on a terminal of its own: what it shows, and what somebody types there."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from support.command import Command

__all__ = ["Terminal", "terminal"]


class Terminal:
    """A `linker` process on a pseudo-terminal a hundred columns wide."""

    def __init__(self, process: asyncio.subprocess.Process, end: int) -> None:
        self._process = process
        self._end = end
        self._screen = bytearray()
        self._more = asyncio.Event()
        self._closed = False
        asyncio.get_running_loop().add_reader(end, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._end, 65536)
        except OSError:  # Linux's end of a pseudo-terminal
            data = b""
        self._screen += data
        if not data:
            self._closed = True
            asyncio.get_running_loop().remove_reader(self._end)
        self._more.set()

    @property
    def screen(self) -> str:
        """All output so far, with plain line ends."""
        return self._screen.decode(errors="replace").replace("\r\n", "\n")

    async def shows(self, text: str) -> None:
        """Wait until a text has been shown."""
        while text not in self.screen:
            assert not self._closed, self.screen
            self._more.clear()
            await self._more.wait()

    def type(self, text: str) -> None:
        """Type a text."""
        os.write(self._end, text.encode())

    def interrupt(self) -> None:
        """Send what Ctrl-C sends."""
        self._process.send_signal(signal.SIGINT)

    async def ended(self) -> int:
        """The exit code, once everything has been shown."""
        while not self._closed:
            self._more.clear()
            await self._more.wait()
        assert "Traceback" not in self.screen
        return await self._process.wait()

    def close(self) -> None:
        """Close the terminal and end the process."""
        asyncio.get_running_loop().remove_reader(self._end)
        os.close(self._end)
        if self._process.returncode is None:
            self._process.kill()


@asynccontextmanager
async def terminal(command: Command, *arguments: str, output: Path | None = None) -> AsyncIterator[Terminal]:
    """`linker ARGUMENTS` on a terminal; with `output`, its stdout goes to that file (`> FILE`)."""
    ours, theirs = pty.openpty()
    stdout = theirs if output is None else os.open(output, os.O_CREAT | os.O_WRONLY)
    process = await asyncio.create_subprocess_exec(
        *command.argv(*arguments),
        cwd=command.folder,
        env={**command.environment, "TERM": "xterm", "COLUMNS": "100"},
        stdin=theirs,
        stdout=stdout,
        stderr=theirs,
    )
    os.close(theirs)
    if output is not None:
        os.close(stdout)
    shown = Terminal(process, ours)
    try:
        yield shown
    finally:
        shown.close()
        await process.wait()
