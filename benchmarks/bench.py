"""`make bench`: compares linker with what people write instead, with and without a rate limit; tables, JSON and plots.

    python benchmarks/bench.py [--pairs 5] [--results benchmarks/results]
    python benchmarks/bench.py --profile

It gives ratios, never absolute claims: each result is compared with a bound or with a peer in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
from peers import LIMITS
from rich.console import Console
from rich.table import Table
from server import Seen, fast, limited

WINDOWS = ("sliding", "fixed", "bucket")
AT_A_LIMIT = ("linker", "two aiolimiters by hand", "aiometer + httpx", "stamina")
TARGETS = 180
NO_LIMIT_TARGETS = {"linker": 10_000, "bare aiohttp": 10_000, "aiometer + httpx": 2_000}


def strict_bound_s(requests: int) -> float:
    """The earliest time, in seconds, at which the last of so many requests can leave within a sliding window."""
    at: list[float] = []
    for number in range(requests):
        at.append(max((at[number - most] + seconds for most, seconds in LIMITS if number >= most), default=0.0))
    return at[-1]


async def run_peer(peer: str, url: str, targets: int, *options: str) -> dict[str, Any]:
    """Run a peer in a process of its own and return what it measured."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("peers.py")),
        peer,
        url,
        str(targets),
        *options,
        stdout=asyncio.subprocess.PIPE,
    )
    stdout, _ = await process.communicate()
    if process.returncode != 0:
        raise SystemExit(f"{peer} failed")
    took: dict[str, Any] = orjson.loads(stdout)
    return took


async def at_a_limit() -> list[dict[str, Any]]:
    """Run all peers at the same time, each on its own sandbox, for one window after the other: they mostly wait."""
    rows: list[dict[str, Any]] = []
    bound_s = strict_bound_s(TARGETS)
    for window in WINDOWS:
        with limited(len(AT_A_LIMIT), LIMITS, window, TARGETS) as account:
            took = await asyncio.gather(
                *(run_peer(peer, url, TARGETS) for peer, url in zip(AT_A_LIMIT, account.urls, strict=True))
            )
            for peer, each, seen in zip(AT_A_LIMIT, took, account.seen(), strict=True):
                rows.append(_row(window, peer, each, seen, bound_s))
    return rows


def _row(window: str, peer: str, took: dict[str, Any], seen: Seen, bound_s: float) -> dict[str, Any]:
    requests = len(seen.arrivals)
    a_second = Counter(int(at) for at in seen.arrivals)
    return {
        "window": window,
        "peer": peer,
        "seconds": took["seconds"],
        "time_by_bound": took["seconds"] / bound_s,
        "refused": seen.refused,
        "requests": requests,
        "lost": TARGETS - seen.linked,
        "cpu_ms_a_request": 1000 * took["cpu_s"] / requests,
        "memory_mib": took["memory_mib"],
        "arrivals_a_second": [a_second[second] for second in range(max(a_second) + 1)],
    }


async def without_a_limit(pairs: int) -> dict[str, Any]:
    """Run linker, the bare loop and aiometer + httpx in turns; microseconds per request."""
    each_us: dict[str, list[float]] = {peer: [] for peer in NO_LIMIT_TARGETS}
    memory: dict[str, float] = {}
    with fast() as url:
        for _ in range(pairs):
            for peer, targets in NO_LIMIT_TARGETS.items():
                took = await run_peer(peer, url, targets, "--no-limit")
                each_us[peer].append(1e6 * took["seconds"] / targets)
                memory[peer] = took["memory_mib"]

    def ratio(peer: str) -> float:
        pairs_us = zip(each_us[peer], each_us["linker"], strict=True)
        return statistics.median(theirs / ours for theirs, ours in pairs_us)

    return {
        "microseconds_a_request": {peer: statistics.median(us) for peer, us in each_us.items()},
        "linker_by_bare_aiohttp": ratio("bare aiohttp"),
        "linker_by_aiometer_httpx": ratio("aiometer + httpx"),
        "memory_mib": memory,
    }


def show(rows: list[dict[str, Any]], no_limit: dict[str, Any]) -> None:
    """Print the tables of docs/explanation/rate-limits.md and benchmarks/README.md."""
    console = Console(width=110)
    table = Table(title=f"{TARGETS} PUTs, 60/12s and 20/1s, 20 to 220 ms of latency")
    for heading in ("window", "", "time ÷ bound", "429s", "requests", "lost", "CPU ms a request", "MiB"):
        table.add_column(heading, justify="left" if heading in ("window", "") else "right")
    for row in rows:
        table.add_row(
            row["window"],
            row["peer"],
            f"{row['time_by_bound']:.3f}",
            str(row["refused"]),
            str(row["requests"]),
            str(row["lost"]),
            f"{row['cpu_ms_a_request']:.2f}",
            f"{row['memory_mib']:.0f}",
            end_section=row["peer"] == AT_A_LIMIT[-1],
        )
    console.print(table)
    table = Table(title="Without a limit: one link a body, 300-byte answers")
    for heading in ("", "µs a request", "MiB"):
        table.add_column(heading, justify="right" if heading else "left")
    for peer, us in no_limit["microseconds_a_request"].items():
        table.add_row(peer, f"{us:.0f}", f"{no_limit['memory_mib'][peer]:.0f}")
    console.print(table)
    console.print(
        "linker's throughput, results written, rate limiter and retry on: "
        f"{no_limit['linker_by_bare_aiohttp']:.2f} × the bare aiohttp + uvloop loop's, "
        f"{no_limit['linker_by_aiometer_httpx']:.1f} × aiometer + httpx's"
    )


async def profile() -> None:
    """Print function calls per request without a limit, by file, for linker and for the bare loop."""
    peers = ("bare aiohttp", "linker")
    with fast() as url:
        counted = [await run_peer(peer, url, NO_LIMIT_TARGETS[peer], "--no-limit", "--profile") for peer in peers]
    table = Table("calls a request", *peers)
    for part in ["all", *sorted(counted[1], key=lambda part: -counted[1][part])]:
        calls = [
            (sum(each.values()) if part == "all" else each.get(part, 0)) / NO_LIMIT_TARGETS[peer]
            for peer, each in zip(peers, counted, strict=True)
        ]
        if max(calls) >= 1:
            table.add_row(part, *(f"{each:.0f}" for each in calls))
    Console(width=110).print(table)


def main() -> None:
    """Measure, print and save the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("results"))
    parser.add_argument("--profile", action="store_true", help="only count what a request calls")
    given = parser.parse_args()
    if given.profile:
        asyncio.run(profile())
        return
    rows = asyncio.run(at_a_limit())
    no_limit = asyncio.run(without_a_limit(given.pairs))
    show(rows, no_limit)
    given.results.mkdir(exist_ok=True)
    measured = {"bound_s": strict_bound_s(TARGETS), "at_a_limit": rows, "without_a_limit": no_limit}
    (given.results / "bench.json").write_bytes(orjson.dumps(measured, option=orjson.OPT_INDENT_2))
    from plots import draw

    draw(measured, given.results)


if __name__ == "__main__":
    main()
