"""Where the token comes from, what shows it to nobody, and to whom alone it is sent."""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.command import Command
from support.leaks import TOKEN, assert_kept, told_by
from support.runs import features, until, write_jobs
from support.terminal import terminal

import linker
from linker import Linker, Settings, UsageError
from linker.cli.access import Access
from linker.cli.token import token_of
from linker.ratelimit.limiter import RateLimiter
from linker.sandbox import Sandbox
from linker.sessions.pool import SessionPool
from linker.sessions.token import Token

CLEAR = "would send your token unencrypted; use https://, or allow it with --insecure-http"
SHOWN = "goes through a proxy, which could read your token; use https://, or put the host into NO_PROXY"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A token file as it should be."""
    path = tmp_path / "aha.token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o610, 0o777])
def test_a_token_file_that_others_can_read_is_refused(file: Path, mode: int) -> None:
    """As ssh does with a key: whatever others may do with it, and it is said how to mend it."""
    file.chmod(mode)
    with pytest.raises(UsageError, match=rf"others can read it \(mode {mode:04o}\); run: chmod 600 ") as caught:
        token_of(file)
    assert_kept(*told_by(caught.value))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("mode", [0o444, 0o440, 0o644])
def test_a_token_file_of_somebody_elses_is_not_the_user_s_to_mend(file: Path, mode: int) -> None:
    """A secret that a container is given: as with ssh, whoever owns it has seen to it."""
    os.chown(file, 12345, -1)
    file.chmod(mode)
    assert token_of(file).authorization.endswith(TOKEN)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_token_file_of_its_owner_alone_is_read(file: Path, mode: int) -> None:
    """Without the line's end."""
    file.chmod(mode)
    assert token_of(file).authorization == f"Bearer {TOKEN}"


def test_it_is_the_file_that_counts_and_not_the_link_to_it(file: Path) -> None:
    """A link's own mode is 0777, and says nothing of what it leads to."""
    link = file.with_name("link")
    link.symlink_to(file)
    assert token_of(link).authorization.endswith(TOKEN)
    file.chmod(0o644)
    with pytest.raises(UsageError, match="others can read it"):
        token_of(link)


def test_a_token_may_come_through_a_pipe() -> None:
    """`--token-file <(pass show aha)`: nothing of it is ever on a disk."""
    reading, writing = os.pipe()
    os.write(writing, f"{TOKEN}\n".encode())
    os.close(writing)
    try:
        assert token_of(Path(f"/dev/fd/{reading}")).authorization.endswith(TOKEN)
    finally:
        os.close(reading)


def test_a_file_without_end_is_no_token() -> None:
    """What is read of a token file is bounded."""
    with pytest.raises(UsageError, match="characters that no token has"):
        token_of(Path("/dev/zero"))


async def test_the_command_refuses_it_before_anything_is_sent(command: Command, sandbox: Sandbox, file: Path) -> None:
    """Exit 2, one line, no request; with the file mended, it runs."""
    write_jobs(command.folder / "links.jsonl", features(1))
    file.write_text(sandbox.options.token)
    file.chmod(0o644)
    refused = await command("run", "links.jsonl", "--token-file", str(file))
    assert (refused.code, sandbox.stats.requests) == (2, 0)
    assert refused.stderr.startswith(
        f"linker: token file {file}: others can read it (mode 0644); run: chmod 600 {file}"
    )
    file.chmod(0o600)
    assert (await command("run", "links.jsonl", "--token-file", str(file))).code == 0


HOLDERS: dict[str, Callable[[Linker], Any]] = {
    "Token": lambda _: Token(TOKEN),
    "Linker": lambda aha: aha,
    "Run": lambda aha: aha.run(features(1)),
    "SessionPool": lambda aha: SessionPool(aha._settings, Token(TOKEN), RateLimiter(()), asyncio.Event()),
    "Access": lambda aha: Access(aha._settings, Token(TOKEN)),
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("holder", HOLDERS)
async def test_nothing_that_holds_the_token_can_be_pickled(holder: str, protocol: int) -> None:
    """A queue to other processes, a cache on a disk: neither gets it, and the error does not tell it."""
    holds = HOLDERS[holder](Linker("company", TOKEN))
    with pytest.raises((TypeError, AttributeError)) as caught:
        pickle.dumps(holds, protocol)
    assert_kept(*told_by(caught.value))
    with pytest.raises((TypeError, AttributeError)):
        copy.deepcopy(holds)


async def test_what_holds_the_token_shows_it_in_no_repr_of_its_parts() -> None:
    """What a debugger, a reporter of errors or `vars()` shows: attributes, one by one, two levels deep."""
    for make in HOLDERS.values():
        holds = make(Linker("company", TOKEN))
        for part in (holds, *getattr(holds, "__dict__", {}).values()):
            assert_kept(repr(part), str(part), repr(getattr(part, "__dict__", "")))


ACTS: list[Callable[[], Any]] = [
    lambda: Linker("company", TOKEN, rate="fast"),
    lambda: Linker("company", f"Bearer {TOKEN}"),
    lambda: linker.link([], "", TOKEN),
    lambda: linker.link([], "company", f"Bearer {TOKEN}"),
    lambda: token_of(None),
]


@pytest.mark.parametrize("act", ACTS)
def test_no_frame_of_an_error_has_the_text_of_the_token(
    act: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who report errors report the variables of their frames: there, it is a `Token`, and be it none."""
    monkeypatch.setenv("AHA_TOKEN", f"Bearer {TOKEN}")
    with pytest.raises(UsageError) as caught:
        act()
    assert_kept(*told_by(caught.value))


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="no /proc here")
async def test_the_command_leaves_no_core_behind(command: Command) -> None:
    """Whatever the shell allows: a core file would hold the token, and go to whoever looks into the crash."""
    write_jobs(command.folder / "links.jsonl", features(5))
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    async with Sandbox(limits=[], token=TOKEN, latency_ms=25_000) as sandbox:
        command.environment |= {"AHA_URL": sandbox.url, "AHA_TOKEN": TOKEN}
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
        try:
            process = await command.start("run", "links.jsonl")
        finally:
            resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
        await until(lambda: sandbox.stats.requests > 0)
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        process.kill()
        await process.communicate()
    (core,) = (line.split() for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core[4] in ("0", "1")


@pytest.mark.parametrize(
    "url",
    [
        "http://aha.company.example",
        "http://10.0.0.7:8080",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://notlocalhost",
        "http://2130706433",
        "http://0x7f.1",
        "http://[::ffff:a00:7]",
        "http://localhost.localdomain",
        "http://0.0.0.0",
    ],
)
def test_plain_http_is_refused(url: str) -> None:
    """By the library and so by the command; unless it is meant."""
    with pytest.raises(UsageError, match=CLEAR):
        Linker(url=url, token=TOKEN)
    assert Linker(url=url, token=TOKEN, insecure_http=True)._settings.base_url == url


@pytest.mark.parametrize(
    "url", ["http://localhost:1", "http://127.0.0.1", "http://127.9.9.9:81", "http://[::1]:8765", "http://localhost"]
)
def test_plain_http_to_this_machine_itself_is_fine(url: str) -> None:
    """A sandbox has no certificate, and the token leaves no machine."""
    assert Settings(base_url=url).base_url == url


@pytest.mark.parametrize("insecure_http", [False, True])
@pytest.mark.parametrize("url", ["http://aha.company.example", "http://127.0.0.1:1"])
def test_no_proxy_gets_the_token_in_clear(url: str, insecure_http: bool) -> None:
    """An http account by way of a proxy would give it the whole request; whoever allows http has not allowed that."""
    with pytest.raises(UsageError, match=SHOWN):
        Linker(url=url, token=TOKEN, proxy="http://proxy.example:3128", insecure_http=insecure_http)
    assert Settings(base_url="https://aha.company.example", proxy="http://proxy.example:3128").proxy


async def test_the_command_refuses_plain_http_before_anything_is_sent(command: Command) -> None:
    """Exit 2; with --insecure-http it is tried, and a proxy of the environment is refused all the same."""
    write_jobs(command.folder / "links.jsonl", features(1))
    told = ("run", "links.jsonl", "--url", "http://aha.invalid:1", "--no-preflight")
    refused = await command(*told)
    assert (refused.code, refused.stderr) == (2, f"linker: http://aha.invalid:1 {CLEAR}\n")
    command.environment |= {"HTTP_PROXY": "http://127.0.0.1:9", "no_proxy": "", "NO_PROXY": ""}
    shown = await command(*told, "--insecure-http")
    assert (shown.code, SHOWN in shown.stderr) == (2, True)
    command.environment["NO_PROXY"] = command.environment["no_proxy"] = "aha.invalid"
    tried = await command(*told, "--insecure-http")
    assert tried.code == 2
    assert "no connection to aha.invalid:1" in tried.stderr


@pytest.mark.parametrize(
    "url",
    [
        "https://user@company.aha.io",
        "https://@company.aha.io",
        "https://127.0.0.1\\@company.aha.io",
        "https://company.aha.io\\@evil.example",
        "https://company.aha.io:99999999999",
        "https://company.aha.io:0",
        "https://company.aha.io:" + "9" * 5000,
        "https://company.aha.io/../admin",
        "https://company.aha.io/a/..",
        "https://company.aha.io/./a",
        "https://company.aha.io/a//b",
        "https://company.aha.io/a%2fb",
        "https://company.aha.io/a b",
        "https://company.aha.io/a;b",
        "https://company..aha.io",
        "https://" + "x" * 64 + ".example",
        "https://company.aha.io%2eevil.example",
        "https://[fe80::1%25eth0]",
        "https://[::1",
        "https://äha.example",
        "https://company.aha.io?x",
        "https://company.aha.io#x",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https:company.aha.io",
        " ",
    ],
)
def test_a_url_whose_host_could_be_taken_for_another_is_none(url: str) -> None:
    """What is not plainly scheme, host, port and path is refused; it is not told again, for it may hold a password."""
    with pytest.raises(UsageError, match=r"the URL (is invalid|contains)"):
        Settings(base_url=url)


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("HTTPS://Company.Aha.IO./", "https://company.aha.io"),
        ("https://company.aha.io:443", "https://company.aha.io"),
        ("http://localhost.:80", "http://localhost"),
        ("https://company.aha.io/api/v1/", "https://company.aha.io"),
        ("https://gateway.example:8443/aha/", "https://gateway.example:8443/aha"),
        ("https://gateway.example/.well/aha:prod", "https://gateway.example/.well/aha:prod"),
        ("https://[0:0:0:0:0:0:0:1]:8443", "https://[::1]:8443"),
    ],
)
def test_a_url_is_put_together_anew_from_its_parts(url: str, canonical: str) -> None:
    """Nothing that was not looked at gets into a request."""
    assert Settings(base_url=url).base_url == canonical
    assert Settings(base_url=canonical).base_url == canonical


async def test_the_progress_on_a_terminal_does_not_show_it(command: Command) -> None:
    """Bar, question, summary and Ctrl-C: whatever was on the screen in between is without it."""
    write_jobs(command.folder / "links.jsonl", [*features(60), {"id": "PRJ1-1", "kind": "nothing"}])
    async with Sandbox(limits=[(40, 1.0)], token=TOKEN, features=80) as sandbox:
        sandbox.faults.script(503, "html", "cut", 422)
        command.environment |= {"AHA_URL": sandbox.url, "AHA_TOKEN": TOKEN}
        async with terminal(command, "run", "links.jsonl", "--yes", "--log-level", "debug") as shown:
            await shown.shows("%")
            await until(lambda: sandbox.stats.methods["PUT"] > 10)
            shown.interrupt()
            await shown.ended()
    assert "linked" in shown.screen
    assert_kept(shown.screen)
