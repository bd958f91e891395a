"""What the targets hold now, in the fewest reads.

For each list of the account that a batch touches, the cheaper of single GETs and pages of 200. The first page tells
how long the list is, so the choice costs one request at most; and it tells whether the list can be used at all: one
that leaves links or names out is given up for single GETs after one page. Whatever a list does while it is paged
(shifts, ends early, fails half-way), no target is missed and none is taken twice: a target leaves the batch when it
is seen, and what was not seen is read by itself.

Pages are read as the queue empties, not all at once, so that what they say is fresh when it is written.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Sequence
from contextlib import aclosing
from itertools import islice
from typing import Any, Final, TypeGuard, TypeVar

import msgspec

from linker.api.answers import Answer, Listed
from linker.api.lists import Listing, PageRequest
from linker.api.requests import Request
from linker.batch.batch import Batch
from linker.batch.merge import DesiredState, Job
from linker.errors import Error
from linker.model.job import Links
from linker.model.target import Kind, Target
from linker.pipeline.workqueue import WorkQueue
from linker.retry.sender import Fetch
from linker.retry.verdict import GiveUp

__all__ = ["Snapshot", "StateReader"]

R = TypeVar("R", Request, PageRequest)

_AHEAD: Final = 8
"""Most reads under way at once: at 5 requests a second and 1 s of latency it takes five to use the quota."""

_BLIND_AT_ONCE: Final = 100
"""Targets that nobody looks at, given on together: a turn of the loop for each costs more than their planning."""

_LITTLE: Final = 40
"""Works that wait for a worker, from which on no further page is read: eight seconds of work at 5 a second."""

_LOOKS: Final = 5
"""How often a list that fails is looked at again where a target by itself fails as well: there is an outage then."""

_TARGETS_A_PRODUCT: Final = 100
"""Targets for each product from which on the products' lists are read instead of the account's."""

_WORTH_A_PAGE: Final = 3
"""Targets from which on a list's first page is looked at: it may waste one request; for two it would save one."""


class Snapshot(msgspec.Struct, frozen=True):
    """One target as the planner leaves it: its wish, and what is known of it.

    `names` is by how many the batch had it. `links` None: it is still to be read, by itself. `error`: it could not be
    read, and may be another target by another name, so nothing is sent. `page` is where it was seen, to be looked at
    again when that gets old.
    """

    desired: DesiredState | None
    rejected: list[tuple[Job, Error]]
    names: int = 1
    links: Links | None = None
    read_at: float = 0.0
    page: PageRequest | None = None
    error: GiveUp | None = None


class StateReader:
    """Sights of all targets of a batch, in groups that were read at once.

    Args:
        fetch: sends a request until there is an answer that counts, or none will come.
        queue: where the works go; while there is more than a little in it, no further page is read.
        owner: the task group that owns the requests under way.
    """

    def __init__(
        self,
        batch: Batch,
        fetch: Fetch,
        queue: WorkQueue[Any],
        owner: asyncio.TaskGroup,
    ) -> None:
        self._batch = batch
        self._fetch = fetch
        self._queue = queue
        self._owner = owner

    async def snapshots(self, *, blind: bool = False) -> AsyncGenerator[list[Snapshot], None]:
        """Everything that is to be done. Blind: nothing is read here, and two names are two targets."""
        if blind:
            desired_states = self._batch.desired_states()
            while group := [
                Snapshot(desired, rejected) for desired, rejected in islice(desired_states, _BLIND_AT_ONCE)
            ]:
                yield group
            return
        for kind, targets in self._batch.by_kind().items():
            for listing, listed in _by_listing(kind, targets).items():
                if listing is not None and len(listed) >= _WORTH_A_PAGE:
                    async for group in self._from_list(listing, listed):
                        yield group
            async for snapshot in self._by_themselves(kind, [target for target in targets if target in self._batch]):
                yield [snapshot]

    async def _from_list(self, listing: Listing, awaited: set[Target]) -> AsyncGenerator[list[Snapshot], None]:
        """The targets of one list that it shows, page by page, as long as that is cheaper than one by one."""
        await self._queue.low(_LITTLE)
        first = await self._fetch(listing.page(1))
        for _ in range(_LOOKS):
            if not _passing(first):
                break
            target = min(awaited)
            single, first = await self._fetch(Request(target)), await self._fetch(listing.page(1))
            if isinstance(single, Answer) and _passing(first):  # it is the list that is ill
                names = dict.fromkeys((target, *_names(listing.kind, single.target)))
                snapshot = self._seen(tuple(names), single.links, single.sent_at)
                if snapshot is not None:
                    yield [snapshot]
                return
        if not _usable(first):
            return
        seen = self._page(listing, first, 1, awaited)
        if seen:
            yield seen
        pages = first.page.pages or 1 if first.page is not None else 1
        async with aclosing(self._in_order(_worthwhile(listing, pages, awaited))) as further:
            async for request, answer in further:
                if not awaited or not _usable(answer):
                    return
                seen = self._page(listing, answer, request.number, awaited)
                if seen:
                    yield seen

    def _page(self, listing: Listing, answer: Answer, number: int, awaited: set[Target]) -> list[Snapshot]:
        assert answer.page is not None
        snapshots: list[Snapshot] = []
        for item in answer.page.items:
            names = _names(listing.kind, item)
            awaited.difference_update(names)
            snapshot = self._seen(names, item.links, answer.sent_at, listing.page(number))
            if snapshot is not None:
                snapshots.append(snapshot)
        return snapshots

    def _seen(
        self, names: Sequence[Target], links: Links | None, read_at: float, page: PageRequest | None = None
    ) -> Snapshot | None:
        """The sight of a target that an answer shows, if the batch has it under any of its names."""
        known = sum(name in self._batch for name in names)
        if not known:
            return None
        desired, rejected = self._batch.take(*names)
        return Snapshot(desired, rejected, known, links, read_at, page)

    async def _by_themselves(self, kind: Kind, targets: Sequence[Target]) -> AsyncGenerator[Snapshot, None]:
        """Targets that no list showed. Where some go by number and some by reference, that is settled first.

        A rejected line counts with its name: it holds back the list that it has a part in by whichever name. Where an
        earlier run has done what may be one of them by its other name, all are settled.
        """
        lost = [target for target in self._batch.dropped_targets() if target.kind is kind and target not in self._batch]
        numbered = [target for target in (*targets, *lost) if target.id.isdigit()]
        others = [target for target in (*targets, *lost) if not target.id.isdigit()]
        fewer, more = sorted((numbered, others), key=len)
        resumed = any(map(self._batch.may_be_skipped, targets))
        if resumed:
            fewer, more = [*fewer, *more], []
        if targets and fewer and (more or resumed):
            unread: dict[Target, GiveUp] = {}
            async for snapshot in self._settled(kind, fewer, unread):
                yield snapshot
            if any(answer.error.retryable for answer in unread.values()):  # it may be any of those of the other form
                async for snapshot in self._settled(kind, [each for each in more if each in self._batch], unread):
                    yield snapshot
            for target in filter(self._batch.__contains__, unread):
                yield msgspec.structs.replace(self._unread(target), error=unread[target])
        for target in targets:
            if target in self._batch:
                yield self._unread(target)

    async def _settled(
        self, kind: Kind, targets: Sequence[Target], unread: dict[Target, GiveUp]
    ) -> AsyncGenerator[Snapshot, None]:
        """Targets read here and now: their answers tell both of their names. What cannot be read goes to `unread`."""
        async with aclosing(self._in_order(map(Request, targets))) as read:
            async for request, answer in read:
                if isinstance(answer, GiveUp):
                    unread[request.target] = answer
                    continue
                names = dict.fromkeys((request.target, *_names(kind, answer.target)))
                snapshot = self._seen(tuple(names), answer.links, answer.sent_at)
                if snapshot is not None:
                    yield snapshot

    def _unread(self, target: Target) -> Snapshot:
        desired, rejected = self._batch.take(target)
        return Snapshot(desired, rejected)

    async def _in_order(self, requests: Iterable[R]) -> AsyncGenerator[tuple[R, Answer | GiveUp], None]:
        """The answers in the order of the requests. While they leave the queue nearly empty, more and more of them
        are under way at once; where they fill it, one: what comes too early is old when it is written."""
        coming = iter(requests)
        flying: deque[tuple[R, asyncio.Task[Answer | GiveUp]]] = deque()
        ahead = 1
        try:
            while True:
                while len(flying) < ahead and (not flying or self._queue.waiting < _LITTLE):
                    if not flying:
                        await self._queue.low(_LITTLE)
                    request = next(coming, None)
                    if request is None:
                        break
                    flying.append((request, self._owner.create_task(self._fetch(request))))
                if not flying:
                    return
                request, task = flying.popleft()
                yield request, await task
                ahead = min(2 * ahead, _AHEAD) if self._queue.waiting < _LITTLE else 1
        finally:
            for _, task in flying:
                task.cancel()


def _worthwhile(listing: Listing, pages: int, awaited: Collection[Target]) -> Iterator[PageRequest]:
    """The pages after the first, as long as they are fewer than what is still awaited of the list."""
    for number in range(2, pages + 1):
        if pages - number + 1 >= len(awaited):
            return
        yield listing.page(number)


def _names(kind: Kind, item: Listed) -> list[Target]:
    """The names by which a batch may have what an answer shows."""
    return [Target(kind, name) for name in (item.reference, item.id) if name]


def _usable(answer: Answer | GiveUp) -> TypeGuard[Answer]:
    """Whether a page shows what is needed: each of its targets' links, and both of the names to know it by."""
    if isinstance(answer, GiveUp) or answer.page is None or not answer.page.items:
        return False
    return all(item.links is not None and item.id and item.reference for item in answer.page.items)


def _passing(answer: Answer | GiveUp) -> bool:
    """Whether a request failed of what may be over in a while."""
    return isinstance(answer, GiveUp) and answer.error.retryable


def _by_listing(kind: Kind, targets: Sequence[Target]) -> dict[Listing | None, set[Target]]:
    """The targets of a kind by the list in which each stands.

    A list of the whole account may be far longer than what is asked for: where all targets go by reference and
    their products are few, the products' lists are read instead, at most one page a product more.
    """
    grouped: dict[Listing | None, set[Target]] = {}
    for target in targets:
        grouped.setdefault(Listing.of(kind, target.id), set()).add(target)
    if list(grouped) != [Listing(kind)]:
        return grouped
    by_product: dict[Listing | None, set[Target]] = {}
    for target in targets:
        product, dash, _ = target.id.partition("-")
        if not dash:
            return grouped
        by_product.setdefault(Listing(kind, product), set()).add(target)
    return by_product if len(by_product) <= max(1, len(targets) // _TARGETS_A_PRODUCT) else grouped
