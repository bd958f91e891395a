"""Commands to copy into a shell: the one that is running, with other options, or another."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Collection

from linker.text import harmless


def this_command(*more: str, without: Collection[str] = ()) -> str:
    """Return the command that is running, to copy into a shell.

    Args:
        more: options to add, unless they are there.
        without: options to leave out; each with its value if its name ends with `=`.
    """
    arguments: list[str] = []
    coming = iter(sys.argv[1:])
    for argument in coming:
        name = argument.partition("=")[0]
        if argument in without:
            continue
        if f"{name}=" in without:
            if argument == name:
                next(coming, None)
            continue
        arguments.append(argument)
    return command(*arguments, *(option for option in more if option not in arguments))


def command(*arguments: str) -> str:
    """Return a `linker` command, quoted for a shell, as one printable line."""
    return harmless(shlex.join(["linker", *arguments]))
