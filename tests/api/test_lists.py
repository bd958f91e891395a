"""The account's lists: which exist, which one has a target, and what a page says."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from multidict import CIMultiDict

from linker import Kind, UsageError
from linker.api.answers import HttpAnswer, Listed
from linker.api.lists import Listing
from linker.errors import BadAnswer


def page(status: int = 200, **body: Any) -> HttpAnswer:
    """A page as it comes back."""
    return HttpAnswer(status, CIMultiDict(), orjson.dumps(body), 1.5)


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        ("feature", "/api/v1/features"),
        ("features:prj1", "/api/v1/products/PRJ1/features"),
        ("master_feature:PRJ1", "/api/v1/products/PRJ1/epics"),
        ("idea", "/api/v1/ideas"),
        ("goal:PRJ1", "/api/v1/products/PRJ1/goals"),
        ("product", "/api/v1/products"),
        ("organizations", "/api/v1/idea_organizations"),
        ("release:PRJ1", "/api/v1/products/PRJ1/releases"),
        ("requirement:PRJ1-1", "/api/v1/features/PRJ1-1/requirements"),
        ("record:PRJ1/customers", "/api/v1/products/PRJ1/custom_objects/customers/records"),
        ("custom_object_record:PRJ1/customers", "/api/v1/products/PRJ1/custom_objects/customers/records"),
    ],
)
def test_a_scope_means_a_list(scope: str, path: str) -> None:
    """Kinds are understood in all their forms, parents in any case; the list's own text means the same list."""
    listing = Listing.parse(scope)
    assert listing.path == path
    assert Listing.parse(str(listing)) == listing


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        ("feture", "did you mean"),
        ("release", "write release:PRODUCT"),
        ("requirement", "write requirement:FEATURE"),
        ("record:PRJ1", "write record:PRODUCT/TABLE"),
        ("product:PRJ1", "write product$"),
        ("idea_organization:PRJ1", "write idea_organization$"),
        ("feature:PRJ1/customers", "write feature or feature:PRODUCT"),
        ("feature:PRJ1?x=1", "is not a list"),
        ("feature:../me", "is not a list"),
        ("", "is unknown"),
    ],
)
def test_a_scope_that_means_no_list_says_what_would(scope: str, said: str) -> None:
    """The message names the scope and the form to write."""
    with pytest.raises(UsageError, match=said):
        Listing.parse(scope)


@pytest.mark.parametrize(
    ("kind", "name", "listing"),
    [
        (Kind.FEATURE, "PRJ1-1", Listing(Kind.FEATURE)),
        (Kind.FEATURE, "12345", Listing(Kind.FEATURE)),
        (Kind.PRODUCT, "PRJ1", Listing(Kind.PRODUCT)),
        (Kind.IDEA_ORGANIZATION, "ACCOUNT-O-1", Listing(Kind.IDEA_ORGANIZATION)),
        (Kind.RELEASE, "PRJ1-R-1", Listing(Kind.RELEASE, "PRJ1")),
        (Kind.RELEASE, "PRJ1-MR-1", Listing(Kind.RELEASE, "PRJ1")),
        (Kind.RELEASE, "12345", None),
        (Kind.REQUIREMENT, "PRJ1-12-3", Listing(Kind.REQUIREMENT, "PRJ1-12")),
        (Kind.REQUIREMENT, "12345", None),
        (Kind.CUSTOM_OBJECT_RECORD, "12345", None),
    ],
)
def test_a_name_tells_the_list_in_which_a_target_stands(kind: Kind, name: str, listing: Listing | None) -> None:
    """By kind if the account lists it as a whole, else by the start of the reference number, else not at all."""
    assert Listing.of(kind, name) == listing


def test_a_page_is_asked_for_200_targets_with_their_links_and_names() -> None:
    """Products are named by their prefix, everything else by its reference number."""
    request = Listing(Kind.FEATURE).page(3)
    assert (request.method, request.body) == ("GET", None)
    assert request.path == "/api/v1/features?fields=custom_object_links,reference_num,id&per_page=200&page=3"
    assert "reference_prefix" in Listing(Kind.PRODUCT).page(1).path
    assert str(request) == "GET list of feature, page 3"


def test_a_page_shows_names_links_and_how_long_the_list_is() -> None:
    """A missing name is empty, and missing links are unknown."""
    links = [{"key": "customers", "record_ids": [7036045937940797544]}]
    items = [
        {"id": "1007868956", "reference_num": "prj1-1", "custom_object_links": links},
        {"id": 12, "custom_object_links": []},
        {"reference_num": "PRJ1-2"},
    ]
    pagination = {"total_records": 401, "total_pages": 3, "current_page": 1}
    answer = Listing(Kind.FEATURE).page(1).understand(page(features=items, pagination=pagination))
    assert answer.page is not None
    assert answer.page.pages == 3
    assert answer.page.items == (
        Listed("1007868956", "PRJ1-1", {"customers": frozenset({"7036045937940797544"})}),
        Listed("12", "", {}),
        Listed("", "PRJ1-2", None),
    )


@pytest.mark.parametrize("pagination", [None, {}, {"total_pages": None}, {"total_pages": "3"}, [3]])
def test_a_page_may_say_nothing_of_the_list_s_length(pagination: object) -> None:
    """Then the length is unknown; the items count all the same."""
    answer = Listing(Kind.IDEA).page(1).understand(page(ideas=[{"id": "1"}], pagination=pagination))
    assert answer.page is not None
    assert (answer.page.pages, len(answer.page.items)) == (None, 1)


@pytest.mark.parametrize("body", [{}, {"features": {}}, {"features": ["x"]}, {"feature": []}, {"features": None}])
def test_a_page_without_its_list_is_no_answer(body: dict[str, Any]) -> None:
    """It must not pass for an empty list."""
    with pytest.raises(BadAnswer, match="has no features"):
        Listing(Kind.FEATURE).page(1).understand(page(**body))


def test_a_page_that_is_refused_says_why() -> None:
    """As with any request."""
    answer = Listing(Kind.FEATURE).page(1).understand(page(403, error="no right"))
    assert (answer.status, answer.message, answer.page) == (403, "no right", None)
