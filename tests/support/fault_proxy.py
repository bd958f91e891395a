"""A TCP proxy between linker and an account that breaks requests as a test asks: real sockets, real faults."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import socket
import struct
from collections import Counter, deque
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

__all__ = ["FAULTS", "HARMLESS", "LOST_ON_THE_WAY", "FaultProxy"]

_PAGE: Final = b"<html><title>Sign in</title><form>user, password</form></html>"


def _answer(status: str, body: bytes = b"", *headers: str, length: int | None = None) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


_SAID: Final[dict[str, Callable[[], bytes]]] = {
    "login page": lambda: _answer("200 OK", _PAGE, "Content-Type: text/html"),
    "redirect": lambda: _answer("302 Found", b"", "Location: https://login.example/sso?to=here"),
    "garbage": lambda: b"\x16\x03\x01\x00\xff not HTTP at all\r\n\r\n",
    "half a JSON": lambda: _answer("200 OK", b'{"feature":{"id":"1","custom_obj'),
    "too long": lambda: _answer("200 OK", b'{"feature":"' + b"x" * (17 * 2**20) + b'"}'),
    "gzip bomb": lambda: _answer("200 OK", gzip.compress(bytes(64 * 2**20)), "Content-Encoding: gzip"),
    "bad gzip": lambda: _answer("200 OK", b"\x1f\x8bnothing of the sort", "Content-Encoding: gzip"),
    "500": lambda: _answer("500 Internal Server Error", b"oops"),
    "502": lambda: _answer("502 Bad Gateway", _PAGE, "Content-Type: text/html"),
    "503": lambda: _answer("503 Service Unavailable"),
    "504": lambda: _answer("504 Gateway Timeout"),
    "524": lambda: _answer("524 A Timeout Occurred", _PAGE, "Content-Type: text/html"),
    "408": lambda: _answer("408 Request Timeout"),
    "407": lambda: _answer("407 Proxy Authentication Required", _PAGE, "Proxy-Authenticate: Basic"),
}
"""Faults that are an answer; the account never sees the request."""

LOST_ON_THE_WAY: Final = {
    "reply lost",
    "reset in the answer",
    "half an answer",
    "length too long",
    "garbled after",
    "foreign answer",
}
"""Faults of which the account has done what the request asked."""

HARMLESS: Final = ("byte by byte", "slow body", "surplus answer", "old view")
"""Faults that cost no further request, or only a look."""

_OLD_VIEW_S: Final = 0.5
"""How long after a PUT an answer may show its target as it was before."""

FAULTS: Final = (
    *_SAID,
    *sorted(LOST_ON_THE_WAY),
    "reset at once",
    "reset in the request",
    "closed",
    "hang",
    *HARMLESS,
)


class FaultProxy:
    """Passes whole requests on to a server, and breaks those that a test chooses.

    `script` decides for the next requests, one by one; after that, `share` of them meet one of `faults`, by `seed`.
    """

    def __init__(self, upstream: str, *, faults: tuple[str, ...] = (), share: float = 0.0, seed: int = 0) -> None:
        self._host, _, port = upstream.removeprefix("http://").partition(":")
        self._upstream_port = int(port)
        self._faults = faults
        self._share = share
        self._random = random.Random(seed)
        self._script: deque[str | bytes | None] = deque()
        self._stays: str | bytes | None = None
        self._on = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        # by path: the answer before the last PUT, when that was, and the latest answer
        self._seen: dict[str, tuple[bytes, float, bytes]] = {}
        self.requests: list[str] = []
        self.befallen: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.down()

    @property
    def url(self) -> str:
        """The URL at which it listens."""
        return f"http://127.0.0.1:{self.port}"

    def script(self, *faults: str | bytes | None, stays: str | bytes | None = None, on: str = "") -> None:
        """Set the faults of the next requests, and then of all others. Bytes stand for an answer.

        A fault passes a request by if `on` is not in its line, `METHOD PATH?QUERY`.
        """
        self._script = deque(faults)
        self._stays = stays
        self._on = on

    async def up(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Refuse connections, and reset those that are there."""
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _draw(self) -> str | bytes | None:
        if self._script:
            return self._script.popleft()
        if self._stays is not None:
            return self._stays
        return self._random.choice(self._faults) if self._random.random() < self._share else None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while not writer.is_closing():
                begun = await reader.readexactly(4)
                fault = self._draw()
                if fault == "reset in the request":
                    self.befallen[fault] += 1
                    _reset(writer)
                    return
                request = begun + await _message(reader)
                self.requests.append(request.partition(b" HTTP/")[0].decode())
                await self._befall(fault if self._on in self.requests[-1] else None, request, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        except asyncio.CancelledError:
            _reset(writer)
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _befall(self, fault: str | bytes | None, request: bytes, writer: asyncio.StreamWriter) -> None:
        if isinstance(fault, bytes):
            writer.write(fault)
            return
        if fault is not None:
            self.befallen[fault] += 1
        if fault in _SAID:
            writer.write(_SAID[fault]())
        elif fault == "reset at once":
            _reset(writer)
        elif fault == "closed":
            writer.close()
        elif fault == "hang":
            await asyncio.sleep(3600)
        else:
            answer = await self._passed_on(request)
            old = self._note(request, answer)
            if fault in HARMLESS:
                await self._say_oddly(fault, old if fault == "old view" else answer, writer)
            else:
                await self._bend(answer, fault, writer)

    def _note(self, request: bytes, answer: bytes) -> bytes:
        """The answer as it would have been before the last PUT, if that was just now; notes this one."""
        method, path, _ = request.decode("latin-1").split(" ", 2)
        now = asyncio.get_running_loop().time()
        before_put, put_at, latest = self._seen.get(path, (answer, -_OLD_VIEW_S, answer))
        if method == "PUT":
            before_put, put_at = latest, now
        self._seen[path] = before_put, put_at, answer
        return before_put if now - put_at < _OLD_VIEW_S else answer

    async def _bend(self, answer: bytes, fault: str | None, writer: asyncio.StreamWriter) -> None:
        head, _, body = answer.partition(b"\r\n\r\n")
        match fault:
            case None:
                writer.write(answer)
            case "foreign answer":
                writer.write(self._foreign(body) or answer)
            case "surplus answer":
                writer.write(answer)
                asyncio.get_running_loop().call_later(0.005, writer.write, answer)
            case "foreign answer":
                writer.write(self._foreign(body) or answer)
            case "slow body":
                for part in (head + b"\r\n\r\n", body[: len(body) // 2], body[len(body) // 2 :]):
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0.02)
            case "reply lost":
                _reset(writer)
            case "reset in the answer":
                writer.write(answer[: len(answer) - len(body) // 2])
                await writer.drain()
                _reset(writer)
            case "half an answer":
                writer.write(answer[: len(answer) - len(body) // 2])
                writer.close()
            case "length too long":
                length = f"Content-Length: {len(body)}".encode()
                writer.write(head.replace(length, f"Content-Length: {len(body) + 100}".encode()) + b"\r\n\r\n" + body)
                writer.close()
            case "garbled after":
                writer.write(head + b"\r\n\r\n" + bytes(byte ^ 0x5A for byte in body))
            case _:
                raise AssertionError(fault)

    async def _say_oddly(self, fault: str, answer: bytes, writer: asyncio.StreamWriter) -> None:
        match fault:
            case "old view":
                writer.write(answer)
            case "surplus answer":
                writer.write(answer)
                asyncio.get_running_loop().call_later(0.005, writer.write, answer)
            case "slow body":
                for part in (answer[:-30], answer[-30:-10], answer[-10:]):
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0.02)
            case _:
                for byte in answer:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(0)

    def _foreign(self, body: bytes) -> bytes:
        """The answer about another feature, which is another one each time; empty if this is about none."""
        try:
            feature = json.loads(body)["feature"]
        except (ValueError, KeyError):
            return b""
        number = self._random.randrange(10_000, 10**9)
        feature |= {"id": str(number), "reference_num": f"PRJ1-{number}", "custom_object_links": []}
        return _answer("200 OK", json.dumps({"feature": feature}).encode(), "Content-Type: application/json")

    async def _passed_on(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(self._host, self._upstream_port)
        try:
            writer.write(request)
            return await _message(reader)
        finally:
            writer.close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    """A whole request or answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    return head + await reader.readexactly(length)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection with RST."""
    connection = writer.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
