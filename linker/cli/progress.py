"""How far a run is, on stderr: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

from linker import log
from linker.cli.output import duration
from linker.cli.prompt import ask
from linker.client.run import Run
from linker.settings import Settings
from linker.text import harmless

__all__ = ["Progress"]

_BAR_EVERY_S: Final = 0.2
_LINE_EVERY_S: Final = 15.0


def _written(run: Run) -> Mapping[str, int]:
    summary = run.summary
    return {"linked": summary.linked, "unchanged": summary.unchanged, "failed": summary.failed + summary.rejected}


def _is_piped() -> bool:
    return stat.S_ISFIFO(os.fstat(sys.stdout.fileno()).st_mode)


class Progress:
    """How far a run is, until it is over; out of the way while a line is said or a question is asked.

    Args:
        visible: False shows nothing; lines and questions go through here all the same.
        doing: what the run is at, in a word.
        counts: what the run has come to so far; what `failed` is told of only where there is any.
        talks: lines are said meanwhile; whoever reads them from a pipe (`| less`) has the terminal to themselves.
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
        self._free.set()  # the terminal is nobody else's
        self._gone.set()  # and no bar is on it
        self._question: asyncio.Task[bool] | None = None
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
            await asyncio.wait({task})  # the bar leaves the terminal before anything else is said there

    def say(self, line: str) -> None:
        """A line of output; where stdout and the bar are on one terminal, above the bar."""
        line = harmless(line)
        if self._bar is not None and sys.stdout.isatty():
            self._bar.console.print(Text(line), soft_wrap=True)
        else:
            click.echo(line)

    async def confirm(self, removals: int, read: int) -> bool:
        """Ask on the terminal whether so many links may go."""
        self._free.clear()
        try:
            await self._gone.wait()
            if self._withdrawn:
                return False
            question = f"{removals:,} of the {read:,} links read so far would be removed. Go on?"
            self._question = asyncio.get_running_loop().create_task(ask(question))
            await asyncio.wait({self._question})
            return not self._question.cancelled() and self._question.result()
        finally:
            if self._question is not None:
                self._question.cancel()
            self._free.set()

    def withdraw(self) -> None:
        """Ask no more: the run is ending."""
        self._withdrawn = True
        if self._question is not None and self._question.cancel():
            click.echo(err=True)  # what is said next starts a line

    async def _show_bar(self, run: Run) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[told]}"),
        )
        while True:
            bar = Bar(
                *columns,
                console=Console(stderr=True),
                auto_refresh=False,
                expand=True,
                redirect_stdout=False,  # output is output, wherever the bar is
            )
            try:
                with bar:
                    self._bar = bar
                    self._gone.clear()
                    row = bar.add_task("reading", total=None, told="")
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
        doing = "reading" if not progress.read else "paused" if progress.paused_s or progress.outage else self._doing
        width = max(len("reading"), len(self._doing))
        bar.update(
            row, total=total, completed=progress.targets_done, description=f"{doing:<{width}}", told=self._told(run)
        )
        bar.refresh()

    async def _tell_lines(self, run: Run) -> None:
        while True:
            await asyncio.sleep(_LINE_EVERY_S)
            progress = run.progress()
            far = f"{progress.targets_done:,} of {progress.targets:,} targets" if progress.read else "reading"
            log.tell("progress", f"{far}: {self._told(run)}")

    def _told(self, run: Run) -> str:
        """`linked 120, unchanged 30, failed 1, 19.8 requests/s, 4 min 20 s left`."""
        progress = run.progress()
        told = [f"{word} {count:,}" for word, count in self._counts(run).items() if count or word != "failed"]
        if progress.elapsed_s > 1:
            told.append(f"{progress.requests / progress.elapsed_s:.1f} requests/s")
        if progress.outage:
            told.append("the account is out of reach, and probed")
        elif progress.paused_s:
            told.append(f"the account asks to wait {duration(progress.paused_s)}")
        elif progress.read and progress.targets_done < progress.targets and (left := self._left_s(run)) >= 1:
            told.append(f"{duration(left)} left")
        return ", ".join(told)

    def _left_s(self, run: Run) -> float:
        """Seconds that what is left takes: by the quota, or by the pace so far where that is slower."""
        progress = run.progress()
        done = progress.targets_done
        each = progress.requests / done if done > 2 * self._settings.concurrency else 1.0
        whole = progress.targets * each
        left = max(0.0, whole - progress.requests)
        by_quota = self._settings.least_s(whole)
        by_pace = left * progress.elapsed_s / progress.requests if progress.requests > 100 else 0.0
        return max(0.0, by_quota - progress.elapsed_s, by_pace)
