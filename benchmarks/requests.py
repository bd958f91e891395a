"""How few requests: each kind of work counted against what a script takes that reads and writes target by target.

    python benchmarks/requests.py

The sandbox counts; it has no limit here, so that nothing waits. Counts are exact and hold on any machine.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from linker import Linker
from linker.job import Kind
from linker.sandbox import Sandbox

ACME = "640362830"
ZANE = "8397122"


@dataclass(frozen=True)
class Counted:
    """One row of the table."""

    work: str
    by_script: int
    at_most: int
    counted: int


async def count(sandbox: Sandbox, jobs: Sequence[dict[str, Any]]) -> int:
    """Run jobs, all of which must end well; the requests that the sandbox saw for them."""
    before = sandbox.stats.requests
    async with Linker(url=sandbox.url, token="sandbox", rate=[]) as aha:
        run = aha.run(jobs)
        async for _ in run:
            pass
    assert run.summary.ok, run.summary.errors()
    assert sandbox.stats.requests - before == run.summary.requests
    return run.summary.requests


def names(sandbox: Sandbox, kind: Kind, many: int) -> list[str]:
    """The reference numbers of so many targets that the sandbox has made."""
    return [held.reference for held in sandbox.account.listed(kind) if held.id > 10**18][:many]


async def features() -> list[Counted]:
    """10,000 features: 100 of them to change, the same again, all of them to change, and 5 of them alone."""
    rows: list[Counted] = []
    async with Sandbox(limits=[], features=10_000) as sandbox:
        references = names(sandbox, Kind.FEATURE, 10_000)
        for reference in references[100:]:
            sandbox.account.set_links(Kind.FEATURE, reference, "customers", [ACME])
        replace = [{"id": reference, "links": {"customers": [ACME]}} for reference in references]
        rows.append(Counted("10,000 features, 100 to change", 20_000, 153, await count(sandbox, replace)))
        rows.append(Counted("the same again", 20_000, 53, await count(sandbox, replace)))
        add = [{"id": reference, "links": {"customers": [ZANE]}, "mode": "add"} for reference in references]
        rows.append(Counted("10,000 features, `add`, all to change", 20_000, 10_053, await count(sandbox, add)))
        rows.append(Counted("the same again", 20_000, 53, await count(sandbox, add)))
        few = [{"id": reference, "links": {"customers": []}} for reference in references[::2_000]]
        rows.append(Counted("5 features out of 10,000", 10, 11, await count(sandbox, few)))
    return rows


async def releases() -> list[Counted]:
    """3,000 releases of 3 products, 30 to change."""
    async with Sandbox(limits=[], releases=3_000) as sandbox:
        references = names(sandbox, Kind.RELEASE, 3_000)
        for reference in references[30:]:
            sandbox.account.set_links(Kind.RELEASE, reference, "customers", [ACME])
        jobs = [{"id": reference, "links": {"customers": [ACME]}} for reference in references]
        return [Counted("3,000 releases of 3 products, 30 to change", 6_000, 15 + 30 + 3, await count(sandbox, jobs))]


async def measure() -> list[Counted]:
    """All rows."""
    return [*await features(), *await releases()]


def main() -> None:
    """Print the table; exit 1 where a count is over its bound."""
    rows = asyncio.run(measure())
    print("| work | a script, read and write | linker, at most | linker, counted |")
    print("| --- | --- | --- | --- |")
    for row in rows:
        print(f"| {row.work} | {row.by_script:,} | {row.at_most:,} | {row.counted:,} |")
    sys.exit(any(row.counted > row.at_most for row in rows))


if __name__ == "__main__":
    main()
