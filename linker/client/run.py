"""One batch under way, as its reader sees it: the results as they come, a summary, and how to stop it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, TypeAlias, cast

from linker.errors import UsageError
from linker.model.target import Kind
from linker.pipeline.stages import Pipeline, Progress
from linker.ratelimit.limiter import RateLimiter
from linker.results.file import ResultsFile
from linker.results.result import Outcome, Result
from linker.results.summary import Summary
from linker.sessions.token import Token
from linker.settings import Settings
from linker.sources import Source

Confirm: TypeAlias = Callable[[int, int], Awaitable[bool]]
"""Asked with the removals and the links read so far, whether to go on."""

_READY_AT_MOST: Final = 1024
"""Results that may wait for their reader; beyond, the run waits for it."""


class Run:
    """One batch under way: iterate over it for the results, each on disk before it is seen.

    Leaving the loop early stops the run as `stop()` does. `summary` counts as it goes and is whole at the end.
    Nothing is sent before the iteration starts.
    """

    def __init__(
        self,
        settings: Settings,
        token: Token,
        limiter: RateLimiter,
        sources: Sequence[Source],
        results: ResultsFile | None = None,
        *,
        dry: bool = False,
        failed_only: bool = False,
        confirm: Confirm | None = None,
    ) -> None:
        self._pipeline = Pipeline(
            settings,
            token,
            limiter,
            sources,
            results,
            self._deliver,
            dry=dry,
            failed_only=failed_only,
            confirm=confirm,
        )
        self._task: asyncio.Task[None] | None = None
        self._ready: deque[Outcome] = deque()
        self._more = asyncio.Event()
        self._room = asyncio.Event()
        self._unread = False

    def __repr__(self) -> str:
        return f"<Run {self._pipeline!r}>"

    @property
    def summary(self) -> Summary:
        """What the run has come to so far."""
        return self._pipeline.summary

    @property
    def ended(self) -> bool:
        """The run has been done or stopped; results may still wait for their reader."""
        return self._task is not None and self._task.done()

    @property
    def new_records(self) -> int:
        """Records that are to be created for the names that were read so far."""
        return self._pipeline.names.new

    def name_of(self, kind: Kind, field: str, id: str) -> str | None:
        """What a record is called that a field of a kind links to, as far as the run has read its table."""
        return self._pipeline.names.value(kind, field, id)

    def progress(self) -> Progress:
        """How far the run is."""
        return self._pipeline.progress()

    def stop(self) -> None:
        """Send nothing new. What is under way ends, its results still come, and then the iteration ends."""
        self._pipeline.stop()

    def __aiter__(self) -> AsyncIterator[Result]:
        return cast("AsyncIterator[Result]", self.outcomes())  # a run that is not dry has results alone

    async def outcomes(self) -> AsyncIterator[Outcome]:
        """The results, and where the run is dry what it would do to each target."""
        if self._task is not None:
            raise UsageError("a run can be iterated over once")
        self._task = asyncio.create_task(self._pipeline.run(), name="linker run")
        self._task.add_done_callback(lambda _: self._more.set())
        try:
            while True:
                while self._ready:
                    outcome = self._ready.popleft()
                    if not self._ready:
                        self._room.set()
                    yield outcome
                if self._task.done():
                    break
                self._more.clear()
                await self._more.wait()
            await self._task
        finally:
            await self.aclose()

    def abandon(self) -> None:
        """Stop at once: requests under way are cut off, and what became of them is not known."""
        if self._task is not None:
            self._pipeline.stop()
            self._task.cancel()

    async def aclose(self) -> None:
        """Stop the run and wait for its end; results that nobody read are in the results file all the same."""
        self._unread = True
        self._room.set()
        if self._task is not None and not self._task.done():
            self._pipeline.stop()
            try:
                await asyncio.wait({self._task})
            finally:
                self._task.cancel()
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.exception()  # seen: who left the loop early does not want it

    async def _deliver(self, outcomes: list[Outcome]) -> None:
        if self._unread:
            return
        self._ready.extend(outcomes)
        self._more.set()
        while len(self._ready) > _READY_AT_MOST and not self._unread:
            self._room.clear()
            await self._room.wait()
