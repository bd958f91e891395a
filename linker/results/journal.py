"""What PUTs are about to change, on disk before they leave: so that a run that was cut off knows what it did.

A file beside the results, `links.results.jsonl.journal`, one JSON line each: which process writes, what a PUT is to
make of which target, and which targets have all their results on disk since. Where nothing is left open when the run
ends, it is removed.
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

__all__ = ["Journal", "OpenIntent", "by_process", "journal_of", "left_open"]


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
        """Begin one, or go on with the one that is there: what earlier runs have left open.

        Raises:
            OSError: it cannot be written, or is there where there should be none.
            Locked: another run has it.
        """
        lines = LineFile(self.path, self._disk, self._durability, os.O_CREAT | (os.O_EXCL if anew else 0))
        try:
            left = self._begin(lines)
        except BaseException:
            self._lines = None
            if anew:
                with suppress(OSError):
                    self._disk.unlink(self.path)
            lines.close()
            raise
        self._open.update(left)
        return left

    def _begin(self, lines: LineFile) -> dict[Target, OpenIntent]:
        lines.mend(b'{"')
        left = left_open(self.path)
        if not left and lines.size:
            lines.clear()
        self._lines = lines
        self._append(_Line(process=os.getpid()))
        return left

    async def note(self, intent: Intent) -> None:
        """Let what a PUT is about to change be on disk; it is when this returns.

        Raises:
            ResultsUnwritable: it is not, so the PUT must not leave.
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
        """Targets that have all their results on disk."""
        done = tuple(target for target in targets if target in self._open)
        self._open.difference_update(done)
        if done:
            with suppress(OSError):  # forgotten, it costs the next run a look; and the next PUT does not leave
                self._append(_Line(done=done))

    @property
    def left(self) -> int:
        """Targets of which it is not known what became of their last PUT."""
        return len(self._open)

    def close(self) -> None:
        """Close it; it is removed where nothing is left open."""
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
    """Where the journal of a results file is."""
    return results.with_name(f"{results.name}.journal")


def left_open(path: Path) -> dict[Target, OpenIntent]:
    """The last PUT of each target whose results are not all on disk, in the order in which they were noted."""
    left: dict[Target, OpenIntent] = {}
    for line in _read(path):
        if line.intent is not None:
            left.pop(line.intent.target, None)
            left[line.intent.target] = OpenIntent(line.intent, line.run)
        for target in line.done:
            left.pop(target, None)
    return left


def by_process(results: Path) -> str:
    """Who writes to a results file, for people: ` (process 123)`, nothing where that is not known."""
    processes: list[int] = []
    with suppress(OSError):
        processes = [line.process for line in _read(journal_of(results)) if line.process is not None]
    return f" (process {processes[-1]})" if processes else ""


def _read(path: Path) -> Iterator[_Line]:
    """The whole lines of a journal; a broken one costs its target a look, as if it had never been there."""
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
