"""The reference of the command line, generated from the commands themselves; mkdocs puts it into its page.

.venv/bin/python tools/command_line.py     # prints it
"""

from __future__ import annotations

import inspect
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MARK: Final = "<!-- the commands -->"
_HTML: Final = str.maketrans({"<": "&lt;", ">": "&gt;", "|": "&#124;"})


class _Sections(click.HelpFormatter):
    """Collects the sections and rows that a command writes into its help."""

    def __init__(self) -> None:
        super().__init__(width=10_000)
        self.sections: list[tuple[str, list[tuple[str, str]]]] = []

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        self.sections.append((name, []))
        yield

    def write_dl(self, rows: Iterable[tuple[str, str]], *_: Any, **__: Any) -> None:
        if not self.sections:
            self.sections.append(("Options", []))
        self.sections[-1][1].extend(rows)


def reference() -> str:
    """Return the Markdown of all commands: usage, description, options by group, examples."""
    from linker.cli import _command as group

    context = click.Context(group, info_name="linker", **group.context_settings)
    names = group.list_commands(context)
    parts = [_of(group, context, "linker", level=2)]
    for name in names:
        command = group.get_command(context, name)
        if command is not None and not command.hidden:
            parts.append(
                _of(command, click.Context(command, info_name=name, parent=context), f"linker {name}", level=2)
            )
    return "\n\n".join(parts) + "\n"


def _of(command: click.Command, context: click.Context, name: str, level: int) -> str:
    formatter = _Sections()
    command.format_options(context, formatter)
    pieces = " ".join(command.collect_usage_pieces(context))
    parts = [f"{'#' * level} `{name}`", f"```text\n{name} {pieces}\n```", _text(command.help)]
    for title, rows in formatter.sections:
        if rows:
            lines = [f"| {_code(option.strip())} | {_cell(text)} |" for option, text in rows]
            parts.append("\n".join([f"**{title}**", "", "| | |", "| --- | --- |", *lines]))
    if command.epilog:
        parts.append(f"```text\n{_unwrapped(command.epilog)}\n```")
    return "\n\n".join(part for part in parts if part)


def _text(text: str | None) -> str:
    return _unwrapped(text or "").replace("<", "&lt;")


def _unwrapped(text: str) -> str:
    """Return a help text without click's mark for paragraphs that are not to be wrapped."""
    return re.sub(r"^\x08\n?", "", inspect.cleandoc(text), flags=re.MULTILINE).partition("\f")[0].strip("\n")


def _code(option: str) -> str:
    return f"<code>{option.translate(_HTML)}</code>"


def _cell(text: str) -> str:
    """Return a cell of a table; brackets and stars mean nothing in it."""
    return re.sub(r"([*\[\]])", r"\\\1", " ".join(text.split()).translate(_HTML))


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the reference in the place of its mark (mkdocs calls this for each page)."""
    return markdown.replace(MARK, reference()) if MARK in markdown else markdown


if __name__ == "__main__":
    print(reference())
