"""Why a request failed, and what that says about the others: a cause that they share, and how many are an outage."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from linker.api.answers import Answer, Reply
from linker.api.statuses import is_transient
from linker.errors import ConnectionFailed, ErrorType, RequestFailed
from linker.retry.verdict import is_blocked, is_limit


class Cause(StrEnum):
    """Why all requests fail during an outage."""

    CONNECTION = "connection"
    SERVER_ERROR = "server_error"
    BAD_ANSWER = "bad_answer"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    """Aha!'s own 403: most likely meant for the target, but not if `GET /me` is answered 403 too."""
    BLOCKED = "blocked"
    """A firewall or proxy refuses the request in place of the account."""


_CAUSES: Final = {
    ErrorType.CONNECTION: Cause.CONNECTION,
    ErrorType.TIMEOUT: Cause.CONNECTION,
    ErrorType.BAD_ANSWER: Cause.BAD_ANSWER,
}

IN_A_ROW: Final = 20
"""So many failures of one cause, with no answer between them, are an outage."""

_IN_A_ROW_OF: Final = {Cause.UNAUTHORIZED: 1, Cause.BLOCKED: 3}
"""Causes of which fewer are enough: more requests would only prolong a block."""


def in_a_row(cause: Cause) -> int:
    """Return how many failures of a cause, with no answer between them, are taken for an outage."""
    return _IN_A_ROW_OF.get(cause, IN_A_ROW)


def cause_of(reply: Reply) -> Cause | None:
    """Return why a request failed if others may fail for the same reason; None if it is well or asks to wait."""
    if is_limit(reply):
        return None
    if isinstance(reply, RequestFailed):
        return _CAUSES[reply.type]
    if is_blocked(reply):
        return Cause.BLOCKED
    match reply.status:
        case 401:
            return Cause.UNAUTHORIZED
        case 403:
            return Cause.FORBIDDEN
        case 407:
            return Cause.CONNECTION
        case status if 300 <= status < 400:
            return Cause.BAD_ANSWER  # most likely a redirect to a login page
        case status if status >= 500 or is_transient(status):
            return Cause.SERVER_ERROR
    return None


def lasts(reply: Reply) -> bool:
    """Return whether a failure will most likely last until somebody acts, even if the account was well before."""
    if isinstance(reply, Answer):
        return reply.status == 407 or 300 <= reply.status < 400
    return isinstance(reply, ConnectionFailed) and reply.is_lasting
