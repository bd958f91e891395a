"""Finds the targets in text that should be JSON and is not."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import Final

from linker.errors import InvalidJob
from linker.model.target import Kind, Target
from linker.sources.entry import Reading
from linker.sources.salvage import legible_targets

_Q: Final = "\"'`´\u2018-\u201f«»"  # all that people and their word processors write for quotes
_KEY: Final = re.compile(rf"(?:\A|[{_Q}{{,\n])[ \t]*(id|kind)[{_Q}]{{0,2}}\s*[:=]\s*", re.IGNORECASE)
_END: Final = r"(?=[\s,}\]]|\Z)"
_VALUE: Final = re.compile(
    rf'""(?P<doubled>[^"\r\n]*+)""{_END}'
    rf'|"(?P<double>(?:[^"\\\r\n]|\\.)*+)"{_END}'
    rf"|'(?P<single>(?:[^'\\\r\n]|\\.)*+)'{_END}"
    rf"|[\u2018-\u201f«`](?P<curly>[^\u2018-\u201f»´`\r\n]*+)[\u2018-\u201f»´`]{_END}"
    rf"|(?P<bare>[^\s{_Q},:{{}}\[\]]++)(?=[\s{_Q},}}\]])"
)
_BRACKETS: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?|[{}\[\]]', re.DOTALL)
_BEGINNING: Final = re.compile(
    rf"[\s\[{_Q}]*(?:\{{|.?[{_Q}]{{0,2}}(?:id|kind|links|mode|key)[{_Q}]{{0,2}}\s*:)", re.IGNORECASE
)
_ANY_BRACKET: Final = re.compile(r"[{}\[\]]")
_GARBLED: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff\ufffd]")
_MOST: Final = 1000
"""Ids of one broken text; with more, any list may lack it."""


def targets_in(text: str, reading: Reading, fault: int | None = None) -> tuple[Target, ...]:
    """Return the targets that a broken line or object may be meant for; none if it shows none.

    An `id` whose end is missing or that holds garbled characters tells nothing. Neither do ids that are nested in the
    object, such as those of its `key`, if its own `id` is illegible, or ids in text that has lost its beginning.

    Args:
        text: the line, with surrogates for bytes that are not UTF-8.
        fault: where in the text it stops being JSON; what stands before is surely nested as its brackets say.
    """
    ids: list[tuple[str | None, bool]] = []
    kinds: dict[Kind | None, None] = {}
    depths = _Depths(text, len(text) if fault is None else fault)
    has_ids = "id" in text.lower() and _BEGINNING.match(text) is not None
    for match in _KEY.finditer(text) if has_ids else ():
        value = _value(text, match.end())
        if match[1].lower() == "kind":
            kinds[_kind(value)] = None
        else:
            is_nested = depths.at(match.start(1)) > 1
            if not is_nested or (fault is not None and match.start() >= fault):  # it may be the id of a further job
                ids.append((value, is_nested))
    if len(ids) > _MOST:
        return ()
    found: dict[Target, None] = {}
    for value in dict.fromkeys(value for value, _ in ids):
        targets = _targets(value, list(kinds) or [None], reading)
        if not targets:
            return ()
        found.update(dict.fromkeys(targets))
    return () if all(is_nested for _, is_nested in ids) else tuple(found)


def brackets(text: str) -> Iterator[tuple[int, str]]:
    """Yield the brackets and braces outside of strings, each with its place."""
    for match in _BRACKETS.finditer(text):
        if match[0][0] != '"':
            yield match.start(), match[0]


class _Depths:
    """How deep in brackets the places of a text are. Behind the fault, quotes do not tell what is a string."""

    def __init__(self, text: str, fault: int) -> None:
        self._text = text
        self._fault = fault
        self._places: list[int] | None = None
        self._depths = [0]

    def at(self, place: int) -> int:
        """Return how many brackets are open at a place."""
        if self._places is None:
            self._places = []
            before = ((at, bracket) for at, bracket in brackets(self._text) if at < self._fault)
            behind = ((match.start(), match[0]) for match in _ANY_BRACKET.finditer(self._text, self._fault))
            for at, bracket in chain(before, behind):
                self._places.append(at)
                self._depths.append(max(0, self._depths[-1] + (1 if bracket in "{[" else -1)))
        return self._depths[bisect_right(self._places, place)]


def _value(text: str, start: int) -> str | None:
    """The value that begins here as text; None if its end is missing or it is garbled."""
    match = _VALUE.match(text, start)
    if match is None or match.lastgroup is None:
        return None
    value = match[match.lastgroup]
    if match.lastgroup == "double":
        with suppress(ValueError):
            value = json.loads(f'"{value}"', strict=False)
    return None if _GARBLED.search(value.split(maxsplit=1)[0] if value.strip() else value) else str(value)


def _kind(value: str | None) -> Kind | None:
    with suppress(InvalidJob):
        return Kind.parse(value) if value is not None else None
    return None


def _targets(id: str | None, kinds: Sequence[Kind | None], reading: Reading) -> tuple[Target, ...]:
    if id is None:
        return ()
    if reading.named_targets and any(
        isinstance(reading.id_of(id, kind or Kind.CUSTOM_OBJECT_RECORD), dict) for kind in kinds
    ):
        return ()  # it may be a name, even if it looks like an id
    return tuple(target for kind in kinds for target in legible_targets(id, kind))
