"""One request at a time until there is an answer that counts: for stages that wait for what they ask."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

from linker import log
from linker.api.answers import Answer, Reply
from linker.api.lists import PAGE_SIZE, Listing, PageRequest
from linker.api.requests import ApiRequest, ReadRequest, Request
from linker.errors import OutOfDescriptors, RequestFailed, Stopped, TimedOut, Unauthorized
from linker.ratelimit.limiter import Closed, RateLimiter
from linker.retry.breaker import Breaker
from linker.retry.verdict import Accept, Again, GiveUp, Pause, verdict
from linker.sessions.pool import SessionPool
from linker.settings import Settings

__all__ = ["Fetch", "Fetcher", "Read", "every_page"]

_A_YEAR_S: Final = 365 * 86400.0

Fetch: TypeAlias = Callable[[Request | PageRequest], Coroutine[Any, Any, Answer | GiveUp]]
"""Sends a request until there is an answer that counts, or none will come."""

Read: TypeAlias = Callable[[ReadRequest], Coroutine[Any, Any, Answer | GiveUp]]
"""The same for what is read as it is."""


class Fetcher:
    """Sends, waits, sends again; and says so. What it decides about the account, the workers decide by it too.

    Args:
        stop: called where the run must end: a token that is not taken, a wait that is too long. Without it, that is
            raised.
    """

    def __init__(
        self, settings: Settings, pool: SessionPool, limiter: RateLimiter, stop: Callable[[Stopped], None] | None = None
    ) -> None:
        self._settings = settings
        self._limiter = limiter
        self._stop = stop
        self.breaker = Breaker(settings, pool, self.end)
        self._log = log.get_logger()

    async def fetch(
        self, request: ApiRequest, arrived: Callable[[], Coroutine[Any, Any, Answer | GiveUp | None]] | None = None
    ) -> Answer | GiveUp:
        """An answer that counts, for a stage that waits for it; cancels that stage where the run is stopped.

        Args:
            arrived: of a request that must not be done twice: asked, before it is sent again, whether it was done
                although no answer came; then what that returns is what comes of it.

        Raises:
            Stopped: the run must end, and nobody else is told.
        """
        attempt = refusal = 0
        in_doubt = False
        while True:
            if in_doubt and arrived is not None and (found := await arrived()) is not None:
                return found
            attempt += 1
            reply = await self._send(request)
            in_doubt = in_doubt or not isinstance(reply, Answer) or reply.status >= 500 or reply.status == 408
            if reply is None:
                attempt = 0
                continue
            if isinstance(reply, TimedOut) and reply.suspended:
                attempt -= 1
            match verdict(reply, attempt, refusal, self._settings):
                case Accept(answer):
                    return answer
                case GiveUp(error, 401):
                    self.unauthorized(error.message)
                    raise asyncio.CancelledError
                case GiveUp(error) as given_up:
                    self._log.info(log.GAVE_UP, request=str(request), error=error.type.value, message=error.message)
                    return given_up
                case Again(least_s, most_s):
                    refusal = 0
                    await asyncio.sleep(self.delay(request, attempt, least_s, most_s, reply))
                case Pause(seconds):
                    attempt, refusal = attempt - 1, refusal + 1
                    self.pause(request, seconds)

    async def _send(self, request: ApiRequest) -> Reply | None:
        """What comes of it; None where there is an outage."""
        try:
            return await self.breaker.send(lambda _: request)
        except Closed:
            raise asyncio.CancelledError from None
        except OutOfDescriptors as error:
            self.end(error)
            raise asyncio.CancelledError from None

    def delay(
        self,
        request: ApiRequest,
        attempt: int,
        least_s: float,
        most_s: float,
        reply: Reply,
    ) -> float:
        """How long to wait before the next try."""
        after_s = random.uniform(least_s, most_s)  # noqa: S311  jitter is no secret
        why = str(reply) if isinstance(reply, RequestFailed) else f"{reply.status}: {reply.message}"
        self._log.info(log.RETRY, request=str(request), attempt=attempt, after_s=round(after_s, 2), why=why)
        return after_s

    def pause(self, request: ApiRequest, seconds: float) -> None:
        """A 429 pauses the whole account."""
        self._log.warning(log.PAUSED, request=str(request), seconds=round(seconds, 2))
        if seconds > self._settings.max_wait:
            at = datetime.now(UTC) + timedelta(seconds=min(seconds, _A_YEAR_S))
            self.end(Stopped(f"the account asks to wait for {seconds:,.0f} s; go on after {at:%Y-%m-%d %H:%M:%S} UTC"))
        else:
            self._limiter.pause(seconds)

    def unauthorized(self, message: str) -> None:
        """A 401 ends the run."""
        self.end(Unauthorized(f"the account did not take the token ({message}); nothing more is sent"))

    def end(self, why: Stopped) -> None:
        """The run must end. Raises that, where nobody else is told."""
        if self._stop is None:
            raise why
        self._stop(why)


async def every_page(fetch: Fetch, listing: Listing) -> AsyncGenerator[tuple[PageRequest, Answer | GiveUp], None]:
    """The pages of a list, to its very end: where its total is missing or too small, as long as they bring more."""
    number, told, more = 0, 1, True
    known: set[str] = set()
    while more:
        number += 1
        request = listing.page(number)
        answer = await fetch(request)
        yield request, answer
        if isinstance(answer, GiveUp) or answer.page is None or not answer.page.items:
            return
        names = {item.id or item.reference for item in answer.page.items}
        told = max(told, answer.page.pages or 1)
        full = answer.page.pages is None or len(answer.page.items) >= PAGE_SIZE
        more = number < told or (full and not names <= known)
        known |= names
