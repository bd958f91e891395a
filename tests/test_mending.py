"""One bad id must not fail its neighbours: which jobs of a refused PUT are to blame; the rest stays one list."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linker import Error, ErrorType, Kind, LinkJob, Mode, Status, Target
from linker.answers import Answer, Listed
from linker.batch import Batch, Job, Links, Wish
from linker.mending import Mending
from linker.work import Work

TARGET = Target(Kind.FEATURE, "PRJ1-1")
Asked = tuple[Mode, dict[str, list[str]]]


def wish_of(asked: Sequence[Asked]) -> Wish | None:
    """What jobs of one target come to; None where some of them cannot be sent together."""
    batch = Batch(Mode.REPLACE)
    for number, (mode, links) in enumerate(asked):
        batch.add(number, "f", number + 1, LinkJob("PRJ1-1", links, mode=mode))
    [(wish, rejected)] = batch.wishes()
    return None if rejected else wish


class Account:
    """Holds what it is told, but refuses any PUT that brings a bad id; by its name, or in general words."""

    def __init__(self, holds: Mapping[str, frozenset[str]], bad: frozenset[str], *, names: bool, status: int = 422):
        self.holds = dict(holds)
        self.bad, self.names, self.status = bad, names, status
        self.puts: list[Links] = []

    def put(self, links: Links) -> str | None:
        """None where the PUT is taken, else the server's words."""
        self.puts.append(links)
        for field, ids in links.items():
            found = sorted((ids & self.bad) - self.holds.get(field, frozenset()))
            if found:
                return f"{field}: the record {found[0]} is invalid" if self.names else f"{field} is invalid"
        self.holds |= links
        return None


def mend(account: Account, wish: Wish, before: Links | None) -> tuple[set[int], Mending]:
    """Refuse, blame and try again until it is settled; the numbers of the jobs to blame."""
    put = {
        field: after
        for field, links in wish.fields.items()
        if (after := links.after(before[field] if before is not None else None)) is not None
        and (before is None or after != before[field])
    }
    refused = account.put(put)
    assert refused is not None
    mending = Mending(TARGET, wish.jobs, before, put, refused)
    while mending.put is not None:
        message = account.put(mending.put)
        if message is None:
            mending.taken()
        else:
            mending.refused(message)
    return {job.number for job, _ in mending.guilty}, mending


def bringing(jobs: Sequence[Job], bad: frozenset[str], before: Links) -> set[int]:
    """The jobs that would bring a bad id."""
    return {
        job.number
        for job in jobs
        if job.mode is not Mode.REMOVE
        and any(bad & (frozenset(ids) - before.get(field, frozenset())) for field, ids in job.links.items())
    }


def rows(count: int, *bad: int) -> tuple[Wish, frozenset[str]]:
    """So many jobs of one list, an id each, and the bad ones among the ids."""
    wish = wish_of([(Mode.REPLACE, {"c": [str(1000 + number)]}) for number in range(count)])
    assert wish is not None
    return wish, frozenset(str(1000 + number) for number in bad)


def test_the_id_that_the_server_names_is_taken_out_and_the_rest_is_one_list() -> None:
    """Two PUTs: the refused one, and the list without the guilty job."""
    wish, bad = rows(5, 3)
    account = Account({"c": frozenset({"7"})}, bad, names=True)
    guilty, mending = mend(account, wish, {"c": frozenset({"7"})})
    assert guilty == {3}
    assert mending.guilty[0][1] == "c: the record 1003 is invalid"
    assert account.holds == {"c": {"1000", "1001", "1002", "1004"}}
    assert len(account.puts) == 2


@pytest.mark.parametrize(
    ("count", "bad"), [(2, [0]), (16, [5]), (100, [99]), (100, [0, 50, 51]), (64, list(range(64)))]
)
def test_where_the_server_names_none_halving_finds_them(count: int, bad: list[int]) -> None:
    """Some 2 k log2(n) PUTs for k guilty jobs of n, and the list of the others at the end."""
    wish, ids = rows(count, *bad)
    account = Account({"c": frozenset({"7"})}, ids, names=False)
    guilty, _ = mend(account, wish, {"c": frozenset({"7"})})
    assert guilty == set(bad)
    kept = {str(1000 + number) for number in range(count)} - ids
    assert account.holds == {"c": kept or {"7"}}
    assert len(account.puts) <= 3 + 2 * len(bad) * max(1, math.ceil(math.log2(count)))


def test_while_halving_no_list_is_ever_less_than_it_was() -> None:
    """Every PUT but the last adds to what the target holds: a run killed in between has lost nothing."""
    wish, bad = rows(16, 2, 11)
    before = {"c": frozenset({"7", "8"})}
    account = Account(before, bad, names=False)
    mend(account, wish, before)
    for put in account.puts[1:-1]:
        assert put["c"] >= before["c"]
    assert account.puts[-1]["c"] == account.holds["c"]


def test_a_field_that_is_refused_leaves_the_others_alone() -> None:
    """Field by field first: the good field is written, the bad one fails its jobs."""
    wish = wish_of([(Mode.ADD, {"a": ["1"]}), (Mode.ADD, {"b": ["2"]})])
    assert wish is not None
    before: Links = {"a": frozenset(), "b": frozenset({"9"})}
    account = Account(before, frozenset({"2"}), names=False)
    guilty, _ = mend(account, wish, before)
    assert guilty == {1}
    assert account.holds == {"a": {"1"}, "b": {"9"}}


def test_a_removal_that_is_refused_fails_those_who_ask_for_it() -> None:
    """Nobody brings an id there: all jobs of that field are to blame, and the search ends."""
    wish = wish_of([(Mode.REMOVE, {"a": ["1"]}), (Mode.REMOVE, {"a": ["2"]}), (Mode.ADD, {"b": ["3"]})])
    assert wish is not None
    before: Links = {"a": frozenset({"1", "2"}), "b": frozenset()}
    put = {"a": frozenset[str](), "b": frozenset({"3"})}
    mending = Mending(TARGET, wish.jobs, before, put, "is invalid")
    while mending.put is not None:
        if "a" in mending.put:
            mending.refused("is invalid")
        else:
            mending.taken()
    assert {job.number for job, _ in mending.guilty} == {0, 1}


IDS = st.sampled_from([str(number) for number in range(1, 9)])
LINKS = st.dictionaries(st.sampled_from("ab"), st.lists(IDS, max_size=3), min_size=1)
HOLDS = st.fixed_dictionaries({"a": st.frozensets(IDS, max_size=4), "b": st.frozensets(IDS, max_size=4)})


@settings(deadline=None, max_examples=400)
@given(
    asked=st.lists(st.tuples(st.sampled_from(Mode), LINKS), min_size=2, max_size=7),
    holds=HOLDS,
    bad=st.frozensets(IDS, min_size=1, max_size=3),
    names=st.booleans(),
    blind=st.booleans(),
)
def test_exactly_those_who_bring_bad_ids_fail_and_the_rest_is_as_asked(
    asked: list[Asked], holds: dict[str, frozenset[str]], bad: frozenset[str], names: bool, blind: bool
) -> None:
    """Through a work: whatever is asked of whatever is held, the account ends as the formula of the good jobs says."""
    wish = wish_of(asked)
    if wish is None:
        return
    holds = {field: ids - bad for field, ids in holds.items()}
    account = Account(holds, bad, names=names)
    work = Work(wish, max_age_s=60.0, number_change=lambda: 0, blind=blind)
    results: list[Any] = []
    for _ in range(300):
        if work.step is None:
            break
        request = work.request(0.0)
        assert request is not None
        message = account.put(request.put) if request.put is not None else None
        if message is None:
            shown = Listed(links={field: ids for field, ids in account.holds.items() if ids})
            results += work.answered(Answer(200, shown), 0.0)
        else:
            results += work.failed(Error(ErrorType.INVALID_VALUE, f"422: {message}"), 422, 0.0)
    assert work.step is None
    assert sorted(result.job for result in results) == list(range(len(asked)))
    failed = {result.job for result in results if result.status is Status.FAILED}
    guilty = bringing(wish.jobs, bad, holds)
    if not (blind and failed):
        assert failed == guilty
    good = [job for job in wish.jobs if job.number not in failed]
    for field in ("a", "b"):
        mine = [(job.mode, frozenset(job.links[field])) for job in good if field in job.links]
        lists = [ids for mode, ids in mine if mode is Mode.REPLACE]
        base = frozenset[str]().union(*lists) if lists else holds[field]
        for mode, ids in mine:
            base = base | ids if mode is Mode.ADD else base
        for mode, ids in mine:
            base = base - ids if mode is Mode.REMOVE else base
        if not any(field in job.links for job in wish.jobs if job.number in failed):
            assert account.holds[field] == base
        assert account.holds[field] & bad <= holds[field]
