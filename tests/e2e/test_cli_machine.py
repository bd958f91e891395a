"""What the command says about the machine it runs on: too little memory, no threads, proxies that it does not use."""

from __future__ import annotations

import errno
import resource

import pytest
from support.command import Command
from support.runs import features, write_jobs

from linker.cli import _command as command_group
from linker.cli import _exit_code
from linker.cli.machine import certificate_advice, shortage
from linker.sandbox import Sandbox


async def test_a_process_that_may_start_no_threads_says_so(command: Command, sandbox: Sandbox) -> None:
    """Each thread would need more room for its stack than the process may have: exit 3, and no traceback."""
    write_jobs(command.folder / "links.jsonl", features(3))
    limits = "ulimit -Ss 1000000000; ulimit -Sv 500000000"
    argv = command.argv("run", "links.jsonl")
    if resource.getrlimit(resource.RLIMIT_STACK)[1] != resource.RLIM_INFINITY:
        pytest.skip("stacks are limited here")
    finished = await command.program("sh", "-c", f'{limits}; exec "$@"', "sh", *argv)
    assert (finished.code, finished.stdout) == (3, "")
    assert "no more threads can be started; raise the limit on processes (ulimit -u" in finished.stderr
    assert "internal error" not in finished.stderr


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (MemoryError(), "out of memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "out of memory"),
        (ExceptionGroup("several", [ValueError(), ExceptionGroup("inner", [MemoryError()])]), "out of memory"),
        (RuntimeError("can't start new thread"), "no more threads"),
    ],
)
def test_a_shortage_is_told_from_a_fault(
    error: Exception, word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also in a group of errors; and even if there is no memory to load what writes logs."""

    def fails(*_: object, **__: object) -> None:
        raise error

    assert word in (shortage(error) or "")
    monkeypatch.setattr(command_group, "main", fails)
    if not isinstance(error, OSError):
        monkeypatch.setattr("linker.log.tell", fails if isinstance(error, MemoryError) else lambda *_: fails)
        assert _exit_code() == 3
        if isinstance(error, MemoryError):
            assert word in capsys.readouterr().err


@pytest.mark.parametrize("error", [ValueError(), RuntimeError("something else"), OSError(errno.EACCES, "denied")])
def test_other_errors_are_no_shortage(error: Exception) -> None:
    """They keep their own words, also if one came of the other."""
    assert shortage(error) is None
    error.__context__ = MemoryError()
    assert shortage(error) is not None


def test_other_errors_say_nothing_of_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is set."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/bundle")
    assert certificate_advice("no connection to company.aha.io:443: Connection refused") is None


@pytest.mark.parametrize("name", ["ALL_PROXY", "all_proxy"])
async def test_a_proxy_where_linker_does_not_look_for_it_is_said(command: Command, name: str) -> None:
    """Once, and only if it would matter."""
    write_jobs(command.folder / "links.jsonl", features(1))
    for other in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        command.environment.pop(other, None)
    command.environment |= {"AHA_URL": "https://aha.invalid", name: "socks5h://127.0.0.1:1"}
    told = "ALL_PROXY is set, but linker reads HTTPS_PROXY; it connects without a proxy"
    finished = await command("run", "links.jsonl", "--max-wait", "0")
    assert finished.stderr.count(told) == 1
    for matters_not in ({"NO_PROXY": "aha.invalid"}, {"AHA_URL": "http://127.0.0.1:1"}):
        before = dict(command.environment)
        command.environment |= matters_not
        assert told not in (await command("run", "links.jsonl", "--max-wait", "0", "--overwrite")).stderr
        command.environment = before


async def test_a_socks_proxy_is_refused_with_what_works(command: Command) -> None:
    """Exit 2, before anything is sent, without the proxy's own address, which may hold a password."""
    write_jobs(command.folder / "links.jsonl", features(1))
    command.environment |= {"AHA_URL": "https://aha.invalid", "HTTPS_PROXY": "socks5://me:secret@127.0.0.1:1"}
    for name in ("NO_PROXY", "no_proxy", "https_proxy"):
        command.environment.pop(name, None)
    refused = await command("run", "links.jsonl")
    assert refused.code == 2
    assert "HTTPS_PROXY=http://HOST:PORT (SOCKS proxies are not supported)" in refused.stderr
    assert "secret" not in refused.stderr
