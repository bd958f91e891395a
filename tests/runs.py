"""What the tests of whole runs share: a linker without limits, its results, and waiting for a state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

from linker import Linker, Result, Run
from linker.sandbox import Sandbox

__all__ = ["ACME", "ZANE", "by_id", "eager", "features", "results_of", "until"]

ACME: Final = "640362830"
ZANE: Final = "8397122"


def eager(sandbox: Sandbox, **options: Any) -> Linker:
    """A linker on a sandbox that neither paces itself nor waits long before it tries again."""
    given: dict[str, Any] = {"rate": (), "backoff_base_s": 0.001, "backoff_cap_s": 0.01}
    return Linker(url=sandbox.url, token=sandbox.options.token, **given | options)


async def results_of(run: Run) -> list[Result]:
    """All results of a run, in the order of their jobs."""
    return sorted([result async for result in run], key=lambda result: result.job)


def by_id(results: Iterable[Result]) -> dict[str | None, Result]:
    """Results by target; each target has one."""
    found = {result.id: result for result in results}
    return found


def features(count: int, *ids: str) -> list[dict[str, Any]]:
    """Jobs that link records (Acme where none is named) to the features PRJ1-1, PRJ1-2, …"""
    return [{"id": f"PRJ1-{number}", "links": {"customers": list(ids or (ACME,))}} for number in range(1, count + 1)]


async def until(condition: Callable[[], bool]) -> None:
    """Let everything else go on until a state is reached."""
    while not condition():
        await asyncio.sleep(0.001)
