r"""Text of others, made fit to be shown: on a terminal, in a log, in a line of results.

Names, messages and files may hold what a terminal takes for a command (ESC, and the C1 controls of ECMA-48), what turns
the order of what is read (the bidirectional marks of UAX 9), or what ends a line. All of it is shown as it is written
in Python and in JSON, `\x1b` or `\u202e`: it does nothing there, and is still to be seen.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

__all__ = ["encodable", "folded", "harmless", "harmless_json", "plain", "quoted", "unified"]

_LONGEST: Final = 300
_UNPRINTABLE: Final = re.compile(r"[^ -~]")


def harmless(text: str) -> str:
    """A text of which all can be printed, in one line."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def encodable(text: str) -> str:
    """The same text with `?` for what UTF-8 has no form for: halves of characters, bytes of a file's name."""
    return text.encode(errors="replace").decode()


def plain(text: str) -> str:
    """The same for a server's prose: short, and with a space for each of its line ends and indents."""
    text = harmless(" ".join(text[: 4 * _LONGEST].split()))  # escaped first: an escape is longer than what it shows
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def quoted(value: object) -> str:
    """Whatever was written where something else belongs, as a message shows it."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of over 4,000 digits, lists a thousand deep
        return f"this {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:76]}…{text[-1]}"


def harmless_json(data: bytes) -> bytes:
    r"""JSON that says the same, with all that cannot be printed escaped (RFC 8259, 7): six characters for U+202E.

    JSON itself escapes no more than the controls below U+0020, and so keeps to one line, but not to its order.
    """
    if data.isascii() and b"\x7f" not in data:
        return data
    return _UNPRINTABLE.sub(_escaped, data.decode()).encode()


def _escaped(match: re.Match[str]) -> str:
    char = match[0]
    if char.isprintable() or char == "\n":
        return char
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def unified(text: str) -> str:
    """A text in one Unicode form (NFKC), with single spaces and none around it."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def folded(text: str) -> str:
    """The same without its case."""
    return unicodedata.normalize("NFKC", unified(text).casefold())
