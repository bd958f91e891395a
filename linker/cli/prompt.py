"""A question on the terminal, asked while a run goes on: no thread waits for the answer, and a signal takes it back."""

from __future__ import annotations

import asyncio
import os
import sys
import termios

import click

__all__ = ["ask", "may_ask"]


def may_ask() -> bool:
    """Whether somebody is there to answer: both ends of the question are a terminal."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


async def ask(question: str) -> bool:
    """Ask on stderr; only a yes is a yes. What was typed before the question is no answer to it."""
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
    click.echo(f"{question} [y/N]: ", err=True, nl=False)
    loop.add_reader(terminal, read)
    try:
        said = await answer
    finally:
        loop.remove_reader(terminal)
    return said.strip().lower() in (b"y", b"yes")
