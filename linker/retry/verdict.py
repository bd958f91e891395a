"""Decides whether a request is sent again, and when, from its reply and from how often it was tried. Pure.

Exponential backoff with full jitter: the wait before try n + 1 is random, between 0 and
`min(backoff_cap_s, backoff_base_s * 2 ** (n - 1))`, so that requests that failed together do not come back together.
"""

from __future__ import annotations

from typing import Final, TypeAlias, TypeGuard

import msgspec

from linker.api.answers import Answer, Reply
from linker.api.statuses import is_transient, may_be_applied
from linker.errors import BadAnswer, Error, ErrorType, RequestFailed
from linker.settings import Settings

_BLOCKS: Final = frozenset({403, 405, 406, 418, 444, 451})
"""Statuses with which firewalls refuse a request."""

_TYPES: Final = {
    401: ErrorType.UNAUTHORIZED,
    403: ErrorType.FORBIDDEN,
    404: ErrorType.NOT_FOUND,
    407: ErrorType.CONNECTION,
    408: ErrorType.TIMEOUT,
}


class Accept(msgspec.Struct, frozen=True, gc=False):
    """The answer counts."""

    answer: Answer


class Again(msgspec.Struct, frozen=True, gc=False):
    """Try again after a random time from `least_s` to `most_s` seconds. This try has used up an attempt."""

    least_s: float
    most_s: float


class Pause(msgspec.Struct, frozen=True, gc=False):
    """Let the whole run wait for so long (a 429, a ban, or any wait beyond `max_wait`). No attempt is used up.

    `in_doubt`: a proxy sent the answer, and the account may have carried out the request all the same.
    """

    seconds: float
    in_doubt: bool = False


class GiveUp(msgspec.Struct, frozen=True, gc=False):
    """Do not try again."""

    error: Error
    http_status: int | None


Verdict: TypeAlias = Accept | Again | Pause | GiveUp


def is_accepted(reply: Reply) -> TypeGuard[Answer]:
    """Return whether a reply counts, however often its request was tried."""
    return isinstance(reply, Answer) and 200 <= reply.status < 300 and not is_limit(reply)


def verdict(reply: Reply, attempt: int, refusal: int, settings: Settings) -> Verdict:
    """Return what follows from the reply to a request.

    Args:
        attempt: how many tries have counted, this one included.
        refusal: how many replies in a row before this one asked the run to wait.
    """
    if is_limit(reply):
        return _wait(reply, attempt, refusal, settings)
    if isinstance(reply, RequestFailed):
        if attempt < settings.attempts:
            return Again(0.0, backoff_s(attempt, settings))
        return GiveUp(Error(reply.type, f"{reply} ({_tries(attempt)}); try again later", retryable=True), None)
    if is_accepted(reply):
        return Accept(reply)
    status = reply.status
    retryable = is_transient(status) or is_blocked(reply)
    if retryable and (reply.retry_after_s or 0.0) > settings.max_wait:
        return Pause(reply.retry_after_s or 0.0)
    if retryable and attempt < settings.attempts:
        least_s = reply.retry_after_s or 0.0
        return Again(least_s, least_s + backoff_s(attempt, settings))
    message = describe(reply) + (f" ({_tries(attempt)}); try again later" if retryable else "")
    return GiveUp(Error(_type(reply), message, retryable), status)


def is_limit(reply: Reply) -> bool:
    """Return whether a reply asks the whole run to wait: a 429, or "go away for a while" in another form.

    That is a 403, or a page of a firewall or proxy with any status, with `Retry-After`.
    """
    if isinstance(reply, RequestFailed):
        return isinstance(reply, BadAnswer) and reply.retry_after_s is not None
    if reply.retry_after_s is None:
        return reply.status == 429
    return reply.status in (403, 429) or reply.is_foreign


def is_blocked(reply: Reply) -> bool:
    """Return whether a firewall or proxy refuses a request in place of the account: a 403 that is not Aha!'s JSON."""
    return isinstance(reply, Answer) and reply.is_foreign and reply.status in _BLOCKS and not is_limit(reply)


def asked_s(reply: Reply) -> float:
    """Return the seconds that a reply asks to wait; 0 if it does not."""
    return (reply.retry_after_s or 0.0) if isinstance(reply, Answer | BadAnswer) else 0.0


def describe(reply: Reply) -> str:
    """Return what a reply says, for people: `503: Service Unavailable`."""
    if isinstance(reply, RequestFailed):
        return str(reply)
    text = f"{reply.status}: {reply.message}"
    return f"{text}; this is not an answer from Aha!: a firewall or proxy blocks linker" if is_blocked(reply) else text


def _wait(reply: Reply, attempt: int, refusal: int, settings: Settings) -> Pause | GiveUp:
    status = reply.status if isinstance(reply, Answer) else None
    if refusal >= settings.refusals:
        error = Error(ErrorType.RATE_LIMITED, f"{describe(reply)} ({_tries(attempt)}); try again later", retryable=True)
        return GiveUp(error, status)
    in_doubt = may_be_applied(status)
    if not isinstance(reply, Answer | BadAnswer) or reply.retry_after_s is None:
        return Pause(backoff_s(refusal + 1, settings), in_doubt)
    # refused again after the wait that the account asked for: other clients use up the limit
    return Pause(max(reply.retry_after_s, backoff_s(refusal, settings) if refusal else 0.0), in_doubt)


def backoff_s(attempt: int, settings: Settings) -> float:
    """Return the longest wait after the `attempt`-th try: it doubles from `backoff_base_s` up to `backoff_cap_s`."""
    return float(min(settings.backoff_cap_s, settings.backoff_base_s * 2.0 ** min(attempt - 1, 64)))


def _type(reply: Answer) -> ErrorType:
    if is_blocked(reply):
        return ErrorType.BAD_ANSWER
    if reply.status in _TYPES:
        return _TYPES[reply.status]
    if is_transient(reply.status) or reply.status >= 500:
        return ErrorType.SERVER_ERROR
    return ErrorType.INVALID_VALUE if reply.status >= 400 else ErrorType.BAD_ANSWER


def _tries(attempt: int) -> str:
    return "tried once" if attempt == 1 else f"tried {attempt} times"
