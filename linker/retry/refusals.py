"""Says what it means that the account refused a request: which resource, why perhaps, and what to do. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from linker.api.answers import Answer, Reply
from linker.errors import Error
from linker.retry.verdict import GiveUp, describe, is_blocked
from linker.sessions.token import NEW_ONE

_VERBS: Final[Mapping[str, str]] = {"GET": "read", "PUT": "change", "POST": "add records to", "DELETE": "delete"}


class Subject(Protocol):
    """A request, or the work that sends it; `str()` names it in the log."""

    @property
    def subject(self) -> str:
        """What is read or written, for people: `feature PRJ1-1`."""

    @property
    def method(self) -> str:
        """The HTTP method."""


def explained(given_up: GiveUp, reply: Reply, request: Subject) -> GiveUp:
    """Return the same outcome with a message that names the resource, for 403 and 404 of the account itself."""
    if not isinstance(reply, Answer) or is_blocked(reply) or reply.status not in (403, 404):
        return given_up
    if reply.status == 404:
        is_plain = "not found" in reply.message.lower() or reply.message.startswith("(")
        says = "404" if is_plain else describe(reply)
        message = f"{request.subject} does not exist, or your token cannot see it ({says})"
    else:
        message = f"your token may not {_VERBS[request.method]} {request.subject} ({describe(reply)})"
    return GiveUp(Error(given_up.error.type, message, given_up.error.retryable), given_up.http_status)


def rejected_token(reply: Reply | str) -> str:
    """Return the message of a run that ends because the account rejects the token."""
    says = reply if isinstance(reply, str) else describe(reply)
    return f"the account rejected your token ({says}); nothing more is sent. {NEW_ONE}"
