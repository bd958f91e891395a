"""Runs a command's event loop and follows a run to its end: progress, signals, exit code."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Self, TextIO, TypeVar, cast

from linker import log
from linker.cli.progress import Progress
from linker.client.run import Run
from linker.errors import GuardStopped, Stopped, TooManyRemovals
from linker.results.result import Outcome

_DRAINED = "the requests in flight have finished"

T = TypeVar("T")


def run_in_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in an event loop of uvloop if that is installed (the extra `fast`), else of asyncio."""
    factory: Callable[[], asyncio.AbstractEventLoop] | None
    try:
        import uvloop

        factory = uvloop.new_event_loop
    except ImportError:
        factory = None
    gc.freeze()  # what was imported stays; else each full collection looks at it, which takes as long as 150 requests
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


async def until_signal(main: Coroutine[Any, Any, T], interrupted: T) -> tuple[T, int]:
    """Return what a coroutine returns, and 0; or `interrupted`, and the number of the signal that ended it early."""
    task = asyncio.get_running_loop().create_task(main)
    caught = 0

    def end(number: int) -> None:
        nonlocal caught
        caught = number
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end, number)
    try:
        return await task, 0
    except asyncio.CancelledError:
        if not caught:
            raise
        return interrupted, caught


async def follow(
    run: Run, progress: Progress, on_outcome: Callable[[Outcome], None] | None = None, *, unfinished: str = _DRAINED
) -> int:
    """Iterate over a run to its end; return the exit code if it ended early, else 0.

    Args:
        on_outcome: called with each outcome.
        unfinished: the message if a signal ended the run, after `interrupted; `.

    Raises:
        UsageError: a file cannot be used; nothing was written.
        GuardStopped: the guard stopped it before anything was written.
    """
    stopped: Stopped | None = None
    async with AsyncExitStack() as stack:
        signals = stack.enter_context(_Signals(run, progress))
        stack.enter_context(_Stderr(signals.gone))
        await stack.enter_async_context(progress.shown(run))
        try:
            async for outcome in run.outcomes():
                if on_outcome is not None:
                    on_outcome(outcome)
        except Stopped as error:
            stopped = error
        except asyncio.CancelledError:
            if signals.caught is None:
                raise
    if isinstance(stopped, TooManyRemovals) and signals.caught is not None:
        stopped = None  # nobody answered no: the signal withdrew the question
    if isinstance(stopped, GuardStopped) and not stopped.written:
        raise stopped
    if stopped is not None:
        log.tell("stopped_early", f"linker: stopped early: {stopped}", "error")
        return 3
    if signals.caught is not None:
        log.tell("interrupted", f"linker: interrupted; {unfinished}", "error")
        return 128 + signals.caught
    return 0


class _Signals:
    """Handles signals: the first (Ctrl-C, SIGTERM, SIGHUP) lets requests in flight finish; the second stops at once."""

    def __init__(self, run: Run, progress: Progress) -> None:
        self._run = run
        self._progress = progress
        self.caught: int | None = None
        ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # nohup ignores it
        self._numbers = (signal.SIGINT, signal.SIGTERM, *([] if ignored else [signal.SIGHUP]))

    def __enter__(self) -> Self:
        for number in self._numbers:
            asyncio.get_running_loop().add_signal_handler(number, self._catch, number)
        return self

    def __exit__(self, *_: object) -> None:
        for number in self._numbers:
            asyncio.get_running_loop().remove_signal_handler(number)
        if self.caught is not None:  # the command is ending, and one more Ctrl-C must not disturb that
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    def gone(self) -> None:
        """Stop the run: the terminal or pipe that read stderr was closed."""
        self.caught = self.caught or signal.SIGPIPE
        self._progress.withdraw()
        self._run.stop()

    def _catch(self, number: int) -> None:
        if self.caught is None:
            self.caught = number
            self._progress.withdraw()
            log.tell("interrupted", "linker: finishing the requests in flight; press Ctrl-C again to stop now")
            self._run.stop()
        else:
            self._run.abandon()


class _Stderr:
    """Replaces stderr: if its reader goes away, no write fails, and `gone` is called once."""

    def __init__(self, gone: Callable[[], None]) -> None:
        self._stream = sys.stderr
        self._gone = gone
        self._is_gone = False

    def __enter__(self) -> None:
        sys.stderr = cast("TextIO", self)

    def __exit__(self, *_: object) -> None:
        if not self._is_gone:
            sys.stderr = self._stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, unless the reader is gone."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush, unless the reader is gone."""
        self._try(self._stream.flush)

    def _try(self, call: Callable[[], object]) -> None:
        if self._is_gone:
            return
        try:
            call()
        except OSError:
            self._is_gone = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())  # else Python reports it again
            self._gone()
