"""The fuzzer: gives randomly damaged inputs to everything that reads foreign data; a seed makes each repeatable.

    python benchmarks/fuzz.py --inputs 1000000 --seed 1
    python benchmarks/fuzz.py --seed 1 --surface tables --only 4711

An input may only lead to linker's own errors. It must not take over ten seconds, nor be read as something that a
plain reading of the same bytes does not say (`tests/support/hostile_inputs.py`, `tests/support/hostile_answers.py`).
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import logging
import multiprocessing
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from inspect import isawaitable
from pathlib import Path
from typing import Any, Final, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.hostile_answers import ANSWERS
from support.hostile_inputs import SURFACES, Surface
from support.mutation import Mutator

_ALL: Final = {surface.name: surface for surface in (*SURFACES, *ANSWERS)}
_PARTS: Final = {  # of a thousand inputs; those of the last two need sockets
    "job lines": 180,
    "tables": 150,
    "lists": 100,
    "settings": 130,
    "answers": 200,
    "records and definitions": 100,
    "headers": 70,
    "limits": 20,
    "results and journals": 37,
    "bytes on the wire": 8,
    "whole runs": 5,
}
_LONGEST_S: Final = 10
"""Most seconds of CPU for one input. Elapsed time would count against linker what other programs use."""
_LONGEST_WAIT_S: Final = 120
"""Most seconds for one input, even if it only waits."""
_MOST_MEMORY: Final = 4 * 2**30
_SHARE: Final = 1000
"""Inputs that a process takes at once."""


class _Hang(BaseException):
    """An input took too long."""


def main() -> None:
    """Run the fuzzer; exit with 1 if it found anything."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--surface", choices=_ALL, help="just this one")
    parser.add_argument("--only", type=int, help="just this input of the surface, and what it is")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    if given.only is not None:
        _show(given.seed, given.surface, given.only)
    begun = time.monotonic()
    done: Counter[str] = Counter()
    found: list[str] = []
    with ProcessPoolExecutor(given.processes, multiprocessing.get_context("spawn")) as pool:
        for share in as_completed([pool.submit(_share, *task) for task in _shares(given)]):
            name, count, findings = share.result()  # raises where the process died of an input
            done[name] += count
            found += findings
            for finding in findings[:3]:
                print(finding, file=sys.stderr)
    for name in _PARTS:
        if done[name]:
            print(f"{done[name]:>9,}  {name}")
    print(f"{done.total():>9,}  inputs, seed {given.seed}, {time.monotonic() - begun:.0f} s; {len(found)} findings")
    sys.exit(bool(found))


def _shares(given: argparse.Namespace) -> Iterator[tuple[int, str, range]]:
    wanted = {given.surface: 1000} if given.surface else _PARTS
    for name, part in wanted.items():
        total = given.inputs * part // 1000
        each = _SHARE if part > 10 else 50
        yield from ((given.seed, name, range(at, min(at + each, total))) for at in range(0, total, each))


def _share(seed: int, name: str, numbers: range) -> tuple[str, int, list[str]]:
    faulthandler.enable()
    logging.disable()
    return name, len(numbers), list(findings(seed, _ALL[name], numbers))


def findings(seed: int, surface: Surface, numbers: Sequence[int]) -> Iterator[str]:
    """The failures among some inputs of a surface, each with the options that repeat it."""
    mutator = Mutator(surface.seeds)
    with _bounded() as limit, tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        os.environ["XDG_STATE_HOME"] = folder
        for number in numbers:
            rng = random.Random(f"{seed} {surface.name} {number}")
            data = mutator.bent(rng)
            try:
                limit(_LONGEST_S, _LONGEST_WAIT_S)
                result: Any = surface.check(data, rng, Path(folder))
                if isawaitable(result):
                    runner.run(_awaited(result))
            except (Exception, _Hang) as error:
                limit(0, 0)  # of the input alone, not of the time that it takes to tell
                again = f"--seed {seed} --surface '{surface.name}' --only {number}"
                yield f"{again}\n{''.join(traceback.format_exception(error, limit=-6))}{data[:300]!r}\n"
            finally:
                limit(0, 0)


async def _awaited(result: Any) -> None:
    await result


@contextmanager
def _bounded() -> Iterator[Callable[[float, float], None]]:
    """Limit the memory of the process, and yield a function that limits the time of an input.

    That ends what runs then after so many seconds of CPU, or of any time; 0 for no limit.
    """
    is_limited = False

    def limit(cpu_s: float, wait_s: float) -> None:
        nonlocal is_limited
        is_limited = cpu_s > 0
        signal.setitimer(signal.ITIMER_VIRTUAL, cpu_s)
        signal.setitimer(signal.ITIMER_REAL, wait_s)

    def hang(number: int, _: object) -> None:
        if is_limited:  # on a busy machine, both run out at once
            limit(0, 0)
            raise _Hang(f"over {_LONGEST_S} s of CPU" if number == signal.SIGVTALRM else f"over {_LONGEST_WAIT_S} s")

    before = {number: signal.signal(number, hang) for number in (signal.SIGVTALRM, signal.SIGALRM)}
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, limits[1]))
    try:
        yield limit
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        resource.setrlimit(resource.RLIMIT_AS, limits)


def _show(seed: int, name: str, number: int) -> NoReturn:
    print(Mutator(_ALL[name].seeds).bent(random.Random(f"{seed} {name} {number}")))
    found = list(findings(seed, _ALL[name], [number]))
    print(*found or ["nothing is found"])
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
