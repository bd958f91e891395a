"""Reads the pages of one of the account's lists."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Hashable
from typing import Any, TypeVar

from linker.api.answers import Answer, Page
from linker.api.lists import PAGE_SIZE, PageRequest
from linker.api.requests import ReadRequest
from linker.retry.verdict import GiveUp

R = TypeVar("R", PageRequest, ReadRequest)


async def pages(
    read: Callable[[R], Coroutine[Any, Any, Answer | GiveUp]], page: Callable[[int], R], *, at_once: int = 1
) -> AsyncGenerator[tuple[R, Answer | GiveUp], None]:
    """Yield each page of a list in order, up to its end, even if the list reports no total or one that is too small.

    The list ends at a page that cannot be read, that is empty, or that comes after the total and brings nothing new.
    Close the generator (`aclosing`) so that no request is left in flight.

    Args:
        read: `Sender.fetch`.
        page: returns the request of a page, by its number from 1.
        at_once: most requests in flight, once the first page has reported how many there are.
    """
    in_flight: deque[tuple[R, asyncio.Task[Answer | GiveUp]]] = deque()
    seen: set[int] = set()
    asked, read_so_far, total, has_more = 0, 0, 1, True
    try:
        while has_more:
            while not in_flight or (len(in_flight) < at_once and asked < total):
                asked += 1
                request = page(asked)
                in_flight.append((request, asyncio.create_task(read(request))))
            request, task = in_flight.popleft()
            answer = await task
            yield request, answer
            if isinstance(answer, GiveUp):
                return
            items, reported = _contents(request, answer)
            if not items:
                return
            read_so_far += 1
            total = max(total, reported or 1)
            new = set(map(hash, items))
            may_have_more = (reported is None or len(items) >= PAGE_SIZE) and not new <= seen
            has_more = read_so_far < total or may_have_more
            seen |= new
    finally:
        for _, task in in_flight:
            task.cancel()
        await asyncio.gather(*(task for _, task in in_flight), return_exceptions=True)  # else asyncio logs their errors


def _contents(request: PageRequest | ReadRequest, answer: Answer) -> tuple[list[Hashable], int | None]:
    """Return what identifies each item of a page, and how many pages the list reports, None if it does not."""
    if isinstance(request, PageRequest):
        page = answer.page or Page(())
        return [item.id or item.reference for item in page.items], page.pages
    value = answer.value or {}
    match value.get("pagination"):
        case {"total_pages": int(number)}:
            total: int | None = number
        case _:
            total = None
    return [str(item.get("id")) for item in value.get(request.key, ())], total
