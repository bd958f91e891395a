"""Cells that a spreadsheet would take for a formula (`=cmd|…`): written as text, and read back as they were.

An apostrophe in front makes text of them in every spreadsheet (OWASP, *CSV Injection*). One that stands there already
gets another, so that what was written is what is read.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["as_text", "from_text"]

_FORMULA: Final = re.compile("'*[=+@＝＋＠－-]")  # with the wide ones, which an East Asian Excel takes as well


def as_text(cell: str) -> str:
    """What is written for it: `'=cmd|…` for `=cmd|…`."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def from_text(cell: str) -> str:
    """What was written so."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
