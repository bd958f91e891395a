"""What leaves in an exchange, every form in which an answer comes, and what becomes of the connection."""

from __future__ import annotations

import asyncio
import gc
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler
from structlog.testing import capture_logs
from support.raw_server import OK, TOKEN, Arrived, Wire, opened, page, said, send_raw

from linker.errors import ConnectionFailed, TimedOut
from linker.sessions import connections
from linker.sessions.connections import Connector
from linker.sessions.exchange import Exchanges
from linker.sessions.plain import PlainRequests

BODY = b'{"feature":{}}'


Serving: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(serve: Serving) -> AsyncIterator[int]:
    """A server that is not over before its connections are; its port."""
    tasks: set[asyncio.Task[Any]] = set()

    async def whole(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(ConnectionError):
            await serve(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async with await asyncio.start_server(whole, "127.0.0.1", 0) as listening:
        yield listening.sockets[0].getsockname()[1]
        await asyncio.gather(*tasks)


@asynccontextmanager
async def listening(answer: bytes = OK) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that takes each read for a whole request; its URL, and what it has read."""
    reads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(2**20):
            reads.append(data)
            writer.write(answer)

    async with server(serve) as port:
        yield f"http://127.0.0.1:{port}", reads


async def test_both_ways_send_the_same_bytes_and_an_exchange_all_at_once() -> None:
    """With a path in the account's URL and a query; a request without a body says so if its method could have one."""
    async with listening() as (url, reads):
        for plain in (False, True):
            async with opened(f"{url}/aha", plain_requests=plain) as pool:
                for method, body in (("GET", None), ("PUT", b"{}"), ("POST", b"[]"), ("DELETE", None)):
                    await send_raw(pool, method, "/api/v1/a?b=%20c&d", body)
    assert len(reads) >= 8
    assert b"".join(reads[:4]) == b"".join(reads[4:])
    assert [each.split(b" HTTP/1.1\r\n")[0] for each in reads[:4]] == [
        b"GET /aha/api/v1/a?b=%20c&d",
        b"PUT /aha/api/v1/a?b=%20c&d",
        b"POST /aha/api/v1/a?b=%20c&d",
        b"DELETE /aha/api/v1/a?b=%20c&d",
    ]
    assert reads[1].endswith(b"\r\nContent-Length: 2\r\n\r\n{}")
    assert reads[3].endswith(b"\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("path", ["/a b", "/a\r\nX: y", "/a\x00", "/ä"], ids=["space", "lines", "zero", "accent"])
async def test_no_path_can_add_to_the_head(path: str) -> None:
    """Ids are checked before; if one is not, nothing is sent."""
    async with Wire(said(OK)) as wire, opened(wire.url) as pool:
        with pytest.raises(ConnectionFailed) as caught:
            await send_raw(pool, "GET", path)
        assert path not in str(caught.value)
    assert wire.requests == []


CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n9\r\n" + BODY[:9] + b"\r\n5\r\n" + BODY[9:] + b"\r\n0\r\n"
KEPT = {
    "a length": (page("200 OK", BODY), 200, BODY),
    "chunks": (b"HTTP/1.1 200 OK\r\n" + CHUNKS + b"\r\n", 200, BODY),
    "a trailer": (b"HTTP/1.1 200 OK\r\n" + CHUNKS + b"X-Sum: 1\r\n\r\n", 200, BODY),
    "nothing (204)": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    "nothing (304)": (b"HTTP/1.1 304 Not Modified\r\n\r\n", 304, b""),
    "no reason": (b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\n{}", 200, b"{}"),
    "early hints": (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + page("200 OK", BODY), 200, BODY),
    "two continues": (b"HTTP/1.1 100 Continue\r\n\r\n" * 2 + page("200 OK", BODY), 200, BODY),
    "no known status": (b"HTTP/1.1 099 Odd\r\nContent-Length: 2\r\n\r\n{}", 99, b"{}"),
    "HTTP/1.0 that is kept": (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}"),
    "a megabyte": (page("200 OK", b"x" * 2**20), 200, b"x" * 2**20),
}
CLOSED = {
    "until the end": (b"HTTP/1.1 200 OK\r\n\r\n" + BODY, 200, BODY),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 14\r\n\r\n" + BODY, 200, BODY),
    "HTTP/1.0 until the end": (b"HTTP/1.0 200 OK\r\n\r\n" + BODY, 200, BODY),
    "a close": (page("200 OK", BODY, "Connection: close"), 200, BODY),
    "another protocol": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", 101, b""),
    "two answers": (page("200 OK", BODY) + OK, 200, BODY),
    "an answer and a half": (page("200 OK", BODY) + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{", 200, BODY),
}
FORMS = {**KEPT, **CLOSED}


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("form", FORMS)
async def test_an_answer_of_any_form_is_read_and_the_connection_kept_if_it_may_be(form: str) -> None:
    """What ends with its connection, or is followed by more than was asked for, is the last on it."""
    answer, status, body = FORMS[form]

    async def serve(request: Arrived, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        if form in CLOSED:
            await writer.drain()
            if "answer" not in form:
                writer.close()

    async with Wire(serve) as wire, opened(wire.url) as pool:
        for _ in range(3):
            reply = await send_raw(pool, "GET", "/")
            assert (reply.status, reply.body) == (status, body)
        assert wire.connections == (1 if form in KEPT else 3)


@pytest.mark.usefixtures("each_way")
async def test_an_answer_that_comes_byte_by_byte_is_read() -> None:
    """In the head, in a chunk's size, in the body."""

    async def drip(_: Arrived, writer: asyncio.StreamWriter) -> None:
        for byte in b"HTTP/1.1 200 OK\r\n" + CHUNKS + b"\r\n":
            writer.write(bytes([byte]))
            await writer.drain()

    async with Wire(drip) as wire, opened(wire.url) as pool:
        for _ in range(2):
            assert (await send_raw(pool, "GET", "/")).body == BODY
    assert wire.connections == 1


async def test_a_connection_that_was_idle_for_too_long_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers close theirs sooner or later, and a request that crosses that is lost."""
    monkeypatch.setattr(connections, "_KEPT_S", -1.0)
    async with Wire(said(OK)) as wire, opened(wire.url) as pool:
        await send_raw(pool, "GET", "/")
        await send_raw(pool, "GET", "/")
        assert await wire.closed.get() == 1
    assert wire.connections == 2


@pytest.mark.usefixtures("each_way")
async def test_what_a_server_says_before_it_is_asked_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request may not have been read, so the try fails; nothing is read out of turn."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await writer.drain()
        greeted.set()
        await reader.read()

    greeted = asyncio.Event()
    create = Connector._create_connection

    async def create_and_wait(*arguments: Any) -> Any:
        protocol = await create(*arguments)
        await greeted.wait()
        return protocol

    monkeypatch.setattr(Connector, "_create_connection", create_and_wait)
    async with server(serve) as port, opened(f"http://127.0.0.1:{port}") as pool:
        with pytest.raises(ConnectionFailed, match="closed before an answer") as caught:
            await send_raw(pool, "GET", "/")
    assert not caught.value.was_sent


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize(
    "so_far", [b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"], ids=range(3)
)
async def test_a_request_that_is_cancelled_leaves_nothing_open(so_far: bytes) -> None:
    """Before, in and after the head: the server sees the end, and the next request has a connection of its own."""

    async def answer(request: Arrived, writer: asyncio.StreamWriter) -> None:
        writer.write(OK if request.path == "/whole" else so_far)

    async with Wire(answer) as wire, opened(wire.url, concurrency=1) as pool:
        await send_raw(pool, "GET", "/whole")
        send = asyncio.create_task(send_raw(pool, "GET", "/part"))
        while len(wire.requests) < 2:
            await wire.arrived.get()
        send.cancel()
        with suppress(asyncio.CancelledError):
            await send
        assert send.cancelled()
        assert await wire.closed.get() == 1
        await send_raw(pool, "GET", "/whole")
    assert [request.connection for request in wire.requests] == [1, 1, 2]
    gc.collect()  # an unclosed connection would warn


@pytest.mark.usefixtures("each_way")
async def test_a_pool_that_ends_with_requests_under_way_closes_their_connections() -> None:
    """Whatever still waits for an answer gets an error."""

    async def silent(_: Arrived, __: asyncio.StreamWriter) -> None:
        """Say nothing."""

    async with Wire(silent) as wire:
        async with opened(wire.url) as pool:
            send = asyncio.create_task(send_raw(pool, "GET", "/"))
            await wire.arrived.get()
        assert await wire.closed.get() == 1
        with pytest.raises(ConnectionFailed):
            await send
    gc.collect()


async def test_the_deadline_includes_the_opening_of_a_connection() -> None:
    """A proxy that does not answer is as late as an account that does not."""

    async def silent(_: Arrived, __: asyncio.StreamWriter) -> None:
        """Say nothing."""

    async with Wire(silent) as proxy, opened("https://aha.invalid", proxy=proxy.url, timeout_s=0.05) as pool:
        with pytest.raises(TimedOut, match=r"^no answer within 0.05 s$") as caught:
            await send_raw(pool, "GET", "/")
        assert not caught.value.was_sent
        assert await proxy.closed.get() == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of `localhost` that vouches for itself, and its key."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("no openssl here to make a certificate with")
    folder = tmp_path_factory.mktemp("tunnel")
    made, key = folder / "certificate.pem", folder / "key.pem"
    of = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost"]
    of += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(made)]
    subprocess.run([openssl, "req", "-x509", "-days", "1", *of], check=True, capture_output=True)
    return made, key


@pytest.mark.usefixtures("each_way")
async def test_through_a_proxy_there_is_a_tunnel_with_tls_and_it_is_kept(certificate: tuple[Path, Path]) -> None:
    """The proxy sees who asks for a tunnel to where, and cipher text; the account gets the token, twice."""
    seen: list[bytes] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(2**16):
            seen.append(data)
            writer.write(data)
        writer.close()

    async with Wire(said(OK), ssl=context) as account:

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(await reader.readuntil(b"\r\n\r\n"))
            inner, outer = await asyncio.open_connection("127.0.0.1", account.port)
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(pass_on(reader, outer), pass_on(inner, writer), return_exceptions=True)
            with suppress(ConnectionError):
                await outer.wait_closed()

        async with server(serve) as port:
            by_way = f"http://me:secret@127.0.0.1:{port}"
            async with opened(f"https://localhost:{account.port}", proxy=by_way) as pool:
                pool._connector._ssl = ssl.create_default_context(cafile=certificate[0])
                for _ in range(2):
                    assert (await send_raw(pool, "PUT", "/", b"{}")).status == 200
    assert [request.headers["authorization"] for request in account.requests] == [f"Bearer {TOKEN}"] * 2
    assert [request.headers["host"] for request in account.requests] == [f"localhost:{account.port}"] * 2
    assert account.connections == 1
    head = seen[0].decode()
    assert head.startswith(f"CONNECT localhost:{account.port} HTTP/1.1\r\n")
    assert "\r\nUser-Agent: aha-linker/" in head
    assert "\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n" in head
    assert TOKEN.encode() not in b"".join(seen)


async def test_the_parts_of_an_open_pool_show_no_token() -> None:
    """What a debugger or a reporter of errors shows, after a request, two levels deep."""
    async with Wire(said(OK)) as wire, opened(wire.url) as pool:
        await send_raw(pool, "GET", "/")
        for part in (pool, *vars(pool).values(), pool._way):
            assert TOKEN not in f"{part!r} {part!s} {getattr(part, '__dict__', '')!r}"


@pytest.mark.parametrize("plain", [False, True])
async def test_the_user_decides_how_requests_are_sent(plain: bool) -> None:
    """By an exchange, unless the setting says otherwise; nothing is logged of it."""
    with capture_logs() as logs:
        async with opened("http://127.0.0.1:1", plain_requests=plain) as pool:
            assert type(pool._way) is (PlainRequests if plain else Exchanges)
    assert logs == []


async def test_an_aiohttp_without_what_an_exchange_needs_sends_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    """One warning says so, and everything works."""
    monkeypatch.delattr(ResponseHandler, "force_close")
    with capture_logs() as logs:
        async with Wire(said(OK)) as wire, opened(wire.url) as pool:
            for _ in range(2):
                assert (await send_raw(pool, "PUT", "/", b"{}")).status == 200
    assert wire.connections == 1
    (line,) = logs
    assert (line["event"], line["log_level"]) == ("plain_requests", "warning")
    assert (line["aiohttp"], line["lacking"]) == (aiohttp.__version__, "ResponseHandler.force_close")
