"""Stoplight Prism: a program that mocks an API from its OpenAPI description, or checks what passes through it."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["OPENAPI", "PRISM", "Prism", "Violation", "prism"]

OPENAPI: Final = Path(__file__).parents[2].parent / "shared" / "aha" / "openapi.json"
PRISM: Final = os.environ.get("PRISM", "")
"""The program; empty if it is not installed. `make conformance` installs and names it."""

_LISTENING: Final = re.compile(r"Prism is listening on (\S+)")
_REQUEST: Final = re.compile(r"\[HTTP SERVER\] (\w+ /\S+) .*Request received")
_REFUSED: Final = re.compile(r"Request terminated with error: (?P<rule>.*)$")  # by the mock alone
_VIOLATION: Final = re.compile(r"Violation: (?P<where>\S+) (?:.*? (?=must ))?(?P<rule>.*)$")


class Violation(NamedTuple):
    """What a request or an answer has that the description does not allow.

    `where` is a place such as `response.body.feature.id`, each index in it `#`. If a whole request is wrong, it is
    `request METHOD PATH`.
    """

    where: str
    rule: str


@dataclass(slots=True)
class Prism:
    """A running Prism. Its violations are complete when it has ended."""

    url: str = ""
    violations: set[Violation] = field(default_factory=set)

    def of(self, part: str) -> set[Violation]:
        """The violations of requests or of answers: `part` is `request` or `response`."""
        return {violation for violation in self.violations if violation.where.startswith(part)}


@asynccontextmanager
async def prism(*arguments: str | Path) -> AsyncIterator[Prism]:
    """Run Prism as `mock` or `proxy` on a free port of this machine while the context is open."""
    process = await asyncio.create_subprocess_exec(
        *(PRISM, *arguments, "--port", "0"), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    running = Prism()
    printed = []
    while not running.url:
        line = (await process.stdout.readline()).decode()
        printed.append(line)
        assert line, "".join(printed)  # it ended, and this is why
        found = _LISTENING.search(line)
        running.url = found[1] if found else ""
    reading = asyncio.create_task(_read(process.stdout, running.violations))
    try:
        yield running
    finally:
        process.terminate()
        await reading
        await process.wait()


async def _read(lines: asyncio.StreamReader, violations: set[Violation]) -> None:
    request = ""
    async for line in lines:
        text = line.decode().rstrip()
        if (found := _REQUEST.search(text)) is not None:
            request = found[1]
        if (found := _REFUSED.search(text)) is not None:
            violations.add(Violation(f"request {request}", found["rule"]))
        if (found := _VIOLATION.search(text)) is not None:
            where = re.sub(r"\.[0-9]+(?=\.|$)", ".#", found["where"])
            violations.add(Violation(f"request {request}" if where == "request" else where, found["rule"]))
