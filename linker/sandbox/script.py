"""What happens besides, at a certain request: somebody else writes, a list shifts, a page cannot be had."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from linker.sandbox.account import Account
from linker.sandbox.faults import Fault

__all__ = ["Script"]

Deed = Callable[[Account], object]


@dataclass(slots=True)
class _When:
    """The requests that are meant: `times` of those that match, from the `nth` on."""

    pattern: re.Pattern[str]
    nth: int
    left: float

    @classmethod
    def of(cls, pattern: str, nth: int, times: int | None) -> _When:
        return cls(re.compile(pattern), nth, math.inf if times is None else times)

    def comes(self, request: str) -> bool:
        """Whether this request is one, and count it."""
        if self.left <= 0 or not self.pattern.search(request):
            return False
        self.nth -= 1
        if self.nth > 0:
            return False
        self.left -= 1
        return True


@dataclass(slots=True)
class _Event:
    when: _When
    deed: Deed
    after: bool


class Script:
    """Deeds at the moment at which the account does what a request asks; the same at every run.

    A pattern is a regular expression, searched for in `METHOD PATH?QUERY`. Of the requests that match, the n-th is
    meant, and as many from there on as `times` says; None means all.

    Example:
        >>> sandbox.script.before(r"PUT .*/PRJ1-1\\b", lambda account: account.set_links(kind, id, field, ids))
        >>> sandbox.script.after(r"GET .*/features\\?.*\\bpage=1\\b", lambda account: account.remove(kind, id))
        >>> sandbox.script.refuse(r"GET .*[?&]page=3", 500)
        >>> sandbox.script.refuse(r"GET .*[?&]page=3", "cut", times=2)
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._events: list[_Event] = []
        self._refusals: list[tuple[_When, int]] = []
        self._troubles: list[tuple[_When, Fault]] = []
        self.failure: Exception | None = None
        """The first error of a deed. A sandbox raises it at its end: a deed that cannot be done tests nothing."""

    def before(self, pattern: str, deed: Deed, nth: int = 1, times: int | None = 1) -> None:
        """Do something to the account right before the n-th request that matches is done."""
        self._events.append(_Event(_When.of(pattern, nth, times), deed, after=False))

    def after(self, pattern: str, deed: Deed, nth: int = 1, times: int | None = 1) -> None:
        """Do something to the account right after the n-th request that matches was done; its answer has it not."""
        self._events.append(_Event(_When.of(pattern, nth, times), deed, after=True))

    def refuse(self, pattern: str, what: int | str, nth: int = 1, times: int | None = None) -> None:
        """Answer requests that match with an error status and do nothing, or let a trouble of `TROUBLES` befall them.

        Raises:
            UsageError: it is neither a status from 400 to 599 nor a trouble.
        """
        fault, when = Fault(what), _When.of(pattern, nth, times)
        if isinstance(what, int):
            self._refusals.append((when, what))
        else:
            self._troubles.append((when, fault))

    def __bool__(self) -> bool:
        return bool(self._events or self._refusals or self._troubles)

    def refused(self, request: str) -> int | None:
        """The status with which a request is refused, if it is."""
        return next((status for when, status in self._refusals if when.comes(request)), None)

    def trouble(self, request: str) -> Fault | None:
        """What befalls a request that has just arrived, if anything does."""
        return next((fault for when, fault in self._troubles if when.comes(request)), None)

    def play(self, request: str, *, after: bool) -> None:
        """Do what is due at a request."""
        for event in list(self._events):
            if event.after is not after or not event.when.comes(request):
                continue
            if event.when.left <= 0:
                self._events.remove(event)
            try:
                event.deed(self._account)
            except Exception as error:  # the test's own; an answer of 500 would be tried again and passed over
                self.failure = self.failure or error
