"""Says what is wrong with a command line, what was probably meant, and what to do next."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Final

import click

_REFUSED: Final = re.compile(r"'(.*)' is not (?:one of|a valid) |(\S+) is not in the range", re.DOTALL)
_EXTRA: Final = re.compile(r"Got unexpected extra arguments? \((.*)\)", re.DOTALL)


def no_such_command(name: str, commands: Iterable[str], ctx: click.Context) -> click.UsageError:
    """Return the error of an unknown command, with the nearest one."""
    meant = _meant(name, commands) or f"{ctx.command_path} --help lists the commands."
    return click.UsageError(f'no such command "{name}". {meant}', ctx)


def reworded(error: click.ClickException) -> click.ClickException:
    """Return an error of click's in linker's words; other errors stay as they are."""
    message = _message(error)
    return error if message is None else click.UsageError(message, getattr(error, "ctx", None))


def _message(error: click.ClickException) -> str | None:
    match error:
        case click.MissingParameter(param=click.Argument() as argument):
            name = (argument.metavar or (argument.name or "").upper()).strip("[].")
            example = _example(error.ctx)
            return f"{name} is missing." + (f" For example: {example}" if example else "")
        case click.MissingParameter(param=click.Option() as option):
            return f"the option {option.opts[-1]} is missing: add {_usage(option)}"
        case click.NoSuchOption():
            options = _options(error.ctx)
            return f'no such option "{error.option_name}". {_meant(error.option_name, options) or _list(error.ctx)}'
        case click.BadOptionUsage():
            if "requires" not in error.message:
                return f"the option {error.option_name} takes no value."
            known = _options(error.ctx).get(error.option_name)
            return f"the option {error.option_name} needs a value" + (f": {_usage(known)}" if known else ".")
        case click.BadParameter(param=click.Option() | click.Argument() as param):
            return _bad_value(param, error.message)
        case click.UsageError():
            extra = _EXTRA.match(error.message)
            return f'too many arguments: "{extra[1]}". {_list(error.ctx)}' if extra is not None else None
    return None


def _bad_value(option: click.Parameter, message: str) -> str:
    name = option.opts[-1] if isinstance(option, click.Option) else str(getattr(option, "metavar", option.name))
    refused = _REFUSED.match(message)
    if refused is None:
        return f"{name}: {message}"
    value = refused[1] if refused[1] is not None else refused[2]
    text = f'{name} must be {_expected(option)}, not "{value}".'
    choices = map(str, option.type.choices) if isinstance(option.type, click.Choice) else ()
    return f"{text} {_meant(value, choices)}".rstrip()


def _expected(option: click.Parameter) -> str:
    """Return the values that an option takes: `replace, add or remove`, or `a whole number, 1 or more`."""
    if isinstance(option.type, click.Choice):
        *others, last = map(str, option.type.choices)
        return f"{', '.join(others)} or {last}" if others else last
    if not isinstance(option.type, click.types.IntParamType | click.types.FloatParamType):
        return "valid"
    kind = "a whole number" if isinstance(option.type, click.types.IntParamType) else "a number"
    if not isinstance(option.type, click.IntRange | click.FloatRange):
        return kind
    least, most = option.type.min or 0, option.type.max
    bounds = f"more than {least:g}" if option.type.min_open else f"{least:g} or more"
    return f"{kind}, {bounds}" + (f" and at most {most:g}" if most is not None else "")


def _meant(name: str, choices: Iterable[str]) -> str:
    near = difflib.get_close_matches(name.lower(), list(choices), n=1)
    return f'Did you mean "{near[0]}"?' if near else ""


def _options(ctx: click.Context | None) -> dict[str, click.Option]:
    params = ctx.command.get_params(ctx) if ctx is not None else []
    options = [param for param in params if isinstance(param, click.Option)]
    return {name: option for option in options for name in (*option.opts, *option.secondary_opts)}


def _usage(option: click.Option) -> str:
    if option.metavar is None and isinstance(option.type, click.Choice):
        return f"{option.opts[-1]} {'|'.join(map(str, option.type.choices))}"
    return f"{option.opts[-1]} {option.metavar or (option.name or '').upper()}"


def _example(ctx: click.Context | None) -> str:
    """Return the first example of a command's help."""
    found = re.search(r"(?m)^  (linker .*)$", (ctx.command.epilog or "") if ctx is not None else "")
    return found[1] if found is not None else ""


def _list(ctx: click.Context | None) -> str:
    return f"{ctx.command_path} --help lists the options." if ctx is not None else ""
