"""From a desired state and the current links to the change between them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linker import Target
from linker.batch.change import Change, FieldChange, plan
from linker.batch.merge import DesiredLinks, DesiredState
from linker.model.job import Links

TARGET = Target.parse("PRJ1-1")
IDS = st.frozensets(st.sampled_from(["1", "2", "3", "10", "20"]))
FIELDS = ["a", "b", "c"]


def desired(**fields: DesiredLinks) -> DesiredState:
    """A desired state without jobs, which a plan does not need."""
    return DesiredState(TARGET, (), fields)


def test_a_plan_puts_the_fields_that_are_not_so_already() -> None:
    """Fields that are already as desired are left out of the PUT, but not out of before and after."""
    before = {"a": frozenset("12"), "b": frozenset("1"), "c": frozenset[str]()}
    change = plan(
        desired(
            a=DesiredLinks(frozenset("12")), b=DesiredLinks(add=frozenset("2")), c=DesiredLinks(remove=frozenset("1"))
        ),
        before,
    )
    assert change == Change(TARGET, before, {"a": frozenset("12"), "b": frozenset("12"), "c": frozenset()})
    assert change.put == {"b": frozenset("12")}


def test_a_plan_of_what_is_so_already_puts_nothing() -> None:
    """An add of a link that exists, a remove of one that does not, and an unchanged list cost no request."""
    before = {"a": frozenset("1"), "b": frozenset("1"), "c": frozenset[str]()}
    links = {
        "a": DesiredLinks(add=frozenset("1")),
        "b": DesiredLinks(remove=frozenset("2")),
        "c": DesiredLinks(frozenset()),
    }
    assert plan(desired(**links), before).put == {}


def test_a_plan_without_a_before_puts_every_field() -> None:
    """If the current links are unknown, the PUT has every field, and its effect is unknown."""
    change = plan(desired(a=DesiredLinks(frozenset("12"), remove=frozenset("2")), b=DesiredLinks(frozenset())), None)
    assert change.put == {"a": frozenset("1"), "b": frozenset()}
    assert change.before is None
    assert change.diff("a", frozenset("1")) is None


def test_a_plan_of_an_add_without_a_before_is_a_bug() -> None:
    """A list that depends on unknown links is never invented."""
    with pytest.raises(AssertionError, match="feature PRJ1-1: a needs its current links"):
        plan(desired(a=DesiredLinks(add=frozenset("1"))), None)


def test_what_a_put_did_is_told_from_what_is_shown_afterwards() -> None:
    """Added and removed ids are sorted as numbers, and follow the answer rather than the desired state."""
    before = {"a": frozenset({"3", "20", "100"})}
    change = plan(desired(a=DesiredLinks(frozenset({"3", "7", "30"}))), before)
    assert change.diff("a", change.after["a"]) == FieldChange(added=["7", "30"], removed=["20", "100"])
    assert change.diff("a", frozenset({"3", "30", "100"})) == FieldChange(added=["30"], removed=["20"])
    assert change.diff("a", before["a"]) == FieldChange(added=[], removed=[])


def test_what_others_did_meanwhile_is_no_doing_of_the_put() -> None:
    """Only ids that the change asked for count as its effect."""
    change = plan(desired(a=DesiredLinks(add=frozenset({"7"}), remove=frozenset({"3"}))), {"a": frozenset({"3", "20"})})
    assert change.diff("a", frozenset({"7", "9"})) == FieldChange(added=["7"], removed=["3"])


def test_a_put_whose_answer_was_lost_is_told_from_what_others_did() -> None:
    """An id that it was to add and is there, or was to remove and is gone, is its effect; fields not sent have none."""
    before = {"a": frozenset("12"), "b": frozenset("1")}
    links = DesiredLinks(add=frozenset("3"), remove=frozenset("1"))
    change = plan(desired(a=links, b=links), before)
    assert change.infer_before({"a": frozenset("239"), "b": frozenset("3")}, {"a"}) == {"a": set("129"), "b": set("3")}
    assert change.infer_before(before, {"a", "b"}) == before


def test_a_plan_goes_by_what_is_held_where_a_put_of_its_own_has_arrived() -> None:
    """The next PUT leads from the current links to the desired state, and the effect so far is known."""
    before, held = {"a": frozenset("89"), "b": frozenset("8")}, {"a": frozenset("128"), "b": frozenset("8")}
    change = plan(desired(a=DesiredLinks(frozenset("12")), b=DesiredLinks(add=frozenset("8"))), before, held)
    assert (change.put, change.removals) == ({"a": frozenset("12")}, 1)
    assert change.applied() == {"a": FieldChange(["1", "2"], ["9"]), "b": FieldChange([], [])}
    assert plan(desired(a=DesiredLinks(frozenset("12"))), {"a": frozenset("8")}).applied() is None


WISHED = st.builds(DesiredLinks, st.one_of(st.none(), IDS), IDS, IDS)


@given(st.dictionaries(st.sampled_from(FIELDS), WISHED, min_size=1), st.fixed_dictionaries(dict.fromkeys(FIELDS, IDS)))
@settings(max_examples=200)
def test_a_put_makes_every_field_what_is_wished_and_nothing_else(fields: dict[str, DesiredLinks], holds: Links) -> None:
    """The current links with the PUT applied are the desired state; no field is superfluous; the diff undoes it."""
    before = {field: holds[field] for field in fields}
    change = plan(desired(**fields), before)
    made = {**holds, **change.put}
    for field in FIELDS:
        links = fields.get(field)
        assert made[field] == (links.after(holds[field]) if links else holds[field])
        if field in change.put:
            assert made[field] != holds[field]
        if links is not None:
            did = change.diff(field, made[field])
            assert did is not None
            assert (made[field] - set(did.added)) | set(did.removed) == holds[field]
