"""The `linker` command: one file a verb, each imported only when it is called.

Only this package reads the world: arguments, the environment, signals, the terminal.
"""

from __future__ import annotations

import importlib
import io
import os
import resource
import sys
from typing import Final, NoReturn

import click

from linker import log
from linker._version import __version__
from linker.errors import LinkerError, Stopped, TooManyRemovals

__all__ = ["main"]

_VERBS: Final = {
    "run": "Make the account hold the links of job files.",
    "plan": "Show what run would do; sends no PUT.",
    "verify": "Does the account hold what job files ask for?",
    "undo": "Take back what a run changed.",
    "check": "The token, the account, its limits and link fields.",
    "export": "The account's links as a job file.",
    "sandbox": "Serve an Aha!-shaped account to rehearse on.",
    "demo": "Watch a migration run on a sandbox.",
}


class _Verbs(click.Group):
    """The verbs by name, without importing any of them to list them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return None
        command: click.Command = importlib.import_module(f"linker.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_VERBS.items()))


@click.group(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with `linker demo`; then `linker run --help`.",
)
@click.version_option(__version__, prog_name="linker")
def _command() -> None:
    """Links records of Aha! custom tables to products, features, ideas and more.

    Give it a file of links and an account; it makes the account hold exactly those links, in the fewest
    requests and the shortest time that the account's rate limit allows.
    """


def main() -> NoReturn:
    """Run the command and exit: 0 all done, 1 some jobs were not, 2 the command is wrong, 3 stopped early."""
    _hold_standard_streams()
    _leave_no_core()
    sys.exit(_exit_code())


def _hold_standard_streams() -> None:
    """Let a stream that the caller closed (`>&-`) lead nowhere: else a socket or a file takes its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def _leave_no_core() -> None:
    """Let no core file hold the token, whatever befalls the interpreter.

    A limit of one byte and not of none: the kernel asks no crash reporter either then (Linux, fs/coredump.c).
    """
    most = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (min(1, most) if most != resource.RLIM_INFINITY else 1, most))


def _exit_code() -> int:
    try:
        code = _command.main(prog_name="linker", standalone_mode=False)
    except click.ClickException as error:
        if log.is_json():
            log.tell("error", error.format_message(), "error")
        else:
            text = io.StringIO()
            error.show(text)
            for line in text.getvalue().splitlines():
                log.tell("error", line, "error")
        return 2
    except LinkerError as error:
        log.tell("error", f"linker: {error}", "error")
        nothing_written = isinstance(error, TooManyRemovals) and not error.written
        return 3 if isinstance(error, Stopped) and not nothing_written else 2
    except (click.Abort, KeyboardInterrupt):
        return 130
    except OSError as error:
        log.tell("error", f"linker: {error.strerror or error}", "error")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else it is complained of at exit once more
        return 3
    except Exception as error:
        where = _last_place(error)
        message = f"linker: a fault of linker itself: {type(error).__name__} at {where}; please report it"
        log.tell("error", message, "error")
        return 3
    return code if isinstance(code, int) else 0


def _last_place(error: BaseException) -> str:
    """File and line of a fault: a report needs them, and they hold no secrets as a traceback's text may."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    return f"{step.tb_frame.f_code.co_filename}:{step.tb_lineno}" if step is not None else "an unknown place"
