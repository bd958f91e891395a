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
from collections.abc import Callable, Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self

import aiohttp
from aiohttp import hdrs

from linker import log
from linker._version import __version__
from linker.api.answers import Answer, HttpAnswer, is_json
from linker.api.requests import ApiRequest
from linker.errors import BadAnswer, ConnectionFailed, OutOfDescriptors, RequestFailed, TimedOut
from linker.ratelimit.limiter import RateLimiter
from linker.sessions.body import ENCODINGS
from linker.sessions.connections import LONGEST_HEADER, Connector, PlainRequest, Sending, missing
from linker.sessions.deadline import Deadlines
from linker.sessions.exchange import Exchanges, Way
from linker.sessions.failures import request_failed
from linker.sessions.leases import Leases
from linker.sessions.plain import PlainRequests
from linker.sessions.token import Token
from linker.settings import Settings

_OUT_OF_DESCRIPTORS: Final = (
    "linker cannot open more connections (too many open files); raise the limit (ulimit -n) or lower --concurrency"
)

_LATE_S: Final = 2.0
"""A time-out that comes so much later than it is due was caused by a suspended process, not by the account."""

_GIVEN_UP: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_TIMEOUT)
"""What servers send on a connection of which they expect nothing more, whether or not a request is on its way."""

_NEW_CONNECTION: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.MISDIRECTED_REQUEST, HTTPStatus.TOO_EARLY)
"""Answers after which a new connection may do better (RFC 9110, 15.5.9 and 15.5.20; RFC 8470, 5.2)."""

_NO_MAIL: Final = "disable_mailers=true"
"""Keeps a write from mailing the watchers, according to third parties; the vendor does not document it."""

_HEADERS: Final[Mapping[str, str]] = {
    hdrs.ACCEPT: "application/json",
    hdrs.ACCEPT_ENCODING: ENCODINGS,
    hdrs.CACHE_CONTROL: "no-cache",  # a list that is read to be written back must not be an old one
    hdrs.CONTENT_TYPE: "application/json",
}

_USER_AGENT: Final = f"aha-linker/{__version__}"


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
        self._leases = Leases(settings.concurrency)
        self._session: aiohttp.ClientSession | None = None
        self._mismatches: dict[str, str] = {}  # by request: how its answer was none to it
        self._as_told: set[str] = set()  # requests whose mismatch a new connection has repeated
        self._log = log.get_logger()
        self.requests = 0

    def __repr__(self) -> str:
        return f"<SessionPool {self._settings.base_url}, {self._settings.concurrency} connections>"

    async def __aenter__(self) -> Self:
        settings = self._settings
        # costs a timer for each part of an answer, so it is set only if it can be the first to end one
        read_timeout_s = settings.read_timeout_s if settings.read_timeout_s < settings.timeout_s else None
        self._connector = Connector(settings.concurrency, read_timeout_s)
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            request_class=PlainRequest,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=None,  # aiohttp's own does not include a body that ends with its connection
                sock_connect=settings.connect_timeout_s,
                sock_read=read_timeout_s,
            ),
            headers={hdrs.USER_AGENT: _USER_AGENT},
            proxy=settings.proxy,
            auto_decompress=False,
            max_line_size=LONGEST_HEADER,
            max_field_size=LONGEST_HEADER,
        )
        self._deadlines = Deadlines()
        self._way = self._way_to_send(self._session)
        return self

    def _way_to_send(self, session: aiohttp.ClientSession) -> Way:
        headers: dict[str, str] = {**_HEADERS, hdrs.AUTHORIZATION: self._token.authorization}
        if not self._settings.plain_requests:
            if (lacking := missing(self._connector)) is None:
                return Exchanges(session, self._connector, self._settings, headers)
            self._log.warning(log.PLAIN_REQUESTS, aiohttp=aiohttp.__version__, lacking=lacking)
        return PlainRequests(session, self._settings, headers)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._session is not None:
            self._deadlines.close()
            self._way.close()
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
        limiter, leases = self._limiter, self._leases
        if not leases.take_at_once():
            await leases.take()
        try:
            turn = limiter.turn_at_once(self._stop) or await limiter.next_turn(self._stop, first=first)
            try:
                request = choose(turn.at)
                if request is None:
                    turn.give_back()
                    return None
                self.requests += 1
                sending = Sending(turn)
                try:
                    with self._deadlines.until(turn.at + self._settings.timeout_s):  # around all, the body included
                        return await self._exchange(request, sending)
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
            finally:
                turn.end()
        finally:
            leases.give_back()
        self._connector.distrust()
        failure.args = (self._token.kept_out_of_text(str(failure)),)  # it may repeat a part of the answer
        failure.sent_at = turn.at
        failure.was_sent = sending.has_left
        raise failure  # outside of the handler: the context would be aiohttp's error, with the request's headers

    async def _exchange(self, request: ApiRequest, sending: Sending) -> Answer:
        """Send a request on a connection that can be trusted, and return the answer to it."""
        path = request.path
        if self._settings.no_mail and request.method != "GET":
            path += f"{'&' if '?' in path else '?'}{_NO_MAIL}"
        status, headers, body = await self._way.send(request.method, path, request.body, sending)
        token = self._token
        reply = HttpAnswer(status, token.kept_out_of_headers(headers), token.kept_out_of(body), sending.turn.at)
        if status >= HTTPStatus.BAD_REQUEST:
            self._look_for_parting(reply, sending)
        answer = token.kept_out_of_answer(request.understand(reply))
        if (mismatch := request.mismatch(answer)) is not None and mismatch.subject not in self._as_told:
            if not (mismatch.may_be_so and sending.is_first and self._mismatches.get(str(request)) == mismatch.why):
                self._mismatches[str(request)] = mismatch.why
                raise BadAnswer(f"the answer ({reply.status}) does not fit the request: {mismatch.why}", reply.status)
            self._as_told.add(mismatch.subject)
            why = self._token.kept_out_of_text(mismatch.why)
            self._log.warning(log.OTHER_ANSWER, request=str(request), why=why)
        return answer

    def _look_for_parting(self, reply: HttpAnswer, sending: Sending) -> None:
        """Use new connections after an answer that asks for one. Raises `ConnectionFailed` if it came too early."""
        is_parting = reply.status in _GIVEN_UP and _is_parting(reply)
        if is_parting or reply.status in _NEW_CONNECTION:
            self._connector.distrust()
        if is_parting and not sending.is_first:
            raise ConnectionFailed(f"the connection was closed ({reply.status}) before an answer")


def _is_parting(reply: HttpAnswer) -> bool:
    """Whether a 400 or 408 speaks of the connection, as one that came too late for the request before does."""
    return "close" in reply.headers.get(hdrs.CONNECTION, "").lower() or not is_json(reply.body)
