"""The pool of aiohttp connections to one account.

A request takes a lease first, then a turn of the rate limiter. There are never more leases than connections, so no
request waits in aiohttp's own queue after its turn has come. One session with forty connections does the same as forty
sessions with one, for a fifth less CPU, so a pool has one session.

An answer counts only if it is one to the request. Proxies, caches and connections that went out of step answer with
what others asked for: such an answer is asked for again on a new connection.
"""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import Callable
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self

import aiohttp
from aiohttp import hdrs
from yarl import URL

from linker import log
from linker._version import __version__
from linker.api.answers import Answer, HttpAnswer, is_json
from linker.api.requests import ApiRequest
from linker.errors import BadAnswer, ConnectionFailed, OutOfDescriptors, RequestFailed, TimedOut
from linker.ratelimit.limiter import RateLimiter, Turn
from linker.sessions.body import ENCODINGS, read_body
from linker.sessions.connections import Connector, Exchange, Unusable
from linker.sessions.failures import request_failed
from linker.sessions.token import Token
from linker.settings import Settings

_OUT_OF_DESCRIPTORS: Final = (
    "linker cannot open more connections (too many open files); raise the limit (ulimit -n) or lower --concurrency"
)

_LATE_S: Final = 2.0
"""A time-out that comes so much later than it is due was caused by a suspended process, not by the account."""

_LONGEST_HEADER: Final = 66 * 1024
"""Bytes of a header line. Proxies add policies and traces of tens of kilobytes; aiohttp's default is 8 KB."""

_GIVEN_UP: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_TIMEOUT)
"""What servers send on a connection of which they expect nothing more, whether or not a request is on its way."""

_NEW_CONNECTION: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.MISDIRECTED_REQUEST, HTTPStatus.TOO_EARLY)
"""Answers after which a new connection may do better (RFC 9110, 15.5.9 and 15.5.20; RFC 8470, 5.2)."""

_NO_MAIL: Final = "disable_mailers=true"
"""Keeps a write from mailing the watchers, according to third parties; the vendor does not document it."""

_HEADERS: Final = {
    hdrs.ACCEPT: "application/json",
    hdrs.ACCEPT_ENCODING: ENCODINGS,
    hdrs.CACHE_CONTROL: "no-cache",  # a list that is read to be written back must not be an old one
    hdrs.CONTENT_TYPE: "application/json",
}

_USER_AGENT: Final = f"aha-linker/{__version__}"


class _SendOnce:
    """Keeps aiohttp from sending a request again by itself when a kept-alive connection drops.

    The account would count that request, and the rate limiter would not. `Sender` sends it again in its turn.
    """

    __slots__ = ("_lost", "exchange")

    def __init__(self) -> None:
        self.exchange: Exchange | None = None
        """The request that has left, or was about to."""
        self._lost: Exception = aiohttp.ServerDisconnectedError()

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if self.has_left:
            raise self._lost
        assert isinstance(request, Exchange)
        self.exchange = request
        try:
            return await handler(request)
        except aiohttp.ClientOSError as error:
            if isinstance(error.__cause__, ssl.SSLError):  # TLS 1.3 refuses late, in the place of an answer
                self._lost = error
            raise

    @property
    def has_left(self) -> bool:
        """Whether any of the request may have left."""
        return self.exchange is not None and self.exchange.connection is not None

    @property
    def is_first(self) -> bool:
        """Whether the request was the first one on its connection."""
        return self.exchange is not None and self.exchange.is_first

    def end(self) -> None:
        """The answer was read to its end, or given up."""
        if self.exchange is not None and self.exchange.connection is not None:
            self.exchange.connection.end(self.exchange)


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
        self._mismatches: dict[str, str] = {}  # by request: how its answer was none to it
        self._as_told: set[str] = set()  # requests whose mismatch a new connection has repeated
        self._log = log.get_logger()
        self.requests = 0

    def __repr__(self) -> str:
        return f"<SessionPool {self._settings.base_url}, {self._settings.concurrency} connections>"

    async def __aenter__(self) -> Self:
        settings = self._settings
        self._connector = Connector(settings.concurrency)
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            request_class=Exchange,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=None,  # aiohttp's own does not include a body that ends with its connection
                sock_connect=settings.connect_timeout_s,
                # costs a timer for each request, so it is set only if it can be the first to end one
                sock_read=settings.read_timeout_s if settings.read_timeout_s < settings.timeout_s else None,
            ),
            headers={hdrs.USER_AGENT: _USER_AGENT},
            proxy=settings.proxy,
            auto_decompress=False,
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
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
            sending = _SendOnce()
            try:
                async with asyncio.timeout(self._settings.timeout_s):  # around all of it, the body included
                    return await self._exchange(request, turn, sending)
            except RequestFailed as error:
                failure = error
            except (aiohttp.ClientError, TimeoutError, OSError, UnicodeError) as error:
                if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
                    raise OutOfDescriptors(_OUT_OF_DESCRIPTORS) from None
                failure = request_failed(error, self._settings)
                if isinstance(failure, TimedOut):
                    late_s = asyncio.get_running_loop().time() - turn.at - self._settings.timeout_s
                    failure.suspended = late_s > _LATE_S
            finally:
                sending.end()
            self._connector.distrust()
            failure.args = (self._token.kept_out_of_text(str(failure)),)  # it may repeat a part of the answer
            failure.sent_at = turn.at
            failure.was_sent = sending.has_left
            raise failure  # outside of the handler: the context would be aiohttp's error, with the request's headers

    async def _exchange(self, request: ApiRequest, turn: Turn, sending: _SendOnce) -> Answer:
        """Send a request on a connection that can be trusted, and return the answer to it."""
        while True:  # each connection that cannot be trusted is closed, so there is a new one in the end
            try:
                reply = await self._sent(request, turn, sending)
                break
            except Unusable:
                continue
        is_parting = reply.status in _GIVEN_UP and _is_parting(reply)
        if is_parting or reply.status in _NEW_CONNECTION:
            self._connector.distrust()
        if is_parting and not sending.is_first:
            raise ConnectionFailed(f"the connection was closed ({reply.status}) before an answer")
        answer = self._token.kept_out_of_answer(request.understand(reply))
        if (mismatch := request.mismatch(answer)) is not None and mismatch.subject not in self._as_told:
            if not (mismatch.may_be_so and sending.is_first and self._mismatches.get(str(request)) == mismatch.why):
                self._mismatches[str(request)] = mismatch.why
                raise BadAnswer(f"the answer ({reply.status}) does not fit the request: {mismatch.why}", reply.status)
            self._as_told.add(mismatch.subject)
            why = self._token.kept_out_of_text(mismatch.why)
            self._log.warning(log.OTHER_ANSWER, request=str(request), why=why)
        return answer

    async def _sent(self, request: ApiRequest, turn: Turn, sending: _SendOnce) -> HttpAnswer:
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
            middlewares=(sending,),
        ) as response:
            turn.record_answer(response.status, response.headers)
            headers = self._token.kept_out_of_headers(response.headers)
            body = self._token.kept_out_of(await read_body(response))
        return HttpAnswer(response.status, headers, body, turn.at)


def _is_parting(reply: HttpAnswer) -> bool:
    """Whether a 400 or 408 speaks of the connection, as one that came too late for the request before does."""
    return "close" in reply.headers.get(hdrs.CONNECTION, "").lower() or not is_json(reply.body)
