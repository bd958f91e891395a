"""Which jobs of a refused PUT are to blame, and what is written without them: adds, and never an incomplete list."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.refusing_target import ASKED, HOLDS, IDS, Account, Asked, drive, formula, mend, undone, wish_of, work_of

from linker import ErrorType, Mode, Status
from linker.batch.change import plan
from linker.batch.merge import DesiredState
from linker.model.job import Links
from linker.work.blame import BlameSearch

SEVEN: Links = {"c": frozenset({"7"})}


def rows(count: int, *bad: int, mode: Mode = Mode.ADD) -> tuple[DesiredState, frozenset[str]]:
    """So many jobs of one list, an id each, and the bad ones among the ids."""
    desired = wish_of([(mode, {"c": [str(1000 + number)]}) for number in range(count)])
    assert desired is not None
    return desired, frozenset(str(1000 + number) for number in bad)


def blamed(blame: BlameSearch) -> set[int]:
    """The numbers of the jobs to blame."""
    return {job.number for job, _ in blame.guilty}


def test_the_id_that_the_server_names_is_taken_out_and_the_rest_is_one_list() -> None:
    """Two PUTs: the refused one, and the list without the guilty job."""
    desired, bad = rows(5, 3)
    account = Account(SEVEN, bad, names=1)
    blame = mend(account, desired, SEVEN)
    assert [(job.number, words) for job, words in blame.guilty] == [(3, "invalid: 1003")]
    assert account.holds == {"c": {"1000", "1001", "1002", "1004", "7"}}
    assert len(account.puts) == 2


@pytest.mark.parametrize("names", [1, 2])
def test_a_list_without_an_id_that_the_account_refuses_replaces_nothing(names: int) -> None:
    """The jobs that the server names are refused alone, which writes nothing; the others of the list are incomplete."""
    desired, bad = rows(5, 1, 3, mode=Mode.REPLACE)
    account = Account(SEVEN, bad, names=names)
    blame = mend(account, desired, SEVEN)
    assert blamed(blame) == {1, 3} if names == 2 else {1}
    assert [job.number for job, error in blame.incomplete if error.type is ErrorType.INCOMPLETE] == [
        number for number in range(5) if number not in blamed(blame)
    ]
    assert account.taken == []
    assert account.holds == SEVEN


@pytest.mark.parametrize("count", [2, 16, 100])
@pytest.mark.parametrize("bad", [0, 1, -1])
def test_halving_takes_back_what_it_tried_of_an_incomplete_list(count: int, bad: int) -> None:
    """The server names none: links are only added until one is found, and the list is what it was in the end."""
    desired, ids = rows(count, bad % count, mode=Mode.REPLACE)
    account = Account(SEVEN, ids)
    blame = mend(account, desired, SEVEN)
    assert blamed(blame) == {bad % count}
    assert len(blame.incomplete) == count - 1
    assert all(put["c"] >= SEVEN["c"] for _, put in account.taken)
    assert account.holds == SEVEN
    assert len(account.puts) <= 3 + 2 * math.ceil(math.log2(count))


def test_adds_go_on_without_the_list_that_is_incomplete() -> None:
    """They add to what the target holds, as if no list had been given."""
    desired = wish_of([(Mode.REPLACE, {"a": ["1"]}), (Mode.REPLACE, {"a": ["2"]}), (Mode.ADD, {"a": ["3"]})])
    assert desired is not None
    before: Links = {"a": frozenset({"8"})}
    account = Account(before, {"2"})
    blame = mend(account, desired, before)
    assert (blamed(blame), [job.number for job, _ in blame.incomplete]) == ({1}, [0])
    assert account.holds == {"a": {"3", "8"}}


@pytest.mark.parametrize("names", [1, 3])
def test_ids_that_are_named_cost_two_puts_each(names: int) -> None:
    """Whether the server names them one at a time or all at once; nobody is blamed for a word alone."""
    desired, bad = rows(100, 3, 50, 51)
    account = Account(SEVEN, bad, names=names)
    assert blamed(mend(account, desired, SEVEN)) == {3, 50, 51}
    assert len(account.puts) <= 1 + 2 * 3


def test_numbers_that_are_no_ids_blame_nobody() -> None:
    """`422`, `1 of the 2`: records of these ids were taken, and their jobs with them."""
    desired = wish_of([(Mode.ADD, {"c": [id]}) for id in ("1", "2", "422", "66", "5")])
    assert desired is not None
    account = Account(SEVEN, {"66"}, chatty=True)
    assert blamed(mend(account, desired, SEVEN)) == {3}
    assert account.holds == {"c": {"1", "2", "422", "5", "7"}}


def test_words_that_name_the_whole_list_blame_nobody() -> None:
    """A server that repeats what it was sent says nothing by it: halving finds the one."""
    desired, bad = rows(8, 5)
    before = dict(SEVEN)
    change = plan(desired, before)
    blame = BlameSearch(desired.jobs, change, change.put, f"invalid: {change.put}")
    while blame.put is not None:
        if blame.put["c"] & bad:
            blame.refused(f"invalid: {blame.put}")
        else:
            blame.taken(None)
    assert blamed(blame) == {5}


@pytest.mark.parametrize(
    ("count", "bad"), [(2, [0]), (16, [5]), (100, [99]), (100, [0, 50, 51]), (64, list(range(64)))]
)
def test_where_the_server_names_none_halving_finds_them(count: int, bad: list[int]) -> None:
    """Some 2 k log2(n) PUTs for k guilty jobs of n, and the list of the others at the end."""
    desired, ids = rows(count, *bad)
    account = Account(SEVEN, ids)
    assert blamed(mend(account, desired, SEVEN)) == set(bad)
    kept = {str(1000 + number) for number in range(count)} - ids
    assert account.holds == {"c": kept | {"7"}}
    assert len(account.puts) <= 2 + 2 * len(bad) * math.ceil(math.log2(count))


def test_while_halving_no_list_is_ever_less_than_it_was() -> None:
    """Every PUT but the last adds to what the target holds: a run killed in between has lost nothing."""
    desired, bad = rows(16, 2, 11)
    before = {"c": frozenset({"7", "8"})}
    account = Account(before, bad)
    mend(account, desired, before)
    for put in account.puts[1:-1]:
        assert put["c"] > before["c"]
    assert account.puts[-1]["c"] == account.holds["c"]


def test_who_is_refused_alone_is_to_blame_without_a_further_put() -> None:
    """Of two halves, one was taken: the other is why both were refused."""
    desired, bad = rows(2, 1, mode=Mode.ADD)
    account = Account(SEVEN, bad)
    assert blamed(mend(account, desired, SEVEN)) == {1}
    assert [sorted(put["c"]) for put in account.puts] == [["1000", "1001", "7"], ["1000", "7"]]


def test_a_field_that_is_refused_leaves_the_others_alone() -> None:
    """Field by field first: the good field is written, the bad one fails its jobs."""
    desired = wish_of([(Mode.ADD, {"a": ["1"]}), (Mode.ADD, {"b": ["2"]})])
    assert desired is not None
    before: Links = {"a": frozenset(), "b": frozenset({"9"})}
    account = Account(before, {"2"})
    assert blamed(mend(account, desired, before)) == {1}
    assert account.holds == {"a": {"1"}, "b": {"9"}}


def test_what_a_guilty_job_brought_to_another_field_is_taken_back() -> None:
    """A job is done as a whole or not at all."""
    desired = wish_of([(Mode.REPLACE, {"a": ["1"], "b": ["2"]}), (Mode.ADD, {"b": ["3"]})])
    assert desired is not None
    before: Links = {"a": frozenset({"8"}), "b": frozenset({"9"})}
    account = Account(before, {"2"})
    assert blamed(mend(account, desired, before)) == {0}
    assert account.holds == {"a": {"8"}, "b": {"3", "9"}}


def test_a_removal_that_is_refused_fails_those_who_ask_for_it() -> None:
    """Nobody brings an id there: all jobs of that field are to blame, and the search ends."""
    desired = wish_of([(Mode.REMOVE, {"a": ["1"]}), (Mode.REMOVE, {"a": ["2"]}), (Mode.ADD, {"b": ["3"]})])
    assert desired is not None
    change = plan(desired, {"a": frozenset({"1", "2"}), "b": frozenset()})
    blame = BlameSearch(desired.jobs, change, change.put, "is invalid")
    while blame.put is not None:
        if "a" in blame.put:
            blame.refused("is invalid")
        else:
            blame.taken(None)
    assert blamed(blame) == {0, 1}


@given(st.lists(st.tuples(st.sampled_from(Mode), st.lists(st.sampled_from("123456"), max_size=3)), min_size=2))
@settings(max_examples=200)
def test_a_server_that_takes_nothing_is_left_alone_in_the_end(asked: list[tuple[Mode, list[str]]]) -> None:
    """Whatever the reason: the search ends, and nobody whose part is to be written is left."""
    desired = wish_of([(mode, {"a": ids}) for mode, ids in asked])
    before = {"a": frozenset({"1", "9"})}
    if desired is None or not plan(desired, before).put:
        return
    change = plan(desired, before)
    blame = BlameSearch(desired.jobs, change, change.put, "no 1, no 2")
    puts = 1
    while blame.put is not None:
        blame.refused("no 1, no 2")
        puts += 1
    assert puts <= 2 + 3 * len(asked)
    assert formula(blame.kept, before) == before


@settings(max_examples=500)
@given(
    asked=ASKED,
    holds=HOLDS,
    bad=st.frozensets(IDS, min_size=1, max_size=3),
    names=st.integers(0, 3),
    chatty=st.booleans(),
    blind=st.booleans(),
)
def test_exactly_those_who_bring_bad_ids_fail_and_the_rest_is_as_asked(
    asked: list[Asked], holds: dict[str, frozenset[str]], bad: frozenset[str], names: int, chatty: bool, blind: bool
) -> None:
    """Through a work: whatever is asked of whatever is held, the account ends as the formula of the good jobs says."""
    desired = wish_of(asked)
    if desired is None:
        return
    holds = {field: ids - bad for field, ids in holds.items()}
    account = Account(holds, bad, names=names, chatty=chatty)
    results = drive(account, work_of(*asked, blind=blind))
    assert sorted(result.job for result in results) == list(range(len(asked)))
    failed = {result.job for result in results if result.status is Status.FAILED}
    incomplete = {result.job for result in results if result.status is Status.REJECTED}
    bringing = {
        job.number
        for job in desired.jobs
        if job.mode is not Mode.REMOVE and any(bad.intersection(ids) for ids in job.links.values())
    }
    assert failed <= bringing <= failed | incomplete
    assert bool(failed) >= bool(incomplete)
    assert all(desired.jobs[number].mode is Mode.REPLACE for number in incomplete)
    kept = [job for job in desired.jobs if job.number not in failed | incomplete]
    assert account.holds == formula(kept, holds)
    lost = {field for job in desired.jobs if job.number in failed for field in job.links}
    assert not any(job.mode is Mode.REPLACE and not lost.isdisjoint(job.links) for job in kept)
    if not blind or failed:  # where a blind PUT was refused, the target was read after all
        assert undone(account.holds, results) == holds
    for result in results:
        if result.after is not None:
            assert result.after == {field: sorted(account.holds[field]) for field in result.after}
            assert result.links.keys() <= result.after.keys()


@settings(max_examples=300)
@given(
    asked=st.lists(st.tuples(st.sampled_from(Mode), st.lists(IDS, max_size=3)), min_size=2, max_size=7),
    holds=st.frozensets(IDS, max_size=4),
    bad=st.frozensets(IDS, min_size=1, max_size=3),
    names=st.integers(0, 3),
    chatty=st.booleans(),
    blind=st.booleans(),
)
def test_nothing_is_taken_away_on_the_way_that_is_there_at_the_end(
    asked: list[tuple[Mode, list[str]]],
    holds: frozenset[str],
    bad: frozenset[str],
    names: int,
    chatty: bool,
    blind: bool,
) -> None:
    """Half a list never becomes the list, not even for the time of the search."""
    jobs: list[Asked] = [(mode, {"a": ids}) for mode, ids in asked]
    if wish_of(jobs) is None:
        return
    account = Account({"a": holds - bad}, bad, names=names, chatty=chatty)
    drive(account, work_of(*jobs, blind=blind))
    for found, put in account.taken:
        assert found["a"] & account.holds["a"] <= put["a"]
