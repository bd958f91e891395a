"""What passes between the rate limiter and its ledger."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from linker.api.headers import LimitReport


class Permit(msgspec.Struct, frozen=True, gc=False):
    """Leave to send one request, and the account's numbers when it was taken, this request included."""

    at: float
    owner: float
    number: int
    sent: int
    under_way: int


class Feedback(msgspec.Struct, frozen=True, gc=False):
    """What came of a request: was it answered, does the answer ask all to wait, and which limit does it report?"""

    answered: bool
    refused: bool = False
    limit: LimitReport | None = None


NO_ANSWER: Final = Feedback(answered=False)
ANSWER: Final = Feedback(answered=True)


class UsedBy(StrEnum):
    """Who has used up the rate limit."""

    THIS_RUN = "this run"
    EARLIER_RUN = "an earlier run"
    OTHER_RUNS = "other runs on this machine"
    OTHER_CLIENTS = "other clients of the account"


class Delay(msgspec.Struct, frozen=True, gc=False):
    """The next permit is free in so many seconds, because of whom."""

    seconds: float
    used_by: UsedBy


class Wait(msgspec.Struct, frozen=True, gc=False):
    """No permit is free. Ask again after so many seconds; infinity means when something has changed."""

    seconds: float
