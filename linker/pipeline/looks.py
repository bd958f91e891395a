"""Looks at what was written by a page of a list, so that one request serves all targets of the page.

An account that shows writes late is looked at several times. Later looks come due together, and share a read.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from typing import Final

from linker.api.answers import Answer
from linker.api.lists import PageRequest
from linker.retry.sender import Fetch
from linker.retry.verdict import GiveUp

_TOGETHER_S: Final = 2.0
"""Looks come due at multiples of this, in seconds."""

_CACHED: Final = 32
"""Pages whose last answer is kept."""


class PageLooks:
    """The reads of pages for looks, one at a time for each page. A read serves every look that was due as it began.

    Args:
        most_s: most seconds to wait for the looks of other targets.
    """

    def __init__(self, fetch: Fetch, most_s: float) -> None:
        self._fetch = fetch
        self._every_s = min(_TOGETHER_S, most_s)
        self._reads: OrderedDict[PageRequest, tuple[float, asyncio.Task[Answer | GiveUp]]] = OrderedDict()

    def __repr__(self) -> str:
        return f"<PageLooks, {len(self._reads)} pages>"

    def together(self, wait_s: float) -> float:
        """Return the seconds to wait so that looks of other targets come due at the same time."""
        now = asyncio.get_running_loop().time()
        return math.ceil((now + wait_s) / self._every_s) * self._every_s - now

    async def read(self, request: PageRequest, owner: asyncio.TaskGroup, *, is_shared: bool) -> Answer | GiveUp | None:
        """Return the answer to a page's request; None if the run is being stopped.

        Args:
            owner: owns the request, because a caller may be cancelled while others wait for the same page.
            is_shared: the look has waited for `together`, so a read serves it that began since that came due.
        """
        now = asyncio.get_running_loop().time()
        due_at = now // self._every_s * self._every_s if is_shared else now
        began, task = self._reads.get(request, (-1.0, None))
        while task is not None and began < due_at and not task.done():  # too early: the next one serves all who wait
            await asyncio.wait({task})
            began, task = self._reads.get(request, (-1.0, None))
        if task is None or began < due_at or task.cancelled():
            task = owner.create_task(self._fetch(request))
            self._reads[request] = asyncio.get_running_loop().time(), task
            self._reads.move_to_end(request)
            while len(self._reads) > _CACHED:
                self._reads.popitem(last=False)
        await asyncio.wait({task})
        return None if task.cancelled() else task.result()
