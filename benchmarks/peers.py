"""The same work done by linker and by what people write instead: each peer is one function, run in its own process.

    python benchmarks/peers.py PEER URL TARGETS [--no-limit] [--uvloop | --asyncio] [--stages]

A peer links record 640362830 to the features PRJ1-1 to PRJ1-TARGETS with one PUT each, within 60/12s and 20/1s or
without a limit, and repeats requests that got a 429. It prints its time and memory as JSON, or with --stages how often
a timer has found linker in each of its stages.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
from stages import sampled

from linker.cli.drive import run_in_loop

RECORD = "640362830"
LIMITS = ((60, 12.0), (20, 1.0))
CONNECTIONS = 40
TOKEN = "sandbox-benchmark-token"
BODY = orjson.dumps({"feature": {"custom_object_links": {"customers": [RECORD]}}})
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}


def paths(targets: int) -> list[str]:
    """The paths of all features to write."""
    return [f"/api/v1/features/PRJ1-{number}" for number in range(1, targets + 1)]


async def linker(url: str, targets: int, *, limited: bool) -> None:
    """This project, from a job file to a results file, with its rate limiter and its retries."""
    from linker import Linker

    rates = tuple(f"{requests}/{seconds:g}s" for requests, seconds in LIMITS) if limited else ("1000000/1s",)
    with tempfile.TemporaryDirectory() as folder:
        jobs = Path(folder, "links.jsonl")
        lines = (f'{{"id":"PRJ1-{number}","links":{{"customers":["{RECORD}"]}}}}\n' for number in range(1, targets + 1))
        jobs.write_text("".join(lines))  # noqa: ASYNC240  before the clock starts
        options: dict[str, Any] = {"concurrency": CONNECTIONS, "blind": True, "state_dir": None}
        options["durability"] = "flush"  # the others keep nothing at all
        async with Linker(url=url, token=TOKEN, rate=rates, preflight=False, **options) as aha:
            run = aha.run(jobs, results=Path(folder, "links.results.jsonl"))
            async for _ in run:
                pass
        if run.summary.linked != targets:
            raise SystemExit(f"{run.summary}")


async def aiolimiters(url: str, targets: int, *, limited: bool) -> None:
    """The naive limiter: one aiolimiter per rate; each task sleeps through the Retry-After that it got."""
    import aiohttp
    from aiolimiter import AsyncLimiter

    minute, second = (AsyncLimiter(requests, seconds) for requests, seconds in LIMITS)
    left = iter(paths(targets))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS), headers=HEADERS) as session:

        async def put(path: str) -> None:
            while True:
                if limited:
                    await minute.acquire()
                    await second.acquire()
                async with session.put(url + path, data=BODY) as response:
                    await response.read()
                    if response.status == 200:
                        return
                    await asyncio.sleep(float(response.headers.get("Retry-After", 1)))

        async def worker() -> None:
            for path in left:
                await put(path)

        await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))


async def aiometer(url: str, targets: int, *, limited: bool) -> None:
    """aiometer and httpx: the slowest rate as an even pace."""
    import aiometer as meter
    import httpx

    requests, seconds = LIMITS[0]
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    async with httpx.AsyncClient(headers=HEADERS, limits=limits, timeout=30) as client:

        async def put(path: str) -> None:
            while True:
                response = await client.put(url + path, content=BODY)
                if response.status_code == 200:
                    return
                await asyncio.sleep(float(response.headers.get("Retry-After", 1)))

        await meter.run_on_each(
            put,
            paths(targets),
            max_at_once=CONNECTIONS,
            max_per_second=requests / seconds if limited else None,
        )


async def stamina(url: str, targets: int, *, limited: bool) -> None:
    """A stamina retry loop over a pool of connections: no limiter, only reactions to 429s."""
    import aiohttp
    import stamina as retrying

    del limited
    left = iter(paths(targets))
    retrying.instrumentation.set_on_retry_hooks([])
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS), headers=HEADERS) as session:

        async def put(path: str) -> None:
            async for attempt in retrying.retry_context(
                on=aiohttp.ClientResponseError, attempts=None, timeout=None, wait_initial=0.5, wait_max=12.0
            ):
                with attempt:
                    async with session.put(url + path, data=BODY, raise_for_status=True) as response:
                        await response.read()

        async def worker() -> None:
            for path in left:
                await put(path)

        await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))


async def bare(url: str, targets: int, *, limited: bool) -> None:
    """Only aiohttp: no limit, no retries, no results."""
    import aiohttp

    del limited
    left = iter(range(1, targets + 1))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS), headers=HEADERS) as session:

        async def worker() -> None:
            for number in left:
                body = orjson.dumps({"feature": {"custom_object_links": {"customers": [RECORD]}}})
                async with session.put(f"{url}/api/v1/features/PRJ1-{number}", data=body) as response:
                    await response.read()

        await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))


PEERS: dict[str, tuple[Callable[..., Awaitable[None]], tuple[str, ...]]] = {
    "linker": (linker, ("linker.client.linker",)),
    "two aiolimiters by hand": (aiolimiters, ("aiohttp", "aiolimiter")),
    "aiometer + httpx": (aiometer, ("aiometer", "httpx")),
    "stamina": (stamina, ("aiohttp", "stamina")),
    "bare aiohttp": (bare, ("aiohttp",)),
}
"""Each peer, and what it imports: before the clock starts."""


def main() -> None:
    """Run one peer once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("url")
    parser.add_argument("targets", type=int)
    parser.add_argument("--no-limit", action="store_true")
    loop = parser.add_mutually_exclusive_group()
    loop.add_argument("--uvloop", action="store_true", help="the default, as in the command")
    loop.add_argument("--asyncio", action="store_true", help="on asyncio's own event loop")
    parser.add_argument("--stages", action="store_true")
    given = parser.parse_args()
    peer, modules = PEERS[given.peer]
    for module in modules:
        importlib.import_module(module)

    async def timed() -> dict[str, float]:
        before = resource.getrusage(resource.RUSAGE_SELF)
        started = time.perf_counter()
        await peer(given.url, given.targets, limited=not given.no_limit)
        seconds = time.perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        rss = after.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return {"seconds": seconds, "cpu_s": cpu_s, "memory_mib": rss / 2**20}

    run = asyncio.run if given.asyncio else run_in_loop
    measured: dict[str, Any]
    if given.stages:
        with sampled() as measured:
            run(timed())
    else:
        measured = run(timed())
    sys.stdout.buffer.write(orjson.dumps(measured))


if __name__ == "__main__":
    main()
