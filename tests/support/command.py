"""The `linker` command as a subprocess: how tests run it as a user does."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from support.forked import can_fork, fork


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


class Command:
    """The `linker` command, run as a user runs it: a process of its own, in a folder of its own."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AHA_")}
        self.environment = {**kept, **environment}

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        """Start `linker ARGUMENTS`."""
        return await self._start(*self.argv(*arguments))

    def argv(self, *arguments: str) -> list[str]:
        """`linker ARGUMENTS`, as a process of its own."""
        return [sys.executable, "-m", "linker", *arguments]

    async def __call__(self, *arguments: str, stdin: bytes = b"") -> Finished:
        """Run `linker ARGUMENTS` to its end, in a process that is forked if that makes no difference."""
        if not can_fork(self.environment):
            return await self.end(await self.start(*arguments), stdin)
        pipes = [os.pipe() for _ in range(3)]
        theirs = [pipes[0][0], pipes[1][1], pipes[2][1]]
        try:
            process = await fork(arguments, self.folder, self.environment, theirs)
        finally:
            for stream in theirs:
                os.close(stream)
        _, stdout, stderr = await asyncio.gather(
            asyncio.to_thread(_write, pipes[0][1], stdin),
            asyncio.to_thread(_read, pipes[1][0]),
            asyncio.to_thread(_read, pipes[2][0]),
        )
        return _finished(await process.wait(), stdout, stderr)

    async def program(self, *arguments: str, stdin: bytes = b"") -> Finished:
        """Run any program to its end, where and as the command is run."""
        return await self.end(await self._start(*arguments), stdin)

    async def end(self, process: asyncio.subprocess.Process, stdin: bytes = b"") -> Finished:
        """Wait for a process that was started, with this on its standard input."""
        stdout, stderr = await process.communicate(stdin)
        assert process.returncode is not None
        return _finished(process.returncode, stdout, stderr)

    async def _start(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *arguments,
            cwd=self.folder,
            env=self.environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )


def _finished(code: int, stdout: bytes, stderr: bytes) -> Finished:
    assert b"Traceback" not in stdout + stderr, stderr.decode()  # whatever happens
    return Finished(code, stdout.decode(), stderr.decode())


def _write(pipe: int, data: bytes) -> None:
    with suppress(BrokenPipeError), open(pipe, "wb") as stream:
        stream.write(data)


def _read(pipe: int) -> bytes:
    with open(pipe, "rb") as stream:
        return stream.read()
