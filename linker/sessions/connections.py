"""Connections of an aiohttp session that are used only while nothing is wrong with them.

A connection that is kept alive may bring what nobody asked for: a server's second answer, a `408` for being idle, the
rest of an answer. Taken for the answer to the next request, it would be a wrong result. So a connection is closed
instead of used if anything arrived on it while it was idle, and after a failure if it is older than that failure.

This is the only file that uses what aiohttp does not document: `ResponseHandler`, the protocol that reads answers;
`TCPConnector._factory`, which makes these; `TCPConnector.connect`; and `ClientRequest`'s arguments and `send`.
`missing` returns what a version of aiohttp lacks. `make aiohttp` tests each version that linker may be installed with.
"""

from __future__ import annotations

import asyncio
import select
import ssl
from functools import partial
from http import HTTPStatus
from typing import Any, Final, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import RawResponseMessage
from multidict import CIMultiDict
from yarl import URL

from linker.ratelimit.limiter import Turn

LONGEST_HEADER: Final = 66 * 1024
"""Bytes of a header line. Proxies add policies and traces of tens of kilobytes; aiohttp's default is 8 KB."""

_KEPT_S: Final = 15.0
"""Seconds for which an idle connection is kept, as aiohttp's default has it. Servers close theirs sooner or later."""

_ADDRESSES_S: Final = 10
"""Seconds for which the addresses of a name are remembered. After a failure they are asked for anew at once."""

_INTERIM: Final = frozenset(range(HTTPStatus.CONTINUE, HTTPStatus.OK)) - {HTTPStatus.SWITCHING_PROTOCOLS}
"""What announces another answer. A status below is odd, but it is an answer, as aiohttp has it."""

_NEEDED: Final = (
    (ResponseHandler, ("read", "set_response_params", "start_timeout", "should_close", "force_close", "is_connected")),
    (aiohttp.TCPConnector, ("connect",)),
)


def missing(connector: Connector) -> str | None:
    """Return what an exchange needs and this version of aiohttp lacks; None if it has everything."""
    for kind, names in _NEEDED:
        for name in names:
            if not hasattr(kind, name):
                return f"{kind.__name__}.{name}"
    return None if connector.makes_connections else "TCPConnector._factory"


class Unusable(aiohttp.ClientConnectionError):
    """The connection must not be used; nothing was sent on it, and it is closed."""


class NotHttp(aiohttp.ClientError):
    """What has arrived cannot be read as an answer. The message is that of aiohttp's parser."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Sending:
    """One try of a request: its turn, and whether it may have left, and on which connection."""

    __slots__ = ("connection", "has_left", "is_first", "turn")

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.connection: Connection | None = None
        self.has_left = False
        """Whether any of the request may have left."""
        self.is_first = False
        """Whether it was the first request on its connection."""

    def end(self) -> None:
        """The answer was read to its end, or given up."""
        if self.connection is not None:
            self.connection.end(self)


class PlainRequest(aiohttp.ClientRequest):
    """A request of `ClientSession.request` that leaves only on a connection that can be trusted."""

    sending: Sending

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        """Send the request. Raises `Unusable` instead if the connection cannot be trusted."""
        protocol = conn.protocol
        if isinstance(protocol, Connection) and not protocol.begin(self.sending):
            conn.close()
            protocol.refuse()
        self.sending.has_left = True
        return await super().send(conn)


class Connection(ResponseHandler):
    """One connection. It is idle from the end of an exchange to the begin of the next one."""

    place: Any
    """Its place among the connections of the connector (`aiohttp.connector.Connection`), unless aiohttp keeps it."""

    def __init__(self, connector: Connector, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._connector = connector
        self._opened_at = loop.time()
        self._sending: Sending | None = None
        self._idle_since = 0.0
        self._poll: select.poll | None = None
        self.is_new = True
        """Whether no exchange has ended on it."""

    def begin(self, sending: Sending) -> bool:
        """Let a request have the connection; return False if it must not be used."""
        is_old = not self.is_new and self._opened_at <= self._connector.failed_at
        if is_old or self.should_close or self._has_input():
            return False
        self._sending = sending
        sending.connection, sending.is_first = self, self.is_new
        return True

    def _has_input(self) -> bool:
        """Whether anything has arrived that the event loop has not read yet, be it the end of the connection."""
        if self._poll is None:
            socket = self.transport.get_extra_info("socket") if self.transport is not None else None
            if socket is None:
                return False
            if socket.fileno() < 0:  # closed just now
                return True
            self._poll = select.poll()
            self._poll.register(socket.fileno(), select.POLLIN)
        return bool(self._poll.poll(0))

    def refuse(self) -> None:
        """Raise `Unusable`, or another error if the next connection would be as bad."""
        if self.is_new:
            raise aiohttp.ServerDisconnectedError
        raise Unusable

    def end(self, sending: Sending) -> None:
        """Let the connection be idle, unless another request has it already."""
        if self._sending is sending:
            self._sending, self.is_new = None, False

    def data_received(self, data: bytes) -> None:
        """Take in what has arrived. On an idle connection nobody has asked for it."""
        if self._sending is None and not self.is_new:
            self.force_close()
            self.abort()
            return
        super().data_received(data)

    def prepare(self, sending: Sending) -> bool:
        """Make it ready for an exchange; return False if it must not be used."""
        if not self.is_connected():
            return False
        # a new parser for each answer: whatever the last one has left over is gone with it
        self.set_response_params(
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=self._connector.read_timeout_s,
            max_line_size=LONGEST_HEADER,
            max_field_size=LONGEST_HEADER,
        )
        return self.begin(sending)

    def write(self, request: bytes, sending: Sending) -> None:
        """Send a whole request."""
        assert self.transport is not None
        sending.has_left = True
        self.transport.write(request)
        self.start_timeout()

    async def hear(self) -> tuple[RawResponseMessage, aiohttp.StreamReader]:
        """Return the head of the answer, and its body as far as it has come.

        Raises:
            NotHttp, aiohttp.ClientError: there is no answer.
        """
        try:
            message, content = await self.read()
            while message.code in _INTERIM:
                message, content = await self.read()
        except HttpProcessingError as error:
            raise NotHttp(error.message) from None
        except aiohttp.ClientOSError as error:
            if isinstance(error.__cause__, ssl.SSLError):  # TLS 1.3 refuses late, in the place of an answer
                raise
            raise aiohttp.ServerDisconnectedError from None
        return message, content

    def keep(self, sending: Sending) -> bool:
        """End an exchange; return whether there may be another one on this connection."""
        self.end(sending)
        if self.should_close or not self.is_connected():
            self.discard()
            return False
        self._idle_since = self._loop.time()
        return True

    def is_stale(self, now: float) -> bool:
        """Whether it has been idle for too long."""
        return now - self._idle_since > _KEPT_S

    def discard(self) -> None:
        """Close the connection."""
        self.place.close()

    def release(self) -> None:
        """Give the connection back to the connector, which closes it with the session."""
        self.place.release()


class Connector(aiohttp.TCPConnector):
    """Opens the connections of one run.

    Args:
        limit: most connections at once.
        read_timeout_s: seconds between two parts of an answer; None if the deadline of a request is sooner.
    """

    def __init__(self, limit: int, read_timeout_s: float | None) -> None:
        super().__init__(limit=limit, limit_per_host=0, ttl_dns_cache=_ADDRESSES_S, keepalive_timeout=_KEPT_S)
        self.makes_connections = hasattr(self, "_factory")
        self._factory = cast("partial[ResponseHandler]", partial(Connection, self, loop=self._loop))
        self.read_timeout_s = read_timeout_s
        self.failed_at = float("-inf")
        """Loop time of the last failure: connections that were idle then are not used any more."""

    def distrust(self) -> None:
        """A request has failed: use new connections from now on, to addresses that are asked for anew."""
        self.failed_at = self._loop.time()
        self.clear_dns_cache()

    async def open(self, session: aiohttp.ClientSession, url: URL, proxy: URL | None) -> Connection:
        """Open a connection to the host of a URL. A proxy gets the headers of the session, and no others.

        Raises:
            aiohttp.ClientError: there is none.
        """
        request = aiohttp.ClientRequest(
            "GET", url, loop=self._loop, session=session, proxy=proxy, proxy_headers=CIMultiDict(session.headers)
        )
        try:
            place = await self.connect(request, [], session.timeout)
        except TimeoutError:
            raise aiohttp.ConnectionTimeoutError from None
        connection = place.protocol
        assert isinstance(connection, Connection)
        connection.place = place
        return connection
