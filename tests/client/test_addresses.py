"""A run whose jobs name their targets by the addresses of their pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.runs import ACME, ZANE, eager, lines_of, results_of

from linker import ErrorType, Kind, LinkJob, Status
from linker.sandbox import Sandbox

LINKS = {"customers": [ACME]}


async def test_addresses_of_the_account_are_linked_and_others_rejected(sandbox: Sandbox, tmp_path: Path) -> None:
    """One target however it is named; an address of another account sends nothing, and no half of its list."""
    jobs: list[LinkJob | dict[str, Any]] = [
        {"id": f"{sandbox.url}/features/PRJ1-1", "links": LINKS},
        LinkJob(f"{sandbox.url}/api/v1/features/prj1-1/?tab=x", {"customers": [ZANE]}),
        {"id": f"{sandbox.url}/ideas/ideas/PRJ1-I-2", "links": LINKS},
        {"id": "https://other.aha.io/epics/PRJ1-E-1", "links": LINKS},
        {"id": "PRJ1-E-1", "links": {"customers": [ZANE]}},
    ]
    async with eager(sandbox) as aha:
        results = await results_of(aha.run(jobs, tmp_path / "results.jsonl"))
        first, second, idea, other, half = sorted(results, key=lambda result: result.job)
        assert (first.id, second.id, first.change) == ("PRJ1-1", "PRJ1-1", second.change)
        assert {first.status, second.status, idea.status} == {Status.LINKED}
        assert other.error is not None
        assert half.error is not None
        assert (other.error.type, half.error.type) == (ErrorType.INVALID_JOB, ErrorType.INCOMPLETE)
        assert f"other.aha.io, but this run is for {sandbox.url.removeprefix('http://')}" in other.error.message
        assert sandbox.account.links(Kind.FEATURE, "PRJ1-1")["customers"] == [ZANE, ACME]
        assert sandbox.account.links(Kind.EPIC, "PRJ1-E-1")["customers"] == []
        again = [
            {"id": "PRJ1-1", "links": LINKS},
            {"id": f"{sandbox.url}/features/PRJ1-1", "links": {"customers": [ZANE]}},
        ]
        puts = sandbox.stats.methods["PUT"]
        await results_of(aha.run(again, tmp_path / "results.jsonl", resume=True))
        assert sandbox.stats.methods["PUT"] == puts
    assert {line["id"] for line in lines_of(tmp_path / "results.jsonl")} == {"PRJ1-1", "PRJ1-I-2", "PRJ1-E-1"}
