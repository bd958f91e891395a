"""The journal: what each PUT is about to change, on disk before the PUT leaves, so that a resume knows of it.

It is a file beside the results, `links.results.jsonl.journal`. A line says which process writes, what a PUT will make
of a target (an intent, and the run that notes it), or which targets have all their results on disk since. If no intent
is open when the run ends, the file is removed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from linker import log
from linker.batch.change import Intent
from linker.disk.lines import Disk, Durability, LineFile
from linker.disk.private import open_private
from linker.errors import ResultsUnwritable
from linker.model.target import Target
from linker.text import harmless_json


class _Line(msgspec.Struct, omit_defaults=True):
    process: int | None = None
    intent: Intent | None = None
    run: int | None = None
    done: tuple[Target, ...] = ()


class OpenIntent(msgspec.Struct, frozen=True):
    """A PUT whose results may be missing from the file, and the run that noted it (None: before linker noted runs)."""

    intent: Intent
    run: int | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Line).decode


class Journal:
    """The one writer of a journal.

    Example:
        >>> journal.open(anew=True)
        >>> await journal.note(intent)  # durable: the PUT may leave
        >>> journal.settle([intent.target])  # its results are on disk
        >>> journal.close()
    """

    def __init__(self, path: Path, disk: Disk, durability: Durability) -> None:
        self.path = path
        self.run = 0
        """The number of the run that notes intents; the results file sets it."""
        self._disk = disk
        self._durability = durability
        self._lines: LineFile | None = None
        self._open: set[Target] = set()

    def __repr__(self) -> str:
        return f"<Journal {self.path}, {len(self._open)} open>"

    def open(self, *, anew: bool) -> dict[Target, OpenIntent]:
        """Make the journal, or go on with the one that exists; return the intents that earlier runs left open.

        Raises:
            OSError: the file cannot be written, or `anew` is set and it exists.
            Locked: another run has it.
        """
        lines = LineFile(self.path, self._disk, self._durability, os.O_CREAT | (os.O_EXCL if anew else 0))
        try:
            intents = self._begin(lines)
        except BaseException:
            self._lines = None
            if anew:
                with suppress(OSError):
                    self._disk.unlink(self.path)
            lines.close()
            raise
        self._open.update(intents)
        return intents

    def _begin(self, lines: LineFile) -> dict[Target, OpenIntent]:
        lines.mend(b'{"')
        intents = left_open(self.path)
        if not intents and lines.size:
            lines.clear()
        self._lines = lines
        self._append(_Line(process=os.getpid()))
        return intents

    async def note(self, intent: Intent) -> None:
        """Write what a PUT is about to change, and wait until it is on disk.

        Raises:
            ResultsUnwritable: it could not be written, so the PUT must not leave.
        """
        assert self._lines is not None
        self._open.add(intent.target)
        try:
            self._append(_Line(intent=intent, run=self.run))
            await self._lines.sync()
        except OSError as error:
            message = f"journal {self.path}: {error.strerror}; nothing more is sent"
            raise ResultsUnwritable(message) from None

    def settle(self, targets: Iterable[Target]) -> None:
        """Close the intents of targets that have all their results on disk."""
        done = tuple(target for target in targets if target in self._open)
        self._open.difference_update(done)
        if done:
            with suppress(OSError):  # then the next run looks at these targets; no further PUT of this run leaves
                self._append(_Line(done=done))

    @property
    def pending(self) -> int:
        """How many targets have an open intent: what became of their last PUT is unknown."""
        return len(self._open)

    def close(self) -> None:
        """Close the file, and remove it if no intent is open."""
        if self._lines is None:
            return
        if not self._open:
            with suppress(OSError):
                self._disk.unlink(self.path)
        self._lines.close()
        self._lines = None

    def _append(self, line: _Line) -> None:
        assert self._lines is not None
        self._lines.append(harmless_json(_encode(line)) + b"\n")


def journal_of(results: Path) -> Path:
    """The path of a results file's journal."""
    return results.with_name(f"{results.name}.journal")


def left_open(path: Path) -> dict[Target, OpenIntent]:
    """The last intent of each target that is still open, in the order in which they were noted."""
    intents: dict[Target, OpenIntent] = {}
    for line in _read(path):
        if line.intent is not None:
            intents.pop(line.intent.target, None)
            intents[line.intent.target] = OpenIntent(line.intent, line.run)
        for target in line.done:
            intents.pop(target, None)
    return intents


def by_process(results: Path) -> str:
    """The process that writes to a results file, for people: ` (process 123)`, empty if unknown."""
    processes: list[int] = []
    with suppress(OSError):
        processes = [line.process for line in _read(journal_of(results)) if line.process is not None]
    return f" (process {processes[-1]})" if processes else ""


def _read(path: Path) -> Iterator[_Line]:
    """The whole lines of a journal. A broken one is skipped: its target is then read before it is written."""
    try:
        fd = open_private(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe of that name would never be opened
        with os.fdopen(fd, "rb") as stream:
            for number, line in enumerate(stream, start=1):
                try:
                    yield _decode(line)
                except (msgspec.MsgspecError, ValueError, RecursionError):  # no UTF-8, too deep
                    if line.endswith(b"\n"):
                        log.get_logger().warning(log.BROKEN_LINE, file=str(path), line=number)
    except FileNotFoundError:
        return
