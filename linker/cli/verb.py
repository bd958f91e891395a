"""The form of a verb: its options stand in groups in the help, and flags can be switched on and off."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import click

GROUPS: Final = ("Account", "Input", "Safety", "Speed", "Output", "Other")
"""The groups of options, in the order of the help. A verb may name further groups, which stand before `Other`."""

_FIRST_COLUMN: Final = 22
"""The widest first column of the help: an option that is longer has its text on the next line."""


class Option(click.Option):
    """An option that belongs to a group of the help.

    Args:
        group: the heading under which the help shows the option.
    """

    def __init__(self, *args: Any, group: str = "Other", **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.group = group

    @property
    def is_on_by_default(self) -> bool:
        """Whether it is a flag that only its `--no-` form changes."""
        return bool(self.is_flag and self.secondary_opts and self.default is True)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the option as written, and its help. Of a flag, only the form that changes the default is shown."""
        record = super().get_help_record(ctx)
        if record is None:
            return None
        written, text = record
        if self.is_flag and self.secondary_opts:
            written = ", ".join(self.secondary_opts if self.is_on_by_default else self.opts)
        return written, f"{text}  [repeatable]" if self.multiple else text

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Return what follows the help in brackets; without click's notation for ranges, which reads `x>=0`."""
        extra: Any = super().get_help_extra(ctx)
        extra.pop("range", None)
        if "default" in extra:
            extra["default"] = extra["default"].removeprefix("(").removesuffix(")").removesuffix(".0")
        return extra


option: Final[Callable[..., Callable[[Any], Any]]] = partial(click.option, cls=Option)
"""`click.option` with a `group`."""


def flag(name: str, *, default: bool = False, **attributes: Any) -> Callable[[Any], Any]:
    """Return an option that is on or off. A settings file may switch it on, so there is a form that switches it off.

    Args:
        name: the form that switches it on, such as `--resume` or `--no-mail`; with a destination after it, if needed.
    """
    on, *destination = name.split()
    off = f"--{on.removeprefix('--no-')}" if on.startswith("--no-") else f"--no-{on[2:]}"
    return option(f"{on}/{off}", *destination, is_flag=True, default=default, **attributes)


class Verb(click.Command):
    """A command whose help shows its options in groups."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments. Errors know the verb, so that they can say what it takes."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, a section for each group."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx)) is not None:
                sections.setdefault(getattr(param, "group", "Other"), []).append(record)
        own = [group for group in sections if group not in GROUPS]
        width = max(
            (len(name) for rows in sections.values() for name, _ in rows if len(name) <= _FIRST_COLUMN), default=0
        )
        for group in (*GROUPS[:-1], *own, GROUPS[-1]):
            if group in sections:
                with formatter.section(f"{group} options" if group in GROUPS else group):
                    rows = [(f"{name:<{width}}", text) for name, text in sections[group]]
                    formatter.write_dl(rows, col_max=width)


def verb_of(ctx: click.Context, name: str) -> click.Command:
    """Return another verb, by way of the group; it is imported by that."""
    root = ctx.find_root()
    verb = root.command.get_command(root, name) if isinstance(root.command, click.Group) else None
    return verb if verb is not None else ctx.command
