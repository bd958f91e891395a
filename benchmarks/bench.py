"""`make bench`: compares linker with what people write instead, with and without a rate limit; tables, JSON and plots.

    python benchmarks/bench.py [--pairs 5] [--no-limit] [--results benchmarks/results]

It gives ratios, never absolute claims: each result is compared with a bound or with a peer in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
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
NO_LIMIT_TARGETS = {"linker": 12_000, "bare aiohttp": 12_000, "aiometer + httpx": 2_000}
ANSWERS = (300, 6_000)
"""Bytes of an answer without a limit."""


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


async def without_a_limit(pairs: int) -> list[dict[str, Any]]:
    """Run linker and its peers in turns, with small and large answers, on uvloop and on asyncio's own loop."""
    rows: list[dict[str, Any]] = []
    for answer_bytes in ANSWERS:
        for loop in ("uvloop", "asyncio"):
            peers = [peer for peer in NO_LIMIT_TARGETS if peer != "aiometer + httpx" or (answer_bytes, loop) == _HTTPX]
            rows.append(await _in_turns(peers, pairs, answer_bytes, loop))
    return rows


_HTTPX = (ANSWERS[0], "uvloop")
"""The one case that aiometer + httpx runs, too: it takes as long as all others together."""


async def _in_turns(peers: Sequence[str], pairs: int, answer_bytes: int, loop: str) -> dict[str, Any]:
    """Microseconds a request of each peer, and linker's throughput by each other's: medians of runs in turn."""
    each_us: dict[str, list[float]] = {peer: [] for peer in peers}
    memory: dict[str, float] = {}
    with fast(answer_bytes) as url:
        for _ in range(pairs):
            for peer in peers:
                took = await run_peer(peer, url, NO_LIMIT_TARGETS[peer], "--no-limit", f"--{loop}")
                each_us[peer].append(1e6 * took["seconds"] / NO_LIMIT_TARGETS[peer])
                memory[peer] = took["memory_mib"]
    ratios = {
        peer: statistics.median(theirs / ours for theirs, ours in zip(each_us[peer], each_us["linker"], strict=True))
        for peer in peers
    }
    return {
        "answer_bytes": answer_bytes,
        "loop": loop,
        "microseconds_a_request": {peer: statistics.median(us) for peer, us in each_us.items()},
        "throughput_of_linker_by": ratios,
        "memory_mib": memory,
    }


def show(rows: list[dict[str, Any]], no_limit: list[dict[str, Any]]) -> None:
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
    table = Table(title="Without a limit: one link a body")
    for heading in ("answer", "loop", "", "µs a request", "MiB", "linker's throughput ÷"):
        table.add_column(heading, justify="left" if heading in ("loop", "") else "right")
    for case in no_limit:
        for peer, us in case["microseconds_a_request"].items():
            memory, ratio = case["memory_mib"][peer], case["throughput_of_linker_by"][peer]
            answer = f"{case['answer_bytes']:,} B"
            table.add_row(answer, case["loop"], peer, f"{us:.0f}", f"{memory:.0f}", f"{ratio:.2f}")
        table.add_section()
    console.print(table)


def main() -> None:
    """Measure, print and save the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("results"))
    parser.add_argument("--no-limit", action="store_true", help="only what has no limit; nothing is saved")
    given = parser.parse_args()
    if given.no_limit:
        show([], asyncio.run(without_a_limit(given.pairs)))
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
