"""Tells what a name looks like that is probably not the name of a record, so that none is created for it. Pure.

Spreadsheets, databases and exports write such texts for errors, for nothing, and for totals.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from linker.model.ids import SPREADSHEET, undressed_id, undressed_name
from linker.model.salesforce import short_form
from linker.text import without_invisible

_SHEET_ERROR = re.compile(r"#[¡¿]?[\w/ ]+[!?]|#(?:N/?A|N/?D|NV|N/A N/A|GETTING_DATA)|#+", re.IGNORECASE)
_NOTHING: Final = frozenset(
    {"null", "nil", "none", "nan", "nat", "na", "n/a", "n.a", "n.a.", "n/d", "undefined", "blank", "empty", "void"}
    | {"unassigned", "not available", "not applicable", "not set", "no value", "no data", "true", "false", "\\n"}
    | {"object object"}
)
_BRACKETS: Final = "()<>[]{}#"
_TOTAL = re.compile(
    r"(?:(?:grand|sub)[ -]?)?(?:totals?|sum|count|summe|gesamt|gesamtergebnis)\b *(?:[:(\d].*)?", re.IGNORECASE
)
_FOOTER = re.compile(r"copyright (?:\(c\)|©|\d)|confidential information", re.IGNORECASE)
_REFERENCE = re.compile(r"[A-Z][A-Z0-9_]*-(?:[A-Z]{1,2}-)?[0-9]+(?:-[0-9]+)?")
_NUMBER = re.compile(r"[0-9]{6,}")
_UUID = re.compile(r"\{?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?", re.IGNORECASE)
_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_QUOTES: Final = {'"': '"', "'": "'", "“": "”", "„": "“”", "«": "»", "‘": "’", "`": "`"}
_WRONG_ENCODINGS: Final = ("cp1252", "latin-1", "cp437", "cp850", "mac_roman")


def why_no_name(name: str) -> str:
    """Return what a text looks like if it is probably not the name of a record, such as `a spreadsheet error`.

    Empty if it looks like a name.
    """
    text = " ".join(without_invisible(name).split())
    return next((looks for looks, fits in _LOOKS if fits(text)), "")


def meant(name: str) -> Iterator[str]:
    """Yield the names that such a text may stand for: without quotes, decoded again, without codes of a web page."""
    text = " ".join(without_invisible(name).split())
    candidates = (undressed_name(text), undressed_id(text), _unquoted(text), _decoded(text), html.unescape(text))
    yield from dict.fromkeys(each for each in candidates if each and each != text)


def _unquoted(text: str) -> str | None:
    """The text in a pair of quotes around the whole of it; None without them."""
    closing = _QUOTES.get(text[:1], "")
    if len(text) > 2 and closing and text[-1] in closing and not set(text[1:-1]) & set(closing):
        return text[1:-1].strip()
    return None


def _decoded(text: str) -> str | None:
    """The text that UTF-8 was before somebody read it with another encoding: `Café` for `CafÃ©`; None if it was not.

    By chance, `É™` and `’É` of other texts look the same; so only letters of the usual alphabets count.
    """
    if text.isascii():
        return None
    for encoding in _WRONG_ENCODINGS:
        try:
            decoded = text.encode(encoding).decode()
        except UnicodeError:
            continue
        letters = [char for char in decoded if not char.isascii()]
        is_windows = encoding in _WRONG_ENCODINGS[:2]
        if all("\u0080" <= char < ("\u0180" if is_windows else "\u0100") for char in letters):
            return decoded
        if is_windows and len(letters) > 1 and all(_is_usual(char) for char in letters):
            return decoded
        if is_windows and any("\u2000" <= char < "\u2100" for char in letters):  # a dash or a curly quote
            return decoded
    return None


def _is_usual(char: str) -> bool:
    return char < "\u0180" or "\u0370" <= char < "\u0700" or char >= "\u0800"


def _is_nothing(text: str) -> bool:
    return text.strip(_BRACKETS).strip().lower() in _NOTHING


def _is_id(text: str) -> bool:
    if _NUMBER.fullmatch(text) or _REFERENCE.fullmatch(text) or _UUID.fullmatch(text) or _ADDRESS.match(text):
        return True
    if len(text) == 18:
        return short_form(text) is not None
    return short_form(text) is not None and sum(map(str.isdigit, text)) > 3  # else it is a word of 15 letters


_LOOKS: Final[Sequence[tuple[str, Callable[[str], object]]]] = (
    ("a spreadsheet error", _SHEET_ERROR.fullmatch),
    ("a placeholder for a missing value", _is_nothing),
    ("a number that a spreadsheet has rounded", SPREADSHEET.fullmatch),
    (
        "text with lost characters (U+FFFD); export the file again as UTF-8",
        lambda text: "\N{REPLACEMENT CHARACTER}" in text,
    ),
    ("text with control characters", lambda text: any(unicodedata.category(char) == "Cc" for char in text)),
    ("a spreadsheet formula", lambda text: text.startswith("=")),
    (
        "text with leftover quotes around it",
        lambda text: _unquoted(text) is not None or (text.startswith('"') and text.count('"') % 2),
    ),
    ("an id", _is_id),
    ("a number, a date or a mark, because it has no letters", lambda text: not any(map(str.isalpha, text))),
    (
        "text that was read with a wrong encoding; export the file again as UTF-8",
        lambda text: _decoded(text) is not None,
    ),
    ("text from a web page, with a code such as &amp; in it", lambda text: html.unescape(text) != text),
    ("the footer of a report", lambda text: _TOTAL.fullmatch(text) or _FOOTER.match(text)),
)
"""What a text may look like, and how to see it. The first that fits counts."""
