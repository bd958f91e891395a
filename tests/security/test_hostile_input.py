"""Hostile inputs that have once broken something, or would: each refused where it comes in, with a reason."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from support.raw_server import Arrived, Wire, opened, send_raw
from support.runs import features, results_of

import linker
from linker import Kind, Linker, UndoFile, UsageError
from linker.api.answers import Answer, HttpAnswer, Listed, understand_target
from linker.api.lists import Listing, PageRequest
from linker.api.requests import Create, Delete, ReadRequest, Request, record, record_with_linkers, records
from linker.errors import BadAnswer, RequestFailed
from linker.model.target import Target
from linker.records.table import read_table, tables_in_use
from linker.results.journal import journal_of, left_open
from linker.results.resume import read_done
from linker.sandbox import Sandbox
from linker.settings import Rate
from linker.sources import Columns, Reading, Rejection
from linker.sources.jsonl import read_jsonl


@pytest.mark.parametrize("links", ['"customers"', "[1]", "7", "null", "[]", '""'])
def test_links_that_are_none_are_rejected_where_records_go_by_name(links: str) -> None:
    """`--match` looks into links before they are checked."""
    (entry,) = read_jsonl(BytesIO(b'{"id": "PRJ1-1", "links": %s}' % links.encode()), "f", Reading(match="name"))
    assert isinstance(entry.value, Rejection)
    assert "links" in entry.value.message


DEEP = {depth: "[" * depth + "]" * depth for depth in (30, 200, 254, 300, 1000, 1023, 1025, 100_000)}


@pytest.mark.parametrize("depth", DEEP)
@pytest.mark.parametrize(
    "shape", ['{{"id":"PRJ1-1","links":{{"a":{}}}}}', '{{"id":"PRJ1-1","links":{{"a":[]}},"key":{}}}', "{}"]
)
def test_a_job_line_that_is_nested_too_deep_is_rejected(depth: int, shape: str) -> None:
    """Wherever in it; a key may be as deep as a result can show it."""
    (entry,) = read_jsonl(BytesIO(shape.format(DEEP[depth]).encode()), "f", Reading())
    if "key" in shape and depth <= 200:
        assert not isinstance(entry.value, Rejection)
    else:
        assert isinstance(entry.value, Rejection)


@pytest.mark.parametrize("depth", DEEP)
@pytest.mark.parametrize(
    "shape",
    [
        '{{"feature":{{"custom_object_links":{}}}}}',
        '{{"feature":{{"custom_object_links":[{{"key":{0},"record_ids":{0}}}]}}}}',
        '{{"feature":{}}}',
        "{}",
    ],
)
def test_an_answer_that_is_nested_too_deep_is_a_bad_one(depth: int, shape: str) -> None:
    """It never passes for no links: the answer is a bad one, or shows links in a form that cannot be read."""
    reply = HttpAnswer(200, CIMultiDict(), shape.format(DEEP[depth]).encode(), 0.0)
    try:
        item = understand_target(reply, Kind.FEATURE).target
    except BadAnswer as error:
        item = Listed(unreadable=frozenset({"", str(error)[:400]}))
    assert item.obscures(["customers"])


BLOATED = {
    "objects": b'{"features":[' + b"{}," * 700_000 + b"{}]}",
    "lists": b'{"feature":{"custom_object_links":[' + b"[]," * 700_000 + b"[]]}}",
    "texts": b'{"feature":[' + b'"",' * 1_100_000 + b'""]}',
}


@pytest.mark.parametrize("body", BLOATED.values(), ids=BLOATED)
def test_an_answer_of_a_million_parts_is_not_read(body: bytes) -> None:
    """Two megabytes of `{}` take a hundred as objects, and sixteen would take as good as all; an error is no better."""
    with pytest.raises(BadAnswer, match="\\(200\\) has more than 1,000,000 parts"):
        understand_target(HttpAnswer(200, CIMultiDict(), body, 0.0), Kind.FEATURE)
    assert understand_target(HttpAnswer(422, CIMultiDict(), body, 0.0), Kind.FEATURE).message.startswith('{"feature')


OK = b"HTTP/1.1 200 OK\r\n"
FLOODS = {
    "headers": OK + b"a: b\r\n" * 100_000,
    "a header": OK + b"A: " + b"x" * 1_000_000,
    "a status": b"HTTP/1.1 200 " + b"O" * 1_000_000,
    "trailers": OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * 100_000,
    "answers to come": b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
    "a body": OK + b"Content-Length: 99999999\r\n\r\n" + b"x" * (17 * 2**20),
}


@pytest.mark.parametrize("flood", FLOODS)
async def test_what_a_server_sends_is_bounded(flood: str) -> None:
    """Whichever part of an answer never ends: it is given up after some of it, and is no answer."""

    async def answer(_: Arrived, writer: asyncio.StreamWriter) -> None:
        writer.write(FLOODS[flood])
        with suppress(OSError):
            await writer.drain()
        writer.close()

    async with Wire(answer) as wire, opened(wire.url) as pool:
        with pytest.raises(RequestFailed) as caught:
            await send_raw(pool, "GET", "/api/v1/features/PRJ1-1")
    assert len(str(caught.value)) < 100


def test_a_page_is_not_longer_than_a_page_can_be() -> None:
    """Five times what was asked for may pass; what would hold everything else up does not."""
    for count in (200, 1000):
        body = orjson.dumps({"features": [{}] * count})
        answer = Listing(Kind.FEATURE).page(1).understand(HttpAnswer(200, CIMultiDict(), body, 0.0))
        assert answer.page is not None
        assert len(answer.page.items) == count
    body = orjson.dumps({"features": [{}] * 1001, "custom_object_records": [{}] * 1001})
    for look in (Listing(Kind.FEATURE).page(1), records(Listing(Kind.CUSTOM_OBJECT_RECORD, "P", "t"), 1)):
        with pytest.raises(BadAnswer, match=r"\(200\) has no "):
            look.understand(HttpAnswer(200, CIMultiDict(), body, 0.0))


def test_an_error_that_is_nested_too_deep_is_told_all_the_same() -> None:
    """As the text that it is."""
    for depth, text in DEEP.items():
        answer = understand_target(HttpAnswer(422, CIMultiDict(), f'{{"errors":{text}}}'.encode(), 0.0), Kind.FEATURE)
        assert answer.message.startswith('{"errors":[[['), depth


JOB = {"job": 0, "kind": "feature", "id": "PRJ1-1", "mode": "add", "links": {}, "key": None}
RESULT = JOB | {"status": "linked", "change": 0}
DONE = RESULT | {"changes": {"customers": {"added": ["1"], "removed": []}}, "before": {"customers": []}}


@pytest.mark.parametrize(
    "line",
    [
        b'{"job":0,"kind":"f\xff","id":"1","mode":null,"links":{},"key":null,"status":"linked","change":null}',
        orjson.dumps(RESULT)[:-1] + b',"after":' + DEEP[1000].encode() + b"}",
        orjson.dumps(RESULT)[:-1] + b',"after":' + DEEP[100_000].encode() + b"}",
        orjson.dumps(RESULT).replace(b'"key":null', b'"key":' + DEEP[300].encode()),
        orjson.dumps(RESULT | {"change": 2**63}),
        orjson.dumps(RESULT | {"change": -1}),
        orjson.dumps(RESULT | {"run": 2**32}),
        orjson.dumps(RESULT | {"run": -1}),
    ],
    ids=["no UTF-8", "deep", "deeper", "deep key", "change", "no change", "run", "no run"],
)
def test_a_results_file_that_somebody_has_touched_is_refused(line: bytes, tmp_path: Path) -> None:
    """With its line: a resume does not guess."""
    path = tmp_path / "out.jsonl"
    path.write_bytes(orjson.dumps(RESULT) + b"\n" + line + b"\n")
    with pytest.raises(UsageError, match=r"out\.jsonl line 2: this is not a line of a results file"):
        read_done(path)


@pytest.mark.parametrize(
    "touched",
    [
        {"changes": {"a/../b": {"added": ["1"], "removed": []}}, "before": None},
        {"changes": {"customers": {"added": ["1 OR 1"], "removed": []}}},
        {"id": "../../admin"},
        {"changes": None, "links": [[[]]]},
        {"changes": None, "links": orjson.loads('{"a":' + "[" * 400 + "]" * 400 + "}")},
        {"changes": None, "key": orjson.loads("[" * 400 + "]" * 400)},
        {"changes": None, "mode": {}},
        {"id": "PRJ1"},
        {"kind": "user"},
        {"changes": None, "error": "text", "status": "failed"},
        {"changes": [1]},
    ],
    ids=lambda touched: f"{list(touched)}"[:40],
)
async def test_an_undo_does_nothing_that_a_job_could_not_ask(touched: dict[str, Any], tmp_path: Path) -> None:
    """Results that somebody has touched are refused, with the line."""
    path = tmp_path / "out.jsonl"
    path.write_text(json.dumps(DONE | touched) + "\n")
    with pytest.raises(UsageError, match=r"out\.jsonl line 1: this is not a line of a results file"):
        [entries async for entries in UndoFile(path).entries(Reading())]


INTENT = {"target": {"kind": "feature", "id": "PRJ1-1"}, "put": {"customers": ["1"]}, "before": {"customers": []}}


@pytest.mark.parametrize(
    "touched",
    [{"put": {"a b": ["1"]}}, {"put": {"customers": ["x"]}}, {"target": {"kind": "feature", "id": "PRJ1"}}],
    ids=str,
)
async def test_nor_does_a_journal_that_somebody_has_touched(touched: dict[str, Any], tmp_path: Path) -> None:
    """It is named."""
    path = tmp_path / "out.jsonl"
    path.write_bytes(b"")
    journal_of(path).write_bytes(orjson.dumps({"intent": INTENT | touched}) + b"\n")
    with pytest.raises(UsageError, match=r"out\.jsonl\.journal: this is not the journal of a run"):
        [entries async for entries in UndoFile(path).entries(Reading())]


@pytest.mark.parametrize(
    "line",
    [
        orjson.dumps({"intent": INTENT}).replace(b"customers", b"cust\xff"),
        orjson.dumps({"intent": INTENT | {"target": {"kind": "feature", "id": "../x"}}}),
        b'{"intent":' + DEEP[100_000].encode() + b"}",
    ],
    ids=["no UTF-8", "no id", "deep"],
)
def test_a_broken_line_of_a_journal_costs_its_target_a_look(line: bytes, tmp_path: Path) -> None:
    """As if it had never been there; the others count."""
    path = tmp_path / "out.jsonl.journal"
    path.write_bytes(line + b"\n" + orjson.dumps({"intent": INTENT}) + b"\n")
    assert [target.id for target in left_open(path)] == ["PRJ1-1"]


@pytest.mark.parametrize("key", [["customers"], {"customers": 1}, None, 5, True])
async def test_a_field_of_an_answer_that_is_no_text_is_none(key: object) -> None:
    """It was looked up as it came, and a list cannot be."""
    item = {"custom_object_links": [{"key": key, "record_ids": ["1"]}]}

    async def read(_: ReadRequest) -> Answer:
        return Answer(200, value={"features": [item]})

    assert await tables_in_use(read, Kind.FEATURE, {"customers"}) == {}
    answer = understand_target(HttpAnswer(200, CIMultiDict(), orjson.dumps({"feature": item}), 0.0), Kind.FEATURE)
    assert answer.target.obscures(["customers"])


@pytest.mark.parametrize(
    "text",
    ["a=" + "[" * 5000, "a=" + "9" * 5000, "a=" + "{a=" * 3000, "a = 1979-13-45", "\udcff"],
    ids=["deep", "digits", "deeper", "date", "no UTF-8"],
)
def test_a_file_of_columns_that_is_no_toml_says_so(text: str, tmp_path: Path) -> None:
    """Whatever the parser makes of it."""
    path = tmp_path / "columns.toml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UsageError, match=r"columns\.toml is not valid TOML"):
        Columns.parse([], [], path)


@pytest.mark.parametrize("text", ["9" * 5000 + "/60s", "300/" + "9" * 5000, "300/1." + "0" * 5000])
def test_a_rate_of_a_thousand_digits_is_none(text: str) -> None:
    """Python itself refuses to read it."""
    with pytest.raises(UsageError, match="is invalid; write REQUESTS/SECONDS"):
        Rate.parse(text)


def test_a_base_of_slashes_alone_takes_no_time() -> None:
    """And one whose path says the API's twice is the same base."""
    with pytest.raises(UsageError):
        linker.Settings(base_url="https://a" + "/" * 500_000 + "\\")
    settings = linker.Settings(base_url="https://a/api/v1/api/v1//")
    assert settings.base_url == "https://a"


@pytest.mark.parametrize(
    "endless", [Listing(Kind.FEATURE).page, partial(records, Listing(Kind.CUSTOM_OBJECT_RECORD, "P", "t"))]
)
def test_a_list_without_end_is_not_read_for_ever(endless: Callable[[int], object]) -> None:
    """A server that always has a page more would keep a run from ever writing, and its memory growing."""
    endless(10_000)
    with pytest.raises(linker.Stopped, match="has more than 2,000,000 items"):
        endless(10_001)


PATH = re.compile(r"/api/v1/[a-z_]+(/[A-Za-z0-9_-]+)*(\?[a-z_=0-9,&]+)?")
PARTS = st.text() | st.sampled_from(
    ["..", "../me", "1/2", "1?x=1", "1#", "1%2f", "1\n", " 1", "PRJ1-1", "7", "a" * 201, ""]
)
MADE: dict[str, Callable[[str], Any]] = {
    "a target": lambda text: Request(Target(Kind.FEATURE, text)),
    "a product's list": lambda text: PageRequest(Listing(Kind.FEATURE, text), 1),
    "a table's list": lambda text: records(Listing(Kind.CUSTOM_OBJECT_RECORD, "PRJ1", text), 1),
    "a new record": lambda text: Create(Listing(Kind.CUSTOM_OBJECT_RECORD, text, "customers"), {"name": text}),
    "a record": record,
    "a record with its linkers": record_with_linkers,
    "a deletion": Delete,
}


@pytest.mark.parametrize("what", MADE)
def test_a_path_is_made_of_checked_ids_alone(what: str) -> None:
    """Whoever makes a request, and whatever of: it cannot lead anywhere else, or it cannot be made."""

    @given(PARTS)
    def holds(text: str) -> None:
        with suppress(linker.InvalidJob):
            path = MADE[what](text).path
            assert PATH.fullmatch(path)
            assert text.strip().lstrip("0") in path

    holds()
    with pytest.raises(linker.InvalidJob):
        MADE[what]("../me")


async def test_names_of_a_list_get_into_no_path(sandbox: Sandbox) -> None:
    """What a list calls a target is asked for only where it is a name that a target can have."""
    answer = sandbox._routes.answer

    def bent(method: str, path: str, query: str, *rest: Any) -> Any:
        given = answer(method, path, query, *rest)
        if "page=" in query:
            value = orjson.loads(given.body)
            for item in value.get("features", []):
                item["reference_num"] = "../../me?x="
                item["id"] = "../products/1"
                item.pop("custom_object_links", None)
            given = given._replace(body=orjson.dumps(value))
        return given

    sandbox._routes.answer = bent  # type: ignore[assignment, method-assign]
    async with Linker(url=sandbox.url, token="sandbox", rate=()) as aha:
        with pytest.raises(linker.ExportFailed, match="shows an item without id and reference"):
            [job async for job in aha.export("feature")]
        (result,) = await results_of(aha.run(features(1)))
    assert result.status == "linked"
    assert all(re.fullmatch(r"/api/v1/[a-z_]+(/[A-Za-z0-9_-]+)*", seen.path) for seen in sandbox.requests)


async def test_what_no_job_could_name_a_record_by_is_not_kept() -> None:
    """Names of a thousand characters are; of fields that no record goes by, twenty are told."""
    table = (Listing(Kind.CUSTOM_OBJECT_RECORD, "P", "t"),)
    fields = [{"key": f"key{number}", "value": "x"} for number in range(5000)]
    fields += [{"key": "k" * 201, "value": "x"}, {"key": "\x1b[2J", "value": "x"}]
    items = [{"id": 1, "name": "n" * 1000}, {"id": 2, "name": "n" * 1001, "custom_fields": fields}]

    async def read(_: ReadRequest) -> Answer:
        return Answer(200, value={"custom_object_records": items})

    records = await read_table(read, table, "name", why="")
    assert records.value("1") == "n" * 1000
    assert records.value("2") == ""
    with pytest.raises(UsageError, match='has a value in the field "nothing"; these fields have values: ') as caught:
        await read_table(read, table, "nothing", why="")
    assert str(caught.value).count("key") == 20
    assert len(str(caught.value)) < 500
