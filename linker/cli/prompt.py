"""Asks yes or no on the terminal during a run, without a thread, so that a signal can cancel the question."""

from __future__ import annotations

import asyncio
import os
import sys
import termios

import click


def may_ask() -> bool:
    """Whether somebody can answer: both stdin and stderr are terminals."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


async def ask(prompt: str) -> bool:
    """Ask on stderr and return whether the answer is `y` or `yes`. Discards what was typed before."""
    terminal = sys.stdin.fileno()
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bytes] = loop.create_future()

    def read() -> None:
        if answer.done():
            return
        try:
            answer.set_result(os.read(terminal, 1024))  # a terminal delivers whole lines
        except OSError:
            answer.set_result(b"")  # the terminal is gone, so the answer is no

    termios.tcflush(terminal, termios.TCIFLUSH)
    click.echo(f"{prompt} [y/N]: ", err=True, nl=False)
    loop.add_reader(terminal, read)
    try:
        line = await answer
    finally:
        loop.remove_reader(terminal)
    if not line.endswith(b"\n"):  # Ctrl-D; else the next line continues the prompt
        click.echo(err=True)
    return line.strip().lower() in (b"y", b"yes")
