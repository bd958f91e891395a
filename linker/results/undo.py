"""The undo of a run: a results file, read as the jobs that take back what the run changed.

The first line of a change says what it changed; in older files each of its lines does. Each write's *delta* is taken
back. If several writes touched an id, the oldest one tells whether it was there before. What others have written since
stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
import orjson

from linker.disk.lines import is_locked
from linker.errors import InvalidJob, UsageError
from linker.model.ids import exact_id
from linker.model.job import LinkJob, Mode, check_key, parse_links, parse_mode
from linker.model.target import Target
from linker.results.account import check_undo, is_other, other_account
from linker.results.effects import KEYS, Effects
from linker.results.journal import by_process, journal_of, left_open
from linker.sources.entry import Entry, Reading, Rejection
from linker.text import encodable, quoted

_CHUNK: Final = 256


class UndoFile:
    """The undo of a run, as a source of jobs: for each target what to add again and what to remove again.

    A line is rejected if its PUT left no delta (blind, or the target shows no links), or if nobody knows whether the
    PUT arrived.
    """

    def __init__(self, path: str | Path) -> None:
        self.name = encodable(str(path))
        self._path = Path(path)
        self.before: dict[Target, dict[str, frozenset[str]]] = {}
        """Links of each target before the run, in the fields to undo; a difference afterwards is the work of others."""
        self.created: set[str] = set()
        """Ids of records that the run has created. An undo does not delete them: others may link to them by now."""

    def __repr__(self) -> str:
        return f"<UndoFile {self.name}>"

    @property
    def stem(self) -> str:
        """The results file of the undo is named after this."""
        return f"{self._path.name.removesuffix('.jsonl').removesuffix('.results')}.undo"

    def check(self, encoding: str | None = None) -> None:
        """Raise `UsageError` if the file does not exist, cannot be read, or a run is writing to it."""
        if not self._path.is_file():
            raise UsageError(f"{self.name}: there is no such results file")
        try:
            locked = is_locked(self._path)
        except OSError as error:
            raise UsageError(f"{self.name}: {error.strerror}") from None
        if locked:
            raise UsageError(f"{self.name} is in use by another run{by_process(self._path)}; wait until it ends")

    def check_account(self, account: str) -> None:
        """Raise `UsageError` if a run of the file wrote to another account than the one with this address."""
        journal = journal_of(self._path)
        try:
            check_undo(self._path, account)
            for left in left_open(journal).values():
                if left.account is not None and is_other(left.account, account):
                    raise UsageError(other_account(journal, f"on {left.intent.target}", left.account, account))
        except OSError as error:
            raise UsageError(f"{self.name}: {error.strerror}") from None

    def changed(self) -> bool:
        """Always False: a results file only grows."""
        return False

    async def entries(self, reading: Reading) -> AsyncIterator[list[Entry]]:
        """The jobs of the undo, and rejections of the lines that cannot be undone, some hundred at a time.

        Raises:
            UsageError: the file cannot be read, or is no results file.
        """
        del reading  # its lines are linker's own
        entries = self._entries()
        while chunk := await asyncio.to_thread(lambda: list(islice(entries, _CHUNK))):
            yield chunk

    def _entries(self) -> Iterator[Entry]:
        deltas: _Deltas = {}
        yield from self._read_results(deltas)
        self._read_journal(deltas)
        for target, delta in deltas.items():
            for mode, links in delta.inverse():
                yield Entry(*self._place(delta.line), LinkJob(target.id, links, kind=target.kind, mode=mode))

    def _place(self, line: int | None) -> tuple[str, int]:
        """The file and line that tell of a change: those of the results, or else of the journal."""
        return (self.name, line) if line is not None else (encodable(str(journal_of(self._path))), 1)

    def _read_results(self, deltas: _Deltas) -> list[Entry]:
        """Take in what each line changed; the rejections of those lines that do not tell."""
        rejections: list[Entry] = []
        try:
            effects = Effects(self._path)
            with self._path.open("rb") as stream:
                for number, line in enumerate(stream, start=1):  # however long: a target's links may be many
                    if not line.isspace() and (rejection := self._read_line(number, line, deltas, effects)) is not None:
                        rejections.append(Entry(self.name, number, rejection))
        except OSError as error:
            raise UsageError(f"{self.name}: {error.strerror}") from None
        return rejections

    def _read_journal(self, deltas: _Deltas) -> None:
        """Take in the PUTs of a killed run: whether they arrived is unknown, so what is there of them is taken back."""
        journal = journal_of(self._path)
        try:
            for noted in left_open(journal).values():
                target = noted.intent.target
                for field, (before, after) in (noted.intent.before_and_after or {}).items():
                    _check(target, field, *before, *after)
                    self.before.setdefault(target, {}).setdefault(field, before)
                    deltas.setdefault(target, _Delta()).add(field, added=after - before, removed=before - after)
        except InvalidJob as error:
            raise UsageError(f"{journal}: this is not the journal of a run: {error}") from None
        except OSError as error:
            raise UsageError(f"{journal}: {error.strerror}") from None

    def _read_line(self, number: int, line: bytes, deltas: _Deltas, effects: Effects) -> Rejection | None:
        try:
            result = orjson.loads(line)
            status, change = result["status"], result["change"]
            is_first = not result.keys().isdisjoint(KEYS)  # of its change: only the first line has the effect
            if is_first or change is None:
                changes = result["changes"] if is_first else None
            elif (effect := effects.find(result)) is not None:
                changes = effect.changes
            else:
                raise UsageError(f"{self.name} line {number}: {_orphaned(change)}")
            self.created.update(exact_id(id) for made in (result.get("created") or {}).values() for id in made.values())
            may_have_arrived = status == "linked" or (result.get("error") or {}).get("retryable")
            if change is None or (changes is None and not may_have_arrived):
                return None
            target = Target.parse(result["id"], result["kind"])
            if changes is None:
                return _unknown(target, result)
            if not is_first:
                return None
            delta = deltas.setdefault(target, _Delta(number))
            before = self.before.setdefault(target, {})
            for field, ids in changes.items():
                _check(target, field)
                if result.get("before"):
                    before.setdefault(field, frozenset(result["before"][field]))
                delta.add(field, added=map(exact_id, ids["added"]), removed=map(exact_id, ids["removed"]))
        except (orjson.JSONDecodeError, msgspec.MsgspecError, KeyError, TypeError, AttributeError, InvalidJob) as error:
            match error:
                case KeyError():
                    why = f"key {quoted(error.args[0])} is missing"
                case TypeError() | AttributeError():
                    why = "it has the wrong form"
                case _:
                    why = str(error)
            raise UsageError(f"{self.name} line {number}: this is not a line of a results file: {why}") from None
        return None


class _Delta:
    """What the writes to one target changed, from the oldest to the newest.

    Args:
        line: the first line of the results that tells of one; None if only the journal does.
    """

    __slots__ = ("_fields", "line")

    def __init__(self, line: int | None = None) -> None:
        self.line = line
        self._fields: dict[str, dict[str, bool]] = {}  # by field and id, whether the id was there before

    def add(self, field: str, *, added: Iterable[str], removed: Iterable[str]) -> None:
        """Take in a write. Of an id that several writes touched, the first one counts."""
        was_there = self._fields.setdefault(field, {})
        for id in added:
            was_there.setdefault(id, False)
        for id in removed:
            was_there.setdefault(id, True)

    def inverse(self) -> Iterator[tuple[Mode, dict[str, list[str]]]]:
        """What to add again and what to remove again, by field."""
        for mode, was_there in ((Mode.ADD, True), (Mode.REMOVE, False)):
            links = {field: [id for id, was in ids.items() if was is was_there] for field, ids in self._fields.items()}
            if links := {field: ids for field, ids in links.items() if ids}:
                yield mode, links


_Deltas: TypeAlias = dict[Target, _Delta]


def _check(target: Target, field: str, *ids: str) -> None:
    """Raise `InvalidJob` where a file that somebody has touched asks what no job can."""
    LinkJob(target.id, {field: ids}, kind=target.kind)


def _orphaned(change: object) -> str:
    return f"the first line of change {change}, which has its `changes`, is missing; undo the complete results file"


def _unknown(target: Target, result: Mapping[str, Any]) -> Rejection:
    """The rejection of a line whose PUT changed something that no answer showed."""
    check_key(result["key"])
    return Rejection(
        "linker does not know what this row changed (--blind, no answer, or unseen links), so it cannot undo it",
        targets=(),  # so that it blocks no other job of the target
        kind=target.kind,
        id=target.id,
        mode=parse_mode(result.get("mode")),
        links=parse_links(result["links"]),
        key=result["key"],
    )
