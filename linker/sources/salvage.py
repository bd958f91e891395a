"""Finds the targets that a broken line may be meant for, so that their lists are not replaced without it.

This is more lenient than the reading of jobs, because it decides only which lists must wait: too many cost a rejection
that the user corrects, too few cost links.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from linker.errors import InvalidJob
from linker.model.address import is_address, located
from linker.model.target import Kind, Target

_DRESSING: Final = " \t\r\n\"'=(<[{*#"
_REFERENCE: Final = re.compile(
    r"(?<![A-Z0-9_-])[A-Z0-9_]*[A-Z][A-Z0-9_]*(?:-[A-Z]{1,2})?-[0-9]+(?:-[0-9]+)?(?![A-Z0-9_-])"
)
_NUMBER: Final = re.compile(r"([0-9]+)(?:\.0+)?(?![A-Z0-9_.,+/-])")
_GROUPED: Final = re.compile(r"[0-9]{1,3}(?:([.,' ])[0-9]{3})(?:\1[0-9]{3})*(?![A-Z0-9_.,+-])")
_PREFIX: Final = re.compile(r"[A-Z][A-Z0-9_]*")
_DASHES: Final = re.compile("[\u2010-\u2015\u2212]")
_LONGEST: Final = 4_000
"""Characters of an id in which targets are looked for."""
_MOST: Final = 50
"""Targets of one line; what names more is no id."""


def without_format_characters(text: str) -> str:
    """The text without zero-width characters, soft hyphens and byte order marks (Unicode category Cf)."""
    if text.isascii():
        return text
    return "".join(char for char in text if unicodedata.category(char) != "Cf")


def legible_targets(id: object, kind: object = None) -> tuple[Target, ...]:
    """Return the targets that an id may mean, however it is dressed; none if it cannot be told.

    What stands around a reference number or a number does not matter if the text begins with it: `PRJ1-1 Login page`,
    `="PRJ1-1"`, `PRJ1-1, PRJ1-2`. A number without a valid kind may be that of any kind.

    Args:
        id: the value of a cell or key; anything else than text and whole numbers means nothing.
        kind: the kind beside it; an invalid one counts as missing.

    Example:
        >>> legible_targets("PRJ1-1 Login page")
        (Target(kind=<Kind.FEATURE: 'feature'>, id='PRJ1-1'),)
    """
    if isinstance(id, bool) or not isinstance(id, str | int):
        return ()
    try:
        text = unicodedata.normalize("NFKC", without_format_characters(str(id)[:_LONGEST])).strip(_DRESSING)
    except ValueError:  # an integer over the interpreter's limit of digits
        return ()
    kinds = _kinds(kind)
    return tuple(dict.fromkeys(_found(text, kinds)))[:_MOST]


def _found(text: str, kinds: tuple[Kind, ...]) -> Iterator[Target]:
    """Yield the targets in a text, the likeliest first."""
    if is_address(text):
        with suppress(InvalidJob):
            yield located(text)[0]
            return
    text = _DASHES.sub("-", text.upper())
    if _REFERENCE.match(text):
        for reference in _REFERENCE.findall(text):
            yield from _parsed(reference, kinds)
    elif (number := _GROUPED.match(text) or _NUMBER.match(text)) is not None:
        id = "".join(char for char in number[0].removesuffix(".0") if char.isdigit()).lstrip("0") or "0"
        yield from (Target(kind, id) for kind in kinds or Kind)
    elif Kind.PRODUCT in kinds and _PREFIX.fullmatch(text):
        yield Target(Kind.PRODUCT, text)


def _parsed(reference: str, kinds: tuple[Kind, ...]) -> Iterator[Target]:
    """Yield what a reference number means by itself, and else with the kind beside it."""
    for kind in (None, *kinds):
        with suppress(InvalidJob):
            yield Target.parse(reference, kind)
            return


def _kinds(kind: object) -> tuple[Kind, ...]:
    try:
        return (Kind.parse(kind),) if isinstance(kind, str) and kind.strip() else ()
    except InvalidJob:
        return ()
