"""Real sockets for tests: an open pool, and a server that answers each request as a test asks."""

from __future__ import annotations

import asyncio
import ssl as tls
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeAlias, cast

from linker.api.answers import Answer, HttpAnswer
from linker.ratelimit.limiter import RateLimiter
from linker.sessions.pool import SessionPool
from linker.sessions.token import Token
from linker.settings import Settings

__all__ = ["OK", "TOKEN", "Arrived", "Wire", "opened", "page", "said", "send_raw"]

TOKEN = "tell-nobody-0123456789"


@dataclass(frozen=True)
class Arrived:
    """A request as it came; `connection` counts from 1. Header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int


Answering: TypeAlias = Callable[[Arrived, asyncio.StreamWriter], Awaitable[None]]


def page(status: str, body: bytes = b"", *headers: str) -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


OK = page("200 OK", b'{"feature":{}}')


def said(*answers: bytes) -> Answering:
    """Answer whole requests with these bytes in turn; the last one repeats."""
    left = list(answers)

    async def answer(request: Arrived, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])

    return answer


@dataclass
class Wire:
    """A server on the loopback. `answer` gets each whole request and the writer of its connection.

    Example:
        >>> async with Wire(said(OK)) as wire, opened(wire.url) as pool:
        ...     await send_raw(pool, "GET", "/")
    """

    answer: Answering
    ssl: tls.SSLContext | None = None
    requests: list[Arrived] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    most_open: int = 0

    async def __aenter__(self) -> Self:
        self.arrived: asyncio.Queue[Arrived] = asyncio.Queue()
        self.closed: asyncio.Queue[int] = asyncio.Queue()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.ssl)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def url(self) -> str:
        """Its base."""
        return f"{'https' if self.ssl else 'http'}://127.0.0.1:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        number = self.connections
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                method, path, _ = head[0].split(" ")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                request = Arrived(method, path, headers, body, number)
                self.requests.append(request)
                self.arrived.put_nowait(request)
                await self.answer(request, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client has gone, or the test is over
        finally:
            writer.close()
            self.open -= 1
            self.closed.put_nowait(number)
            self._tasks.discard(task)


DEFAULTS: dict[str, Any] = {}
"""Settings of the pools that a test opens, unless it gives others."""


@asynccontextmanager
async def opened(
    url: str,
    *,
    token: str = TOKEN,
    limiter: RateLimiter | None = None,
    stop: asyncio.Event | None = None,
    **options: Any,
) -> AsyncIterator[SessionPool]:
    """A pool of connections to `url`; without a limit, unless it is given a rate limiter."""
    async with SessionPool(
        Settings(base_url=url, **DEFAULTS | options), Token(token), limiter or RateLimiter([]), stop or asyncio.Event()
    ) as pool:
        yield pool


class RawAnswer(Answer, frozen=True):
    """An answer as it came."""

    headers: Mapping[str, str] = {}
    body: bytes = b""


@dataclass(frozen=True)
class Raw:
    """A request of any method, path and body, whose answer is what came back."""

    method: str
    path: str
    body: bytes | None = None

    def understand(self, answer: HttpAnswer) -> RawAnswer:
        """The answer as it came."""
        return RawAnswer(answer.status, sent_at=answer.sent_at, headers=answer.headers, body=answer.body)

    def mismatch(self, answer: HttpAnswer) -> None:
        """Any answer is one to this request."""


async def send_raw(pool: SessionPool, method: str, path: str, body: bytes | None = None) -> RawAnswer:
    """One try of any request, and what came back for it."""
    request: Any = Raw(method, path, body)
    return cast("RawAnswer", await pool.send(lambda _: request))
