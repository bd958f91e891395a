"""The `linker` command: each verb has a file of its own, imported only when the verb is called.

No other package reads arguments, the environment, signals or the terminal.
"""

from __future__ import annotations

import importlib
import io
import os
import resource
import sys
from typing import TYPE_CHECKING, Final, NoReturn

import click

from linker import log
from linker._version import __version__
from linker.cli.machine import certificate_advice, shortage
from linker.errors import GuardStopped, LinkerError, Stopped

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["main"]

_SECTIONS: Final = {
    "Main commands": {
        "run": "Make the account hold the links of job files.",
        "plan": "Show what run would change, without changing it.",
        "verify": "Check whether the account holds what job files ask for.",
        "undo": "Take back what a run changed.",
    },
    "Look around": {
        "check": "Check the token, the settings, the account and job files.",
        "tables": "List custom tables, and the fields that link to them.",
        "records": "List the records of a custom table, or search them.",
        "export": "Write the account's links to a job file.",
    },
    "Set up and rehearse": {
        "init": "Ask a few questions and write linker.toml.",
        "demo": "Watch a migration on a sandbox, in a few seconds.",
        "completion": "Print the completion script of a shell.",
        "sandbox": "Serve an imitation of an Aha! account to rehearse on.",
    },
}
_VERBS: Final = {verb: text for section in _SECTIONS.values() for verb, text in section.items()}


_COMPLETION: Final = "_LINKER_COMPLETE"
"""The variable with which a shell asks for completions; click derives it from the name of the program."""


def _load(verb: str) -> click.Command:
    command: click.Command = importlib.import_module(f"linker.cli.{verb}").command
    return command


class _Verbs(click.Group):
    """The group of all verbs; listing them imports none of them, so that help stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return None
        if _COMPLETION in os.environ:  # a shell waits for each key
            from linker.cli.outline import outline_of

            return outline_of(cmd_name, lambda: _load(cmd_name))
        return _load(cmd_name)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        verbs = [CompletionItem(verb, help=text) for verb, text in _VERBS.items() if verb.startswith(incomplete)]
        return [*verbs, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in _VERBS or args[0].startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        from linker.cli.mistakes import no_such_command

        raise no_such_command(args[0], _VERBS, ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        click.Command.format_options(self, ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, _VERBS))
        for heading, verbs in _SECTIONS.items():
            with formatter.section(heading):
                formatter.write_dl([(f"{verb:<{width}}", text) for verb, text in verbs.items()])


@click.group(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with `linker demo`; then try `linker run --help`.",
)
@click.version_option(__version__, prog_name="linker")
def _command() -> None:
    """Link records of Aha! custom tables to products, features, ideas and more.

    Give linker a file of links and an account. It makes the account hold those links, with as few requests and as
    fast as the account's rate limit allows.
    """


def main() -> NoReturn:
    """Run the command and exit: 0 all jobs done, 1 some were not, 2 the command is wrong, 3 stopped early."""
    _hold_standard_streams()
    _leave_no_core()
    sys.exit(_exit_code())


def _hold_standard_streams() -> None:
    """Open /dev/null for each standard stream that is closed (`>&-`); else a socket or a file would get its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def _leave_no_core() -> None:
    """Disable core files, since one could contain the token.

    The limit is one byte and not zero: with one, Linux does not start a crash reporter either (fs/coredump.c).
    """
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (min(1, hard) if hard != resource.RLIM_INFINITY else 1, hard))


def _exit_code() -> int:
    try:
        code = _command.main(prog_name="linker", standalone_mode=False)
    except click.ClickException as error:
        from linker.cli.mistakes import reworded

        error = reworded(error)
        if log.is_json():
            log.tell("error", error.format_message(), "error")
        else:
            text = io.StringIO()
            error.show(text)
            for line in text.getvalue().splitlines():
                log.tell("error", line, "error")
        return 2
    except LinkerError as error:
        advice = certificate_advice(str(error))
        log.tell("error", f"linker: {error}; {advice}" if advice else f"linker: {error}", "error")
        nothing_written = isinstance(error, GuardStopped) and not error.written
        return 3 if isinstance(error, Stopped) and not nothing_written else 2
    except (click.Abort, KeyboardInterrupt):
        return 130
    except OSError as error:
        _tell(f"linker: {shortage(error) or error.strerror or error}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python reports it again
        return 3
    except Exception as error:
        if (lacking := shortage(error)) is not None:
            _tell(f"linker: {lacking}")
            return 3
        where = _last_place(error)
        _tell(f"linker: internal error: {type(error).__name__} at {where}; please report it")
        return 3
    return code if isinstance(code, int) else 0


def _tell(message: str) -> None:
    """Write an error to stderr, as JSON if that is asked for and there is memory to load what writes it."""
    try:
        log.tell("error", message, "error")
    except (MemoryError, ImportError, OSError):
        sys.stderr.write(f"{message}\n")


def _last_place(error: BaseException) -> str:
    """Return the file and line of an error, for a report; the text of a traceback could contain secrets."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame is not None else "an unknown place"
