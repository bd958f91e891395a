"""The requests of one target, and what they look like on the wire."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.raw_server import opened

from linker.api.answers import Answer
from linker.api.requests import Request
from linker.errors import BadAnswer
from linker.model.target import Kind, Target
from linker.sandbox import Sandbox
from linker.sessions.pool import SessionPool

FEATURE = Target(Kind.FEATURE, "PRJ1-1")
READ = Request(FEATURE)


async def sent(pool: SessionPool, request: Request) -> Answer:
    """The answer to a request."""
    answer = await pool.send(lambda _: request)
    assert answer is not None
    return answer


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_is_asked_for_at_its_own_path_in_its_own_wrapper(kind: Kind) -> None:
    """GET and PUT go to the plural's path and ask for three fields; the body is wrapped in the singular."""
    target = Target(kind, "12345")
    name = "reference_prefix" if kind is Kind.PRODUCT else "reference_num"
    slim = f"/api/v1/{kind.value}s/12345?fields=custom_object_links,{name},id"
    read, write = Request(target), Request(target, put={"customers": frozenset({"9"})})
    assert (read.method, read.path, read.body) == ("GET", slim, None)
    assert (write.method, write.path) == ("PUT", slim)
    assert write.body is not None
    ids = [9] if kind is Kind.CUSTOM_OBJECT_RECORD else ["9"]
    assert orjson.loads(write.body) == {kind.value: {"custom_object_links": {"customers": ids}}}


def test_a_body_has_all_fields_with_exact_ids_as_strings_in_the_order_of_their_numbers() -> None:
    """Nineteen digits stay nineteen digits, 9 comes before 10, and a clear is an empty list."""
    ids = frozenset({"10", "9", "7036045937940797544"})
    body = Request(FEATURE, put={"customers": ids, "competitors": frozenset()}).body
    links = '{"customers":["9","10","7036045937940797544"],"competitors":[]}'
    assert body == f'{{"feature":{{"custom_object_links":{links}}}}}'.encode()


@given(st.sampled_from(Kind), st.frozensets(st.integers(0, 2**80).map(str), max_size=5))
def test_ids_of_any_length_are_exact_in_a_body(kind: Kind, ids: frozenset[str]) -> None:
    """Links from a record to records are numbers, as the document has them, and all others strings."""
    body = Request(Target(kind, "12345"), put={"field": ids}).body
    assert body is not None
    sent = json.loads(body)[kind]["custom_object_links"]["field"]  # reads integers of any length, unlike orjson
    assert {type(id) for id in sent} <= {int if kind is Kind.CUSTOM_OBJECT_RECORD else str}
    assert [str(id) for id in sent] == sorted(ids, key=int)


def test_a_record_that_is_still_to_be_created_is_no_number() -> None:
    """A body that is built before its time is valid JSON all the same."""
    body = Request(Target(Kind.CUSTOM_OBJECT_RECORD, "5"), put={"field": frozenset({"+Acme", "7"})}).body
    assert body == b'{"custom_object_record":{"custom_object_links":{"field":[7,"+Acme"]}}}'


def test_a_request_says_what_is_being_done_to_what() -> None:
    """For logs: method, target, fields."""
    assert str(READ) == "GET feature PRJ1-1"
    assert str(Request(FEATURE, put={"a": frozenset(), "b": frozenset()})) == "PUT feature PRJ1-1 a, b"


async def test_a_real_account_is_read_written_and_asked_for_what_it_has_not(sandbox: Sandbox) -> None:
    """Reads, writes and a 404 over the wire; each answer knows when its request left."""
    async with opened(sandbox.url, token=sandbox.options.token) as pool:
        before = await sent(pool, READ)
        assert (before.status, before.target.links) == (200, None)
        links = {"customers": frozenset({"640362830"})}
        after = await sent(pool, Request(FEATURE, put=links))
        assert after.target.links is not None
        assert after.target.links["customers"] == links["customers"]
        missing = await sent(pool, Request(Target(Kind.FEATURE, "PRJ1-99999")))
        assert (missing.status, missing.message) == (404, "Record not found.")
        assert before.sent_at < after.sent_at < missing.sent_at


async def test_a_bad_answer_knows_when_its_request_left(sandbox: Sandbox) -> None:
    """Even if the answer cannot be parsed."""
    sandbox.faults.script("html")
    async with opened(sandbox.url, token=sandbox.options.token) as pool:
        with pytest.raises(BadAnswer) as caught:
            await sent(pool, READ)
    assert caught.value.sent_at is not None
