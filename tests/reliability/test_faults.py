"""The faults of network and server, one by one through a real proxy, as the table in docs/reliability.md has them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from support.fault_proxy import FAULTS, HARMLESS, LOST_ON_THE_WAY, FaultProxy
from support.runs import ACME, ZANE, features, read_into, results_of, until

import linker
from linker import Kind, Linker, Status
from linker.sandbox import Sandbox

TABLE = re.compile(
    r"^\| (?P<fault>[^|]+?) \| (?P<does>[^|]+?) \| `(?P<type>\w+)` \| (?P<says>[^|]+?) \| (?P<there>yes|no) \|$",
    re.MULTILINE,
)
DOC = Path(__file__).parents[2] / "docs" / "reliability.md"
ROWS = {row["fault"]: row for row in TABLE.finditer(DOC.read_text(encoding="utf-8"))}
UNUSABLE = {"garbled after", "half a JSON", "login page", "foreign answer", "too long", "gzip bomb"}
"""Answers to a PUT after which its target is read, before the PUT is sent again."""
NOT_TRIED_AGAIN = {"redirect", "407"}
ON_BOTH_WAYS = ("reset at once", "reset in the request", "closed", "reply lost", "garbled after", "hang")
"""Faults of the connection: they must read the same if aiohttp's own client sends."""


@pytest.fixture
async def proxy(sandbox: Sandbox) -> AsyncIterator[FaultProxy]:
    """The way to the sandbox."""
    async with FaultProxy(sandbox.url) as proxy:
        yield proxy


def patient(proxy: FaultProxy, **options: Any) -> Linker:
    """A linker that goes through the proxy, and waits for little."""
    given: dict[str, Any] = {
        "rate": (),
        "backoff_base_s": 0.001,
        "backoff_cap_s": 0.01,
        "timeout_s": 1.0,
        "preflight": False,
    }
    return Linker(url=proxy.url, token="sandbox", **given | options)


def held(sandbox: Sandbox, id: str = "PRJ1-1") -> list[str]:
    """What a feature holds."""
    return sandbox.account.links(Kind.FEATURE, id).get("customers", [])


def test_the_table_has_each_fault() -> None:
    """No row without its test, no fault without its row."""
    assert set(ROWS) == set(FAULTS) - set(HARMLESS)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in NOT_TRIED_AGAIN])
async def test_a_fault_that_passes_is_got_over(sandbox: Sandbox, proxy: FaultProxy, tmp_path: Path, fault: str) -> None:
    """It befalls the read, and then the PUT: the job is linked, its line says what its PUT did, the undo restores."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ZANE])
    proxy.script(fault, *([] if fault in HARMLESS else [None]), fault)
    path = tmp_path / "results.jsonl"
    async with patient(proxy) as aha:
        (result,) = await results_of(aha.run(features(1), path))
        assert (result.status, result.before) == (Status.LINKED, {"customers": [ZANE]})
        assert result.changes is not None
        assert (result.changes["customers"].added, result.changes["customers"].removed) == ([ACME], [ZANE])
        assert held(sandbox) == [ACME]
        proxy.script()
        await results_of(aha.run(linker.UndoFile(path)))
    assert held(sandbox) == [ZANE]
    assert proxy.befallen[fault] == 2


@pytest.mark.parametrize(
    ("fault", "plain"),
    [(fault, False) for fault in FAULTS if fault not in HARMLESS] + [(fault, True) for fault in ON_BOTH_WAYS],
)
async def test_a_fault_that_stays_fails_the_job_as_the_table_says(
    sandbox: Sandbox, proxy: FaultProxy, tmp_path: Path, fault: str, plain: bool
) -> None:
    """Each try of the PUT meets it: the status, the error's type and its words; and what is there can be undone."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ZANE])
    proxy.script(None, stays=fault)
    path = tmp_path / "results.jsonl"
    async with patient(proxy, attempts=3, timeout_s=0.3 if fault == "hang" else 5.0, plain_requests=plain) as aha:
        (result,) = await results_of(aha.run(features(1), path))
        assert result.error is not None
        tries = 1 if fault in NOT_TRIED_AGAIN else 3
        assert (result.status, result.error.type, result.attempts) == (Status.FAILED, ROWS[fault]["type"], tries)
        assert ROWS[fault]["says"] in result.error.message
        assert ROWS[fault]["does"] == ("gives up" if fault in NOT_TRIED_AGAIN else "tries again")
        assert ROWS[fault]["there"] == ("yes" if fault in LOST_ON_THE_WAY else "no")
        assert held(sandbox) == [ACME if fault in LOST_ON_THE_WAY else ZANE]
        assert proxy.befallen[fault] == tries + (fault in UNUSABLE)
        proxy.script()
        await results_of(aha.run(linker.UndoFile(path)))
    assert held(sandbox) == [ZANE]


RETRY_AFTER = {
    "0": True,
    "1": True,
    "-5": True,
    "soon": True,
    "": True,
    "1e999": True,
    format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True): True,
    "86400": False,
    "9" * 12: False,
    "9" * 400: True,  # nonsense
    format_datetime(datetime.now(UTC) + timedelta(days=365), usegmt=True): False,
}


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
@pytest.mark.parametrize(("said", "goes_on"), list(RETRY_AFTER.items()), ids=lambda each: str(each)[:20])
async def test_every_form_of_retry_after(
    sandbox: Sandbox, proxy: FaultProxy, status: str, said: str, goes_on: bool
) -> None:
    """Seconds and dates up to `max_wait` are sat out, nonsense is none, and beyond it the run stops and says when."""
    answer = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nRetry-After: {said}\r\n\r\n".encode()
    proxy.script(None, answer)
    async with patient(proxy) as aha:
        run = aha.run(features(1))
        if goes_on:
            (result,) = await results_of(run)
            assert result.status is Status.LINKED
        else:
            with pytest.raises(linker.Stopped, match=r"to wait .* s, .*--resume after \d{4}-\d\d-\d\d \d\d:\d\d"):
                await results_of(run)
            assert held(sandbox) == []
    assert len(proxy.requests) == (3 if goes_on else 2)


async def test_an_outage_costs_its_own_time_and_no_job(sandbox: Sandbox, proxy: FaultProxy) -> None:
    """The way is cut in mid-run, longer than all attempts would last; when it is back, every job is linked."""
    async with patient(proxy, attempts=2) as aha:
        run = aha.run(features(60))
        results = aiter(run)
        done = [await anext(results)]
        await proxy.down()
        breaker = run._pipeline._sender.breaker
        gathering = asyncio.create_task(read_into(done, results))
        await until(lambda: breaker.is_open and breaker._probes > 5)
        await proxy.up()
        await gathering
    assert len(done) == 60
    assert {result.status for result in done} == {Status.LINKED}


async def test_an_outage_that_lasts_too_long_stops_the_run(sandbox: Sandbox, proxy: FaultProxy, tmp_path: Path) -> None:
    """Jobs behind the failures have no line; a resume does them, and nothing else."""
    path = tmp_path / "results.jsonl"
    proxy.script(*[None] * 20, stays="502")
    # one at a time: an answer that was under way would come between the failures
    async with patient(proxy, attempts=2, max_wait=0.05, concurrency=1) as aha:
        run = aha.run(features(60), path)
        with pytest.raises(linker.Stopped, match=r"has not answered .*502"):
            await results_of(run)
        assert run.summary.failed == 0
        assert 0 < run.summary.linked < 60
        proxy.script()
        rest = aha.run(features(60), path, resume=True)
        await results_of(rest)
    assert (rest.summary.linked, rest.summary.passed_over) == (60 - run.summary.linked, run.summary.linked)


async def test_an_outage_at_the_start_costs_no_reads(sandbox: Sandbox, proxy: FaultProxy) -> None:
    """The first page fails, and so does a target by itself: it is not the list, which is read when that is over."""
    proxy.script(*["503"] * 30)
    async with patient(proxy) as aha:
        run = aha.run(features(60))
        await results_of(run)
    assert run.summary.linked == 60
    gets = [request for request in proxy.requests[30:] if request.startswith("GET") and "/me" not in request]
    assert len(gets) <= 2


async def test_a_time_out_that_is_rounded_up_is_the_account_s(sandbox: Sandbox, proxy: FaultProxy) -> None:
    """aiohttp rounds time-outs of over 5 s up to whole seconds: late by that, they use up an attempt all the same."""
    proxy.script(stays="hang")
    part_s = asyncio.get_running_loop().time() % 1
    timeout_s = 5 + (1.15 - part_s) % 1  # due right after a whole second, so that it comes nearly one too late
    async with patient(proxy, timeout_s=timeout_s, attempts=1) as aha:
        (result,) = await results_of(aha.run(features(1)))
    assert (result.status, len(proxy.requests)) == (Status.FAILED, 1)


async def test_few_jobs_that_fail_are_no_outage(sandbox: Sandbox, proxy: FaultProxy) -> None:
    """Fewer failures than an outage has, and nothing else to send: they are held, and then have failed."""
    proxy.script(None, stays="503")
    async with patient(proxy, attempts=3) as aha:
        results = await results_of(aha.run([job for job in features(8) if job["id"] in ("PRJ1-1", "PRJ1-8")]))
    assert [result.status for result in results] == [Status.FAILED] * 2


async def test_what_was_given_up_before_an_answer_has_failed(sandbox: Sandbox, proxy: FaultProxy) -> None:
    """An answer breaks the row of failures: it was no outage, and the run goes on."""
    proxy.script(None, "500", "500")
    async with patient(proxy, attempts=1, concurrency=1) as aha:
        results = await results_of(aha.run(features(6)))
    assert sorted(result.status for result in results) == [*["failed"] * 2, *["linked"] * 4]


async def test_among_all_faults_every_job_is_linked(sandbox: Sandbox, proxy: FaultProxy, tmp_path: Path) -> None:
    """More than half of the requests meet one of them, by seed."""
    faults = tuple(fault for fault in FAULTS if fault not in NOT_TRIED_AGAIN | {"hang", "too long", "gzip bomb"})
    rough = FaultProxy(sandbox.url, faults=faults, share=0.6, seed=7)
    async with rough, patient(rough, attempts=40) as aha:
        results = await results_of(aha.run(features(100), tmp_path / "results.jsonl"))
    assert {result.status for result in results} == {Status.LINKED}
    assert set(rough.befallen) == set(faults)
    assert sandbox.stats.most_puts_at_once_on_a_target == 1
