"""Aha!'s paths and bodies: what the account is asked of one target, and the one call that asks it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, TypeAlias

import msgspec
import orjson

from linker.answers import Answer, understand_target
from linker.batch import Links
from linker.errors import BadAnswer
from linker.job import sorted_ids
from linker.listing import PageRequest
from linker.look import Create, Look
from linker.sessions import Reply, SessionPool
from linker.target import Kind, Target

__all__ = ["Api", "Ask", "Request"]

_SLIM: Final = "?fields=custom_object_links,reference_num,id"
_SLIM_PRODUCT: Final = "?fields=custom_object_links,reference_prefix,id"


class Request(msgspec.Struct, frozen=True):
    """One thing asked of one target. `put` None reads it. `whole`: without `fields=`, the whole answer."""

    target: Target
    put: Links | None = None
    whole: bool = False

    @property
    def method(self) -> Literal["GET", "PUT"]:
        """The request's HTTP method."""
        return "GET" if self.put is None else "PUT"

    @property
    def path(self) -> str:
        """`/api/v1/features/PRJ1-1?fields=…`; ids hold nothing that a path could take for anything else."""
        slim = _SLIM_PRODUCT if self.target.kind is Kind.PRODUCT else _SLIM
        return f"/api/v1/{self.target.kind.plural}/{self.target.id}{'' if self.whole else slim}"

    @property
    def body(self) -> bytes | None:
        """`{"feature":{"custom_object_links":{"customers":["640362830"]}}}` (the API document's own form)."""
        if self.put is None:
            return None
        links = {field: sorted_ids(ids) for field, ids in self.put.items()}
        return orjson.dumps({str(self.target.kind): {"custom_object_links": links}})

    def __str__(self) -> str:
        fields = f" {', '.join(self.put)}" if self.put else ""
        return f"{self.method} {self.target}{fields}"

    def understand(self, reply: Reply) -> Answer:
        """The answer that a reply is. Raises `BadAnswer` for what is none of Aha!'s."""
        return understand_target(reply, self.target.kind, may_be_silent=self.put is not None)


Ask: TypeAlias = Request | PageRequest | Look | Create
"""Whatever is asked of the account."""


class Api:
    """One account's API, one try a call."""

    def __init__(self, pool: SessionPool) -> None:
        self._pool = pool

    async def send(self, choose: Callable[[float], Ask | None], *, first: bool = False) -> Answer | None:
        """Send a request once and understand the answer; `first`, ahead of all that wait for their turn.

        What is sent is chosen when its turn has come, by the loop's time: a caller may find that there is nothing
        left to send (None), and the place in the quota is given back.

        Raises:
            RequestFailed: there was no answer of Aha!'s.
            quota.Closed: the run is being stopped; nothing was sent.
        """
        sent: tuple[Ask, Reply] | None = await self._pool.exchange(choose, first=first)
        if sent is None:
            return None
        request, reply = sent
        try:
            return request.understand(reply)
        except BadAnswer as error:
            error.sent_at = reply.sent_at
            raise
