"""Sends requests by `ClientSession.request`: aiohttp's own way, which costs several times as much as `exchange.py`."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import aiohttp
from yarl import URL

from linker.sessions.body import decompressed, read_body
from linker.sessions.connections import PlainRequest, Sending, Unusable
from linker.sessions.exchange import Whole
from linker.settings import Settings


class _SendOnce:
    """Keeps aiohttp from sending a request again by itself when a kept-alive connection drops.

    The account would count that request, and the rate limiter would not. `Sender` sends it again in its turn.
    """

    __slots__ = ("_lost", "_sending")

    def __init__(self, sending: Sending) -> None:
        self._sending = sending
        self._lost: Exception = aiohttp.ServerDisconnectedError()

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if self._sending.has_left:
            raise self._lost
        assert isinstance(request, PlainRequest)
        request.sending = self._sending
        try:
            return await handler(request)
        except aiohttp.ClientOSError as error:
            if isinstance(error.__cause__, ssl.SSLError):  # TLS 1.3 refuses late, in the place of an answer
                self._lost = error
            raise


class PlainRequests:
    """Requests to the account by the session itself.

    Args:
        headers: headers of every request. They are not the session's: aiohttp sends those to a proxy too, without TLS.
    """

    __slots__ = ("_base_url", "_headers", "_session")

    def __init__(self, session: aiohttp.ClientSession, settings: Settings, headers: Mapping[str, str]) -> None:
        self._session = session
        self._base_url = settings.base_url
        self._headers = headers

    async def send(self, method: str, path: str, body: bytes | None, sending: Sending) -> Whole:
        """Send a request and read its answer, as `Way` has it."""
        while True:  # each connection that cannot be trusted is closed, so there is a new one in the end
            try:
                return await self._sent(method, path, body, sending)
            except Unusable:
                continue

    async def _sent(self, method: str, path: str, body: bytes | None, sending: Sending) -> Whole:
        async with self._session.request(
            method,
            URL(self._base_url + path, encoded=True),
            data=body,
            headers=self._headers,
            allow_redirects=False,  # a redirect must not take the token elsewhere
            middlewares=(_SendOnce(sending),),
        ) as response:
            sending.turn.record_answer(response.status, response.headers)
            content = await read_body(response.content, response.status)
        return response.status, response.headers, decompressed(content, response.headers, response.status)

    def close(self) -> None:
        """Nothing: the session has all connections."""
