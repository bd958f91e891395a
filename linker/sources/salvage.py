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
from linker.model.ids import whole_number
from linker.model.target import Kind, Target
from linker.text import without_invisible

_DRESSING: Final = " \t\r\n\"'=(<[{*#"
_REFERENCE: Final = re.compile(
    r"(?<![A-Z0-9_-])(?=[0-9_]*+[A-Z])[A-Z0-9_]++(?:-[A-Z]{1,2})?-[0-9]++(?:-[0-9]++)?(?![A-Z0-9_-])"
)
_NUMBER: Final = re.compile(r"(?P<digits>[0-9]++)(?P<zeros>[.,]0++)?(?![A-Z0-9_.,+/\"'-])")
_GROUPED: Final = re.compile(r"[0-9]{1,3}(?:([.,' ])[0-9]{3})(?:\1[0-9]{3})*(?![A-Z0-9_.,+-])")
_SIGN_OF_ONE: Final = re.compile("[0-9/]")
_BETWEEN: Final = re.compile(r"[;|\r\n]")
_DASHES: Final = re.compile("[\u2010-\u2015\u2212]")
_LONGEST: Final = 4_000
"""Characters of an id in which targets are looked for."""
_MOST: Final = 50
"""Targets of one line; what names more is no id."""


def legible_targets(id: object, kind: object = None) -> tuple[Target, ...]:
    """Return the targets that an id may mean, however it is dressed; none if it shows none.

    What stands around a reference number or a number does not matter if the text begins with it: `PRJ1-1 Login page`,
    `="PRJ1-1"`, `PRJ1-1, PRJ1-2`. A number without a valid kind may be that of any kind.

    Args:
        id: the value of a cell or key; anything else than text and whole numbers means nothing.
        kind: the kind beside it; an invalid one counts as missing.

    Example:
        >>> legible_targets("PRJ1-1 Login page")
        (Target(kind=<Kind.FEATURE: 'feature'>, id='PRJ1-1'),)
    """
    number = whole_number(id)
    try:
        text = str(number) if number is not None else id
    except ValueError:  # over the interpreter's limit of digits
        return ()
    if not isinstance(text, str):
        return ()
    if len(text) > _LONGEST:
        text = text[:_LONGEST].rpartition(" ")[0]  # a reference number that is cut off is another one
    text = unicodedata.normalize("NFKC", without_invisible(text)).strip()
    kinds = _kinds(kind)
    if Kind.PRODUCT not in kinds and not _SIGN_OF_ONE.search(text):  # the usual case in a file that is no table
        return ()
    found: dict[Target, None] = {}
    for part in [text, *_BETWEEN.split(text)]:
        found |= dict.fromkeys(_found(part.strip(), kinds))
    return tuple(found)[:_MOST]


def _found(text: str, kinds: tuple[Kind, ...]) -> Iterator[Target]:
    """Yield the targets in a text, the likeliest first."""
    for kind in (*kinds, None):  # the kind may be wrong, and the id right
        with suppress(InvalidJob):
            target = located(text, kind)[0]
            # a bare word is the prefix of a product only if its kind says so, or if it has a digit, as in PRJ1
            is_prefix = target.kind is Kind.PRODUCT and Kind.CUSTOM_OBJECT_RECORD not in kinds
            is_prefix = is_prefix and (kind is Kind.PRODUCT or any(map(str.isdigit, target.id)))
            if is_prefix or target.id.isdigit() or _REFERENCE.fullmatch(target.id):
                yield target
                return
    if is_address(text):
        return
    text = _DASHES.sub("-", text.strip(_DRESSING).upper())
    if _REFERENCE.match(text):
        for reference in _REFERENCE.findall(text):
            yield from _parsed(reference, kinds)
    elif (grouped := _GROUPED.match(text)) is not None:
        yield from _numbered("".join(filter(str.isdigit, grouped[0])), kinds)
    elif (number := _NUMBER.match(text)) is not None and not _may_be_rounded(number):
        yield from _numbered(number["digits"], kinds)


def _may_be_rounded(number: re.Match[str]) -> bool:
    """Whether it is a decimal number of more digits than a spreadsheet keeps."""
    return number["zeros"] is not None and len(number["digits"]) > 15


def _numbered(digits: str, kinds: tuple[Kind, ...]) -> Iterator[Target]:
    with suppress(InvalidJob):  # no id has so many digits
        yield from [Target(kind, digits.lstrip("0") or "0") for kind in kinds or Kind]


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
