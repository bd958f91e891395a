"""Reads the pages of a list one after the other."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from linker.api.answers import Answer
from linker.api.lists import PAGE_SIZE, Listing, PageRequest
from linker.retry.sender import Fetch
from linker.retry.verdict import GiveUp

__all__ = ["every_page"]


async def every_page(fetch: Fetch, listing: Listing) -> AsyncGenerator[tuple[PageRequest, Answer | GiveUp], None]:
    """The pages of a list, to its very end: where its total is missing or too small, as long as they bring more."""
    number, told, more = 0, 1, True
    known: set[str] = set()
    while more:
        number += 1
        request = listing.page(number)
        answer = await fetch(request)
        yield request, answer
        if isinstance(answer, GiveUp) or answer.page is None or not answer.page.items:
            return
        names = {item.id or item.reference for item in answer.page.items}
        told = max(told, answer.page.pages or 1)
        full = answer.page.pages is None or len(answer.page.items) >= PAGE_SIZE
        more = number < told or (full and not names <= known)
        known |= names
