"""Connections that brought what nobody asked for, or that failed: none of them carries another request."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest
from support.raw_server import OK, Arrived, Wire, opened, page, said, send_raw

from linker.errors import ConnectionFailed, TimedOut

pytestmark = pytest.mark.usefixtures("each_way")

MINE = page("200 OK", b'{"feature":{"name":"mine"}}')

UNASKED = {
    "an answer": OK,
    "a refusal": page("400 Bad Request", b"<html>400</html>", "Connection: close"),
    "a 408 without an end": b"HTTP/1.0 408 Request Time-out\r\nConnection: close\r\n\r\n<html>",
    "half an answer": b"HTTP/1.1 200 OK\r\nContent-Le",
    "the end of chunks": b"0\r\n\r\n",
    "an empty line": b"\r\n",
    "a continue": b"HTTP/1.1 100 Continue\r\n\r\n",
    "rubbish": b"\0\0\0",
}


class Server(Wire):
    """A server whose connections a test can write on while they are idle."""

    def __init__(self, answer: Callable[[Arrived, asyncio.StreamWriter], None] | None = None) -> None:
        super().__init__(self._write)
        self.writers: dict[int, asyncio.StreamWriter] = {}
        self._say = answer

    async def _write(self, request: Arrived, writer: asyncio.StreamWriter) -> None:
        self.writers[request.connection] = writer
        if self._say is None:
            writer.write(MINE)
        else:
            self._say(request, writer)


@pytest.mark.parametrize("unasked", UNASKED.values(), ids=UNASKED)
async def test_what_arrives_on_an_idle_connection_closes_it(unasked: bytes) -> None:
    """The next request goes out on another one, and gets its own answer."""
    async with Server() as server, opened(server.url) as pool:
        await send_raw(pool, "GET", "/1")
        server.writers[1].write(unasked)
        assert await server.closed.get() == 1
        reply = await send_raw(pool, "PUT", "/2", b"{}")
    assert (reply.status, reply.body) == (200, b'{"feature":{"name":"mine"}}')
    assert [(request.path, request.connection) for request in server.requests] == [("/1", 1), ("/2", 2)]


async def test_what_the_event_loop_has_not_read_yet_counts_too() -> None:
    """The answer lies in the socket when the next request is about to leave."""
    async with Server() as server, opened(server.url) as pool:
        await send_raw(pool, "GET", "/1")
        raw: socket.socket = server.writers[1].get_extra_info("socket")
        with socket.fromfd(raw.fileno(), raw.family, raw.type) as past_the_event_loop:  # which both sides share
            past_the_event_loop.send(OK)
        reply = await send_raw(pool, "PUT", "/2", b"{}")
    assert reply.body == b'{"feature":{"name":"mine"}}'
    assert [request.connection for request in server.requests] == [1, 2]


@pytest.mark.parametrize("status", ["400 Bad Request", "408 Request Timeout"])
@pytest.mark.parametrize("parting", [page("", b"<html>"), page("", b'{"error":"idle"}', "Connection: close")])
async def test_a_parting_word_on_a_used_connection_is_no_verdict(status: str, parting: bytes) -> None:
    """It crossed the request on the way: the next try, on a new connection, tells."""

    def answer(request: Arrived, writer: asyncio.StreamWriter) -> None:
        writer.write(MINE if request.path == "/1" else parting.replace(b"HTTP/1.1 ", f"HTTP/1.1 {status}".encode()))

    async with Server(answer) as server, opened(server.url) as pool:
        await send_raw(pool, "GET", "/1")
        with pytest.raises(ConnectionFailed, match=rf"^the connection was closed \({status[:3]}\) before an answer$"):
            await send_raw(pool, "PUT", "/2", b"{}")
        reply = await send_raw(pool, "PUT", "/2", b"{}")  # the account itself says so
    assert reply.status == int(status[:3])
    assert [request.connection for request in server.requests] == [1, 1, 2]


async def test_a_refusal_in_json_on_a_used_connection_is_one() -> None:
    """A 400 of the account costs no second request."""
    refusal = page("400 Bad Request", b'{"error":"no"}')
    async with Wire(said(MINE, refusal)) as server, opened(server.url) as pool:
        await send_raw(pool, "GET", "/1")
        assert (await send_raw(pool, "PUT", "/2", b"{}")).status == 400
    assert len(server.requests) == 2


async def test_after_a_dropped_connection_no_older_one_is_used() -> None:
    """Its server was most likely restarted: three connections that are idle would cost three more tries."""
    gate = asyncio.Barrier(4)

    async def answer(request: Arrived, writer: asyncio.StreamWriter) -> None:
        if request.path == "/together":
            async with gate:
                writer.write(MINE)
        elif request.path == "/drop":
            writer.close()
        else:
            writer.write(MINE)

    async with Wire(answer) as server, opened(server.url, concurrency=4) as pool:
        await send_raw(pool, "GET", "/first")  # no others leave before its answer
        await asyncio.gather(*(send_raw(pool, "GET", "/together") for _ in range(4)))
        with pytest.raises(ConnectionFailed):
            await send_raw(pool, "GET", "/drop")
        await send_raw(pool, "GET", "/then")
        await send_raw(pool, "GET", "/then")
    assert [request.connection for request in server.requests if request.path == "/then"] == [5, 5]


@pytest.mark.parametrize(
    "endless",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{",  # until the connection ends
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"",
    ],
)
async def test_a_try_ends_in_time_wherever_the_answer_stops(endless: bytes) -> None:
    """The head, the body with a length, in chunks or without an end: one deadline for all of it."""
    async with Wire(said(endless)) as server, opened(server.url, timeout_s=0.2) as pool:
        with pytest.raises(TimedOut, match=r"^no answer within 0.2 s$") as caught:
            await send_raw(pool, "GET", "/")
    assert caught.value.was_sent
    assert len(server.requests) == 1


async def test_the_addresses_of_a_host_are_asked_for_anew_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The account has moved: the first try finds nobody at the old address, the second one the new address."""
    loop, addresses, asked = asyncio.get_running_loop(), ["127.0.0.1"], 0
    resolve = loop.getaddrinfo

    async def getaddrinfo(host: str, port: int, **options: int) -> object:
        nonlocal asked
        asked += host == "account.test"
        return await resolve(addresses[0] if host == "account.test" else host, port, **options)

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    async with Wire(said(OK)) as old:
        port = old.port
        async with opened(f"http://account.test:{port}", insecure_http=True) as pool:
            await send_raw(pool, "GET", "/")
            await send_raw(pool, "GET", "/")
            assert asked == 1
            old._server.close()
            server = await asyncio.start_server(old._serve, "127.0.0.2", port)
            addresses[0] = "127.0.0.2"
            for task in old._tasks:
                task.cancel()
            assert await old.closed.get() == 1
            async with server:
                with pytest.raises(ConnectionFailed) as caught:
                    await send_raw(pool, "GET", "/old")
                assert not caught.value.was_sent
                await send_raw(pool, "GET", "/new")
    assert [request.path for request in old.requests] == ["/", "/", "/new"]


async def test_a_dead_address_of_several_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens at the first one: the same try finds the account at the second."""
    loop = asyncio.get_running_loop()

    async def getaddrinfo(host: str, port: int, **_: int) -> object:
        addresses = ("127.0.0.3", "127.0.0.1") if host == "account.test" else (host,)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    async with Wire(said(OK)) as server, opened(f"http://account.test:{server.port}", insecure_http=True) as pool:
        assert (await send_raw(pool, "GET", "/")).status == 200
    assert server.connections == 1
