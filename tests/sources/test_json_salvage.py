"""Which targets text may be meant for that should be JSON and is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.model.target import Kind, Target
from linker.sources import Reading
from linker.sources.json_salvage import targets_in

FEATURE = Target(Kind.FEATURE, "PRJ1-1")


@pytest.mark.parametrize(
    "text",
    [
        '{"id":"PRJ1-1","links":',
        '{"id" : "PRJ1-1"',
        "{'id': 'PRJ1-1', 'links': {",
        "{id: 'PRJ1-1', links: {",
        '{"ID":"prj1-1",',
        "{\u201cid\u201d: \u201cPRJ1-1\u201d, ",
        '"{""id"":""PRJ1-1"",""links"":',
        '"id":"PRJ1-1","links":{}}',
        '{"id":PRJ1-1","links":{',
        '{"key":{"id":"PRJ1-9"},"id":"PRJ1-1","links":{',
        '{"links":{"customers":[{"id":"5"}]},"id":"PRJ1-1",}',
        '{"id":"https://company.aha.io/features/PRJ1-1","links":{',
        '{"id":"PRJ1-1 Caf\udce9","links":{',
        '{"id":"PR\\u004a1-1","links":{',
    ],
)
def test_an_id_is_found_however_it_is_written(text: str) -> None:
    """Other quotes, no quotes, another case, spaces, escapes; what is nested in the job is not its id."""
    assert targets_in(text, Reading(), len(text)) == (FEATURE,)


@pytest.mark.parametrize(
    "text",
    [
        '{"id":"PRJ1-1',
        '{"id":"PRJ1-1\n',
        '{"id":12',
        '{"id":"PRJ1-1"2","links":{}}',
        '{"id":"PRJ1-1\udce9","links":{}}',
        '{"id":"PRJ1-1\\u0000","links":{}}',
        '{"id":null,"links":{}}',
        '{"id":{"name":"Acme"},"links":{}}',
        '":[{"id":5}]}',
        '{"grid":"PRJ1-1","customer_id":"PRJ1-2"}',
        '{"key":{"id":"PRJ1-9"},"id":"PRJ1-',
        '{"links":{"customers":[{"id":"PRJ1-9"}]},"i',
        "PRJ1-1,customers,1",
        "",
    ],
)
def test_an_id_that_may_go_on_or_is_garbled_or_nested_is_not_one(text: str) -> None:
    """The beginning of PRJ1-12 is not PRJ1-1, and the id of a key is not that of the job."""
    assert targets_in(text, Reading(), len(text)) == ()


def test_all_ids_of_a_line_count_and_one_that_is_illegible_hides_them() -> None:
    """Two jobs on one line are held both, or all lists are."""
    text = '{"id":"PRJ1-1"}x{"id":"PRJ1-2"'
    assert targets_in(text, Reading(), 15) == (FEATURE, Target(Kind.FEATURE, "PRJ1-2"))
    assert targets_in(text[:-1], Reading(), 15) == ()


def test_a_number_is_of_the_kind_in_the_line_or_of_any() -> None:
    """The kind may stand before or behind the id."""
    for text in ('{"id":5,"kind":"idea",', '{"kind":"ideas","id":"5",'):
        assert targets_in(text, Reading()) == (Target(Kind.IDEA, "5"),)
    assert {target.kind for target in targets_in('{"id":5,"kind":"ide', Reading())} == set(Kind)


def test_an_id_that_may_be_a_name_tells_nothing() -> None:
    """With targets given by name, a number is the name of a record."""
    reading = Reading(match="name", named_targets=True)
    assert targets_in('{"id":"5","kind":"custom_object_record",', reading) == ()
    assert targets_in('{"id":"PRJ1-1","kind":"feature",', reading) == (FEATURE,)


@given(st.text(max_size=200) | st.lists(st.sampled_from(['"id":', "'id'", '"', "5", "{", "}", ",", "\n"])).map("".join))
def test_any_text_is_harmless(text: str) -> None:
    """Whatever the text is, there is an answer, each target once."""
    found = targets_in(text, Reading())
    assert len(set(found)) == len(found)
