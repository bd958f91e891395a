"""Requests that are no HTTP: answered 400, without a word in the log."""

from __future__ import annotations

import asyncio
import logging

import pytest

from linker.sandbox import Sandbox

HEAD = b"Host: sandbox\r\nAuthorization: Bearer sandbox\r\nContent-Type: application/json\r\n"
GET = b"GET /api/v1/me HTTP/1.1\r\n" + HEAD
PUT = b"PUT /api/v1/features/PRJ1-1 HTTP/1.1\r\n" + HEAD

MALFORMED = {
    "garbage": b"garbage\r\n\r\n",
    "bytes": b"\x00\x01\xff\xfe\r\n\r\n",
    "TLS": bytes.fromhex("16030100d0010000cc0303") + bytes(range(200)),
    "HTTP 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "method": b"G@T /api/v1/me HTTP/1.1\r\n" + HEAD + b"\r\n",
    "version": b"GET /api/v1/me HTTP/9.9\r\n" + HEAD + b"\r\n",
    "path": b"GET /api/v1/features/\xff\xfe HTTP/1.1\r\n" + HEAD + b"\r\n",
    "address": b"GET http://[::1 HTTP/1.1\r\n" + HEAD + b"\r\n",
    "no host": b"GET /api/v1/me HTTP/1.1\r\n\r\n",
    "header without colon": GET + b"no colon here\r\n\r\n",
    "header's name": GET + b"A B: c\r\n\r\n",
    "header's value": GET + b"A: c\x00d\r\n\r\n",
    "huge header": GET + b"A: " + b"a" * 100_000 + b"\r\n\r\n",
    "huge path": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + HEAD + b"\r\n",
    "two lengths": PUT + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length": PUT + b"Content-Length: -5\r\n\r\n",
    "encoding": PUT + b"Transfer-Encoding: nonsense\r\n\r\n{}",
    "chunk": PUT + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    "second chunk": PUT + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n",
    "gzip": PUT + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nabcde",
    "deflate": PUT + b"Content-Encoding: deflate\r\nContent-Length: 5\r\n\r\nabcde",
}


async def exchange(sandbox: Sandbox, data: bytes, *, ends: bool = False) -> bytes:
    """What a connection answers to these bytes until it has an answer, or is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sandbox.url.rpartition(":")[2]))
    try:
        writer.write(data)
        if ends:
            writer.write_eof()
        return await reader.readline()
    finally:
        writer.transport.abort()


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
async def test_what_is_no_http_is_answered_400_without_a_traceback(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is logged, so nothing is printed, and the sandbox answers the next request."""
    async with Sandbox() as sandbox:
        assert b" 400 " in await exchange(sandbox, data)
        assert b" 200 " in await exchange(sandbox, GET + b"\r\n")
    assert [record.getMessage() for record in caplog.records] == []


@pytest.mark.parametrize(
    "data",
    [PUT + b"Content-Length: 50\r\n\r\n{", PUT + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{", b"GET /api", GET, b""],
    ids=["body", "chunk", "line", "head", "nothing"],
)
async def test_a_client_that_leaves_in_the_middle_is_no_news(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """It is not answered and not logged, and the sandbox answers the next request."""
    async with Sandbox() as sandbox:
        await exchange(sandbox, data, ends=True)
        assert b" 200 " in await exchange(sandbox, GET + b"\r\n")
    assert [record.getMessage() for record in caplog.records] == []


async def test_a_fault_of_the_sandbox_itself_is_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error in the code that answers is no malformed request: it is 500 and has its traceback."""
    async with Sandbox() as sandbox:

        def fail(*_: object) -> None:
            raise ValueError("a fault of the sandbox")

        monkeypatch.setattr(sandbox, "_done", fail)
        assert b" 500 " in await exchange(sandbox, GET + b"\r\n")
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
