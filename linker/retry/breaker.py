"""The circuit breaker: during an outage of the account, only a probe is sent now and then.

    closed ──(20 failures in a row of one cause, or the account rejects a token that it accepted before)──▶ open
    open ──(a probe is answered)──▶ closed          open for longer than `max_wait` ──▶ the run stops

Every request passes the gate first. While the breaker is open, one request at a time gets through, at growing
intervals; this probe is a request that has to be sent anyway. Failures during an outage use up no attempt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from linker import log
from linker.api.answers import Answer, Reply
from linker.api.requests import ApiRequest
from linker.errors import ErrorType, RequestFailed, Stopped, TimedOut, Unauthorized
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
        end: called with the error of the run when an outage lasts too long.

    Example:
        >>> reply = await breaker.send(choose)
        >>> if reply is None and breaker.is_open: ...  # an outage: send it again later
    """

    def __init__(self, settings: Settings, pool: SessionPool, end: Callable[[Stopped], None]) -> None:
        self._settings = settings
        self._pool = pool
        self._end = end
        self._cause: Cause | None = None  # of the failures in a row
        self._failures = 0
        self._was_well = False
        self._open_since: float | None = None
        self._probes = 0
        self._probing = False
        self._probe_at = 0.0  # loop time
        self._changed = asyncio.Event()
        self._ended = False
        self._log = log.get_logger()

    def __repr__(self) -> str:
        state = f"open, {self._probes} probes" if self.is_open else f"{self._failures} failures in a row"
        return f"<Breaker {state}>"

    @property
    def is_open(self) -> bool:
        """Whether there is an outage, so that only probes are sent."""
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
        probe = await self._gate() if self.is_open else False
        reply: Reply | None = None
        try:
            reply = await self._pool.send(
                lambda now: choose(now) if probe or self._open_since is None else None, first=first
            )
        except RequestFailed as failure:
            reply = failure
        finally:
            if probe and reply is None:  # nothing was sent, so another request must be the probe
                self._probing = False
                self._changed.set()
        return None if reply is None or self._is_outage(reply, probe) else reply

    async def _gate(self) -> bool:
        """Wait until a request may leave, and return whether it is the probe."""
        loop = asyncio.get_running_loop()
        while self.is_open and not self._ended:
            if not self._probing and loop.time() >= self._probe_at:
                self._probing = True
                return True
            self._changed.clear()
            try:
                async with asyncio.timeout_at(None if self._probing else self._probe_at):
                    await self._changed.wait()
            except TimeoutError:
                continue
        return False

    def _is_outage(self, reply: Reply, probe: bool) -> bool:
        """Count a reply, and return whether it belongs to an outage, so that its try does not count."""
        if isinstance(reply, Answer) and reply.status < 300:  # nearly all of them
            if self._failures or not self._was_well:
                self._close()
            return False
        if isinstance(reply, TimedOut) and reply.suspended:
            self._probing = self._probing and not probe  # this reply says nothing about the account
            self._changed.set()
            return self.is_open
        if isinstance(reply, Answer) and (reply.retry_after_s or 0.0) > self._settings.max_wait:
            return False  # longer than an outage may last: `Sender` ends the run
        cause = cause_of(reply)
        if cause is None:
            self._close()
            return False
        if cause is Cause.UNAUTHORIZED and not self._was_well:
            return False  # a token that was never accepted is no outage
        self._failures = self._failures + 1 if cause is self._cause else 1
        self._cause = cause
        now = asyncio.get_running_loop().time()
        if self.is_open:
            if probe:
                self._failed_again(reply, now)
        elif self._failures >= IN_A_ROW or cause is Cause.UNAUTHORIZED:
            self._open_since, self._probes = now, 0
            self._log.warning(log.OUTAGE, cause=cause.value, why=describe(reply), most_s=self._settings.max_wait)
            self._wait_for_probe(reply, now)
        return self.is_open

    def _close(self) -> None:
        self._was_well = True
        self._cause, self._failures = None, 0
        if self._open_since is not None:
            seconds = asyncio.get_running_loop().time() - self._open_since
            self._open_since, self._probing = None, False
            self._log.warning(log.OUTAGE_OVER, seconds=round(seconds, 1), probes=self._probes)
            self._changed.set()

    def _failed_again(self, reply: Reply, now: float) -> None:
        self._probing = False
        self._probes += 1
        assert self._open_since is not None
        if now - self._open_since >= self._settings.max_wait:
            self._ended = True
            minutes = f"for {(now - self._open_since) / 60:.0f} min" if now - self._open_since >= 90 else "too long"
            if self._cause is Cause.UNAUTHORIZED:
                self._end(Unauthorized(f"the account takes the token no more ({describe(reply)}), {minutes}"))
            else:
                why = f"the account cannot be reached {minutes} ({describe(reply)}); go on when it is well"
                self._end(Stopped(why))
        else:
            self._wait_for_probe(reply, now)
        self._changed.set()

    def _wait_for_probe(self, reply: Reply, now: float) -> None:
        """Set when the next probe may leave: after a wait that doubles, or that the account asks for.

        The last probe leaves right before the outage becomes too long.
        """
        asked_s = reply.retry_after_s or 0.0 if isinstance(reply, Answer) else 0.0
        wait_s = max(backoff_s(self._probes + 1, self._settings), asked_s)
        assert self._open_since is not None
        self._probe_at = min(now + wait_s, max(now, self._open_since + self._settings.max_wait))
