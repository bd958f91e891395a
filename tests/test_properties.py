"""Random batches on random states: the account, the results and the requests are what an oracle says.

The oracle is written from the contract, not from the code: it goes field by field over plain sets, and finds
what is incomplete by repeating itself until nothing changes.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runs import eager, results_of

from linker import Kind, Result, Status
from linker.sandbox import Sandbox

TARGETS: dict[str, Kind] = {
    "PRJ1-1": Kind.FEATURE,
    "PRJ1-2": Kind.FEATURE,
    "PRJ1-3": Kind.FEATURE,  # with three of them, their list is worth a look
    "PRJ1-I-2": Kind.IDEA,
    "PRJ1-E-1": Kind.EPIC,
    "PRJ1-R-2": Kind.RELEASE,
    "PRJ2": Kind.PRODUCT,  # its answers show no links
}
FIELDS: dict[Kind, tuple[str, ...]] = {
    Kind.FEATURE: ("customers", "customers_table"),
    Kind.IDEA: ("customers", "revenue"),
    Kind.EPIC: ("customers",),
    Kind.RELEASE: ("customers",),
    Kind.PRODUCT: ("customers",),
}
FAULTS = st.sampled_from([None, None, None, 500, 503, 429, "reset", "reset_after", "html", "cut"])


@dataclass
class World:
    """One sandbox for all examples, on a loop of its own."""

    sandbox: Sandbox
    runner: asyncio.Runner
    records: tuple[str, ...]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A sandbox without limits whose links each example sets anew."""
    with asyncio.Runner() as runner:
        sandbox = Sandbox(limits=[], records=4)
        runner.run(sandbox.start())
        customers = [each for each in sandbox.account.listed(Kind.CUSTOM_OBJECT_RECORD) if each.table == "customers"]
        yield World(sandbox, runner, tuple(str(each.id) for each in customers))
        runner.run(sandbox.stop())


IDS = st.frozensets(st.integers(0, 5), max_size=3)
STATE = {(id, field): IDS for id, kind in TARGETS.items() for field in FIELDS[kind]}


@st.composite
def lines(draw: st.DrawFn) -> dict[str, Any]:
    """A line of a job file, one in ten of them wrong in one way or another."""
    id, kind = draw(st.sampled_from(sorted(TARGETS.items())))
    fields = draw(st.lists(st.sampled_from(FIELDS[kind]), min_size=1, unique=True))
    line: dict[str, Any] = {"id": id, "links": {field: draw(IDS) for field in fields}}
    line["mode"] = draw(st.sampled_from(["replace", "replace", "add", "add", "remove", None]))
    wrong = draw(st.sampled_from([None] * 27 + ["key", "number", "kind"]))
    if wrong == "key":
        line["lnks"] = {}
    elif wrong == "number":
        line["links"] = {**line["links"], fields[0]: [1.5]}
    elif wrong == "kind":
        line["kind"] = "goal"
    return line


def oracle(batch: list[dict[str, Any]], before: dict[tuple[str, str], set[str]]) -> tuple[list[str | None], Any]:
    """The error of each line (None: it is done) and what the account holds then."""
    errors: list[str | None] = [None] * len(batch)
    mode = [line["mode"] or "replace" for line in batch]
    parts: list[set[tuple[str, str]]] = [{(line["id"], field) for field in line["links"]} for line in batch]
    for number, line in enumerate(batch):
        if "lnks" in line or "kind" in line or any(1.5 in ids for ids in line["links"].values()):
            errors[number] = "invalid_job"
    for one, other in combinations([number for number in range(len(batch)) if errors[number] != "invalid_job"], 2):
        if (mode[one] == "remove") != (mode[other] == "remove"):
            shared = parts[one] & parts[other]
            if any(set(batch[one]["links"][f]) & set(batch[other]["links"][f]) for _, f in shared):
                errors[one] = errors[other] = "conflict"
    take_along(errors, mode, parts, lambda number: True)
    while True:  # a product shows no links: who needs to see them fails, and takes replaces along, and so on
        needy = {part for part in set().union(*parts) if TARGETS[part[0]] is Kind.PRODUCT}
        for number, error in enumerate(errors):
            if error is None and mode[number] == "replace":
                needy -= parts[number]
        lost = [number for number, error in enumerate(errors) if error is None and parts[number] & needy]
        if not lost:
            break
        for number in lost:
            errors[number] = "bad_answer"
        take_along(errors, mode, parts, lambda number: errors[number] == "bad_answer")
    return errors, {part: after_of(part, ids, batch, errors) for part, ids in before.items()}


def after_of(
    part: tuple[str, str], before: set[str], batch: list[dict[str, Any]], errors: list[str | None]
) -> set[str]:
    """(The union of the replace lists, or else what it holds now) and the adds, without the removes."""
    lists: dict[str, list[set[str]]] = {"replace": [], "add": [], "remove": []}
    for line, error in zip(batch, errors, strict=True):
        if error is None and line["id"] == part[0] and part[1] in line["links"]:
            lists[line["mode"] or "replace"].append(set(line["links"][part[1]]))
    base = set().union(*lists["replace"]) if lists["replace"] else before
    return base.union(*lists["add"]).difference(*lists["remove"])


def take_along(errors: list[str | None], mode: list[str], parts: list[set[tuple[str, str]]], starts: Any) -> None:
    """Half a list never becomes the list: whoever replaces a field in which a lost line has a part is lost too."""
    lost = {number for number, error in enumerate(errors) if error is not None and starts(number)}
    while True:
        also = {
            number
            for number, error in enumerate(errors)
            if error is None and mode[number] == "replace" and any(parts[number] & parts[other] for other in lost)
        }
        if not also:
            return
        for number in also:
            errors[number] = "incomplete"
        lost |= also


@given(
    batch=st.lists(lines(), max_size=12),
    state=st.fixed_dictionaries(STATE),
    faults=st.one_of(st.just([]), st.lists(FAULTS, max_size=12)),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_batch_does_what_the_oracle_says(
    world: World, batch: list[dict[str, Any]], state: dict[tuple[str, str], frozenset[int]], faults: list[Any]
) -> None:
    """State, statuses, `before`, `after`, `changes` and the number of PUTs, with faults on the way and without."""
    sandbox, records = world.sandbox, world.records
    before = {part: {records[place] for place in places} for part, places in state.items()}
    for (id, field), ids in before.items():
        sandbox.account.set_links(TARGETS[id], id, field, ids)
    for line in batch:
        line["links"] = {
            field: [1.5] if ids == [1.5] else sorted(records[place] for place in ids)
            for field, ids in line["links"].items()
        }
    puts, sandbox.stats.most_puts_at_once_on_a_target = sandbox.stats.methods["PUT"], 0
    sandbox.faults.script(*faults)

    async def run() -> list[Result]:
        async with eager(sandbox, attempts=20, concurrency=4) as aha:
            return await results_of(aha.run(batch))

    results = world.runner.run(run())
    sandbox.faults._next.clear()  # what the batch was too short to meet
    errors, after = oracle(batch, before)
    held = {(id, field): set(sandbox.account.links(TARGETS[id], id)[field]) for id, field in before}
    assert held == after
    assert [result.job for result in results] == list(range(len(batch)))
    assert [result.error.type if result.error else None for result in results] == errors
    for result, line in zip(results, batch, strict=True):
        check(result, line, before, after)
    changed = {id for id, field in before if before[id, field] != after[id, field]}
    if not any(faults):
        unseen = {line["id"] for line, error in zip(batch, errors, strict=True) if not error and line["id"] == "PRJ2"}
        assert sandbox.stats.methods["PUT"] - puts == len(changed | unseen)
    assert sandbox.stats.most_puts_at_once_on_a_target <= 1


def check(result: Result, line: dict[str, Any], before: dict[Any, set[str]], after: dict[Any, set[str]]) -> None:
    """One result tells the truth about its fields."""
    if result.error is not None:
        known = result.error.type == "bad_answer"
        assert result.status is (Status.FAILED if known else Status.REJECTED)
        assert result.changes is None
        return
    parts = {field: (line["id"], field) for field in line["links"]}
    if line["id"] == "PRJ2":
        assert (result.status, result.before, result.after, result.changes) == (Status.LINKED, None, None, None)
        return
    assert result.before == {field: by_number(before[part]) for field, part in parts.items()}
    assert result.after == {field: by_number(after[part]) for field, part in parts.items()}
    unchanged = all(before[part] == after[part] for part in parts.values())
    if unchanged:
        assert (result.status, result.change) == (Status.UNCHANGED, None)
        return
    assert result.status is Status.LINKED
    assert result.changes is not None
    for field, part in parts.items():
        assert result.changes[field].added == by_number(after[part] - before[part])
        assert result.changes[field].removed == by_number(before[part] - after[part])


def by_number(ids: set[str]) -> list[str]:
    return sorted(ids, key=int)


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
