"""Which targets a broken line may be meant for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.model.target import Kind, Target
from linker.sources.salvage import legible_targets

FEATURE = Target(Kind.FEATURE, "PRJ1-1")
NUMBER = Target(Kind.FEATURE, "1007868956")


@pytest.mark.parametrize(
    "text",
    [
        "PRJ1-1",
        "prj1-1 Login page",
        '="PRJ1-1"',
        "'PRJ1-1",
        "\ufeffPRJ1-1\u200b",
        "PRJ1\u00ad-1",
        "PRJ1\u20131",
        "PRJ1-1:",
        "(PRJ1-1)",
        "https://company.aha.io/features/PRJ1-1?tab=links",
        "ＰＲＪ1-1",
    ],
)
def test_a_reference_number_is_found_however_it_is_dressed(text: str) -> None:
    """A title behind it, a spreadsheet's quoting, invisible characters and typographic dashes do not hide it."""
    assert legible_targets(text) == (FEATURE,)


@pytest.mark.parametrize("text", ["1007868956", "1007868956.0", "1,007,868,956", "1\u202f007\u202f868\u202f956"])
def test_a_number_is_of_the_kind_beside_it(text: str) -> None:
    """Thousands separators and a decimal zero do not hide a number."""
    assert legible_targets(text, "Features") == (NUMBER,)


def test_a_number_without_a_kind_may_be_of_any_kind() -> None:
    """So the lists of that number wait, whatever their kind."""
    assert {target.kind for target in legible_targets("1007868956", "featre")} == set(Kind)


def test_a_number_that_no_target_can_have_is_none() -> None:
    """Of 300 digits."""
    assert legible_targets("9" * 300, "feature") == ()


def test_all_reference_numbers_of_a_cell_count() -> None:
    """A cell that a wrong separator holds together names several targets."""
    assert legible_targets("PRJ1-1/PRJ1-R-2") == (FEATURE, Target(Kind.RELEASE, "PRJ1-R-2"))


@pytest.mark.parametrize(
    "id",
    [
        "",
        "Grand Totals",
        "Generated 2026-11-28",
        "7.03E+18",
        "11/28/2026",
        "2026-01-02",
        "Dashboards",
        "???",
        "-3",
        "2.5",
        "PRJ1-N-1 x",
        "7036045937940700569.0",
        None,
        True,
        1.5,
        ["PRJ1-1"],
    ],
)
def test_other_text_is_no_target(id: object) -> None:
    """A row of such an id may belong to any list."""
    assert legible_targets(id, "feature") == ()


def test_all_targets_of_a_cell_are_found() -> None:
    """Those that are legible, whatever stands between them."""
    found = legible_targets("PRJ1-1; ???; PRJ1-2 Charts | 1,007,868,956", "feature")
    assert set(found) == {FEATURE, Target(Kind.FEATURE, "PRJ1-2"), NUMBER}


def test_a_bare_word_is_a_product_only_if_its_kind_says_so() -> None:
    """Or if it has a digit. Else it may be anything: the name of a record, or a line that is no row."""
    assert legible_targets("ACME", "product") == (Target(Kind.PRODUCT, "ACME"),)
    assert legible_targets("ACME", "custom_object_record") == legible_targets("ACME") == ()
    assert legible_targets("PRJ2", "goal") == legible_targets("PRJ2") == (Target(Kind.PRODUCT, "PRJ2"),)
    assert legible_targets("PRJ2", "custom object record") == ()


def test_a_long_cell_takes_no_longer_than_a_short_one() -> None:
    """Only its beginning is looked at, in linear time: each expression is possessive."""
    assert legible_targets("X" * 1_000_000) == legible_targets("0" * 1_000_000 + "X") == ()


@given(st.text(max_size=60), st.sampled_from([None, "feature", "record", "x"]))
def test_any_text_is_harmless(text: str, kind: str | None) -> None:
    """Whatever stands in the cell, there is an answer, and a valid id is always found."""
    found = legible_targets(text, kind)
    assert len(set(found)) == len(found)


@given(
    st.from_regex(r"[A-Z][A-Z0-9]{0,5}-[0-9]{1,4}", fullmatch=True), st.sampled_from(["", " x", ", y", "\u200b", "\n"])
)
def test_what_stands_behind_a_reference_number_does_not_hide_it(reference: str, rest: str) -> None:
    """It is found with anything behind it that is no part of an id."""
    assert Target.parse(reference) in legible_targets(reference + rest)
