"""Permits to send a request, and what a ledger of them can do."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from linker.api.headers import RateLimit
from linker.settings import Rate

__all__ = ["ANSWER", "NO_ANSWER", "Feedback", "Ledger", "Permit", "Wait"]


class Permit(msgspec.Struct, frozen=True, gc=False):
    """Leave to send one request, and the account's numbers when it was taken, this request included."""

    at: float
    owner: float
    number: int
    sent: int
    under_way: int


class Feedback(msgspec.Struct, frozen=True):
    """What came of a request: whether the account answered it, whether with 429, and the limit that it reported."""

    answered: bool
    refused: bool = False
    limit: RateLimit | None = None


NO_ANSWER: Final = Feedback(answered=False)
ANSWER: Final = Feedback(answered=True)


class Wait(msgspec.Struct, frozen=True, gc=False):
    """No permit is free. Ask again after so many seconds; infinity means when something has changed."""

    seconds: float


class Ledger(Protocol):
    """What the rate limiter needs of a ledger. No method waits."""

    def take(self) -> Permit | Wait:
        """Return a permit within every rate, or how long to wait before asking again."""

    def give_back(self, permit: Permit) -> None:
        """Return a permit that was not used: nothing was sent."""

    def finish(self, permit: Permit, feedback: Feedback) -> None:
        """Return a permit whose request has ended, with or without an answer."""

    def pause(self, seconds: float) -> None:
        """Let nobody take a permit for so long, as a 429 asks."""

    def paused_s(self) -> float:
        """Seconds for which nobody gets a permit; 0 if there is no pause."""

    def has_others(self) -> bool:
        """Whether other programs use the account, by its last reports or because it refused a request lately."""

    def free(self) -> list[tuple[Rate, int]]:
        """How many permits of each rate are free."""
