"""The pool of sessions over real sockets: leases, connections, headers, proxies, and each request sent once."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct

import aiohttp
import pytest
from support.raw_server import OK, TOKEN, Arrived, Wire, opened, page, said, send_raw

import linker
from linker.errors import ConnectionFailed
from linker.ratelimit.limiter import Closed, RateLimiter
from linker.sandbox import Sandbox
from linker.settings import Rate

pytestmark = pytest.mark.usefixtures("each_way")

PATH = "/api/v1/features/PRJ1-1?fields=custom_object_links,reference_num,id"


async def test_a_request_says_who_asks_for_what_as_aha_wants_it(sandbox: Sandbox) -> None:
    """User-Agent with the version, the token, JSON both ways, gzip taken; path and body go out as they are."""
    body = b'{"feature":{"custom_object_links":{}}}'
    async with opened(sandbox.url, token="sandbox") as pool:
        reply = await send_raw(pool, "PUT", PATH, body)
    assert (reply.status, reply.body[:11]) == (200, b'{"feature":')
    (seen,) = sandbox.requests
    assert (seen.method, f"{seen.path}?{seen.query}", seen.body) == ("PUT", PATH, body)
    expected = {
        "User-Agent": f"aha-linker/{linker.__version__}",
        "Authorization": "Bearer sandbox",
        "Accept": "application/json",
        "Content-Type": "application/json",
        "Accept-Encoding": "gzip, deflate",
    }
    assert expected.items() <= seen.headers.items()
    assert "Cookie" not in seen.headers


async def test_a_gzipped_answer_comes_unpacked() -> None:
    """What is asked for packed is handed on plain."""
    body = b'{"feature":{}}' * 1000
    async with (
        Wire(said(page("200 OK", gzip.compress(body), "Content-Encoding: gzip"))) as wire,
        opened(wire.url) as pool,
    ):
        assert (await send_raw(pool, "GET", "/")).body == body


async def test_a_server_sets_no_cookies() -> None:
    """What a balancer or a login page would have kept is not sent back: every request stands for itself."""
    answer = said(page("200 OK", b"{}", "Set-Cookie: session=1; Path=/"))
    # by name, for a cookie jar would pass over what a bare address sets
    async with Wire(answer) as wire, opened(f"http://localhost:{wire.port}") as pool:
        await send_raw(pool, "GET", "/")
        await send_raw(pool, "GET", "/")
    assert ["cookie" in request.headers for request in wire.requests] == [False, False]


async def test_a_connection_is_kept_and_used_again() -> None:
    """Five requests one after the other, GETs and PUTs, an error among them: one connection."""
    async with Wire(said(OK, page("404 Not Found", b"{}"), OK)) as wire, opened(wire.url) as pool:
        for method in ("GET", "GET", "PUT", "PUT", "GET"):
            await send_raw(pool, method, "/", b"{}" if method == "PUT" else None)
    assert (len(wire.requests), wire.connections) == (5, 1)


async def test_there_are_never_more_leases_than_connections_and_no_turn_without_a_lease() -> None:
    """With three connections, three of ten requests are at the server, three turns are taken, seven wait for both."""
    go = asyncio.Event()

    async def answer(request: Arrived, writer: asyncio.StreamWriter) -> None:
        if request.path != "/first":
            await go.wait()
        writer.write(OK)

    limiter = RateLimiter([Rate(1000, 1), Rate(5000, 60)])
    async with Wire(answer) as wire, opened(wire.url, limiter=limiter, concurrency=3) as pool:
        await send_raw(pool, "GET", "/first")
        await wire.arrived.get()
        sends = [asyncio.create_task(send_raw(pool, "GET", "/")) for _ in range(10)]
        for _ in range(3):
            await wire.arrived.get()
        await asyncio.sleep(0.02)  # time in which a fourth could come, were there one
        assert (len(wire.requests), limiter.turns, pool.requests) == (4, 4, 4)
        assert "0 waiting" in repr(limiter)
        go.set()
        await asyncio.gather(*sends)
    assert wire.most_open == wire.connections == 3
    assert pool.requests == limiter.turns == len(wire.requests) == 11


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize("how", ["closed", "reset"])
async def test_a_request_is_sent_once_though_its_kept_alive_connection_drops(how: str, method: str) -> None:
    """aiohttp alone sends it again by itself, counted by the account and by nobody here; the pool does not."""

    async def answer(request: Arrived, writer: asyncio.StreamWriter) -> None:
        if [each.connection for each in wire.requests].count(request.connection) == 1:
            writer.write(OK)
            return
        if how == "reset":
            connection: socket.socket = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()

    async with Wire(answer) as wire, aiohttp.ClientSession(wire.url) as bare:
        for _ in range(2):
            async with bare.request(method, "/") as response:
                await response.read()
    assert len(wire.requests) == 3  # of two; if not, `_SendOnce` has had its day

    async with Wire(answer) as wire, opened(wire.url) as pool:
        await send_raw(pool, method, "/", b"{}")
        with pytest.raises(ConnectionFailed, match=r"^the connection (was closed|broke)"):
            await send_raw(pool, method, "/", b"{}")
        assert len(wire.requests) == 2
        await send_raw(pool, method, "/", b"{}")
        assert (len(wire.requests), wire.connections, pool.requests) == (3, 2, 3)


async def test_a_redirect_is_handed_back_and_not_followed() -> None:
    """The token must not travel to wherever a server points."""
    async with Wire(said(OK)) as elsewhere:
        there = page("302 Found", b"", f"Location: {elsewhere.url}/login")
        async with Wire(said(there)) as wire, opened(wire.url) as pool:
            reply = await send_raw(pool, "GET", "/")
    assert (reply.status, reply.headers["location"]) == (302, f"{elsewhere.url}/login")
    assert (len(wire.requests), elsewhere.requests) == (1, [])


async def test_the_proxy_is_asked_with_its_own_password() -> None:
    """It is asked for a tunnel to the account, with the user and the password that its URL holds."""
    async with Wire(said(page("403 Forbidden"))) as proxy:
        by_way = proxy.url.replace("http://", "http://me:secret@")
        async with opened("https://aha.invalid", proxy=by_way) as pool:
            with pytest.raises(ConnectionFailed):
                await send_raw(pool, "GET", PATH)
    (request,) = proxy.requests
    assert (request.method, request.path) == ("CONNECT", "aha.invalid:443")
    assert request.headers["proxy-authorization"] == "Basic bWU6c2VjcmV0"


async def test_a_proxy_of_an_https_account_does_not_get_to_know_the_token() -> None:
    """It is asked for a tunnel before there is any TLS: that asking must hold nothing of the account's."""
    async with Wire(said(page("403 Forbidden"))) as proxy, opened("https://aha.invalid", proxy=proxy.url) as pool:
        with pytest.raises(ConnectionFailed, match=r"^the proxy answered 403$"):
            await send_raw(pool, "GET", PATH)
    (request,) = proxy.requests
    assert (request.method, request.path) == ("CONNECT", "aha.invalid:443")
    assert TOKEN not in str(request)
    assert not {"authorization", "proxy-authorization"} & request.headers.keys()


async def test_a_request_that_is_cancelled_closes_its_connection_and_keeps_its_place() -> None:
    """The server sees the end at once, the lease is free for the next, the permit of the rate limiter is not yet."""

    async def answer(request: Arrived, writer: asyncio.StreamWriter) -> None:
        if request.path == "/answered":
            writer.write(OK)

    limiter = RateLimiter([Rate(3, 3600)])
    limiter._pace_s = 0.0
    async with Wire(answer) as wire, opened(wire.url, limiter=limiter, concurrency=1) as pool:
        await send_raw(pool, "GET", "/answered")
        send = asyncio.create_task(send_raw(pool, "PUT", "/", b"{}"))
        await wire.arrived.get()
        await wire.arrived.get()
        send.cancel()
        await asyncio.wait([send])
        assert send.cancelled()
        assert await wire.closed.get() == 1
        assert repr(limiter) == "<RateLimiter 3/3600s 1 free, 0 waiting>"
        await send_raw(pool, "GET", "/answered")
        assert repr(limiter) == "<RateLimiter 3/3600s 0 free, 0 waiting>"
    assert len(wire.requests) == 3


async def test_a_run_that_is_stopped_sends_nothing_more() -> None:
    """Who waits for a lease or for a turn raises Closed, and what is under way is answered."""
    go, stop, limiter = asyncio.Event(), asyncio.Event(), RateLimiter([])

    async def answer(_: Arrived, writer: asyncio.StreamWriter) -> None:
        await go.wait()
        writer.write(OK)

    async with Wire(answer) as wire, opened(wire.url, limiter=limiter, stop=stop, concurrency=2) as pool:
        sends = [asyncio.create_task(send_raw(pool, "GET", "/")) for _ in range(5)]
        await wire.arrived.get()  # one under way, one waits for its turn, three for a lease
        stop.set()
        limiter.wake()
        go.set()
        first, *others = await asyncio.gather(*sends, return_exceptions=True)
    assert not isinstance(first, BaseException)
    assert first.status == 200
    assert {type(other) for other in others} == {Closed}
    assert len(wire.requests) == pool.requests == 1


async def test_a_pool_tells_where_it_leads_and_not_its_token() -> None:
    """For logs and debuggers."""
    async with opened("http://127.0.0.1:1", concurrency=7) as pool:
        assert repr(pool) == "<SessionPool http://127.0.0.1:1, 7 connections>"


async def test_a_pool_that_is_closed_has_closed_its_connections() -> None:
    """The server sees the end of each."""
    async with Wire(said(OK)) as wire:
        async with opened(wire.url) as pool:
            await send_raw(pool, "GET", "/")
            assert wire.closed.empty()
        assert await wire.closed.get() == 1
