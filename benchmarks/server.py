"""The accounts that benchmarks run on, each in a process of its own.

`limited` serves sandboxes with a rate limit and returns what they counted. `fast` serves one endpoint as fast as Python
can, with answers of a given size, so that the client is what is measured.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import cast

from peers import TOKEN

from linker.cli.drive import run_in_loop
from linker.sandbox import Sandbox

_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Seen:
    """What one sandbox saw: arrivals (seconds from the first), requests refused, targets of which a PUT was taken."""

    arrivals: list[float]
    refused: int
    linked: int


@contextmanager
def limited(count: int, limits: Sequence[tuple[int, float]], window: str, targets: int) -> Iterator[Limited]:
    """So many sandboxes with the same limits, 20 to 220 ms of latency and features PRJ1-1 to PRJ1-`targets`."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve_limited, args=(theirs, count, limits, window, targets)
    )
    process.start()
    try:
        yield Limited(ours, ours.recv())
    finally:
        ours.send(None)
        process.join()


@dataclass(frozen=True)
class Limited:
    """Sandboxes at these URLs."""

    _pipe: Connection
    urls: list[str]

    def seen(self) -> list[Seen]:
        """What each sandbox has counted so far."""
        self._pipe.send("seen")
        seen: list[Seen] = self._pipe.recv()
        return seen


def _serve_limited(
    pipe: Connection, count: int, limits: Sequence[tuple[int, float]], window: str, targets: int
) -> None:
    async def main() -> None:
        sandboxes = [
            Sandbox(
                limits=list(limits),
                window=window,
                latency_ms=120,
                jitter_ms=100,
                features=targets,
                token=TOKEN,
                keep_requests=True,
                seed=number,
            )
            for number in range(count)
        ]
        for sandbox in sandboxes:
            await sandbox.__aenter__()
        pipe.send([sandbox.url for sandbox in sandboxes])
        while await asyncio.to_thread(pipe.recv):
            pipe.send([_seen(sandbox) for sandbox in sandboxes])
        for sandbox in sandboxes:
            await sandbox.__aexit__(None, None, None)

    run_in_loop(main())


def _seen(sandbox: Sandbox) -> Seen:
    arrivals = sorted(each.at for each in sandbox.requests)
    held = {each.path.rsplit("/", 1)[1] for each in sandbox.requests if each.method == "PUT" and each.status == 200}
    return Seen([at - arrivals[0] for at in arrivals], sandbox.stats.refused, len(held))


@contextmanager
def fast(answer_bytes: int) -> Iterator[str]:
    """A server that answers every PUT of a feature with what it asked for, in so many bytes."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve_fast, args=(theirs, answer_bytes))
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        ours.send(None)
        process.join()


def _serve_fast(pipe: Connection, answer_bytes: int) -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: _Fast(answer_bytes), "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await asyncio.to_thread(pipe.recv)
        server.close()

    run_in_loop(main())


class _Fast(asyncio.Protocol):
    """The part of HTTP/1.1 that a PUT with a Content-Length needs."""

    def __init__(self, answer_bytes: int) -> None:
        self._answer_bytes = answer_bytes
        self._received = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is none by its type

    def data_received(self, data: bytes) -> None:
        """Take a part of a request, a whole one, or several."""
        received = self._received + data
        while (end := received.find(_HEAD_END)) >= 0:
            head = received[:end]
            _, _, length = head.lower().partition(b"content-length:")
            whole = end + len(_HEAD_END) + int(length.split(b"\r\n", 1)[0])
            if len(received) < whole:
                break
            received = received[whole:]
            reference = head.split(b" ", 2)[1].split(b"?", 1)[0].rpartition(b"/")[2]
            shown = (
                b'{"feature":{"id":"1","reference_num":"%s","custom_object_links":[{"key":"customers",'
                b'"record_type":"CustomObjectRecord","record_ids":[640362830]}],"name":"' % reference
            )
            body = shown + b"x" * (self._answer_bytes - len(shown) - 3) + b'"}}'
            assert self._transport is not None
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )
        self._received = received
