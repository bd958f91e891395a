"""A work whose `before` grows old, a PUT whose answer is lost, and a plan that never writes; without a server."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linker import Error, ErrorType, LinkJob, Mode, Planned, Result, Status
from linker.api.answers import Answer, Listed
from linker.api.lists import Listing
from linker.api.visibility import Visibility
from linker.batch.batch import Batch
from linker.batch.change import FieldChange, Intent
from linker.batch.placeholder import place_of
from linker.model.target import Kind
from linker.work.attempts import PageSeen, Step
from linker.work.work import Work

LOST = Error(ErrorType.TIMEOUT, "no answer within 30 s (tried 6 times); try again later", retryable=True)


def work_of(*asked: tuple[str, str], dry: bool = False, blind: bool = False, id: str = "PRJ1-1") -> Work:
    """`work_of(("add", "1 2"))`: the work of jobs on one field, whose reads may be a minute old."""
    batch = Batch(Mode.REPLACE)
    for number, (mode, ids) in enumerate(asked):
        batch.add(number, "f", number + 1, LinkJob(id, {"c": ids.split()}, mode=mode))
    [(desired, _)] = batch.desired_states()
    assert desired is not None
    return Work(desired, Visibility(), max_age_s=60.0, number_change=count(7).__next__, blind=blind, dry=dry)


def shows(ids: str, at: float = 0.0) -> Answer:
    """An answer to a request that left at that time, in which the field holds these."""
    return Answer(200, Listed(links={"c": frozenset(ids.split())}), sent_at=at)


def step(work: Work, now: float) -> str:
    """What is sent now: `GET`, `PUT 1 2`, or nothing."""
    request = work.request(now)
    if request is None:
        return "nothing"
    put = "" if request.put is None else " " + " ".join(sorted(request.put["c"]))
    return request.method + put


def test_what_is_a_minute_old_is_read_again_before_it_is_written() -> None:
    """A colleague's edit made meanwhile is in the list that is put."""
    work = work_of(("add", "1"))
    assert step(work, 0.0) == "GET"
    assert not work.answered(shows("8", at=0.0), 0.2)
    assert step(work, 60.1) == "GET"
    assert not work.answered(shows("8 9", at=60.1), 60.3)
    assert step(work, 100.0) == "PUT 1 8 9"
    [result] = work.answered(shows("1 8 9"), 100.2)
    assert isinstance(result, Result)
    assert (result.status, result.before, result.attempts) == (Status.LINKED, {"c": ["8", "9"]}, 1)
    assert result.changes == {"c": FieldChange(["1"], [])}


def test_what_is_fresh_is_written_at_once() -> None:
    """One read, one PUT."""
    work = work_of(("add", "1"))
    work.request(0.0)
    work.answered(shows("8", at=0.0), 0.2)
    assert step(work, 59.9) == "PUT 1 8"


def test_what_somebody_else_did_meanwhile_is_not_sent() -> None:
    """The second look shows it: unchanged, and no number is used up for a change."""
    work = work_of(("add", "1"))
    work.request(0.0)
    work.answered(shows("", at=0.0), 0.2)
    work.request(100.0)
    [result] = work.answered(shows("1", at=100.0), 100.2)
    assert isinstance(result, Result)
    assert (result.status, result.change, work.step) == (Status.UNCHANGED, None, None)


def test_a_put_that_fails_for_ever_is_not_tried_for_ever() -> None:
    """Its tries are counted through all the reads in between."""
    work = work_of(("add", "1"))
    now = 0.0
    puts = 0
    for _ in range(12):
        if step(work, now) == "GET":
            work.answered(shows("8", at=now), now)
        else:
            puts += 1
            assert work.attempt == puts
            now += 61.0
    assert puts == 6


def test_a_put_whose_answer_was_lost_is_linked_when_it_is_seen_to_be_there() -> None:
    """The delta is that of the PUT, and what somebody else added since is not in it."""
    work = work_of(("add", "1"), ("remove", "8"))
    work.request(0.0)
    work.answered(shows("8 9", at=0.0), 0.2)
    assert step(work, 1.0) == "PUT 1 9"
    assert step(work, 100.0) == "GET"
    results: list[Any] = list(work.answered(shows("1 9", at=100.0), 100.2))
    assert [result.status for result in results] == [Status.LINKED, Status.LINKED]
    assert {result.change for result in results} == {7}
    assert results[0].changes == {"c": FieldChange(["1"], ["8"])}
    assert (results[0].before, results[0].attempts) == ({"c": ["8", "9"]}, 1)


def test_a_put_that_did_not_arrive_is_planned_anew() -> None:
    """What is there now counts, and the PUT goes again."""
    work = work_of(("add", "1"))
    work.request(0.0)
    work.answered(shows("8", at=0.0), 0.2)
    assert step(work, 1.0) == "PUT 1 8"
    assert step(work, 100.0) == "GET"
    assert not work.answered(shows("9", at=100.0), 100.2)
    assert step(work, 100.3) == "PUT 1 9"
    [result] = work.answered(shows("1 9"), 100.4)
    assert isinstance(result, Result)
    assert (result.before, result.attempts) == ({"c": ["9"]}, 2)


def test_what_somebody_else_did_between_a_lost_put_and_the_next_is_not_ours() -> None:
    """The first PUT arrived, a colleague added 5, a replace takes it out again: both puts' delta, and 5 as removed."""
    work = work_of(("replace", "1 2"))
    work.request(0.0)
    work.answered(shows("8", at=0.0), 0.2)
    assert step(work, 1.0) == "PUT 1 2"
    assert step(work, 100.0) == "GET"
    assert not work.answered(shows("1 2 5", at=100.0), 100.2)
    assert work.pending.removals == 1
    assert step(work, 100.3) == "PUT 1 2"
    [result] = work.answered(shows("1 2"), 100.4)
    assert isinstance(result, Result)
    assert result.before == {"c": ["5", "8"]}
    assert result.changes == {"c": FieldChange(["1", "2"], ["5", "8"])}


def test_works_of_one_page_wait_for_another_look_at_it() -> None:
    """Who waits with others sends nothing; who is the last of the page reads by itself."""
    page: PageSeen[Work] = PageSeen(Listing(Kind.FEATURE).page(1))
    works = [work_of(("add", "1"), id=f"PRJ1-{number}") for number in range(1, 4)]
    for work in works:
        assert not work.observe({"c": frozenset({"8"})}, 0.0, 0.0)
        work.page = page
        page.unsent.add(work)
    first, second, third = works
    assert step(first, 10.0) == "PUT 1 8"
    assert len(page.unsent) == 2
    assert step(second, 61.0) == "nothing"
    assert second.is_old(61.0)
    assert not second.observe({"c": frozenset({"9"})}, 61.0, 61.2)
    assert step(second, 61.3) == "PUT 1 9"
    assert page.unsent == {third}
    assert step(third, 61.4) == "GET"
    assert page.unsent == set()


def test_looks_for_one_put_count_for_longer_and_longer() -> None:
    """A turn that takes for ever ends in a PUT all the same, and not in reading for ever."""
    work = work_of(("add", "1"))
    work.request(0.0)
    work.answered(shows("8", at=0.0), 0.2)
    now = 0.0
    sent: list[str] = []
    while not sent or sent[-1] == "GET":
        now += 200.0
        sent.append(step(work, now))
        if sent[-1] == "GET":
            assert not work.answered(shows("8", at=now), now)
    assert sent == ["GET", "GET", "PUT 1 8"]


def test_what_was_read_for_a_put_lets_it_go_first() -> None:
    """As what is tried again does; what is new waits in line."""
    work = work_of(("add", "1"))
    assert not work.goes_first
    work.request(0.0)
    assert work.goes_first
    work.answered(shows("8", at=0.0), 0.2)
    assert work.goes_first
    listed = work_of(("add", "1"))
    listed.observe({"c": frozenset()}, 0.0, 0.0)
    assert not listed.goes_first


@pytest.mark.parametrize("held", ["", "1", "8"])
def test_a_dry_work_tells_what_it_would_do_and_ends(held: str) -> None:
    """The change and its jobs, whatever the target holds."""
    work = work_of(("add", "1"), ("remove", "8"), dry=True)
    work.request(0.0)
    [planned] = work.answered(shows(held), 0.0)
    assert isinstance(planned, Planned)
    assert planned.change.after == {"c": {"1"} | set(held.split()) - {"8"}}
    assert [job.number for job in planned.jobs] == [0, 1]
    assert work.step is None


IDS = st.lists(st.sampled_from("123"), max_size=2).map(" ".join)
ANSWERS = st.lists(st.one_of(IDS.map(shows), st.just(Answer(200)), st.none()), max_size=6)


@settings(max_examples=300)
@given(
    asked=st.lists(st.tuples(st.sampled_from(["replace", "add"]), IDS), min_size=1, max_size=3),
    blind=st.booleans(),
    answers=ANSWERS,
)
def test_a_dry_work_never_writes(asked: list[tuple[str, str]], blind: bool, answers: list[Answer | None]) -> None:
    """Whatever is answered: reads alone, blind or not, and each job is planned, failed or rejected once."""
    work = work_of(*asked, dry=True, blind=blind)
    outcomes: list[Any] = []
    for answer in [*answers, None]:
        if work.step is None:
            break
        request = work.request(0.0)
        assert request is not None
        assert request.put is None
        assert work.step is Step.READ
        outcomes += work.failed(LOST, None, 0.0) if answer is None else work.answered(answer, 0.0)
    numbers = [
        number
        for outcome in outcomes
        for number in ([job.number for job in outcome.jobs] if isinstance(outcome, Planned) else [outcome.job])
    ]
    assert sorted(numbers) == list(range(len(asked)))


def test_a_record_that_was_never_made_is_no_change() -> None:
    """After a kill: what the last PUT had done is seen, a further name has no record yet, and then nothing answers."""
    batch = Batch(Mode.REPLACE)
    job = LinkJob("PRJ1-1", {"c": ["1"]}, mode="add")
    batch.add(0, "f", 1, job.resolved({"c": ["1", place_of("Newcomer")]}))
    [(desired, _)] = batch.desired_states()
    assert desired is not None
    put = {"c": frozenset({"1"})}
    intent = Intent(desired.target, put, before={"c": frozenset()})
    work = Work(desired, Visibility(), max_age_s=60.0, number_change=count(7).__next__, open_intent=intent)
    assert step(work, 0.0) == "GET"
    assert not work.answered(shows("1"), 0.2)
    assert work.pending.new == {"c": ["Newcomer"]}
    assert step(work, 100.0) == "GET"
    [result] = work.failed(LOST, None, 130.0)
    assert isinstance(result, Result)
    assert result.status is Status.FAILED
    assert b"+Newcomer" not in result.to_json()
