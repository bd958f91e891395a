"""A run under the terminal's eye: its loop, its progress, its signals, and its exit code."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Self, TypeVar

from linker import log
from linker.cli.progress import Progress
from linker.errors import Stopped, TooManyRemovals
from linker.run import Run
from linker.work import Outcome

__all__ = ["follow", "run_in_loop"]

_LEFT = "what was under way has ended"

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


async def follow(
    run: Run, progress: Progress, each: Callable[[Outcome], None] | None = None, *, unfinished: str = _LEFT
) -> int:
    """Take a run to its end; the exit code that this makes it, 0 where it was not ended early.

    Args:
        unfinished: what to say of a run that was interrupted.

    Raises:
        UsageError: a file cannot be used; nothing was written.
        TooManyRemovals: the guard stopped it before anything was written.
    """
    stopped: Stopped | None = None
    async with AsyncExitStack() as stack:
        signals = stack.enter_context(_Signals(run, progress))
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
    if isinstance(stopped, TooManyRemovals) and signals.caught is not None:
        stopped = None  # nobody said no: the question was taken back
    if isinstance(stopped, TooManyRemovals) and not stopped.written:
        raise stopped
    if stopped is not None:
        log.tell("stopped_early", f"linker: stopped early: {stopped}", "error")
        return 3
    if signals.caught is not None:
        log.tell("interrupted", f"linker: interrupted; {unfinished}", "error")
        return 128 + signals.caught
    return 0


class _Signals:
    """The first Ctrl-C (or SIGTERM) lets what is under way end; the second ends at once."""

    def __init__(self, run: Run, progress: Progress) -> None:
        self._run = run
        self._progress = progress
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
            self._progress.withdraw()
            log.tell("interrupted", "linker: stopping when what is under way has ended; once more stops at once")
            self._run.stop()
        else:
            self._run.abandon()
