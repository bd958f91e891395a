"""The stages of a run, connected: sources ─▶ batch ─▶ reader ─▶ work queue ─▶ workers ─▶ results.

One `TaskGroup` owns every task. Draining and cancelling live here: a run that is stopped sends nothing new, lets
requests in flight end within `drain_s`, and writes their results. A job without a result has not been finished.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing, nullcontext
from dataclasses import dataclass
from itertools import islice, starmap
from pathlib import Path
from typing import Final

from linker import log
from linker.api.lists import Listing
from linker.api.visibility import Visibility
from linker.batch.batch import Batch
from linker.errors import GuardStopped, InputChanged, NoRows, Stopped, Unreachable, UsageError, ungrouped
from linker.pipeline.consent import ConfirmUnreadable, Consent
from linker.pipeline.feeder import Feeder
from linker.pipeline.guard import Admission, Guard, floor
from linker.pipeline.intake import Intake
from linker.pipeline.mirror import MIRROR, clears
from linker.pipeline.reader import StateReader
from linker.pipeline.reads import Fetch, Reads
from linker.pipeline.resume import Resume
from linker.pipeline.workers import Workers
from linker.pipeline.workqueue import WorkQueue
from linker.ratelimit.limiter import RateLimiter
from linker.ratelimit.permit import Delay
from linker.records.create import ConfirmNew, RecordCreator
from linker.records.names import NameResolver
from linker.records.preflight import Preflight
from linker.results.file import ResultsFile
from linker.results.result import Outcome, Result
from linker.results.summary import Summary
from linker.results.undo import UndoFile
from linker.results.writer import ResultsWriter
from linker.retry.sender import Sender
from linker.sessions.pool import SessionPool
from linker.sessions.token import Token
from linker.settings import Settings
from linker.sources import Source
from linker.work.layout import Layout
from linker.work.work import Work

_REJECTED_AT_ONCE: Final = 256
"""Rows that are rejected before the event loop has a turn."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is. `jobs` and `targets` are what has been read so far, all of it once `read` is set."""

    read: bool
    jobs: int
    targets: int
    targets_done: int
    requests: int
    paused_s: float
    delay: Delay | None
    outage: bool
    elapsed_s: float


class Pipeline:
    """One run of one batch.

    Args:
        deliver: awaited with outcomes that are on disk; while it waits, the run slows down.
        dry: plan only; no PUT is ever sent.
        reads: where a dry run stores what it reads; or what a dry run before this run has stored.
        done_in: for a dry run: the results file of the runs that a run would resume.
        failed_only: do only the targets with a job that failed or was rejected in an earlier run of the results file.
        confirm: asked with the removals and the links read when the guard would stop the run.
        confirm_unreadable: asked with the rows that could not be read and the links that would be removed from lists
            that may lack them; without it, these lists are left alone unless `allow_unreadable` is set.
        confirm_new: asked with the records to be created before the first of them is, unless `yes` is set.
    """

    def __init__(
        self,
        settings: Settings,
        token: Token,
        limiter: RateLimiter,
        sources: Sequence[Source],
        results: ResultsFile | None,
        deliver: Callable[[list[Outcome]], Awaitable[None]],
        *,
        dry: bool = False,
        reads: Reads | None = None,
        done_in: Path | None = None,
        failed_only: bool = False,
        confirm: Callable[[int, int], Awaitable[bool]] | None = None,
        confirm_unreadable: ConfirmUnreadable | None = None,
        confirm_new: ConfirmNew | None = None,
    ) -> None:
        self._settings = settings
        self._limiter = limiter
        self._sources = sources
        self._file = results
        self._dry = dry
        self._blind = settings.blind and not dry  # a plan is what is read
        self._mirrored = (Listing.parse(settings.mirror[0]), settings.mirror[1]) if settings.mirror else None
        self._log = log.get_logger()
        self._started = asyncio.get_running_loop().time()
        self._is_read = False
        self._stop = asyncio.Event()
        self._why_stopped: Stopped | Unreachable | None = None
        self._pool = SessionPool(settings, token, limiter, self._stop)
        self._sender = Sender(settings, self._pool, limiter, self.stop)
        self._reads = reads
        self._done_in = done_in
        self._fetch: Fetch = self._sender.fetch
        if reads is not None:
            self._fetch = reads.kept_by(self._fetch) if dry else reads.taken_by(self._fetch)
            self._sender.breaker.was_well = reads.has_answers  # so what fails now is an outage
        self._preflight = Preflight(settings, self._fetch)
        journal = results.journal if results is not None else None
        confirm_new = None if settings.yes else confirm_new
        self._creator = RecordCreator(settings, self._preflight.names, self._sender, journal, confirm_new)
        self._batch = Batch(settings.mode)
        self._intake = Intake(settings, sources, self._batch, self._preflight)
        self._resume = Resume(failed_only=failed_only, names_of=self._preflight.names.names_of_target)
        self._queue: WorkQueue[Work] = WorkQueue(settings.queue_size)
        self.summary = Summary(results.path if results is not None else None)
        self._writer = ResultsWriter(results, self.summary, 2 * settings.concurrency, deliver)
        lifted = settings.yes or settings.blind or dry
        self._guard = Guard(settings.max_removals, floor=floor(settings), lifted=lifted)
        self._consent = Consent(is_given=settings.allow_unreadable or dry, ask=confirm_unreadable, writer=self._writer)
        self._admission = Admission(settings, self._guard, self._consent, self.summary, confirm, self._guarded)
        self._layout = Layout()
        self.visibility = Visibility()
        self._workers = Workers(
            settings,
            self._sender,
            self._queue,
            self._admission,
            self._consent,
            self._writer,
            journal,
            self._creator,
            self._layout,
            self.summary,
            self.visibility,
            reads,
            dry=dry,
        )

    def __repr__(self) -> str:
        return f"<Pipeline {self._batch!r} {self._queue!r} {self._workers!r} {self._limiter!r}>"

    @property
    def names(self) -> NameResolver:
        """The names of records, as far as the run has read them."""
        return self._preflight.names

    @property
    def kept_results(self) -> Path | None:
        """The new name of the results file that this run has renamed; None if there was none."""
        return self._file.kept if self._file is not None else None

    @property
    def rows_without_mode(self) -> int:
        """How many rows read so far leave their mode to the run."""
        return self._intake.without_mode

    @property
    def links_read(self) -> int:
        """How many links the targets read so far hold."""
        return self._guard.read

    @property
    def most_removals(self) -> int:
        """How many links may be removed without consent, by what was read so far."""
        return self._guard.budget

    @property
    def unreadable(self) -> int:
        """How many rows read so far do not tell their target."""
        return self._intake.without_target

    def stop(self, why: Stopped | Unreachable | None = None) -> None:
        """Send nothing new. The run ends when the requests in flight have ended; it raises `why` then, if given."""
        self._why_stopped = self._why_stopped or why
        if isinstance(why, Unreachable) and self._file is not None:
            self._file.discard()  # nothing was sent
        self.summary.stopped = True
        self._stop.set()
        self._limiter.wake()
        self._sender.breaker.wake()

    def _guarded(self, error: GuardStopped) -> None:
        if not error.written and self._file is not None:
            self._file.discard()
        self.stop(error)

    def progress(self) -> Progress:
        """Return how far the run is."""
        return Progress(
            read=self._is_read,
            jobs=self._intake.jobs,
            targets=self._batch.targets,
            targets_done=self._workers.targets_done,
            requests=self._pool.requests,
            paused_s=self._limiter.paused_s,
            delay=self._limiter.delay,
            outage=self._sender.breaker.is_outage,
            elapsed_s=asyncio.get_running_loop().time() - self._started,
        )

    async def run(self) -> None:
        """Do the whole batch.

        Raises:
            UsageError: a source, the scope or the results file cannot be used; nothing was written.
            Stopped: the run ended early; what was done is in the results.
        """
        self._started = asyncio.get_running_loop().time()
        for source in self._sources:
            source.check(self._settings.encoding)
            if isinstance(source, UndoFile):
                source.check_account(self._settings.base_url)
        self._preflight.names.check()
        with self._file or nullcontext():
            try:
                with ungrouped():
                    await self._connected()
            except UsageError:
                if self._file is not None:
                    self._file.discard()  # nothing was sent
                raise
            finally:
                self._writer.flush()
                self.summary.requests = self._pool.requests
                if self._dry and self._reads is not None:
                    self._reads.end(asyncio.get_running_loop().time())
                self.summary.created = self._creator.count
                self.summary.elapsed_s = asyncio.get_running_loop().time() - self._started
                if self._file is not None and self.summary.stopped and not self.summary.jobs:
                    self._file.discard()
            if self._why_stopped is not None:
                raise self._why_stopped
            if self._file is not None and self._file.journal.pending and not self.summary.stopped:
                self._log.warning(
                    log.LEFT_OPEN, targets=self._file.journal.pending, journal=str(self._file.journal.path)
                )
            changed = next((source.name for source in self._sources if source.changed()), None)
            if changed is not None and not self._dry and not self.summary.stopped:
                raise InputChanged(f"{changed} was changed after linker read it; run again to do what it says now")

    async def _connected(self) -> None:
        async with self._pool, asyncio.TaskGroup() as group:
            writer = group.create_task(self._writer.run())
            stages = group.create_task(self._stages())
            watch = group.create_task(self._drain(stages))
            await asyncio.wait({stages})
            watch.cancel()
            self._writer.end()
            await writer

    async def _drain(self, stages: asyncio.Task[None]) -> None:
        """When the run is stopped, let requests in flight end within `drain_s`."""
        await self._stop.wait()
        self._log.info(log.STOPPING, under_way=self._queue.stats().unfinished, drain_s=self._settings.drain_s)
        await asyncio.wait({stages}, timeout=self._settings.drain_s)
        stages.cancel()

    async def _stages(self) -> None:
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(self._read_input())
            halt = group.create_task(self._halt(reading))
            await asyncio.wait({reading})
            halt.cancel()
            if self._stop.is_set():
                return
            feeding = group.create_task(self._feed(group))
            halt = group.create_task(self._halt(feeding))
            await self._workers.run(min(self._settings.concurrency, max(1, self._batch.targets)), group)
            feeding.cancel()
            halt.cancel()

    async def _halt(self, stage: asyncio.Task[None]) -> None:
        """When the run is stopped, end a stage that brings new work, and give up the work that waits."""
        await self._stop.wait()
        stage.cancel()
        await self._workers.leave_waiting()

    async def _read_input(self) -> None:
        """Read all input. A batch is declarative, so nothing is sent before its last line is known."""
        if self._file is not None and self._file.resume:
            await self._resume.read(self._file)
        if self._done_in is not None:
            account = None if self._settings.account_unchecked else self._settings.base_url
            await self._resume.peek(self._done_in, account)
        if self._file is not None:
            self._preflight.names.created_before = self._file.created_before
        async with aclosing(self._intake.read()) as rejected:
            async for some in rejected:
                await self._writer.take([*some])
        self._creator.pass_over_seen()
        self._check_rows()
        if self._mirrored is not None:
            await self._mirror(*self._mirrored)
        if self._resume.has_results:
            self.summary.passed_over = await asyncio.to_thread(self._batch.skip, self._resume.is_done)
            left_open = len(self._resume.left_open)
            self._log.info(log.RESUMED, jobs_done=self.summary.passed_over, left_open=left_open)
        if self._batch.targets and (faults := await self._preflight.faults()):
            results = starmap(Result.rejected, self._batch.reject(faults))
            while some := list(islice(results, _REJECTED_AT_ONCE)):
                await self._writer.take(some)
        for source in self._sources:
            if source.changed():
                self.stop(InputChanged(f"{source.name} was changed while linker read it; nothing was sent. Run again"))
        self._is_read = True
        self.summary.rows = self._intake.jobs
        self._layout.defined = self._preflight.names.fields is not None
        self._log.info(log.BATCH_READ, jobs=self._intake.jobs, targets=self._batch.targets)

    def _check_rows(self) -> None:
        """Warn of sources without rows. Raises `NoRows` if there are fewer rows than the settings ask for."""
        rows, least = self._intake.rows, self._settings.min_rows
        if least is not None and rows < least:
            has = "1 row" if rows == 1 else f"{rows:,} rows"
            raise NoRows(f"the input has {has}, but --min-rows asks for {least:,}; nothing was written")
        for name in self._intake.empty:
            if not any(isinstance(source, UndoFile) for source in self._sources):
                self._log.warning(log.NO_ROWS, source=name)
        self._consent.require(self._intake.without_target, self._intake.first_without_target)

    async def _mirror(self, scope: Listing, field: str) -> None:
        """Add a job that clears the field for each target of the scope that the sources do not name."""
        count = self._intake.without_target
        if count and not self._settings.allow_unreadable:
            rows = "1 row could not be read" if count == 1 else f"{count:,} rows could not be read"
            raise UsageError(
                f"{rows} (first: {self._intake.first_without_target}) and may belong to {scope.words} that --mirror "
                "would clear; nothing was written. Correct the input, or add --allow-unreadable"
            )
        if not self._settings.allow_empty and (self._intake.empty or not self._batch.targets):
            what = f"{self._intake.empty[0]} has no rows" if self._intake.empty else "the input has no valid row"
            raise NoRows(
                f"{what}, so --mirror would clear {field} of all {scope.words} that no row names; nothing was written. "
                "To do that, add --allow-empty"
            )
        if not self._batch.targets:
            self._admission.allow_all()  # `allow_empty` is the consent to clear the scope
        await self._preflight.check_field(scope.kind, field)
        jobs = [
            job async for job in clears(self._batch, scope, field, self._fetch, self._resume.is_open, self.visibility)
        ]
        for job in jobs:  # not before all are known: the batch decides which are named
            self._intake.add(MIRROR, None, job)

    async def _feed(self, owner: asyncio.TaskGroup) -> None:
        """Read the current state of all targets, and put the works into the queue."""
        fetch = self._fetch
        feeder = Feeder(
            self._settings,
            StateReader(self._batch, fetch, self._queue, owner, self.visibility),
            self._queue,
            self._workers,
            self._admission,
            self._writer,
            self._resume,
            self.visibility,
            fetch,
            dry=self._dry,
            blind=self._blind,
            defined=self._layout.defined,
        )
        await feeder.feed()
        await self._settle_consent()
        if self._file is not None and not self._admission.full:  # now no target comes back by its other name
            self._file.journal.settle(self._resume.settled)
        self._queue.close()

    async def _settle_consent(self) -> None:
        """When all other targets are done, ask about those that would lose links although rows could not be read."""
        if not self._consent.is_needed or self._admission.full:
            return
        await self._queue.idle()
        works, rejected = await self._consent.settle()
        self._workers.targets_done += rejected
        for work in await self._admission.admit(works) if works else ():
            await self._queue.put(work)
