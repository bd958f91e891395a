"""Reads what the targets hold now, in the fewest requests.

For each list of the account that the batch touches, it takes the cheaper of single GETs and pages of 200. The first
page shows how long the list is, so the choice costs one request at most. If that page leaves out names, or lists of
this kind are known to leave out links, the targets are read singly. A list may shift, end early or fail while it is
paged: no target is missed and none is taken twice, because a target leaves the batch when it is seen, and targets that
were not seen are read singly.

Pages are read as the queue empties, not all at once, so that they are recent when their targets are written.
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
from linker.api.visibility import Endpoint, Visibility
from linker.batch.batch import Batch
from linker.batch.merge import DesiredState, Job
from linker.errors import Error
from linker.model.target import Kind, Target
from linker.pipeline.workqueue import WorkQueue
from linker.retry.sender import Fetch
from linker.retry.verdict import GiveUp

R = TypeVar("R", Request, PageRequest)

_AHEAD: Final = 8
"""Most reads in flight. At 5 requests a second and 1 s of latency, five are needed to use the rate limit."""

_BLIND_AT_ONCE: Final = 100
"""Targets of a blind run that are yielded together, because a turn of the loop costs more than planning one."""

_LITTLE: Final = 40
"""With so many works waiting for a worker, no further page is read: eight seconds of work at 5 a second."""

_LOOKS: Final = 5
"""How often a failing list is tried again while a single target fails too, which means an outage."""

_TARGETS_A_PRODUCT: Final = 100
"""With so many targets for each product, the products' lists are read instead of the account's."""

_WORTH_A_PAGE: Final = 3
"""With so many targets, a list's first page is read. It may waste one request; for two targets it could save one."""


class Snapshot(msgspec.Struct, frozen=True, gc=False):
    """One target: its desired state, and what was read of it.

    `names` is by how many names the batch has it. If `item` is None, it must still be read singly; else it is what an
    answer at `read_at` (loop time) showed. If `error` is set, it could not be read; it may be another target by another
    name, so nothing is sent. `page` is where it was seen, to be read again when that gets too old.
    """

    kind: Kind
    desired: DesiredState | None
    rejected: list[tuple[Job, Error]]
    names: int = 1
    item: Listed | None = None
    read_at: float = 0.0
    page: PageRequest | None = None
    error: GiveUp | None = None


class StateReader:
    """Reads all targets of a batch, in groups that were read together.

    Args:
        queue: where the works go; while many of them wait in it, no further page is read.
        owner: owns the requests in flight.
        visibility: what the run has learnt of the account's answers.
    """

    def __init__(
        self,
        batch: Batch,
        fetch: Fetch,
        queue: WorkQueue[Any],
        owner: asyncio.TaskGroup,
        visibility: Visibility,
    ) -> None:
        self._batch = batch
        self._visibility = visibility
        self._fetch = fetch
        self._queue = queue
        self._owner = owner

    async def snapshots(self, *, blind: bool = False) -> AsyncGenerator[list[Snapshot], None]:
        """Yield every target of the batch. If `blind`, nothing is read, and two names count as two targets."""
        if blind:
            desired_states = self._batch.desired_states()
            while group := [_unread(desired, rejected) for desired, rejected in islice(desired_states, _BLIND_AT_ONCE)]:
                yield group
            return
        for kind, targets in self._batch.by_kind().items():
            for listing, listed in _by_listing(kind, targets).items():
                if listing is not None and len(listed) >= _WORTH_A_PAGE and self._visibility.has_usable_lists(kind):
                    async for group in self._from_list(listing, listed):
                        yield group
            async for snapshot in self._singly(kind, [target for target in targets if target in self._batch]):
                yield [snapshot]

    async def _from_list(self, listing: Listing, awaited: set[Target]) -> AsyncGenerator[list[Snapshot], None]:
        """Yield the targets that one list shows, page by page, while that is cheaper than single reads."""
        await self._queue.low(_LITTLE)
        first = await self._fetch(listing.page(1))
        for _ in range(_LOOKS):
            if not _may_pass(first):
                break
            target = min(awaited)
            single, first = await self._fetch(Request(target)), await self._fetch(listing.page(1))
            if isinstance(single, Answer) and _may_pass(first):  # only the list fails
                names = dict.fromkeys((target, *_names(listing.kind, single.target)))
                snapshot = self._seen(tuple(names), single.target, single.sent_at)
                if snapshot is not None:
                    yield [snapshot]
                return
        if not _usable(first):
            return
        seen = self._page(listing, first, 1, awaited)
        if seen:
            yield seen
        if not self._visibility.has_usable_lists(listing.kind):  # found out meanwhile
            return
        pages = first.page.pages or 1 if first.page is not None else 1
        async with aclosing(self._in_order(_worthwhile(listing, pages, awaited))) as further:
            async for request, answer in further:
                if not awaited or not _usable(answer) or not self._visibility.has_usable_lists(listing.kind):
                    return
                seen = self._page(listing, answer, request.number, awaited)
                if seen:
                    yield seen

    def _page(self, listing: Listing, answer: Answer, number: int, awaited: set[Target]) -> list[Snapshot]:
        assert answer.page is not None
        snapshots: list[Snapshot] = []
        kind, page = listing.kind, listing.page(number)
        for item in answer.page.items:
            names = _names(kind, item)
            awaited.difference_update(names)
            self._visibility.observe(kind, Endpoint.LIST, item)
            snapshot = self._seen(names, item, answer.sent_at, page)
            if snapshot is not None:
                snapshots.append(snapshot)
        return snapshots

    def _seen(
        self, names: Sequence[Target], item: Listed, read_at: float, page: PageRequest | None = None
    ) -> Snapshot | None:
        """Take a target that an answer shows out of the batch; None if the batch has it under none of its names."""
        named = [name for name in names if name in self._batch]
        if not named:
            return None
        desired, rejected = self._batch.take(*names)
        return Snapshot(names[0].kind, desired, rejected, len(named), item, read_at, page)

    async def _singly(self, kind: Kind, targets: Sequence[Target]) -> AsyncGenerator[Snapshot, None]:
        """Yield the targets that no list showed.

        If the batch names some by number and others by reference, two of them may be one target. Then the fewer are
        read here, because an answer shows both names. Rejected lines count too: a line keeps its list from being
        written by whichever name. If an earlier run may have done one of them by its other name, all are read here.
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
            if any(answer.error.retryable for answer in unread.values()):  # it may be one of those named the other way
                async for snapshot in self._settled(kind, [target for target in more if target in self._batch], unread):
                    yield snapshot
            for target in filter(self._batch.__contains__, unread):
                yield msgspec.structs.replace(_unread(*self._batch.take(target)), error=unread[target])
        for target in targets:
            if target in self._batch:
                yield _unread(*self._batch.take(target))

    async def _settled(
        self, kind: Kind, targets: Sequence[Target], unread: dict[Target, GiveUp]
    ) -> AsyncGenerator[Snapshot, None]:
        """Read targets now, because an answer shows both names. Those that cannot be read go to `unread`."""
        async with aclosing(self._in_order(map(Request, targets))) as read:
            async for request, answer in read:
                if isinstance(answer, GiveUp):
                    unread[request.target] = answer
                    continue
                names = dict.fromkeys((request.target, *_names(kind, answer.target)))
                snapshot = self._seen(tuple(names), answer.target, answer.sent_at)
                if snapshot is not None:
                    yield snapshot

    async def _in_order(self, requests: Iterable[R]) -> AsyncGenerator[tuple[R, Answer | GiveUp], None]:
        """Yield the answers in the order of the requests.

        While the queue stays nearly empty, more and more of them are in flight; once it fills, only one, because what
        is read too early is too old when it is written.
        """
        coming = iter(requests)
        in_flight: deque[tuple[R, asyncio.Task[Answer | GiveUp]]] = deque()
        ahead = 1
        try:
            while True:
                while len(in_flight) < ahead and (not in_flight or self._queue.waiting < _LITTLE):
                    if not in_flight:
                        await self._queue.low(_LITTLE)
                    request = next(coming, None)
                    if request is None:
                        break
                    in_flight.append((request, self._owner.create_task(self._fetch(request))))
                if not in_flight:
                    return
                request, task = in_flight.popleft()
                yield request, await task
                ahead = min(2 * ahead, _AHEAD) if self._queue.waiting < _LITTLE else 1
        finally:
            for _, task in in_flight:
                task.cancel()


def _unread(desired: DesiredState | None, rejected: list[tuple[Job, Error]]) -> Snapshot:
    target = desired.target if desired is not None else rejected[0][0].target
    return Snapshot(target.kind, desired, rejected)


def _worthwhile(listing: Listing, pages: int, awaited: Collection[Target]) -> Iterator[PageRequest]:
    """Yield the pages after the first, while fewer of them remain than targets of the list are awaited."""
    for number in range(2, pages + 1):
        if pages - number + 1 >= len(awaited):
            return
        yield listing.page(number)


def _names(kind: Kind, item: Listed) -> list[Target]:
    """Return the names by which a batch may have a target that an answer shows."""
    return [Target(kind, name) for name in (item.reference, item.id) if name]


def _usable(answer: Answer | GiveUp) -> TypeGuard[Answer]:
    """Whether a page shows both names of each of its targets."""
    if isinstance(answer, GiveUp) or answer.page is None or not answer.page.items:
        return False
    return all(item.id and item.reference for item in answer.page.items)


def _may_pass(answer: Answer | GiveUp) -> bool:
    """Whether a request failed for a reason that may pass."""
    return isinstance(answer, GiveUp) and answer.error.retryable


def _by_listing(kind: Kind, targets: Sequence[Target]) -> dict[Listing | None, set[Target]]:
    """Group the targets of a kind by the list that shows them; None for those that no list shows.

    The list of the whole account may be far longer than the batch. If all targets are named by reference and belong to
    few products, the products' lists are read instead, which costs at most one page more for each product.
    """
    by_head: dict[str, list[Target]] = {}  # what is before the number of a reference decides which lists show it
    for target in targets:
        by_head.setdefault(target.id.rpartition("-")[0], []).append(target)
    grouped: dict[Listing | None, set[Target]] = {}
    for alike in by_head.values():
        grouped.setdefault(Listing.of(kind, alike[0].id), set()).update(alike)
    if list(grouped) != [Listing(kind)]:
        return grouped
    by_product: dict[Listing | None, set[Target]] = {}
    for alike in by_head.values():
        listing = Listing.of_product(kind, alike[0].id)
        if listing is None:
            return grouped
        by_product.setdefault(listing, set()).update(alike)
    return by_product if len(by_product) <= max(1, len(targets) // _TARGETS_A_PRODUCT) else grouped
