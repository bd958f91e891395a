"""What a program uses: `Linker` for an account, `Run` for one batch on it, `link()` for both in one call."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from linker.errors import LinkerError, UsageError
from linker.job import Mode
from linker.pipeline import Pipeline, Progress
from linker.quota import Quota
from linker.results import Result, ResultsFile
from linker.settings import Settings, base_url
from linker.sources import Jobs, Source, sources_of
from linker.summary import Summary

__all__ = ["Linker", "Run", "link"]

_READY_AT_MOST: Final = 1024
"""Results that may wait for their reader; beyond, the run waits for it."""


class Run:
    """One batch under way: iterate over it for the results, each on disk before it is seen.

    Leaving the loop early stops the run as `stop()` does. `summary` counts as it goes and is whole at the end.
    Nothing is sent before the iteration starts.
    """

    def __init__(
        self, settings: Settings, token: str, quota: Quota, sources: Sequence[Source], results: ResultsFile | None
    ) -> None:
        self._pipeline = Pipeline(settings, token, quota, sources, results, self._deliver)
        self._task: asyncio.Task[None] | None = None
        self._ready: deque[Result] = deque()
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

    def progress(self) -> Progress:
        """How far the run is."""
        return self._pipeline.progress()

    def stop(self) -> None:
        """Send nothing new. What is under way ends, its results still come, and then the iteration ends."""
        self._pipeline.stop()

    async def __aiter__(self) -> AsyncIterator[Result]:
        if self._task is not None:
            raise UsageError("a run can be iterated over once")
        self._task = asyncio.create_task(self._pipeline.run(), name="linker run")
        self._task.add_done_callback(lambda _: self._more.set())
        try:
            while True:
                while self._ready:
                    result = self._ready.popleft()
                    if not self._ready:
                        self._room.set()
                    yield result
                if self._task.done():
                    break
                self._more.clear()
                await self._more.wait()
            await self._end()
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

    async def _end(self) -> None:
        assert self._task is not None
        try:
            await self._task
        except BaseExceptionGroup as group:
            errors = list(_leaves(group))
            for error in errors:
                if isinstance(error, LinkerError):
                    raise error from None
            if len(errors) == 1:  # what the caller's own iterable raised, say
                raise errors[0] from None
            raise

    async def _deliver(self, results: list[Result]) -> None:
        if self._unread:
            return
        self._ready.extend(results)
        self._more.set()
        while len(self._ready) > _READY_AT_MOST and not self._unread:
            self._room.clear()
            await self._room.wait()


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


class Linker:
    """One Aha! account, and the quota that all runs on it share.

    Args:
        account: the NAME of `https://NAME.aha.io`; or `url`, any other base (a sandbox, a proxy).
        token: an API key or an OAuth2 token; it is kept out of every log, result, error and `repr`.
        settings: all of them at once, instead of `account`, `url` and
        options: the fields of `linker.Settings`, by name: `rate`, `concurrency`, `attempts`, `mode`…

    Raises:
        UsageError: settings that no run could go by.

    Example:
        >>> async with Linker(account="company", token=token) as aha:
        ...     async for result in aha.run(jobs, results="links.results.jsonl"):
        ...         print(result.id, result.status)
    """

    def __init__(
        self,
        account: str | None = None,
        token: str | None = None,
        *,
        url: str | None = None,
        settings: Settings | None = None,
        **options: Any,
    ) -> None:
        if not token or not token.strip():
            raise UsageError("a token is needed: an API key of the account (Settings, Personal, Developer in Aha!)")
        if not token.strip().isascii() or not token.strip().isprintable() or " " in token.strip():
            raise UsageError("the token holds characters that no token has; is it the right file or variable?")
        self._token = token.strip()
        self._settings = settings or Settings(base_url=base_url(account, url), **options)
        self._quota = Quota(self._settings.rate)
        self._runs: list[Run] = []

    def __repr__(self) -> str:
        return f"<Linker {self._settings.base_url}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        for run in self._runs:
            await run.aclose()
        await asyncio.sleep(0)  # a loop that was left early has its iterator closed behind it, in a task of its own

    def run(
        self,
        jobs: Jobs,
        results: str | Path | None = None,
        *,
        overwrite: bool = False,
        mode: Mode | str | None = None,
        empty_clears: bool | None = None,
        blind: bool | None = None,
    ) -> Run:
        """A run of a batch: iterate over it to do it.

        Args:
            jobs: a path or several, or an (async) iterable of `LinkJob`s or dicts of a job file's keys.
            results: the results file; without one nothing is kept, and the run can be neither resumed nor undone.
            overwrite: keep a results file that exists under a dated name, and start anew.
            mode, empty_clears, blind: where they differ from the `Linker`'s.

        Raises:
            UsageError: here for settings; in the iteration for files that cannot be used, nothing being sent.
            Stopped: in the iteration, where the run ended early; what was done is in the results.
        """
        given: dict[str, Any] = {"mode": mode, "empty_clears": empty_clears, "blind": blind}
        settings = replace(self._settings, **{name: value for name, value in given.items() if value is not None})
        file = ResultsFile(Path(results), overwrite=overwrite) if results is not None else None
        run = Run(settings, self._token, self._quota, sources_of(jobs), file)
        self._runs = [*(each for each in self._runs if not each.ended), run]
        return run


def link(
    jobs: Jobs,
    account: str | None = None,
    token: str | None = None,
    *,
    results: str | Path | None = None,
    overwrite: bool = False,
    **options: Any,
) -> Summary:
    """Run a batch and wait for its end: the plain, blocking form of `Linker(...).run(...)`.

    Raises:
        UsageError: a setting or a file cannot be used; or an event loop is running here already, as in a notebook.
        Stopped: the run ended early; what was done is in the results.

    Example:
        >>> summary = link("links.csv", account="company", token=token, results="links.results.jsonl")
        >>> summary.linked, summary.failed
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise UsageError(
            "link() waits for the end and cannot inside a running event loop (a notebook has one); there, write: "
            "async with linker.Linker(...) as aha: async for result in aha.run(jobs, results=...): ..."
        )

    async def whole() -> Summary:
        async with Linker(account, token, **options) as aha:
            run = aha.run(jobs, results, overwrite=overwrite)
            async for _ in run:
                pass
            return run.summary

    return asyncio.run(whole())
