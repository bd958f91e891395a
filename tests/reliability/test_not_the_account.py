"""Answers that are not the account's: bans and blocks of a firewall, login pages, redirects, proxies, a wrong port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.command import Command
from support.fault_proxy import FaultProxy
from support.raw_server import TOKEN, Wire, page, said
from support.runs import eager, features, names, results_of, write_jobs

import linker
from linker import Status
from linker.sandbox import Sandbox

PAGE = b"<!DOCTYPE html><html><body>error code: 1015 You are being rate limited</body></html>"
WAIT = "Retry-After: 0.3"
BANS = {
    "403 page": page("403 Forbidden", PAGE, "Content-Type: text/html", WAIT),
    "403 text": page("403 Forbidden", b"error code: 1015", WAIT),
    "403 json": page("403 Forbidden", b'{"message":"You have exceeded a secondary rate limit"}', WAIT),
    "403 empty": page("403 Forbidden", b"", "retry_after: 0.3"),
    "404 page": page("404 Not Found", PAGE, WAIT),
    "503 page": page("503 Service Unavailable", PAGE, WAIT),
    "200 page": page("200 OK", PAGE, WAIT),
}
BLOCK = page("403 Forbidden", PAGE, "Content-Type: text/html")
STRANGERS = {
    "redirect": (
        page("302 Found", b"", "Location: https://sso.example/login"),
        "redirected to https://sso.example/login",
    ),
    "login": (page("301 Moved Permanently", b"", "Location: /login"), "redirected to /login"),
    "login page": (page("200 OK", b"<html><form>password</form></html>"), "another server answered"),
    "wrong server": (page("404 Not Found", b"<html>no such page</html>"), "another server answered"),
    "https port": (page("400 Bad Request", b"<html>plain HTTP request sent to HTTPS port</html>"), "another server"),
    "proxy": (page("407 Proxy Authentication Required", PAGE), "check HTTPS_PROXY"),
}


@pytest.fixture
async def proxy(sandbox: Sandbox) -> AsyncIterator[FaultProxy]:
    """The way to the sandbox."""
    async with FaultProxy(sandbox.url) as proxy:
        yield proxy


@pytest.mark.parametrize("ban", BANS)
async def test_a_ban_pauses_everybody_and_costs_no_row_and_no_attempt(
    sandbox: Sandbox, proxy: FaultProxy, ban: str
) -> None:
    """One request meets it; nothing else leaves before the time that it names, and every row is linked."""
    proxy.script(*[None] * 5, BANS[ban], on="PUT")
    started = asyncio.get_running_loop().time()
    async with eager(sandbox, url=proxy.url, concurrency=1) as aha:
        results = await results_of(aha.run(features(20)))
    assert {(result.status, result.attempts) for result in results} <= {(Status.LINKED, 1), (Status.LINKED, 2)}
    assert sum(request.startswith("PUT") for request in proxy.requests) == 21
    assert asyncio.get_running_loop().time() - started >= 0.3
    assert sum(result.attempts == 2 for result in results) <= ban.startswith(("503", "200"))


async def test_a_firewall_s_block_is_probed_and_costs_no_row(sandbox: Sandbox, proxy: FaultProxy) -> None:
    """Without a time it is an outage: after three pages only probes leave, and then all rows are linked."""
    proxy.script(*[None] * 5, *[BLOCK] * 8)
    async with eager(sandbox, url=proxy.url, concurrency=1) as aha:
        results = await results_of(aha.run(features(20)))
    assert {result.status for result in results} == {Status.LINKED}
    blocked = proxy.requests[5:13]
    assert sum("/me" not in request for request in blocked) == 3


async def test_a_target_that_a_firewall_blocks_fails_alone(sandbox: Sandbox, proxy: FaultProxy) -> None:
    """The account lets everything else through: the row fails, may be tried again, and says who refused it."""
    proxy.script(stays=BLOCK, on="PUT /api/v1/features/PRJ1-7")
    async with eager(sandbox, url=proxy.url, attempts=2) as aha:
        results = await results_of(aha.run(features(9)))
    (failed,) = [result for result in results if result.status is Status.FAILED]
    assert failed.error is not None
    assert (failed.id, failed.error.type, failed.error.retryable) == ("PRJ1-7", "bad_answer", True)
    assert "a firewall or proxy blocks linker" in failed.error.message


@pytest.mark.parametrize("stranger", STRANGERS)
async def test_a_stranger_in_place_of_the_account_ends_a_run_at_once(tmp_path: Path, stranger: str) -> None:
    """Nothing was ever well: a few requests, no results file, and the message says what to check."""
    answer, message = STRANGERS[stranger]
    options: dict[str, Any] = {"rate": (), "backoff_base_s": 0.001, "concurrency": 1}
    async with Wire(said(answer)) as wire, linker.Linker(url=wire.url, token=TOKEN, **options) as aha:
        for begin in (
            aha.run(features(9), tmp_path / "results.jsonl"),
            aha.run(features(9), tmp_path / "b", blind=True),
        ):
            with pytest.raises((linker.Unreachable, linker.Stopped)) as caught:
                await results_of(begin)
            assert message in str(caught.value)
        assert len(wire.requests) <= 2 * 4
    assert not (tmp_path / "results.jsonl").exists()


@pytest.mark.parametrize("verb", [["run", "l.jsonl"], ["export", "--kind", "feature"]], ids=str)
async def test_every_verb_says_so_and_exits_with_2(command: Command, verb: list[str]) -> None:
    """As a user sees it: a redirect to a login page, one line, and no files."""
    write_jobs(command.folder / "l.jsonl", features(3))
    async with Wire(said(STRANGERS["redirect"][0])) as wire:
        command.environment["AHA_URL"] = wire.url
        finished = await command(*verb, *(["--scope", "PRJ1"] if verb[0] == "export" else []))
    assert (finished.code, finished.stdout) == (2, "")
    assert "redirected to https://sso.example/login" in finished.stderr
    assert names(command.folder) == ["l.jsonl"]
