"""Answers that are none to their request, by what they say of themselves."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.api.answers import HttpAnswer, Listed
from linker.api.lists import Listing
from linker.api.requests import (
    ME,
    PRODUCTS,
    ApiRequest,
    Create,
    Delete,
    Request,
    is_other,
    record,
    record_with_linkers,
    records,
)
from linker.model.target import Kind, Target

FEATURE = Target(Kind.FEATURE, "PRJ1-1")
BY_ID = Target(Kind.FEATURE, "640362830")
TABLE = Listing.parse("record:PRJ1/customers")


def why(request: ApiRequest, value: Any, status: int = 200) -> str | None:
    """How an answer with this value is none to a request."""
    reply = HttpAnswer(status, {}, orjson.dumps(value), 0.0)
    mismatch = request.mismatch(request.understand(reply))
    return None if mismatch is None else mismatch.why


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (FEATURE, {"id": "1", "reference_num": "PRJ1-1"}),
        (FEATURE, {"id": 1, "reference_num": "prj1-1"}),
        (FEATURE, {"reference_num": "PRJ1-1"}),
        (FEATURE, {"id": "1"}),  # names nothing that was asked for
        (FEATURE, {}),
        (FEATURE, {"reference_num": None}),
        (BY_ID, {"id": "640362830", "reference_num": "PRJ1-1"}),
        (BY_ID, {"id": 640362830}),
        (BY_ID, {"reference_num": "PRJ1-1"}),
        (Target(Kind.PRODUCT, "PRJ1"), {"reference_prefix": "PRJ1"}),
    ],
)
def test_an_answer_that_names_the_target_or_nothing_is_one(target: Target, shown: dict[str, Any]) -> None:
    """By id or by reference number, as a number or as text, in any case."""
    assert why(Request(target), {str(target.kind): shown}) is None


@pytest.mark.parametrize(
    ("target", "shown", "expected"),
    [
        (FEATURE, {"id": "1", "reference_num": "PRJ1-2"}, "it is about feature PRJ1-2"),
        (FEATURE, {"reference_num": "PRJ2-1"}, "it is about feature PRJ2-1"),
        (BY_ID, {"id": "640362831", "reference_num": "PRJ1-1"}, "it is about feature PRJ1-1"),
        (BY_ID, {"id": "640362831"}, "it is about feature 640362831"),
        (Target(Kind.PRODUCT, "PRJ1"), {"reference_prefix": "PRJ2"}, "it is about product PRJ2"),
    ],
)
def test_an_answer_that_names_another_target_is_none(target: Target, shown: dict[str, Any], expected: str) -> None:
    """To a GET as to a PUT."""
    value = {str(target.kind): {**shown, "custom_object_links": []}}
    assert why(Request(target), value) == why(Request(target, {"customers": frozenset()}), value) == expected


def test_a_record_that_was_moved_may_be_told_by_a_get_that_finds_out() -> None:
    """Not by a PUT, and by no GET whose caller would take the other record for the target."""
    value = {"feature": {"id": "1", "reference_num": "PRJ2-7"}}
    answer = Request(FEATURE).understand(HttpAnswer(200, {}, orjson.dumps(value), 0.0))
    told = [
        Request(FEATURE).mismatch(answer),
        Request(FEATURE, {"customers": frozenset()}).mismatch(answer),
        Request(FEATURE, may_move=True).mismatch(answer),
    ]
    assert [mismatch.may_be_so for mismatch in told if mismatch is not None] == [False, False, True]
    assert Request(FEATURE, names=frozenset({"PRJ2-7"})).mismatch(answer) is None
    assert Request(FEATURE, names=frozenset({"1"})).mismatch(answer) is None


def test_an_error_is_an_answer_to_any_request() -> None:
    """It names nothing."""
    for request in (Request(FEATURE), Listing(Kind.FEATURE).page(1), PRODUCTS, ME, Delete("1"), Create(TABLE, {})):
        assert why(request, {"error": "no"}, 404) is None


@pytest.mark.parametrize(
    ("scope", "page", "pagination", "references", "expected"),
    [
        ("feature", 1, {"current_page": 1, "total_pages": 1}, ["PRJ1-1", "PRJ2-1"], None),
        ("feature:PRJ1", 2, {"current_page": 2, "total_pages": 2}, ["PRJ1-1"], None),
        ("feature:PRJ1", 2, {}, [], None),
        ("feature:PRJ1", 2, {"current_page": 1, "total_pages": 1}, ["PRJ1-1"], None),  # there is no such page
        ("feature:PRJ1", 1, {}, ["PRJ2-1", "PRJ1-1"], None),  # a line lists its products' features too
        ("feature:PRJ1", 1, {}, ["PRJ2-1", None], None),
        ("feature:6403", 1, {}, ["PRJ2-1"], None),
        ("requirement:PRJ1-1", 1, {}, ["PRJ1-1-1"], None),
        ("feature", 2, {"current_page": 1, "total_pages": 2}, [], "it shows page 1 of the list"),
        ("feature:PRJ1", 1, {}, ["PRJ2-1", "PRJ2-2"], "it lists PRJ2-1 and nothing of PRJ1"),
        ("release:PRJ1", 1, {}, ["PRJ12-R-1"], "it lists PRJ12-R-1 and nothing of PRJ1"),
        ("requirement:PRJ1-1", 1, {}, ["PRJ1-11-1"], "it lists PRJ1-11-1 and nothing of PRJ1-1"),
    ],
)
def test_a_page_is_the_one_that_was_asked_for(
    scope: str, page: int, pagination: dict[str, int], references: list[str | None], expected: str | None
) -> None:
    """Of the list that was asked for, as far as its items tell."""
    listing = Listing.parse(scope)
    items = [{"id": str(number), "reference_num": each} for number, each in enumerate(references)]
    assert why(listing.page(page), {listing.kind.plural: items, "pagination": pagination}) == expected


@pytest.mark.parametrize(
    ("request_", "value", "expected"),
    [
        (records(TABLE, 1), {"custom_object_records": [{"id": "1", "key": "customers"}, {"id": "2"}]}, None),
        (record("7"), {"custom_object_record": {"id": 7}}, None),
        (
            records(TABLE, 1),
            {"custom_object_records": [{"id": "1"}, {"id": "2", "key": "regions"}]},
            'its key is "regions", not customers',
        ),
        (
            records(TABLE, 2),
            {"custom_object_records": [], "pagination": {"current_page": 1, "total_pages": 3}},
            "it shows page 1 of the list",
        ),
        (record("7"), {"custom_object_record": {"id": "8"}}, 'its id is "8", not 7'),
        (record_with_linkers("7"), {"custom_object_record": {"id": "8"}}, 'its id is "8", not 7'),
    ],
)
def test_records_are_of_the_table_and_the_id_that_were_asked_for(
    request_: ApiRequest, value: dict[str, Any], expected: str | None
) -> None:
    """As far as they tell."""
    assert why(request_, value) == expected


names = st.sampled_from(["1", "2", "PRJ1-1", "PRJ1-2", ""])


@given(st.sets(names.filter(bool), min_size=1), names, names)
def test_another_target_shares_no_name_and_has_one_to_compare(asked: set[str], id: str, reference: str) -> None:
    """Only a name of the same sort tells two targets apart."""
    shown = Listed(id if id.isdigit() else "", reference if not reference.isdigit() else "")
    sorts = {name.isdigit() for name in asked}
    has_same_sort = (bool(shown.id) and True in sorts) or (bool(shown.reference) and False in sorts)
    assert is_other(shown, asked) == (has_same_sort and asked.isdisjoint({shown.id, shown.reference}))
