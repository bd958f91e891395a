"""The journal: what each PUT is about to change, on disk before the PUT leaves, so that a resume knows of it.

It is a file beside the results, `links.results.jsonl.journal`. A line says which process writes to which account, what
a PUT will make of a target (an intent, and the run that notes it), or which targets have all their results on disk
since. A line also says which record a run is about to create, and the id that the account gave it: two POSTs create two
records, so a resume must know of each. If nothing is open when the run ends, the file is removed.

PUTs that are noted in one turn of the event loop are written, and synced, together.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from linker import log
from linker.batch.change import Intent
from linker.disk.lines import Disk, Durability, LineFile
from linker.disk.private import open_private
from linker.errors import ResultsUnwritable, UsageError
from linker.model.target import Target
from linker.results.account import check_resume
from linker.results.created import OpenCreate
from linker.text import encodable, harmless_json, quoted

VERSION: Final = 2
"""The version of the form of a journal's lines, which the line of each process names; without it, the version is 1."""


_FORGOTTEN_S: Final = 3600.0
"""A record that an older POST was to create is in its table by now, or never will be."""


class _Version(msgspec.Struct):
    version: Any = 1


class _Line(msgspec.Struct, omit_defaults=True, gc=False):
    process: int | None = None
    version: int | None = None
    account: str | None = None
    intent: Intent | None = None
    run: int | None = None
    done: tuple[Target, ...] = ()
    create: OpenCreate | None = None
    refused: OpenCreate | None = None


class OpenIntent(msgspec.Struct, frozen=True, gc=False):
    """A PUT whose results may be missing from the file, and the run that noted it (None: before linker noted runs).

    `account` is the address of that run's account; None before linker noted it.
    """

    intent: Intent
    run: int | None = None
    account: str | None = None


class LeftOpen(msgspec.Struct):
    """What earlier runs left open in a journal."""

    intents: dict[Target, OpenIntent] = {}
    """The last intent of each target that is still open, in the order in which they were noted."""
    creates: dict[tuple[str, str], OpenCreate] = {}
    """The records that may have been created, by table and name."""
    account: str | None = None
    """The address of the last run's account; None if the journal does not name it."""


_encode_lines = msgspec.json.Encoder().encode_lines
_decode = msgspec.json.Decoder(_Line).decode
_decode_version = msgspec.json.Decoder(_Version).decode


class Journal:
    """The one writer of a journal.

    Args:
        account: the address of the account, which the line of each process names.
        account_unchecked: go on with a journal that names another account.

    Example:
        >>> journal.open(anew=True)
        >>> await journal.note(intent)  # durable: the PUT may leave
        >>> journal.settle([intent.target])  # its results are on disk
        >>> journal.close()
    """

    def __init__(
        self, path: Path, disk: Disk, durability: Durability, account: str = "", *, account_unchecked: bool = False
    ) -> None:
        self.path = path
        self._account = account
        self._account_unchecked = account_unchecked
        self.run = 0
        """The number of the run that notes intents; the results file sets it."""
        self._disk = disk
        self._durability = durability
        self._lines: LineFile | None = None
        self._noted: list[tuple[_Line, asyncio.Future[Exception | None]]] = []  # in this turn of the loop
        self._open: set[Target] = set()
        self._creates: dict[tuple[str, str], OpenCreate] = {}
        self._keys: dict[str, tuple[str, str]] = {}  # of those of them whose id is known

    def __repr__(self) -> str:
        return f"<Journal {self.path}, {len(self._open)} open>"

    @property
    def creates(self) -> Mapping[tuple[str, str], OpenCreate]:
        """The records of this run and earlier ones whose POST or id no result tells of, by table and name."""
        return self._creates

    def open(self, *, anew: bool) -> LeftOpen:
        """Make the journal, or go on with the one that exists; return what earlier runs left open.

        Raises:
            UsageError: a later version of linker has written it, or it belongs to another account.
            OSError: the file cannot be written, or `anew` is set and it exists.
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
        self._open.update(left.intents)
        self._creates.update(left.creates)
        self._keys.update((create.id, key) for key, create in left.creates.items() if create.id is not None)
        return left

    def _begin(self, lines: LineFile) -> LeftOpen:
        left = read_journal(self.path)  # before anything is mended: it may be another linker's
        if not self._account_unchecked:
            check_resume(self.path, left.account, self._account)
        lines.mend(b'{"')
        since = time.time() - _FORGOTTEN_S
        left.creates = {key: create for key, create in left.creates.items() if create.at >= since}
        if not (left.intents or left.creates) and lines.size:
            lines.clear()
        self._lines = lines
        self._append(_Line(process=os.getpid(), version=VERSION, account=self._account or None))
        return left

    async def note(self, intent: Intent) -> None:
        """Write what a PUT is about to change, and wait until it is on disk.

        Raises:
            ResultsUnwritable: it could not be written, so the PUT must not leave.
        """
        assert self._lines is not None
        self._open.add(intent.target)
        loop = asyncio.get_running_loop()
        written = loop.create_future()
        if not self._noted:
            loop.call_soon(self._write_noted)
        self._noted.append((_Line(intent=intent, run=self.run), written))
        try:
            if (failed := await written) is not None:
                raise failed
            if (lines := self._lines) is None:
                raise OSError(0, "it was closed before the PUT left")
            await lines.sync()
        except OSError as error:
            raise self._unwritable(error) from None

    def _write_noted(self) -> None:
        """Write what was noted in this turn of the loop, and let the PUTs leave; they must not if that fails."""
        noted, self._noted = self._noted, []
        if not noted:
            return
        failed = None
        try:
            self._write([line for line, _ in noted])
        except Exception as error:  # of whatever kind: those who wait would wait for ever
            failed = error
        for _, written in noted:
            if not written.done():
                written.set_result(failed)

    def settle(self, targets: Iterable[Target]) -> None:
        """Close the intents of targets that have all their results on disk."""
        done = tuple(target for target in targets if target in self._open)
        self._open.difference_update(done)
        if done:
            with suppress(OSError):  # then the next run looks at these targets; no further PUT of this run leaves
                self._append(_Line(done=done))

    async def note_create(self, create: OpenCreate) -> None:
        """Write that a record is about to be created, and wait until it is on disk.

        Raises:
            ResultsUnwritable: it could not be written, so the POST must not leave.
        """
        assert self._lines is not None
        try:
            self.keep_create(create)
            await self._lines.sync()
        except OSError as error:
            raise self._unwritable(error) from None

    def keep_create(self, create: OpenCreate) -> None:
        """Write when a POST leaves, or the id that it got.

        Raises:
            OSError: it could not be written.
        """
        self._creates[create.key] = create
        if create.id is not None:
            self._keys[create.id] = create.key
        self._append(_Line(create=create))

    def forget_create(self, create: OpenCreate) -> None:
        """Note that the account has not created a record: it refused the POST, or never got it."""
        if self._creates.pop(create.key, None) is not None:
            with suppress(OSError):  # then a resume looks for the record
                self._append(_Line(refused=create))

    def pass_over(self, create: OpenCreate) -> None:
        """Keep the journal no longer for a record, because it is in its table by now."""
        self._creates.pop(create.key, None)

    def told(self, ids: Iterable[str]) -> None:
        """Take note that results name these created records, so that the journal need not be kept for them."""
        for id in ids:
            if (key := self._keys.pop(id, None)) is not None:
                self._creates.pop(key, None)

    @property
    def pending(self) -> int:
        """How many targets have an open intent: what became of their last PUT is unknown."""
        return len(self._open)

    def close(self) -> None:
        """Close the file, and remove it if nothing is open."""
        if self._lines is None:
            return
        self._write_noted()
        if not (self._open or self._creates):
            with suppress(OSError):
                self._disk.unlink(self.path)
        self._lines.close()
        self._lines = None

    def _unwritable(self, error: OSError) -> ResultsUnwritable:
        return ResultsUnwritable(f"journal {self.path}: {error.strerror}; nothing more is sent")

    def _append(self, line: _Line) -> None:
        self._write_noted()  # the order of the lines tells what came last
        self._write([line])

    def _write(self, lines: Sequence[_Line]) -> None:
        assert self._lines is not None
        self._lines.append(harmless_json(_encode_lines(lines)))


def journal_of(results: Path) -> Path:
    """The path of a results file's journal."""
    return results.with_name(f"{results.name}.journal")


def left_open(path: Path) -> dict[Target, OpenIntent]:
    """Return the last intent of each target that is still open, as `read_journal` does."""
    return read_journal(path).intents


def read_journal(path: Path) -> LeftOpen:
    """Return what is still open in a journal; nothing if there is no journal.

    Raises:
        UsageError: a later version of linker has written it.
        OSError: it cannot be read.
    """
    left = LeftOpen()
    for line in _read(path):
        if line.process is not None:
            left.account = line.account
        if line.intent is not None:
            left.intents.pop(line.intent.target, None)
            left.intents[line.intent.target] = OpenIntent(line.intent, line.run, left.account)
        for target in line.done:
            left.intents.pop(target, None)
        if line.create is not None:
            left.creates[line.create.key] = line.create
        if line.refused is not None:
            left.creates.pop(line.refused.key, None)
    return left


def by_process(results: Path) -> str:
    """The process that writes to a results file, for people: ` (process 123)`, empty if unknown."""
    processes: list[int] = []
    with suppress(OSError, UsageError):
        processes = [line.process for line in _read(journal_of(results)) if line.process is not None]
    return f" (process {processes[-1]})" if processes else ""


def _read(path: Path) -> Iterator[_Line]:
    """The whole lines of a journal. A broken one is skipped: its target is then read before it is written.

    Raises:
        UsageError: a later version of linker has written it.
    """
    try:
        fd = open_private(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe of that name would never be opened
        with os.fdopen(fd, "rb") as stream:
            for number, line in enumerate(stream, start=1):
                try:
                    if b'"version"' in line:
                        _check_version(path, _decode_version(line).version)
                    yield _decode(line)
                except UsageError:
                    raise
                except (msgspec.MsgspecError, ValueError, RecursionError):  # no UTF-8, too deep
                    if line.endswith(b"\n"):
                        log.get_logger().warning(log.BROKEN_LINE, file=str(path), line=number)
    except FileNotFoundError:
        return


def _check_version(path: Path, version: object) -> None:
    if version not in range(1, VERSION + 1):
        raise UsageError(
            f"{encodable(str(path))} was written by a later version of linker (journal version {quoted(version)}, and "
            f"this linker reads up to {VERSION}); nothing was sent. Update linker and run the same command again"
        )
