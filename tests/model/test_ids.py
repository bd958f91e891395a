"""Ids as spreadsheets, reports and programs write them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker import InvalidJob, Kind, LinkJob, Target
from linker.model.ids import is_grouped, is_rounded, record_id, rounded_hint, undressed_id, undressed_name, ungrouped_id

IDS = st.integers(0, 10**25).map(str)
DRESSES = ('="{}"', "'{}", '"{}"', " {} ", "\ufeff{}", "{}\u200b", '\u200b="{}" ', "'{}\u00ad")


class Index:
    """An integer of another type, as numpy has."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __index__(self) -> int:
        return self._number


class Array:
    """A list of another type, as numpy and pandas have."""

    def __init__(self, *items: object) -> None:
        self._items = items

    def tolist(self) -> Any:
        return list(self._items) if len(self._items) != 1 else self._items[0]


@given(IDS, st.sampled_from(DRESSES))
def test_an_id_is_the_same_in_every_dress(id: str, dress: str) -> None:
    """A formula, an apostrophe, quotes and characters that take no space are no part of it, for records and targets."""
    assert record_id(dress.format(id)) == id
    assert Target.parse(dress.format(id), "feature") == Target(Kind.FEATURE, id)
    assert Target.parse(dress.format("PRJ1-12")) == Target(Kind.FEATURE, "PRJ1-12")


@given(st.integers(0, 2**53 - 1))
def test_a_whole_decimal_is_its_number_while_floats_are_exact(number: int) -> None:
    """Below 2^53 no float drops a digit."""
    assert record_id(f"{number}.0") == record_id(f"'{number}.00") == record_id(f'="{number}.0"') == str(number)


@pytest.mark.parametrize("id", [f"{2**53}.0", "7036045937940700569.0"])
def test_a_decimal_that_may_be_rounded_is_refused(id: str) -> None:
    """With the reason and what to do."""
    with pytest.raises(InvalidJob, match=r"may have rounded; format the column as text"):
        record_id(id)


@pytest.mark.parametrize(
    "id", ["640362830.5", "=640362830", '="640362830', "''640362830", "'PRJ1 1", '="a b"', "64O", "'"]
)
def test_what_is_dressed_otherwise_is_refused(id: str) -> None:
    """Nothing is taken off that would have to be guessed."""
    with pytest.raises(InvalidJob):
        record_id(id)
    assert undressed_id(id) in (id, "a b")


def test_a_name_has_one_dress() -> None:
    """The formula; an apostrophe, quotes and decimals may be part of a name."""
    assert undressed_name('="Acme ""the"" Corp"') == 'Acme "the" Corp'
    for name in ("'s-Hertogenbosch", '"Acme"', "Release 1.0", "1.0", '="Acme', '="A"; ="B"'):
        assert undressed_name(name) == name


@pytest.mark.parametrize("mark", [",", " ", "\u00a0", "\u202f", "\u2009", ".", "'", "\u2019"])
@given(number=st.integers(1000, 10**24))
def test_a_number_with_thousands_separators_is_one_number(mark: str, number: int) -> None:
    """Whatever the mark is, alone or among good ids, and with decimals; its digits are still known."""
    cell = f"{number:,}".replace(",", mark)
    assert is_grouped(cell)
    assert is_grouped(f"8397122; {cell}")
    assert is_grouped(f"{cell}|8397122")
    assert ungrouped_id(cell) == str(number)
    with pytest.raises(InvalidJob, match="looks like one number with thousands separators"):
        record_id(cell)
    with pytest.raises(InvalidJob, match="looks like one number with thousands separators"):
        Target.parse(cell, "feature")


@pytest.mark.parametrize(
    ("cell", "is_one"),
    [
        ("640,362,830.50", True),
        ("640.362.830,00", True),
        ("640362830,0", True),
        ("640362830,00; 1", True),
        ("64,03,62,830", True),
        ("8397122 640 362 830", True),
        ("12 345", True),
        ("1,2,3", False),
        ("100;200;300", False),
        ("100|200", False),
        ("1\n200", False),
        ("1\t200", False),
        ("1, 200, 300", False),
        ("640362830,8397122", False),
        ("640362830 8397122", False),
        ("8397122,13", False),
        ("640362830,05", False),
        ("640362830.0,8397122.0", False),
        ("7,036E+18", False),
        ("PRJ1-1,PRJ1-200", False),
        ("640,362 830", True),
        ("", False),
    ],
)
def test_a_list_of_ids_is_no_number(cell: str, is_one: bool) -> None:
    """One to three digits, then groups of exactly three with one kind of mark; `;` and `|` never stand in a number."""
    assert is_grouped(cell) is is_one


@given(st.lists(st.integers(1_000, 10**20), min_size=1, max_size=5), st.sampled_from([",", " ", ";", "|", "\n", ", "]))
def test_no_list_of_ids_of_four_digits_and_more_is_taken_for_a_number(numbers: list[int], between: str) -> None:
    """So that no list of real ids is refused."""
    assert not is_grouped(between.join(map(str, numbers)))


def test_an_id_that_a_spreadsheet_may_have_rounded_is_explained() -> None:
    """Sixteen digits or more, with zeros alone after the fifteenth."""
    for id in ("7036045937940700000", "1234567890123450", "1" + 20 * "0"):
        assert is_rounded(id)
        assert "spreadsheets keep only 15 digits of a number" in rounded_hint("5", id)
    for id in ("7036045937940700569", "123456789012345", "100", "12345678901234567", "PRJ1-10000000000000000"):
        assert not is_rounded(id)
    assert rounded_hint("5", "7036045937940700569") == rounded_hint() == ""


def test_integers_of_any_type_are_ids() -> None:
    """`operator.index` decides; decimals are taken if they are whole and exact."""
    job = LinkJob(Index(7), {"a": Array(Index(3), "2"), "b": {5, 4}, "c": (Decimal(6), Decimal("8.0"))}, kind="feature")  # type: ignore[arg-type, dict-item]
    assert (job.id, job.links) == ("7", {"a": ("2", "3"), "b": ("4", "5"), "c": ("6", "8")})
    line = {"id": Decimal(7), "kind": "idea", "links": {"a": frozenset({1}), "b": Array(Index(3), 2), "c": {}.keys()}}
    assert LinkJob.parse(line).links == {"a": ("1",), "b": ("2", "3"), "c": ()}
    named = LinkJob.parse(line, "crm")
    assert [str(name) for name in named.links["b"]] == ["2", "3"]


@pytest.mark.parametrize("id", [True, 7.0, Decimal("7E+18"), Decimal("1.5"), Decimal("NaN"), Array(1), None, b"7"])
def test_what_is_no_integer_is_no_id(id: Any) -> None:
    """Floats and booleans of any type, and decimals that stand for lost digits."""
    with pytest.raises(InvalidJob, match="id must be a string or an integer"):
        LinkJob(id, {"a": ["1"]}, kind="feature")
    with pytest.raises(InvalidJob, match="not a number"):
        LinkJob("PRJ1-1", {"a": [id]})


def test_a_boolean_of_numpy_is_no_id() -> None:
    """Older versions take one for 0 or 1 (`operator.index`)."""
    bool_ = type("bool_", (Index,), {})
    with pytest.raises(InvalidJob, match="not a number"):
        record_id(bool_(1))
