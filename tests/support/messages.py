"""Collects every text of linker that a user may see, from its source.

Run as a command, it writes them to tests/messages.txt: `.venv/bin/python tests/support/messages.py`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeAlias

ROOT = Path(__file__).parents[2]
SNAPSHOT = ROOT / "tests" / "messages.txt"

_WORDS = re.compile(r"[A-Za-z]{2,}[^\n]* +[^\n]*[A-Za-z{`]")
_RAW = re.compile(rb"[rR][fFbB]?['\"]|[fFbB][rR]['\"]")
_HELP = ("help", "short_help", "epilog")
_NO_TEXTS = ("cast", "compile", "TypeVar", "getattr", "NewType")

_Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


class Message(NamedTuple):
    """A text: the file and line that it is in, and whether it is a line of a command's help."""

    file: str
    line: int
    text: str
    is_help: bool


@cache
def messages() -> list[Message]:
    """Return all texts, ordered by file and line, each once in a file. Placeholders stand as `{expression}`.

    They are the strings of two words or more, all help texts, and the docstrings of commands. What nobody sees is left
    out: other docstrings, `repr`s, assertions, regular expressions and types.
    """
    found: dict[tuple[str, str], Message] = {}
    for path in sorted((ROOT / "linker").rglob("*.py")):
        file = path.relative_to(ROOT).as_posix()
        for line, text, is_help in sorted(_texts(path.read_text())):
            found.setdefault((file, text), Message(file, line, text, is_help))
    return list(found.values())


def snapshot() -> str:
    """Return the content of the snapshot file: each text on a line, below the name of its module."""
    lines = ["The messages of linker, by module. Written by: .venv/bin/python tests/support/messages.py"]
    file = ""
    for message in messages():
        if message.file != file:
            file = message.file
            lines += ["", f"# {file.removesuffix('.py').replace('/', '.')}"]
        lines.append(message.text.replace("\\", "\\\\").replace("\n", "\\n"))
    return "\n".join(lines) + "\n"


def _texts(source: str) -> Iterator[tuple[int, str, bool]]:
    tree = ast.parse(source)
    unseen = set(_unseen(tree, source.encode().split(b"\n")))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _is_command(node):
            for number, line in enumerate(_paragraphs(ast.get_docstring(node) or "")):
                yield node.lineno, line, number == 0
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg in _HELP and (text := _text(keyword.value)) is not None:
                    unseen |= {id(part) for part in ast.walk(keyword.value)}
                    yield keyword.value.lineno, text, keyword.arg != "epilog"
    for node in ast.walk(tree):
        if isinstance(node, ast.expr) and id(node) not in unseen and (text := _text(node)) is not None:
            unseen |= {id(part) for part in _own_parts(node)}
            if _WORDS.search(text):
                yield node.lineno, text.strip("\n"), False


def _unseen(tree: ast.Module, lines: list[bytes]) -> Iterator[int]:
    """Yield the nodes whose strings nobody sees."""
    for node in ast.walk(tree):
        hidden: list[ast.AST] = []
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            hidden = [node.value]  # a docstring
        elif isinstance(node, ast.Assert) or (isinstance(node, ast.FunctionDef) and node.name == "__repr__"):
            hidden = [node]
        elif isinstance(node, ast.Call) and _name(node.func) in _NO_TEXTS:
            hidden = [*node.args]
        elif isinstance(node, ast.AnnAssign):
            hidden = [node.annotation]
        elif isinstance(node, ast.Constant | ast.JoinedStr) and _is_raw(node, lines):
            hidden = [node]  # a regular expression, or a part of one
        for each in hidden:
            yield from (id(part) for part in ast.walk(each))


def _is_raw(node: ast.Constant | ast.JoinedStr, lines: list[bytes]) -> bool:
    return _RAW.match(lines[node.lineno - 1], node.col_offset) is not None


def _is_command(node: _Definition) -> bool:
    calls = (each.func if isinstance(each, ast.Call) else each for each in node.decorator_list)
    return any(_name(call) in ("command", "group") for call in calls)


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _paragraphs(text: str) -> list[str]:
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]


def _text(node: ast.AST) -> str | None:
    """The text of a string, an f-string, or strings that are added to each other; None for anything else."""
    match node:
        case ast.Constant(str(value)):
            return value
        case ast.JoinedStr(values):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else _placeholder(part) for part in values)
        case ast.BinOp(left, ast.Add(), right):
            texts = [_text(side) for side in (left, right)]
            if any(text is not None for text in texts):
                sides = zip((left, right), texts, strict=True)
                return "".join(f"{{{ast.unparse(side)}}}" if text is None else text for side, text in sides)
    return None


def _placeholder(part: ast.expr) -> str:
    assert isinstance(part, ast.FormattedValue)
    return f"{{{ast.unparse(part.value)}}}"


def _own_parts(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the strings that a text is made of, but not those inside its placeholders, which are texts as well."""
    match node:
        case ast.BinOp(left, ast.Add(), right):
            yield from (left, right)
            yield from _own_parts(left)
            yield from _own_parts(right)
        case ast.JoinedStr(values):
            yield from (part for part in values if isinstance(part, ast.Constant))


if __name__ == "__main__":
    SNAPSHOT.write_text(snapshot())
