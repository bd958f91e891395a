"""What goes wrong on purpose, and when."""

from __future__ import annotations

import random
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from linker.errors import UsageError

TROUBLES: Final = {
    "reset": "the connection is reset, the request not applied",
    "reset_after": "the request is applied, then the connection reset without an answer",
    "html": "200 with an HTML page, the request not applied",
    "cut": "the request is applied, half of the answer sent, then the connection closed",
}

_FAULT = re.compile(r"\s*(?P<what>[A-Za-z_]+|[0-9]{3})\s*:\s*(?P<number>[0-9]*\.?[0-9]+)(?P<percent>%?)\s*")


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with a request, with this probability.

    `what` is a status (400 to 599; the request is not applied) or one of `TROUBLES`.

    Example:
        >>> Fault.parse("503:0.01")
        Fault(what=503, probability=0.01)
    """

    what: int | str
    probability: float = 1.0

    def __post_init__(self) -> None:
        is_known = 400 <= self.what <= 599 if isinstance(self.what, int) else self.what in TROUBLES
        if not is_known:
            raise UsageError(f"fault {self.what!r} is neither a status from 400 to 599 nor {', '.join(TROUBLES)}")
        if not 0 <= self.probability <= 1:
            raise UsageError(f"fault {self.what}: the probability {self.probability:g} is not from 0 to 1")

    def __str__(self) -> str:
        return f"{self.what}:{self.probability:g}"

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Parse a fault such as `503:0.01`, `503:1%` or `reset:0.01`.

        Raises:
            UsageError: the text is not a fault.
        """
        match = _FAULT.fullmatch(text)
        if match is None:
            raise UsageError(f"fault {text!r} is not WHAT:PROBABILITY; for example 503:0.01 or reset:0.01")
        what, number, percent = match.group("what", "number", "percent")
        return cls(int(what) if what.isdigit() else what.lower(), float(number) / (100 if percent else 1))


@dataclass(slots=True)
class _Script:
    pattern: re.Pattern[str]
    next: deque[Fault | None]
    stays: Fault | None


class Faults:
    """Decides for each request, in the order of arrival, what goes wrong with it: by script, else by chance.

    Example:
        >>> sandbox.faults.script(503, None, "reset")  # the next request fails, one passes, the third is reset
        >>> sandbox.faults.script(on=r"GET .*[?&]page=3\\b", stays=500)  # that page always fails
    """

    def __init__(self, faults: Sequence[Fault], seed: int = 0) -> None:
        total = sum(fault.probability for fault in faults)
        if total > 1 + 1e-9:
            raise UsageError(f"the faults' probabilities add up to {total:g}, more than 1")
        self._faults = tuple(faults)
        self._random = random.Random(seed)  # noqa: S311  a rehearsal is to be repeatable
        self._scripts: list[_Script] = []

    def script(self, *whats: int | str | None, on: str = "", stays: int | str | None = None) -> None:
        """Decide what goes wrong with the next requests, one by one; None lets one pass. Earlier scripts go first.

        Args:
            on: only for requests that match this regular expression, searched for in `METHOD PATH?QUERY`.
            stays: what goes wrong with all later ones.

        Raises:
            UsageError: one is neither a status from 400 to 599 nor one of `TROUBLES`.
        """
        faults = deque(None if what is None else Fault(what) for what in whats)
        self._scripts.append(_Script(re.compile(on), faults, None if stays is None else Fault(stays)))

    def clear(self) -> None:
        """Forget all scripts."""
        self._scripts.clear()

    def draw(self, request: str) -> Fault | None:
        """Return what goes wrong with the request (`METHOD PATH?QUERY`) that has just arrived, or None."""
        for script in self._scripts:
            if (script.next or script.stays) and script.pattern.search(request):
                return script.next.popleft() if script.next else script.stays
        if not self._faults:
            return None
        drawn = self._random.random()
        for fault in self._faults:
            drawn -= fault.probability
            if drawn < 0:
                return fault
        return None
