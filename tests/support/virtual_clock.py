"""An event loop with a virtual clock: a wait takes no real time, so hours of traffic pass in milliseconds.

Time stands still while there is anything to run, and jumps to the next timer when there is not. For pure
asyncio code: no sockets, no threads, no subprocesses.
"""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

__all__ = ["Stuck", "VirtualLoop", "run"]

T = TypeVar("T")

_TURNS_AT_ONE_MOMENT: Final = 100_000


class Stuck(AssertionError):
    """The program would wait for ever, or spin without end while time stands still."""


class _Selector(selectors.SelectSelector):
    """Advances the loop's clock where a real one would wait."""

    loop: VirtualLoop
    _turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck(f"nothing is scheduled, and nobody will ever wake the loop (at {self.loop.time():g} s)")
        self._turns = 0 if timeout > 0 else self._turns + 1
        if self._turns > _TURNS_AT_ONE_MOMENT:
            self._turns = 0
            raise Stuck(f"the loop spins without waiting (at {self.loop.time():g} s)")
        self.loop.advance(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time, which begins at `start` seconds."""

    def __init__(self, start: float = 0.0) -> None:
        selector = _Selector()
        selector.loop = self
        self._now = start
        super().__init__(selector)
        self.advance(0.0)

    def time(self) -> float:
        """Seconds, by our clock."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let virtual time pass; a timer never fires before it is due."""
        self._now += seconds
        self._clock_resolution = math.ulp(self._now)


def run(main: Coroutine[Any, Any, T], start: float = 0.0) -> T:
    """Run a coroutine on a virtual clock and return its result.

    Raises:
        Stuck: it would never end.
    """
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(start)) as runner:
        return runner.run(main)
