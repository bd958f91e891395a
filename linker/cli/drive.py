"""A run under the terminal's eye: its loop, its progress, its signals, its questions, and its exit code."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Self, TypeVar

from linker import log
from linker.cli.progress import Progress
from linker.errors import Stopped, TooManyRemovals
from linker.run import Run
from linker.work import Outcome

__all__ = ["follow", "may_ask", "run_in_loop"]

T = TypeVar("T")


def run_in_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run the command's loop, on uvloop where it is installed (the extra `fast`)."""
    factory: Callable[[], asyncio.AbstractEventLoop] | None
    try:
        import uvloop

        factory = uvloop.new_event_loop
    except ImportError:
        factory = None
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


def may_ask() -> bool:
    """Whether somebody is there to answer: both ends of the question are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


async def follow(run: Run, progress: Progress | None, each: Callable[[Outcome], None] | None = None) -> int:
    """Take a run to its end; the exit code that this makes it, 0 where it was not ended early.

    Raises:
        UsageError: a file cannot be used; nothing was written.
        TooManyRemovals: the guard stopped it before anything was written.
    """
    stopped: Stopped | None = None
    async with AsyncExitStack() as stack:
        signals = stack.enter_context(_Signals(run))
        if progress is not None:
            await stack.enter_async_context(progress.shown(run))
        try:
            async for outcome in run.outcomes():
                if each is not None:
                    each(outcome)
        except Stopped as error:
            stopped = error
        except asyncio.CancelledError:
            if signals.caught is None:
                raise
    if isinstance(stopped, TooManyRemovals) and not stopped.written:
        raise stopped
    if stopped is not None:
        log.tell("stopped_early", f"linker: stopped early: {stopped}", "error")
        return 3
    if signals.caught is not None:
        log.tell("interrupted", "linker: interrupted; jobs without a line in the results have not been done", "error")
        return 128 + signals.caught
    return 0


class _Signals:
    """The first Ctrl-C (or SIGTERM) lets what is under way end; the second ends at once."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.caught: int | None = None

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._catch, number)
        return self

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().remove_signal_handler(number)

    def _catch(self, number: int) -> None:
        if self.caught is None:
            self.caught = number
            log.tell("interrupted", "linker: stopping when what is under way has ended; once more stops at once")
            self._run.stop()
        else:
            self._run.abandon()
