"""Sends requests until there is an answer that counts; what a reply means for the whole run is decided here."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

import msgspec

from linker import log
from linker.api.answers import Answer, Reply
from linker.api.lists import PAGE_SIZE, SMALLEST_PAGE, PageRequest
from linker.api.requests import ApiRequest, ReadRequest, Request
from linker.api.statuses import TOO_SLOW, may_be_applied
from linker.errors import Error, ErrorType, OutOfDescriptors, Stopped, TimedOut, Unauthorized, Unreachable
from linker.ratelimit.limiter import Closed, RateLimiter
from linker.retry.breaker import Breaker
from linker.retry.refusals import Subject, explained, rejected_token
from linker.retry.verdict import Accept, Again, GiveUp, Pause, describe, verdict
from linker.sessions.pool import SessionPool
from linker.settings import Settings

_A_YEAR_S: Final = 365 * 86400.0

Fetch: TypeAlias = Callable[[Request | PageRequest], Coroutine[Any, Any, Answer | GiveUp]]
"""`Sender.fetch` for a target, or for a page of a list."""

Read: TypeAlias = Callable[[ReadRequest], Coroutine[Any, Any, Answer | GiveUp]]
"""`Sender.fetch` for an object that its caller reads."""


class Retry(msgspec.Struct, frozen=True, gc=False):
    """Send the request again after `after_s` seconds."""

    after_s: float


Decision: TypeAlias = Accept | Retry | Pause | GiveUp
"""What follows from a reply."""


class Sender:
    """Sends requests of one run to one account.

    A stage that needs an answer calls `fetch`. A worker calls `send` and `judge` for one try, so that it is free for
    other work while a request waits for its next try.

    Args:
        stop: called with the error when the run must end, such as for a token that the account rejects. Without it,
            that error is raised.
    """

    def __init__(
        self,
        settings: Settings,
        pool: SessionPool,
        limiter: RateLimiter,
        stop: Callable[[Stopped | Unreachable], None] | None = None,
    ) -> None:
        self._settings = settings
        self._limiter = limiter
        self._stop = stop
        self._ended: Stopped | Unreachable | None = None
        self._page_size = PAGE_SIZE
        self.breaker = Breaker(settings, pool, self.end, self._pause)
        self._log = log.get_logger()

    async def fetch(
        self,
        request: ApiRequest,
        arrived: Callable[[], Coroutine[Any, Any, Answer | GiveUp | None]] | None = None,
        *,
        is_recent: Callable[[float], bool] | None = None,
    ) -> Answer | GiveUp:
        """Send a request until there is an answer that counts, or no further try makes sense.

        Args:
            arrived: for a request that must not be applied twice. It is called before a second try if no answer came
                to an earlier one; what it returns, unless None, is returned instead of trying again.
            is_recent: for a request that rests on an earlier read: whether that is still recent at this loop time. If
                it is not when the request's turn has come, `arrived` is called first.

        Raises:
            asyncio.CancelledError: the run is being stopped.
            Stopped, Unreachable: the run must end, and this sender has no `stop`.
        """
        if not isinstance(request, PageRequest | ReadRequest) or not request.number:
            answer = await self._fetch(request, arrived, is_recent)
            assert answer is not None  # it has no pages
            return answer
        if request.per_page <= self._page_size and (answer := await self._fetch(request)) is not None:
            return answer
        return await self._in_halves(request)

    async def _fetch(
        self,
        request: ApiRequest,
        arrived: Callable[[], Coroutine[Any, Any, Answer | GiveUp | None]] | None = None,
        is_recent: Callable[[float], bool] | None = None,
    ) -> Answer | GiveUp | None:
        """Do what `fetch` does; return None if a page of a list takes the account too long."""
        attempt = refusal = 0
        in_doubt = False
        while True:
            if in_doubt and arrived is not None and (found := await arrived()) is not None:
                return found
            attempt += 1
            try:
                reply = await self.send(lambda now: request if is_recent is None or is_recent(now) else None)
            except Closed:
                raise asyncio.CancelledError from None
            in_doubt = in_doubt or may_be_applied(reply.status if isinstance(reply, Answer) else None)
            if reply is None:  # an outage, during which no try counts, or a read that is too old
                attempt = 0
                continue
            if isinstance(reply, TimedOut) and reply.suspended:
                attempt -= 1
            elif attempt > 1 and _is_too_large(request, reply):
                return None
            match self.judge(request, reply, attempt, attempt, refusal):
                case Accept(answer):
                    return answer
                case Retry(after_s):
                    refusal = 0
                    await asyncio.sleep(after_s)
                case Pause():
                    attempt, refusal = attempt - 1, refusal + 1
                case GiveUp() as given_up:
                    self.give_up(request, given_up)
                    if given_up.error.type is ErrorType.UNAUTHORIZED:
                        raise asyncio.CancelledError
                    return given_up

    async def _in_halves(self, request: PageRequest | ReadRequest) -> Answer | GiveUp:
        """Read a page as two pages of half the size; the second only if the list has it."""
        first, second = request.halves()
        if first.per_page < self._page_size:
            self._page_size = first.per_page
            self._log.info(log.SMALLER_PAGES, request=str(request), per_page=first.per_page)
        answer = await self.fetch(first)
        if isinstance(answer, GiveUp):
            return answer
        if not first.has_more(answer):
            return request.joined(answer, None)
        rest = await self.fetch(second)
        return rest if isinstance(rest, GiveUp) else request.joined(answer, rest)

    async def send(self, choose: Callable[[float], ApiRequest | None], *, first: bool = False) -> Reply | None:
        """Send one request once, and return the reply; None if it was not sent, or failed of an outage.

        Args:
            choose, first: as for `SessionPool.send`.

        Raises:
            Closed: the run is being stopped; nothing was sent.
            Stopped, Unreachable: the run must end, and this sender has no `stop`.
        """
        if self._ended is not None:  # another request of this sender found out, while this one waited
            raise self._ended
        try:
            return await self.breaker.send(choose, first=first)
        except OutOfDescriptors as error:
            self.end(error)
            raise Closed from None

    def judge(self, request: Subject, reply: Reply, attempt: int, counted: int, refusal: int) -> Decision:
        """Return what follows from a reply. If the account asks for a pause, the whole run pauses from now on.

        Args:
            request: what is sent; `str()` names it in the log, and its `subject` in errors.
            attempt: how often the request was sent.
            counted: how many of these tries count towards `Settings.attempts`.
            refusal: how many replies in a row before this one asked the run to wait.
        """
        match verdict(reply, counted, refusal, self._settings):
            case Again(least_s, most_s):
                after_s = random.uniform(least_s, most_s)  # noqa: S311  jitter is no secret
                why = describe(reply)
                self._log.info(log.RETRY, request=str(request), attempt=attempt, after_s=round(after_s, 2), why=why)
                return Retry(after_s)
            case Pause(seconds) as pause:
                self._pause(request, seconds, describe(reply))
                return pause
            case GiveUp(Error(ErrorType.UNAUTHORIZED) as error, 401) if self.breaker.was_well:
                # a probe was answered since
                verb = "read" if request.method == "GET" else "change"
                message = f"your token may not {verb} {request.subject} ({error.message}); other requests are accepted"
                return GiveUp(Error(ErrorType.FORBIDDEN, message), 401)
            case GiveUp() as given_up:
                return explained(given_up, reply, request)
            case decision:
                return decision

    def give_up(self, request: ApiRequest, given_up: GiveUp) -> None:
        """Log that a request has failed for good; if the account rejects the token (401), end the run."""
        error = given_up.error
        if error.type is ErrorType.UNAUTHORIZED:
            self.end(Unauthorized(rejected_token(error.message)))
        else:
            self._log.info(log.GAVE_UP, request=str(request), error=error.type.value, message=error.message)

    def end(self, why: Stopped | Unreachable) -> None:
        """End the run. Raises `why` if this sender has no `stop`."""
        if self._stop is None:
            self._ended = why
            raise why
        self._stop(why)

    def _pause(self, request: object, seconds: float, why: str = "") -> None:
        because = {"why": why} if why else {}
        self._log.warning(log.PAUSED, request=str(request), seconds=round(seconds, 2), **because)
        if seconds > self._settings.max_wait:
            at = datetime.now(UTC).astimezone() + timedelta(seconds=min(seconds, _A_YEAR_S))
            self.end(
                Stopped(
                    f"the account asks linker to wait {seconds:,.0f} s, longer than --max-wait allows; continue with "
                    f"--resume after {at:%Y-%m-%d %H:%M:%S}"
                )
            )
        else:
            self._limiter.pause(seconds)


def _is_too_large(request: ApiRequest, reply: Reply) -> bool:
    """Whether a page of a list takes the account too long, and may be read in halves."""
    if not isinstance(request, PageRequest | ReadRequest) or not request.number:
        return False
    if request.per_page // 2 < SMALLEST_PAGE:
        return False
    return isinstance(reply, TimedOut) or (isinstance(reply, Answer) and reply.status in TOO_SLOW)
