r"""Makes text from others safe to show on a terminal, in a log or in a line of results.

Names, messages and files may contain terminal commands (ESC, and the C1 controls of ECMA-48), characters that reverse
the order of reading (the bidirectional marks of UAX 9), or line ends. They are shown escaped as in Python and JSON,
`\x1b` or `\u202e`: visible, but without effect.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_LONGEST: Final = 300
_UNPRINTABLE: Final = re.compile(r"[^ -~]")


def harmless(text: str) -> str:
    """The text on one line, with characters that cannot be printed escaped."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def encodable(text: str) -> str:
    """The text with `?` for what UTF-8 cannot encode: halves of characters, and bytes of a file's name."""
    return text.encode(errors="replace").decode()


def plain(text: str) -> str:
    """A server's text on one line of at most 301 characters, escaped, with single spaces for all white space."""
    text = harmless(" ".join(text[: 4 * _LONGEST].split()))  # escaped first: an escape is longer than what it shows
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def quoted(value: object) -> str:
    """An invalid value as an error message shows it, in at most 80 characters."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of over 4,000 digits, lists a thousand deep
        return f"this {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:76]}…{text[-1]}"


def harmless_json(data: bytes) -> bytes:
    r"""The same JSON with all characters that cannot be printed escaped (RFC 8259, 7), such as U+202E.

    JSON itself only requires escapes for the controls below U+0020, which leaves the characters that reorder text.
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
    """The text in Unicode form NFKC, stripped, with single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def folded(text: str) -> str:
    """The same as `unified`, without case: two texts that people take for equal are equal."""
    return unicodedata.normalize("NFKC", unified(text).casefold())
