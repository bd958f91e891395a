"""What an answer means: links, messages and waits, or nothing valid."""

from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict

from linker.api.answers import Answer, HttpAnswer
from linker.api.headers import retry_after
from linker.api.requests import Request
from linker.errors import BadAnswer
from linker.model.job import Links
from linker.model.target import Kind, Target

FEATURE = Target(Kind.FEATURE, "PRJ1-1")
READ = Request(FEATURE)
WRITE = Request(FEATURE, put={"customers": frozenset({"1"})})
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def reply(status: int, body: object = b"", **headers: str) -> HttpAnswer:
    """A reply; a body that is not bytes is sent as JSON."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return HttpAnswer(status, CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()}), raw, 1.5)


def understand(reply: HttpAnswer, request: Request) -> Answer:
    """Parse the reply to a request."""
    return request.understand(reply)


def shown(links: object) -> dict[str, Any]:
    """The answer of a feature with these links."""
    return {"feature": {"id": "7", "reference_num": "PRJ1-1", "custom_object_links": links}}


def entry(key: object, ids: object) -> dict[str, Any]:
    """One field's links in an answer."""
    return {"key": key, "name": "A name", "record_type": "CustomObjectRecord", "record_ids": ids}


@pytest.mark.parametrize(
    ("body", "links"),
    [
        (
            shown([entry("customers", [2, "10", 7036045937940797544])]),
            {"customers": {"2", "10", "7036045937940797544"}},
        ),
        (shown([entry("a", [1]), entry("b", [])]), {"a": {"1"}, "b": set()}),
        (shown([entry("a", [1]), entry("a", [2])]), {"a": {"1", "2"}}),
        (shown([]), {}),
        (shown(None), None),
        ({"feature": {"id": "7"}}, None),
        ({"feature": {}, "pagination": {}}, None),
    ],
    ids=["two forms of id", "an empty field", "a field in two entries", "no field", "null", "left out", "nothing"],
)
def test_links_are_what_the_answer_shows_and_none_where_it_shows_none(
    body: object, links: dict[str, set[str]] | None
) -> None:
    """Ids become exact strings; a missing or null key proves nothing and is not an empty list."""
    expected: Links | None = None if links is None else {field: frozenset(ids) for field, ids in links.items()}
    for request in (READ, WRITE):
        answer = understand(reply(200, body), request)
        assert (answer.status, answer.target.links, answer.page, answer.sent_at) == (200, expected, None, 1.5)


@pytest.mark.parametrize("links", ["", "12", {}, {"customers": ["1"]}, 0, False], ids=repr)
def test_links_of_another_shape_never_pass_for_no_links(links: object) -> None:
    """An unknown shape is an error: taken for an empty list, it would lead to the removal of links."""
    with pytest.raises(BadAnswer, match="links that linker does not understand"):
        understand(reply(200, shown(links)), READ)


ODD_IDS = [None, "12", {"1": 2}, 12, [1.5], [7.036045937940798e18], [True], [None], [-1], ["7.03605E+18"], ["a-uuid"]]


@pytest.mark.parametrize("odd", [entry("partners", ids) for ids in ODD_IDS] + [{"key": "partners"}], ids=repr)
def test_an_odd_entry_obscures_its_own_field_alone(odd: object) -> None:
    """Its field must not pass for empty; jobs on other fields go on, for nobody asked for that one."""
    item = understand(reply(200, shown([entry("customers", ["1"]), odd])), READ).target
    assert item.links == {"customers": frozenset({"1"})}
    assert item.obscures(["partners"])
    assert not item.obscures(["customers", "contracts"])


@pytest.mark.parametrize("odd", ["customers", None, {"record_ids": ["1"]}, entry(["customers"], ["1"])], ids=repr)
def test_an_entry_without_a_key_obscures_each_field_that_is_not_shown(odd: object) -> None:
    """It may belong to any of them."""
    item = understand(reply(200, shown([entry("customers", ["1"]), odd])), READ).target
    assert item.obscures(["contracts"])
    assert not item.obscures(["customers"])


def test_a_bare_id_that_no_number_of_json_holds_exactly_obscures_its_field() -> None:
    """An integer above 2^64 loses digits in decoding, and must not become another record's id."""
    body = b'{"feature":{"custom_object_links":[{"key":"customers","record_ids":[98765432109876543210987]}]}}'
    assert understand(reply(200, body), READ).target.obscures(["customers"])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<!DOCTYPE html><title>Log in</title>", "the answer (200) is not JSON: (an HTML page)"),
        (b"\n  <html>", "the answer (200) is not JSON: (an HTML page)"),
        (b"OK", "the answer (200) is not JSON: OK"),
        (b'{"feature": {"custom_obj', 'the answer (200) is not JSON: {"feature": {"custom_obj'),
        (b"\xff\xfe", "the answer (200) is not JSON: ��"),
        (b"NaN", "the answer (200) is not JSON: NaN"),
        (b"  ", "the answer (200) is not JSON: (no text)"),
        ([], "the answer (200) has no feature: []"),
        ("feature", 'the answer (200) has no feature: "feature"'),
        ({"epic": {}}, 'the answer (200) has no feature: {"epic":{}}'),
        ({"feature": []}, 'the answer (200) has no feature: {"feature":[]}'),
    ],
)
def test_a_200_that_is_none_of_ahas_is_a_bad_answer_that_shows_itself(body: object, said: str) -> None:
    """A proxy's page, half a body or another resource is an error, to be tried again."""
    for request in (READ, WRITE):
        with pytest.raises(BadAnswer) as caught:
            understand(reply(200, body), request)
        assert str(caught.value) == said


@pytest.mark.parametrize("status", [200, 201, 204])
def test_a_write_may_be_answered_without_a_word_and_a_read_may_not(status: int) -> None:
    """An empty answer to a PUT shows no links; to a GET it is an error, or the links would count as hidden."""
    assert understand(reply(status), WRITE) == Answer(status, sent_at=1.5)
    with pytest.raises(BadAnswer, match=rf"the answer \({status}\) is not JSON: \(no text\)"):
        understand(reply(status), READ)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_tells_where_it_points(status: int) -> None:
    """The message suspects the account's name, and shows the address escaped."""
    answer = understand(reply(status, b"<html>", Location="https://secure.aha.io/\x1b[2Jlogin"), READ)
    assert answer.status == status
    redirected = "redirected to https://secure.aha.io/\\x1b[2Jlogin"
    assert answer.message.startswith(f"{redirected}; linker does not follow redirects")
    assert understand(reply(status), READ).message.startswith("redirected to nowhere")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": "Record not found."}, "Record not found."),
        ({"message": "No."}, "No."),
        ({"errors": {"message": "Value is invalid"}}, "Value is invalid"),
        ({"errors": [{"message": "One"}, {"message": "Two"}]}, "One; Two"),
        ({"errors": ["One", "Two"]}, "One; Two"),
        ({"error": {"message": "Inner", "code": 7}}, "Inner"),
        ({"errors": {"customers": ["is invalid", "is odd"]}}, "customers is invalid; is odd"),
        ({"customers": ["is invalid"], "name": ["is blank"]}, "customers is invalid; name is blank"),
        ("plain", "plain"),
        ({"errors": []}, '{"errors":[]}'),
        ({"error": None}, '{"error":null}'),
        ({"errors": {"code": 5}}, '{"errors":{"code":5}}'),
        ([], "[]"),
        (b"Bad gateway", "Bad gateway"),
        (b"<html><body>502", "(an HTML page)"),
        (b"", "(no text)"),
        (b"\xff oops", "� oops"),
        ({"error": "a\nb\r\n\tc\x1b[31mred\x00\u202e\x07"}, "a b c\\x1b[31mred\\x00\\u202e\\x07"),
        (b"\x1b]0;title\x07 x\ny", "\\x1b]0;title\\x07 x y"),
        ({"error": "x" * 301}, "x" * 300 + "…"),
    ],
)
def test_an_errors_message_is_the_servers_own_word_made_fit_for_a_terminal(body: object, message: str) -> None:
    """In all forms that Aha! and proxies use, it is one short printable line; without one, the body's start."""
    assert understand(reply(422, body), WRITE) == Answer(422, message=message, sent_at=1.5)


@pytest.mark.parametrize("body", [b'{"error":' * 1000 + b"1" + b"}" * 1000, b"[" * 1000 + b"]" * 1000])
def test_an_error_that_is_nested_without_end_is_no_reason_to_break_down(body: bytes) -> None:
    """The batch goes on; the message is the beginning of the body."""
    assert understand(reply(500, body), WRITE).message.startswith(body[:100].decode())


@given(
    st.integers(400, 599),
    st.binary()
    | st.text().map(str.encode)
    | st.recursive(
        st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["error", "errors", "message", "x"]), inner, max_size=3)
        ),
        max_leaves=12,
    ).map(orjson.dumps),
)
@example(500, b"\0" * 400)  # escaped, each byte is four characters
def test_any_error_body_becomes_one_short_printable_line(status: int, body: bytes) -> None:
    """Whatever a server says with an error."""
    message = understand(reply(status, body), WRITE).message
    assert message
    assert message.isprintable()
    assert len(message) <= 301


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("7", 7.0),
        (" 2.5 ", 2.5),
        ("-5", 0.0),
        ("86400000", 86_400_000.0),
        ("1e400", None),
        ("inf", None),
        ("nan", None),
        ("", None),
        ("soon", None),
        ("7 s", None),
        ("Thu, 01 Jan 2026 00:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 00:00:30 -0000", 30.0),
        ("Thu, 01 Jan 2026 01:00:30 +0100", 30.0),
        ("Thursday, 01-Jan-26 00:00:30 GMT", 30.0),
        ("Wed, 31 Dec 2025 23:59:00 GMT", 0.0),
        ("Thu, 99 Jan 2026 00:00:30 GMT", None),
        ("Thu, 01 Jan 2026 00:00:30 +99999", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_nonsense_is_none(value: str | None, seconds: float | None) -> None:
    """Past and negative values mean no wait; anything that is neither a finite number nor a date means nothing."""
    assert retry_after(value, NOW) == seconds


@given(st.datetimes(datetime(2026, 1, 1), datetime(2100, 1, 1)))
def test_any_date_to_come_is_waited_for_to_the_second(date: datetime) -> None:
    """A date as HTTP writes it comes back as the seconds until it."""
    until = date.replace(microsecond=0, tzinfo=UTC)
    assert retry_after(format_datetime(until, usegmt=True), NOW) == (until - NOW) / timedelta(seconds=1)


@given(st.text() | st.text(string.digits + " :,+-.eJanFriGMT", max_size=40))
@example("Mon, 01 Jan 0001 00:00:00 +2359")
@example("Fri, 31 Dec 9999 23:59:59 -2359")
def test_no_retry_after_breaks_anything(value: str) -> None:
    """Any header gives a number of seconds from 0 up, or None."""
    seconds = retry_after(value, NOW)
    assert seconds is None or 0.0 <= seconds < float("inf")
