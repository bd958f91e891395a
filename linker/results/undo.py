"""A results file, read backwards: the jobs that take back what its run changed.

What is taken back is the *delta* of each write, newest first: of an id that several writes touched, the oldest
write tells whether it was there before. What others have written since stays.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from linker.batch.change import Intent
from linker.disk.lines import is_locked
from linker.errors import InvalidJob, UsageError
from linker.model.job import LinkJob, Mode, check_key, parse_links, parse_mode, record_id
from linker.model.target import Target
from linker.results.journal import by_process, journal_of, left_open
from linker.sources.entry import Entry, Reading, Rejection
from linker.text import encodable

__all__ = ["UndoFile"]


class UndoFile:
    """The undo of a run, as a source of jobs: for each target what to add again and what to remove again.

    A line whose PUT left no delta (blind, or the target shows no links), or of which nobody knows whether it arrived,
    is an entry that is rejected, and so named.
    """

    def __init__(self, path: str | Path) -> None:
        self.name = encodable(str(path))
        self._path = Path(path)
        self.before: dict[Target, dict[str, frozenset[str]]] = {}
        """What each target held in the fields that are taken back, before the run: to tell others' work by."""
        self.created: set[str] = set()
        """Records that the run has created. They stay: others may link to them by now."""

    def __repr__(self) -> str:
        return f"<UndoFile {self.name}>"

    @property
    def stem(self) -> str:
        """What the results file of the undo is named after."""
        return f"{self._path.name.removesuffix('.jsonl').removesuffix('.results')}.undo"

    def check(self) -> None:
        """Notice beforehand that the file cannot be read. Raises `UsageError` where it is so."""
        if not self._path.is_file():
            raise UsageError(f"{self.name}: no such results file")
        try:
            locked = is_locked(self._path)
        except OSError as error:
            raise UsageError(f"{self.name}: {error.strerror}") from None
        if locked:
            raise UsageError(f"{self.name}: a run is writing to it{by_process(self._path)}; wait for its end")

    def changed(self) -> bool:
        """A results file grows, and what it said stays."""
        return False

    async def entries(self, reading: Reading) -> AsyncIterator[list[Entry]]:
        """The jobs of the undo, and rejections of the lines that cannot be undone.

        Raises:
            UsageError: the file cannot be read, or is no results file.
        """
        del reading  # its lines are linker's own
        entries: list[Entry] = []
        was_there: dict[Target, dict[str, dict[str, bool]]] = {}
        lines: dict[Target, int] = {}
        try:
            with self._path.open("rb") as stream:
                for number, line in enumerate(stream, start=1):  # however long: a target's links may be many
                    if line.isspace():
                        continue
                    entry = self._read(number, line, was_there, lines)
                    if entry is not None:
                        entries.append(entry)
        except OSError as error:
            raise UsageError(f"{self.name}: {error.strerror}") from None
        journal = journal_of(self._path)
        try:
            for left in left_open(journal).values():
                self._take_back(left.intent, was_there)
        except InvalidJob as error:
            raise UsageError(f"{journal}: this is no journal of a run: {error}") from None
        except OSError as error:
            raise UsageError(f"{journal}: {error.strerror}") from None
        if entries:
            yield entries
        for target, fields in was_there.items():
            undone = [
                Entry(*self._place(lines.get(target)), LinkJob(target.id, links, kind=target.kind, mode=mode))
                for mode, links in _links(fields)
            ]
            if undone:
                yield undone

    def _place(self, line: int | None) -> tuple[str, int]:
        """Where it stands what a target is undone by: a line of the results, or the journal."""
        return (self.name, line) if line is not None else (encodable(str(journal_of(self._path))), 1)

    def _take_back(self, intent: Intent, was_there: dict[Target, dict[str, dict[str, bool]]]) -> None:
        """A PUT of a run that was cut off: whether it arrived is not known, and what is there of it is taken back."""
        for field, (before, after) in (intent.asked or {}).items():
            _check(intent.target, field, *before, *after)
            self.before.setdefault(intent.target, {}).setdefault(field, before)
            touched = was_there.setdefault(intent.target, {}).setdefault(field, {})
            for id in before ^ after:
                touched.setdefault(id, id in before)

    def _read(
        self, number: int, line: bytes, was_there: dict[Target, dict[str, dict[str, bool]]], lines: dict[Target, int]
    ) -> Entry | None:
        try:
            result = orjson.loads(line)
            status, change, changes = result["status"], result["change"], result["changes"]
            doubtful = status == "linked" or (result.get("error") or {}).get("retryable")  # it may have arrived
            if change is None or (changes is None and not doubtful):
                return None
            target = Target.parse(result["id"], result["kind"])
            if changes is None:
                return Entry(self.name, number, _left(target, result))
            lines.setdefault(target, number)
            self.created.update(id for made in (result.get("created") or {}).values() for id in made.values())
            held = was_there.setdefault(target, {})
            before = self.before.setdefault(target, {})
            for field, delta in changes.items():
                _check(target, field)
                if result.get("before"):
                    before.setdefault(field, frozenset(result["before"][field]))
                touched = held.setdefault(field, {})
                for id in map(record_id, delta["added"]):
                    touched.setdefault(id, False)
                for id in map(record_id, delta["removed"]):
                    touched.setdefault(id, True)
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, InvalidJob) as error:
            match error:
                case KeyError():
                    why = f"it has no {error}"
                case TypeError() | AttributeError():
                    why = "what it holds is none of a result's"
                case _:
                    why = str(error)
            raise UsageError(f"{self.name} line {number}: this is no line of a results file: {why}") from None
        return None


def _check(target: Target, field: str, *ids: str) -> None:
    """Raise `InvalidJob` where a file that somebody has touched asks what no job can."""
    LinkJob(target.id, {field: ids}, kind=target.kind)


def _links(fields: Mapping[str, Mapping[str, bool]]) -> list[tuple[Mode, dict[str, list[str]]]]:
    add = {field: [id for id, was in ids.items() if was] for field, ids in fields.items()}
    remove = {field: [id for id, was in ids.items() if not was] for field, ids in fields.items()}
    asked = [(Mode.ADD, add), (Mode.REMOVE, remove)]
    trimmed = [(mode, {field: ids for field, ids in links.items() if ids}) for mode, links in asked]
    return [(mode, links) for mode, links in trimmed if links]


def _left(target: Target, result: Mapping[str, Any]) -> Rejection:
    check_key(result["key"])
    return Rejection(
        "what this PUT changed is not known (blind, no answer, or the target shows no links), so it cannot be undone",
        target=None,  # nothing else is held back by it
        kind=target.kind,
        id=target.id,
        mode=parse_mode(result.get("mode")),
        links=parse_links(result["links"]),
        key=result["key"],
    )
