"""Outlines of the verbs for a shell's completion: their options without the code behind them, which is slow to import.

They are kept in the user's cache, made anew whenever a file of the command has changed, and never needed otherwise.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import click

from linker._version import __version__

_FOLDER: Final = Path(__file__).parent


def outline_of(verb: str, load: Callable[[], click.Command]) -> click.Command:
    """Return a command with the options and arguments of a verb, which does nothing.

    Args:
        load: imports the verb; called if its outline is not in the cache.
    """
    file = _cache() / f"{verb}.json"
    stamp = f"{__version__} {max(path.stat().st_mtime_ns for path in _FOLDER.glob('*.py'))}"
    with suppress(OSError, ValueError, LookupError, TypeError):
        kept = json.loads(file.read_bytes())
        if kept["stamp"] == stamp:
            return click.Command(verb, params=[_param(outline) for outline in kept["params"]])
    params = [_outline(param) for param in load().params]
    with suppress(OSError):
        _write(file, {"stamp": stamp, "params": params})
    return click.Command(verb, params=[_param(outline) for outline in params])


def _cache() -> Path:
    folder = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111  it never fails
    return Path(folder) / "linker" / "completion"


def _write(file: Path, value: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    number, name = tempfile.mkstemp(dir=file.parent)
    try:
        with os.fdopen(number, "w") as stream:
            json.dump(value, stream)
        Path(name).replace(file)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def _outline(param: click.Parameter) -> dict[str, Any]:
    is_option = isinstance(param, click.Option)
    return {
        "name": param.name,
        "names": param.opts if is_option else None,
        "off": param.secondary_opts,
        "is_flag": isinstance(param, click.Option) and param.is_flag,
        "multiple": param.multiple,
        "nargs": param.nargs,
        "help": param.help if isinstance(param, click.Option) else None,
        "choices": list(map(str, param.type.choices)) if isinstance(param.type, click.Choice) else None,
        "is_path": isinstance(param.type, click.Path),
    }


def _param(outline: dict[str, Any]) -> click.Parameter:
    choices, name = outline["choices"], outline["name"]
    kind = click.Choice(choices) if choices else click.Path() if outline["is_path"] else None
    if outline["names"] is None:
        return click.Argument([name], nargs=outline["nargs"], type=kind, required=False)
    names = [*outline["names"][:-1], "/".join((outline["names"][-1], *outline["off"]))]
    if outline["is_flag"]:
        return click.Option([*names, name], is_flag=True, help=outline["help"])
    complete = _profiles if name == "profile" else None
    return click.Option(
        [*names, name], type=kind, multiple=outline["multiple"], help=outline["help"], shell_complete=complete
    )


def _profiles(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the profiles of the settings file that begin with a text."""
    from linker.cli.config_file import read
    from linker.errors import UsageError

    given = ctx.params.get("config") or os.environ.get("LINKER_CONFIG")
    try:
        document = read(Path(given or "linker.toml"), is_chosen=bool(given))
    except UsageError:
        return []
    profiles = document.value.get("profile") if document is not None else None
    return [name for name in profiles if name.startswith(incomplete)] if isinstance(profiles, dict) else []
