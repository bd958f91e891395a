"""The pool of aiohttp connections to one account.

A request takes a lease first, then a turn of the rate limiter. There are never more leases than connections, so no
request waits in aiohttp's own queue after its turn has come. One session with forty connections does the same as forty
sessions with one, for a fifth less CPU, so a pool has one session.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import aiohttp
from aiohttp import hdrs
from yarl import URL

from linker._version import __version__
from linker.api.answers import Answer, HttpAnswer
from linker.api.requests import ApiRequest
from linker.errors import BadAnswer, OutOfDescriptors, RequestFailed, TimedOut
from linker.ratelimit.limiter import RateLimiter, Turn
from linker.sessions.failures import request_failed
from linker.sessions.token import Token
from linker.settings import Settings

_LARGEST: Final = 16 * 2**20
"""Most bytes of an answer. A page of 200 targets with a thousand links each has a tenth of that."""

_OUT_OF_DESCRIPTORS: Final = (
    "no more connections can be opened: too many open files; raise the limit (ulimit -n) or lower --concurrency"
)

_LATE_S: Final = 2.0
"""A time-out that comes so much later than it is due was caused by a suspended process, not by the account. aiohttp
itself rounds time-outs of over 5 s up to a whole second."""

_NO_MAIL: Final = "disable_mailers=true"
"""Keeps a write from mailing the watchers, according to third parties; the vendor does not document it."""

_HEADERS: Final = {
    hdrs.ACCEPT: "application/json",
    hdrs.ACCEPT_ENCODING: "gzip, deflate",
    hdrs.CONTENT_TYPE: "application/json",
}

_USER_AGENT: Final = f"aha-linker/{__version__}"


class _SendOnce:
    """Keeps aiohttp from sending a request again by itself when a kept-alive connection drops.

    The account would count that request, and the rate limiter would not. `Sender` sends it again in its turn.
    """

    __slots__ = ("_sent",)

    def __init__(self) -> None:
        self._sent = False

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if self._sent:
            raise aiohttp.ServerDisconnectedError
        self._sent = True
        return await handler(request)


class SessionPool:
    """The connections of one run to one account.

    Args:
        stop: set when the run is being stopped; nothing is sent from then on.

    Example:
        >>> async with SessionPool(settings, token, limiter, stop) as pool:
        ...     answer = await pool.send(lambda now: Request(target))
    """

    def __init__(self, settings: Settings, token: Token, limiter: RateLimiter, stop: asyncio.Event) -> None:
        self._settings = settings
        self._limiter = limiter
        self._stop = stop
        self._token = token
        self._leases = asyncio.Semaphore(settings.concurrency)
        self._session: aiohttp.ClientSession | None = None
        self.requests = 0

    def __repr__(self) -> str:
        return f"<SessionPool {self._settings.base_url}, {self._settings.concurrency} connections>"

    async def __aenter__(self) -> Self:
        settings = self._settings
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=settings.concurrency, limit_per_host=0, ttl_dns_cache=300),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=settings.timeout_s,
                sock_connect=settings.connect_timeout_s,
                # costs a timer for each request, so it is set only if it can be the first to end one
                sock_read=settings.read_timeout_s if settings.read_timeout_s < settings.timeout_s else None,
            ),
            headers={hdrs.USER_AGENT: _USER_AGENT},
            proxy=settings.proxy,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, choose: Callable[[float], ApiRequest | None], *, first: bool = False) -> Answer | None:
        """Send one request once: take a lease, then a turn of the rate limiter, and return the account's answer.

        Args:
            choose: returns the request when its turn has come. It gets the loop time; if it returns None, nothing is
                sent, the turn is given back, and so is None.
            first: take the turn ahead of all others that wait for one.

        Raises:
            RequestFailed: no answer came, or none that the request understands.
            OutOfDescriptors: this process may open no more connections.
            Closed: the run is being stopped; nothing was sent.
        """
        async with self._leases, self._limiter.turn(self._stop, first=first) as turn:
            request = choose(turn.at)
            if request is None:
                turn.give_back()
                return None
            self.requests += 1
            try:
                return await self._exchange(request, turn)
            except BadAnswer as error:
                failure: RequestFailed = error
            except (aiohttp.ClientError, TimeoutError, OSError, UnicodeError) as error:
                if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
                    raise OutOfDescriptors(_OUT_OF_DESCRIPTORS) from None
                failure = request_failed(error, self._settings)
                if isinstance(failure, TimedOut):
                    late_s = asyncio.get_running_loop().time() - turn.at - self._settings.timeout_s
                    failure.suspended = late_s > _LATE_S
            failure.sent_at = turn.at
            raise failure  # outside of the handler: the context would be aiohttp's error, with the request's headers

    async def _exchange(self, request: ApiRequest, turn: Turn) -> Answer:
        assert self._session is not None, "the pool is not open"
        path = request.path
        if self._settings.no_mail and request.method != "GET":
            path += f"{'&' if '?' in path else '?'}{_NO_MAIL}"
        async with self._session.request(
            request.method,
            URL(self._settings.base_url + path, encoded=True),
            data=request.body,
            # not in the session: aiohttp sends its headers to a proxy too, outside of TLS
            headers={**_HEADERS, hdrs.AUTHORIZATION: self._token.authorization},
            allow_redirects=False,  # a redirect must not take the token elsewhere
            middlewares=(_SendOnce(),),
        ) as response:
            turn.record_answer(response.status, response.headers)
            headers = self._token.kept_out_of_headers(response.headers)
            body = self._token.kept_out_of(await _body(response))
        return request.understand(HttpAnswer(response.status, headers, body, turn.at))


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """Return an answer's body, decompressed. Raises `BadAnswer` if it is too long; the rest is not read."""
    part = await response.content.readany()
    parts, size = [part], len(part)
    while not response.content.at_eof() and size <= _LARGEST:
        part = await response.content.readany()
        parts.append(part)
        size += len(part)
    if size > _LARGEST:
        response.close()
        raise BadAnswer(f"{response.status}, but over {_LARGEST // 2**20} MB long; it was cut off")
    return b"".join(parts)
