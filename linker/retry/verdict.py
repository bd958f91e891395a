"""Decides whether a request is sent again, and when, from its reply and from how often it was tried. Pure.

Exponential backoff with full jitter: the wait before try n + 1 is random, between 0 and
`min(backoff_cap_s, backoff_base_s * 2 ** (n - 1))`, so that requests that failed together do not come back together.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from linker.api.answers import Answer, Reply
from linker.errors import Error, ErrorType, RequestFailed
from linker.settings import Settings

_TRANSIENT: Final = frozenset({408, 500, 502, 503, 504})
_TYPES: Final = {
    401: ErrorType.UNAUTHORIZED,
    403: ErrorType.FORBIDDEN,
    404: ErrorType.NOT_FOUND,
    407: ErrorType.CONNECTION,
    408: ErrorType.TIMEOUT,
    429: ErrorType.RATE_LIMITED,
}


class Accept(msgspec.Struct, frozen=True):
    """The answer counts."""

    answer: Answer


class Again(msgspec.Struct, frozen=True, gc=False):
    """Try again after a random time from `least_s` to `most_s` seconds. This try has used up an attempt."""

    least_s: float
    most_s: float


class Pause(msgspec.Struct, frozen=True, gc=False):
    """Let the whole run wait for so long (a 429, or any wait beyond `max_wait`). No attempt is used up."""

    seconds: float


class GiveUp(msgspec.Struct, frozen=True):
    """Do not try again."""

    error: Error
    http_status: int | None


Verdict: TypeAlias = Accept | Again | Pause | GiveUp


def verdict(reply: Reply, attempt: int, refusal: int, settings: Settings) -> Verdict:
    """Return what follows from the reply to a request.

    Args:
        attempt: how many tries have counted, this one included.
        refusal: how many 429s in a row came before this reply.
    """
    if isinstance(reply, RequestFailed):
        if attempt < settings.attempts:
            return Again(0.0, backoff_s(attempt, settings))
        return GiveUp(Error(reply.type, f"{reply}, {_tries(attempt)}", retryable=True), None)
    status = reply.status
    if 200 <= status < 300:
        return Accept(reply)
    if status == 429 and refusal < settings.refusals:
        if reply.retry_after_s is None:
            return Pause(backoff_s(refusal + 1, settings))
        # refused again after the wait that the account asked for: other clients use up the limit
        return Pause(max(reply.retry_after_s, backoff_s(refusal, settings) if refusal else 0.0))
    if status in _TRANSIENT and (reply.retry_after_s or 0.0) > settings.max_wait:
        return Pause(reply.retry_after_s or 0.0)
    if status in _TRANSIENT and attempt < settings.attempts:
        least_s = reply.retry_after_s or 0.0
        return Again(least_s, least_s + backoff_s(attempt, settings))
    retryable = status in _TRANSIENT or status == 429
    message = f"{status}: {reply.message}" + (f", {_tries(attempt)}" if retryable else "")
    return GiveUp(Error(_type(status), message, retryable), status)


def backoff_s(attempt: int, settings: Settings) -> float:
    """Return the longest wait after the `attempt`-th try: it doubles from `backoff_base_s` up to `backoff_cap_s`."""
    return float(min(settings.backoff_cap_s, settings.backoff_base_s * 2.0 ** min(attempt - 1, 64)))


def _type(status: int) -> ErrorType:
    if status in _TYPES:
        return _TYPES[status]
    if status >= 500:
        return ErrorType.SERVER_ERROR
    return ErrorType.INVALID_VALUE if status >= 400 else ErrorType.BAD_ANSWER


def _tries(attempt: int) -> str:
    return "tried once" if attempt == 1 else f"tried {attempt} times"
