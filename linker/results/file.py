"""The results file: one JSON line per job, written by one writer, with its journal beside it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from linker import log
from linker.disk.lines import DISK, Disk, Durability, LineFile, Locked
from linker.disk.private import make_folder
from linker.errors import ResultsExist, ResultsUnwritable, UsageError
from linker.model.target import Target
from linker.results.account import check_resume, is_other, last_account
from linker.results.created import CreatedBefore, OpenCreate
from linker.results.journal import Journal, OpenIntent, by_process, journal_of, read_journal
from linker.results.line import LineMaker
from linker.results.result import Result

_GO_ON = "nothing more is sent. Fix the problem, then continue with --resume"


class ResultsFile:
    """The one writer of a results file: it appends whole lines only.

    Args:
        overwrite: rename a file that exists (adds a date), and start over.
        resume: append to a file that exists.
        durability: what a line survives once `sync()` has returned.
        account: the address of the account, which the first line of each run names.
        account_unchecked: resume a file that names another account.
        recent_s: the table's list may not show a record yet that was created so many seconds ago.

    Raises:
        UsageError: the path names a folder.

    Example:
        >>> with ResultsFile(Path("links.results.jsonl")) as results:
        ...     results.write([result])
    """

    def __init__(
        self,
        path: Path,
        *,
        overwrite: bool = False,
        resume: bool = False,
        durability: Durability = "fsync",
        disk: Disk = DISK,
        account: str = "",
        account_unchecked: bool = False,
        recent_s: float = 0.0,
    ) -> None:
        if path.name in ("", ".."):
            raise UsageError(f"results {os.fspath(path)!r} is a folder; give the name of a file")
        self.path = path
        self.resume = resume
        self.journal = Journal(journal_of(path), disk, durability, account, account_unchecked=account_unchecked)
        self.open_intents: Mapping[Target, OpenIntent] = {}
        """PUTs of earlier runs whose results are not all in the file."""
        self.created_before = CreatedBefore(time.time() - recent_s)
        """Records that earlier runs have just created."""
        self._maker = LineMaker(account)
        self._account = account
        self._account_unchecked = account_unchecked
        self._overwrite = overwrite
        self._durability: Durability = durability
        self._disk = disk
        self._lines: LineFile | None = None
        self._creates: list[OpenCreate] = []  # of the journal that was put away
        self._put_away: list[tuple[Path, Path]] = []
        self._discarded = False
        self._begun_at = 0

    def __repr__(self) -> str:
        return f"<ResultsFile {self.path}, {self._lines.size if self._lines is not None else 0:,} bytes>"

    @property
    def kept(self) -> Path | None:
        """The new name of the file that `overwrite` has renamed; None if there was none."""
        return next((away for path, away in self._put_away if path == self.path), None)

    def begin(self, run: int) -> None:
        """Set the number of this run of the file, from 0. Lines of all but the first have it in their key `run`."""
        self._maker.run = self.journal.run = run

    def __enter__(self) -> Self:
        """Make the file and its folder, or open it to resume; no other run can write to it until it is closed.

        Raises:
            ResultsExist: the file exists, and neither `resume` nor `overwrite` is set.
            UsageError: the file cannot be made, another run is writing to it, or it belongs to another account.
        """
        try:
            make_folder(self.path.parent)
            if self._overwrite:
                self._keep_the_old()
            if not self.resume and os.path.lexists(self.journal.path):
                raise FileExistsError
            self._lines = LineFile(
                self.path, self._disk, self._durability, os.O_CREAT | (0 if self.resume else os.O_EXCL)
            )
            self._begun_at = self._lines.size
            if self._begun_at and not self._account_unchecked:
                check_resume(self.path, last_account(self.path), self._account)
            self._mend(self._lines)
            left = self.journal.open(anew=not self.resume)
            self.open_intents = left.intents
            for create in self._creates:
                self.journal.keep_create(create)
            if self._begun_at:
                self.created_before.read(self.path)
        except BaseException as error:
            self._close(keep=False)
            if isinstance(error, Locked):
                raise UsageError(self._in_use()) from None
            if isinstance(error, FileExistsError):
                raise ResultsExist(self._exists()) from None
            if isinstance(error, OSError):
                raise UsageError(f"results file {self.path}: {error.strerror}") from None
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Close the file. After an error, a file without lines is removed, and the one it replaced is put back."""
        assert self._lines is not None
        with suppress(OSError):  # then the journal stays
            self._lines.sync_now()
        self._close(keep=not self._discarded and (error is None or self._lines.size > 0))

    def discard(self) -> None:
        """Remove the file when it is closed: nothing was sent."""
        self._discarded = True

    def write(self, results: Sequence[Result]) -> None:
        """Append a line for each result.

        Raises:
            ResultsUnwritable: not all of it could be written; the file is cut back to whole lines.
        """
        assert self._lines is not None
        try:
            self._lines.append(b"".join(map(self._maker.line, results)))
        except OSError as error:
            raise self._unwritable(error) from None
        for result in results:
            if result.created is not None and self.journal.creates:
                self.journal.told(id for ids in result.created.values() for id in ids.values())

    async def sync(self) -> None:
        """Wait until all that was written is as durable as asked. Raises `ResultsUnwritable` if that fails."""
        assert self._lines is not None
        try:
            await self._lines.sync()
        except OSError as error:
            raise self._unwritable(error) from None

    def sync_now(self) -> None:
        """Do what `sync` does, without an event loop."""
        assert self._lines is not None
        try:
            self._lines.sync_now()
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> ResultsUnwritable:
        return ResultsUnwritable(f"results file {self.path}: {error.strerror}; {_GO_ON}")

    def _in_use(self) -> str:
        whose = by_process(self.path)
        return f"results file {self.path} is in use by another run{whose}; wait until it ends, or use another file"

    def _exists(self) -> str:
        there = f"results file {self.path} already exists"
        if not os.path.lexists(self.path):
            there = f"results file {self.path} is missing, but the journal of its run, {self.journal.path}, exists"
        return f"{there}; continue it with --resume, or start over with --overwrite (renames it, adds a date)"

    def _mend(self, lines: LineFile) -> None:
        cut = lines.mend(b'{"job":')
        if cut:
            log.get_logger().warning(log.MENDED, file=str(self.path), torn_bytes=cut)

    def _keep_the_old(self) -> None:
        """Rename the old file, and its journal with it; what they say of records just created still counts."""
        if self.path.is_file() and not is_other(last_account(self.path), self._account):
            self.created_before.read(self.path)
            with suppress(UsageError):  # a later linker's; this run does not use it
                self._creates = [*read_journal(self.journal.path).creates.values()]
        for path in (self.path, self.journal.path):
            if path.is_file():
                old = LineFile(path, self._disk, self._durability)  # takes the lock: a run may be writing to it
                try:
                    away = journal_of(self._put_away[0][1]) if self._put_away else _dated(path)
                    self._disk.rename(path, away)
                    self._put_away.append((path, away))
                finally:
                    old.close()

    def _close(self, *, keep: bool) -> None:
        """Close both files. Without `keep`, remove what was made, and put back what was renamed."""
        self.journal.close()
        made = self._lines is not None and not self._begun_at and not os.path.lexists(self.journal.path)
        undone = not keep and (made or self._lines is None)
        with suppress(OSError):
            if undone and made:
                self._disk.unlink(self.path)
            if undone:
                while self._put_away:
                    path, away = self._put_away.pop()
                    self._disk.rename(away, path)
        if self._lines is not None:
            self._lines.close()


def _dated(path: Path) -> Path:
    """A free name beside `path` that tells when the file was last written: `links.results.20260101T000000Z.jsonl`."""
    stamp = datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y%m%dT%H%M%SZ")
    dated = path.with_name(f"{path.stem}.{stamp}{path.suffix}")
    count = 1
    while dated.exists():
        count += 1
        dated = path.with_name(f"{path.stem}.{stamp}-{count}{path.suffix}")
    return dated
