"""`linker sandbox`: it serves an account until it is interrupted."""

from __future__ import annotations

import signal
from typing import Any

import aiohttp
import pytest
from support.command import Command

from linker.sandbox import Sandbox


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_sandbox_serves_until_it_is_interrupted(command: Command, number: signal.Signals) -> None:
    """It prints its URL and what to type next, serves the account there, and ends with its count, exit 0."""
    process = await command.start("sandbox", "--port", "0", "--token", "rehearsal", "--features", "3")
    assert process.stdout is not None
    printed = (await process.stdout.readuntil(b"linker run")).decode()
    url = printed.split(",")[0].removeprefix("sandbox at ")
    assert f"export AHA_URL={url} AHA_TOKEN=rehearsal" in printed
    headers = {"Authorization": "Bearer rehearsal"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{url}/api/v1/features/PRJ1-8") as response,
    ):
        answer: dict[str, Any] = await response.json()
    assert answer["feature"]["reference_num"] == "PRJ1-8"
    process.send_signal(number)
    finished = await command.end(process)
    assert (finished.code, finished.stderr) == (0, "")
    assert finished.stdout.endswith("1 requests served, 0 of them refused (429)\n")


async def test_a_port_that_is_taken_is_said(command: Command, sandbox: Sandbox) -> None:
    """Exit 2 and which port, where something listens there already."""
    port = sandbox.url.rpartition(":")[2]
    finished = await command("sandbox", "--port", port)
    assert finished.code == 2
    assert f"port {port} on 127.0.0.1" in finished.stderr
