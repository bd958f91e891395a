"""The two forms of a Salesforce id: 15 characters whose case counts, and 18 with three check characters of the case.

Each check character stands for five of the 15: the first of them counts 1 if it is a capital letter, the next 2, then
4, 8 and 16, and the sum is a place in the alphabet and the digits 0 to 5 (source: Salesforce's documentation of its
function CASESAFEID, and public descriptions of it).
"""

from __future__ import annotations

import re
from typing import Final

_SHORT = re.compile(r"[A-Za-z0-9]{15}")
_LONG = re.compile(r"[A-Za-z0-9]{15}[A-Z0-5]{3}")
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def check_characters(short: str) -> str:
    """The three check characters of an id of 15 characters.

    Example:
        >>> check_characters("0015g00000Q7pXk")
        'AAJ'
    """
    chunks = (short[start : start + 5] for start in range(0, 15, 5))
    return "".join(_ALPHABET[sum(1 << place for place, char in enumerate(chunk) if char.isupper())] for chunk in chunks)


def short_form(text: str) -> str | None:
    """The 15 characters of a Salesforce id; None if the text is not one, or its check characters are wrong."""
    if _SHORT.fullmatch(text):
        return text
    if _LONG.fullmatch(text) and check_characters(text[:15]) == text[15:]:
        return text[:15]
    return None
