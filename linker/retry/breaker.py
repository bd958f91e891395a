"""The circuit breaker: during an outage of the account, only a probe is sent now and then.

    closed ──(20 failures in a row of one cause; 3 pages of a firewall; an accepted token is rejected)──▶ open
    open ──(a probe is answered)──▶ closed      failing for longer than `max_wait` ──▶ the run stops

Every request passes the gate first. While the breaker is open, nothing leaves but a probe at growing intervals. The
probe asks for no target but for the token's owner (`GET /me`), because targets may fail by themselves: if it is
answered, the account is well, and the failures so far count as attempts. If it fails, there is an outage, and the
failures of an outage use up no attempt.

Before anything was well, failures that no waiting mends end the run at once: an unknown host, a certificate that is not
trusted, a login page.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from linker import log
from linker.api.answers import Answer, Reply
from linker.api.requests import ME, ApiRequest
from linker.errors import RequestFailed, Stopped, TimedOut, Unauthorized, Unreachable
from linker.retry.beginning import Beginning
from linker.retry.cause import IN_A_ROW, Cause, cause_of, in_a_row, lasts
from linker.retry.refusals import rejected_token
from linker.retry.verdict import asked_s, backoff_s, describe, is_limit
from linker.sessions.pool import SessionPool
from linker.sessions.token import NEW_ONE
from linker.settings import Settings

__all__ = ["IN_A_ROW", "Breaker", "Cause", "cause_of"]

_LASTING_S: Final = 120.0
"""How long a failure is waited for that most likely lasts until somebody acts, if the account was well before."""


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
        self._failing_since: float | None = None  # when the first of all failures in a row came, of whatever cause
        self._open_since: float | None = None
        self._probes = 0
        self._probing = False
        self._probe_at = 0.0  # loop time
        self._changed = asyncio.Event()
        self._beginning = Beginning()
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
            has_opened = self._open_since is not None  # while this request waited for its turn
            request = None if has_opened else choose(now)
            if request is not None and not self.was_well:
                self._beginning.leaves(request)
            return request

        while True:
            if self.is_open:
                await self._wait(lambda: not self.is_open)
            try:
                reply: Reply | None = await self._pool.send(chosen, first=first)
            except RequestFailed as failure:
                reply = failure
            if not has_opened or self._ended:
                break
        if reply is not None and _is_success(reply):  # nearly all of them
            self.was_well = True
            self._end_streak()
            return reply
        if reply is None or self._ends_at_once(reply):
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
        if reply is None or self._ends_at_once(reply) or (isinstance(reply, TimedOut) and reply.suspended):
            return  # says nothing about the account
        cause = cause_of(reply)
        if cause is Cause.FORBIDDEN and self._cause is not cause:
            cause = None  # the account answers; it does not tell everybody whose token it is
        if is_limit(reply) or (cause and asked_s(reply) > self._settings.max_wait):
            self._pause(ME, asked_s(reply) or backoff_s(self._probes + 1, self._settings))
            self._failed_again(reply)  # whether the account is well will show when it lets a probe through
        elif cause is None:
            self.was_well = self.was_well or _is_success(reply)
            self._close()
        elif cause is Cause.UNAUTHORIZED and not self.was_well:
            self._ended = True
            self._end(Unauthorized(rejected_token(reply)))
        else:
            self._cause = cause
            if not self.is_outage:
                self.is_outage = True
                self.outages += 1
                why = describe(self._last or reply)
                self._log.warning(log.OUTAGE, cause=cause.value, why=why, most_s=self._most_s(reply))
            self._failed_again(reply)

    def _ends_at_once(self, reply: Reply) -> bool:
        """End the run if nothing was ever well, and a reply shows that waiting is most likely in vain."""
        if self.was_well or self._ended:
            return False
        why = self._beginning.end(reply, asyncio.get_running_loop().time())
        if why is not None:
            self._stop(why)
        return why is not None

    def _has_failed_for(self, seconds: float) -> bool:
        """Whether failures have lasted for so long, counted from the first one."""
        since = self._failing_since
        return since is not None and asyncio.get_running_loop().time() - since >= seconds

    def _count(self, reply: Reply) -> bool:
        """Count a reply that is no success. Returns whether the breaker is open, so that it may be an outage."""
        if isinstance(reply, TimedOut) and reply.suspended:
            return self.is_open  # this reply says nothing about the account
        if asked_s(reply) > self._settings.max_wait:
            return False  # longer than an outage may last: `Sender` ends the run
        cause, now = cause_of(reply), asyncio.get_running_loop().time()
        is_refusal = isinstance(reply, Answer) and reply.status == 429
        if cause is None and (is_refusal or not is_limit(reply)):
            self.was_well = self.was_well or not (is_refusal or _is_foreign(reply))
            self._end_streak()
            return False
        if cause is Cause.UNAUTHORIZED and not self.was_well:
            return False  # a token that was never accepted is no outage
        self._failing_since = now if self._failing_since is None else self._failing_since
        is_over = self._has_failed_for(self._most_s(reply))
        if cause is None:  # a ban, which is waited for like a 429, but not for ever
            self._failures = 0
            if is_over:
                self._stop_failing(reply)
            return False
        self.was_well = self.was_well or cause is Cause.FORBIDDEN
        self._failures = self._failures + 1 if cause is self._cause else 1
        self._cause, self._last = cause, reply
        if not self.is_open and (self._failures >= in_a_row(cause) or is_over):
            self._open_since, self._probes = now, 0
            self._wait_for_probe(reply)
        return self.is_open

    def _end_streak(self) -> None:
        """An answer has come. If the breaker is open, that was on its way before, and the probes tell."""
        self._failures = 0
        if not self.is_open:
            self._failing_since = None

    def _most_s(self, reply: Reply) -> float:
        """How many seconds failures like this one may last."""
        return min(self._settings.max_wait, _LASTING_S) if lasts(reply) else self._settings.max_wait

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
        self._failing_since = None
        self.is_outage = False
        self._changed.set()

    def _failed_again(self, reply: Reply) -> None:
        self._probes += 1
        if self._has_failed_for(self._most_s(reply)):
            self._stop_failing(reply)
        else:
            self._wait_for_probe(reply)

    def _stop_failing(self, reply: Reply) -> None:
        """End the run: its requests have failed for too long."""
        seconds = asyncio.get_running_loop().time() - (self._failing_since or 0.0)
        how_long = f"for {seconds / 60:.0f} min" if seconds >= 90 else "for too long"
        what = describe(reply)
        if self._cause is Cause.UNAUTHORIZED:
            self._stop(Unauthorized(f"the account has rejected your token {how_long} ({what}). {NEW_ONE}"))
        elif is_limit(reply) or self._cause in (Cause.BLOCKED, Cause.FORBIDDEN):
            self._stop(
                Stopped(
                    f"every request was refused {how_long} ({what}); "
                    "continue with --resume when requests are allowed again"
                )
            )
        else:
            do = reply.advice if isinstance(reply, RequestFailed) and lasts(reply) else None
            do = do or "continue with --resume when it answers again"
            self._stop(Stopped(f"the account has not answered {how_long} ({what}); {do}"))

    def _stop(self, why: Stopped | Unreachable) -> None:
        self._ended = True
        self._changed.set()
        self._end(why)

    def _wait_for_probe(self, reply: Reply) -> None:
        """Set when the next probe may leave: after a wait that doubles, or that the account asks for.

        The last probe leaves right before the outage becomes too long.
        """
        now = asyncio.get_running_loop().time()
        wait_s = max(backoff_s(self._probes + 1, self._settings), asked_s(reply))
        assert self._failing_since is not None
        self._probe_at = min(now + wait_s, max(now, self._failing_since + self._most_s(reply)))


def _is_success(reply: Reply) -> bool:
    return isinstance(reply, Answer) and reply.status < 300


def _is_foreign(reply: Reply) -> bool:
    return isinstance(reply, Answer) and reply.is_foreign
