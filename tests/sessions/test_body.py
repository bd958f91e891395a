"""Bodies as servers and proxies of the field send them, over real sockets."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from functools import partial

import pytest
from support.raw_server import Wire, opened, page, said, send_raw

from linker.errors import BadAnswer, ConnectionFailed

zipped = partial(gzip.compress, mtime=0)  # the same bytes each time
BODY = b'{"feature":{"name":"' + b"x" * 1000 + b'"}}'
BOM = b"\xef\xbb\xbf"
_raw = zlib.compressobj(wbits=-15)
RAW_DEFLATE = _raw.compress(BODY) + _raw.flush()


async def answered(body: bytes, *headers: str) -> bytes:
    """What is left of an answer's body once it has come in."""
    async with Wire(said(page("200 OK", body, *headers))) as wire, opened(wire.url) as pool:
        return (await send_raw(pool, "GET", "/")).body


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (BODY, "identity"),
        (BOM + BODY, "identity"),
        (zipped(BODY), "gzip"),
        (zipped(BODY), "x-gzip"),
        (zipped(BODY), "X-GZip"),
        (zipped(BOM + BODY), "gzip"),
        (zipped(BODY) + bytes(512), "gzip"),  # padded
        (zipped(BODY) + b"\r\n", "gzip"),
        (zipped(BODY[:99]) + zipped(BODY[99:]), "gzip"),  # members (RFC 1952, 2.2)
        (zipped(b"") + zipped(BODY), "gzip"),
        (zlib.compress(BODY), "deflate"),
        (RAW_DEFLATE, "deflate"),
        (zipped(zipped(BODY)), "gzip, gzip"),
        (zipped(zlib.compress(BODY)), "deflate, gzip"),
    ],
    ids=range(14),
)
async def test_a_body_comes_unpacked_and_without_a_byte_order_mark(body: bytes, encoding: str) -> None:
    """Whatever the encoding is called, and whatever follows it."""
    assert await answered(body, f"Content-Encoding: {encoding}") == BODY


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "x-gzip"])
@pytest.mark.parametrize("bad", [b"{}", zipped(BODY)[:-9], zlib.compress(BODY)[:-9], b"\x1f\x8b" + BODY], ids=range(4))
async def test_a_body_that_is_packed_wrongly_is_a_broken_connection(bad: bytes, encoding: str) -> None:
    """It may be whole at the next try."""
    with pytest.raises(ConnectionFailed, match=r"^the answer was cut short or garbled$"):
        await answered(bad, f"Content-Encoding: {encoding}")


async def test_an_encoding_that_nobody_asked_for_is_a_bad_answer() -> None:
    """Brotli, from a proxy that does not read `Accept-Encoding`."""
    with pytest.raises(BadAnswer, match=r"^the answer \(200\) has an encoding that linker did not ask for$"):
        await answered(BODY, "Content-Encoding: br")


@pytest.mark.parametrize("pack", [zipped, zlib.compress])
async def test_a_small_body_that_unpacks_to_a_huge_one_is_a_bad_answer(pack: Callable[[bytes], bytes]) -> None:
    """Of 17 MB, no more than 16 are made."""
    encoding = "gzip" if pack is zipped else "deflate"
    with pytest.raises(BadAnswer, match="longer than 16 MB"):
        await answered(pack(bytes(17 * 2**20)), f"Content-Encoding: {encoding}")


async def test_header_lines_of_64_kb_are_read() -> None:
    """Proxies add policies, cookies and traces."""
    long = "x" * (64 * 1024 - len("Content-Security-Policy: "))
    assert await answered(BODY, f"Content-Security-Policy: {long}") == BODY
