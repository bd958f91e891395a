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
_INVISIBLE: Final = re.compile(  # the category Cf, but for the marks of Arabic, Syriac and Kaithi that are seen
    "[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f]"
)
_ZERO_WIDTH_SPACES: Final = re.compile("[\u00ad\u180e\u200b\u2060\ufeff]")
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


def quoted(value: object, most: int = 80) -> str:
    """A value as an error message shows it, in at most `most` characters; a text in double quotes if it has none."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of over 4,000 digits, lists a thousand deep
        return f"({type(value).__name__})"
    if text.startswith("'") and '"' not in text:
        text = f'"{text[1:-1]}"'
    return text if len(text) <= most else f"{text[: most - 4]}…{text[-1]}"


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


def without_invisible(text: str) -> str:
    """The text without characters that take no space: zero-width spaces, joiners, marks of direction and the like."""
    return text if text.isascii() else _INVISIBLE.sub("", text)


def tidied(text: str) -> str:
    """A name as it is created: stripped, with single spaces, without zero-width spaces and soft hyphens.

    Joiners and marks of direction stay, because Persian, Arabic and Indic words and emoji are spelled with them.
    """
    return " ".join(_ZERO_WIDTH_SPACES.sub("", text).split())


def spaced(text: str) -> str:
    """The text in Unicode form NFC without invisible characters, stripped, with single spaces."""
    return " ".join(unicodedata.normalize("NFC", without_invisible(text)).split())


def same_name(text: str) -> str:
    """What two names have in common if they differ in case, white space and Unicode form (NFC) alone.

    Case is folded one character by another (Unicode's simple folding), so `Weiss` is not `Weiß`, and not by
    compatibility (NFKC), so `H2` is not `H²`.
    """
    text = spaced(text)
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFD", text)  # first: U+0345 becomes a letter (Unicode Standard, D145)
    once = decomposed.casefold()
    if len(once) > len(decomposed):  # full folding has made two characters of one, as it does of ß
        once = "".join(map(_fold, decomposed))
    return spaced(once)


def _fold(char: str) -> str:
    for folded_char in (char.casefold(), char.lower()):
        if len(folded_char) == 1:
            return folded_char
    return char


def folded(text: str) -> str:
    """The text as people take it for equal, more or less: without case, width, accents' form and invisible characters.

    For headings and suggestions. Records are told apart by `same_name`.
    """
    once = " ".join(unicodedata.normalize("NFKC", without_invisible(text)).split())
    return unicodedata.normalize("NFKC", once.casefold())
