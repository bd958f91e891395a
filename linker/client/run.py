"""A run of one batch: yields its results as they come, counts them, and can be stopped."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, TypeAlias, cast

from linker.api.visibility import Visibility
from linker.errors import UsageError
from linker.model.target import Kind
from linker.pipeline.consent import ConfirmUnreadable
from linker.pipeline.reads import Reads
from linker.pipeline.stages import Pipeline, Progress
from linker.ratelimit.limiter import RateLimiter
from linker.records.create import ConfirmNew
from linker.records.names import NewRecord
from linker.results.file import ResultsFile
from linker.results.result import Outcome, Result
from linker.results.summary import Summary
from linker.sessions.token import Token
from linker.settings import Settings
from linker.sources import Source

Confirm: TypeAlias = Callable[[int, int], Awaitable[bool]]
"""Called with the number of links to remove and of links read so far; returns whether to continue."""

_MOST_READY: Final = 1024
"""Results that may wait for their reader before the run waits too."""


class Run:
    """A run of one batch. Iterate over it for the results; each is on disk before it is yielded.

    Nothing is sent before the iteration starts. Leaving the loop early stops the run as `stop()` does. `summary` is
    updated during the run and complete at its end.
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
        reads: Reads | None = None,
        done_in: Path | None = None,
        failed_only: bool = False,
        confirm: Confirm | None = None,
        confirm_unreadable: ConfirmUnreadable | None = None,
        confirm_new: ConfirmNew | None = None,
    ) -> None:
        self._pipeline = Pipeline(
            settings,
            token,
            limiter,
            sources,
            results,
            self._deliver,
            dry=dry,
            reads=reads,
            done_in=done_in,
            failed_only=failed_only,
            confirm=confirm,
            confirm_unreadable=confirm_unreadable,
            confirm_new=confirm_new,
        )
        self.reads = reads
        """What a dry run has read, for the run after it."""
        self._task: asyncio.Task[None] | None = None
        self._ready: deque[Outcome] = deque()
        self._more = asyncio.Event()
        self._room = asyncio.Event()
        self._unread = False

    def __repr__(self) -> str:
        return f"<Run {self._pipeline!r}>"

    @property
    def summary(self) -> Summary:
        """The counts so far."""
        return self._pipeline.summary

    @property
    def ended(self) -> bool:
        """Whether the run has finished or been stopped; some results may not have been read yet."""
        return self._task is not None and self._task.done()

    @property
    def visibility(self) -> Visibility:
        """Which answers have shown links so far."""
        return self._pipeline.visibility

    @property
    def new_records(self) -> int:
        """How many records must be created for the names read so far."""
        return self._pipeline.names.new

    @property
    def creations(self) -> Sequence[NewRecord]:
        """The records that must be created, with the rows that name them."""
        return self._pipeline.names.new_records

    @property
    def unreadable(self) -> int:
        """How many rows do not tell which target they are for."""
        return self._pipeline.unreadable

    @property
    def kept_results(self) -> Path | None:
        """The new name of the results file that `overwrite` has renamed; None if there was none."""
        return self._pipeline.kept_results

    @property
    def rows_without_mode(self) -> int:
        """How many rows leave their mode to the run."""
        return self._pipeline.rows_without_mode

    @property
    def links_read(self) -> int:
        """How many links the targets read so far hold."""
        return self._pipeline.links_read

    @property
    def most_removals(self) -> int:
        """How many links may be removed without consent, by what was read so far."""
        return self._pipeline.most_removals

    def name_of(self, kind: Kind, field: str, id: str) -> str | None:
        """Return the name of a record that a field of a kind links to; None if the run has not read its table."""
        return self._pipeline.names.value(kind, field, id)

    def progress(self) -> Progress:
        """Return how far the run is."""
        return self._pipeline.progress()

    def stop(self) -> None:
        """Send nothing new. Requests in flight finish, their results are yielded, and then the iteration ends."""
        self._pipeline.stop()

    def __aiter__(self) -> AsyncIterator[Result]:
        return cast("AsyncIterator[Result]", self.outcomes())  # only a dry run yields anything but results

    async def outcomes(self) -> AsyncIterator[Outcome]:
        """Yield the results; a dry run also yields what a run would do to each target."""
        if self._task is not None:
            raise UsageError("a run can be iterated over only once; make a new one")
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
        """Stop at once and cancel requests in flight; whether Aha! carried them out is unknown."""
        if self._task is not None:
            self._pipeline.stop()
            self._task.cancel()

    async def aclose(self) -> None:
        """Stop the run and wait for its end. Results that were not read are still in the results file."""
        self._unread = True
        self._room.set()
        if self._task is not None and not self._task.done():
            self._pipeline.stop()
            try:
                await asyncio.wait({self._task})
            finally:
                self._task.cancel()
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.exception()  # else asyncio logs an exception that nobody retrieved

    async def _deliver(self, outcomes: list[Outcome]) -> None:
        if self._unread:
            return
        self._ready.extend(outcomes)
        self._more.set()
        while len(self._ready) > _MOST_READY and not self._unread:
            self._room.clear()
            await self._room.wait()
