"""The `linker` command as a subprocess: how tests run it as a user does."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


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
        """Run `linker ARGUMENTS` to its end."""
        return await self.end(await self.start(*arguments), stdin)

    async def program(self, *arguments: str, stdin: bytes = b"") -> Finished:
        """Run any program to its end, where and as the command is run."""
        return await self.end(await self._start(*arguments), stdin)

    async def end(self, process: asyncio.subprocess.Process, stdin: bytes = b"") -> Finished:
        """Wait for a process that was started, with this on its standard input."""
        stdout, stderr = await process.communicate(stdin)
        assert process.returncode is not None
        assert b"Traceback" not in stdout + stderr, stderr.decode()  # whatever happens
        return Finished(process.returncode, stdout.decode(), stderr.decode())

    async def _start(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *arguments,
            cwd=self.folder,
            env=self.environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
