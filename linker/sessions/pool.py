"""The pool of sessions: aiohttp's connections, leased, and the one file that knows its errors.

To hold a lease is to hold a connection: there are never more leases than connections, so nothing waits in
aiohttp's own queue behind the quota. One session of forty connections does what forty sessions of one do for
a fifth less CPU, so a pool has one.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from types import TracebackType
from typing import Final, Protocol, Self, TypeVar

import aiohttp
import msgspec
from aiohttp import hdrs
from yarl import URL

from linker._version import __version__
from linker.api.answers import Answer, HttpAnswer
from linker.api.requests import ApiRequest
from linker.errors import BadAnswer, OutOfDescriptors, RequestFailed, TimedOut
from linker.ratelimit.limiter import RateLimiter
from linker.sessions.failures import _ours
from linker.sessions.token import Token
from linker.settings import Settings

__all__ = ["Api", "SessionPool"]

_LARGEST: Final = 16 * 2**20
"""Bytes of an answer: a page of 200 targets with a thousand links each has a tenth of that."""

_OUT_OF_DESCRIPTORS: Final = (
    "no more connections can be opened: too many open files; raise the limit (ulimit -n) or lower --concurrency"
)

_LATE_S: Final = 2.0
"""A time-out that comes so much later than it is due is that of a process that was stopped, not of the account. aiohttp
itself rounds one of over 5 s up to a whole second of the clock."""

_NO_MAIL: Final = "disable_mailers=true"
"""Keeps a write from mailing the watchers, third parties say; the vendor does not document it."""

_HEADERS: Final = {
    hdrs.ACCEPT: "application/json",
    hdrs.ACCEPT_ENCODING: "gzip, deflate",
    hdrs.CONTENT_TYPE: "application/json",
}

_USER_AGENT: Final = f"aha-linker/{__version__}"


class Outgoing(Protocol):
    """What can be sent. `path` is a URL's, with its query."""

    @property
    def method(self) -> str:
        """The request's HTTP method."""

    @property
    def path(self) -> str:
        """Where it goes, below the account's base URL."""

    @property
    def body(self) -> bytes | None:
        """JSON, or nothing."""


R = TypeVar("R", bound=Outgoing)


class _Plain(msgspec.Struct, frozen=True):
    method: str
    path: str
    body: bytes | None


class _SendOnce:
    """Keeps aiohttp from sending a request again by itself when a kept-alive connection drops.

    Such a re-send would be counted by the account and by nobody here; the retry stage sends again, in its turn.
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
    """Connections to one account; each request takes a lease, then its turn, and leaves.

    Example:
        >>> async with SessionPool(settings, token, quota, stop) as pool:
        ...     reply = await pool.send("GET", "/api/v1/features/PRJ1-1")
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
                # a timer of its own for each request: only where it would end one sooner
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

    async def send(self, method: str, path: str, body: bytes | None = None) -> HttpAnswer:
        """One try of one request: a lease, then a turn of the quota, then out. `path` is a URL's, with its query.

        Raises:
            RequestFailed: no answer came, or no whole one.
            quota.Closed: the run is being stopped; nothing was sent.
        """
        sent = await self.exchange(lambda _: _Plain(method, path, body))
        assert sent is not None
        return sent[1]

    async def exchange(
        self, choose: Callable[[float], R | None], *, first: bool = False
    ) -> tuple[R, HttpAnswer] | None:
        """The same for a request that is chosen when its turn has come, by the loop's time, and what came back for it.

        Where there is nothing to send any more, None, the turn is given back.
        """
        assert self._session is not None, "the pool is not open"
        async with self._leases, self._limiter.turn(self._stop, first=first) as turn:
            chosen = choose(turn.at)
            if chosen is None:
                turn.give_back()
                return None
            self.requests += 1
            path = chosen.path
            if self._settings.no_mail and chosen.method != "GET":
                path += f"{'&' if '?' in path else '?'}{_NO_MAIL}"
            try:
                async with self._session.request(
                    chosen.method,
                    URL(self._settings.base_url + path, encoded=True),
                    data=chosen.body,
                    # not in the session, whose headers aiohttp sends to a proxy too, outside of TLS
                    headers={**_HEADERS, hdrs.AUTHORIZATION: self._token.authorization},
                    allow_redirects=False,  # wherever they lead, the token does not
                    middlewares=(_SendOnce(),),
                ) as response:
                    turn.hear(response.status, response.headers)
                    return chosen, self._reply(response, await _body(response), turn.at)
            except BadAnswer as error:
                failure: RequestFailed = error
            except (aiohttp.ClientError, TimeoutError, OSError, UnicodeError) as error:
                if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
                    raise OutOfDescriptors(_OUT_OF_DESCRIPTORS) from None
                failure = _ours(error, self._settings)
                if isinstance(failure, TimedOut):
                    late_s = asyncio.get_running_loop().time() - turn.at - self._settings.timeout_s
                    failure.suspended = late_s > _LATE_S
            failure.sent_at = turn.at
            raise failure  # out here, without aiohttp's error as its context: that carries the request's headers

    def _reply(self, response: aiohttp.ClientResponse, body: bytes, sent_at: float) -> HttpAnswer:
        """What came back, without the token."""
        headers = self._token.kept_out_of_headers(response.headers)
        return HttpAnswer(response.status, headers, self._token.kept_out_of(body), sent_at)


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """An answer's body, decompressed. Raises `BadAnswer` for one that is too long; the rest of it is not read."""
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


class Api:
    """One account's API, one try a call."""

    def __init__(self, pool: SessionPool) -> None:
        self._pool = pool

    async def send(self, choose: Callable[[float], ApiRequest | None], *, first: bool = False) -> Answer | None:
        """Send a request once and understand the answer; `first`, ahead of all that wait for their turn.

        What is sent is chosen when its turn has come, by the loop's time: a caller may find that there is nothing
        left to send (None), and the place in the quota is given back.

        Raises:
            RequestFailed: there was no answer of Aha!'s.
            quota.Closed: the run is being stopped; nothing was sent.
        """
        sent: tuple[ApiRequest, HttpAnswer] | None = await self._pool.exchange(choose, first=first)
        if sent is None:
            return None
        request, reply = sent
        try:
            return request.understand(reply)
        except BadAnswer as error:
            error.sent_at = reply.sent_at
            raise
