"""Measures what names cost: reads a table of 100,000 records from a sandbox and looks up names in it.

    python benchmarks/names.py --records 100000

The sandbox runs in a process of its own, without a rate limit. Printed are the memory of the table, the time to find
a name, and the time to find the nearest names to one that is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import subprocess
import sys
import time
import tracemalloc

from linker.api.lists import Listing
from linker.model.target import Kind
from linker.ratelimit.limiter import RateLimiter
from linker.records.index import RecordIndex
from linker.records.table import read_table
from linker.retry.sender import Sender
from linker.sandbox.seed import seeded_account
from linker.sessions.pool import SessionPool
from linker.sessions.token import Token
from linker.settings import Settings

TABLE = (Listing(Kind.CUSTOM_OBJECT_RECORD, "PRJ1", "customers"),)


async def read(url: str, *, traced: bool) -> tuple[RecordIndex, int, float]:
    """Read the table: the index, the number of requests, and its MB if traced or else the seconds."""
    settings = Settings(base_url=url, rate=(), state_dir=None)
    limiter = RateLimiter.of(settings)
    async with SessionPool(settings, Token("sandbox"), limiter, asyncio.Event()) as pool:
        begun = time.perf_counter()
        if traced:
            tracemalloc.start()
        records = await read_table(Sender(settings, pool, limiter).fetch, TABLE, "name", why="by the benchmark")
        if traced:
            held = tracemalloc.get_traced_memory()[0] / 1e6
            tracemalloc.stop()
            return records, pool.requests, held
        return records, pool.requests, time.perf_counter() - begun


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Read a large custom table, and look names up in it.")
    parser.add_argument("--records", type=int, default=100_000)
    count = parser.parse_args().records
    command = (sys.executable, "-m", "linker", "sandbox", "--port", "0", "--no-limit", "--records", str(count))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = next(word for word in server.stdout.readline().split() if word.startswith("http")).rstrip(",;")
            records, requests, seconds = asyncio.run(read(url, traced=False))
            _, _, megabytes = asyncio.run(read(url, traced=True))
        finally:
            server.terminate()
    held = seeded_account(count).listed(Kind.CUSTOM_OBJECT_RECORD)
    names = random.Random(1).choices([each.name for each in held if each.table == "customers"], k=10_000)
    begun = time.perf_counter()
    assert all(records.ids(name.upper()) for name in names)
    each = (time.perf_counter() - begun) / len(names)
    begun = time.perf_counter()
    for name in names[:20]:
        assert records.nearest(name[:-2] + name[-1:])
    near = (time.perf_counter() - begun) / 20
    print(f"{len(records):,} records in {requests:,} requests and {seconds:.1f} s; they hold {megabytes:.1f} MB")
    print(f"a name that is there: {each * 1e6:.1f} µs; the nearest to one that is not: {near * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
