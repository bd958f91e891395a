"""The stages connected: sources ─▶ batch ─▶ work queue ─▶ workers (quota, pool, verdict) ─▶ results.

One `TaskGroup` owns every task. Draining and cancelling live here: a run that is stopped sends nothing new, lets
what is under way end within `drain_s`, and writes its results; a job without a line has not been finished.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from itertools import count
from typing import Final

from linker import log
from linker.api import Answer, Api
from linker.backoff import Backoff
from linker.batch import Batch, Lost
from linker.errors import RequestFailed, ResultsUnwritable, Stopped, Unauthorized
from linker.quota import Closed, Quota
from linker.results import Result, ResultsFile
from linker.retry import Accept, Again, GiveUp, Pause, verdict
from linker.sessions import SessionPool
from linker.settings import Settings
from linker.sources import Rejection, Source
from linker.summary import Summary
from linker.work import Work
from linker.workqueue import WorkQueue

__all__ = ["Pipeline", "Progress"]

_RESULTS_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is. `jobs` and `targets` are what has been read so far, all of it once `read` is set."""

    read: bool
    jobs: int
    targets: int
    targets_done: int
    requests: int
    paused_s: float
    elapsed_s: float


class Pipeline:
    """One run of one batch.

    Args:
        deliver: awaited with results that are on disk; while it waits, the run slows down.
    """

    def __init__(
        self,
        settings: Settings,
        token: str,
        quota: Quota,
        sources: Sequence[Source],
        results: ResultsFile | None,
        deliver: Callable[[list[Result]], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._quota = quota
        self._sources = sources
        self._file = results
        self._deliver = deliver
        self._stop = asyncio.Event()
        self._pool = SessionPool(settings, token, quota, self._stop)
        self._api = Api(self._pool)
        self._batch = Batch(settings.mode)
        self._queue: WorkQueue[Work] = WorkQueue(settings.queue_size)
        self._backoff: Backoff[Work] = Backoff(self._queue.again)
        self._finished: asyncio.Queue[list[Result] | None] = asyncio.Queue(2 * settings.concurrency)
        self._late: list[Result] = []  # of tasks that were cancelled while the writer had no room for them
        self._jobs = 0
        self._changes = count()
        self._targets_done = 0
        self._read = False
        self._started = asyncio.get_running_loop().time()
        self._why_stopped: Stopped | None = None
        self._log = log.get_logger()
        self.summary = Summary(results.path if results is not None else None)

    def __repr__(self) -> str:
        return f"<Pipeline {self._batch!r} {self._queue!r} {self._backoff!r} {self._quota!r}>"

    def stop(self, why: Stopped | None = None) -> None:
        """Send nothing new; what is under way ends, and the run with it. With `why`, the run raises that then."""
        self._why_stopped = self._why_stopped or why
        self.summary.stopped = True
        self._stop.set()
        self._quota.wake()

    def progress(self) -> Progress:
        """A look at the run."""
        now = asyncio.get_running_loop().time()
        return Progress(
            read=self._read,
            jobs=self._jobs,
            targets=self._batch.targets,
            targets_done=self._targets_done,
            requests=self._pool.requests,
            paused_s=max(0.0, self._quota.paused_until - now),
            elapsed_s=now - self._started,
        )

    async def run(self) -> None:
        """Do it.

        Raises:
            UsageError: a source or the results file cannot be used; nothing was sent.
            Stopped: the run ended early; what was done is in the results.
        """
        self._started = asyncio.get_running_loop().time()
        for source in self._sources:
            source.check()
        with self._file or nullcontext():
            try:
                async with self._pool, asyncio.TaskGroup() as group:
                    writer = group.create_task(self._write_results())
                    stages = group.create_task(self._stages())
                    watch = group.create_task(self._drain(stages))
                    await asyncio.wait({stages})
                    watch.cancel()
                    await self._finished.put(None)
                    await writer
            finally:
                with suppress(ResultsUnwritable):
                    self._write(self._rest())
                self.summary.requests = self._pool.requests
                self.summary.elapsed_s = asyncio.get_running_loop().time() - self._started
                if self._file is not None and self.summary.stopped and not self.summary.jobs:
                    self._file.discard()
            if self._why_stopped is not None:
                raise self._why_stopped

    async def _drain(self, stages: asyncio.Task[None]) -> None:
        """When the run is stopped, give what is under way its time."""
        await self._stop.wait()
        self._log.info(log.STOPPING, under_way=self._queue.stats().unfinished, drain_s=self._settings.drain_s)
        await asyncio.wait({stages}, timeout=self._settings.drain_s)
        stages.cancel()

    async def _stages(self) -> None:
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(self._read_sources())
            halt = group.create_task(self._halt(reading))
            await asyncio.wait({reading})
            halt.cancel()
            if self._stop.is_set():
                return
            backoff = group.create_task(self._backoff.run())
            feeding = group.create_task(self._feed())
            halting = group.create_task(self._halt(feeding))
            async with asyncio.TaskGroup() as workers:
                for _ in range(min(self._settings.concurrency, max(1, self._batch.targets))):
                    workers.create_task(self._worker())
            for task in (backoff, feeding, halting):
                task.cancel()

    async def _halt(self, stage: asyncio.Task[None]) -> None:
        """When the run is stopped, let a stage that brings new work end at once."""
        await self._stop.wait()
        stage.cancel()
        now = asyncio.get_running_loop().time()
        for work in [*self._queue.drop(), *self._backoff.drop()]:  # those whose PUT was answered have a result
            await self._finish(work.unchecked(now))

    async def _read_sources(self) -> None:
        """Read all input: a batch is declarative, and nothing is sent before its last line is known."""
        for source in self._sources:
            async for entries in source.entries(empty_clears=self._settings.empty_clears):
                rejected: list[Result] = []
                for entry in entries:
                    number, self._jobs = self._jobs, self._jobs + 1
                    if not isinstance(entry.said, Rejection):
                        self._batch.add(number, entry.source, entry.line, entry.said)
                        continue
                    rejected.append(Result.unread(number, entry, entry.said))
                    if entry.said.target is not None:
                        place = f"{entry.source} line {entry.line}"
                        self._batch.lose(entry.said.target, Lost(place, entry.said.fields))
                if rejected:
                    await self._finish(rejected)
        self._read = True
        self._log.info(log.BATCH_READ, jobs=self._jobs, targets=self._batch.targets)

    async def _feed(self) -> None:
        for wish, rejected in self._batch.wishes():
            if rejected:
                await self._finish([Result.rejected(job, error) for job, error in rejected])
            if wish is None:
                self._targets_done += 1
            else:
                await self._queue.put(Work(wish, blind=self._settings.blind, number_change=self._changes.__next__))
        self._queue.close()

    async def _worker(self) -> None:
        async for work in self._queue:
            await self._advance(work)

    async def _advance(self, work: Work) -> None:
        """Take a work as far as it goes without waiting for a retry."""
        loop = asyncio.get_running_loop()
        while work.step is not None:
            work.attempt += 1
            outcome: Answer | RequestFailed
            try:
                outcome = await self._api.send(work.request)
            except Closed:
                await self._finish(work.unchecked(loop.time()))
                break
            except RequestFailed as failure:
                outcome = failure
            if work.sent_at is None:
                work.sent_at = outcome.sent_at
            match verdict(outcome, work.attempt, work.refusal, self._settings):
                case Accept(answer):
                    results = work.answered(answer, loop.time())
                case GiveUp(error, 401):
                    self.stop(
                        Unauthorized(f"the account did not take the token ({error.message}); nothing more is sent")
                    )
                    results = work.unchecked(loop.time())
                case GiveUp(error, http_status):
                    self._log.info(
                        log.GAVE_UP, request=str(work.request), error=error.type.value, message=error.message
                    )
                    results = work.failed(error, http_status, loop.time())
                case Again(least_s, most_s):
                    after_s = random.uniform(least_s, most_s)  # noqa: S311  jitter is no secret
                    self._log.info(
                        log.RETRY,
                        request=str(work.request),
                        attempt=work.attempt,
                        after_s=round(after_s, 2),
                        why=_why(outcome),
                    )
                    work.refusal = 0
                    self._backoff.wait(work, after_s)
                    return
                case Pause(seconds):
                    self._pause(work, seconds)
                    return
            await self._finish(results)
        self._targets_done += work.step is None
        self._queue.done()

    def _pause(self, work: Work, seconds: float) -> None:
        """A 429 pauses the whole account; its work goes back, ahead of new ones, with its attempt."""
        self._log.warning(log.PAUSED, request=str(work.request), seconds=round(seconds, 2))
        work.attempt -= 1
        work.refusal += 1
        if seconds > self._settings.max_wait_s:
            self.stop(Stopped(f"the account asks to wait for {seconds:,.0f} s; go on then"))
        self._quota.pause(seconds)
        self._queue.again(work)

    async def _finish(self, results: list[Result]) -> None:
        """Give results to the writer, once it has room; where that is cut off, they are written all the same."""
        if not results:
            return
        try:
            await self._finished.put(results)
        except asyncio.CancelledError:
            self._late += results
            raise

    async def _write_results(self) -> None:
        """The one writer: what is there goes to disk in one write, and is counted and delivered only then."""
        ended = False
        while not ended:
            results: list[Result] = []
            item = await self._finished.get()
            while item is not None:
                results += item
                if len(results) >= _RESULTS_AT_ONCE or self._finished.empty():
                    break
                item = self._finished.get_nowait()
            ended = item is None
            if ended:
                results += self._rest()
            if results:
                self._write(results)
                await self._deliver(results)

    def _write(self, results: list[Result]) -> None:
        if self._file is not None and results:
            self._file.write(results)
        for result in results:
            self.summary.add(result)

    def _rest(self) -> list[Result]:
        """Results that reach the writer by no other way: those of tasks that were cut off, or all where it was."""
        rest, self._late = self._late, []
        while not self._finished.empty():
            rest += self._finished.get_nowait() or ()
        return rest


def _why(outcome: Answer | RequestFailed) -> str:
    return str(outcome) if isinstance(outcome, RequestFailed) else f"{outcome.status}: {outcome.message}"
