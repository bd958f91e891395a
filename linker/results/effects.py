"""Finds the `before`, `after` and `changes` of the lines of a results file that leave them out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from linker.batch.change import FieldChange
from linker.results.line import sharing
from linker.results.result import Effect

KEYS: Final = ("before", "after", "changes")

_CACHED: Final = 32
"""Effects that are kept, so that a file whose lines are in another order than a run writes them is read once."""


class _Line(msgspec.Struct, gc=False):
    status: str
    kind: str | None = None
    id: str | None = None
    change: int | None = None
    run: int = 0
    before: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    after: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    changes: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET

    @property
    def has_effect(self) -> bool:
        return msgspec.UNSET not in (self.before, self.after, self.changes)

    @property
    def lacks_effect(self) -> bool:
        return self.before is self.after is self.changes is msgspec.UNSET


class _EffectLine(msgspec.Struct):
    before: dict[str, list[str]] | None
    after: dict[str, list[str]] | None
    changes: dict[str, FieldChange] | None


_decode = msgspec.json.Decoder(_Line).decode
_decode_effect_line = msgspec.json.Decoder(_EffectLine).decode


def _decode_effect(text: bytes) -> Effect:
    line = _decode_effect_line(text)
    return Effect(line.before, line.after, line.changes)


class Effects:
    """The effects of a results file that several lines share: where in the file each of them stands.

    It keeps a number for each such effect, so most files, with one row for each target, need nothing.

    Raises:
        OSError: the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[int, int] = {}
        self._cache: dict[int, Effect] = {}
        wanted = {key for _, line, key in self._lines() if line.lacks_effect}
        if wanted:
            self._places = {key: place for place, line, key in self._lines() if key in wanted and line.has_effect}

    def __repr__(self) -> str:
        return f"<Effects, {len(self._places):,} shared>"

    def find(self, result: Mapping[str, Any]) -> Effect | None:
        """Return the effect of a line that leaves it out, the same object for all of them; None if no line has it.

        Raises:
            KeyError, TypeError, msgspec.MsgspecError: the line, or the one with the effect, is not of a results file.
        """
        key = _key(result.get("run", 0), result["change"], result["kind"], result["id"], result["status"])
        effect = self._cache.get(key)
        if effect is None:
            place = self._places.get(key)
            if place is None:
                return None
            with self._path.open("rb") as stream:
                stream.seek(place)
                effect = _decode_effect(stream.readline())
            while len(self._cache) >= _CACHED:
                del self._cache[next(iter(self._cache))]
            self._cache[key] = effect
        return effect

    def _lines(self) -> Iterator[tuple[int, _Line, int]]:
        """Yield the place of each line in the file, what is needed of it, and the key of its effect."""
        place = 0
        with self._path.open("rb") as stream:
            for text in stream:
                try:
                    line = _decode(text)
                except (msgspec.MsgspecError, ValueError, RecursionError):  # whoever reads the results says what it is
                    pass
                else:
                    yield place, line, _key(line.run, line.change, line.kind, line.id, line.status)
                place += len(text)


def _key(run: int, change: int | None, kind: str | None, id: str | None, status: str) -> int:
    return hash((run, sharing(change, kind, id, status)))
