"""What other people do to the account at a certain request: write, add, remove."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from linker.sandbox.account import Account

Action = Callable[[Account], object]


@dataclass(slots=True)
class _Event:
    """An action at `remaining` of the requests that match, from the `nth` on."""

    pattern: re.Pattern[str]
    action: Action
    is_after: bool
    nth: int
    remaining: float

    def is_due(self, request: str) -> bool:
        """Whether the action happens at this request. Counts the request."""
        if not self.pattern.search(request):
            return False
        self.nth -= 1
        if self.nth > 0:
            return False
        self.remaining -= 1
        return True


class Script:
    """Actions on the account at the moment when it does what a request asks; the same at every run.

    A pattern is a regular expression, searched for in `METHOD PATH?QUERY`. The action happens at the n-th request that
    matches, and at as many from there on as `times` says; None means all. `Faults.script` makes requests fail.

    Example:
        >>> sandbox.script.before(r"PUT .*/PRJ1-1\\b", lambda account: account.set_links(kind, id, field, ids))
        >>> sandbox.script.after(r"GET .*/features\\?.*\\bpage=1\\b", lambda account: account.remove(kind, id))
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._events: list[_Event] = []
        self.failure: Exception | None = None
        """The first error of an action. A sandbox raises it when it stops: an action that failed tests nothing."""

    def before(self, pattern: str, action: Action, nth: int = 1, times: int | None = 1) -> None:
        """Do something to the account right before the n-th request that matches is done."""
        self._add(pattern, action, nth, times, is_after=False)

    def after(self, pattern: str, action: Action, nth: int = 1, times: int | None = 1) -> None:
        """Do something to the account right after the n-th request that matches, whose answer does not show it."""
        self._add(pattern, action, nth, times, is_after=True)

    def _add(self, pattern: str, action: Action, nth: int, times: int | None, *, is_after: bool) -> None:
        remaining = math.inf if times is None else times
        self._events.append(_Event(re.compile(pattern), action, is_after, nth, remaining))

    def play(self, request: str, *, after: bool) -> None:
        """Do what is due before or after a request (`METHOD PATH?QUERY`)."""
        for event in [event for event in self._events if event.is_after is after and event.is_due(request)]:
            if event.remaining <= 0:
                self._events.remove(event)
            try:
                event.action(self._account)
            except Exception as error:  # the test's own; an answer of 500 would be retried and go unnoticed
                self.failure = self.failure or error
