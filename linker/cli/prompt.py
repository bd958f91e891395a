"""A yes-or-no prompt on the terminal while a run goes on: no thread waits for the answer, and a signal cancels it."""

from __future__ import annotations

import asyncio
import os
import sys
import termios

import click


def may_ask() -> bool:
    """Whether somebody can answer: stdin and stderr are a terminal."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


async def ask(prompt: str) -> bool:
    """Ask on stderr and return whether the answer is `y` or `yes`. What was typed before does not count."""
    terminal = sys.stdin.fileno()
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bytes] = loop.create_future()

    def read() -> None:
        if answer.done():
            return
        try:
            answer.set_result(os.read(terminal, 1024))  # the terminal hands over whole lines
        except OSError:
            answer.set_result(b"")  # it was closed: nobody said yes

    termios.tcflush(terminal, termios.TCIFLUSH)
    click.echo(f"{prompt} [y/N]: ", err=True, nl=False)
    loop.add_reader(terminal, read)
    try:
        line = await answer
    finally:
        loop.remove_reader(terminal)
    return line.strip().lower() in (b"y", b"yes")
