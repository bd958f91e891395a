"""Whatever goes wrong on the way is one of our errors, says what a user can act on, and holds no token."""

from __future__ import annotations

import asyncio
import errno
import shutil
import socket
import ssl
import subprocess
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp.client_exceptions import UnixClientConnectorError
from support.raw_server import OK, TOKEN, Arrived, Wire, opened, page, send_raw

from linker.errors import BadAnswer, ConnectionFailed, RequestFailed, TimedOut
from linker.sessions.failures import request_failed
from linker.settings import Settings

EACH_WAY = pytest.mark.usefixtures("each_way")

NO_STATUS = "no HTTP answer (Bad status line)"
TOO_LONG = "no HTTP answer (Got more than 67584 bytes when reading)"
OLDER_WORDS = {
    "no HTTP answer (Expected HTTP/, RTSP/ or ICE/)": NO_STATUS,
    "no HTTP answer (Got more than 67584 bytes (88000) when reading Header value is too long.)": TOO_LONG,
}
"""What the parser of an older aiohttp says instead."""

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def harmless(error: RequestFailed) -> str:
    """The message of an error, once it is sure that it can be shown to anybody on any terminal."""
    message = str(error)
    assert message
    assert message.isprintable()
    shown = [message, repr(error), repr(vars(error)), *traceback.format_exception(error)]
    assert not [text for text in shown if TOKEN in text]
    assert error.__cause__ is None
    assert error.__context__ is None  # aiohttp's error would carry the request's headers along
    assert error.sent_at is not None
    return message


@EACH_WAY
@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (b"", ConnectionFailed, "the connection was closed before an answer"),
        (b"HTTP/1.1 20", ConnectionFailed, "the connection was closed before an answer"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", ConnectionFailed, "the connection was closed before an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", ConnectionFailed, "the answer was cut short or garbled"),
        (CHUNKED + b"9\r\n{}", ConnectionFailed, "the answer was cut short or garbled"),
        (page("200 OK", b"{}", "Content-Encoding: gzip"), ConnectionFailed, "the answer was cut short or garbled"),
        (CHUNKED + b"nine\r\n{}", BadAnswer, "no HTTP answer (Invalid character in chunk size)"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", BadAnswer, NO_STATUS),
        (b"\x1b]0;a title\x07\x1b[2J\r\n\r\n", BadAnswer, NO_STATUS),
        (f"HTTP/1.1 200 OK\r\n{TOKEN}\r\n\r\n".encode(), BadAnswer, "no HTTP answer (Invalid header token)"),
        (
            f"HTTP/1.1 200 OK\r\nX: {TOKEN * 4000}\r\n\r\n".encode(),
            BadAnswer,
            TOO_LONG,
        ),
    ],
)
async def test_an_answer_that_is_none_is_an_error_that_says_how(
    answer: bytes, kind: type[RequestFailed], message: str
) -> None:
    """Cut short, packed wrongly, not HTTP at all, malicious: nothing of the server's own text is repeated."""

    async def hang_up(_: Arrived, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with Wire(hang_up) as wire, opened(wire.url) as pool:
        with pytest.raises(RequestFailed) as caught:
            await send_raw(pool, "PUT", "/", b"{}")
    assert type(caught.value) is kind
    assert OLDER_WORDS.get(harmless(caught.value), str(caught.value)) == message
    assert len(wire.requests) == 1


@pytest.fixture
def nowhere() -> Iterator[str]:
    """HOST:PORT where nobody listens, and nobody else can."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


@EACH_WAY
async def test_a_connection_that_is_refused_names_the_place(nowhere: str) -> None:
    """Host, port and the system's own word for it."""
    async with opened(f"http://{nowhere}") as pool:
        with pytest.raises(ConnectionFailed) as caught:
            await send_raw(pool, "GET", "/")
    assert harmless(caught.value) == f"no connection to {nowhere}: Connection refused"


@EACH_WAY
async def test_a_proxy_that_is_not_there_is_named_and_its_password_is_not(nowhere: str) -> None:
    """The user has to look at HTTPS_PROXY, not at the account."""
    async with opened("https://aha.invalid", proxy=f"http://me:{TOKEN}@{nowhere}") as pool:
        with pytest.raises(ConnectionFailed) as caught:
            await send_raw(pool, "GET", "/")
    assert harmless(caught.value) == f"no connection to the proxy {nowhere}: Connection refused"
    assert caught.value.advice == "check the proxy (HTTPS_PROXY)"


def test_what_to_check_names_the_place_that_could_not_be_reached() -> None:
    """The account by its option, the proxy by its variable, the network; nothing, where another try may succeed."""

    def advised(error: Any, url: str = "https://company.aha.io", proxy: str | None = None) -> str | None:
        failure = request_failed(error, Settings(base_url=url, proxy=proxy))
        assert isinstance(failure, ConnectionFailed)
        return failure.advice

    def connecting(error: OSError, host: str = "company.aha.io") -> aiohttp.ClientConnectorError:
        key: Any = SimpleNamespace(host=host, port=443, ssl=True, is_ssl=True)
        return aiohttp.ClientConnectorError(key, error)

    unknown, refused = socket.gaierror(socket.EAI_NONAME, "unknown"), OSError(errno.ECONNREFUSED, "refused")
    account = "--account company (or AHA_ACCOUNT)"
    assert advised(connecting(unknown)) == advised(connecting(refused)) == f"check {account}"
    given = "--url https://aha.example:8443 (or AHA_URL), or use --account"
    assert advised(connecting(refused), "https://aha.example:8443") == f"check {given}"
    for nothing in (socket.gaierror(socket.EAI_AGAIN, "later"), OSError(errno.ENETUNREACH, "none")):
        said = f"check that this machine has a network connection, then check {account}"
        assert advised(connecting(nothing)) == said
    for passing in (errno.ETIMEDOUT, errno.ECONNRESET):
        assert advised(connecting(OSError(passing, "?"))) is None
    # a proxy whose name is unknown is no `ClientProxyConnectionError`
    proxy = f"http://me:{TOKEN}@proxy.example:3128"
    assert advised(connecting(unknown, "proxy.example"), proxy=proxy) == "check the proxy (HTTPS_PROXY)"
    assert advised(connecting(unknown), proxy=proxy) == f"check {account}"
    request: Any = SimpleNamespace(real_url=proxy, headers={})
    for status, is_advised in ((407, True), (403, True), (502, False)):
        said_no = aiohttp.ClientHttpProxyError(request, (), status=status)
        assert (advised(said_no, proxy=proxy) is not None) is is_advised


async def silent(_: Arrived, __: asyncio.StreamWriter) -> None:
    """Take the request, and say nothing."""


async def endless(_: Arrived, writer: asyncio.StreamWriter) -> None:
    """Say a little now and again, and never come to an end."""
    writer.write(CHUNKED)
    while not writer.is_closing():
        writer.write(b"1\r\n{\r\n")
        await asyncio.sleep(0.01)


@EACH_WAY
async def test_an_answer_that_does_not_come_is_a_timeout_by_the_time_that_ran_out() -> None:
    """For the gap between two parts of an answer, and for a try as a whole though its parts keep coming."""
    async with Wire(silent) as wire, opened(wire.url, read_timeout_s=0.05) as pool:
        with pytest.raises(TimedOut) as caught:
            await send_raw(pool, "GET", "/")
        assert harmless(caught.value) == "no data for 0.05 s"
        assert await wire.closed.get() == 1
    for answer in (silent, endless):
        async with Wire(answer) as wire, opened(wire.url, timeout_s=0.06) as pool:
            with pytest.raises(TimedOut) as caught:
                await send_raw(pool, "GET", "/")
            assert harmless(caught.value) == "no answer within 0.06 s"
            assert await wire.closed.get() == 1


@EACH_WAY
async def test_a_handshake_that_does_not_end_is_a_timeout_of_the_connection() -> None:
    """A server that speaks no TLS and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"https://127.0.0.1:{mute.getsockname()[1]}"
        async with opened(url, connect_timeout_s=0.05) as pool:
            with pytest.raises(TimedOut) as caught:
                await send_raw(pool, "GET", "/")
    assert harmless(caught.value) == "no connection within 0.05 s"


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's side of TLS with a certificate that nobody vouches for."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("no openssl here to make a certificate with")
    folder: Path = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    made_of = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([openssl, "req", "-x509", "-days", "1", *made_of, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@EACH_WAY
async def test_a_certificate_that_is_not_trusted_is_refused_before_the_token_is_sent(
    self_signed: ssl.SSLContext,
) -> None:
    """The message says whose it is and why; the server gets no request."""

    async def greedy(_: Arrived, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)

    async with Wire(greedy, ssl=self_signed) as wire, opened(wire.url) as pool:
        with pytest.raises(ConnectionFailed) as caught:
            await send_raw(pool, "GET", "/")
    assert harmless(caught.value).startswith("the certificate of 127.0.0.1 is not trusted: self")
    assert wire.requests == []


@EACH_WAY
async def test_a_server_that_speaks_no_tls_is_a_connection_error() -> None:
    """An https URL to a plain server: the user checks the port, and nothing is tried again."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(page("400 Bad Request"))
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with opened(f"https://127.0.0.1:{port}") as pool:
            with pytest.raises(ConnectionFailed) as caught:
                await send_raw(pool, "GET", "/")
    assert harmless(caught.value) == f"127.0.0.1:{port} does not speak HTTPS"
    assert "check the port" in (caught.value.advice or "")


def classes(root: type[Exception]) -> Iterator[type[Exception]]:
    """aiohttp's own exceptions from one down."""
    yield root
    for each in root.__subclasses__():
        if each.__module__.startswith("aiohttp."):
            yield from classes(each)


def made(kind: type[Exception]) -> Exception:
    """One of a kind, as full of what must not get out as it can be."""
    key: Any = SimpleNamespace(host="aha.invalid", port=443, ssl=True, is_ssl=True, proxy=f"http://u:{TOKEN}@p")
    request: Any = SimpleNamespace(real_url=f"http://u:{TOKEN}@aha.invalid", headers={"Authorization": TOKEN})
    if issubclass(kind, aiohttp.ClientResponseError):
        return kind(request, (), status=418, message=f"Odd:\n\n  {TOKEN}")
    if issubclass(kind, aiohttp.ClientConnectorCertificateError):
        return kind(key, ssl.SSLCertVerificationError(1, TOKEN))
    if issubclass(kind, UnixClientConnectorError):
        return kind(f"/{TOKEN}", key, OSError(errno.ENOENT, TOKEN))
    if issubclass(kind, aiohttp.ClientConnectorError):
        return kind(key, OSError(errno.EHOSTUNREACH, TOKEN))
    if issubclass(kind, aiohttp.ServerFingerprintMismatch):
        return kind(TOKEN.encode(), b"", "aha.invalid", 443)
    if issubclass(kind, aiohttp.InvalidURL):
        return kind(f"http://{TOKEN}@")
    return kind(TOKEN)


OTHERS = [
    TimeoutError(TOKEN),
    OSError(errno.ETIMEDOUT, TOKEN),
    ConnectionResetError(errno.ECONNRESET, TOKEN),
    BrokenPipeError(),
    OSError(TOKEN),
    ssl.SSLError(1, "[SSL] odd"),
    socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
    UnicodeError(TOKEN),
]
TIMEOUTS = (TimeoutError, aiohttp.ServerTimeoutError)


class Broken:
    """A way to send on which every request goes wrong in one manner."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def send(self, *_: object) -> None:
        """Send nothing."""
        raise self.error

    def close(self) -> None:
        """Nothing is open."""


KINDS = sorted(set(classes(aiohttp.ClientError)), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("error", [*map(made, KINDS), *OTHERS], ids=lambda error: type(error).__name__)
async def test_every_error_of_aiohttps_becomes_one_of_ours(error: Exception) -> None:
    """None escapes to break the run, whatever version of aiohttp brings it; none takes the token along."""
    async with opened("http://127.0.0.1:1") as pool:
        pool._way = Broken(error)  # type: ignore[assignment]
        with pytest.raises(RequestFailed) as caught:
            await send_raw(pool, "GET", "/")
        harmless(caught.value)
        if isinstance(error, TIMEOUTS):
            assert type(caught.value) is TimedOut
        elif isinstance(error, aiohttp.ClientResponseError) and not isinstance(error, aiohttp.ClientHttpProxyError):
            assert type(caught.value) is BadAnswer
        else:
            assert type(caught.value) is ConnectionFailed


def test_the_walk_meets_them_all() -> None:
    """A guard on the test above: it sees what aiohttp exports."""
    exported = {getattr(aiohttp, name) for name in aiohttp.__all__}
    errors = {each for each in exported if isinstance(each, type) and issubclass(each, aiohttp.ClientError)}
    assert errors <= set(classes(aiohttp.ClientError))
    assert len(errors) > 20
