"""Reads and decompresses an answer's body, up to 16 MB. The session leaves that to linker (`auto_decompress`).

Servers and proxies of the field pad gzip, call it `x-gzip`, and begin with a byte order mark.
"""

from __future__ import annotations

import zlib
from codecs import BOM_UTF8
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import aiohttp
from aiohttp import hdrs

from linker.errors import BadAnswer, ConnectionFailed

ENCODINGS: Final = "gzip, deflate"
"""What linker asks for."""

_LARGEST: Final = 16 * 2**20
"""Most bytes of an answer. A page of 200 targets with a thousand links each has a tenth of that."""

_GZIP: Final = b"\x1f\x8b"
_GZIP_BITS: Final = 31
_ZLIB_BITS: Final = 15
_RAW_BITS: Final = -15


async def read_body(content: aiohttp.StreamReader, status: int) -> bytes:
    """Return an answer's body as it came.

    Raises:
        BadAnswer: it is too long. The rest is not read, so the connection must be closed.
    """
    part = content.read_nowait() if content.is_eof() else await content.readany()
    if content.at_eof() and len(part) <= _LARGEST:
        return part
    parts, size = [part], len(part)
    while not content.at_eof() and size <= _LARGEST:
        part = await content.readany()
        parts.append(part)
        size += len(part)
    if size > _LARGEST:
        raise _too_long(status)
    return b"".join(parts)


def decompressed(body: bytes, headers: Mapping[str, str], status: int) -> bytes:
    """Return an answer's body, decompressed and without a byte order mark.

    Raises:
        BadAnswer: it is too long, or in an encoding that linker did not ask for.
        ConnectionFailed: what is compressed is cut short or garbled.
    """
    if (encodings := headers.get(hdrs.CONTENT_ENCODING)) and body:
        for encoding in reversed(encodings.lower().split(",")):
            body = _decompressed(body, encoding.strip(), status)
    return body.removeprefix(BOM_UTF8)


def _decompressed(body: bytes, encoding: str, status: int) -> bytes:
    if encoding in ("", "identity"):
        return body
    if encoding in ("gzip", "x-gzip"):
        bits = _GZIP_BITS
    elif encoding == "deflate":  # meant with a zlib header (RFC 9110, 8.4.1.2), and often sent without one
        bits = _ZLIB_BITS if body[0] & 0x0F == zlib.DEFLATED else _RAW_BITS
    else:
        raise BadAnswer(f"the answer ({status}) has an encoding that linker did not ask for", status)
    plain = b""
    while body and (not plain or (bits == _GZIP_BITS and body.startswith(_GZIP))):  # what follows else is padding
        decompressor = zlib.decompressobj(bits)
        with suppress(zlib.error):
            plain += decompressor.decompress(body, _LARGEST + 1 - len(plain))
        if len(plain) > _LARGEST:
            raise _too_long(status)
        if not decompressor.eof:
            raise ConnectionFailed("the answer was cut short or garbled")
        body = decompressor.unused_data
    return plain


def _too_long(status: int) -> BadAnswer:
    return BadAnswer(
        f"the answer ({status}) is longer than {_LARGEST // 2**20} MB; linker did not read the rest", status
    )
