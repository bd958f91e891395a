"""The time before anything was well: which failures end a run then, because waiting for their end would be in vain."""

from __future__ import annotations

from typing import Final

from linker.api.answers import Answer, Reply
from linker.api.requests import ApiRequest
from linker.errors import BadAnswer, ConnectionFailed, RequestFailed, Stopped, TimedOut, Unreachable
from linker.retry.verdict import describe, is_blocked, is_limit

_CONNECT_S: Final = 20.0
"""How long after the first failure linker tries to reach an account that has never answered."""

_PAGES: Final = 3
"""So many pages in a row are somebody else's; one may come from a server that starts."""

_SIGN_IN: Final = "if your network has a login page, sign in there first"
_ELSEWHERE: Final = f"check the account's name (--account or --url); {_SIGN_IN}"
_PROXY: Final = "check HTTPS_PROXY and the user and password in it"


class Beginning:
    """What was answered before the first success of a run.

    Example:
        >>> beginning = Beginning()
        >>> beginning.leaves(request)
        >>> if (why := beginning.end(reply, now)) is not None: ...  # end the run
    """

    def __init__(self) -> None:
        self._was_reached = False
        self._has_written = False
        self._failing_since: float | None = None
        self._pages = 0  # in a row

    def leaves(self, request: ApiRequest) -> None:
        """Note that a request leaves."""
        self._has_written = self._has_written or request.method != "GET"

    def end(self, reply: Reply, now: float) -> Stopped | Unreachable | None:
        """Take a reply, and return the error with which the run ends; None if it goes on. `now` is the loop time."""
        if isinstance(reply, ConnectionFailed | TimedOut):
            return None if self._was_reached else self._unreached(reply, now)
        self._was_reached = True
        self._pages = self._pages + 1 if _is_page(reply) else 0
        if self._pages >= _PAGES:
            return self._ended(f"another server answered instead of the account ({describe(reply)}); {_ELSEWHERE}")
        if not isinstance(reply, Answer) or is_limit(reply) or not (reply.status == 407 or _is_redirect(reply)):
            return None
        if reply.status == 407:
            return self._ended(f"the proxy asks for a user and a password ({describe(reply)}); {_PROXY}")
        return self._ended(f"another server answered instead of the account ({describe(reply)}); {_SIGN_IN}")

    def _unreached(self, reply: RequestFailed, now: float) -> Stopped | Unreachable | None:
        if reply.advice is not None:
            return Unreachable(f"{reply}; {reply.advice}")
        if self._failing_since is None:
            self._failing_since = now
        if reply.later_advice is None or now - self._failing_since < _CONNECT_S:
            return None
        return self._ended(f"{reply}; {reply.later_advice}")

    def _ended(self, why: str) -> Stopped | Unreachable:
        return Stopped(why) if self._has_written else Unreachable(why)


def _is_page(reply: Reply) -> bool:
    """Whether a reply is a page that cannot be the account's, and is no firewall's block either."""
    if is_limit(reply) or is_blocked(reply):
        return False
    if isinstance(reply, BadAnswer):
        return reply.is_foreign
    if not isinstance(reply, Answer) or _is_redirect(reply):
        return False
    return 300 <= reply.status < 400 or (reply.is_foreign and 400 <= reply.status < 500 and reply.status != 401)


def _is_redirect(reply: Answer) -> bool:
    """Whether an answer sends linker to a host by name; one within the account may be that of a single address."""
    return reply.is_foreign and 300 <= reply.status < 400
