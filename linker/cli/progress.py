"""Shows how far a run is, on stderr: a bar on a terminal, otherwise a line every 15 seconds."""

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
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

from linker import log
from linker.cli.output import counted, duration, new_lines
from linker.cli.prompt import ask
from linker.client.run import Run
from linker.ratelimit.permit import Delay, UsedBy
from linker.records.names import NewRecord
from linker.settings import Settings
from linker.text import harmless

_BAR_EVERY_S: Final = 0.2
_LINE_EVERY_S: Final = 15.0

_SHORT_S: Final = 2.0
"""A wait for the rate limit that is shorter is not worth a word."""


def _written(run: Run) -> Mapping[str, int]:
    summary = run.summary
    return {"linked": summary.linked, "unchanged": summary.unchanged, "failed": summary.failed + summary.rejected}


def _is_piped() -> bool:
    return stat.S_ISFIFO(os.fstat(sys.stdout.fileno()).st_mode)


class Progress:
    """Shows how far a run is. The bar gives way to a line of output or a question.

    Args:
        visible: False shows no progress; `say` and `confirm` still work.
        doing: one word for what the run does, such as `linking`.
        counts: returns the words and numbers to show; `failed` is shown only if it is not 0.
        talks: whether the command prints lines during the run; if they go to a pipe (`| less`), no bar is shown.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        visible: bool,
        doing: str = "linking",
        counts: Callable[[Run], Mapping[str, int]] = _written,
        talks: bool = False,
    ) -> None:
        self._settings = settings
        self._visible = visible
        self._doing = doing
        self._counts = counts
        self._talks = talks
        self._bar: Bar | None = None
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
        has_bar = sys.stderr.isatty() and not log.is_json() and not (self._talks and _is_piped())
        view = self._show_bar(run) if has_bar else self._tell_lines(run)
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
        if self._bar is not None and sys.stdout.isatty():
            self._bar.console.print(Text(line), soft_wrap=True)
        else:
            click.echo(line)

    async def confirm(self, removals: int, read: int) -> bool:
        """Ask on the terminal whether to remove this many links; return the answer."""
        return bool(await self._ask(f"{removals:,} of the {read:,} links read so far would be removed. Go on?"))

    async def confirm_new(self, records: Sequence[NewRecord]) -> bool | None:
        """Show the records to be created, and ask whether to; return the answer, None if the run is ending."""
        return await self._ask(f"Create {counted(len(records), 'record')}?", new_lines(records))

    async def confirm_unreadable(self, rows: int, removals: int) -> bool | None:
        """Ask whether to remove links although rows could not be read; return the answer, None if the run is ending."""
        could, they = ("1 row could", "it") if rows == 1 else (f"{rows:,} rows could", "them")
        links = counted(removals, "link")
        return await self._ask(
            f"{could} not be read; {links} would be removed from lists that may lack {they}. Remove them?"
        )

    async def _ask(self, prompt: str, lines: Sequence[str] = ()) -> bool | None:
        """Ask on the terminal, one question at a time. Return None if the question was withdrawn."""
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
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[counts]}"),
        )
        while True:
            bar = Bar(
                *columns,
                console=Console(stderr=True),
                auto_refresh=False,
                expand=True,
                redirect_stdout=False,  # rich would print stdout on stderr
            )
            try:
                with bar:
                    self._bar = bar
                    self._gone.clear()
                    row = bar.add_task("reading", total=None, counts="")
                    try:
                        while self._free.is_set():
                            self._update(bar, row, run)
                            await asyncio.sleep(_BAR_EVERY_S)
                    finally:
                        self._update(bar, row, run)
            finally:
                self._bar = None
                self._gone.set()
            await self._free.wait()

    def _update(self, bar: Bar, row: TaskID, run: Run) -> None:
        progress = run.progress()
        total = progress.targets if progress.read else None
        doing = self._doing if progress.read else "reading"
        if progress.read and (progress.paused_s or progress.outage):
            doing = "paused"
        elif _is_long(progress.delay):
            doing = "waiting"
        width = max(len("reading"), len(self._doing))
        bar.update(
            row,
            total=total,
            completed=progress.targets_done,
            description=f"{doing:<{width}}",
            counts=self._words(run),
        )
        bar.refresh()

    async def _tell_lines(self, run: Run) -> None:
        while True:
            await asyncio.sleep(_LINE_EVERY_S)
            progress = run.progress()
            done = f"{progress.targets_done:,} of {progress.targets:,} targets" if progress.read else "reading"
            log.tell("progress", f"{done}: {self._words(run)}")

    def _words(self, run: Run) -> str:
        """Return a status such as `linked 120, unchanged 30, failed 1, 19.8 requests/s, 4 min 20 s left`."""
        progress = run.progress()
        parts = [f"{word} {count:,}" for word, count in self._counts(run).items() if count or word != "failed"]
        delay = None if progress.outage or progress.paused_s else progress.delay
        if _is_long(delay):
            parts.insert(0, _waiting(delay))
        elif progress.elapsed_s > 1:
            parts.append(f"{progress.requests / progress.elapsed_s:.1f} requests/s")
        if progress.outage:
            parts.append("the account is out of reach, and probed")
        elif progress.paused_s:
            parts.append(f"the account asks to wait {duration(progress.paused_s)}")
        elif progress.read and progress.targets_done < progress.targets and (seconds := self._remaining_s(run)) >= 1:
            parts.append(f"{duration(seconds)} left")
        return ", ".join(parts)

    def _remaining_s(self, run: Run) -> float:
        """Estimate the seconds until the end, by the rate limits or by the pace so far, whichever is longer."""
        progress = run.progress()
        done = progress.targets_done
        per_target = progress.requests / done if done > 2 * self._settings.concurrency else 1.0
        requests = progress.targets * per_target
        remaining = max(0.0, requests - progress.requests)
        by_rate_limit = self._settings.least_s(requests)
        by_pace = remaining * progress.elapsed_s / progress.requests if progress.requests > 100 else 0.0
        return max(0.0, by_rate_limit - progress.elapsed_s, by_pace)


def _is_long(delay: Delay | None) -> TypeGuard[Delay]:
    return delay is not None and delay.seconds >= _SHORT_S


def _waiting(delay: Delay) -> str:
    """Return why no request leaves: `waiting 34 s for the rate limit (used by an earlier run)`."""
    seconds = math.ceil(delay.seconds)
    length = f"{seconds} s" if seconds < 60 else duration(seconds)
    whose = f" (used by {delay.used_by})" if delay.used_by is not UsedBy.THIS_RUN else ""
    return f"waiting {length} for the rate limit{whose}"
