"""`make budget`: where the time of a request goes, in microseconds by stage, beside a bare aiohttp loop.

    python benchmarks/budget.py [--pairs 5] [--answer-bytes 300]

linker and the bare loop run in turn. A run of linker without observation gives the CPU time; a run that is interrupted
every half a millisecond gives the parts, by the innermost frame of linker's own: what it calls counts for it.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from collections import Counter

from bench import run_peer
from rich.console import Console
from rich.table import Table
from server import fast
from stages import STAGES

TARGETS = 12_000


async def measured(pairs: int, answer_bytes: int) -> tuple[float, float, dict[str, float]]:
    """CPU time of a request in microseconds: of the bare loop, of linker, and of linker's stages."""
    bare: list[float] = []
    ours: list[float] = []
    samples: Counter[str] = Counter()
    with fast(answer_bytes) as url:
        for _ in range(pairs):
            for peer, each in (("bare aiohttp", bare), ("linker", ours)):
                took = await run_peer(peer, url, TARGETS, "--no-limit")
                each.append(1e6 * took["cpu_s"] / TARGETS)
            samples.update(await run_peer("linker", url, TARGETS, "--no-limit", "--stages"))
    total = statistics.median(ours)
    return statistics.median(bare), total, {name: total * samples[name] / samples.total() for name in STAGES}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--answer-bytes", type=int, default=300)
    given = parser.parse_args()
    bare, total, by_stage = asyncio.run(measured(given.pairs, given.answer_bytes))
    table = Table(title=f"CPU of a request, answers of {given.answer_bytes:,} bytes")
    table.add_column("stage")
    for heading in ("µs", "÷ bare loop"):
        table.add_column(heading, justify="right")
    for name, us in by_stage.items():
        table.add_row(name, f"{us:.0f}", f"{us / bare:.2f}")
    table.add_section()
    table.add_row("linker", f"{total:.0f}", f"{total / bare:.2f}")
    table.add_row("bare aiohttp loop", f"{bare:.0f}", "1.00")
    Console(width=80).print(table)


if __name__ == "__main__":
    main()
