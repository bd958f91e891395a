"""Aha!'s paths, bodies and answers: what the account is asked, and what its answer says of a target's links."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal

import orjson

from linker.batch import Links
from linker.errors import BadAnswer, InvalidJob
from linker.job import Target, record_id, sorted_ids
from linker.sessions import Reply, SessionPool

__all__ = ["Answer", "Api", "Request"]

_SLIM: Final = "?fields=custom_object_links,reference_num,id"
_MESSAGE_LIMIT: Final = 300
_MESSAGE_DEPTH: Final = 8
_NONE: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Request:
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
        return f"/api/v1/{self.target.kind.plural}/{self.target.id}{'' if self.whole else _SLIM}"

    @property
    def body(self) -> bytes | None:
        """`{"feature":{"custom_object_links":{"customers":["640362830"]}}}` (the API document's own form)."""
        if self.put is None:
            return None
        links = {field: sorted_ids(ids) for field, ids in self.put.items()}
        return orjson.dumps({self.target.kind.value: {"custom_object_links": links}})

    def __str__(self) -> str:
        fields = f" {', '.join(self.put)}" if self.put else ""
        return f"{self.method} {self.target}{fields}"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the account, whatever its status.

    `links` is what the target holds by this answer: a field that it leaves out is empty; None where the answer
    shows no links at all, which proves nothing. `message` is the server's own word on an error.
    """

    status: int
    links: Links | None = None
    message: str = ""
    retry_after_s: float | None = None
    sent_at: float = 0.0


class Api:
    """One account's API, one try a call."""

    def __init__(self, pool: SessionPool) -> None:
        self._pool = pool

    async def send(self, request: Request) -> Answer:
        """Send a request once and understand the answer.

        Raises:
            RequestFailed: there was no answer of Aha!'s.
            quota.Closed: the run is being stopped; nothing was sent.
        """
        reply = await self._pool.send(request.method, request.path, request.body)
        try:
            return understand(reply, request)
        except BadAnswer as error:
            error.sent_at = reply.sent_at
            raise


def understand(reply: Reply, request: Request) -> Answer:
    """The answer that a reply is. A PUT may be answered without a word; a GET may not.

    Raises:
        BadAnswer: a 200 that is none of Aha!'s: no JSON, or without the target in it.
    """
    if 200 <= reply.status < 300:
        target = request.target
        if request.put is not None and not reply.body:
            return Answer(reply.status, sent_at=reply.sent_at)
        try:
            value = orjson.loads(reply.body)
        except orjson.JSONDecodeError:
            raise BadAnswer(f"{reply.status}, but no JSON: {_excerpt(reply.body)}") from None
        shown = value.get(target.kind) if isinstance(value, dict) else None
        if not isinstance(shown, dict):
            raise BadAnswer(f"{reply.status}, but no {target.kind} in it: {_excerpt(reply.body)}")
        return Answer(reply.status, links=_links(shown.get("custom_object_links")), sent_at=reply.sent_at)
    if 300 <= reply.status < 400:
        where = reply.headers.get("Location", "nowhere")
        message = f"redirected to {_plain(where)}; redirects are not followed: is the account's name right?"
        return Answer(reply.status, message=message, sent_at=reply.sent_at)
    retry_after_s = retry_after(reply.headers.get("Retry-After"), datetime.now(UTC))
    return Answer(reply.status, message=_message(reply), retry_after_s=retry_after_s, sent_at=reply.sent_at)


def _links(value: object) -> Links | None:
    """`[{"key": "customers", "record_ids": [640362830], …}]` as links; None where it is not there.

    Raises:
        BadAnswer: it is there and is something else, which must not pass for an empty list.
    """
    if value is None:
        return None
    links: dict[str, frozenset[str]] = {}
    try:
        for entry in _list(value):
            field, ids = entry["key"], frozenset(map(record_id, _list(entry["record_ids"])))
            links[field] = links.get(field, _NONE) | ids
    except (TypeError, KeyError, InvalidJob):
        raise BadAnswer(f"links that are not understood: {_excerpt(orjson.dumps(value))}") from None
    return links


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):  # "" and {} would pass for no links, "12" for the records 1 and 2
        raise TypeError
    return value


def _message(reply: Reply) -> str:
    """The server's word on an error, in whichever of its forms, or what there is instead of one."""
    try:
        value: Any = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return _excerpt(reply.body)
    return _plain(_found_message(value) or "") or _excerpt(reply.body)


def _found_message(value: Any, depth: int = 0) -> str | None:
    """The message in `{"error":…}`, `{"message":…}`, `{"errors":{…}}`, `{"errors":[…]}` and nestings of these."""
    depth += 1
    if depth > _MESSAGE_DEPTH:
        return None
    match value:
        case str():
            return value
        case list():
            return "; ".join(text for each in value[:5] if (text := _found_message(each, depth))) or None
        case {"message": str(message)} | {"error": str(message)}:
            return message
        case {"error": inner} | {"errors": inner}:
            return _found_message(inner, depth)
        case dict():  # {"customers": ["is invalid"]}
            said = ((key, _found_message(each, depth)) for key, each in list(value.items())[:5])
            return "; ".join(f"{key} {text}" for key, text in said if text) or None
        case _:
            return None


def _excerpt(body: bytes) -> str:
    if body.lstrip()[:1] == b"<":
        return "(an HTML page)"
    return _plain(body[: 4 * _MESSAGE_LIMIT].decode(errors="replace")) or "(no text)"


def _plain(text: str) -> str:
    """A server's text made fit for a terminal: one line, printable, short."""
    text = "".join(char if char.isprintable() else " " for char in text[: 4 * _MESSAGE_LIMIT])
    text = " ".join(text.split())
    return text if len(text) <= _MESSAGE_LIMIT else f"{text[:_MESSAGE_LIMIT]}…"


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds that a `Retry-After` asks to wait, from seconds or a date (RFC 9110, 10.2.3); None for nonsense."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            until = parsedate_to_datetime(value)
        except (ValueError, TypeError, OverflowError):
            return None
        if until.tzinfo is None:
            until = until.replace(tzinfo=UTC)
        seconds = (until - now).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None
