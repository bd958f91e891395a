"""Turns the targets that were read into works, and puts these into the work queue.

An answer leaves out the links of a target that holds none, and some answers leave out all links. So while no answer of
a kind has shown links, one target of that kind goes first, alone: the pioneer. It is read singly, written, and read
back singly and through its list. Then all go on: with lists, without lists, or (no links shown) without a `before`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from typing import Final

from linker.api.answers import Answer
from linker.api.lists import Listing, PageRequest
from linker.api.requests import Request
from linker.api.visibility import Endpoint, Visibility
from linker.batch.merge import DesiredState, Job
from linker.batch.placeholder import is_new
from linker.errors import Error
from linker.model.job import Links
from linker.model.target import Kind, Target
from linker.pipeline.guard import Admission
from linker.pipeline.mirror import SCOUTS
from linker.pipeline.reader import Snapshot, StateReader
from linker.pipeline.resume import Resume
from linker.pipeline.workers import Workers
from linker.pipeline.workqueue import WorkQueue
from linker.results.outcomes import Outcomes
from linker.results.result import Result
from linker.results.writer import ResultsWriter
from linker.retry.sender import Fetch
from linker.settings import Settings
from linker.work.attempts import PageSeen, Step
from linker.work.layout import workspace_of
from linker.work.work import Work

_PASSES: Final = 4
"""Pioneers that only the answer to their PUT shows, after which GETs are taken to hide links."""


class Feeder:
    """Feeds the work queue of one run.

    Args:
        dry: plan only.
        blind: write without reading, if no job needs the current list.
        defined: the account is known to define all fields of the jobs.
    """

    def __init__(
        self,
        settings: Settings,
        reader: StateReader,
        queue: WorkQueue[Work],
        workers: Workers,
        admission: Admission,
        writer: ResultsWriter,
        resume: Resume,
        visibility: Visibility,
        fetch: Fetch,
        *,
        dry: bool,
        blind: bool,
        defined: bool,
    ) -> None:
        self._settings = settings
        self._reader = reader
        self._queue = queue
        self._workers = workers
        self._admission = admission
        self._writer = writer
        self._resume = resume
        self._visibility = visibility
        self._fetch = fetch
        self._dry = dry
        self._blind = blind
        self._defined = defined
        self._held: list[Snapshot] = []  # of one kind, until it is known what a missing key means
        self._concluded: set[Kind] = set()  # kinds of which no further target can tell more
        self._off_layout: set[tuple[Kind, str]] = set()
        self._shown_by_put: Counter[Kind] = Counter()

    def __repr__(self) -> str:
        return f"<Feeder, {len(self._held)} held>"

    async def feed(self) -> None:
        """Read the current state of all targets, and put their works into the queue."""
        async with aclosing(self._reader.snapshots(blind=self._blind)) as groups:
            async for group in groups:
                if self._held and self._held[0].kind is not group[0].kind:
                    await self._release()
                await self._take_in(group)
                if self._admission.full:
                    return
        await self._release()

    async def _take_in(self, group: Sequence[Snapshot]) -> None:
        """Start the targets of which it is known what they hold; find out about the others, or hold them."""
        unclear = [snapshot for snapshot in group if self._is_unclear(snapshot)]
        if not unclear:
            await self._start(group)
            return
        await self._start([snapshot for snapshot in group if not self._is_unclear(snapshot)])
        if self._dry:
            await self._scout(unclear)
            return
        while unclear and self._is_unclear(unclear[0]):
            pioneer = self._choose_pioneer(unclear)
            if pioneer is None:
                self._held += unclear
                return
            unclear.remove(pioneer)
            await self._send_pioneer(pioneer)
            if self._admission.full:
                return
        await self._start(unclear)

    async def _release(self) -> None:
        """Start the targets that were held: no other target of their kind can tell more."""
        held, self._held = self._held, []
        await self._scout(held)

    async def _scout(self, snapshots: Sequence[Snapshot]) -> None:
        """Read a few targets singly, where a list shows no links. If they show some, the list leaves them out."""
        scouts = [snapshot for snapshot in snapshots if self._is_unclear(snapshot)][:SCOUTS]
        if scouts:
            await self._workers.wait_for(await self._start(scouts, read=True))
            kind = scouts[0].kind
            if self._dry and not self._visibility.is_answering(kind, Endpoint.READ):
                await self._seek_proof(kind)
            if self._visibility.is_answering(kind, Endpoint.READ):
                self._visibility.drop_lists(kind)
            self._concluded.add(kind)
        await self._start([snapshot for snapshot in snapshots if snapshot not in scouts])

    async def _seek_proof(self, kind: Kind) -> None:
        """Look for any target of a kind that holds links, since a plan writes none: then a missing list means none."""
        listing = Listing.of(kind, "")
        page = await self._fetch(listing.page(1)) if listing is not None else None
        for item in page.page.items if isinstance(page, Answer) and page.page is not None else ():
            links = self._visibility.observe(kind, Endpoint.LIST, item)
            if links and any(links.values()) and item.id:
                answer = await self._fetch(Request(Target(kind, item.id)))
                if isinstance(answer, Answer):
                    self._visibility.observe(kind, Endpoint.READ, answer.target)
                return

    def _choose_pioneer(self, snapshots: Sequence[Snapshot]) -> Snapshot | None:
        """The target whose links are written first: one with whole lists if there is any; None if none brings links."""
        candidates = list(filter(self._brings_links, snapshots))
        by_whole_lists = [each for each in candidates if each.desired is not None and not each.desired.needs_before]
        if candidates and candidates[0].kind is Kind.PRODUCT:  # most likely hides its links, which an `add` would drop
            candidates = []
        ready = [each for each in by_whole_lists or candidates if not _needs_creation(each)]  # else all would wait
        return next(iter(ready or by_whole_lists or candidates), None)

    def _brings_links(self, snapshot: Snapshot) -> bool:
        """Whether a target is to hold links that its jobs name, on a layout that may have their fields."""
        desired = snapshot.desired
        if desired is None or (snapshot.kind, workspace_of(desired.target)) in self._off_layout:
            return False
        return any(((links.replace or frozenset()) | links.add) - links.remove for links in desired.fields.values())

    async def _send_pioneer(self, snapshot: Snapshot) -> None:
        """Let one target go alone, and conclude from it what the answers of its kind show."""
        kind, visibility = snapshot.kind, self._visibility
        works = await self._start([snapshot], read=True, is_pioneer=True)
        await self._workers.wait_for(works)
        if visibility.is_answering(kind, Endpoint.READ):
            if snapshot.page is not None and not visibility.is_proved(kind, Endpoint.LIST):
                visibility.drop_lists(kind)
            return
        for work in works:
            is_written = work.in_flight.answer is not None
            if work.is_off_layout:
                self._off_layout.add((kind, workspace_of(work.pending.desired.target)))
            elif is_written and visibility.is_proved(kind, Endpoint.WRITE) and self._shown_by_put[kind] < _PASSES:
                self._shown_by_put[kind] += 1  # somebody may have removed the links since
            elif is_written:
                self._concluded.add(kind)
                if not visibility.can_be_read(kind):
                    visibility.conclude_unseen(kind)

    def _is_unclear(self, snapshot: Snapshot) -> bool:
        """Whether it is not known yet what it means that no answer shows the target's links."""
        desired, kind = snapshot.desired, snapshot.kind
        if desired is None or snapshot.error is not None or kind in self._concluded:
            return False
        if self._blind and not desired.needs_before:
            return False
        return not self._visibility.is_answering(kind, Endpoint.READ) and self._links(snapshot) is None

    def _links(self, snapshot: Snapshot) -> Links | None:
        """The links that an answer has shown; None if none has."""
        if snapshot.item is None or snapshot.desired is None or snapshot.item.obscures(snapshot.desired.fields):
            return None
        endpoint = Endpoint.READ if snapshot.page is None else Endpoint.LIST
        return self._visibility.observe(snapshot.kind, endpoint, snapshot.item)

    def _needs_read(self, snapshot: Snapshot) -> bool:
        """Whether a target whose links no answer has shown must be read singly before it is planned."""
        assert snapshot.desired is not None
        if snapshot.item is not None and not snapshot.item.obscures(snapshot.desired.fields):
            return self._visibility.can_be_read(snapshot.kind) or snapshot.kind not in self._concluded
        return bool(snapshot.desired.needs_before) or not self._visibility.hides(snapshot.kind)

    async def _start(
        self, snapshots: Sequence[Snapshot], *, read: bool = False, is_pioneer: bool = False
    ) -> list[Work]:
        """Plan targets that were read together, and put them into the queue; return the works that were put there.

        The guard counts all of them before their first PUT.

        Args:
            read: read them singly, whatever a list has shown.
        """
        now = asyncio.get_running_loop().time()
        outcomes = Outcomes()
        works: list[Work] = []
        pages: dict[PageRequest, PageSeen[Work]] = {}
        for snapshot in snapshots:
            outcomes.add(_rejected, snapshot.rejected)
            self._workers.targets_done += snapshot.names - 1
            if snapshot.desired is None:
                self._workers.targets_done += 1
                continue
            work = self._work(snapshot, snapshot.desired, is_pioneer=is_pioneer)
            links = None if read else self._links(snapshot)
            if snapshot.error is not None:
                outcomes += work.failed(snapshot.error.error, snapshot.error.http_status, now)
            elif work.step is Step.READ and not read and (links is not None or not self._needs_read(snapshot)):
                outcomes += work.observe(links, snapshot.read_at or now, now)
            if work.step is Step.WRITE and snapshot.page is not None and links is not None:
                work.page = pages.setdefault(snapshot.page, PageSeen(snapshot.page))
                work.page.unsent.add(work)
            works.append(work)
        ended = [work for work in works if work.step is None]
        await self._writer.take(outcomes, [target for work in ended for target in work.targets])
        admitted = [work for work in await self._admission.admit(works) if work.step is not None]
        self._workers.targets_done += sum(work.step is None for work in works)
        for work in admitted:
            await self._queue.put(work)
        return admitted

    def _work(self, snapshot: Snapshot, desired: DesiredState, *, is_pioneer: bool) -> Work:
        return Work(
            desired,
            self._visibility,
            max_age_s=self._settings.max_age,
            number_change=self._resume.change_numbers.__next__,
            page=snapshot.page,
            is_pioneer=is_pioneer,
            blind=self._blind,
            dry=self._dry,
            open_intent=self._resume.intent(desired),
            defined=self._defined,
            is_off_layout=bool(self._off_layout) and (snapshot.kind, workspace_of(desired.target)) in self._off_layout,
        )


def _needs_creation(snapshot: Snapshot) -> bool:
    """Whether a record must be created before the target can be written."""
    assert snapshot.desired is not None
    return any(is_new(id) for job in snapshot.desired.jobs for ids in job.links.values() for id in ids)


def _rejected(rejected: tuple[Job, Error]) -> Result:
    return Result.rejected(*rejected)
