"""The two forms of a Salesforce id."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.model.salesforce import check_characters, short_form
from linker.records.index import RecordIndex

SHORT = st.text(alphabet=string.ascii_letters + string.digits, min_size=15, max_size=15)


@pytest.mark.parametrize(
    "long", ["0015g00000Q7pXkAAJ", "001A0000006Vm9rIAC", "0015g0001000000AAA", "003D000001aH2AIIA0"]
)
def test_published_ids_have_their_check_characters(long: str) -> None:
    """Ids as Salesforce shows them."""
    assert check_characters(long[:15]) == long[15:]


@given(SHORT, st.booleans())
def test_both_forms_find_the_record_whichever_the_table_has(short: str, table_has_long: bool) -> None:
    """The record, and no other."""
    long = short + check_characters(short)
    records = RecordIndex("salesforce_id")
    records.add("1", long if table_has_long else short)
    assert records.ids(short) == records.ids(long) == records.ids(f' ="{long}" ') == ["1"]
    assert short_form(long) == short_form(short) == short


@given(SHORT, st.integers(0, 14))
def test_the_case_of_the_fifteen_counts(short: str, place: int) -> None:
    """Another case is another record; in a long id, the check characters then are wrong, so that it is none."""
    other = short[:place] + short[place].swapcase() + short[place + 1 :]
    if other == short:
        return
    records = RecordIndex("salesforce_id")
    records.add("1", short + check_characters(short))
    assert records.ids(other) == records.ids(other + check_characters(short)) == []
    assert short_form(other + check_characters(short)) is None


def test_both_forms_in_one_table_are_told_apart_if_they_are_written_so() -> None:
    """What is written exactly goes first; the records are never guessed."""
    records = RecordIndex("salesforce_id")
    records.add("1", "0015g00000Q7pXk")
    records.add("2", "0015g00000Q7pXkAAJ")
    assert records.ids("0015g00000Q7pXk") == ["1"]
    assert records.ids("0015g00000Q7pXkAAJ") == ["2"]
    assert records.ids('="0015g00000Q7pXk"') == ["1"]


def test_a_title_is_no_salesforce_id() -> None:
    """Only fields of other systems have ids of two forms."""
    records = RecordIndex("name")
    records.add("1", "0015g00000Q7pXkAAJ")
    assert records.ids("0015g00000Q7pXk") == []
