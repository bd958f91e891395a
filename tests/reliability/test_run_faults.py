"""Whatever happens on the way: faults are retried, refusals pause everybody, and what is given up says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.runs import ACME, eager, features, names, read_into, results_of, written

import linker
from linker import ErrorType, Kind, Status, Unreachable
from linker.sandbox import Fault, Sandbox

TRANSIENT: list[int | str] = [408, 409, 425, 429, 500, 502, 503, 504, 507, 522, "reset", "reset_after", "html", "cut"]


def linked(sandbox: Sandbox, count: int) -> bool:
    """Whether the features from PRJ1-1 on hold Acme and nothing else."""
    return all(sandbox.account.links(Kind.FEATURE, f"PRJ1-{n}") == {"customers": [ACME]} for n in range(1, count + 1))


@pytest.mark.parametrize("what", TRANSIENT, ids=str)
async def test_a_passing_fault_is_got_over(sandbox: Sandbox, what: int | str) -> None:
    """The first GET and the first PUT meet the fault: both are sent again, and the job is linked.

    After a PUT that was answered with a page instead of the target, the target is read first.
    """
    sandbox.faults.script(what, None, what)
    async with eager(sandbox) as aha:
        (result,) = await results_of(aha.run(features(1)))
    assert sandbox.stats.methods == {"GET": 3 if what == "html" else 2, "PUT": 2}
    assert (result.status, result.http_status, result.error) == (Status.LINKED, 200, None)
    assert result.attempts == (1 if what == 429 else 2)  # a refusal uses up no attempt
    assert linked(sandbox, 1)


async def test_among_faults_of_every_sort_every_job_is_linked() -> None:
    """A third of the requests meets some fault: all jobs are linked, and no target ever has two PUTs at once."""
    faults = [Fault(what, 0.03) for what in TRANSIENT]
    async with Sandbox(
        limits=[], features=300, latency_ms=2, jitter_ms=2, faults=faults, empty_links="empty"
    ) as sandbox:
        async with eager(sandbox, attempts=30) as aha:
            run = aha.run(features(200))
            results = await results_of(run)
        assert {result.status for result in results} == {Status.LINKED}
        assert linked(sandbox, 200)
        assert set(sandbox.stats.faults) == set(TRANSIENT)
        assert sandbox.stats.most_puts_at_once_on_a_target == 1
        assert run.summary.requests == sandbox.stats.requests
        reads = sandbox.stats.requests - (1 + 200 + sum(sandbox.stats.faults.values()))
        assert 0 <= reads <= sandbox.stats.faults["html"]  # each after a PUT whose answer was no target
        assert max(result.attempts for result in results) > 1


@pytest.mark.parametrize(
    ("what", "error_type", "http_status"),
    [
        (408, ErrorType.TIMEOUT, 408),
        (500, ErrorType.SERVER_ERROR, 500),
        (503, ErrorType.SERVER_ERROR, 503),
        (409, ErrorType.SERVER_ERROR, 409),
        (522, ErrorType.SERVER_ERROR, 522),
        ("reset", ErrorType.CONNECTION, None),
        ("reset_after", ErrorType.CONNECTION, None),
        ("cut", ErrorType.CONNECTION, None),
        ("html", ErrorType.BAD_ANSWER, None),
    ],
    ids=str,
)
async def test_when_the_attempts_are_used_up_the_job_fails_and_may_be_retried(
    sandbox: Sandbox, what: int | str, error_type: ErrorType, http_status: int | None
) -> None:
    """Three PUTs in vain: failed, three attempts, retryable, the error's own word, and the run goes on."""
    sandbox.faults.script(what, what, what, on="PUT")
    jobs = features(1)
    async with eager(sandbox, attempts=3) as aha:
        (given_up,) = await results_of(aha.run(jobs))
        (again,) = await results_of(aha.run(jobs))
    assert given_up.status is Status.FAILED
    assert given_up.error is not None
    assert (given_up.error.type, given_up.error.retryable) == (error_type, True)
    assert "tried 3 times" in given_up.error.message
    assert (given_up.attempts, given_up.http_status) == (3, http_status)
    assert given_up.before == {"customers": []}
    assert given_up.after is None
    assert again.status is (Status.UNCHANGED if what in ("reset_after", "cut") else Status.LINKED)


@pytest.mark.parametrize(
    ("status", "error_type"),
    [
        (400, ErrorType.INVALID_VALUE),
        (403, ErrorType.FORBIDDEN),
        (404, ErrorType.NOT_FOUND),
        (410, ErrorType.INVALID_VALUE),
        (422, ErrorType.INVALID_VALUE),
    ],
)
async def test_what_will_not_pass_is_tried_once(sandbox: Sandbox, status: int, error_type: ErrorType) -> None:
    """A refusal for good is one attempt, not retryable, with the server's status."""
    sandbox.faults.script(None, status)
    async with eager(sandbox) as aha:
        (result,) = await results_of(aha.run(features(1)))
    assert result.error is not None
    assert (result.status, result.error.type, result.error.retryable) == (Status.FAILED, error_type, False)
    assert (result.attempts, result.http_status) == (1, status)
    assert sandbox.stats.methods == {"GET": 1, "PUT": 1}


async def test_no_answer_in_time_is_a_timeout() -> None:
    """A server that takes longer than `timeout_s`: the job fails with `timeout`, retryable."""
    async with Sandbox(limits=[], latency_ms=400) as sandbox, eager(sandbox, timeout_s=0.05, attempts=2) as aha:
        (result,) = await results_of(aha.run(features(1)))
    assert result.error is not None
    assert (result.error.type, result.error.retryable) == (ErrorType.TIMEOUT, True)
    assert "no answer within 0.05 s" in result.error.message
    assert result.attempts == 2


async def test_nobody_there_stops_the_run_at_once(sandbox: Sandbox, tmp_path: Path) -> None:
    """A port at which nothing listens: no second try, no results file, and the message says where to and what to do."""
    url = sandbox.url
    await sandbox.stop()
    async with linker.Linker(url=url, token="sandbox") as aha:
        run = aha.run([*features(1), {"id": "nonsense!"}], tmp_path / "results.jsonl")
        with pytest.raises(Unreachable) as caught:
            await results_of(run)
    place = url.removeprefix("http://")
    assert str(caught.value) == (
        f"no connection to {place}: Connection refused; check --url {url} (or AHA_URL), or use --account"
    )
    assert run.summary.requests == 1
    assert names(tmp_path) == []


async def test_nobody_there_any_more_leaves_the_results_of_a_resume(sandbox: Sandbox, tmp_path: Path) -> None:
    """The file of an earlier run stays as it is."""
    path = tmp_path / "results.jsonl"
    async with eager(sandbox, url=sandbox.url) as aha:
        await results_of(aha.run(features(1), path))
        earlier = path.read_bytes()
        await sandbox.stop()
        with pytest.raises(Unreachable):
            await results_of(aha.run(features(3), path, resume=True))
    assert path.read_bytes() == earlier


async def test_a_refusal_pauses_everybody_and_uses_up_no_attempt() -> None:
    """Against limits tighter than the linker knows: every job is linked at its first attempt, and after a refusal
    no more arrives before its time than was on its way already."""
    concurrency = 4
    async with Sandbox(limits=[(20, 0.5)], features=20, keep_requests=True) as sandbox:
        async with eager(sandbox, concurrency=concurrency) as aha:
            results = await results_of(aha.run(features(20)))
        pauses = 0
        not_before = 0.0
        early = 0
        for seen in sandbox.requests:
            early += seen.at < not_before
            if seen.status == 429 and seen.at >= not_before:
                pauses += 1
                not_before = seen.at + 1.0  # the sandbox's shortest Retry-After
    assert {result.status for result in results} == {Status.LINKED}
    assert {result.attempts for result in results} == {1}
    assert sandbox.stats.refused > 0
    assert sandbox.stats.too_early == early <= pauses * (concurrency - 1)


async def test_within_the_accounts_limits_nothing_is_refused() -> None:
    """A linker that is told the account's own rates meets no refusal, and none of its requests is too early."""
    async with Sandbox(limits=[(20, 0.5)], features=20, latency_ms=5, jitter_ms=5) as sandbox:
        aha = eager(sandbox, rate=("20/0.5s",))
        results = await results_of(aha.run(features(20)))
    assert {result.status for result in results} == {Status.LINKED}
    assert (sandbox.stats.refused, sandbox.stats.too_early) == (0, 0)


async def test_refusals_without_end_are_given_up(sandbox: Sandbox) -> None:
    """So many 429s in a row: the job fails as rate_limited, retryable, and the run goes on."""
    sandbox.faults.script(None, 429, 429, 429)
    async with eager(sandbox, refusals=2, concurrency=1) as aha:
        refused, good = await results_of(aha.run(features(2)))
    assert refused.error is not None
    assert (refused.error.type, refused.error.retryable, refused.http_status) == (ErrorType.RATE_LIMITED, True, 429)
    assert good.status is Status.LINKED


async def test_a_wait_beyond_reason_stops_the_run() -> None:
    """An account that asks to wait for an hour: the run stops, says for how long, and keeps what was done."""
    async with Sandbox(limits=[(2, 3600.0)], empty_links="empty") as sandbox:
        done: list[linker.Result] = []
        async with eager(sandbox, concurrency=1) as aha:
            run = aha.run(features(2))
            with pytest.raises(linker.Stopped, match=r"wait 3,\d\d\d s"):
                await read_into(done, run)
        assert [(result.id, result.status) for result in done] == [("PRJ1-1", Status.LINKED)]
        assert run.summary.stopped
        assert not run.summary.ok
        assert sandbox.stats.requests == 3


async def test_a_token_that_is_not_taken_costs_one_request(sandbox: Sandbox) -> None:
    """A 401 on the first request ends the run: Unauthorized, one request in all, no result."""
    results: list[linker.Result] = []
    async with linker.Linker(url=sandbox.url, token="stale", rate=()) as aha:
        run = aha.run(features(100))
        with pytest.raises(linker.Unauthorized, match="rejected your token"):
            await read_into(results, run)
    assert results == []
    assert sandbox.stats.requests == 1
    assert run.summary.requests == 1


async def test_a_token_that_is_taken_back_stops_the_run(sandbox: Sandbox) -> None:
    """A 401 in mid-run that stays: it stops, what was written has its line, and what has no line was not written."""
    sandbox.faults.script(*[None] * 50, *[401] * 1000)
    results: list[linker.Result] = []
    async with eager(sandbox, max_wait=0.05) as aha:
        with pytest.raises(linker.Unauthorized):
            await read_into(results, aha.run(features(100)))
    assert {result.status for result in results} == {Status.LINKED}
    assert {result.id for result in results} == written(sandbox)


@pytest.fixture
def terse(sandbox: Sandbox) -> Sandbox:
    """An account whose answers to PUTs show the target without its links, as some documented ones do."""
    answer = sandbox._routes.answer

    def terse_answer(method: str, path: str, query: str, content_type: str = "", body: bytes = b"") -> object:
        return answer(method, path, "fields=id" if method == "PUT" else query, content_type, body)

    sandbox._routes.answer = terse_answer  # type: ignore[assignment, method-assign]
    return sandbox


async def test_what_the_puts_answer_does_not_show_is_read_back(terse: Sandbox) -> None:
    """An answer without links is followed by a GET, and the job is linked by what that shows."""
    jobs = [*features(1), {"id": "PRJ1-2", "links": {"nonsense": [ACME]}}]
    async with eager(terse) as aha:
        good, dropped = await results_of(aha.run(jobs))
    assert (good.status, good.after) == (Status.LINKED, {"customers": [ACME]})
    assert dropped.error is not None
    assert dropped.error.type is ErrorType.NOT_APPLIED
    assert terse.stats.methods == {"GET": 2 + 1 + 3, "PUT": 2}  # what is not there is looked for three times


@pytest.mark.parametrize("status", [403, 404, 503])
async def test_a_read_back_that_fails_fails_the_job_which_may_be_tried_again(terse: Sandbox, status: int) -> None:
    """The PUT was answered 200, and nobody could look afterwards: not `linked`, with the changes that were asked."""
    terse.faults.script(None, None, status)
    async with eager(terse, attempts=1) as aha:
        (result,) = await results_of(aha.run(features(1)))
    assert result.error is not None
    assert (result.status, result.error.type, result.error.retryable) == (Status.FAILED, ErrorType.NOT_APPLIED, True)
    assert result.changes == {"customers": linker.FieldChange([ACME], [])}


async def test_a_token_taken_back_between_the_put_and_the_look_leaves_it_to_a_resume(terse: Sandbox) -> None:
    """A run that stops before the read-back has no result: what became of the PUT is not known yet."""
    terse.faults.script(None, None, *[401] * 1000)
    results: list[linker.Result] = []
    async with eager(terse, max_wait=0.05) as aha:
        with pytest.raises(linker.Unauthorized):
            await read_into(results, aha.run(features(1)))
    assert results == []


async def test_a_run_stopped_between_the_put_and_the_look_leaves_it_to_a_resume(terse: Sandbox, tmp_path: Path) -> None:
    """`stop()` while the PUT is at the account: its read-back is not sent any more, and a resume finds it linked."""
    results: list[linker.Result] = []
    path = tmp_path / "results.jsonl"
    async with eager(terse) as aha:
        run = aha.run(features(1), path)
        answer = terse._routes.answer

        def stopping(method: str, *rest: Any) -> Any:
            if method == "PUT":
                run.stop()
            return answer(method, *rest)

        terse._routes.answer = stopping  # type: ignore[assignment, method-assign]
        await read_into(results, run)
        terse._routes.answer = answer  # type: ignore[method-assign]
        assert results == []
        assert terse.stats.methods == {"GET": 1, "PUT": 1}
        (result,) = await results_of(aha.run(features(1), path, resume=True))
    assert (result.status, result.change) == (Status.LINKED, 0)
    assert terse.stats.methods["PUT"] == 1
