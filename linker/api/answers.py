"""Turns the account's HTTP answers into what they mean: a target's links, a page of a list, or an error message."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import msgspec
import orjson

from linker.api.headers import RateLimit, asked_wait_s, rate_limit, refusal_wait_s
from linker.api.statuses import in_words
from linker.errors import BadAnswer, InvalidJob, RequestFailed
from linker.model.ids import exact_id, plain_ids
from linker.model.job import Links
from linker.model.target import Kind, Target, plain_kind
from linker.text import plain, quoted

_MESSAGE_DEPTH: Final = 8
_EXCERPT: Final = 1200
"""The most bytes of a body that stand in for a missing message."""

_MOST_PARTS: Final = 1_000_000
"""The most values in an answer. Each takes about 100 bytes; 200 targets with 1,000 links each have 202,000."""

_MOST_ITEMS: Final = 1_000
"""The most items on a page: linker asks for 200, and a huge page would block the event loop."""

_PLAIN_DIGITS: Final = 100
"""Digits of a target's id. Longer ones are looked at more closely."""

_NONE: Final[frozenset[str]] = frozenset()


class Listed(msgspec.Struct, frozen=True, gc=False):
    """A target as an answer shows it, alone or in a list.

    `links` are its links by this answer: a missing field is empty. None if the answer leaves links out, which means
    none only where the endpoint has shown links before (`visibility.py`). `unreadable` are fields whose entry cannot be
    read, `""` standing for an entry without a key. `id` is numeric. `id` and `reference` are empty if the answer does
    not have them.
    """

    id: str = ""
    reference: str = ""
    links: Links | None = None
    unreadable: frozenset[str] = frozenset()

    def obscures(self, fields: Collection[str]) -> bool:
        """Whether the answer shows one of these fields in a form that cannot be read."""
        if not self.unreadable:
            return False
        if not self.unreadable.isdisjoint(fields):
            return True
        return "" in self.unreadable and any(field not in (self.links or {}) for field in fields)


class Page(msgspec.Struct, frozen=True):
    """One page of a list.

    `number` is which page it is, and `pages` is how many pages the list has, by the answer; None if it does not say.
    """

    items: tuple[Listed, ...]
    pages: int | None = None
    number: int | None = None


class Answer(msgspec.Struct, frozen=True):
    """An answer of the account, whatever its status; `message` is the server's own text for an error.

    `target` is set for a request of one target, `page` for a page of a list. Other requests get `value`, the JSON
    object, and `limit`, the rate limit that the account reports. `sent_at` is the loop time at which the request left.
    `is_foreign`: an error whose body is not JSON, so that most likely a firewall or proxy sent it; or a redirect that
    names a host.
    """

    status: int
    target: Listed = Listed()
    page: Page | None = None
    message: str = ""
    retry_after_s: float | None = None
    sent_at: float = 0.0
    value: Mapping[str, Any] | None = None
    limit: RateLimit | None = None
    is_foreign: bool = False


Reply: TypeAlias = Answer | RequestFailed
"""What one try of a request brings: an answer of the account, or the reason why none came."""


def understand_target(reply: HttpAnswer, kind: Kind, name: str = "", *, may_be_silent: bool = False) -> Answer:
    """Parse the reply to a request of one target.

    Args:
        name: the id of the target that was asked for. A reply that names it so needs no check of its name.
        may_be_silent: the reply may have no body, as that to a PUT.

    Raises:
        BadAnswer: a 2xx reply that is not from Aha!: not JSON, or without the target.
    """
    if not 200 <= reply.status < 300:
        return _refused(reply)
    if may_be_silent and not reply.body:
        return Answer(reply.status, sent_at=reply.sent_at)
    item = _json(reply).get(kind)
    if not isinstance(item, dict):
        raise BadAnswer(f"the answer ({reply.status}) has no {kind}: {_excerpt(reply.body)}")
    return Answer(reply.status, _listed(item, kind, name), sent_at=reply.sent_at)


def understand_page(reply: HttpAnswer, kind: Kind) -> Answer:
    """Parse the reply to a request of one page of a list.

    Raises:
        BadAnswer: a 2xx reply that is not from Aha!: not JSON, or without the list.
    """
    if not 200 <= reply.status < 300:
        return _refused(reply)
    value = _json(reply)
    items: Any = value.get(kind.plural)
    if not _are_objects(items):
        raise BadAnswer(f"the answer ({reply.status}) has no {kind.plural}: {_excerpt(reply.body)}")
    number, pages = paging(value)
    page = Page(tuple(_listed(item, kind) for item in items), pages, number)
    return Answer(reply.status, page=page, sent_at=reply.sent_at)


def paging(value: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Which page of a list an answer is, and how many there are; None for what it does not say."""
    match value.get("pagination"):
        case dict() as pagination:
            number, pages = pagination.get("current_page"), pagination.get("total_pages")
            return number if isinstance(number, int) else None, pages if isinstance(pages, int) else None
    return None, None


def understand_object(reply: HttpAnswer, key: str, *, many: bool) -> Answer:
    """Parse a reply whose JSON object the caller reads.

    Args:
        key: where the reply must hold an object, or a list of objects.
        many: it must be a list.

    Raises:
        BadAnswer: a 2xx reply that is not from Aha!: not JSON, or with something else there.
    """
    if not 200 <= reply.status < 300:
        return _refused(reply)
    value = _json(reply)
    content = value.get(key)
    if not (_are_objects(content) if many else isinstance(content, dict)):
        raise BadAnswer(f"the answer ({reply.status}) has no {key}: {_excerpt(reply.body)}")
    return Answer(reply.status, value=value, limit=rate_limit(reply.headers, datetime.now(UTC)), sent_at=reply.sent_at)


def understand_deletion(reply: HttpAnswer) -> Answer:
    """Parse the reply to a DELETE, which has no body (204, by the vendor's documents).

    Raises:
        BadAnswer: a 2xx reply that is not from Aha!: a body that is not JSON.
    """
    if not 200 <= reply.status < 300:
        return _refused(reply)
    if reply.body:
        _json(reply)
    return Answer(reply.status, sent_at=reply.sent_at)


def is_json(body: bytes) -> bool:
    """Whether a body is a JSON object, as all of Aha!'s own answers are."""
    try:
        return not _is_bloated(body) and isinstance(orjson.loads(body), dict)
    except orjson.JSONDecodeError:
        return False


def _are_objects(value: Any) -> bool:
    """Whether this is a list of objects that is not longer than a page can be."""
    return isinstance(value, list) and len(value) <= _MOST_ITEMS and all(isinstance(item, dict) for item in value)


def _json(reply: HttpAnswer) -> dict[str, Any]:
    if _is_bloated(reply.body):
        raise BadAnswer(f"the answer ({reply.status}) has more than {_MOST_PARTS:,} parts: {_excerpt(reply.body)}")
    try:
        value = orjson.loads(reply.body)  # raises if the JSON is nested over 1,024 deep
    except orjson.JSONDecodeError:
        raise _no_json(reply) from None
    return value if isinstance(value, dict) else {}


def _no_json(reply: HttpAnswer) -> BadAnswer:
    error = BadAnswer(f"the answer ({reply.status}) is not JSON: {_excerpt(reply.body)}")
    error.is_foreign = _is_page(reply.body)
    error.retry_after_s = asked_wait_s(reply.headers, datetime.now(UTC))
    return error


def _is_bloated(body: bytes) -> bool:
    """Whether reading the body as JSON would take too much memory."""
    return len(body) > _MOST_PARTS and sum(map(body.count, (b",", b"{", b"["))) > _MOST_PARTS


def _listed(item: dict[str, Any], kind: Kind, name: str = "") -> Listed:
    id, reference = item.get("id"), item.get("reference_num") or item.get("reference_prefix")
    if not (type(id) is str and id.isdigit() and id.isascii() and id[0] != "0" and len(id) <= _PLAIN_DIGITS):
        id = _name(id, kind) if isinstance(id, int) or (isinstance(id, str) and id.isdigit()) else ""
    if reference != name or reference.isdigit():
        reference = _name(reference, kind) if isinstance(reference, str) and not reference.isdigit() else ""
    links, unreadable = _links(item.get("custom_object_links"))
    return Listed(id, reference, links, unreadable)


def _name(value: str | int, kind: Kind) -> str:
    """The canonical id of a target; empty if the value cannot be one."""
    if type(value) is str and plain_kind(value, kind) is not None:
        return value
    try:
        return Target.parse(value, kind).id
    except InvalidJob:
        return ""


def _refused(reply: HttpAnswer) -> Answer:
    if 300 <= reply.status < 400:
        where = reply.headers.get("Location", "nowhere")
        message = f"redirected to {plain(where)}; linker does not follow redirects: check the account's name"
        return Answer(reply.status, message=message, sent_at=reply.sent_at, is_foreign=_is_absolute(where))
    now = datetime.now(UTC)
    retry_after_s = (refusal_wait_s if reply.status == 429 else asked_wait_s)(reply.headers, now)
    message, is_foreign = _message(reply)
    return Answer(
        reply.status,
        message=message,
        retry_after_s=retry_after_s,
        sent_at=reply.sent_at,
        is_foreign=is_foreign,
    )


def _is_absolute(location: str) -> bool:
    """Whether a `Location` names a host."""
    return "//" in location.strip()[:8]


def _links(value: object) -> tuple[Links | None, frozenset[str]]:
    """`[{"key": "customers", "record_ids": [640362830]}]` as links, None if missing; and the unreadable fields.

    Raises:
        BadAnswer: the value is no list, and must not pass for an empty one.
    """
    if value is None:
        return None, _NONE
    if not isinstance(value, list):  # "" and {} would pass for no links
        raise BadAnswer(f"the answer shows links that linker does not understand: {quoted(value)}")
    links: dict[str, frozenset[str]] = {}
    unreadable: set[str] = set()
    for entry in value:
        field = entry.get("key") if isinstance(entry, dict) else None
        if not isinstance(field, str) or not field:
            unreadable.add("")
            continue
        try:
            ids = _record_ids(entry.get("record_ids"))
        except InvalidJob:
            unreadable.add(field)
        else:
            links[field] = links[field] | ids if field in links else ids
    return links, frozenset(unreadable) if unreadable else _NONE


def _record_ids(value: object) -> frozenset[str]:
    """Raises `InvalidJob` if it is no list of record ids: "12" would pass for the records 1 and 2."""
    if not isinstance(value, list):
        raise InvalidJob(f"{quoted(value)} is not a list of record ids")
    return frozenset(plain_ids(value) or [str(id) if type(id) is int and id >= 0 else exact_id(id) for id in value])


def _message(reply: HttpAnswer) -> tuple[str, bool]:
    """Return the server's error message, or else the start of the body; and whether the body is not JSON."""
    is_foreign, value = False, None
    try:
        value = None if _is_bloated(reply.body) else orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        is_foreign = bool(reply.body.strip()) and reply.status != 422  # which no firewall or proxy answers
    text = plain(_found_message(value) or "")
    if not text:
        text, words = _excerpt(reply.body), in_words(reply.status)
        if words is not None and (_is_page(reply.body) or not reply.body.strip()):
            text = f"{words} {text}"
    return text, is_foreign


def _found_message(value: Any, depth: int = 0) -> str | None:
    """The message in `{"error":…}`, `{"message":…}`, `{"errors":{…}}`, `{"errors":[…]}` and nestings of these."""
    depth += 1
    if depth > _MESSAGE_DEPTH:
        return None
    match value:
        case str():
            return value
        case list():
            return "; ".join(text for item in value[:5] if (text := _found_message(item, depth))) or None
        case {"message": str(message)} | {"error": str(message)}:
            return message
        case {"error": inner} | {"errors": inner}:
            return _found_message(inner, depth)
        case dict():  # {"customers": ["is invalid"]}
            messages = ((key, _found_message(item, depth)) for key, item in list(value.items())[:5])
            return "; ".join(f"{key} {text}" for key, text in messages if text) or None
        case _:
            return None


def _is_page(body: bytes) -> bool:
    """Whether a body is HTML."""
    return body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"


def _excerpt(body: bytes) -> str:
    if _is_page(body):
        return "(an HTML page)"
    return plain(body[:_EXCERPT].decode(errors="replace")) or "(no text)"


class HttpAnswer(msgspec.Struct, frozen=True):
    """An HTTP answer that was not parsed yet. `sent_at` is the loop time at which the request left."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    sent_at: float
