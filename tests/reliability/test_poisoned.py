"""Targets that fail for ever while the account is well: the others are done, and these fail by themselves."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.fault_proxy import FaultProxy
from support.runs import ACME, eager, features, read_into, results_of, until

from linker import ErrorType, Kind, Result, Status
from linker.retry.breaker import IN_A_ROW
from linker.sandbox import Sandbox

ROWS = 50
ATTEMPTS = 6


def poison(sandbox: Sandbox, count: int, method: str = "PUT", what: int | str = 500) -> set[str]:
    """Let every request to so many features fail, spread over all of them; return their names."""
    names = [f"PRJ1-{1 + number * ROWS // count}" for number in range(count)]
    sandbox.faults.script(on=rf"{method} [^?]*/({'|'.join(names)})(\?|$)", stays=what)
    return set(names)


def failed_alone(results: list[Result], poisoned: set[str], error: ErrorType, attempts: int = ATTEMPTS) -> None:
    """The poisoned targets have failed after all their attempts, and may be retried; all others are done."""
    assert {result.id for result in results if result.status is Status.FAILED} == poisoned
    for result in results:
        if result.error is not None:
            assert (result.error.type, result.error.retryable, result.attempts) == (error, True, attempts)


@pytest.mark.parametrize("count", [4, 25, 50])
@pytest.mark.parametrize("method", ["PUT", "GET"])
async def test_poisoned_targets_fail_and_the_others_are_done(
    sandbox: Sandbox, tmp_path: Path, count: int, method: str
) -> None:
    """In the first run and in each resume: a few probes, no outage, and no target has more tries than it may."""
    path = tmp_path / "results.jsonl"
    poisoned = poison(sandbox, count, method)
    if method == "GET":  # else no target is read by itself
        sandbox.faults.script(on=r"GET .*[?&]page=1\b", stays=404)
    async with eager(sandbox) as aha:
        run = aha.run(features(ROWS), path)
        failed_alone(await results_of(run), poisoned, ErrorType.SERVER_ERROR)
        assert run.summary.requests == sandbox.stats.requests
        probes = sum("/me" in request.path for request in sandbox.requests)
        assert probes <= count * ATTEMPTS // IN_A_ROW
        for _ in range(2):
            again = aha.run(features(ROWS), path, resume=True)
            failed_alone(await results_of(again), poisoned, ErrorType.SERVER_ERROR)
            assert (again.summary.passed_over, again.summary.failed) == (ROWS - count, count)
        assert sandbox.stats.faults[500] == 3 * count * ATTEMPTS
        sandbox.faults.clear()
        healed = aha.run(features(ROWS), path, resume=True)
        await results_of(healed)
    assert healed.summary.linked == count
    links = (sandbox.account.links(Kind.FEATURE, f"PRJ1-{number}") for number in range(1, ROWS + 1))
    assert all(each == {"customers": [ACME]} for each in links)


@pytest.mark.parametrize(
    ("what", "error"), [("html", ErrorType.BAD_ANSWER), ("reset", ErrorType.CONNECTION), (502, ErrorType.SERVER_ERROR)]
)
async def test_targets_may_fail_in_any_way(sandbox: Sandbox, what: int | str, error: ErrorType) -> None:
    """A page of somebody else, connections that break: for half of the targets only, it is no outage."""
    poisoned = poison(sandbox, 25, what=what)
    async with eager(sandbox) as aha:
        failed_alone(await results_of(aha.run(features(ROWS))), poisoned, error)


async def test_targets_that_are_never_answered_are_no_outage(sandbox: Sandbox) -> None:
    """Every PUT hangs, and nothing else does."""
    async with FaultProxy(sandbox.url) as proxy, eager(sandbox, timeout_s=0.2, attempts=2, url=proxy.url) as aha:
        proxy.script(stays="hang", on="PUT")
        results = await results_of(aha.run(features(ROWS)))
    failed_alone(results, {f"PRJ1-{number}" for number in range(1, ROWS + 1)}, ErrorType.TIMEOUT, attempts=2)


async def test_targets_that_reject_the_token_fail_alone(sandbox: Sandbox) -> None:
    """401 for some targets, while `/me` accepts the token: theirs alone, not to be retried, and the run goes on."""
    poisoned = poison(sandbox, 3, what=401)
    async with eager(sandbox) as aha:
        results = await results_of(aha.run(features(ROWS)))
    failed = [result for result in results if result.error is not None]
    assert {result.id for result in failed} == poisoned
    assert {result.status for result in results} == {Status.LINKED, Status.FAILED}
    for result in failed:
        assert result.error is not None
        assert (result.error.type, result.error.retryable, result.http_status) == (ErrorType.FORBIDDEN, False, 401)
        assert "other requests are accepted" in result.error.message


async def test_pages_that_fail_for_ever_leave_their_targets_to_single_reads(sandbox: Sandbox) -> None:
    """Every list fails, and so do 25 targets, whichever way they are asked for."""
    sandbox.faults.script(on=r"GET .*[?&]page=\d", stays=500)
    poisoned = poison(sandbox, 25, r"\w+")
    async with eager(sandbox) as aha:
        failed_alone(await results_of(aha.run(features(ROWS))), poisoned, ErrorType.SERVER_ERROR)


async def test_poisoned_targets_outlast_an_outage(sandbox: Sandbox) -> None:
    """An outage comes and goes while some targets are poisoned: all others are done, and those fail by themselves."""
    poisoned = poison(sandbox, 25)
    async with FaultProxy(sandbox.url) as proxy, eager(sandbox, url=proxy.url, concurrency=4) as aha:
        run = aha.run(features(ROWS))
        results: list[Result] = []
        gathering = asyncio.create_task(read_into(results, run))
        await until(lambda: sandbox.stats.methods["PUT"] > 5)
        await proxy.down()
        breaker = run._pipeline._sender.breaker
        await until(lambda: breaker.is_outage and breaker._probes > 3)
        await proxy.up()
        await gathering
    assert {result.id for result in results if result.status is Status.FAILED} == poisoned
    assert {result.error.type for result in results if result.error is not None} == {ErrorType.SERVER_ERROR}
    assert len(results) == ROWS


@pytest.mark.parametrize("me", [403, 404])
async def test_a_token_that_may_not_ask_for_itself_is_answered_all_the_same(sandbox: Sandbox, me: int) -> None:
    """`/me` is forbidden or not there: an answer, so the account is well."""
    sandbox.faults.script(on="GET /api/v1/me", stays=me)
    poisoned = poison(sandbox, 25)
    async with eager(sandbox) as aha:
        failed_alone(await results_of(aha.run(features(ROWS))), poisoned, ErrorType.SERVER_ERROR)


async def test_a_probe_passes_the_rate_limiter() -> None:
    """With poisoned targets and probes too, the account never gets more than it allows."""
    async with Sandbox(limits=[(30, 0.5)], features=ROWS, keep_requests=True, empty_links="empty") as sandbox:
        poison(sandbox, ROWS)
        async with eager(sandbox, rate="30/0.5s", attempts=2) as aha:
            run = aha.run(features(ROWS))
            await results_of(run)
        assert sandbox.stats.refused == 0
        assert run.summary.requests == sandbox.stats.requests
        assert any("/me" in request.path for request in sandbox.requests)
