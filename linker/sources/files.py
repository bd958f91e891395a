"""Reads job files as a stream of lines, in a thread, so that a slow pipe never blocks the event loop."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Generator
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, Literal

from linker.errors import UsageError
from linker.sources.columns import Columns
from linker.sources.csv import check_header, read_table
from linker.sources.encoding import Text
from linker.sources.entry import Entry, Reading
from linker.sources.jsonl import read_jsonl
from linker.sources.opening import HEAD, peeked
from linker.sources.shapes import container, what_is
from linker.text import encodable

Format = Literal["jsonl", "csv"]
FORMATS: Final[dict[str, Format]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
}
_CHUNK: Final = 500


class JobFile:
    """A file of jobs, or a stream that is already open.

    Args:
        format: of a file whose suffix does not tell it; of a stream, JSONL if not given.
        columns: how the columns of the user's own table map to jobs.

    Raises:
        UsageError: the format is unknown, or `columns` are given for a format without columns.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        format: Format | None = None,
        stream: BinaryIO | None = None,
        columns: Columns | None = None,
    ) -> None:
        self.name = encodable(str(path))
        self._path = Path(path)
        self._stream = stream
        self._seen: tuple[int, ...] | None = None  # identity and time stamp of the file when it was read
        by_suffix = FORMATS.get(self._path.suffix.lower()) if stream is None else None
        self._format = by_suffix or format or ("jsonl" if stream is not None else None)
        if self._format is None:
            raise UsageError(f"{self.name}: {_of_suffix(self._path, self.name)}")
        if columns is not None and self._format != "csv":
            raise UsageError(
                f"{self.name} is not a table, so --column, --columns and --set do not apply to it; remove them"
            )
        self._columns = columns

    def __repr__(self) -> str:
        return f"<JobFile {self.name} {self._format}>"

    @property
    def is_table(self) -> bool:
        """Whether the file has columns."""
        return self._format == "csv"

    @property
    def can_be_read_again(self) -> bool:
        """Whether it can be read more than once; a pipe cannot."""
        return self._stream is None and self._path.is_file()

    @property
    def stem(self) -> str:
        """The start of the results file's name."""
        return "stdin" if self._stream is not None else self._path.stem

    def check(self, encoding: str | None = None) -> None:
        """Look at the file before anything is sent.

        Args:
            encoding: the encoding of a file without a byte order mark; None: UTF-8.

        Raises:
            UsageError: it cannot be read, or its header is not that of a job table.
        """
        if self._stream is None and not self._path.is_fifo():  # a pipe can be read only once
            with self._open() as stream:
                self._identify(stream, encoding)
                if self._format == "csv":
                    check_header(stream, self.name, self._columns, encoding)

    def changed(self) -> bool:
        """Whether the file was replaced or written to since reading began."""
        if self._seen is None:
            return False
        try:
            return _identity(self._path.stat()) != self._seen
        except OSError:
            return True

    async def entries(self, reading: Reading) -> AsyncIterator[list[Entry]]:
        """Yield the file's entries, up to 500 at a time.

        Raises:
            UsageError: the file cannot be read, or its header is not that of a job table.
        """
        async for chunk in _in_a_thread(self._read(reading), self.name):
            yield chunk

    def _read(self, reading: Reading) -> Generator[Entry]:
        """Read the whole file. The reading thread opens and closes it, because both may wait for a pipe's writer."""
        with self._open() as stream:
            if self._stream is None and self._path.is_file():
                self._seen = _identity(os.fstat(stream.fileno()))
            stream = self._identify(stream, reading.encoding)
            if self._format == "csv":
                yield from read_table(stream, self.name, reading, self._columns)
            else:
                yield from read_jsonl(Text(stream, self.name, reading.encoding).stream, self.name, reading)

    def _identify(self, stream: BinaryIO, encoding: str | None) -> BinaryIO:
        """Return a stream that still begins with its first bytes. Raise `UsageError` if they are of no job file."""
        assert self._format is not None
        head, stream = peeked(stream)
        if (what := what_is(head, self.name, self._format, encoding)) is not None:
            raise UsageError(f"{'standard input' if self.name == '-' else self.name} is {what}")
        return stream

    def _open(self) -> AbstractContextManager[BinaryIO]:
        if self._stream is not None and self._stream is not getattr(sys.stdin, "buffer", None):
            return nullcontext(self._stream)
        try:
            if self._stream is not None:  # a buffer of our own: Python aborts at exit if a thread waits in stdin's
                return open(self._stream.fileno(), "rb", closefd=False)
            return self._path.open("rb")
        except IsADirectoryError:
            raise UsageError(f"{self.name}: {_FOLDER}") from None
        except OSError as error:
            raise UsageError(f"{self.name}: {error.strerror}") from None


_SUFFIXES: Final = {
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".xlsb", ".ods"), "a workbook: save it as CSV UTF-8"),
    **dict.fromkeys((".gz", ".bz2", ".xz", ".zst", ".zip"), "compressed: unpack it first, or pipe it to: linker run -"),
    ".parquet": "a Parquet file: convert it to CSV or JSON Lines",
}


_FOLDER: Final = "this is a folder; give the files in it"


def _of_suffix(path: Path, name: str) -> str:
    """Why a file without a known suffix cannot be read, and what to do."""
    if path.is_dir():
        return _FOLDER
    inner = FORMATS.get(path.with_suffix("").suffix.lower(), "csv")
    with suppress(OSError):
        if path.is_file():
            with path.open("rb") as stream:
                if (what := container(stream.read(HEAD), name, inner)) is not None:
                    return f"this is {what}"
    if (what := _SUFFIXES.get(path.suffix.lower())) is not None:
        return f"this is {what}"
    return "linker cannot tell whether this is JSONL or CSV; rename it to .jsonl or .csv, or add --format"


def _identity(stat: os.stat_result) -> tuple[int, ...]:
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


async def _in_a_thread(entries: Generator[Entry], name: str) -> AsyncIterator[list[Entry]]:
    """Step through an iterator in a daemon thread, so that Ctrl-C need not wait for a pipe's writer that sleeps."""
    loop = asyncio.get_running_loop()
    wanted = threading.Semaphore(0)
    answer: asyncio.Future[list[Entry]]
    ended = False

    def settle(future: asyncio.Future[list[Entry]], chunk: list[Entry] | None, error: Exception | None) -> None:
        if future.done():  # cancelled meanwhile
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(chunk or [])

    def step() -> None:
        with closing(entries):
            while wanted.acquire() and not ended:
                chunk, error = None, None
                try:
                    chunk = list(islice(entries, _CHUNK))
                except OSError as broken:
                    error = UsageError(f"{name}: {broken.strerror}")
                except Exception as broken:
                    error = broken  # type: ignore[assignment]
                try:
                    loop.call_soon_threadsafe(settle, answer, chunk, error)
                except RuntimeError:  # the loop was closed meanwhile
                    return

    threading.Thread(target=step, name=f"linker reads {name}", daemon=True).start()
    try:
        while True:
            answer = loop.create_future()
            wanted.release()
            chunk = await answer
            if not chunk:
                return
            yield chunk
    finally:
        ended = True
        wanted.release()
