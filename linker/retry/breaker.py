"""The circuit breaker: during an outage of the account, only a probe is sent now and then.

    closed ──(20 failures in a row of one cause, or the account rejects a token that it accepted before)──▶ open
    open ──(a probe is answered)──▶ closed          open for longer than `max_wait` ──▶ the run stops

Every request passes the gate first. While the breaker is open, nothing leaves but a probe at growing intervals. The
probe asks for no target but for the token's owner (`GET /me`), because targets may fail by themselves: if it is
answered, the account is well, and the failures so far count as attempts. If it fails, there is an outage, and the
failures of an outage use up no attempt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from linker import log
from linker.api.answers import Answer, Reply
from linker.api.requests import ME, ApiRequest
from linker.errors import (
    ConnectionFailed,
    ErrorType,
    RequestFailed,
    Stopped,
    TimedOut,
    Unauthorized,
    Unreachable,
)
from linker.retry.verdict import backoff_s
from linker.sessions.pool import SessionPool
from linker.settings import Settings

IN_A_ROW: Final = 20
"""So many failures of one cause, with no answer between them, are an outage."""


class Cause(StrEnum):
    """Why all requests fail during an outage."""

    CONNECTION = "connection"
    SERVER_ERROR = "server_error"
    BAD_ANSWER = "bad_answer"
    UNAUTHORIZED = "unauthorized"


_CAUSES: Final = {
    ErrorType.CONNECTION: Cause.CONNECTION,
    ErrorType.TIMEOUT: Cause.CONNECTION,
    ErrorType.BAD_ANSWER: Cause.BAD_ANSWER,
}


def cause_of(reply: Reply) -> Cause | None:
    """Return why a request failed if others may fail for the same reason; None if the account is well."""
    if isinstance(reply, RequestFailed):
        return _CAUSES[reply.type]
    if reply.status == 401:
        return Cause.UNAUTHORIZED
    if reply.status == 407:
        return Cause.CONNECTION
    if 300 <= reply.status < 400:
        return Cause.BAD_ANSWER  # most likely a redirect to a login page
    return Cause.SERVER_ERROR if reply.status >= 500 or reply.status == 408 else None


def describe(reply: Reply) -> str:
    """Return what a reply says, for people: `503: Service Unavailable`."""
    return str(reply) if isinstance(reply, RequestFailed) else f"{reply.status}: {reply.message}"


class Breaker:
    """The breaker of one run on one account.

    Args:
        end: called with the error of the run when an outage lasts too long, if a probe finds the token rejected, or if
            the account was never reached and most likely never will be.
        pause: called with the request and the seconds for which the account asks to wait.

    Example:
        >>> reply = await breaker.send(choose)
        >>> if reply is None and breaker.is_outage: ...  # send it again later
    """

    def __init__(
        self,
        settings: Settings,
        pool: SessionPool,
        end: Callable[[Stopped | Unreachable], None],
        pause: Callable[[ApiRequest, float], None],
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._end = end
        self._pause = pause
        self._cause: Cause | None = None  # of the failures in a row
        self._failures = 0
        self._last: Reply | None = None  # of them
        self._open_since: float | None = None
        self._probes = 0
        self._probing = False
        self._probe_at = 0.0  # loop time
        self._changed = asyncio.Event()
        self._was_reached = False
        self._ended = False
        self._log = log.get_logger()
        self.was_well = False
        """Whether the account has accepted the token before."""
        self.is_outage = False
        """Whether a probe has failed too, so that the failures are the account's."""
        self.outages = 0
        """How many outages there were."""

    def __repr__(self) -> str:
        state = f"open, {self._probes} probes" if self.is_open else f"{self._failures} failures in a row"
        return f"<Breaker {state}>"

    @property
    def is_open(self) -> bool:
        """Whether only probes are sent, because there is an outage or seems to be one."""
        return self._open_since is not None

    @property
    def in_streak(self) -> bool:
        """Whether the last requests have failed, so that an outage may be near."""
        return self._failures > 0

    def suspects(self, reply: Reply) -> bool:
        """Whether a request may have failed of an outage that is not certain yet."""
        return self.in_streak and cause_of(reply) is not None

    def wake(self) -> None:
        """Open the gate for good: the run is being stopped, and whoever waits must find that out."""
        self._ended = True
        self._changed.set()

    async def send(self, choose: Callable[[float], ApiRequest | None], *, first: bool = False) -> Reply | None:
        """Send one request once it may leave, and return the reply; None if it was not sent, or failed of an outage.

        Args:
            choose, first: as for `SessionPool.send`.

        Raises:
            Closed: the run is being stopped; nothing was sent.
            OutOfDescriptors: this process may open no more connections.
        """
        has_opened = False

        def chosen(now: float) -> ApiRequest | None:
            nonlocal has_opened
            has_opened = self.is_open  # while this request waited for its turn
            return None if has_opened else choose(now)

        while True:
            await self._wait(lambda: not self.is_open)
            try:
                reply: Reply | None = await self._pool.send(chosen, first=first)
            except RequestFailed as failure:
                reply = failure
            if not has_opened or self._ended:
                break
        if reply is None or self._is_out_of_reach(reply):
            return None
        if not self._count(reply):
            return reply
        return None if await self._becomes_outage() else reply

    async def _becomes_outage(self) -> bool:
        """Wait until it is known whether the failures are the account's; return whether their tries do not count."""
        if self.is_outage:
            return True
        before = self.outages
        await self._wait(lambda: not self.is_open or self.is_outage)
        return self._ended or self.outages > before

    async def _wait(self, is_over: Callable[[], bool]) -> None:
        """Wait until something is so, or the run ends; whoever waits sends the probe when it is due."""
        loop = asyncio.get_running_loop()
        while not (self._ended or is_over()):
            if not self._probing and loop.time() >= self._probe_at:
                await self._probe()
                continue
            self._changed.clear()
            try:
                async with asyncio.timeout_at(None if self._probing else self._probe_at):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _probe(self) -> None:
        """Find out whether the account is well."""
        self._probing = True
        try:
            reply: Reply | None = await self._pool.send(lambda _: ME, first=True)
        except RequestFailed as failure:
            reply = failure
        finally:
            self._probing = False
            self._changed.set()
        if reply is None or self._is_out_of_reach(reply) or (isinstance(reply, TimedOut) and reply.suspended):
            return  # says nothing about the account
        cause = cause_of(reply)
        asked_s = (reply.retry_after_s or 0.0) if isinstance(reply, Answer) else 0.0
        if isinstance(reply, Answer) and (reply.status == 429 or (cause and asked_s > self._settings.max_wait)):
            self._pause(ME, asked_s or backoff_s(self._probes + 1, self._settings))
            self._failed_again(reply)  # whether the account is well will show when it lets a probe through
        elif cause is None:
            self._close()
        elif cause is Cause.UNAUTHORIZED and not self.was_well:
            self._ended = True
            self._end(Unauthorized(f"the account did not take the token ({describe(reply)}); nothing more is sent"))
        else:
            self._cause = cause
            if not self.is_outage:
                self.is_outage = True
                self.outages += 1
                why = describe(self._last or reply)
                self._log.warning(log.OUTAGE, cause=cause.value, why=why, most_s=self._settings.max_wait)
            self._failed_again(reply)

    def _is_out_of_reach(self, reply: Reply) -> bool:
        """End the run if no request was ever answered and this one could not be sent, so that waiting is in vain."""
        self._was_reached = self._was_reached or not isinstance(reply, ConnectionFailed | TimedOut)
        if self._was_reached or not isinstance(reply, ConnectionFailed) or reply.advice is None:
            return False
        self._ended = True
        self._changed.set()
        self._end(Unreachable(f"{reply}; {reply.advice}"))
        return True

    def _count(self, reply: Reply) -> bool:
        """Count a reply, and return whether it may have failed of an outage, because the breaker is open."""
        if isinstance(reply, Answer) and reply.status < 300:  # nearly all of them
            self.was_well = True
            self._failures = 0
            return False
        if isinstance(reply, TimedOut) and reply.suspended:
            return self.is_open  # this reply says nothing about the account
        if isinstance(reply, Answer) and (reply.retry_after_s or 0.0) > self._settings.max_wait:
            return False  # longer than an outage may last: `Sender` ends the run
        cause = cause_of(reply)
        if cause is None:
            self.was_well = self.was_well or (isinstance(reply, Answer) and reply.status != 429)
            self._failures = 0
            return False
        if cause is Cause.UNAUTHORIZED and not self.was_well:
            return False  # a token that was never accepted is no outage
        self._failures = self._failures + 1 if cause is self._cause else 1
        self._cause, self._last = cause, reply
        if not self.is_open and (self._failures >= IN_A_ROW or cause is Cause.UNAUTHORIZED):
            self._open_since, self._probes = asyncio.get_running_loop().time(), 0
            self._wait_for_probe(reply)
        return self.is_open

    def _close(self) -> None:
        """The account is well."""
        assert self._open_since is not None
        seconds = round(asyncio.get_running_loop().time() - self._open_since, 1)
        if self.is_outage:
            self._log.warning(log.OUTAGE_OVER, seconds=seconds, probes=self._probes)
        else:
            assert self._last is not None
            self._log.info(log.NO_OUTAGE, probes=self._probes + 1, why=describe(self._last))
        self._open_since, self._cause, self._last, self._failures = None, None, None, 0
        self.is_outage = False
        self._changed.set()

    def _failed_again(self, reply: Reply) -> None:
        assert self._open_since is not None
        now = asyncio.get_running_loop().time()
        self._probes += 1
        if now - self._open_since < self._settings.max_wait:
            self._wait_for_probe(reply)
            return
        self._ended = True
        minutes = f"for {(now - self._open_since) / 60:.0f} min" if now - self._open_since >= 90 else "too long"
        if self._cause is Cause.UNAUTHORIZED:
            self._end(Unauthorized(f"the account takes the token no more ({describe(reply)}), {minutes}"))
        else:
            why = f"the account cannot be reached {minutes} ({describe(reply)}); go on when it is well"
            self._end(Stopped(why))

    def _wait_for_probe(self, reply: Reply) -> None:
        """Set when the next probe may leave: after a wait that doubles, or that the account asks for.

        The last probe leaves right before the outage becomes too long.
        """
        now = asyncio.get_running_loop().time()
        asked_s = reply.retry_after_s or 0.0 if isinstance(reply, Answer) else 0.0
        wait_s = max(backoff_s(self._probes + 1, self._settings), asked_s)
        assert self._open_since is not None
        self._probe_at = min(now + wait_s, max(now, self._open_since + self._settings.max_wait))
