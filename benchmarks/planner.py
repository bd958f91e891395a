"""Measures batch and reader alone: 1,000,000 jobs on 200,000 targets, read from a stand-in that answers from memory.

    python benchmarks/planner.py [--jobs 1000000] [--targets 200000] [--profile] [--memory]

There are no sockets and no server. `--profile` and `--memory` show where time and memory go; both slow the run down.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import itertools
import pstats
import resource
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from linker.api.answers import Answer, Listed, Page
from linker.api.lists import PAGE_SIZE, PageRequest
from linker.api.requests import Request
from linker.api.visibility import Endpoint, Visibility
from linker.batch.batch import Batch
from linker.model.job import LinkJob, Mode
from linker.model.target import Kind
from linker.pipeline.reader import StateReader
from linker.pipeline.workqueue import WorkQueue
from linker.retry.verdict import GiveUp
from linker.work.work import Work

RECORDS = [str(7_036_045_937_940_797_544 + number * 1_000_003) for number in range(1_000)]


def rss_mib() -> float:
    """The memory of this process now, in MiB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def filled(jobs: int, targets: int) -> Batch:
    """A batch of so many jobs, one new link each."""
    batch = Batch(Mode.REPLACE)
    for number in range(jobs):
        links = {"customers": [RECORDS[number // targets % len(RECORDS)]]}
        job = LinkJob(f"PRJ1-{number % targets + 1}", links, key=f"crm-{number}")
        batch.add(number, "jobs.jsonl", number + 1, job)
    return batch


async def planned(batch: Batch, targets: int) -> tuple[int, int]:
    """Plan the whole batch; return the number of requests and of targets to write."""
    requests = 0
    pages = -(-targets // PAGE_SIZE)
    held = {"customers": frozenset(RECORDS[:1])}

    async def fetch(request: Request | PageRequest) -> Answer | GiveUp:
        nonlocal requests
        requests += 1
        assert isinstance(request, PageRequest)
        first = (request.number - 1) * PAGE_SIZE + 1
        numbers = range(first, min(first + PAGE_SIZE, targets + 1))
        items = tuple(Listed(str(10_000_000 + number), f"PRJ1-{number}", held) for number in numbers)
        return Answer(200, page=Page(items, pages))

    queue: WorkQueue[Work] = WorkQueue(1_000)
    changes = itertools.count()
    visibility = Visibility()
    to_write = 0
    async with asyncio.TaskGroup() as owner:
        async for group in StateReader(batch, fetch, queue, owner, visibility).snapshots():
            for snapshot in group:
                assert snapshot.desired is not None
                assert snapshot.item is not None
                work = Work(snapshot.desired, visibility, max_age_s=60.0, number_change=changes.__next__)
                work.observe(visibility.observe(Kind.FEATURE, Endpoint.LIST, snapshot.item), 0.0, 0.0)
                to_write += work.step is not None
    return requests, to_write


@contextmanager
def profiled(wanted: bool, what: str) -> Iterator[None]:
    """Profile a block and print where the time went."""
    if not wanted:
        yield
        return
    with cProfile.Profile() as profile:
        yield
    print(f"\n{what}, by cProfile:")
    pstats.Stats(profile).strip_dirs().sort_stats("tottime").print_stats(14)


def print_memory(jobs: int) -> None:
    """Print the memory allocated now by file, and the peak."""
    now, most = tracemalloc.get_traced_memory()
    print(
        f"\nwhat the batch keeps, by tracemalloc: {now / jobs:.0f} bytes a job, {most / 2**20:.0f} MiB at most so far"
    )
    for statistic in tracemalloc.take_snapshot().statistics("filename")[:6]:
        path = Path(statistic.traceback[0].filename)
        print(
            f"  {statistic.size / jobs:6.1f} bytes a job in {statistic.count:9,} blocks  {path.parent.name}/{path.name}"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--targets", type=int, default=200_000)
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    parser.add_argument("--memory", action="store_true", help="print where the memory goes")
    arguments = parser.parse_args()
    jobs, targets = arguments.jobs, arguments.targets
    if arguments.memory:
        tracemalloc.start()
    start_mib, started = rss_mib(), time.perf_counter()
    with profiled(arguments.profile, "batch"):
        batch = filled(jobs, targets)
        batch_s = time.perf_counter() - started
    batch_mib = rss_mib()
    if arguments.memory:
        print_memory(jobs)
        tracemalloc.reset_peak()
    started = time.perf_counter()
    with profiled(arguments.profile, "plan"):
        requests, to_write = asyncio.run(planned(batch, targets))
        plan_s = time.perf_counter() - started
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{jobs:,} jobs on {targets:,} targets: {requests:,} pages, {to_write:,} to write")
    print(f"  batch: {batch_s:.1f} s, {batch_s / jobs * 1e6:.1f} µs a job")
    print(f"  plan: {plan_s:.1f} s, {plan_s / targets * 1e6:.1f} µs a target")
    print(f"  memory: {start_mib:.0f} MiB at the start, {batch_mib:.0f} with the batch, {peak_mib:.0f} at most")
    kept, most = ((mib - start_mib) * 2**20 / jobs for mib in (batch_mib, peak_mib))
    print(f"  a job: {kept:.0f} bytes in the batch, {most:.0f} at most")
    if arguments.memory:
        print(f"  by tracemalloc while planning: {tracemalloc.get_traced_memory()[1] / 2**20:.0f} MiB at most")


if __name__ == "__main__":
    main()
