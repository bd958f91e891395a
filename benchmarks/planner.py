"""Measures batch and reader alone: 1,000,000 jobs on 200,000 targets, read from a stand-in that answers from memory.

    python benchmarks/planner.py [--jobs 1000000] [--targets 200000] [--profile] [--memory] [--rows 100000]

There are no sockets and no server. All times are CPU time. `--profile` and `--memory` show where time and memory go;
both slow the run down. Afterwards one page of a list is parsed, and files of so many `--rows` are read into a batch.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import itertools
import pstats
import resource
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from linker.api.answers import Answer, HttpAnswer, Listed, Page, understand_page
from linker.api.lists import PAGE_SIZE, PageRequest
from linker.api.requests import Request
from linker.api.visibility import Endpoint, Visibility
from linker.batch.batch import Batch
from linker.model.job import LinkJob, Mode
from linker.model.target import Kind
from linker.pipeline.intake import Intake
from linker.pipeline.reader import StateReader
from linker.pipeline.workqueue import WorkQueue
from linker.records.preflight import Preflight
from linker.retry.verdict import GiveUp
from linker.settings import Settings
from linker.sources.files import JobFile
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


def page_s() -> float:
    """Seconds to parse one page of 200 targets with a link each; the least of 50 times."""
    items = [
        {
            "id": str(10_000_000 + number),
            "reference_num": f"PRJ1-{number}",
            "custom_object_links": [{"key": "customers", "record_ids": [int(RECORDS[number])]}],
        }
        for number in range(PAGE_SIZE)
    ]
    body = orjson.dumps({"features": items, "pagination": {"total_pages": 1_000, "current_page": 1}})
    reply = HttpAnswer(200, {}, body, 0.0)
    times: list[float] = []
    for _ in range(50):
        started = time.process_time()
        understand_page(reply, Kind.FEATURE)
        times.append(time.process_time() - started)
    return min(times)


def file_s(rows: int, suffix: str) -> float:
    """Seconds to read a file of so many rows into a batch, five rows a target."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"links{suffix}"
        with path.open("w") as file:
            if suffix == ".csv":
                file.write("id,field,record_ids,key\n")
            for number in range(rows):
                id, record = f"PRJ1-{number // 5 + 1}", RECORDS[number % 5]
                if suffix == ".csv":
                    file.write(f"{id},customers,{record},crm-{number}\n")
                else:
                    file.write(f'{{"id": "{id}", "links": {{"customers": ["{record}"]}}, "key": "crm-{number}"}}\n')
        started = time.process_time()
        asyncio.run(read(path))
        return time.process_time() - started


async def read(path: Path) -> None:
    """Read a file into a batch. It gives ids, so that nothing is asked of the account."""

    async def refuse(_: object) -> Answer | GiveUp:
        raise AssertionError("nothing is to be read")

    settings = Settings(base_url="https://company.aha.io", preflight=False)
    intake = Intake(settings, [JobFile(path)], Batch(Mode.REPLACE), Preflight(settings, refuse))
    async for rejected in intake.read():
        assert not rejected, rejected[0]


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
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the files that are read")
    arguments = parser.parse_args()
    jobs, targets = arguments.jobs, arguments.targets
    if arguments.memory:
        tracemalloc.start()
    start_mib, started = rss_mib(), time.process_time()
    with profiled(arguments.profile, "batch"):
        batch = filled(jobs, targets)
        batch_s = time.process_time() - started
    batch_mib = rss_mib()
    if arguments.memory:
        print_memory(jobs)
        tracemalloc.reset_peak()
    gc.freeze()  # as the command does once the batch is read
    started = time.process_time()
    with profiled(arguments.profile, "plan"):
        requests, to_write = asyncio.run(planned(batch, targets))
        plan_s = time.process_time() - started
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{jobs:,} jobs on {targets:,} targets: {requests:,} pages, {to_write:,} to write")
    print(f"  batch: {batch_s:.1f} s, {batch_s / jobs * 1e6:.1f} µs a job")
    print(f"  plan: {plan_s:.1f} s, {plan_s / targets * 1e6:.1f} µs a target")
    print(f"  memory: {start_mib:.0f} MiB at the start, {batch_mib:.0f} with the batch, {peak_mib:.0f} at most")
    kept, most = ((mib - start_mib) * 2**20 / jobs for mib in (batch_mib, peak_mib))
    print(f"  a job: {kept:.0f} bytes in the batch, {most:.0f} at most")
    if arguments.memory:
        print(f"  by tracemalloc while planning: {tracemalloc.get_traced_memory()[1] / 2**20:.0f} MiB at most")
        tracemalloc.stop()
    print(f"a page of {PAGE_SIZE} targets: {page_s() * 1e3:.2f} ms")
    for suffix in (".jsonl", ".csv"):
        print(
            f"a row of a {suffix} file, into the batch: {file_s(arguments.rows, suffix) / arguments.rows * 1e6:.1f} µs"
        )


if __name__ == "__main__":
    main()
