"""Starts and kills one to eight linkers on one account at random: no 429, the whole limit used, none starved.

    python benchmarks/processes.py [--seconds 120] [--seed 1] [--window sliding]
    python benchmarks/processes.py --killed [--window sliding]

They are real processes, and a real sandbox counts, at 60/12s and 20/1s. The command exits with 1 if the sandbox refused
a request, if less than 95 % of its windows was used, or if a linker had less than half of its part over three windows.

With --killed, four linkers write 40 targets each at 20 to 220 ms of latency, and one of them is killed in the middle of
its requests and resumed at once. The time from the first request to the last is compared with the strict bound of as
many requests, which knows no latency. The command exits with 1 if a request was refused, if a target was not written,
or if it took more than 1.1 times the bound.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from bench import strict_bound_s

from linker.sandbox import Sandbox

LIMITS = [(60, 12.0), (20, 1.0)]
WINDOW_S = 12.0
MOST = 8
LINKERS, PART = 4, 40
KILLED_AFTER = 75
"""Requests: in the second window, while some of those of each linker are under way."""


async def start(url: str, token: str, jobs: Path, results: Path, state: Path, *more: str) -> asyncio.subprocess.Process:
    """Start a linker that has more to write than its life allows, without reading first."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "linker", "run", str(jobs), "--blind", "--no-progress", "--log-level", "error"),
        *("--results", str(results), "--rate", "60/12s", "--rate", "20/1s", "--url", url),
        *more,
        env={"AHA_TOKEN": token, "XDG_STATE_HOME": str(state), "PATH": ""},
        stdout=asyncio.subprocess.DEVNULL,
    )


async def measure(seconds: float, seed: int, window: str, folder: Path) -> bool:
    """Start and kill linkers for so many seconds; print what the sandbox counted."""
    chance = random.Random(seed)
    async with Sandbox(limits=LIMITS, window=window, latency_ms=20, jitter_ms=20, keep_requests=True) as sandbox:
        running: dict[int, asyncio.subprocess.Process] = {}
        lives: list[tuple[float, frozenset[int]]] = []
        started, count = time.monotonic(), 0
        while time.monotonic() < started + seconds:
            if len(running) < 2 or (len(running) < MOST and chance.random() < 0.55):
                count += 1
                jobs = folder / f"{count}.jsonl"
                # each linker's targets tell whose a request is
                jobs.write_text("".join(f'{{"id":"L{count}-{n}","links":{{"customers":[]}}}}\n' for n in range(1, 500)))
                running[count] = await start(
                    sandbox.url, sandbox.options.token, jobs, folder / f"{count}.results.jsonl", folder / "state"
                )
            else:
                number = chance.choice(sorted(running))
                running.pop(number).send_signal(signal.SIGKILL)
            lives.append((time.monotonic(), frozenset(running)))
            await asyncio.sleep(chance.choice([0.7, 2.0, 45.0]))
        lives.append((time.monotonic(), frozenset()))
        for process in running.values():
            process.kill()
            await process.wait()
    seen = sandbox.requests
    first, last = seen[0].at, lives[-1][0]
    used = len(seen) / (60 * ((last - first) / WINDOW_S + 1 - 1 / 12))
    worst = 1.0
    for (at, alive), (until, _) in pairwise(lives):
        begin = at + WINDOW_S + 1  # it has started, and what the others held is free
        while begin + 3 * WINDOW_S <= until:
            whose = [each.path.split("/L")[1].split("-")[0] for each in seen if begin <= each.at < begin + 3 * WINDOW_S]
            part = len(whose) / len(alive)
            worst = min([worst, *(whose.count(str(number)) / part for number in alive)])
            begin += 3.0
    print(f"{window}: {count} linkers, {len(seen)} requests in {last - first:.0f} s, refused {sandbox.stats.refused}")
    print(
        f"  used {100 * used:.1f} % of what the windows allow; "
        f"the least that a linker had over three of them: {100 * worst:.0f} % of its part"
    )
    return not sandbox.stats.refused and used >= 0.95 and worst >= 0.5


async def measure_killed(window: str, folder: Path) -> bool:
    """Kill one of four linkers, resume it, and print how long all of them took."""
    count = LINKERS * PART
    async with Sandbox(
        limits=LIMITS, window=window, latency_ms=120, jitter_ms=100, features=count, keep_requests=True
    ) as sandbox:

        async def started(number: int, *more: str) -> asyncio.subprocess.Process:
            jobs = folder / f"{number}.jsonl"
            targets = range((number - 1) * PART + 1, number * PART + 1)
            lines = (f'{{"id":"PRJ1-{target}","links":{{"customers":["640362830"]}}}}\n' for target in targets)
            jobs.write_text("".join(lines))
            results = folder / f"{number}.results.jsonl"
            return await start(
                sandbox.url, sandbox.options.token, jobs, results, folder / "state", "--no-preflight", *more
            )

        begun = time.monotonic()
        running = [await started(number) for number in range(1, LINKERS + 1)]
        while len(sandbox.requests) < KILLED_AFTER:  # noqa: ASYNC110  the sandbox tells nobody
            await asyncio.sleep(0.005)
        running[0].kill()
        killed_at = time.monotonic()
        await running[0].wait()
        running.append(await started(1, "--resume"))
        for process in running:
            await process.wait()
        all_s = time.monotonic() - begun
    seen = sorted(each.at for each in sandbox.requests)
    written = {each.path for each in sandbox.requests if each.status == 200}
    took_s, bound_s = seen[-1] - seen[0], strict_bound_s(len(seen))
    print(f"{window}: {len(seen)} requests in {took_s:.1f} s, bound {bound_s:.1f} s, ratio {took_s / bound_s:.3f}")
    print(f"  killed after {killed_at - begun:.1f} s; with start and end of the processes {all_s:.1f} s")
    print(f"  refused {sandbox.stats.refused}, targets written {len(written)} of {count}")
    return not sandbox.stats.refused and len(written) == count and took_s <= 1.1 * bound_s


def main() -> None:
    """Measure; exit with 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--window", default="sliding", choices=["sliding", "fixed", "bucket"])
    parser.add_argument("--killed", action="store_true", help="time four linkers of which one is killed")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measured = (
            measure_killed(given.window, folder)
            if given.killed
            else measure(given.seconds, given.seed, given.window, folder)
        )
        sys.exit(0 if asyncio.run(measured) else 1)


if __name__ == "__main__":
    main()
