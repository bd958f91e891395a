"""The workers: each takes one target at a time as far as it goes, one request after the other.

A target that waits, for its retry or until its page is read again, holds no worker meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from linker.api.answers import Answer, Reply
from linker.api.lists import PageRequest
from linker.api.requests import ApiRequest
from linker.api.visibility import Visibility
from linker.batch.placeholder import place_of
from linker.errors import BadAnswer, ErrorType, ResultsUnwritable, TimedOut
from linker.pipeline.consent import Consent
from linker.pipeline.guard import Admission
from linker.pipeline.looks import PageLooks
from linker.pipeline.parked import ParkedWorks
from linker.pipeline.reads import Reads
from linker.pipeline.refresh import PageRefresh
from linker.pipeline.workqueue import WorkQueue
from linker.ratelimit.limiter import Closed
from linker.records.create import RecordCreator
from linker.results.journal import Journal
from linker.results.outcomes import Outcomes
from linker.results.summary import Summary
from linker.results.writer import ResultsWriter
from linker.retry.backoff import Backoff
from linker.retry.sender import Decision, Retry, Sender
from linker.retry.verdict import GiveUp, Pause, is_accepted
from linker.settings import Settings
from linker.work.attempts import Step
from linker.work.layout import Layout
from linker.work.work import Work


class Workers:
    """Send what works ask for, and act on the replies.

    Args:
        summary: its `puts` is kept up to date.
        reads: where a dry run stores what it reads; or what a dry run before this run has stored.
    """

    def __init__(
        self,
        settings: Settings,
        sender: Sender,
        queue: WorkQueue[Work],
        admission: Admission,
        consent: Consent,
        writer: ResultsWriter,
        journal: Journal | None,
        creator: RecordCreator,
        layout: Layout,
        summary: Summary,
        visibility: Visibility,
        reads: Reads | None = None,
        *,
        dry: bool = False,
    ) -> None:
        self._sender = sender
        self._kept = reads if dry else None
        self._earlier = reads if not dry else None
        self._longest_wait_s = settings.backoff_cap_s
        self._breaker = sender.breaker
        self._queue = queue
        self._admission = admission
        self._consent = consent
        self._writer = writer
        self._journal = journal
        self._creator = creator
        self._layout = layout
        self._summary = summary
        self._backoff: Backoff[Work] = Backoff(queue.again)
        self._parked = ParkedWorks(queue)
        self._looks = PageLooks(sender.fetch, settings.backoff_cap_s)
        self._refresh = PageRefresh(sender.fetch, queue, admission, writer, visibility)
        # they failed, but it may be an outage; with the number of outages before
        self._suspects: list[tuple[Work, GiveUp, int]] = []
        self._awaited: set[Work] = set()
        self._none_awaited = asyncio.Event()
        self.targets_done = 0

    def __repr__(self) -> str:
        return f"<Workers {self._backoff!r} {self._refresh!r}>"

    async def run(self, count: int, owner: asyncio.TaskGroup) -> None:
        """Run `count` workers until there is nothing more to do. `owner` owns the requests that several works share."""
        backoff = owner.create_task(self._backoff.run())
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(count):
                    group.create_task(self._work(owner))
        finally:
            backoff.cancel()
            await self.leave_waiting()  # of a stopped run: what was in flight then, and waits by now

    async def wait_for(self, works: Collection[Work]) -> None:
        """Wait until works that are in the queue have ended."""
        self._awaited = {work for work in works if work.step is not None and not work.ended}
        while self._awaited:
            self._none_awaited.clear()
            await self._none_awaited.wait()

    def _done(self, work: Work) -> None:
        """Count a work that has ended."""
        work.ended = True
        self.targets_done += work.step is None
        self._queue.done()
        self._awaited.discard(work)
        if not self._awaited:
            self._none_awaited.set()

    async def leave_waiting(self) -> None:
        """Give up every work that waits for anything: the run is being stopped."""
        await self._settle_suspects()
        self._creator.end()
        waiting = (self._queue, self._backoff, self._refresh, self._parked, self._consent)
        for work in [work for stage in waiting for work in stage.drop()]:
            self._leave(work)

    async def _work(self, owner: asyncio.TaskGroup) -> None:
        async for work in self._queue:
            if (self._admission.full and not work.admitted) or await self._advance(work, owner):
                self._done(work)
            if self._suspects and (not self._breaker.in_streak or self._are_last(self._suspects)):
                await self._settle_suspects()

    def _are_last(self, suspects: list[tuple[Work, GiveUp, int]]) -> bool:
        return self._queue.stats().unfinished == len(suspects)

    async def _advance(self, work: Work, owner: asyncio.TaskGroup) -> bool:
        """Take a work as far as it goes. Return False if it waits for something, and comes back to the queue."""
        while work.step is not None and not work.is_on_hold:
            if (wait_s := work.take_wait()) is not None:
                wait_s = min(wait_s, self._longest_wait_s)
                self._backoff.wait(work, self._looks.together(wait_s) if work.step is Step.CHECK_PAGE else wait_s)
                return False
            if work.step is Step.CHECK_PAGE:
                if not await self._look_at_page(work, owner):
                    return True
                continue
            try:
                reply = await self._send(work, owner)
            except Closed:
                self._leave(work)
                return True
            if reply is not None:
                is_planning = work.step is not Step.WRITE
                if is_accepted(reply):
                    await self._accept(work, reply)
                else:
                    decision = self._sender.judge(work, reply, work.attempt, work.spent, work.refusal)
                    if self._waits(work, decision, reply):
                        return False
                    if not await self._settle(work, decision):
                        return True
                if is_planning and not await self._admission.admit([work]):
                    return True
            elif self._comes_back(work, owner):
                return False
        return True

    def _read_before(self, work: Work, earlier: Reads) -> Answer | None:
        """Return what the dry run before this run has read of a target that was not sent anything yet."""
        if work.step is not Step.READ or work.attempt or work.in_flight.fields:
            return None
        now = asyncio.get_running_loop().time()
        answer = earlier.take(work.current_request, now)
        if answer is not None:
            work.request(now)
        return answer

    def _comes_back(self, work: Work, owner: asyncio.TaskGroup) -> bool:
        """Let a work wait whose request was not sent, or failed of an outage; return whether it waits."""
        if work in self._parked:
            return True
        if self._breaker.is_outage and work.step is not None:
            self._go_back(work)
            return True
        if work.page is not None and work.is_old(asyncio.get_running_loop().time()):
            self._refresh.wait(work, work.page, owner)
            return True
        return False

    async def _look_at_page(self, work: Work, owner: asyncio.TaskGroup) -> bool:
        """Read the page that showed a work's target again. Return False if the run is being stopped."""
        is_shared = work.has_waited
        request = work.request(asyncio.get_running_loop().time())
        assert isinstance(request, PageRequest)
        answer = await self._looks.read(request, owner, is_shared=is_shared)
        if answer is None:
            self._leave(work)
            return False
        await (self._accept(work, answer) if isinstance(answer, Answer) else self._settle(work, answer))
        return bool(await self._admission.admit([work]))

    async def _send(self, work: Work, owner: asyncio.TaskGroup) -> Reply | None:
        """Send a work's request, and return the reply; None if it was not sent, or failed of an outage.

        Raises:
            Closed: the run is being stopped.
        """
        if self._earlier is not None and (answer := self._read_before(work, self._earlier)) is not None:
            return answer
        if self._creator.is_needed and work.is_fresh and not await self._prepare(work, owner):
            return None
        journal = self._journal if work.step is Step.WRITE else None
        if journal is not None and not work.is_noted:
            try:
                await journal.note(work.intent())
            except ResultsUnwritable as error:
                self._sender.end(error)
                raise Closed from None

        def choose(now: float) -> ApiRequest | None:
            if work.is_on_hold or (journal is not None and not work.is_noted):  # planned anew; await nothing here
                return None
            request = work.request(now)
            self._count_written(work)
            return request

        reply = await self._sender.send(choose, first=work.goes_first)
        if reply is not None and work.sent_at is None:
            work.sent_at = reply.sent_at
        if isinstance(reply, TimedOut) and reply.suspended:
            work.forgive()
        return reply

    async def _prepare(self, work: Work, owner: asyncio.TaskGroup) -> bool:
        """Before the first PUT: create missing records. Return whether the PUT can leave.

        If a record is in doubt, the work is parked until it is known whether it exists.

        Raises:
            Closed: the run is being stopped.
        """
        if not (new := work.pending.new):
            return True
        now = asyncio.get_running_loop().time
        creations = await self._creator.create(work.pending.desired.target.kind, new, owner)
        if creations.in_doubt:
            self._parked.wait(work, creations.in_doubt, owner)
            return False
        if creations.errors:
            by_place = {
                (field, place_of(name)): error
                for field, by_name in creations.errors.items()
                for name, error in by_name.items()
            }
            await self._take(work, work.drop(by_place, now(), tried=not self._creator.is_refused))
        if work.step is not None:
            work.pending.fill(creations.ids)
        return work.step is not None

    def _waits(self, work: Work, decision: Decision, reply: Reply) -> bool:
        """Let a work wait if its request is sent again, or may have failed of an outage; return whether it waits."""
        match decision:
            case Retry(after_s):
                work.refusal = 0
                if work.step is Step.WRITE and isinstance(reply, BadAnswer) and reply.is_taken:
                    work.answered_unusably(asyncio.get_running_loop().time())
                self._backoff.wait(work, after_s)
                return True
            case GiveUp() if self._breaker.suspects(reply):
                self._suspects.append((work, decision, self._breaker.outages))
                return True
            case Pause(in_doubt=True):  # a proxy's page: the account may have taken the PUT
                work.forgive()
                work.refusal += 1
                self._queue.again(work)
                return True
            case Pause():
                work.refused()
                self._count_written(work)
                self._queue.again(work)
                return True
            case _:
                return False

    async def _accept(self, work: Work, answer: Answer) -> None:
        """Take the answer to a work's request, and the results that follow from it."""
        if self._kept is not None and work.step is Step.READ:
            self._kept.keep(work.current_request, answer)
        await self._take(work, work.answered(answer, asyncio.get_running_loop().time()))

    async def _settle(self, work: Work, decision: Decision) -> bool:
        """Take the failure of a work's request, and the results; return whether anything more may be sent."""
        if isinstance(decision, GiveUp):
            error = decision.error
            self._sender.give_up(work.current_request, decision)
            if error.type is ErrorType.UNAUTHORIZED:  # not the work's failure: a later run does it
                work.refused()
                self._leave(work)
                return False
            await self._take(work, work.failed(error, decision.http_status, asyncio.get_running_loop().time()))
        return True

    def _go_back(self, work: Work) -> None:
        """There is an outage: put what has failed of it back into the queue, as if it had never been tried."""
        suspects, self._suspects = self._suspects, []
        for failed in (*(suspect for suspect, _, _ in suspects), work):
            self._start_over(failed)

    def _start_over(self, work: Work) -> None:
        work.forgive()
        work.refusal = 0
        self._queue.again(work)

    async def _settle_suspects(self) -> None:
        """There is no outage: what may have failed of one has failed, unless there was one since."""
        suspects, self._suspects = self._suspects, []
        for work, given_up, outages in suspects:
            if self._breaker.outages > outages:
                self._start_over(work)
                continue
            if not await self._settle(work, given_up) or work.step is None:
                self._done(work)
            else:  # a look at what was written has failed, and another step comes
                self._queue.again(work)

    def _leave(self, work: Work) -> None:
        """Give a work up, for nothing more is sent. If its PUT was noted and never left, the journal forgets it.

        A PUT that was taken and is not confirmed yet stays open in the journal: the run that resumes reads its target.
        """
        if self._journal is not None and not work.in_flight.in_doubt:
            self._journal.settle(work.targets)

    async def _take(self, work: Work, outcomes: Outcomes) -> None:
        self._count_written(work)
        if work.step is None and work.taken:
            self._layout.learn(work.pending.desired.target, work.taken)
        await self._writer.take(outcomes, work.targets if work.step is None else ())

    def _count_written(self, work: Work) -> None:
        """Count a target as written to while a PUT to it was taken, or may have been; not when it was refused."""
        is_written = bool(work.in_flight.fields)
        if is_written is not work.counted_as_written:
            self._summary.puts += 1 if is_written else -1
            work.counted_as_written = is_written
