"""Recognizes the lines that exports of reports put below their rows: totals, a copyright notice, a date."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_MONTH: Final = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
_DATE: Final = (
    rf"(?:[0-9]{{4}}[-./ ](?:[0-9]{{1,2}}|{_MONTH})[-./ ][0-9]{{1,2}}"
    rf"|[0-9]{{1,2}}[-./ ](?:[0-9]{{1,2}}|{_MONTH})[-./, ]{{1,2}}(?:[0-9]{{4}}|[0-9]{{2}})"
    rf"|{_MONTH}[ ][0-9]{{1,2}},?[ ][0-9]{{4}})"
)
_TIME: Final = r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:[ ]?[ap]\.?m\.?)?"
_WHEN: Final = rf"{_DATE}(?:,?[ T]{_TIME})?(?:[ ]?(?:Z|UTC|GMT|[A-Z]{{2,4}}T))?"
_FOOTER: Final = re.compile(
    rf"""
    (?:grand\ |sub)?totals?(?:\ (?:records?|rows?|count|results?))?(?:\ ?[:=(].*)?
    | (?:total\ )?(?:number\ of\ )?(?:records?|rows?)(?:\ count)?\ ?:?\ ?[0-9.,]+
    | [0-9.,]+\ (?:records?|rows?|results?)(?:\ .*)?
    | (?:copyright\b|©|\(c\)\ ).*
    | confidential\b.*
    | (?:generated|exported|created|printed|downloaded|run|report\ (?:generated|exported|created|run|date))
      \ ?(?:(?:by|on|at|from)\b|:).*
    | (?:as\ of|(?:export\ |run\ |report\ )?date)\ ?:?\ ?{_WHEN}
    | {_WHEN}
    | page\ [0-9]+(?:\ (?:of|/)\ [0-9]+)?
    | (?:---?\ ?)?end\ of\ (?:report|file|export)(?:\ ?---?)?\.?
    """,
    re.VERBOSE | re.IGNORECASE,
)
_LONGEST: Final = 500


def footer_of(cells: Sequence[str], line: str) -> str | None:
    """The text of a line that has the form of a footer; None if it has not.

    That is a known text in one cell, or a notice of copyright whose commas have cut it into several.
    """
    full = [text for cell in cells if (text := cell.strip())]
    if not full or (len(full) > 1 and "reserved" not in line.replace('"', "").lower()):  # as in nearly all rows
        return None
    text = " ".join(full[0].split()) if len(full) == 1 else " ".join(line.replace('"', "").strip(" ,;\t\r\n|").split())
    if len(text) > _LONGEST or (len(full) > 1 and not _is_notice(text)):
        return None
    return text if _FOOTER.fullmatch(text) else None


def _is_notice(text: str) -> bool:
    lower = text.lower()
    return lower.startswith(("copyright", "©")) and "reserved" in lower
