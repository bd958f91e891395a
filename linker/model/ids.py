"""Ids as users write them: digits, integers of any type, and the forms in which spreadsheets keep or spoil them."""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from linker.errors import InvalidJob
from linker.text import quoted, without_invisible

DIGITS = re.compile(r"[0-9]+")
SPREADSHEET = re.compile(r"[0-9]+(?:[.,][0-9]+)?[eE]\+?[0-9]+")

_TEXT_FORMULA = re.compile(r'="((?:[^"]|"")*)"')
_QUOTED = re.compile(r'"([^"]*)"')
_AFTER_APOSTROPHE = re.compile(r"'(?=[A-Za-z0-9])[A-Za-z0-9_-]+(?:\.0+)?")
_WHOLE_DECIMAL = re.compile(r"([0-9]+)\.0+")
_EXACT: Final = 2**53  # from there on, a float drops digits (IEEE 754)

# At the start of a part of a cell, and up to its end: 1 to 3 digits, then groups of exactly 3 with one kind of
# separator. Tabs and line breaks stand in no number. India groups the other digits by 2.
_START: Final = r"(?<![^\s;|,])"
_END: Final = r"(?![A-Za-z0-9_-])"
_GROUPED = re.compile(
    rf"{_START}(?:[0-9]{{1,3}}(?P<mark>[,.'\u2019\u066c]|[^\S\t\n\v\f\r])[0-9]{{3}}(?:(?P=mark)[0-9]{{3}})*{_END}"
    rf"|[0-9]{{1,2}}(?:,[0-9]{{2}})+,[0-9]{{3}}{_END})"
)
_DECIMAL_COMMA = re.compile(rf"{_START}[0-9]+,0+{_END}")


def record_id(value: object) -> str:
    """The id of a record as a string of digits without leading zeros, from a string or an integer of any length.

    Raises:
        InvalidJob: it is not a whole number, or a spreadsheet has rounded it.
    """
    if isinstance(value, str):
        text = value.strip()
        if DIGITS.fullmatch(text):
            return text.lstrip("0") or "0"
        text = undressed_id(text)
        if DIGITS.fullmatch(text):
            return text.lstrip("0") or "0"
        if fault := spoiled(text):
            raise InvalidJob(f"record id {fault}")
    elif (number := whole_number(value)) is not None and number >= 0:
        return digits(number)
    hint = ""
    if isinstance(value, str) and value.strip():
        hint = '; to give names, add --match name (or write {"name": "…"} in JSON)'
    raise InvalidJob(f"record id {quoted(value)} is not a number{float_hint(value)}{hint}")


def plain_ids(values: object) -> Sequence[str] | None:
    """The same list if it has only ids of records in their one form: digits without leading zeros; else None."""
    if type(values) is not list and type(values) is not tuple:
        return None
    for id in values:
        if type(id) is not str or not (id.isascii() and id.isdigit()) or id[0] == "0":
            return None
    return values


def exact_id(value: object) -> str:
    """The id of a record in an answer or in one of linker's own files, where it is not dressed for a spreadsheet.

    Raises:
        InvalidJob: it is neither an integer nor a string of digits.
    """
    if isinstance(value, str):
        text = value.strip()
        if DIGITS.fullmatch(text):
            return text.lstrip("0") or "0"
    elif isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return digits(value)
    raise InvalidJob(f"record id {quoted(value)} is not a number{float_hint(value)}")


def sorted_ids(ids: Sequence[str] | frozenset[str] | set[str]) -> list[str]:
    """Record ids sorted as numbers, without repeats."""
    return sorted(sorted(set(ids)), key=len)


def undressed_name(text: str) -> str:
    """A text without the formula that keeps a spreadsheet from changing it: `Acme Corp` for `="Acme Corp"`."""
    match = _TEXT_FORMULA.fullmatch(text)
    return match[1].replace('""', '"').strip() if match is not None else text


def undressed_id(text: str) -> str:
    """An id without what keeps it text in a spreadsheet, or what a program has added to it.

    `="640362830"`, `'640362830`, `"640362830"` and `640362830.0` (below 2^53, where a float is exact) are `640362830`;
    characters that take no space are dropped.
    """
    text = undressed_name(without_invisible(text).strip())
    if match := _QUOTED.fullmatch(text):
        text = match[1].strip()
    if _AFTER_APOSTROPHE.fullmatch(text):
        text = text[1:]
    match = _WHOLE_DECIMAL.fullmatch(text)
    if match is not None and len(match[1]) <= 16 and int(match[1]) < _EXACT and not _GROUPED.fullmatch(text):
        text = match[1]  # `640.000` may be 640 or 640 thousand
    return text


def spoiled(text: str) -> str:
    """Return how a spreadsheet or a program has spoiled an id, as a message; empty if it has not."""
    if SPREADSHEET.fullmatch(text):
        return (
            f"{quoted(text)} has lost its last digits in a spreadsheet; format the column as text and export it again"
        )
    if is_grouped(text):
        return grouped_message(text)
    if _WHOLE_DECIMAL.fullmatch(text):
        return (
            f"{quoted(text)} is a decimal number of more than 15 digits, which a spreadsheet may have rounded; "
            "format the column as text and export it again"
        )
    return ""


def is_grouped(cell: str) -> bool:
    """Whether a cell holds one number with thousands separators or a decimal comma, which is not a list of ids.

    `640,362,830`, `640 362 830`, `640.362.830` and `640362830,0` are one number each, alone or in a list.
    """
    cell = without_invisible(cell)
    return _GROUPED.search(cell) is not None or _DECIMAL_COMMA.search(cell) is not None


def grouped_message(cell: str) -> str:
    """Why a cell with such a number is rejected, and what to do."""
    return (
        f"{quoted(cell)} looks like one number with thousands separators or a decimal comma; "
        "format the column as text and export it again"
    )


def ungrouped_id(cell: str) -> str:
    """The digits of a number with thousands separators; empty if the cell is not exactly one such number."""
    match = _GROUPED.fullmatch(cell.strip()) or _DECIMAL_COMMA.fullmatch(cell.strip())
    if match is None:
        return ""
    whole = match[0].partition(",")[0] if match.re is _DECIMAL_COMMA else match[0]
    return re.sub("[^0-9]", "", whole).lstrip("0") or "0"


def rounded_hint(*ids: str) -> str:
    """What to add to the message that an id does not exist, if a spreadsheet may have rounded it; else empty.

    A spreadsheet keeps the first 15 digits of a number, and writes zeros for the others.
    """
    if any(map(is_rounded, ids)):
        return (
            "; the id may have lost its last digits, because spreadsheets keep only 15 digits of a number: "
            "format the column as text before you paste the ids"
        )
    return ""


def is_rounded(id: str) -> bool:
    """Whether an id has 16 digits or more, and only zeros after the 15th."""
    return len(id) > 15 and not id[15:].strip("0") and id.isdecimal()


def whole_number(value: object) -> int | None:
    """The integer that a value is, of whatever type (numpy's and `Decimal` too); None for all else, as for floats."""
    if isinstance(value, int):
        return None if isinstance(value, bool) else value
    if isinstance(value, str | float):
        return None
    if isinstance(value, Decimal):
        # an exponent above 0 stands for digits that are lost: 7.03605E+18
        is_whole = value.is_finite() and int(value.as_tuple().exponent) <= 0 and value == value.to_integral_value()
        return int(value) if is_whole else None
    if type(value).__name__ in ("bool", "bool_"):  # numpy's, which older versions take for 0 and 1
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]  # other types raise TypeError
    except TypeError:
        return None


def digits(value: int) -> str:
    """The digits of a number. Raises `InvalidJob` if it has over 4,000."""
    try:
        return str(value)
    except ValueError:  # over the interpreter's limit of digits
        raise InvalidJob("an id has more than 4,000 digits; write it as a string") from None


def float_hint(value: object) -> str:
    """How to correct a number with a decimal point, as the end of a message; empty for other values."""
    if not isinstance(value, float):
        return ""
    if value == value and abs(value) >= _EXACT:
        return "; the number has lost its last digits (in a spreadsheet, or above 2^64): write it as a string"
    return "; write it as a string"
