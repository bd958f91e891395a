"""The records of a table by what a field of theirs holds."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from linker.records.index import RecordIndex, key_of


def customers(*values: str, field: str = "name") -> RecordIndex:
    """Records with these values, and the ids 1, 2, 3…"""
    records = RecordIndex(field)
    for id, value in enumerate(values, start=1):
        records.add(str(id), value)
    return records


def test_exactly_what_is_asked_for_goes_before_what_is_alike() -> None:
    """`ACME` is itself where it is there, else any spelling of it; never one of several."""
    records = customers("Acme Corp", "ACME CORP", "Zane  Corp", "STRAẞE Gmbh\ufeff")
    assert records.ids("Acme Corp") == ["1"]
    assert records.ids("ACME CORP") == ["2"]
    assert records.ids("acme corp") == ["1", "2"]
    assert records.ids(" zane\u00a0CORP ") == ["3"]
    assert records.ids("Stra\u00adße gmbh") == ["4"]
    assert records.ids("STRASSE gmbh") == []
    assert records.ids("Acme") == records.ids("") == []


def test_two_records_of_one_name_are_two() -> None:
    """Both are told; who is meant is not for a program to say."""
    assert customers("Acme", "Zane", "Acme").ids("Acme") == ["1", "3"]


def test_ids_of_other_systems_differ_by_their_case() -> None:
    """Salesforce's 15 characters do: what differs in nothing else is somebody else."""
    records = customers("0015g00000AbcDe", "0015g00000aBCdE", field="salesforce_id")
    assert records.ids("0015g00000AbcDe") == ["1"]
    assert records.ids("0015g00000ABCDE") == []
    assert records.ids(" 0015g00000aBCdE") == ["2"]


def test_a_record_is_taken_in_once() -> None:
    """A list that shifts while it is paged shows some twice."""
    records = customers("Acme")
    records.add("1", "Acme")
    assert (len(records), records.ids("Acme"), records.value("1"), records.value("2")) == (1, ["1"], "Acme", None)
    assert ("1" in records, "2" in records) == (True, False)


def test_the_nearest_come_first_and_the_far_not_at_all() -> None:
    """Three at most; one that is far less like it than the first would only distract."""
    records = customers("Acme Corp", "Acme Group", "Birch Analytics Bristol", "Birch Analytics Bergen", "Zephyr Water")
    assert records.nearest("Acme Crp")[0] == ("Acme Corp", "1")
    assert [name for name, _ in records.nearest("Birch Analytics Bristo")] == ["Birch Analytics Bristol"]
    assert records.nearest("something else") == []
    many = customers(*(f"Acme {number}" for number in range(9)))
    assert len(many.nearest("Acme")) == 3


@given(st.text(min_size=1), st.sampled_from(["name", "key"]))
def test_what_is_folded_stays_folded(value: str, field: str) -> None:
    """Folding twice is folding once, so that a look-up finds what was put in, whatever the text."""
    assert key_of(key_of(value, field), field) == key_of(value, field)


@given(st.lists(st.text(alphabet="aAbB ﬁſß\u0130ı\u00a0", min_size=1, max_size=4), max_size=8))
def test_every_record_is_found_by_its_own_value(values: list[str]) -> None:
    """Alone or among those of one name; only what folds to nothing has no name."""
    records = customers(*values)
    for id, value in enumerate(values, start=1):
        same = [str(other) for other, each in enumerate(values, start=1) if each == value]
        assert records.ids(value) == (same if key_of(value, "name") else []), (id, value)


def test_a_hundred_thousand_records_fit_in_60_mb() -> None:
    """The list of a large table is kept for a whole run."""
    tracemalloc.start()
    try:
        records = RecordIndex("name")
        for number in range(100_000):
            records.add(str(7_000_000_000_000_000_000 + number * 10**10), f"Meridian Robotics {number} GmbH")
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(records) == 100_000
    assert held < 60 * 10**6
