"""Random batches, accounts, faults and colleagues through plan ─▶ run ─▶ plan again ─▶ undo.

What a batch comes to is decided id by id: whether a target is to hold an id depends on nothing but the batch and on
whether it held just that id. So whatever a colleague does meanwhile, every id that he left alone must end as the
formula says, and after the undo as it began.
"""

from __future__ import annotations

import itertools
import os
from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.oracle import FIELDS, TARGETS, after_of, check, oracle, take_along
from support.runs import eager, results_of
from support.watched_sandbox import (
    PARTS,
    UNSEEN,
    Edit,
    Part,
    State,
    World,
    customers,
    double,
    hide_half,
    hide_links,
    hide_numbers,
    watched_world,
)

from linker import Kind, Plan, Result, Status, UndoFile
from linker.sandbox import Sandbox

EXAMPLES: Final = int(os.environ.get("ROUND_TRIP_EXAMPLES", "100"))
"""In all some 750; `make roundtrip` runs more than ten thousand."""

IDS = st.integers(0, 5)
SETS = st.frozensets(IDS, max_size=3)
REFUSED: Final = (4, 5)
PASSING = st.sampled_from([None, None, None, 500, 503, 429, "reset", "reset_after", "html", "cut"])


def _begins_well(faults: list[Any]) -> bool:
    """Whether a run goes on, and its undo, which meets them in reverse: three pages before the first answer end it."""
    at_first = ([*itertools.takewhile(bool, each)] for each in (faults, reversed(faults)))
    return all(each.count("html") < 3 for each in at_first)


BENDS = st.sampled_from([None, None, None, hide_links, hide_numbers, hide_half, double])


@st.composite
def lines(draw: st.DrawFn) -> dict[str, Any]:
    """A line of a job file by any name of its target, one in ten of them wrong. `number`: by its number."""
    id, kind = draw(st.sampled_from(sorted(TARGETS.items())))
    fields = draw(st.lists(st.sampled_from(FIELDS[kind]), min_size=1, unique=True))
    line: dict[str, Any] = {"id": id, "links": {name: sorted(draw(SETS)) for name in fields}}
    line["mode"] = draw(st.sampled_from(["replace", "replace", "add", "add", "remove", None]))
    line["wrong"] = draw(st.sampled_from([None] * 27 + ["key", "number", "kind"]))
    line["number"] = draw(st.sampled_from([False, False, True])) and line["wrong"] != "kind"
    return line


EDITS = st.lists(st.builds(Edit, st.integers(1, 12), st.sampled_from(PARTS), IDS, st.booleans()), max_size=4)
LATER = st.lists(st.builds(Edit, st.just(0), st.sampled_from(PARTS), IDS, st.booleans()), max_size=4)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One sandbox for all examples."""
    with watched_world(tmp_path_factory.mktemp("round_trip")) as world:
        yield world


@pytest.fixture(scope="module", params=[True, False], ids=["named", "not_named"])
def refusing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One that refuses each PUT with one of two records in it, and names that record or does not."""
    refused = frozenset(customers(Sandbox(records=4))[place] for place in REFUSED)
    options = {"refused_records": refused, "refused_by_name": request.param}
    with watched_world(tmp_path_factory.mktemp("refusing"), **options) as world:
        yield world


@given(
    batch=st.lists(lines(), max_size=12),
    state=st.fixed_dictionaries(dict.fromkeys(PARTS, SETS)),
    faults=st.one_of(st.just([]), st.lists(PASSING, max_size=12).filter(_begins_well)),
    edits=st.one_of(st.just([]), EDITS),
    later=st.one_of(st.just([]), LATER),
    bend=BENDS,
    max_age=st.sampled_from([60.0, 60.0, 0.0]),
)
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
def test_there_and_back(
    world: World,
    batch: list[dict[str, Any]],
    state: dict[Part, frozenset[int]],
    faults: list[Any],
    edits: list[Edit],
    later: list[Edit],
    bend: Any,
    max_age: float,
) -> None:
    """The account is what the formula says, the plan what was sent, and the undo brings back all that was ours."""
    told, meant = written_out(world, batch)
    before = {part: {world.records[place] for place in places} for part, places in state.items()}
    errors, after = oracle(meant, before)
    world.set_state(before)
    world.bend = bend

    world.forget()
    plan = world.runner.run(planned(world, told, max_age))
    assert world.state() == before
    assert not world.puts

    world.forget()
    world.edits = edits
    world.sandbox.faults.script(*faults)
    results = world.runner.run(ran(world, told, max_age=max_age, results=world.results))
    assert error_types(results, meant, world.touched) == errors
    check_puts(world, meant, errors, {id for id, _ in PARTS})
    touched, puts, world.edits = world.touched, world.puts, []
    world.sandbox.faults.clear()
    check_ids(world.state(), after, touched)
    if not any(faults) and not touched:
        assert plan.puts == len(puts)
        assert {str(each.change.target.id) for each in plan.changes} <= {*TARGETS, *world.numbers.values()}
    if not touched:
        for result, line in zip(results, meant, strict=True):
            check(result, line, before, after)
        assert {id for id, _, _ in puts} == {id for id, name in PARTS if before[id, name] != after[id, name]} | (
            {UNSEEN}
            if any(line["id"] == UNSEEN and not error for line, error in zip(meant, errors, strict=True))
            else set()
        )
        again = world.runner.run(planned(world, told, max_age))
        assert again.differing == 0
        assert {str(each.change.target.id) for each in again.changes} <= {UNSEEN, world.numbers[UNSEEN]}
        assert again.holds is (not any(errors) and not again.unseen)

    world.forget()
    for edit in later:
        world.do(edit)
    held = world.state()
    world.sandbox.faults.script(*reversed(faults))
    undone = world.runner.run(ran(world, UndoFile(world.results), max_age=max_age))
    assert {result.status for result in undone if result.id not in (UNSEEN, world.numbers[UNSEEN])} <= {
        Status.LINKED,
        Status.UNCHANGED,
    }
    expected = taken_back(world, held, results)
    assert world.state() == expected
    if not touched and not world.touched:
        assert expected == {part: after[part] if part[0] == UNSEEN else ids for part, ids in before.items()}
    seen = {part: ids for part, ids in before.items() if part[0] != UNSEEN}
    check_ids(world.state(), seen, touched | world.touched)


STYLES: Final[tuple[dict[str, Any], ...]] = (
    {"empty_links": "missing"},
    {"empty_links": "null", "ids": "numbers"},
    {"empty_links": "empty", "ids": "numbers"},
    {"empty_links": "fields"},
    {"empty_links": "missing", "stale_puts": True},
    {"empty_links": "missing", "blank_clears": True},
    {"empty_links": "missing", "lists_without_links": frozenset({Kind.FEATURE})},
    {"empty_links": "missing", "largest_page": 50},
)


@pytest.fixture(scope="module", params=STYLES, ids=lambda style: " ".join(map(str, style.values())))
def styled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An account that shows links, and what has become of them, in one of many ways."""
    with watched_world(tmp_path_factory.mktemp("styled"), **request.param) as world:
        yield world


@given(
    batch=st.lists(lines(), max_size=10),
    state=st.fixed_dictionaries(dict.fromkeys(PARTS, SETS)),
    emptied=st.booleans(),
)
@settings(max_examples=EXAMPLES // 20, suppress_health_check=list(HealthCheck))
def test_there_and_back_however_an_account_shows_links(
    styled: World, batch: list[dict[str, Any]], state: dict[Part, frozenset[int]], emptied: bool
) -> None:
    """A plan changes nothing, a run leaves what the formula says, `verify` says yes to no less, an undo restores it."""
    world = styled
    told, meant = written_out(world, batch)
    before = {part: {world.records[place] for place in places} for part, places in state.items()}
    before = {part: set() for part in before} if emptied else before
    errors, after = oracle(meant, before)
    world.set_state(before)
    world.forget()
    world.runner.run(planned(world, told, 60.0))
    assert world.state() == before
    results = world.runner.run(ran(world, told, max_age=60.0, results=world.results))
    assert [result.error.type if result.error else None for result in results] == errors
    reached = after
    if world.sandbox.options.blank_clears:  # nobody can see that a product ignores its clears by `[]`
        reached = {part: world.state()[part] if part[0] == UNSEEN else ids for part, ids in after.items()}
    assert world.state() == reached
    for result, line in zip(results, meant, strict=True):
        check(result, line, before, after)
    again = world.runner.run(planned(world, told, 60.0))
    assert again.differing == 0
    assert again.holds is (not any(errors) and not again.unseen)
    world.runner.run(ran(world, UndoFile(world.results), max_age=60.0))
    assert world.state() == {part: reached[part] if part[0] == UNSEEN else ids for part, ids in before.items()}


def written_out(world: World, batch: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The lines as a file has them, by numbers and with what is wrong, and as the oracle goes by them."""
    told: list[dict[str, Any]] = []
    meant: list[dict[str, Any]] = []
    for line in batch:
        links: dict[str, Any] = {
            name: [world.records[place] for place in places] for name, places in line["links"].items()
        }
        if line["wrong"] == "number":
            links[next(iter(links))] = [1.5]
        plain = {"id": line["id"], "links": links, "mode": line["mode"]}
        wrong: dict[str, Any] = {"lnks": {}} if line["wrong"] == "key" else {}
        wrong |= {"kind": "goal"} if line["wrong"] == "kind" else {}
        by_number = {"id": world.numbers[line["id"]], "kind": TARGETS[line["id"]]} if line["number"] else {}
        told.append(plain | by_number | wrong)
        meant.append(plain | wrong)
    return told, meant


async def planned(world: World, jobs: Any, max_age: float) -> Plan:
    """What a run would do."""
    async with eager(world.sandbox, max_age=max_age) as aha:
        return await aha.plan(jobs)


async def ran(
    world: World, jobs: Any, *, max_age: float, results: Path | None = None, attempts: int = 20
) -> list[Result]:
    """What a run did; faults are never as many as twenty attempts."""
    async with eager(
        world.sandbox, attempts=attempts, concurrency=4, max_age=max_age, yes=True, durability="flush"
    ) as aha:
        return await results_of(aha.run(jobs, results, overwrite=True))


def error_types(results: list[Result], meant: list[dict[str, Any]], touched: set[tuple[Part, str]]) -> list[str | None]:
    """The error of each line.

    An answer to a clear may show nothing, and then a look at the target may find what a colleague has done since the
    PUT: the line says `not_applied`, for its list is not there. Of fields that he touched, this is no fault.
    """
    theirs = {part for part, _ in touched}
    types: list[str | None] = []
    for result, line in zip(results, meant, strict=True):
        found = result.error.type if result.error else None
        is_theirs = any((line["id"], field) in theirs for field in line["links"])
        types.append(None if found == "not_applied" and is_theirs else found)
    return types


def check_ids(state: State, wanted: State, touched: set[tuple[Part, str]]) -> None:
    """Every id that no colleague touched is where it should be."""
    for part, ids in wanted.items():
        strange = {id for id in state[part] ^ ids if (part, id) not in touched}
        assert not strange, (part, strange, state[part], ids)


def check_puts(world: World, batch: list[dict[str, Any]], errors: list[str | None], targets: Collection[str]) -> None:
    """Each PUT says what the formula makes of what the target was shown to hold, of the fields that need it."""
    assert world.sandbox.stats.most_puts_at_once_on_a_target <= 1
    for id, links, shown in world.puts:
        if id not in targets:
            continue
        parts = [(id, name) for name in FIELDS[TARGETS[id]]]
        sayable = []
        for state in world.shown[:shown]:
            after = {part: after_of(part, state[part], batch, errors) for part in parts}
            sayable.append({name: after[id, name] for _, name in parts if after[id, name] != state[id, name]})
        if id == UNSEEN:
            assert all(links[name] == after_of((id, name), set(), batch, errors) for name in links)
        else:
            assert links in sayable, (id, links, sayable)


def taken_back(world: World, held: State, results: list[Result]) -> State:
    """What a state comes to when what the results tell of is taken back, newest write first."""
    expected = {part: set(ids) for part, ids in held.items()}
    names = {number: id for id, number in world.numbers.items()}
    for result in results:
        for name, change in (result.changes or {}).items():
            part = (names.get(str(result.id), str(result.id)), name)
            if part[0] == UNSEEN:  # nobody can see what to remove there
                continue
            expected[part] = (expected[part] - set(change.added)) | set(change.removed)
    return expected


@given(
    batch=st.lists(lines(), min_size=1, max_size=8),
    state=st.fixed_dictionaries(dict.fromkeys(PARTS, SETS)),
    faults=st.one_of(st.just([]), st.lists(PASSING, max_size=12).filter(_begins_well)),
    edits=st.one_of(st.just([]), EDITS),
    max_age=st.sampled_from([60.0, 60.0, 0.0]),
)
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
def test_there_and_back_with_refused_records(
    refusing: World,
    batch: list[dict[str, Any]],
    state: dict[Part, frozenset[int]],
    faults: list[Any],
    edits: list[Edit],
    max_age: float,
) -> None:
    """The jobs that bring a refused record fail with their lists; all else is as the formula says, and is undone.

    Once a list is known to be incomplete, no further job of it is tried: it may bring a refused record, too.
    """
    world, refused = refusing, {refusing.records[place] for place in REFUSED}
    told, meant = written_out(world, [line for line in batch if line["id"] != UNSEEN])
    before = {part: {world.records[place] for place in places} - refused for part, places in state.items()}
    errors, _ = oracle(meant, before)
    for number, line in enumerate(meant):
        if errors[number] is None and line["mode"] != "remove" and refused & set().union(*line["links"].values()):
            errors[number] = "invalid_value"
    modes = [line["mode"] or "replace" for line in meant]
    parts: list[set[Part]] = [{(line["id"], field) for field in line["links"]} for line in meant]
    take_along(errors, modes, parts, lambda number: errors[number] == "invalid_value")
    after = {part: after_of(part, ids, meant, errors) for part, ids in before.items()}
    world.set_state(before)
    world.forget()
    world.edits = [edit for edit in edits if edit.id not in REFUSED]
    world.sandbox.faults.script(*faults)
    results = world.runner.run(ran(world, told, max_age=max_age, results=world.results))
    found_types = error_types(results, meant, world.touched)
    blamed = {line["id"] for found, line in zip(found_types, meant, strict=True) if found == "invalid_value"}
    for found, error, line in zip(found_types, errors, meant, strict=True):
        untried = found == "incomplete" and error == "invalid_value" and line["mode"] in (None, "replace")
        assert found == error or (untried and line["id"] in blamed)
    spoilt = {line["id"] for line, error in zip(meant, errors, strict=True) if error == "invalid_value"}
    check_puts(world, meant, errors, TARGETS.keys() - spoilt)
    check_ids(world.state(), after, world.touched)
    held, touched = world.state(), world.touched
    world.forget()
    undone = world.runner.run(ran(world, UndoFile(world.results), max_age=max_age))
    assert {result.status for result in undone} <= {Status.LINKED, Status.UNCHANGED}
    assert world.state() == taken_back(world, held, results)
    check_ids(world.state(), before, touched)


@given(
    batch=st.lists(lines(), max_size=8),
    state=st.fixed_dictionaries(dict.fromkeys(PARTS, SETS)),
    faults=st.lists(PASSING, min_size=1, max_size=20).filter(_begins_well),
    max_age=st.sampled_from([60.0, 0.0]),
)
@settings(max_examples=EXAMPLES // 6, suppress_health_check=list(HealthCheck))
def test_there_and_back_with_much_given_up(
    world: World, batch: list[dict[str, Any]], state: dict[Part, frozenset[int]], faults: list[Any], max_age: float
) -> None:
    """What fails was written whole or not at all; the undo brings back all, and names what shows no links."""
    told, meant = written_out(world, [{**line, "number": False} for line in batch])
    before = {part: {world.records[place] for place in places} for part, places in state.items()}
    errors, after = oracle(meant, before)
    world.set_state(before)
    world.bend = None
    world.forget()
    world.sandbox.faults.script(*faults)
    results = world.runner.run(ran(world, told, max_age=max_age, results=world.results, attempts=2))
    world.sandbox.faults.clear()
    held = world.state()
    gave_up = {result.id for result in results if result.error is not None and result.error.retryable}
    doubtful = {result.id for result in results if result.id in gave_up and result.change is not None}
    for result, error in zip(results, errors, strict=True):
        if result.id not in gave_up:
            assert (result.error.type if result.error else None) == error
    for (id, name), ids in held.items():
        if id not in doubtful:
            assert ids == (before if id in gave_up else after)[id, name]
    for unknown in doubtful:  # one PUT says all of its fields
        parts = [part for part in PARTS if part[0] == unknown]
        assert {part: held[part] for part in parts} in [
            {part: each[part] for part in parts} for each in (before, after)
        ]
    undone = world.runner.run(ran(world, UndoFile(world.results), max_age=max_age))
    assert doubtful & {UNSEEN} <= {result.id for result in undone if result.error is not None}
    assert world.state() == {part: held[part] if part[0] == UNSEEN else ids for part, ids in before.items()}


def test_the_oracle_knows_a_batch_done_by_hand() -> None:
    """The oracle itself: a union, an addition, a removal, a conflict, and a list of which half was wrong."""
    before: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for id, kind in TARGETS.items():
        before |= {(id, field): {"9"} for field in FIELDS[kind]}
    batch: list[dict[str, Any]] = [
        {"id": "PRJ1-1", "links": {"customers": ["1"]}, "mode": None},
        {"id": "PRJ1-1", "links": {"customers": ["2"]}, "mode": "replace"},
        {"id": "PRJ1-1", "links": {"customers_table": ["3"]}, "mode": "add"},
        {"id": "PRJ1-2", "links": {"customers": ["9"]}, "mode": "remove"},
        {"id": "PRJ1-E-1", "links": {"customers": ["4"]}, "mode": "add"},
        {"id": "PRJ1-E-1", "links": {"customers": ["4", "5"]}, "mode": "remove"},
        {"id": "PRJ1-R-2", "links": {"customers": ["6"]}, "mode": "replace"},
        {"id": "PRJ1-R-2", "links": {"customers": [1.5]}, "mode": "replace"},
        {"id": "PRJ2", "links": {"customers": ["7"]}, "mode": "add"},
    ]
    errors, after = oracle(batch, dict(before))
    assert errors == [None, None, None, None, "conflict", "conflict", "incomplete", "invalid_job", "bad_answer"]
    done = {("PRJ1-1", "customers"): {"1", "2"}, ("PRJ1-1", "customers_table"): {"3", "9"}}
    assert after == {**before, **done, ("PRJ1-2", "customers"): set()}
