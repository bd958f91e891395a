"""Shows that a command is at work which cannot tell how much remains, such as an export."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from rich.console import Console
from rich.live import Live

from linker import log
from linker.cli.access import Access
from linker.cli.bar import Bar
from linker.cli.output import counted, duration
from linker.cli.progress import has_terminal
from linker.client.linker import Linker

_EVERY_S: Final = 0.2
_LINE_EVERY_S: Final = 15.0
_QUICK_S: Final = 1.0
"""A command that ends sooner shows nothing."""


@asynccontextmanager
async def active(
    access: Access, aha: Linker, doing: str, details: Callable[[], str] = str, *, talks: bool = False
) -> AsyncIterator[None]:
    """Show on stderr what a command does, its requests and its time, while the context lasts.

    Args:
        doing: one word for it.
        details: returns what else to show.
        talks: whether the command prints lines meanwhile.
    """
    if not access.progress:
        yield
        return
    started = asyncio.get_running_loop().time()

    def bar() -> Bar:
        elapsed_s = asyncio.get_running_loop().time() - started
        parts = [details(), counted(aha.requests, "request"), duration(elapsed_s)]
        return Bar(doing, None, "", list(filter(None, parts)))

    view = _show_bar(bar) if has_terminal(talks=talks) else _tell_lines(bar)
    task = asyncio.get_running_loop().create_task(view)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})  # the bar must be gone before anything else is printed


async def _show_bar(bar: Callable[[], Bar]) -> None:
    await asyncio.sleep(_QUICK_S)
    with Live(bar(), console=Console(stderr=True), auto_refresh=False, transient=True, redirect_stdout=False) as live:
        while True:
            live.update(bar(), refresh=True)
            await asyncio.sleep(_EVERY_S)


async def _tell_lines(bar: Callable[[], Bar]) -> None:
    while True:
        await asyncio.sleep(_LINE_EVERY_S)
        log.tell("progress", f"{bar().doing}: {', '.join(bar().details)}")
