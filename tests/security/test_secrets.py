"""The token, and a proxy's password, looked for wherever they might come out."""

from __future__ import annotations

import asyncio
import base64
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from support.command import Command
from support.leaks import PASSWORD, TOKEN, assert_kept, told_by
from support.raw_server import send_raw
from support.runs import ACME, features, read_into, until, write_jobs

import linker
from linker import Linker
from linker.errors import RequestFailed
from linker.ratelimit.limiter import RateLimiter
from linker.sandbox import Sandbox
from linker.sessions.pool import SessionPool
from linker.sessions.token import Token
from linker.settings import Settings


async def raised_by(action: Callable[[], Awaitable[Any]]) -> BaseException:
    """What an action raises; it must raise something."""
    try:
        await action()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """An account with a token worth keeping."""
    async with Sandbox(limits=[], token=TOKEN, features=20) as sandbox:
        yield sandbox


def with_token(url: str, token: str = TOKEN, **options: Any) -> Linker:
    """A linker that holds the secret and waits for nothing."""
    return Linker(url=url, token=token, rate=(), backoff_base_s=0.001, backoff_cap_s=0.01, **options)


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    """All that is logged meanwhile."""
    with structlog.testing.capture_logs() as entries:
        yield entries


async def test_results_logs_and_reprs_keep_the_token(sandbox: Sandbox, logs: list[Any], tmp_path: Path) -> None:
    """Through faults, retries, refusals and failures: nothing that linker makes or shows has the token in it."""
    path = tmp_path / "results.jsonl"
    sandbox.faults.script(503, "reset", "html", "cut", 429, "reset_after", None, 422, 403, 404, 500, 500, 500, 500)
    async with with_token(sandbox.url, attempts=4) as aha:
        run = aha.run([*features(20), {"id": "PRJ1-1", "kind": "nothing"}], path)
        results: list[linker.Result] = []
        await read_into(results, run)
        assert_kept(aha, run, run._pipeline, run._pipeline._pool, run._pipeline._sender, run._pipeline._limiter)
        assert_kept(aha._settings, run.progress(), run.summary, str(aha), str(run))
    assert {result.status for result in results} == set(linker.Status) - {linker.Status.UNCHANGED}
    assert len(logs) > 8
    assert_kept(*results, *logs, path.read_text())


@pytest.mark.parametrize(
    "token", [TOKEN + " x", TOKEN + "\u20ac", TOKEN + "\r\nX-Evil: 1"], ids=["space", "euro", "line"]
)
def test_a_token_that_cannot_be_one_is_not_told(token: str) -> None:
    """The error says what is wrong with it, not what it is."""
    with pytest.raises(linker.UsageError) as caught:
        Linker("company", token)
    assert_kept(str(caught.value), repr(caught.value), caught.value.args)


async def test_what_a_run_raises_keeps_the_token(sandbox: Sandbox, tmp_path: Path) -> None:
    """Unauthorized, results that exist, an iterable that breaks: no chain, traceback or frame has the token in it."""
    (tmp_path / "there.jsonl").touch()

    def broken() -> Iterator[dict[str, Any]]:
        yield features(1)[0]
        raise KeyError("broken")

    raised: dict[str, BaseException] = {}
    async with with_token(sandbox.url, TOKEN[::-1]) as stale, with_token(sandbox.url) as aha:
        raised["unauthorized"] = await raised_by(lambda: read_into([], stale.run(features(3))))
        raised["exists"] = await raised_by(lambda: read_into([], aha.run(features(3), tmp_path / "there.jsonl")))
        raised["broken"] = await raised_by(lambda: read_into([], aha.run(broken())))
        raised["missing"] = await raised_by(lambda: read_into([], aha.run(tmp_path / "missing.jsonl")))
        run = aha.run(features(1))
        await read_into([], run)
        raised["twice"] = await raised_by(lambda: read_into([], run))
    assert isinstance(raised["unauthorized"], linker.Unauthorized)
    for error in raised.values():
        for text in told_by(error):
            assert_kept(text)
            assert TOKEN[::-1] not in text


@pytest.mark.parametrize("what", ["reset", "reset_after", "cut", "nobody", "late"])
async def test_what_a_request_raises_keeps_the_token(what: str) -> None:
    """aiohttp's own errors carry the request's headers; ours carry neither them nor those errors."""
    async with Sandbox(limits=[], token=TOKEN, latency_ms=300 if what == "late" else 0) as sandbox:
        settings = Settings(base_url=sandbox.url, rate=(), timeout_s=0.05 if what == "late" else 30)
        if what == "nobody":
            await sandbox.stop()
        elif what != "late":
            sandbox.faults.script(what)
        async with SessionPool(settings, Token(TOKEN), RateLimiter(()), asyncio.Event()) as pool:
            error = await raised_by(lambda: send_raw(pool, "GET", "/api/v1/features/PRJ1-1"))
            assert isinstance(error, RequestFailed)
            assert error.__cause__ is error.__context__ is None
            assert_kept(*told_by(error), pool)


@asynccontextmanager
async def server(answer: Callable[[bytes], bytes]) -> AsyncIterator[int]:
    """A server on the loopback that answers each request's head and closes; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(answer(await reader.readuntil(b"\r\n\r\n")))
            await writer.drain()
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        yield listening.sockets[0].getsockname()[1]


ECHOES: dict[str, Callable[[bytes], bytes]] = {
    "text": lambda head: b"HTTP/1.1 400 Bad\r\nConnection: close\r\n\r\nyou sent " + head,
    "json": lambda head: b'HTTP/1.1 403 No\r\nConnection: close\r\n\r\n{"error": "' + secret_line(head) + b'"}',
    "200": lambda head: b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + secret_line(head),
    "garbage": lambda head: secret_line(head) + b"\r\n\r\n",
    "status": lambda head: b"HTTP/1.1 " + secret_line(head) + b"\r\n\r\n",
    "header": lambda head: b"HTTP/1.1 200 OK\r\n" + secret_line(head) + b"\x00\r\n\r\n",
}


def secret_line(head: bytes) -> bytes:
    """The header line with the token."""
    return next(line for line in head.split(b"\r\n") if TOKEN.encode() in line)


@pytest.mark.parametrize("echo", ECHOES)
async def test_a_server_that_repeats_the_token_does_not_get_it_into_a_result(echo: str, logs: list[Any]) -> None:
    """A proxy's debugging page that shows the request's headers is shown without the token."""
    async with server(ECHOES[echo]) as port, with_token(f"http://127.0.0.1:{port}", attempts=2) as aha:
        results: list[linker.Result] = []
        await read_into(results, aha.run(features(1)))
    (result,) = results
    assert result.error is not None
    assert_kept(result, *logs, result.to_json().decode())


async def test_a_redirect_that_repeats_the_token_ends_the_run_without_it(logs: list[Any]) -> None:
    """The error shows where to, less the token."""

    def there(head: bytes) -> bytes:
        return b"HTTP/1.1 302 Go\r\nLocation: https://x.example/?" + secret_line(head).split()[-1] + b"\r\n\r\n"

    async with server(there) as port, with_token(f"http://127.0.0.1:{port}", attempts=2) as aha:
        with pytest.raises(linker.Unreachable, match=r"redirected to https://x.example/\?\[token\]") as caught:
            await read_into([], aha.run(features(1)))
    assert_kept(caught.value, *logs)


@pytest.mark.parametrize("status", [407, 502])
async def test_a_proxys_password_is_kept(status: int, logs: list[Any]) -> None:
    """Through refusals by the proxy and a proxy that is not there: no setting, log, result or error shows it."""
    heads: list[bytes] = []

    def refuse(head: bytes) -> bytes:
        heads.append(head)
        return b"HTTP/1.1 %d No\r\nConnection: close\r\n\r\n" % status + head

    results: list[linker.Result] = []
    ended: list[str] = []
    async with server(refuse) as port:
        for at in (port, 1):
            proxy = f"http://user:{PASSWORD}@127.0.0.1:{at}"
            async with with_token("https://account.invalid", proxy=proxy, attempts=2) as aha:
                run = aha.run(features(1))
                try:
                    await read_into(results, run)
                except linker.Unreachable as error:
                    ended.append(str(error))
                assert_kept(aha, run, aha._settings, run._pipeline._pool)
    assert base64.b64encode(f"user:{PASSWORD}".encode()) in heads[0]  # it was sent to where it belongs
    assert len(ended) == (2 if status == 407 else 1)
    assert [result.status for result in results] == [linker.Status.FAILED] * (status == 502)
    assert_kept(*results, *logs, *ended)


@pytest.mark.parametrize("proxy", [f"socks5://user:{PASSWORD}@127.0.0.1:1", f"http://user:{PASSWORD}@[::1", PASSWORD])
def test_a_proxy_that_makes_no_sense_is_not_told(proxy: str) -> None:
    """The error says what a proxy looks like, not what was given."""
    with pytest.raises(linker.UsageError) as caught:
        Linker("company", TOKEN, proxy=proxy)
    assert_kept(str(caught.value), caught.value.args)


@pytest.mark.parametrize("format", ["console", pytest.param("json", marks=pytest.mark.slow)])
async def test_the_command_keeps_the_token_whatever_happens(command: Command, sandbox: Sandbox, format: str) -> None:
    """In success and in every failure, with logs at their most talkative: stdout, stderr and files are without it."""
    write_jobs(command.folder / "links.jsonl", features(12))
    (command.folder / "bad.csv").write_text("id,what\n")
    (command.folder / "token").write_text(TOKEN)
    (command.folder / "token").chmod(0o600)
    told = [
        "--log-level",
        "debug",
        "--log-format",
        format,
        "--rate",
        "1000/1s",
        "--overwrite",
        "--attempts",
        "2",
        "--max-wait",
        "2",
        "--no-preflight",
    ]
    codes = []
    for arguments, environment in [
        (["run", "links.jsonl"], {}),
        (["run", "links.jsonl", "--token-file", "token"], {"AHA_TOKEN": "stale" + TOKEN}),
        (["run", "links.jsonl"], {"AHA_TOKEN": "stale" + TOKEN}),
        (["run", "links.jsonl"], {"AHA_TOKEN": TOKEN + " and more"}),
        (["run", "links.jsonl"], {"AHA_URL": "http://127.0.0.1:1"}),
        (
            ["run", "links.jsonl"],
            {"AHA_URL": "https://a.invalid", "HTTPS_PROXY": f"http://user:{PASSWORD}@127.0.0.1:1"},
        ),
        (
            ["run", "links.jsonl"],
            {"AHA_URL": "https://a.invalid", "HTTPS_PROXY": f"socks5://user:{PASSWORD}@127.0.0.1:1"},
        ),
        (["run", "bad.csv"], {}),
        (["run", "missing.jsonl"], {}),
        (["run", "links.jsonl", "--token", TOKEN], {}),
    ]:
        sandbox.faults.script(503, "reset", "html", "cut", 429, "reset_after", 422, 422)
        command.environment = {**command.environment, "AHA_TOKEN": TOKEN, "AHA_URL": sandbox.url} | environment
        command.environment = {key: text for key, text in command.environment.items() if key != "no_proxy"}
        if "HTTPS_PROXY" not in environment:
            command.environment.pop("HTTPS_PROXY", None)
        finished = await command(*arguments, *told)
        codes.append(finished.code)
        assert_kept(finished.stdout, finished.stderr)
    assert codes == [1, 1, 3, 2, 2, 2, 2, 2, 2, 2]
    (command.folder / "token").unlink()
    assert_kept(*(path.read_text() for path in command.folder.iterdir()), *map(str, command.folder.iterdir()))


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="no /proc here")
async def test_ps_shows_no_token(command: Command) -> None:
    """While it runs, the process's command line, which every user of the machine can read, is without it."""
    write_jobs(command.folder / "links.jsonl", features(5))
    (command.folder / "token").write_text(TOKEN)
    (command.folder / "token").chmod(0o600)
    async with Sandbox(limits=[], token=TOKEN, latency_ms=25_000) as sandbox:
        command.environment |= {"AHA_URL": sandbox.url, "AHA_TOKEN": ""}
        process = await command.start("run", "links.jsonl", "--token-file", "token")
        await until(lambda: sandbox.stats.requests > 0)
        assert_kept(command_line(process.pid))
        assert "links.jsonl" in command_line(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        said = await process.stderr.readline()
        process.send_signal(signal.SIGINT)
        stdout, stderr = await process.communicate()
    assert process.returncode == 130
    assert_kept(stdout.decode(), said.decode() + stderr.decode())


def command_line(pid: int) -> str:
    """What `ps` shows of a process."""
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


def test_the_search_finds_what_it_looks_for() -> None:
    """The tests above can fail: each form of the secrets is found where it is."""
    basic = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
    for text in (f"Bearer {TOKEN}", TOKEN[:40], TOKEN[-40:], f"http://user:{PASSWORD}@h", f"Basic {basic}", [TOKEN]):
        with pytest.raises(AssertionError):
            assert_kept(text)
    error = KeyError("outer")
    error.__context__ = KeyError(TOKEN)
    with pytest.raises(AssertionError):
        assert_kept(*told_by(error))
    assert_kept("nothing", ACME)
