"""Connections of an aiohttp session that are used only while nothing is wrong with them.

A connection that is kept alive may bring what nobody asked for: a server's second answer, a `408` for being idle, the
rest of an answer. Taken for the answer to the next request, it would be a wrong result. So a connection is closed
instead of used if anything arrived on it while it was idle, and after a failure if it is older than that failure.

This is the only file that uses what aiohttp does not document: `TCPConnector._factory`, which makes the protocols.
"""

from __future__ import annotations

import asyncio
import select
from functools import partial
from typing import Any, Final, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler

_ADDRESSES_S: Final = 10
"""Seconds for which the addresses of a name are remembered. After a failure they are asked for anew at once."""


class Unusable(aiohttp.ClientConnectionError):
    """The connection must not be used; nothing was sent on it, and it is closed."""


class Exchange(aiohttp.ClientRequest):
    """A request that leaves at most once, and only on a connection that can be trusted."""

    connection: Connection | None = None
    """The connection on which it left; None before that."""
    is_first = False
    """Whether it was the first request on that connection."""

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        """Send the request. Raises `Unusable` instead if the connection cannot be trusted."""
        protocol = conn.protocol
        if isinstance(protocol, Connection):
            if not protocol.begin(self):
                conn.close()
                if protocol.is_new:  # so would be the next one
                    raise aiohttp.ServerDisconnectedError
                raise Unusable
            self.connection, self.is_first = protocol, protocol.is_new
        return await super().send(conn)


class Connection(ResponseHandler):
    """One connection. It is idle from the end of an exchange to the begin of the next one."""

    def __init__(self, connector: Connector, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._connector = connector
        self._opened_at = loop.time()
        self._exchange: Exchange | None = None
        self.is_new = True
        """Whether no exchange has ended on it."""

    def begin(self, exchange: Exchange) -> bool:
        """Let an exchange have the connection; return False if it must not be used."""
        is_old = not self.is_new and self._opened_at <= self._connector.failed_at
        if is_old or self.should_close or _has_input(self.transport):
            return False
        self._exchange = exchange
        return True

    def end(self, exchange: Exchange) -> None:
        """Let the connection be idle, unless another exchange has it already."""
        if self._exchange is exchange:
            self._exchange, self.is_new = None, False

    def data_received(self, data: bytes) -> None:
        """Take in what has arrived. On an idle connection nobody has asked for it."""
        if self._exchange is None and not self.is_new:
            self.force_close()
            self.abort()
            return
        super().data_received(data)


class Connector(aiohttp.TCPConnector):
    """Opens the connections of one run."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit=limit, limit_per_host=0, ttl_dns_cache=_ADDRESSES_S)
        self._factory = cast("partial[ResponseHandler]", partial(Connection, self, loop=self._loop))
        self.failed_at = float("-inf")
        """Loop time of the last failure: connections that were idle then are not used any more."""

    def distrust(self) -> None:
        """A request has failed: use new connections from now on, to addresses that are asked for anew."""
        self.failed_at = self._loop.time()
        self.clear_dns_cache()


def _has_input(transport: asyncio.BaseTransport | None) -> bool:
    """Whether anything has arrived that the event loop has not read yet, be it the end of the connection."""
    socket = transport.get_extra_info("socket") if transport is not None else None
    if socket is None:
        return False
    if socket.fileno() < 0:  # closed just now
        return True
    poll = select.poll()
    poll.register(socket.fileno(), select.POLLIN)
    return bool(poll.poll(0))
