"""What the tests of whole runs share: a linker without limits, its results, and waiting for a state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Iterable
from pathlib import Path
from typing import Any, Final

import orjson

from linker import Kind, Linker, Result, Run
from linker.sandbox import Sandbox

__all__ = [
    "ACME",
    "ZANE",
    "by_id",
    "eager",
    "features",
    "lines_of",
    "names",
    "read_into",
    "results_of",
    "until",
    "write_jobs",
    "written",
]

ACME: Final = "640362830"
ZANE: Final = "8397122"


def eager(sandbox: Sandbox, **options: Any) -> Linker:
    """A linker on a sandbox without pace or preflight, and with short waits before retries."""
    given: dict[str, Any] = {"rate": (), "backoff_base_s": 0.001, "backoff_cap_s": 0.01, "preflight": False}
    return Linker(**{"url": sandbox.url, "token": sandbox.options.token, **given, **options})


async def results_of(run: Run) -> list[Result]:
    """All results of a run, in the order of their jobs."""
    return sorted([result async for result in run], key=lambda result: result.job)


async def read_into(results: list[Result], run: AsyncIterable[Result]) -> None:
    """Collect results until the run ends, in whatever way."""
    async for result in run:
        results.append(result)  # noqa: PERF401  those before an error count too


def by_id(results: Iterable[Result]) -> dict[str | None, Result]:
    """Results by target; each target has one."""
    return {result.id: result for result in results}


def written(sandbox: Sandbox) -> set[str]:
    """The features that have links."""
    return {id for kind, id in sandbox.account.all_links() if kind is Kind.FEATURE}


def write_jobs(path: Path, jobs: Iterable[dict[str, Any]]) -> None:
    """A job file."""
    path.write_bytes(b"".join(orjson.dumps(job) + b"\n" for job in jobs))


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The lines of a results file, in the order of their jobs; each must be whole."""
    data = path.read_bytes()
    assert data.endswith(b"\n") or not data
    return sorted((orjson.loads(line) for line in data.splitlines()), key=lambda line: line["job"])


def names(folder: Path, pattern: str = "*") -> list[str]:
    """The files of a folder."""
    return sorted(path.name for path in folder.glob(pattern))


def features(count: int, *ids: str) -> list[dict[str, Any]]:
    """Jobs that link records (Acme where none is named) to the features PRJ1-1, PRJ1-2, …"""
    return [{"id": f"PRJ1-{number}", "links": {"customers": list(ids or (ACME,))}} for number in range(1, count + 1)]


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a state is reached."""
    while not condition():  # noqa: ASYNC110  states in counters have no event
        await asyncio.sleep(0.001)
