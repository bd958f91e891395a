"""Sends a request and reads its answer on a connection of the session, without `ClientSession.request`.

That method is made for every kind of request: it merges headers, takes the URL apart, keeps cookies, and makes a task,
a timer and several objects for each request, which costs more than all the rest. Here the head is prepared once, head
and body leave in one write, and the connection stays with its place in the session's connector. That still opens the
connections, through a proxy and with TLS, and aiohttp's parser still reads the answers.

An exchange knows none of these, and linker needs none of them: cookies, redirects, user and password in the URL,
bodies that are streamed, in chunks or compressed, `Expect`, upgrades, HEAD, an `http://` account through a proxy
(`Settings` refuses that), tracing and middlewares. `plain.py` sends by `ClientSession.request`: if the user asks for it
(`plain_requests`), or if aiohttp lacks what an exchange needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeAlias

import aiohttp
from aiohttp import hdrs
from yarl import URL

from linker.sessions.body import decompressed, read_body
from linker.sessions.connections import Connection, Connector, Sending
from linker.settings import Settings

Whole: TypeAlias = tuple[int, Mapping[str, str], bytes]
"""Status, headers and body of an answer. The body is decompressed."""


class Way(Protocol):
    """A way to send requests."""

    async def send(self, method: str, path: str, body: bytes | None, sending: Sending) -> Whole:
        """Send a request at most once, record its answer in its turn, and return it whole.

        Raises:
            RequestFailed, aiohttp.ClientError, OSError, UnicodeError: no answer came, or none that can be read.
        """

    def close(self) -> None:
        """Give all connections back to the session."""


class Exchanges:
    """Exchanges with the account, on as many connections as there are exchanges at once.

    Args:
        headers: headers of every request. A proxy does not get them: a connection through it is a tunnel with TLS.
    """

    __slots__ = ("_base_path", "_connector", "_fixed", "_idle", "_proxy", "_session", "_url")  # `_fixed` has the token

    def __init__(
        self, session: aiohttp.ClientSession, connector: Connector, settings: Settings, headers: Mapping[str, str]
    ) -> None:
        self._session = session
        self._connector = connector
        self._url = URL(settings.base_url, encoded=True)
        self._proxy = URL(settings.proxy) if settings.proxy is not None else None
        self._base_path = self._url.raw_path.rstrip("/").encode("ascii")
        self._fixed = _lines({hdrs.HOST: self._url.host_port_subcomponent or "", **session.headers, **headers})
        self._idle: list[Connection] = []

    async def send(self, method: str, path: str, body: bytes | None, sending: Sending) -> Whole:
        """Send a request and read its answer, as `Way` has it."""
        connection = self._next_idle(sending)
        if connection is None:
            connection = await self._opened(sending)
        try:
            connection.write(self._written(method, path, body), sending)
            message, content = await connection.hear()
            sending.turn.record_answer(message.code, message.headers)
            raw = await read_body(content, message.code)
        except BaseException:
            connection.discard()
            raise
        if connection.keep(sending):
            self._idle.append(connection)
        return message.code, message.headers, decompressed(raw, message.headers, message.code)

    def close(self) -> None:
        """Give the idle connections back to the session, which closes them."""
        while self._idle:
            self._idle.pop().release()

    def _next_idle(self, sending: Sending) -> Connection | None:
        """An idle connection that can be trusted: the one that was used last, so that the others become stale."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_stale(sending.turn.at) and connection.prepare(sending):
                return connection
            connection.discard()
        return None

    async def _opened(self, sending: Sending) -> Connection:
        connection = await self._connector.open(self._session, self._url, self._proxy)
        if not connection.prepare(sending):
            connection.discard()
            raise aiohttp.ServerDisconnectedError
        return connection

    def _written(self, method: str, path: str, body: bytes | None) -> bytes:
        """A request as it leaves."""
        if not path.isprintable() or " " in path:
            raise aiohttp.InvalidURL(path)
        head = b"%b %b%b HTTP/1.1\r\n%b" % (method.encode(), self._base_path, path.encode("ascii"), self._fixed)
        if body is None and method == "GET":
            return head + b"\r\n"
        return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body or b""), body or b"")


def _lines(headers: Mapping[str, str]) -> bytes:
    """The lines of a head."""
    assert all(value.isprintable() for value in headers.values())
    return b"".join(b"%b: %b\r\n" % (name.encode(), value.encode("ascii")) for name, value in headers.items())
