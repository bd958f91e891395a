"""What an HTTP status means for a request: whether it may pass, and whether the request may have been carried out."""

from __future__ import annotations

from typing import Final

_FINAL_5XX: Final = frozenset({501, 505})
"""Not implemented, and an HTTP version that is not supported: these stay."""

_TRANSIENT_4XX: Final = frozenset({408, 409, 421, 423, 425, 429})
"""Time-out, conflict, wrong server, locked, too early, too many: the same request may succeed a moment later."""

TOO_SLOW: Final = frozenset({504, 524})
"""A gateway waited too long for the account; 524 is Cloudflare's."""

_WORDS: Final = {
    409: "another request is changing the same record",
    421: "the request reached a server that does not serve this account",
    423: "the record is locked",
    425: "the server asks to send the request again",
    507: "the server has no storage left",
    509: "the server has used up its bandwidth",
    520: "the proxy in front of the account got no usable answer from it",
    521: "the proxy in front of the account cannot reach it: the server is down",
    522: "the proxy in front of the account cannot connect to it in time",
    523: "the proxy in front of the account cannot reach it",
    524: "the account took too long to answer the proxy in front of it",
    525: "the proxy in front of the account cannot open a TLS connection to it",
    526: "the proxy in front of the account does not trust its certificate",
    527: "the connection between the account and the proxy in front of it broke",
    529: "the server is overloaded",
    530: "the proxy in front of the account cannot find it",
}


def is_transient(status: int) -> bool:
    """Return whether the same request may succeed a moment later."""
    return status in _TRANSIENT_4XX or (status >= 500 and status not in _FINAL_5XX)


def may_be_applied(status: int | None) -> bool:
    """Return whether a request may have been carried out although it failed with this status; None: without an answer.

    A 4xx says that the server did not carry it out, except for 408: a proxy may have lost patience while it did.
    """
    return status is None or status == 408 or status >= 500


def in_words(status: int) -> str | None:
    """Return what a status means, for an answer that has no message of its own; None if its number is well known."""
    return _WORDS.get(status)
