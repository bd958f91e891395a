"""Hostile answers of a server: their bodies, their headers, their bytes on the wire, and whole runs on them."""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
from contextlib import suppress
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from multidict import CIMultiDict

from linker.api.answers import Answer, HttpAnswer, understand_object, understand_page, understand_target
from linker.api.headers import asked_wait_s, limit_report, rate_limit, refusal_wait_s
from linker.api.requests import ME, ReadRequest, Request
from linker.batch.merge import DesiredLinks
from linker.client.linker import Linker
from linker.errors import BadAnswer, InvalidJob, LinkerError, RequestFailed, Stopped, UsageError
from linker.model.job import LinkJob
from linker.model.target import Kind, Target
from linker.ratelimit.limiter import RateLimiter
from linker.records.fields import read_fields
from linker.records.names import NameResolver
from linker.retry.verdict import Accept, GiveUp, verdict
from linker.sandbox import Sandbox
from linker.sessions.pool import SessionPool
from linker.sessions.token import Token
from linker.settings import Rate, Settings
from support.hostile_inputs import Surface, assert_printable, plainly
from support.mutation import Mutator
from support.raw_server import send_raw

__all__ = ["ANSWERS"]

_HERE: Final = Settings(base_url="http://127.0.0.1:1", state_dir=None, attempts=1, refusals=1)
_STATUSES: Final = (200, 200, 200, 200, 201, 204, 206, 301, 400, 401, 404, 422, 429, 500, 503, 600)
_BAD: Final = object()


def _oracle_ids(value: Any) -> frozenset[str]:
    if not isinstance(value, list):
        raise ValueError
    ids = set()
    for each in value:
        text = str(each).strip()
        if isinstance(each, bool) or not isinstance(each, str | int) or not re.fullmatch("[0-9]+", text):
            raise ValueError
        ids.add(text.lstrip("0") or "0")
    return frozenset(ids)


def _oracle_links(shown: Any) -> Any:
    """What an answer's links are by a plain reading, and the fields that cannot be read; `_BAD` if it is no list."""
    value = shown.get("custom_object_links")
    if value is None:
        return None, frozenset()
    if not isinstance(value, list):
        return _BAD
    links: dict[str, frozenset[str]] = {}
    unreadable: set[str] = set()
    for each in value:
        key = each.get("key") if isinstance(each, dict) else None
        if not isinstance(key, str) or not key:
            unreadable.add("")
            continue
        try:
            links[key] = links.get(key, frozenset()) | _oracle_ids(each.get("record_ids"))
        except ValueError:
            unreadable.add(key)
    return links, frozenset(unreadable)


def bodies(data: bytes, rng: random.Random, _: Path) -> None:
    """Check that links are those of a plain reading, and that a PUT sends these plus what was asked."""
    reply = HttpAnswer(rng.choice(_STATUSES), CIMultiDict(), data, 0.0)
    kind = rng.choice((Kind.FEATURE, Kind.FEATURE, Kind.PRODUCT, Kind.CUSTOM_OBJECT_RECORD))
    page = rng.random() < 0.4
    try:
        answer = understand_page(reply, kind) if page else understand_target(reply, kind)
    except BadAnswer as error:
        assert_printable(str(error))
        return
    _judged(answer)
    if answer.status >= 300:
        assert answer.page is None
        assert answer.target.links is None
        return
    value = plainly(data)
    items = value[kind.plural] if page else [value[kind.value]]
    listed = answer.page.items if answer.page is not None else (answer.target,)
    for item, found in zip(items, listed, strict=True):
        links = _oracle_links(item)
        assert links is not _BAD
        assert (found.links, found.unreadable) == links
        for name in filter(None, (found.id, found.reference)):
            assert Target(kind, name).id == name
            assert name in json.dumps(item).upper()
        if found.links is not None:
            asked = DesiredLinks(add=frozenset({"77"})).after(found.links.get("customers", frozenset()))
            assert asked is not None
            body = Request(Target(Kind.FEATURE, "PRJ1-1"), {"customers": asked}).body
            assert body is not None
            put = json.loads(body)["feature"]["custom_object_links"]["customers"]
            assert set(put) == found.links.get("customers", frozenset()) | {"77"}


def _judged(answer: Answer) -> Any:
    """The verdict on an answer; its message must be printable."""
    assert answer.message.isprintable()
    judged = verdict(answer, 1, 0, _HERE)
    if isinstance(judged, GiveUp):
        assert judged.error.message.isprintable()
    assert answer.retry_after_s is None or 0 <= answer.retry_after_s < math.inf
    return judged


async def objects(data: bytes, rng: random.Random, _: Path) -> None:
    """Check definitions, tables, records and the token's owner: read or refused, and never an invented record."""

    async def read(look: ReadRequest) -> Answer | GiveUp:
        try:
            judged = _judged(
                look.understand(HttpAnswer(200, CIMultiDict(), data if rng.random() < 0.8 else b"{}", 0.0))
            )
        except BadAnswer as error:
            judged = verdict(error, 1, 0, _HERE)
        assert isinstance(judged, Accept | GiveUp)
        return judged.answer if isinstance(judged, Accept) else judged

    with suppress(BadAnswer):
        understand_object(HttpAnswer(200, CIMultiDict(), data, 0.0), ME.key, many=False)
    fields = await read_fields(read)
    if fields is not None:
        for kind in Kind:
            why = fields.fault(kind, "customer")
            assert why is None or InvalidJob(why).args
    names = NameResolver(Settings(base_url="http://[::1]", match=rng.choice((None, "salesforce_id"))), read)
    names.fields = fields if rng.random() < 0.5 else None
    job = LinkJob("PRJ1-1", {"customers": [{"name": "Acme Corp"}, {"salesforce_id": "0015"}]})  # type: ignore[list-item]
    try:
        resolved = await names.resolve(job)
    except LinkerError as error:
        assert_printable(str(error))
    else:
        for id in resolved.links["customers"]:
            assert str(id).encode() in data


def headers(data: bytes, rng: random.Random, _: Path) -> None:
    """Check that any headers give a possible limit, a finite wait, or nothing."""
    lines = data.decode("latin-1").splitlines()
    told = CIMultiDict((name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines))
    now = datetime(2026, 1, 1, tzinfo=UTC)
    limit = rate_limit(told, now)
    if limit is not None:
        assert 0 <= limit.remaining <= limit.limit
        assert 0 <= limit.reset_s <= 86_400
    report = limit_report(told, now)
    if report is not None:
        assert 0 <= report.remaining <= (report.limit or math.inf)
        assert 0 <= (report.reset_s or 0.0) <= 86_400
    for wait_s in (asked_wait_s(told, now), refusal_wait_s(told, now)):
        assert wait_s is None or 0 <= wait_s < math.inf
    for status in (200, 302, 429, 503):
        reply = HttpAnswer(status, told, b"{}", 0.0)
        with suppress(BadAnswer):
            _judged(understand_target(reply, Kind.FEATURE))


async def limits(data: bytes, rng: random.Random, folder: Path) -> None:
    """Check that a rate limiter that hears them gives the next permit after a finite time."""
    headers(data, rng, folder)
    lines = data.decode("latin-1").splitlines()
    told = CIMultiDict((name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines))
    limiter = RateLimiter((Rate(300, 60.0), Rate(20, 1.0)))
    async with limiter.turn(asyncio.Event()) as turn:
        turn.record_answer(rng.choice((200, 429, 503)), told)
    assert 0 <= limiter.paused_s < math.inf


async def wire(data: bytes, rng: random.Random, _: Path) -> None:
    """Check that any bytes lead to an answer, or to one of linker's failures with a printable message."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(data)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        settings = Settings(base_url=url, rate=(), state_dir=None, timeout_s=5.0)
        async with SessionPool(settings, Token("0123456789abcdef"), RateLimiter(()), asyncio.Event()) as pool:
            try:
                reply = await send_raw(pool, "GET", "/api/v1/features/PRJ1-1")
            except RequestFailed as error:
                assert_printable(str(error))
                return
            with suppress(BadAnswer):
                raw = HttpAnswer(reply.status, reply.headers, reply.body, reply.sent_at)
                _judged(understand_target(raw, Kind.FEATURE))


_FEATURES: Final = 6
_TWO: Final = ("customers", "customers_table")


async def runs(data: bytes, rng: random.Random, _: Path) -> None:
    """Check whole runs, checks and exports on an account with damaged answers.

    Each PUT must follow from its jobs and an earlier answer.
    """
    shown: list[bytes] = []
    puts: list[tuple[str, dict[str, list[str]], int]] = []
    async with Sandbox(limits=[], features=_FEATURES, records=20, linked=True, seed=rng.randrange(1000)) as sandbox:
        table = sandbox.account.listed(Kind.CUSTOM_OBJECT_RECORD)
        records = [str(each.id) for each in table if each.table == "customers"]
        jobs = _jobs(rng, records)
        preflight = rng.random() < 0.5
        answer = sandbox._routes.answer

        def bent(method: str, path: str, query: str, content_type: str = "", body: bytes = b"") -> Any:
            if method == "PUT":
                links = json.loads(body)["feature"]["custom_object_links"]
                puts.append((path.rpartition("/")[2], links, len(shown)))
            given = answer(method, path, query, content_type, body)
            if rng.random() < 0.3:
                given = given._replace(body=Mutator([given.body]).bent(rng) if rng.random() < 0.9 else data)
            shown.append(given.body)
            return given

        sandbox._routes.answer = bent  # type: ignore[method-assign]
        options: dict[str, Any] = {"rate": (), "backoff_base_s": 0.001, "backoff_cap_s": 0.002, "max_wait": 0.1}
        aha = Linker(url=sandbox.url, token="sandbox", attempts=2, refusals=2, state_dir=None, **options)
        async with aha:
            with suppress(Stopped, UsageError):
                match rng.randrange(8):
                    case 0:
                        await aha.check(jobs)
                    case 1:
                        async for job in aha.export("feature", names=rng.random() < 0.5):
                            assert job.links
                    case _:
                        async for result in aha.run(jobs, preflight=preflight, yes=True):
                            assert result.to_json().decode().isprintable()
    for id, put, before in puts:
        for field, ids in put.items():
            asked = [
                (job["mode"], frozenset(job["links"][field]))
                for job in jobs
                if job["id"] == id and field in job["links"]
            ]
            held = [each for body in shown[:before] for each in _held(body, id, field)]
            assert _may_be(frozenset(ids), asked, held, partly=preflight), (id, field, ids, asked)


def _jobs(rng: random.Random, records: list[str]) -> list[dict[str, Any]]:
    jobs = []
    for number in range(1, _FEATURES + 1):
        for _ in range(rng.choice((1, 1, 2))):
            links = {field: [rng.choice(records)] for field in rng.sample(_TWO, rng.choice((1, 1, 2)))}
            jobs.append({"id": f"PRJ1-{number}", "mode": rng.choice(("add", "replace")), "links": links})
    return jobs


def _may_be(
    ids: frozenset[str], asked: list[tuple[str, frozenset[str]]], held: list[frozenset[str]], *, partly: bool
) -> bool:
    """Whether a list is what its jobs ask, put together with what an answer shows the target to hold.

    With `partly`, a job may have been rejected for another of its fields: a list that it replaces is sent no more then.
    """
    replace = [each for mode, each in asked if mode == "replace"]
    adds = [each for mode, each in asked if mode == "add"]
    bases = held if partly or not replace else []
    if replace:
        bases = [*bases, frozenset().union(*replace)]
    least = 0 if partly else len(adds)
    added = [frozenset().union(*some) for count in range(least, len(adds) + 1) for some in combinations(adds, count)]
    return any(ids == base | some for base in bases for some in added)


def _held(body: bytes, id: str, field: str) -> list[frozenset[str]]:
    """What an answer shows a feature to hold, alone or in a list."""
    try:
        value = plainly(body)
    except ValueError:
        return []
    if not isinstance(value, dict):
        return []
    alone, listed = value.get("feature"), value.get("features")
    items = [*([alone] if isinstance(alone, dict) else []), *(listed if isinstance(listed, list) else [])]
    found = []
    for item in items:
        links = _oracle_links(item) if isinstance(item, dict) else None
        if isinstance(links, tuple) and (item is alone or id in str(item.get("reference_num")).upper()):
            found.append((links[0] or {}).get(field, frozenset()))  # left out: none, once links have been shown
    return found


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


_LINKS: Final = [{"key": "customers", "record_ids": [640362830, "8397122"], "record_type": "Custom"}]
_MORE: Final = [{"key": "customers", "record_ids": ["5"]}]
_FEATURE: Final = {"id": "131414752", "reference_num": "PRJ1-1", "name": "F", "custom_object_links": _LINKS}
_PAGES: Final = {"pagination": {"total_records": 1, "total_pages": 1, "current_page": 1}}
_TABLE: Final = {"key": "customers", "product_id": 131414752}
_ACME: Final = {"key": "name", "name": "Name", "value": "Acme Corp", "type": "string"}
_IDS: Final = {"key": "salesforce_id", "value": "0015"}
_DEFINITION: Final = {"key": "customers", "name": "Customers", "type": "CustomFieldDefinitions::LinkMany"}
_OF: Final = {"custom_fieldable_type": "Feature", "custom_object": _TABLE}
_HEAD: Final = b"X-Ratelimit-Limit: 300\r\nX-Ratelimit-Remaining: 12\r\nX-Ratelimit-Reset: %s\r\n"
_IETF: Final = b'RateLimit: "default";r=%d;t=30\r\nRateLimit-Policy: "default";q=300;w=60, "burst";q=20;w=1\r\n'
_OLD: Final = b"RateLimit-Limit: 10, 10;window=1;burst=20\r\nRateLimit-Remaining: 0\r\nRateLimit-Reset: 1\r\n"
_ISO: Final = b"X-Ratelimit-Limit: 40;w=10\r\nX-Ratelimit-Remaining: 0\r\nX-Ratelimit-Reset: 2026-01-01T00:00:09Z\r\n"
_OK: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_BODY: Final = _json({"feature": _FEATURE})

ANSWERS: Final = (
    Surface(
        "answers",
        [
            _BODY,
            _json({"features": [_FEATURE, _FEATURE | {"id": 7, "reference_num": "PRJ1-2"}]} | _PAGES),
            _json({"feature": _FEATURE | {"custom_object_links": [*_LINKS, *_MORE]}}),
            _json({"product": {"id": 1, "reference_prefix": "PRJ1", "custom_object_links": []}}),
            _json({"products": [{"id": "1", "reference_prefix": "PRJ1", "custom_object_links": _LINKS}]} | _PAGES),
            _json({"custom_object_record": {"id": 5, "custom_object_links": _LINKS}}),
            _json({"errors": {"message": "is invalid", "customers": ["no"]}}),
            _json({"error": "no such thing"}),
        ],
        bodies,
    ),
    Surface(
        "records and definitions",
        [
            _json(
                {"custom_object_records": [{"id": "640362830", "name": "Acme Corp", "custom_fields": [_ACME, _IDS]}]}
                | _PAGES
            ),
            _json({"custom_field_definitions": [_DEFINITION | _OF, _DEFINITION | {"type": "x"}]} | _PAGES),
            _json(
                {
                    "custom_field_definitions": [_DEFINITION | _OF],
                    "features": [_FEATURE],
                    "custom_object_record": _TABLE | {"id": 1},
                }
                | {"custom_object_records": [{"id": 1, "custom_fields": [_ACME]}, {"id": 2, "custom_fields": [_IDS]}]}
                | _PAGES
            ),
            _json({"user": {"name": "Mary", "email": "m@x"}}),
        ],
        objects,
    ),
    Surface(
        "headers",
        [
            _HEAD % b"1767225660",
            _HEAD % b"1767225660000",
            _IETF % 0,
            _OLD,
            _ISO,
            _HEAD % b"30.5" + b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nRetry-After: 5\r\n",
            b"Retry-After: Thu, 01 Jan 2026 00:01:00 GMT\r\nretry_after: 2.5\r\nLocation: https://login.example/?to=x\r\n",
        ],
        headers,
    ),
    Surface(
        "limits", [_HEAD % b"30", _HEAD % b"0", _HEAD % b"1767225660" + b"Retry-After: 3\r\n", _IETF % 3, _ISO], limits
    ),
    Surface(
        "bytes on the wire",
        [
            _OK + b"Content-Length: %d\r\n\r\n" % len(_BODY) + _BODY,
            _OK + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(_BODY) + _BODY + b"\r\n0\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 429 No\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.0 302 Go\r\nLocation: https://x/\r\nContent-Encoding: gzip\r\nSet-Cookie: a=b\r\n\r\n",
        ],
        wire,
    ),
    Surface("whole runs", [_BODY, b"{}", b'{"features":[],"pagination":{"total_pages":9}}', b"<html>"], runs),
)
