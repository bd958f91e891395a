"""Deadlines of many requests with one timer; `asyncio.timeout` sets up and removes one for each request."""

from __future__ import annotations

import asyncio
import math
from types import TracebackType
from typing import Final

_EARLY_S: Final = 0.001
"""So much earlier than asked a timer may come: uvloop counts whole milliseconds."""


class Deadlines:
    """The deadlines of requests that are under way.

    Example:
        >>> with deadlines.until(loop.time() + 30):
        ...     await answer()  # raises TimeoutError after 30 s
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pending: set[Deadline] = set()
        self._timer_at = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def until(self, at: float) -> Deadline:
        """A block that raises `TimeoutError` once the loop time is `at`, as `asyncio.timeout_at` does."""
        return Deadline(self, at)

    def close(self) -> None:
        """Remove the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._timer_at = None, math.inf

    def _set_timer(self, at: float) -> None:
        self.close()
        self._timer, self._timer_at = self._loop.call_at(at, self._cancel_overdue), at

    def _cancel_overdue(self) -> None:
        now = self._loop.time() + _EARLY_S
        for deadline in [deadline for deadline in self._pending if deadline.at <= now]:
            self._pending.discard(deadline)
            deadline.expire()
        self.close()
        if self._pending:
            self._set_timer(min(deadline.at for deadline in self._pending))


class Deadline:
    """A block of one task that has a deadline."""

    __slots__ = ("_cancels", "_deadlines", "_is_expired", "_task", "at")

    def __init__(self, deadlines: Deadlines, at: float) -> None:
        self._deadlines = deadlines
        self._is_expired = False
        self.at = at

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._cancels = task, task.cancelling()
        deadlines = self._deadlines
        deadlines._pending.add(self)  # noqa: SLF001  two halves of one thing
        if self.at < deadlines._timer_at:  # noqa: SLF001
            deadlines._set_timer(self.at)  # noqa: SLF001

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._deadlines._pending.discard(self)  # noqa: SLF001
        # somebody else may have cancelled the task too: that counts, as with asyncio.timeout
        if self._is_expired and self._task.uncancel() <= self._cancels and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def expire(self) -> None:
        """End the block with `TimeoutError`."""
        self._is_expired = True
        self._task.cancel()
