"""Plain values, which most jobs and answers have, are read on a short path: it must agree with the full check.

Only exact strings, lists and tuples take the short path, so values of a subclass show what the full check says of them.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from linker import InvalidJob, Kind, LinkJob, Name, Target
from linker.model.ids import exact_id, plain_ids, record_id
from linker.model.target import plain_kind


class Text(str):
    """A string that is read with the full check."""

    __slots__ = ()


class Several(list[Any]):
    """A list that is read with the full check."""


KINDS = st.none() | st.sampled_from([*Kind, *(kind.value for kind in Kind)]) | st.sampled_from(["Features", "epc", ""])
REFERENCES = st.from_regex(r"[A-Z0-9_]{1,4}(-[A-Z]{1,2})?(-[0-9]{1,4}){0,2}", fullmatch=True)
NUMBERS = st.from_regex(r"0?[0-9]{1,20}", fullmatch=True)
ODD = st.text(st.sampled_from("0123456789PRIEON-_.,' \t\n\u0663\u00b2\u200be+="), max_size=12)
TEXTS = REFERENCES | NUMBERS | ODD | st.text(max_size=8) | st.integers(195, 205).map(lambda count: "9" * count)
RECORDS = st.one_of(NUMBERS, NUMBERS, ODD, st.integers(-1, 10**20), st.booleans(), st.none(), st.floats())


def outcome(make: Any) -> Any:
    """What a call returns, or the message and the part of its refusal."""
    try:
        return make()
    except InvalidJob as error:
        return str(error), error.part


@given(TEXTS, KINDS)
@example("PRJ1-1", "feature")
@example("PRJ1-N-1", None)
@example("7E18", Kind.PRODUCT)
@example("PRJ1-1\n", None)
@example("640,362", Kind.FEATURE)
@settings(max_examples=150)
def test_a_plain_target_is_what_the_full_check_makes_of_it(id: str, kind: Kind | str | None) -> None:
    """Every id with every kind gives the same target, or is refused in the same words."""
    assert outcome(lambda: Target.parse(id, kind)) == outcome(lambda: Target.parse(Text(id), kind))


@given(TEXTS, st.sampled_from(Kind))
def test_a_plain_id_stays_as_it_is(id: str, kind: Kind) -> None:
    """An id that is taken for plain is the canonical id of its target."""
    if plain_kind(id, kind) is not None:
        assert Target.parse(Text(id), kind) == Target(kind, id)


@given(st.lists(RECORDS, max_size=5))
@example(["1", "10", "2", "1"])
@example(["07"])
@example(["0"])
@example([""])
@settings(max_examples=150)
def test_plain_records_are_what_the_full_check_makes_of_them(records: list[Any]) -> None:
    """Every list of records gives the same links, or is refused in the same words, as a list and as a tuple."""
    slow = Several(Text(record) if isinstance(record, str) else record for record in records)
    expected = outcome(lambda: LinkJob("PRJ1-1", {"customers": slow}))
    assert outcome(lambda: LinkJob("PRJ1-1", {"customers": records})) == expected
    assert outcome(lambda: LinkJob("PRJ1-1", {"customers": tuple(records)})) == expected


@given(st.lists(NUMBERS | ODD, max_size=5))
def test_plain_ids_are_their_own_canonical_form(records: list[str]) -> None:
    """What is taken for plain in an answer or a row is what each of the checks returns."""
    if plain_ids(records) is not None:
        assert [record_id(Text(record)) for record in records] == records
        assert [exact_id(Text(record)) for record in records] == records


@given(st.text(st.characters(), max_size=6) | st.text(max_size=6))
@example("\ud800")
def test_a_plain_key_is_what_the_full_check_makes_of_it(key: str) -> None:
    """A key of ASCII letters needs no check; any other text gives the same key, or is refused in the same words."""
    jobs = [outcome(lambda key=key: LinkJob("PRJ1-1", {"customers": []}, key=key)) for key in (key, Text(key))]
    assert jobs[0] == jobs[1]


MODES = st.sampled_from([None, "add", "replace", "remove", "Add", "", "replac"])
LINKS = st.dictionaries(st.sampled_from(["a", "customers", "a b", ""]), st.lists(NUMBERS | ODD, max_size=4), max_size=2)


@given(TEXTS, LINKS, KINDS, MODES, st.none() | st.text(max_size=3))
@example("PRJ1-R-1", {"customers": ["10", "9", "9"]}, "release", "add", "k")
@example("PRJ1-R-1", {"customers": ["1"]}, "feature", None, None)
@example("7", {"customers": []}, None, None, None)
@settings(max_examples=150)
def test_a_plain_job_is_what_the_full_check_makes_of_it(
    id: str, links: dict[str, list[str]], kind: str | None, mode: str | None, key: str | None
) -> None:
    """Values that are taken for plain give the same job, with the same target."""
    plain = LinkJob.plain(id, links, kind, mode, key)
    if plain is not None:
        full = LinkJob(Text(id), {field: Several(ids) for field, ids in links.items()}, kind, mode, key)
        assert (plain, plain.target, plain.host, plain.columns) == (full, full.target, None, ())
        assert repr(plain) == repr(full)


def test_kinds_are_found_by_their_names() -> None:
    """A kind is equal to its name, so both find the same entry of a table."""
    assert {"feature": 1}[Kind.FEATURE] == 1


def test_a_job_on_a_name_has_no_target_yet() -> None:
    """The target of a job that is given by name is refused, until the job is put on the record with that name."""
    job = LinkJob(Name("name", "Acme Corp"), {"customers": ["1"]}, kind="custom_object_record")
    with pytest.raises(InvalidJob, match="must be looked up first"):
        _ = job.target
    assert job.on(Target(Kind.CUSTOM_OBJECT_RECORD, "7")).target == Target(Kind.CUSTOM_OBJECT_RECORD, "7")
