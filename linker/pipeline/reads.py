"""What a dry run has read, so that the run after it does not read it again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from linker.api.answers import Answer
from linker.api.lists import PageRequest
from linker.api.requests import ReadRequest, Request
from linker.retry.verdict import GiveUp

Get: TypeAlias = Request | PageRequest | ReadRequest
"""A request that reads."""

Fetch: TypeAlias = Callable[[Get], Coroutine[Any, Any, Answer | GiveUp]]
"""`Sender.fetch` for any of them."""


class Reads:
    """Answers of one dry run. The run after it takes each of them at most once, while it is recent.

    Args:
        max_age_s: how old the answer about a target may be, in seconds. Field definitions and names of records, which
            a run uses to its end, may be so many seconds older than the end of the dry run.
    """

    def __init__(self, max_age_s: float) -> None:
        self._max_age_s = max_age_s
        self._answers: dict[tuple[str, bool], Answer] = {}
        self._ended_at = 0.0

    def __repr__(self) -> str:
        return f"<Reads, {len(self._answers):,} answers>"

    @property
    def has_answers(self) -> bool:
        """Whether the account has answered the dry run."""
        return bool(self._answers)

    def keep(self, request: Get, answer: Answer) -> None:
        """Store the answer to a GET."""
        self._answers[_key(request)] = answer

    def end(self, now: float) -> None:
        """Note the end of the dry run, `now` in loop time."""
        self._ended_at = now

    def take(self, request: Get, now: float) -> Answer | None:
        """Return the answer to a GET, and forget it; None if there is none, or if it is too old at `now`."""
        answer = self._answers.pop(_key(request), None)
        if answer is None:
            return None
        read_at = self._ended_at if isinstance(request, ReadRequest) else answer.sent_at
        return answer if now - read_at <= self._max_age_s else None

    def kept_by(self, fetch: Fetch) -> Fetch:
        """Return a `fetch` that stores every answer."""

        async def fetch_and_keep(request: Get) -> Answer | GiveUp:
            answer = await fetch(request)
            if isinstance(answer, Answer):
                self.keep(request, answer)
            return answer

        return fetch_and_keep

    def taken_by(self, fetch: Fetch) -> Fetch:
        """Return a `fetch` that sends only what was not stored, or is too old."""

        async def take_or_fetch(request: Get) -> Answer | GiveUp:
            answer = self.take(request, asyncio.get_running_loop().time())
            return answer if answer is not None else await fetch(request)

        return take_or_fetch


def _key(request: Get) -> tuple[str, bool]:
    """Return what two requests with the same answer have in common."""
    return request.path, isinstance(request, Request) and request.may_move
