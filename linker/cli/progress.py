"""How far a run is, on stderr: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bar

from linker import log
from linker.cli.screen import duration
from linker.run import Run
from linker.settings import Settings

__all__ = ["Progress"]

_BAR_EVERY_S: Final = 0.2
_LINE_EVERY_S: Final = 15.0


class Progress:
    """How far a run is, until it is over; held while a question is asked."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._free = asyncio.Event()
        self._free.set()

    @asynccontextmanager
    async def shown(self, run: Run) -> AsyncIterator[None]:
        """Show a run's progress while the context lasts."""
        on_terminal = sys.stderr.isatty() and not log.is_json()
        view = self._bar(run) if on_terminal else _lines(run, self._settings)
        task = asyncio.get_running_loop().create_task(view)
        try:
            yield
        finally:
            self._free.set()
            task.cancel()
            await asyncio.wait({task})  # the bar leaves the terminal before anything else is said there

    async def confirm(self, removals: int, read: int) -> bool:
        """Ask on the terminal whether so many links may go."""
        self._free.clear()
        try:
            await asyncio.sleep(2 * _BAR_EVERY_S)  # until the bar has left
            question = f"{removals:,} of the {read:,} links read so far would be removed. Go on?"
            return await asyncio.to_thread(click.confirm, question, err=True)
        except click.Abort:
            return False
        finally:
            self._free.set()

    async def _bar(self, run: Run) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[told]}"),
        )
        while True:
            with Bar(*columns, console=Console(stderr=True), auto_refresh=False, expand=True) as bar:
                row = bar.add_task("reading", total=None, told="")
                try:
                    while self._free.is_set():
                        _update(bar, row, run, self._settings)
                        await asyncio.sleep(_BAR_EVERY_S)
                finally:
                    _update(bar, row, run, self._settings)
            await self._free.wait()


def _update(bar: Bar, row: TaskID, run: Run, settings: Settings) -> None:
    progress = run.progress()
    total = progress.targets if progress.read else None
    doing = "reading" if not progress.read else "paused " if progress.paused_s else "linking"
    bar.update(row, total=total, completed=progress.targets_done, description=doing, told=_told(run, settings))
    bar.refresh()


async def _lines(run: Run, settings: Settings) -> None:
    while True:
        await asyncio.sleep(_LINE_EVERY_S)
        progress = run.progress()
        total = f" of {progress.jobs:,}" if progress.read else f", {progress.jobs:,} read"
        log.tell("progress", f"{run.summary.jobs:,}{total} jobs done: {_told(run, settings)}")


def _told(run: Run, settings: Settings) -> str:
    """`linked 120, unchanged 30, failed 1, 19.8 requests/s, 4 min 20 s left`."""
    summary, progress = run.summary, run.progress()
    told = [f"linked {summary.linked:,}", f"unchanged {summary.unchanged:,}"]
    if summary.failed or summary.rejected:
        told.append(f"failed {summary.failed + summary.rejected:,}")
    if progress.elapsed_s > 1:
        told.append(f"{progress.requests / progress.elapsed_s:.1f} requests/s")
    if progress.paused_s:
        told.append(f"the account asks to wait {duration(progress.paused_s)}")
    elif progress.read and progress.targets_done < progress.targets:
        told.append(f"{duration(_left_s(run, settings))} left")
    return ", ".join(told)


def _left_s(run: Run, settings: Settings) -> float:
    """Seconds that what is left takes: by the quota, or by the pace so far where that is slower."""
    progress = run.progress()
    done = progress.targets_done
    each = progress.requests / done if done > 2 * settings.concurrency else 2.0 - settings.blind
    whole = progress.targets * each
    left = max(0.0, whole - progress.requests)
    # a rate lets its whole number through at once, the shortest at its pace from the start
    by_quota = max((rate.seconds * (whole / rate.requests - 1) for rate in settings.rate), default=0.0)
    by_pace = left * progress.elapsed_s / progress.requests if progress.requests > 100 else 0.0
    return max(0.0, by_quota - progress.elapsed_s, by_pace)
