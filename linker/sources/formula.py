"""Keeps spreadsheets from running a cell such as `=cmd|…` as a formula (OWASP, *CSV Injection*).

An apostrophe in front turns such a cell into text. A cell that already starts with one gets another, so that reading
gives back exactly what was written.
"""

from __future__ import annotations

import re
from typing import Final

_FORMULA: Final = re.compile("'*[=+@＝＋＠－-]")  # with the full-width characters that an East Asian Excel accepts too


def as_text(cell: str) -> str:
    """The cell as an export writes it: `'=cmd|…` for `=cmd|…`."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def from_text(cell: str) -> str:
    """The value of a cell that `as_text` wrote."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
