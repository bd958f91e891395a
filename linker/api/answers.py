"""What an answer of the account says: a target's links, a page of a list, or the server's word on an error."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import msgspec
import orjson

from linker.api.headers import RateLimit, rate_limit, retry_after
from linker.errors import BadAnswer, InvalidJob, RequestFailed
from linker.model.job import Links, record_id
from linker.model.target import Kind, Target
from linker.text import plain, quoted

__all__ = [
    "Answer",
    "HttpAnswer",
    "Listed",
    "Page",
    "Reply",
    "understand_object",
    "understand_page",
    "understand_target",
]

_MESSAGE_DEPTH: Final = 8
_EXCERPT: Final = 1200
"""Bytes of a body that are shown instead of a message, at the most."""

_MOST_PARTS: Final = 1_000_000
"""Values in an answer: each takes some 100 bytes here, and a page of 200 targets with 1,000 links each has 202,000."""

_MOST_ITEMS: Final = 1_000
"""Of a page, of which 200 are asked; more would hold everything else up."""

_NONE: Final[frozenset[str]] = frozenset()


class Listed(msgspec.Struct, frozen=True):
    """A target as an answer shows it, alone or in a list.

    `links` is what it holds by this answer: a field that is left out is empty; None where the answer shows no
    links at all, which proves nothing. `id` is numeric; both names are empty where the answer leaves them out.
    """

    id: str = ""
    reference: str = ""
    links: Links | None = None


class Page(msgspec.Struct, frozen=True):
    """One page of a list; `pages` is how many the list has by its own word, None where it says nothing."""

    items: tuple[Listed, ...]
    pages: int | None = None


class Answer(msgspec.Struct, frozen=True):
    """An answer of the account, whatever its status; `message` is the server's own word on an error.

    `value` and `limit` are of what is read as it is: the JSON object, and what the account says of its rate limit.
    """

    status: int
    target: Listed = Listed()
    page: Page | None = None
    message: str = ""
    retry_after_s: float | None = None
    sent_at: float = 0.0
    value: Mapping[str, Any] | None = None
    limit: RateLimit | None = None

    @property
    def links(self) -> Links | None:
        """What the target holds by this answer; None where it shows no links."""
        return self.target.links


Reply: TypeAlias = Answer | RequestFailed
"""What one try of a request brings: an answer of the account, or the reason why none came."""


def understand_target(reply: HttpAnswer, kind: Kind, *, may_be_silent: bool = False) -> Answer:
    """The answer that a reply to the request of one target is. A PUT may be answered without a word.

    Raises:
        BadAnswer: a 200 that is none of Aha!'s: no JSON, or without the target in it.
    """
    if not 200 <= reply.status < 300:
        return _refused(reply)
    if may_be_silent and not reply.body:
        return Answer(reply.status, sent_at=reply.sent_at)
    shown = _json(reply).get(kind)
    if not isinstance(shown, dict):
        raise BadAnswer(f"{reply.status}, but no {kind} in it: {_excerpt(reply.body)}")
    return Answer(reply.status, _listed(shown, kind), sent_at=reply.sent_at)


def understand_page(reply: HttpAnswer, kind: Kind) -> Answer:
    """The answer that a reply to the request of a page of a list of a kind is.

    Raises:
        BadAnswer: a 200 that is none of Aha!'s: no JSON, or without the list in it.
    """
    if not 200 <= reply.status < 300:
        return _refused(reply)
    value = _json(reply)
    items: Any = value.get(kind.plural)
    if not _are_objects(items):
        raise BadAnswer(f"{reply.status}, but no {kind.plural} in it: {_excerpt(reply.body)}")
    match value.get("pagination"):
        case {"total_pages": int(pages)}:
            told: int | None = pages
        case _:
            told = None
    return Answer(reply.status, page=Page(tuple(_listed(item, kind) for item in items), told), sent_at=reply.sent_at)


def understand_object(reply: HttpAnswer, key: str, *, many: bool) -> Answer:
    """The answer that a reply with an object in it is, which its asker reads: under `key` it holds an object, or many.

    Raises:
        BadAnswer: a 200 that is none of Aha!'s: no JSON, or something else there, which must not pass for none.
    """
    if not 200 <= reply.status < 300:
        return _refused(reply)
    value = _json(reply)
    shown = value.get(key)
    if not (_are_objects(shown) if many else isinstance(shown, dict)):
        raise BadAnswer(f"{reply.status}, but no {key} in it: {_excerpt(reply.body)}")
    return Answer(reply.status, value=value, limit=rate_limit(reply.headers, datetime.now(UTC)), sent_at=reply.sent_at)


def _are_objects(value: Any) -> bool:
    """Whether it is a list of objects, and no longer than a page can be."""
    return isinstance(value, list) and len(value) <= _MOST_ITEMS and all(isinstance(each, dict) for each in value)


def _json(reply: HttpAnswer) -> dict[str, Any]:
    if _is_bloated(reply.body):
        raise BadAnswer(f"{reply.status}, but of over {_MOST_PARTS:,} parts: {_excerpt(reply.body)}")
    try:
        value = orjson.loads(reply.body)  # it refuses what is nested over 1,024 deep
    except orjson.JSONDecodeError:
        raise BadAnswer(f"{reply.status}, but no JSON: {_excerpt(reply.body)}") from None
    return value if isinstance(value, dict) else {}


def _is_bloated(body: bytes) -> bool:
    """Whether its values would fill the memory if it were read as JSON."""
    return len(body) > _MOST_PARTS and sum(map(body.count, (b",", b"{", b"["))) > _MOST_PARTS


def _listed(shown: dict[str, Any], kind: Kind) -> Listed:
    id, reference = shown.get("id"), shown.get("reference_num") or shown.get("reference_prefix")
    return Listed(
        _name(id, kind) if isinstance(id, int) or (isinstance(id, str) and id.isdigit()) else "",
        _name(reference, kind) if isinstance(reference, str) and not reference.isdigit() else "",
        _links(shown.get("custom_object_links")),
    )


def _name(value: str | int, kind: Kind) -> str:
    """The name of a target of that kind; empty where none can be called so."""
    try:
        return Target.parse(value, kind).id
    except InvalidJob:
        return ""


def _refused(reply: HttpAnswer) -> Answer:
    if 300 <= reply.status < 400:
        where = reply.headers.get("Location", "nowhere")
        message = f"redirected to {plain(where)}; redirects are not followed: is the account's name right?"
        return Answer(reply.status, message=message, sent_at=reply.sent_at)
    now = datetime.now(UTC)
    retry_after_s = retry_after(reply.headers.get("Retry-After"), now)
    if retry_after_s is None and reply.status == 429 and (limit := rate_limit(reply.headers, now)) is not None:
        retry_after_s = limit.reset_s
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
            if not isinstance(field, str):
                raise TypeError
            links[field] = links.get(field, _NONE) | ids
    except (TypeError, KeyError, InvalidJob):
        raise BadAnswer(f"links that are not understood: {quoted(value)}") from None
    return links


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):  # "" and {} would pass for no links, "12" for the records 1 and 2
        raise TypeError
    return value


def _message(reply: HttpAnswer) -> str:
    """The server's word on an error, in whichever of its forms, or what there is instead of one."""
    try:
        value: Any = None if _is_bloated(reply.body) else orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return _excerpt(reply.body)
    return plain(_found_message(value) or "") or _excerpt(reply.body)


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
    return plain(body[:_EXCERPT].decode(errors="replace")) or "(no text)"


class HttpAnswer(msgspec.Struct, frozen=True):
    """What came back, not understood yet. `sent_at` is the loop time at which the request left."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    sent_at: float
