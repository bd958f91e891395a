"""A refused PUT is mended while time goes by: colleagues write, answers are lost, the account breaks down."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.refusing_target import ASKED, HOLDS, IDS, Account, Asked, answer, drive, formula, undone, wish_of, work_of

from linker import Error, ErrorType, Mode, Result, Status
from linker.batch.change import FieldChange
from linker.work.attempts import Step

ADD, REMOVE, REPLACE = Mode.ADD, Mode.REMOVE, Mode.REPLACE
DOWN = Error(ErrorType.SERVER_ERROR, "503: down (tried 6 times); try again later", retryable=True)


def summed(results: list[Any]) -> list[str]:
    """Results as `number status` or `number status type`, in the order of their jobs."""
    results = sorted(results, key=lambda result: result.job)
    return [f"{each.job} {each.status}" + (f" {each.error.type}" if each.error else "") for each in results]


def test_the_guilty_fail_with_the_servers_words_and_the_rest_is_linked() -> None:
    """One change and its number for all; who is blamed by what others were spared has the words of the refusal."""
    account = Account({"c": "8"}, {"2"})
    results = drive(account, work_of((ADD, {"c": ["1"]}), (ADD, {"c": ["2"]}), (ADD, {"c": ["3"]})))
    assert summed(results) == ["0 linked", "1 failed invalid_value", "2 linked"]
    for result in results:
        assert (result.change, result.before) == (7, {"c": ["8"]})
        assert result.changes == {"c": FieldChange(["1", "3"], [])}
        failed = result.status is Status.FAILED
        assert result.http_status == (422 if failed else 200)
        assert result.after == {"c": ["1", "3", "8"]}
        assert not failed or "of feature PRJ1-1 (422: a record is invalid)" in str(result.error)


@pytest.mark.parametrize("status", [403, 404, 405, 413])
def test_another_refusal_is_no_reason_to_search(status: int) -> None:
    """It is not about ids: all jobs of the PUT fail with it."""
    account = Account({"c": "8"})
    work = work_of((ADD, {"c": ["1"]}), (ADD, {"c": ["2"]}))
    answer(account, work, 1)
    work.request(0.0)
    results = list(work.failed(Error(ErrorType.INVALID_VALUE, f"{status}: no"), status, 0.0))
    assert summed(results) == ["0 failed invalid_value", "1 failed invalid_value"]
    assert work.step is None


def test_a_job_that_goes_alone_is_to_blame_without_a_further_put() -> None:
    """Its fields go together or not at all; what others ask of them is so already."""
    account = Account({"a": "7", "b": "8"}, {"2"})
    results = drive(account, work_of((ADD, {"a": ["1"], "b": ["2"]}), (ADD, {"a": ["7"]})))
    assert summed(results) == ["0 failed invalid_value", "1 unchanged"]
    assert len(account.puts) == 1


def test_a_list_that_a_guilty_job_was_to_add_to_is_incomplete() -> None:
    """The account holds what the guilty job asked for there: the list alone would take it away."""
    account = Account({"a": "", "c": ["3", "9"]}, {"2"})
    results = drive(account, work_of((ADD, {"a": ["2"], "c": ["3"]}), (REPLACE, {"c": ["9"]})))
    assert summed(results) == ["0 failed invalid_value", "1 rejected incomplete"]
    assert account.holds == {"a": frozenset(), "c": {"3", "9"}}
    assert len(account.puts) == 1


# --- blind


def test_a_blind_put_that_is_refused_is_read_before_anything_is_tried() -> None:
    """Nobody knows what half of a list would take away; then the search goes on as ever, and undo knows what it did."""
    account = Account({"c": "8"}, {"2"})
    work = work_of(*((REPLACE, {"c": [id]}) for id in "1234"), blind=True)
    answer(account, work, 0)
    assert account.answer(work) == []
    assert work.step is Step.READ
    results = drive(account, work)
    incomplete = "rejected incomplete"
    assert summed(results) == [f"0 {incomplete}", "1 failed invalid_value", f"2 {incomplete}", f"3 {incomplete}"]
    assert account.holds == {"c": {"8"}}


@pytest.mark.parametrize("names", [0, 1])
def test_where_nothing_is_shown_no_part_of_a_list_is_tried(names: int) -> None:
    """Who is named fails, or else all who bring something to that list, which stays; other lists are written."""
    account = Account({"a": "7", "b": "8"}, {"2"}, names=names, shows=False)
    results = drive(account, work_of(*((REPLACE, {"b": [id]}) for id in "123"), (REPLACE, {"a": ["4"]}), blind=True))
    bad = "failed invalid_value"
    others = "rejected incomplete" if names else bad
    assert summed(results) == [f"0 {others}", f"1 {bad}", f"2 {others}", "3 linked"]
    assert account.holds == {"a": {"4"}, "b": {"8"}}
    assert all(result.changes is None for result in results)


def test_an_add_whose_only_list_was_to_blame_fails_where_nothing_is_shown() -> None:
    """There is no list left to add to."""
    account = Account({"a": "7"}, {"2"}, names=1, shows=False)
    results = drive(account, work_of((REPLACE, {"a": ["2"]}), (ADD, {"a": ["3"]}), blind=True))
    assert summed(results) == ["0 failed invalid_value", "1 failed invalid_value"]
    assert account.holds == {"a": {"7"}}


# --- while time goes by


def test_what_a_colleague_adds_during_the_search_stays() -> None:
    """What is a minute old is read again, and the search goes on from what it shows."""
    account = Account({"c": "8"}, {"2"})
    work = work_of(*((ADD, {"c": [id]}) for id in "1234"))
    answer(account, work, 3)  # the read, the whole list, the first half
    account.holds["c"] |= {"9"}
    assert account.answer(work, 100.0) == []
    assert work.step is Step.WRITE
    results: list[Any] = []
    while work.step is not None:
        results += account.answer(work, 101.0)
    assert account.holds == {"c": {"1", "3", "4", "8", "9"}}
    assert summed(results) == ["0 linked", "1 failed invalid_value", "2 linked", "3 linked"]
    assert undone(account.holds, results) == {"c": {"8", "9"}}


def test_what_a_colleague_does_to_a_field_that_is_written_is_no_failure() -> None:
    """Each field goes by the answer to its own PUT; where the target is read again, the list is written again."""
    for now, held in ((0.0, {"1", "9"}), (100.0, {"1"})):
        account = Account({"a": "8", "b": "8"}, {"3"}, names=1)
        work = work_of((REPLACE, {"a": ["1"]}), (ADD, {"b": ["2"]}), (ADD, {"b": ["3"]}))
        answer(account, work, 3)  # the read, both fields, the first field
        account.holds["a"] |= {"9"}
        results: list[Any] = []
        while work.step is not None:
            results += account.answer(work, now)
        assert summed(results) == ["0 linked", "1 linked", "2 failed invalid_value"]
        assert account.holds == {"a": held, "b": {"2", "8"}}


def test_a_put_of_the_search_whose_answer_was_lost_is_seen_to_have_been_taken() -> None:
    """The next read shows it, and it is not sent again."""
    account = Account({"c": "8"}, {"4"})
    work = work_of(*((ADD, {"c": [id]}) for id in "1234"))
    answer(account, work, 2)
    lost = work.request(0.0)
    assert lost is not None
    assert lost.put is not None
    assert sorted(lost.put["c"]) == ["1", "2", "8"]
    account.put(lost.put)
    puts = len(account.puts)
    results: list[Any] = []
    while work.step is not None:
        results += account.answer(work, 100.0)
    assert summed(results) == ["0 linked", "1 linked", "2 linked", "3 failed invalid_value"]
    assert [sorted(put["c"]) for put in account.puts[puts:]] == [["1", "2", "3", "8"]]
    assert [result.changes for result in results] == [{"c": FieldChange(["1", "2", "3"], [])}] * 4


def test_a_target_that_shows_its_links_no_more_ends_the_search() -> None:
    """Its list has shown links, and a GET shows none: what was written by then is linked, the rest fails."""
    account = Account({"a": "", "b": "8"}, {"2"})
    work = work_of((ADD, {"a": ["1"]}), (ADD, {"b": ["2"]}), (ADD, {"b": ["3"]}))
    assert not work.observe(account.holds, 0.0, 0.0)
    answer(account, work, 2)  # both fields, the first field
    account.shows = False
    results = account.answer(work, 100.0)
    assert summed(results) == ["0 linked", "1 failed bad_answer", "2 failed bad_answer"]
    assert work.step is None


def test_an_account_that_breaks_down_during_the_search_fails_only_what_is_not_so_yet() -> None:
    """Each job has one result, those found guilty their own; what was written is told, so that undo takes it back."""
    account = Account({"a": "", "b": "8"}, {"2"}, names=1)
    work = work_of((ADD, {"a": ["1"]}), (ADD, {"a": ["2"]}), (ADD, {"b": ["3"]}), (ADD, {"a": ["4"], "b": ["5"]}))
    answer(account, work, 4)  # the read, both fields, the one, the one without the job that is named
    work.request(0.0)
    results: list[Any] = list(work.failed(DOWN, 503, 0.0))
    assert work.step is None
    assert summed(results) == ["0 linked", "1 failed invalid_value", "2 failed server_error", "3 failed server_error"]
    assert account.holds == {"a": {"1", "4"}, "b": {"8"}}
    assert undone(account.holds, results) == {"a": frozenset(), "b": {"8"}}


def test_a_put_of_the_search_that_shows_nothing_is_read_back() -> None:
    """As any PUT is; the guilty get their results with the others of their change."""
    account = Account({"c": "8"}, {"2"}, names=1)
    work = work_of((ADD, {"c": ["1"]}), (ADD, {"c": ["2"]}))
    answer(account, work, 2)
    account.shows = False
    assert account.answer(work) == []
    assert work.step is Step.CHECK
    account.shows = True
    results = account.answer(work)
    assert summed(results) == ["0 linked", "1 failed invalid_value"]


def test_a_429_is_no_put_that_may_have_arrived() -> None:
    """What is there later, somebody else has put there: unchanged, and not ours to take back."""
    work = work_of((ADD, {"c": ["1"]}))
    account = Account({"c": "8"})
    answer(account, work, 1)
    assert work.request(1.0) is not None
    work.refused()
    account.holds["c"] |= {"1"}
    [result] = account.answer(work, 100.0)
    assert isinstance(result, Result)
    assert (result.status, result.changes) == (Status.UNCHANGED, {})


WHILES = st.sampled_from(["", "", "", "colleague", "lost", "never arrived", "refused"])


@settings(max_examples=500)
@given(
    asked=ASKED,
    holds=HOLDS,
    bad=st.frozensets(IDS, max_size=2),
    names=st.integers(0, 2),
    chatty=st.booleans(),
    whiles=st.lists(WHILES, max_size=25),
    down=st.booleans(),
)
def test_whatever_happens_meanwhile_each_job_has_one_result_and_undo_leaves_the_work_of_others(
    asked: list[Asked],
    holds: dict[str, frozenset[str]],
    bad: frozenset[str],
    names: int,
    chatty: bool,
    whiles: list[str],
    down: bool,
) -> None:
    """Colleagues add, answers are lost, requests never arrive, the rate is refused, and at the end all breaks down."""
    desired = wish_of(asked)
    if desired is None:
        return
    account = Account({field: ids - bad for field, ids in holds.items()}, bad, names=names, chatty=chatty)
    others = dict(account.holds)  # what it holds without our doing
    work = work_of(*asked)
    results: list[Any] = []
    now, lost = 0.0, 0
    for number, happens in enumerate(whiles + [""] * 400):
        if work.step is None:
            break
        if happens == "colleague":
            field = "ab"[number % 2]
            account.holds[field] |= {f"{100 + number}"}
            others[field] |= {f"{100 + number}"}
            now += 100_000.0  # old for any number of looks
        elif happens in ("lost", "never arrived", "refused") and lost < 5:
            request = work.request(now)
            assert request is not None
            if happens == "refused":
                work.refused()
            elif request.put is not None:
                lost += 1
                if happens == "lost" and account.put(request.put) is None:
                    now += 100_000.0  # who sends a list again at once sends it over what others wrote meanwhile
        elif down and number >= len(whiles) and work.step is Step.WRITE:
            assert work.request(now) is not None or work.step is None
            is_put = work.current_request.put is not None
            results += work.failed(DOWN, 503, now) if is_put else account.answer(work, now)
        else:
            results += account.answer(work, now)
    assert work.step is None
    assert sorted(result.job for result in results) == list(range(len(asked)))
    assert undone(account.holds, results) == others
    if not down:
        done = {result.job for result in results if result.status in (Status.LINKED, Status.UNCHANGED)}
        asked_for = formula([job for job in desired.jobs if job.number in done], others)
        for field, ids in account.holds.items():  # a list that stood already may have got something since
            assert {id for id in ids if len(id) < 3} == {id for id in asked_for[field] if len(id) < 3}


def test_a_field_whose_jobs_are_all_rejected_since_is_in_the_changes() -> None:
    """Its list was written before the job to blame was found, so an undo must know what was there."""
    account = Account({"a": "7", "b": "8"}, {"2"}, names=1)
    work = work_of((REPLACE, {"a": ["1"], "b": ["3"]}), (REPLACE, {"a": ["2"]}), (ADD, {"b": ["4"]}))
    results = drive(account, work)
    assert "0 rejected incomplete" in summed(results)
    held = undone(account.holds, [result for result in results if result.change is not None])
    assert held == {"a": {"7"}, "b": {"8"}}
