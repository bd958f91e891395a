"""The command on a terminal of its own: what it shows, and what somebody types there."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import struct
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pyte

from support.command import Command
from support.forked import Forked, can_fork, fork

__all__ = ["Terminal", "terminal"]

_LINES = 40


class Terminal:
    """A `linker` process on a pseudo-terminal."""

    def __init__(self, process: Forked | asyncio.subprocess.Process, end: int, columns: int) -> None:
        self._display = pyte.HistoryScreen(columns, _LINES, history=1000)
        self._stream = pyte.ByteStream(self._display)
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
        self._stream.feed(data)
        if not data:
            self._closed = True
            asyncio.get_running_loop().remove_reader(self._end)
        self._more.set()

    @property
    def screen(self) -> str:
        """All output so far, with plain line ends."""
        return self._screen.decode(errors="replace").replace("\r\n", "\n")

    @property
    def lines(self) -> list[str]:
        """What somebody in front of the terminal sees, line by line."""
        return [line.rstrip() for line in self._display.display]

    def colours(self, text: str) -> set[str]:
        """The colours of a text's characters on the terminal, wherever it stands."""
        found: set[str] = set()
        for number, line in enumerate(self._display.display):
            for start in range(len(line)):
                if line.startswith(text, start):
                    found |= {self._display.buffer[number][start + offset].fg for offset in range(len(text))}
        return found

    async def sees(self, text: str) -> None:
        """Wait until a text stands on the terminal."""
        while text not in "\n".join(self.lines):
            assert not self._closed, self.lines
            self._more.clear()
            await self._more.wait()

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
async def terminal(
    command: Command, *arguments: str, output: Path | None = None, columns: int = 100, forked: bool = True
) -> AsyncIterator[Terminal]:
    """`linker ARGUMENTS` on a terminal; with `output`, its stdout goes to that file (`> FILE`).

    Args:
        forked: False starts an interpreter of its own.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, columns, 0, 0))
    stdout = theirs if output is None else os.open(output, os.O_CREAT | os.O_WRONLY)
    sized = {name: value for name, value in command.environment.items() if name not in ("COLUMNS", "LINES")}
    environment = {**sized, "TERM": "xterm"}
    process: Forked | asyncio.subprocess.Process
    if forked:
        assert can_fork(environment)
        process = await fork(arguments, command.folder, environment, (theirs, stdout, theirs))
    else:
        process = await asyncio.create_subprocess_exec(
            *command.argv(*arguments), cwd=command.folder, env=environment, stdin=theirs, stdout=stdout, stderr=theirs
        )
    os.close(theirs)
    if output is not None:
        os.close(stdout)
    shown = Terminal(process, ours, columns)
    try:
        yield shown
    finally:
        shown.close()
        await process.wait()
