"""Which stage of linker the process is in, sampled by a timer: the parts of `make budget`."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

import linker

STAGES: Final = {
    "source": ("sources", "model"),
    "batch": ("batch", "records", "pipeline/intake", "pipeline/reader"),
    "work": ("work", "pipeline", "retry"),
    "limiter": ("ratelimit",),
    "exchange": ("sessions",),
    "answer": ("api",),
    "journal": ("results/journal",),
    "results": ("results", "client"),
    "event loop, garbage": (),
}
"""Each stage, and the modules of linker that belong to it; the more exact name counts."""

_EVERY_S: Final = 0.0005
_PACKAGE: Final = f"{Path(linker.__file__).parent}/"
_LOOP: Final = "event loop, garbage"
_BY_MODULE: Final = {module: stage for stage, modules in STAGES.items() for module in modules}


@contextmanager
def sampled() -> Iterator[Counter[str]]:
    """Count samples by stage while the block runs."""
    samples: Counter[str] = Counter()

    def sample(_: int, frame: FrameType | None) -> None:
        samples[_stage(frame)] += 1

    before = signal.signal(signal.SIGALRM, sample)
    signal.setitimer(signal.ITIMER_REAL, _EVERY_S, _EVERY_S)
    try:
        yield samples
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _stage(frame: FrameType | None) -> str:
    in_aiohttp = False
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(_PACKAGE):
            module = path.removeprefix(_PACKAGE).removesuffix(".py")
            stage = _BY_MODULE.get(module) or _BY_MODULE.get(module.partition("/")[0])
            if stage is not None:
                return stage
        in_aiohttp = in_aiohttp or "/aiohttp/" in path
        frame = frame.f_back
    return "exchange" if in_aiohttp else _LOOP
