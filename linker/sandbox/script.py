"""What happens besides, at a certain request: somebody else writes, a list shifts, a page cannot be had."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from linker.sandbox.account import Account

__all__ = ["Script"]

Deed = Callable[[Account], object]


@dataclass(slots=True)
class _Event:
    pattern: re.Pattern[str]
    nth: int
    deed: Deed
    after: bool


class Script:
    """Deeds at the moment at which the account does what a request asks; the same at every run.

    A pattern is a regular expression, searched for in `METHOD PATH?QUERY`.

    Example:
        >>> sandbox.script.before(r"PUT .*/PRJ1-1\\b", lambda account: account.set_links(kind, id, field, ids))
        >>> sandbox.script.refuse(r"GET .*[?&]page=3", 500)
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._events: list[_Event] = []
        self._refusals: list[tuple[re.Pattern[str], int]] = []

    def before(self, pattern: str, deed: Deed, nth: int = 1) -> None:
        """Do something to the account right before the n-th request that matches is done."""
        self._events.append(_Event(re.compile(pattern), nth, deed, after=False))

    def after(self, pattern: str, deed: Deed, nth: int = 1) -> None:
        """Do something to the account right after the n-th request that matches was done."""
        self._events.append(_Event(re.compile(pattern), nth, deed, after=True))

    def refuse(self, pattern: str, status: int) -> None:
        """Answer every request that matches with an error, and do nothing."""
        self._refusals.append((re.compile(pattern), status))

    def __bool__(self) -> bool:
        return bool(self._events or self._refusals)

    def refused(self, request: str) -> int | None:
        """The status with which a request is refused, if it is."""
        return next((status for pattern, status in self._refusals if pattern.search(request)), None)

    def play(self, request: str, *, after: bool) -> None:
        """Do what is due at a request."""
        for event in list(self._events):
            if event.after is after and event.pattern.search(request):
                event.nth -= 1
                if event.nth == 0:
                    self._events.remove(event)
                    event.deed(self._account)
