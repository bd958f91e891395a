"""Shows how far a command is, on stderr: a bar on a terminal, otherwise a line every 15 seconds."""

from __future__ import annotations

import asyncio
import math
import os
import stat
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeGuard

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from linker import log
from linker.cli.bar import Bar
from linker.cli.output import counted, duration, new_lines
from linker.cli.prompt import ask
from linker.client.run import Run
from linker.pipeline.stages import Progress as State
from linker.ratelimit.permit import Delay, UsedBy
from linker.records.names import NewRecord
from linker.settings import Settings
from linker.text import harmless

_BAR_EVERY_S: Final = 0.2
_LINE_EVERY_S: Final = 15.0

_SHORT_S: Final = 2.0
"""A wait for the rate limit that is shorter is not worth a word."""

_PROBLEMS: Final = ("failed", "rejected")
"""Counts that are shown only if they are not 0."""


def _written(run: Run) -> Mapping[str, int]:
    summary = run.summary
    return {
        "linked": summary.linked,
        "unchanged": summary.unchanged,
        "failed": summary.failed,
        "rejected": summary.rejected,
    }


def _undone(run: Run) -> Mapping[str, int]:
    return {"undone" if word == "linked" else word: count for word, count in _written(run).items()}


def has_terminal(*, talks: bool) -> bool:
    """Whether a bar can be shown on stderr.

    Args:
        talks: the command prints lines meanwhile; if they go to a pipe (`| less`), a bar would disturb its reader.
    """
    is_piped = stat.S_ISFIFO(os.fstat(sys.stdout.fileno()).st_mode)
    is_dumb = Console(stderr=True).is_dumb_terminal
    return sys.stderr.isatty() and not is_dumb and not log.is_json() and not (talks and is_piped)


class Progress:
    """Shows how far a run is. The bar gives way to a line of output or a question.

    Args:
        visible: False shows no progress; `say`, `ask` and the questions still work.
        doing: one word for what the run does, such as `linking`.
        counts: returns the words and numbers to show; `failed` and `rejected` are shown only if they are not 0.
        talks: whether the command prints lines during the run.
        undo: the run undoes another.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        visible: bool,
        doing: str = "linking",
        counts: Callable[[Run], Mapping[str, int]] | None = None,
        talks: bool = False,
        undo: bool = False,
    ) -> None:
        self._settings = settings
        self._visible = visible
        self._doing = doing
        self._counts = counts or (_undone if undo else _written)
        self._talks = talks
        self._live: Live | None = None
        self._free, self._gone = asyncio.Event(), asyncio.Event()
        self._free.set()  # no question is being asked
        self._gone.set()  # no bar is on the terminal
        self._one_question = asyncio.Lock()
        self._asking: asyncio.Task[bool] | None = None
        self._withdrawn = False

    @asynccontextmanager
    async def shown(self, run: Run) -> AsyncIterator[None]:
        """Show a run's progress while the context lasts."""
        if not self._visible:
            yield
            return
        view = self._show_bar(run) if has_terminal(talks=self._talks) else self._tell_lines(run)
        task = asyncio.get_running_loop().create_task(view)
        try:
            yield
        finally:
            self._free.set()
            task.cancel()
            await asyncio.wait({task})  # the bar must be gone before anything else is printed

    def say(self, line: str) -> None:
        """Print a line of output, above the bar if stdout is the terminal too."""
        line = harmless(line)
        if self._live is not None and sys.stdout.isatty():
            self._live.console.print(Text(line), soft_wrap=True)
        else:
            click.echo(line)

    async def confirm(self, removals: int, read: int) -> bool:
        """Ask on the terminal whether to remove this many links; return the answer."""
        return bool(await self.ask(f"{removals:,} of the {read:,} links read so far would be removed. Continue?"))

    async def confirm_new(self, records: Sequence[NewRecord]) -> bool | None:
        """Show the records to be created, and ask whether to; return the answer, None if the run is ending."""
        return await self.ask(f"Create {counted(len(records), 'record')}?", new_lines(records))

    async def confirm_unreadable(self, rows: int, removals: int) -> bool | None:
        """Ask whether to remove links although rows could not be read; return the answer, None if the run is ending."""
        could, those = ("1 row", "that row") if rows == 1 else (f"{rows:,} rows", "those rows")
        links = counted(removals, "link")
        return await self.ask(
            f"{could} could not be read, and {links} would be removed from lists that {those} may belong to. Continue?"
        )

    async def ask(self, prompt: str, lines: Sequence[str] = ()) -> bool | None:
        """Ask on the terminal, one question at a time. Return None if the question was withdrawn.

        Args:
            lines: printed before the question.
        """
        async with self._one_question:
            self._free.clear()
            try:
                await self._gone.wait()
                if self._withdrawn:
                    return None
                for line in lines:
                    click.echo(line, err=True)
                self._asking = asyncio.get_running_loop().create_task(ask(prompt))
                await asyncio.wait({self._asking})
                return None if self._asking.cancelled() else self._asking.result()
            finally:
                if self._asking is not None:
                    self._asking.cancel()
                self._free.set()

    def withdraw(self) -> None:
        """Cancel an open question and ask no other, because the run is ending."""
        self._withdrawn = True
        if self._asking is not None and self._asking.cancel():
            click.echo(err=True)  # else the next line continues the prompt

    async def _show_bar(self, run: Run) -> None:
        while True:
            live = Live(
                self._bar(run),
                console=Console(stderr=True),
                auto_refresh=False,
                redirect_stdout=False,  # rich would print stdout on stderr
            )
            try:
                with live:
                    self._live = live
                    self._gone.clear()
                    try:
                        while self._free.is_set():
                            live.update(self._bar(run), refresh=True)
                            await asyncio.sleep(_BAR_EVERY_S)
                    finally:
                        live.update(self._bar(run), refresh=True)
            finally:
                self._live = None
                self._gone.set()
            await self._free.wait()

    async def _tell_lines(self, run: Run) -> None:
        while True:
            await asyncio.sleep(_LINE_EVERY_S)
            state = run.progress()
            bar = self._bar(run)
            done = f"{state.targets_done:,} of {counted(state.targets, 'target')}" if state.read else "reading"
            log.tell("progress", f"{done}: {', '.join(filter(None, (bar.status, *bar.details)))}")

    def _bar(self, run: Run) -> Bar:
        state = run.progress()
        doing = self._doing if state.read else "reading"
        wait = self._wait(state)
        if wait and (state.paused_s or state.outage) and state.read:
            doing = "paused"
        elif wait:
            doing = "waiting"
        details = [f"{word} {count:,}" for word, count in self._counts(run).items() if count or word not in _PROBLEMS]
        status = wait
        if not wait:
            if state.elapsed_s > 1:
                details.append(f"{state.requests / state.elapsed_s:.1f} requests/s")
            is_at_work = state.read and state.targets_done < state.targets
            remaining_s = self._remaining_s(state) if is_at_work else 0.0
            status = f"{duration(remaining_s)} left" if remaining_s >= 1 else ""
        share = state.targets_done / state.targets if state.read and state.targets else None
        return Bar(doing, share, status, details)

    def _wait(self, state: State) -> str:
        """Return what the run waits for, and how long; empty if it does not wait."""
        if state.outage:
            return f"account not answering; retrying for up to {duration(self._settings.max_wait)}"
        if state.paused_s:
            return f"the account asks to wait {duration(state.paused_s)}"
        return _waiting(state.delay) if _is_long(state.delay) else ""

    def _remaining_s(self, state: State) -> float:
        """Estimate the seconds until the end, by the rate limits or by the pace so far, whichever is longer."""
        done = state.targets_done
        per_target = state.requests / done if done > 2 * self._settings.concurrency else 1.0
        requests = state.targets * per_target
        remaining = max(0.0, requests - state.requests)
        by_rate_limit = self._settings.least_s(requests)
        by_pace = remaining * state.elapsed_s / state.requests if state.requests > 100 else 0.0
        return max(0.0, by_rate_limit - state.elapsed_s, by_pace)


def _waiting(delay: Delay) -> str:
    """Return why no request leaves: `waiting 34 s for the rate limit (used by an earlier run)`."""
    seconds = math.ceil(delay.seconds)
    length = f"{seconds} s" if seconds < 60 else duration(seconds)
    whose = f" (used by {delay.used_by})" if delay.used_by is not UsedBy.THIS_RUN else ""
    return f"waiting {length} for the rate limit{whose}"


def _is_long(delay: Delay | None) -> TypeGuard[Delay]:
    return delay is not None and delay.seconds >= _SHORT_S
