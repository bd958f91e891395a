"""Runs 100,000 jobs on 10,000 targets without a rate limit: one PUT per target, never two at once, constant memory.

    python benchmarks/many_jobs.py [--jobs 100000] [--targets 10000]

The sandbox runs in a process of its own. Counts are exact; times are this machine's.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import multiprocessing.connection
import resource
import sys
import tempfile
import time
from pathlib import Path

import orjson

from linker import Linker
from linker.cli.drive import run_in_loop
from linker.model.target import Kind
from linker.sandbox import Sandbox


def serve(pipe: multiprocessing.connection.Connection, features: int, customers: int = 1000) -> None:
    """Serve until asked to stop, then send the counts."""

    async def main() -> None:
        async with Sandbox(limits=[], features=features, records=customers) as sandbox:
            pipe.send(
                (
                    sandbox.url,
                    [
                        str(record.id)
                        for record in sandbox.account.listed(Kind.CUSTOM_OBJECT_RECORD)
                        if record.table == "customers"
                    ],
                )
            )
            await asyncio.to_thread(pipe.recv)
            stats = sandbox.stats
            pipe.send((dict(stats.methods), stats.most_puts_at_once_on_a_target, stats.refused))

    run_in_loop(main())


def rss_mib() -> float:
    """The memory of this process now, in MiB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


async def measure(url: str, records: list[str], jobs: int, targets: int, folder: Path) -> None:
    """Run the batch and print time and memory."""
    source = folder / "jobs.jsonl"
    with source.open("wb") as file:
        for number in range(jobs):
            line = {
                "id": f"PRJ1-{number % targets + 6}",
                "links": {"customers": [records[number // targets * 7 % len(records)]]},
                "key": f"crm-{number}",
            }
            file.write(orjson.dumps(line) + b"\n")
    start_mib, started = rss_mib(), time.perf_counter()
    read_mib, read_s, most_mib = 0.0, 0.0, 0.0
    async with Linker(url=url, token="sandbox", rate=[], preflight=False) as aha:
        run = aha.run(source, folder / "jobs.results.jsonl")
        seen = 0
        async for _ in run:
            seen += 1
            if not read_mib and run.progress().read:
                read_mib, read_s = rss_mib(), time.perf_counter() - started
            if seen % 1000 == 0:
                most_mib = max(most_mib, rss_mib())
    took_s = time.perf_counter() - started
    print(f"{jobs:,} jobs on {targets:,} targets: {took_s:.1f} s, {run.summary.requests:,} requests")
    print(f"  read in {read_s:.1f} s; then {run.summary.requests / (took_s - read_s):,.0f} requests/s")
    print(f"  memory: {start_mib:.0f} MiB at the start, {read_mib:.0f} with the batch, {most_mib:.0f} at most")
    print(f"  a job in the batch: {(read_mib - start_mib) * 2**20 / jobs:.0f} bytes")
    statuses = {status: run.summary.count(status) for status in ("linked", "unchanged", "failed", "rejected")}
    print(f"  {statuses}, results {(folder / 'jobs.results.jsonl').stat().st_size / 2**20:.0f} MiB")


def main() -> None:
    """Start the sandbox, measure, and print its counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--targets", type=int, default=10_000)
    arguments = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs, arguments.targets), daemon=True)
    server.start()
    url, records = ours.recv()
    with tempfile.TemporaryDirectory() as folder:
        run_in_loop(measure(url, records, arguments.jobs, arguments.targets, Path(folder)))
    ours.send("stop")
    methods, most_puts, refused = ours.recv()
    print(f"  the sandbox counted {methods}, at most {most_puts} PUT at once on one target, {refused} refused")
    server.join(10)
    sys.exit(0 if most_puts == 1 and methods["PUT"] == arguments.targets else 1)


if __name__ == "__main__":
    main()
