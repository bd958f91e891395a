"""Counts the requests of a batch, compared with a script that reads and writes each target: exact on any machine.

    python benchmarks/request_counts.py

Each row runs on a sandbox of its own, in this process and without a rate limit; then the same batch runs again. The
sandbox counts. The command exits with 1 if a count is over its bound, or the account does not hold what was asked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from linker import Linker, LinkJob
from linker.cli.drive import run_in_loop
from linker.model.target import Kind
from linker.sandbox import Account, Resource, Sandbox

SCRIPT = 2  # requests a target: read it, write it
FIELD = "customers"


@dataclass(frozen=True)
class Row:
    """One batch on one account: its content, how much of it is to change, and its bounds."""

    work: str
    batch: Callable[[Account, list[str]], list[LinkJob]]
    to_change: int
    at_most: int
    features: int = 0
    releases: int = 0
    linked: float = 0.5
    """Share of the targets that hold links before."""


@dataclass(frozen=True)
class Count:
    """Requests, as the sandbox counted them."""

    lists: int
    reads: int
    writes: int

    @property
    def total(self) -> int:
        """All requests."""
        return self.lists + self.reads + self.writes

    def __str__(self) -> str:
        named = ((self.lists, "list"), (self.reads, "GET"), (self.writes, "PUT"))
        parts = [f"{count:,} {name}{'s' if count > 1 else ''}" for count, name in named if count]
        return f"{self.total:,} = {' + '.join(parts)}"

    def __sub__(self, other: Count) -> Count:
        return Count(self.lists - other.lists, self.reads - other.reads, self.writes - other.writes)


def held(resource: Resource) -> list[str]:
    """The links of a resource."""
    return [str(id) for id in resource.links.get(FIELD, ())]


def some_to_change(kind: Kind, count: int) -> Callable[[Account, list[str]], list[LinkJob]]:
    """A `replace` job for each target of a kind; `count` of them, evenly spread, change its list."""

    def batch(account: Account, customers: list[str]) -> list[LinkJob]:
        targets = account.listed(kind)
        every = len(targets) // count
        jobs = []
        for number, target in enumerate(targets):
            ids = held(target)
            if number % every == every - 1:
                ids = [next(id for id in customers if id not in ids)]
            jobs.append(LinkJob(target.reference, {FIELD: ids}))
        return jobs

    return batch


def add_to_all(account: Account, customers: list[str]) -> list[LinkJob]:
    """An `add` job for every feature."""
    return [
        LinkJob(target.reference, {FIELD: [next(id for id in customers if id not in held(target))]}, mode="add")
        for target in account.listed(Kind.FEATURE)
    ]


def five(account: Account, customers: list[str]) -> list[LinkJob]:
    """Five features, each on a different page of the list, none on the first."""
    targets = account.listed(Kind.FEATURE)[1_999::2_000]
    return [LinkJob(target.reference, {FIELD: [customers[-1]]}) for target in targets]


# the sandbox has eight features of its own; the releases are left to those made here
ROWS = (
    Row("10,000 features, 100 to change", some_to_change(Kind.FEATURE, 100), 100, 157, features=9_992),
    Row("10,000 features, `add`, all to change", add_to_all, 10_000, 10_057, features=9_992),
    Row("10,000 features, `add`, the first links", add_to_all, 10_000, 10_060, features=9_992, linked=0.0),
    Row("1,005 features, `add`, 5 % linked before", add_to_all, 1_005, 1_018, features=997, linked=0.05),
    Row("5 features out of 10,000", five, 5, 15, features=9_992),
    Row("3,000 releases of 3 products, 30 to change", some_to_change(Kind.RELEASE, 30), 30, 48, releases=3_000),
)


async def measure(row: Row) -> tuple[int, Count, Count, list[str]]:
    """Run a row twice: its number of jobs, the requests of both runs, and what is wrong."""
    options: dict[str, Any] = {"linked": row.linked, "features": row.features, "releases": row.releases}
    async with Sandbox(limits=[], records=100, **options) as sandbox:
        account = sandbox.account
        if row.releases:
            for release in list(account.listed(Kind.RELEASE))[: -row.releases]:
                account.remove(Kind.RELEASE, str(release.id))
        customers = [str(each.id) for each in account.listed(Kind.CUSTOM_OBJECT_RECORD) if each.table == FIELD]
        jobs = row.batch(account, customers)
        wrong = []
        async with Linker(url=sandbox.url, token="sandbox", rate=[], preflight=False) as aha:
            linked, unchanged = await run(aha, jobs)
            first = counted(sandbox)
            if (linked, unchanged) != (row.to_change, len(jobs) - row.to_change) or not all(
                holds(account, job) for job in jobs
            ):
                wrong.append(f"{row.work}: {linked:,} linked, {unchanged:,} unchanged, or other links are there")
            linked, unchanged = await run(aha, jobs)
            second = counted(sandbox) - first
            if unchanged != len(jobs):
                wrong.append(f"{row.work}, run again: {linked:,} linked, {unchanged:,} unchanged")
    for name, count, most in (
        (row.work, first, row.at_most),
        (f"{row.work}, run again", second, first.lists + first.reads),
    ):
        if count.total > most:
            wrong.append(f"{name}: {count.total:,} requests, over {most:,}")
    return len(jobs), first, second, wrong


async def run(aha: Linker, jobs: Sequence[LinkJob]) -> tuple[int, int]:
    """Run a batch; return how many jobs were linked and how many unchanged."""
    run = aha.run(jobs)
    async for _ in run:
        pass
    return run.summary.linked, run.summary.unchanged


def counted(sandbox: Sandbox) -> Count:
    """The requests that a sandbox has counted; there must be no others."""
    stats = sandbox.stats
    count = Count(stats.lists.total(), stats.reads.total(), stats.writes.total())
    assert count.total == stats.requests, stats
    return count


def holds(account: Account, job: LinkJob) -> bool:
    """Whether the account itself holds what a job asks."""
    target = account.find(job.target.kind, job.target.id)
    assert target is not None
    ids = set(held(target))
    return ids >= set(job.links[FIELD]) if job.mode == "add" else ids == set(job.links[FIELD])


async def measure_all() -> list[str]:
    """Print the table; return what is wrong in it."""
    print("| work | a script today | linker, at most | linker, counted |")
    print("| --- | ---: | ---: | --- |")
    wrong: list[str] = []
    for row in ROWS:
        jobs, first, second, mistakes = await measure(row)
        print(f"| {row.work} | {SCRIPT * jobs:,} | {row.at_most:,} | {first} |")
        print(f"| … run again | {SCRIPT * jobs:,} | {first.lists + first.reads:,}, the reads alone | {second} |")
        wrong += mistakes
    return wrong


def main() -> None:
    """Measure; exit with 1 if a count is over its bound."""
    wrong = run_in_loop(measure_all())
    for mistake in wrong:
        print(mistake, file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
