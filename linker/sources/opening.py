"""Opens a stream of bytes: looks at its first bytes without losing them, and ends its lines with LF."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO, Final

HEAD: Final = 1 << 16
"""Bytes of a file that are looked at to find out what it is."""

_CHUNK: Final = 1 << 16


def peeked(stream: BinaryIO) -> tuple[bytes, BinaryIO]:
    """Return the first 65,536 bytes of a stream, and a stream that still begins with them."""
    head = stream.read(HEAD)
    if stream.seekable():
        stream.seek(-len(head), io.SEEK_CUR)
        return head, stream
    return head, _buffered(_rest(head, stream))


def with_line_feeds(stream: BinaryIO) -> BinaryIO:
    """Return the same text with lines that end in LF, if they end in CR alone as on old Macs."""
    head, stream = peeked(stream)
    return _buffered(_translated(stream)) if b"\r" in head and b"\n" not in head else stream


def _rest(head: bytes, stream: BinaryIO) -> Iterator[bytes]:
    yield head
    while chunk := stream.read(_CHUNK):
        yield chunk


def _translated(stream: BinaryIO) -> Iterator[bytes]:
    lines = io.IncrementalNewlineDecoder(None, translate=True)
    chunk = b"."
    while chunk:
        chunk = stream.read(_CHUNK)
        yield lines.decode(chunk.decode("latin-1"), not chunk).encode("latin-1")


def _buffered(chunks: Iterator[bytes]) -> BinaryIO:
    return io.BufferedReader(_Chunks(chunks), _CHUNK)


class _Chunks(io.RawIOBase):
    """A stream of the bytes that an iterator yields."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = filter(None, chunks)
        self._pending = b""

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill the buffer as far as the next chunk goes; return how many bytes it holds, 0 at the end."""
        if not self._pending:
            self._pending = next(self._chunks, b"")
        count = min(len(buffer), len(self._pending))
        buffer[:count] = self._pending[:count]
        self._pending = self._pending[count:]
        return count
