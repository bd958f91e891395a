"""The workers: each takes one target at a time as far as it goes, one request after the other.

A work that waits (for its retry, for another look at its page) is handed over and holds no worker meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from linker import log
from linker.api.answers import Answer, Reply
from linker.api.requests import Request
from linker.batch.merge import Job
from linker.batch.placeholder import place_of
from linker.errors import Stopped, TimedOut
from linker.pipeline.guard import Admission
from linker.pipeline.workqueue import WorkQueue
from linker.ratelimit.limiter import Closed
from linker.records.create import RecordCreator
from linker.results.journal import Journal
from linker.results.result import Outcome
from linker.results.writer import ResultsWriter
from linker.retry.backoff import Backoff
from linker.retry.sender import Decision, Retry, Sender
from linker.retry.verdict import Accept, GiveUp, Pause
from linker.work.attempts import PageSeen, Step
from linker.work.layout import Layout
from linker.work.work import Work

__all__ = ["Workers"]


class Workers:
    """Send what works ask for, and deal with what comes back."""

    def __init__(
        self,
        sender: Sender,
        queue: WorkQueue[Work],
        backoff: Backoff[Work],
        admission: Admission,
        writer: ResultsWriter,
        journal: Journal | None,
        creator: RecordCreator,
        layout: Layout,
    ) -> None:
        self._sender = sender
        self._queue = queue
        self._backoff = backoff
        self._admission = admission
        self._writer = writer
        self._journal = journal
        self._creator = creator
        self._layout = layout
        self._breaker = sender.breaker
        self._held: list[tuple[Work, GiveUp]] = []  # given up while it may be an outage
        self._log = log.get_logger()
        self.targets_done = 0

    async def run(self, owner: asyncio.TaskGroup) -> None:
        """One worker, until there is nothing more to do. `owner` owns what outlives one work."""
        async for work in self._queue:
            if self._admission.full and not work.admitted:
                self._queue.done()
            elif await self._advance(work, owner):
                self.targets_done += work.step is None
                self._queue.done()
            if self._held and (not self._breaker.in_streak or self._queue.stats().unfinished == len(self._held)):
                await self.settle_held()

    async def _advance(self, work: Work, owner: asyncio.TaskGroup) -> bool:
        """Take a work as far as it goes; False where it waits for something, and comes back."""
        loop = asyncio.get_running_loop()
        while work.step is not None:
            reply: Reply | None
            try:
                reply = await self._send(work, owner)
            except (Closed, Stopped) as error:
                await self._leave(work, error)
                return True
            if reply is not None:
                planning = work.step is not Step.WRITE
                decision = self._sender.judge(work.asked, reply, work.attempt, work.spent, work.refusal)
                if self._waits(work, decision, reply):
                    return False
                await self._take(work, self._settle(work, decision, loop.time()))
                if planning and not await self._admission.admit([work]):
                    return True
                if isinstance(decision, GiveUp) and decision.http_status == 401:
                    return True
            elif self._breaker.is_open and work.step is not None:
                self._go_back(work)
                return False
            elif work.page is not None and work.is_old(loop.time()):
                self._park(work, work.page, owner)
                return False
        return True

    async def _prepare(self, work: Work, owner: asyncio.TaskGroup) -> None:
        """Before a PUT leaves for the first time: what layouts lack is not sent, and missing records are made.

        Raises:
            Closed: the run is being stopped.
        """
        if not (self._layout.stops or self._creator.is_needed):
            return
        now = asyncio.get_running_loop().time
        target = work.pending.desired.target
        if stopped := self._layout.stopped(target, work.asked.put or ()):
            error = self._layout.error(target, stopped)
            await self._take(work, work.drop(error, lambda job: not stopped.isdisjoint(job.links), now(), tried=False))
        if work.step is None or not (new := work.pending.new):
            return
        created, errors = await self._creator.create(target.kind, new, owner)
        for field, lost in errors.items():
            for name, error in lost.items():
                await self._take(work, work.drop(error, partial(_names, field, place_of(name)), now(), tried=True))
        if work.step is not None:
            work.pending.fill(created)

    async def _send(self, work: Work, owner: asyncio.TaskGroup) -> Reply | None:
        """What comes of a work's request; None where there was nothing to send any more.

        A PUT is noted before it takes its turn, for nothing may come between a turn and its request: where another
        plan has taken its place by then, it does not leave.
        """
        if work.is_fresh:
            await self._prepare(work, owner)
            if work.step is None:
                return None
        choose: Callable[[float], Request | None] = work.request
        if self._journal is not None and work.step is Step.WRITE:
            if not work.is_noted:
                await self._journal.note(work.intent())

            def choose(now: float) -> Request | None:
                return work.request(now) if work.is_noted else None

        reply = await self._sender.send(choose, first=work.goes_first)
        if reply is not None and work.sent_at is None:
            work.sent_at = reply.sent_at
        if isinstance(reply, TimedOut) and reply.suspended:
            work.forgive()
        return reply

    async def _leave(self, work: Work, why: Closed | Stopped) -> None:
        """Nothing more is sent for a work."""
        if isinstance(why, Stopped):
            self._sender.end(why)
        if self._journal is not None and not work.sent.in_doubt:
            self._journal.settle(work.targets)  # what was noted has not been sent
        await self._take(work, work.unchecked(asyncio.get_running_loop().time()))

    def _go_back(self, work: Work) -> None:
        """There is an outage: what it has failed goes back to the queue, as if it had never been tried."""
        held, self._held = self._held, []
        for each in (*(each for each, _ in held), work):
            each.forgive()
            each.refusal = 0
            self._queue.again(each)

    async def settle_held(self) -> None:
        """It was no outage: what was given up meanwhile has failed."""
        held, self._held = self._held, []
        for work, decision in held:
            await self._take(work, self._settle(work, decision, asyncio.get_running_loop().time()))
            self.targets_done += work.step is None
            self._queue.done()

    async def _take(self, work: Work, outcomes: list[Outcome]) -> None:
        if work.step is None and work.taken:
            self._layout.learn(work.pending.desired.target, work.taken)
        await self._writer.take(outcomes, work.targets if work.step is None else ())

    def _waits(self, work: Work, decision: Decision, reply: Reply) -> bool:
        """Whether a work is not done with its request; then it waits in backoff, in the queue, or is held."""
        match decision:
            case Retry(after_s):
                work.refusal = 0
                self._backoff.wait(work, after_s)
                return True
            case GiveUp() if self._breaker.suspects(reply):
                self._held.append((work, decision))
                return True
            case Pause():
                work.refused()
                self._queue.again(work)
                return True
            case _:
                return False

    def _settle(self, work: Work, decision: Decision, now: float) -> list[Outcome]:
        match decision:
            case Accept(answer):
                return work.answered(answer, now)
            case GiveUp(error, http_status):
                self._sender.give_up(work.asked, decision)
                return work.unchecked(now) if http_status == 401 else work.failed(error, http_status, now)
            case _:
                return []

    def _park(self, work: Work, page: PageSeen[Work], owner: asyncio.TaskGroup) -> None:
        """What its page said is too old: the page is read again, once, for all of its works that are not written."""
        page.parked.append(work)
        if len(page.parked) == 1:
            owner.create_task(self._refresh(page))

    async def _refresh(self, page: PageSeen[Work]) -> None:
        answer = await self._sender.fetch(page.request)
        now = asyncio.get_running_loop().time()
        items = answer.page.items if isinstance(answer, Answer) and answer.page is not None else ()
        seen = {name: item for item in items for name in (item.reference, item.id) if name}
        outcomes: list[Outcome] = []
        for work in list(page.unsent):
            item = seen.get(work.pending.desired.target.id)
            if item is None or item.links is None or not isinstance(answer, Answer):
                work.read_again()
            else:
                outcomes += work.see(item.links, 200, answer.sent_at, now)
        ended = [work for work in page.unsent if work.step is None]
        page.unsent = {work for work in page.unsent if work.step is Step.WRITE}
        await self._writer.take(outcomes, [target for work in ended for target in work.targets])
        await self._admission.admit(list(page.unsent))
        parked, page.parked = page.parked, []
        for work in parked:
            work.freshness.looks += 1
            self._queue.again(work)


def _names(field: str, place: str, job: Job) -> bool:
    """Whether a job names the record that has a place."""
    return place in job.links.get(field, ())
