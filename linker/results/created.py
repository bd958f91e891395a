"""The records that earlier runs have asked for or created a short while ago: their table may not show them yet."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from linker.text import same_name


class OpenCreate(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record that a run is about to create, or has created, as its journal notes it.

    `at` is when its POST left, in seconds since 1970. `id` is None until the POST's answer is known.
    """

    table: str
    name: str
    at: float
    id: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What two notes about the same record have in common."""
        return self.table, same_name(self.name)


class _Line(msgspec.Struct, gc=False):
    kind: str
    created: dict[str, dict[str, str]]
    finished_at: str


_decode = msgspec.json.Decoder(_Line).decode


class CreatedBefore:
    """The ids of records that earlier runs created, as the lines of their results tell them.

    Args:
        since: a record that was created before that time, in seconds since 1970, is left out: the table shows it by
            now, or somebody has deleted it.
    """

    def __init__(self, since: float) -> None:
        self._since = since
        self._ids: dict[tuple[str, str, str], str] = {}

    def __repr__(self) -> str:
        return f"<CreatedBefore, {len(self._ids)} records>"

    def read(self, path: Path) -> None:
        """Take in the lines of a results file.

        Raises:
            OSError: it cannot be read.
        """
        with path.open("rb") as stream:
            for text in stream:
                if b'"created"' not in text:
                    continue
                try:
                    line = _decode(text)
                    at = datetime.fromisoformat(line.finished_at).replace(tzinfo=UTC).timestamp()
                except (msgspec.MsgspecError, ValueError, RecursionError):  # whoever reads the results says what it is
                    continue
                if at >= self._since:
                    for field, ids in line.created.items():
                        for name, id in ids.items():
                            self._ids[line.kind, field, same_name(name)] = id

    def find(self, kind: str, field: str, name: str) -> str | None:
        """Return the id of the record that was created for a name on a field of a kind; None if there is none."""
        return self._ids.get((kind, field, same_name(name)))
