"""One target's way from wish to results, answer by answer, without a server."""

from itertools import count
from typing import Any

import orjson
import pytest

from linker import Error, ErrorType, Kind, LinkJob, Mode, Result, Status
from linker.api.answers import Answer, Listed
from linker.api.answers import Page as ListPage
from linker.api.lists import Listing, PageRequest
from linker.api.requests import ReadRequest, Request
from linker.api.visibility import Endpoint, Visibility
from linker.batch.batch import Batch
from linker.batch.change import FieldChange
from linker.batch.merge import DesiredState
from linker.work.attempts import Step
from linker.work.work import Work

GONE = Error(ErrorType.NOT_FOUND, "404: Record not found")
SLIM = "/api/v1/features/PRJ1-1?fields=custom_object_links,reference_num,id"


def job(mode: str = "replace", **links: str) -> LinkJob:
    """`job("add", a="1 2")`."""
    return LinkJob("PRJ1-1", {field: ids.split() for field, ids in links.items()}, mode=mode)


def wish_of(*jobs: LinkJob) -> DesiredState:
    """What some jobs of one target come to."""
    batch = Batch(Mode.REPLACE)
    for number, each in enumerate(jobs):
        batch.add(number, "f", number + 1, each)
    [(desired, rejected)] = batch.desired_states()
    assert desired is not None
    assert rejected == []
    return desired


def work_of(*jobs: LinkJob, blind: bool = False, is_pioneer: bool = False, seen: Visibility | None = None) -> Work:
    """The work of some jobs of one target, whose change would be number 7, where nothing is known of the answers."""
    number = count(7).__next__
    return Work(
        wish_of(*jobs), seen or Visibility(), max_age_s=60.0, blind=blind, number_change=number, is_pioneer=is_pioneer
    )


def proved(*endpoints: Endpoint) -> Visibility:
    """What a run knows once these have shown the links of a feature."""
    seen = Visibility()
    for endpoint in endpoints:
        seen.observe(Kind.FEATURE, endpoint, Listed(links={"a": frozenset("1")}))
    return seen


def unseen() -> Visibility:
    """What a run knows once it has written links to a feature, and no answer shows them."""
    seen = Visibility()
    seen.conclude_unseen(Kind.FEATURE)
    return seen


def shows(status: int = 200, **links: str) -> Answer:
    """`shows(a="1 2")`: an answer in which the target holds these."""
    return Answer(status, Listed(links={field: frozenset(ids.split()) for field, ids in links.items()}))


HIDES = Answer(200)
"""An answer that shows no links."""


def answered(work: Work, answer: Answer, now: float) -> list[Any]:
    """What an answer settles."""
    return list(work.answered(answer, now))


def failed(work: Work, error: Error, status: int | None, now: float) -> list[Any]:
    """What a failure settles."""
    return list(work.failed(error, status, now))


def tried(work: Work, times: int) -> None:
    """Let the request in hand have been sent so often."""
    while work.attempt < times:
        assert work.request(0.0) is not None


def answer(work: Work, *answers: Answer | Error) -> list[Any]:
    """The results of the last answer, which is the first that has any."""
    results: list[Any] = []
    for each in answers:
        assert results == []
        tried(work, work.attempt + 1)
        results = failed(work, each, 404, 0.0) if isinstance(each, Error) else answered(work, each, 0.0)
    return results


def asked(request: Request | PageRequest | ReadRequest) -> tuple[str, str, Any]:
    """A request as the account gets it."""
    return request.method, request.path, orjson.loads(request.body) if request.body else None


def put(**links: list[str]) -> tuple[str, str, Any]:
    """The one PUT of a target."""
    return "PUT", SLIM, {"feature": {"custom_object_links": links}}


def summed(results: list[Result]) -> list[str]:
    """Results as `number status` or `number status type`."""
    return [f"{each.job} {each.status}" + (f" {each.error.type}" if each.error else "") for each in results]


# --- reading and writing


def test_a_target_is_read_and_written_and_its_job_is_linked() -> None:
    """The result shows before and after, the change and what it did, and the time since the first request."""
    work = work_of(job(customers="3 20 100"))
    assert asked(work.current_request) == ("GET", SLIM, None)
    tried(work, 1)
    work.sent_at = 10.0
    assert answered(work, shows(customers="100 7", other="1"), 10.1) == []
    assert asked(work.current_request) == put(customers=["3", "20", "100"])
    tried(work, 3)
    [result] = answered(work, shows(201, customers="3 20 100", other="1"), 10.1824)
    assert work.step is None
    assert result == Result(
        job=0,
        line=1,
        source="f",
        key=None,
        kind="feature",
        id="PRJ1-1",
        mode="replace",
        links={"customers": ["3", "20", "100"]},
        status=Status.LINKED,
        before={"customers": ["7", "100"]},
        after={"customers": ["3", "20", "100"]},
        change=7,
        changes={"customers": FieldChange(added=["3", "20"], removed=["7"])},
        http_status=201,
        attempts=3,
        finished_at=result.finished_at,
        elapsed_ms=182.4,
    )


@pytest.mark.parametrize("each", [job(a="1 2", b=""), job("add", a="1"), job("add", a=""), job("remove", a="3", b="1")])
def test_what_is_so_already_costs_no_put(each: LinkJob) -> None:
    """The job is unchanged by the read: its status, no attempt, no change."""
    [result] = answer(work := work_of(each), shows(203, a="1 2"))
    assert work.step is None
    assert (result.status, result.http_status, result.attempts) == (Status.UNCHANGED, 203, 0)
    assert (result.change, result.changes, result.error) == (None, {}, None)
    assert result.before == result.after == {field: ["1", "2"] if field == "a" else [] for field in each.links}


def test_only_the_fields_that_change_are_put() -> None:
    """A job whose links are in place is done by the read; the others share what the PUT did to all their fields."""
    work = work_of(job(a="1"), job("add", b="2", c="3"), job("add", c="4"))
    [first] = answer(work, shows(a="1", b="2"))
    assert summed([first]) == ["0 unchanged"]
    assert asked(work.current_request) == put(c=["3", "4"])
    second, third = answer(work, shows(a="1", b="2", c="3 4"))
    assert summed([second, third]) == ["1 linked", "2 linked"]
    assert second.changes == {"b": FieldChange([], []), "c": FieldChange(["3", "4"], [])}
    assert second.before == {"b": ["2"], "c": []}
    assert (third.before, third.after, third.changes) == (second.before, second.after, second.changes)


def test_the_jobs_of_one_put_share_its_number_and_what_it_did() -> None:
    """Three jobs of one field go with one change, which each tells as a whole; the next target's is the next."""
    number = count().__next__
    first, second, third = (
        Work(wish_of(job(a=ids)), Visibility(), max_age_s=60.0, blind=False, number_change=number)
        for ids in ("1", "2", "3")
    )
    assert summed(answer(first, shows(a="1"))) == ["0 unchanged"]
    assert [result.change for result in answer(second, shows(), shows(a="2"))] == [0]
    assert [result.change for result in answer(third, shows(), shows(a="3"))] == [1]
    work = work_of(job(a="1"), job("add", a="2"), job("remove", a="9"))
    results = answer(work, shows(a="9"), shows(a="1 2"))
    assert summed(results) == ["0 linked", "1 linked", "2 linked"]
    assert {result.change for result in results} == {7}
    assert [result.changes for result in results] == [{"a": FieldChange(["1", "2"], ["9"])}] * 3


# --- where the links are not shown


def test_a_missing_key_means_none_once_a_get_has_shown_links() -> None:
    """Then an add is planned on an empty list, in one GET and one PUT."""
    work = work_of(job("add", a="2"), seen=proved(Endpoint.READ))
    assert answer(work, HIDES) == []
    assert asked(work.current_request) == put(a=["2"])
    [result] = answer(work, shows(a="2"))
    assert (result.status, result.before, result.after) == (Status.LINKED, {"a": []}, {"a": ["2"]})


@pytest.mark.parametrize("shown_by", [Endpoint.LIST, Endpoint.WRITE])
def test_what_another_endpoint_has_shown_proves_nothing_of_a_get(shown_by: Endpoint) -> None:
    """A list may show what single answers leave out: nothing is added to a list that nobody sees."""
    [result] = answer(work_of(job("add", a="2"), seen=proved(shown_by)), HIDES)
    assert summed([result]) == ["0 failed bad_answer"]


def test_what_an_unseen_product_asks_for_is_what_a_replace_says() -> None:
    """A replace goes on where a kind shows nothing: before, after and changes are null, and nothing is read back."""
    work = work_of(job(a="1", b=""), job("add", a="2"), job("remove", a="3"), seen=unseen())
    assert answer(work, HIDES) == []
    assert asked(work.current_request) == put(a=["1", "2"], b=[])
    results = answer(work, HIDES)
    assert summed(results) == ["0 linked", "1 linked", "2 linked"]
    for result in results:
        assert (result.before, result.after, result.changes, result.change) == (None, None, None, 7)
        assert result.unseen


def test_a_put_may_show_what_a_read_hid() -> None:
    """Where only the PUT's answer shows links, it is believed, for and against."""
    [result] = answer(work_of(job(a="1"), seen=unseen()), HIDES, shows(a="1"))
    assert (result.status, result.before, result.after, result.changes) == (Status.LINKED, None, {"a": ["1"]}, None)
    [result] = answer(work_of(job(a="1"), seen=unseen()), HIDES, shows(a="2"))
    assert summed([result]) == ["0 failed not_applied"]


def test_what_needs_a_list_that_is_not_shown_fails() -> None:
    """An add without a list to work on is a bad answer's failure, may be tried again, and costs no PUT."""
    work = work_of(job("add", a="1"))
    assert work.attempt == 0
    tried(work, 4)
    [result] = answered(work, Answer(203), 0.0)
    assert summed([result]) == ["0 failed bad_answer"]
    assert (result.http_status, result.attempts, result.error.retryable) == (203, 4, True)
    assert (result.before, result.after, result.change, result.changes) == (None, None, None, None)
    assert work.step is None


@pytest.mark.parametrize("each", [job("remove", a="1"), job(a="")])
def test_where_no_links_are_shown_there_are_none_to_take_away(each: LinkJob) -> None:
    """A removal is unchanged, and its result says that it has seen nothing: before and after are null."""
    [result] = answer(work_of(each), HIDES)
    assert summed([result]) == ["0 unchanged"]
    assert (result.before, result.after, result.is_presumed) == (None, None, True)


def test_a_removal_fails_where_links_are_hidden() -> None:
    """What was written before is shown by nothing: then that nothing is shown does not mean that nothing is there."""
    assert summed(answer(work_of(job("remove", a="1"), seen=unseen()), HIDES)) == ["0 failed bad_answer"]
    work = work_of(job(a=""), seen=unseen())
    assert answer(work, HIDES) == []
    assert asked(work.current_request) == put(a=[])


def test_a_failed_add_takes_its_replace_siblings_with_it() -> None:
    """Half a list is not sent: what shares a field is incomplete, and an add left without its list fails too."""
    work = work_of(
        job("add", a="1", b="1"),
        job(b="2", c="2"),
        job("add", c="3"),
        job(d="4"),
        job("add", d="5"),
        seen=unseen(),
    )
    results = answer(work, HIDES)
    assert sorted(summed(results)) == ["0 failed bad_answer", "1 rejected incomplete", "2 failed bad_answer"]
    [incomplete] = [result for result in results if result.job == 1]
    assert incomplete.error is not None
    assert incomplete.error.message.startswith("the list was not replaced, because f line 1 belongs to it")
    assert asked(work.current_request) == put(d=["4", "5"])
    assert summed(answer(work, HIDES)) == ["3 linked", "4 linked"]


@pytest.mark.parametrize("fields", [{"a"}, {""}])
def test_links_in_a_form_that_cannot_be_read_fail_the_jobs_that_name_the_field(fields: set[str]) -> None:
    """They may be the field's own; what nobody names does no harm, and repeats no PUT."""
    odd = Answer(200, Listed(links={"b": frozenset("2")}, unreadable=frozenset(fields)))
    [result] = answer(work_of(job("add", a="1")), odd)
    assert summed([result]) == ["0 failed bad_answer"]
    work = work_of(job("add", b="1"))
    assert answer(work, odd) == []
    both = Answer(200, Listed(links={"b": frozenset("12")}, unreadable=frozenset(fields)))
    assert summed(answer(work, both)) == ["0 linked"]


# --- the pioneer, the first target of a kind


def test_a_pioneer_is_read_written_and_read_back() -> None:
    """Its GET shows links after the PUT, so before it the missing key meant none; now all others can go on."""
    seen = Visibility()
    work = work_of(job("add", a="1"), is_pioneer=True, seen=seen)
    assert answer(work, HIDES) == []
    assert asked(work.current_request) == put(a=["1"])
    assert answer(work, shows(a="1")) == []
    assert (asked(work.current_request), work.wait_s) == (("GET", SLIM, None), 0.0)
    [result] = answer(work, shows(a="1"))
    assert (result.status, result.before, result.after) == (Status.LINKED, {"a": []}, {"a": ["1"]})
    assert seen.is_proved(Kind.FEATURE, Endpoint.READ)


def test_a_pioneer_that_holds_links_needs_no_proof() -> None:
    """Its first GET shows links: that is the proof, and nothing is read back."""
    work = work_of(job("add", a="1"), is_pioneer=True)
    assert answer(work, shows(a="2")) == []
    assert summed(answer(work, shows(a="1 2"))) == ["0 linked"]


def test_a_pioneer_that_nothing_shows_is_looked_at_three_times() -> None:
    """After 0, 2 and 8 seconds; an add fails then and may be tried again, with the changes that were asked for."""
    work = work_of(job("add", a="1"), is_pioneer=True)
    assert answer(work, HIDES, HIDES) == []
    waits = []
    results: list[Any] = []
    while work.step is not None:
        waits.append((work.step, work.wait_s))
        results = answer(work, HIDES)
    assert waits == [(Step.CHECK, 0.0), (Step.CHECK, 2.0), (Step.CHECK, 6.0), (Step.LAYOUT, 0.0)]
    [result] = results
    assert summed([result]) == ["0 failed not_applied"]
    assert (result.before, result.after, result.error.retryable) == (None, None, True)
    assert result.changes == {"a": FieldChange(["1"], [])}


def test_a_pioneer_with_a_whole_list_that_nothing_shows_is_linked_unseen() -> None:
    """It holds the list whatever it held before; its line has no before, and the changes that were asked for."""
    [result] = answer(work_of(job(a="1"), is_pioneer=True), *[HIDES] * 5, GONE)
    assert (summed([result]), result.unseen) == (["0 linked"], True)
    assert (result.before, result.changes) == (None, {"a": FieldChange(["1"], [])})


def test_a_pioneer_whose_layout_lacks_the_field_fails_and_says_so() -> None:
    """The account ignores the field there: it is not linked, and it proves nothing."""
    work = work_of(job(a="1"), is_pioneer=True)
    assert answer(work, *[HIDES] * 5) == []
    layouts = [{"screenable_type": "Feature", "custom_field_definitions": [{"key": "b"}]}]
    [result] = answer(work, Answer(200, value={"product": {"screen_definitions": layouts}}))
    assert summed([result]) == ["0 failed not_applied"]
    assert "the field is not on the layout of the workspace" in result.error.message
    assert work.is_off_layout


def test_a_pioneer_that_only_its_put_shows_has_no_before() -> None:
    """GETs hide what it held, so the list that was added to may have been another one."""
    [result] = answer(work_of(job("add", a="1"), is_pioneer=True), HIDES, shows(a="1"), HIDES, HIDES, HIDES)
    assert (result.status, result.before, result.after) == (Status.LINKED, None, {"a": ["1"]})


# --- blind


def test_blind_a_replace_is_put_at_once() -> None:
    """Nothing is read before, so neither before nor changes are known; the answer shows the after."""
    work = work_of(job(a="1"), job("add", a="2"), blind=True)
    assert asked(work.current_request) == put(a=["1", "2"])
    results = answer(work, shows(a="1 2"))
    assert summed(results) == ["0 linked", "1 linked"]
    assert [(result.before, result.after, result.changes, result.change) for result in results] == [
        (None, {"a": ["1", "2"]}, None, 7)
    ] * 2


def test_blind_an_add_is_read_all_the_same() -> None:
    """A target with one field that needs its list is read as ever."""
    work = work_of(job(a="1"), job("remove", b="2"), blind=True)
    assert work.step is Step.READ
    assert answer(work, shows(b="2 3")) == []
    assert asked(work.current_request) == put(a=["1"], b=["3"])


# --- reading back


def test_a_put_that_shows_nothing_is_read_back() -> None:
    """A GET after it shows the links, and the result tells of the PUT, not of the GET."""
    work = work_of(job(a="1"))
    tried(work, 1)
    assert answered(work, shows(a="2"), 0.0) == []
    tried(work, 3)
    assert answered(work, Answer(204), 0.0) == []
    assert asked(work.current_request) == ("GET", SLIM, None)
    tried(work, 2)
    [result] = answered(work, shows(a="1"), 0.0)
    assert (result.status, result.after, result.http_status, result.attempts) == (Status.LINKED, {"a": ["1"]}, 204, 3)
    assert result.changes == {"a": FieldChange(["1"], ["2"])}


@pytest.mark.parametrize("late", [0, 1, 2])
def test_an_answer_that_is_behind_is_followed_by_looks(late: int) -> None:
    """The answer to a PUT may show links as they were; GETs after 0, 2 and 8 s show what has become of it."""
    work = work_of(job("add", a="1"))
    assert answer(work, shows(a="2"), shows(a="2"), *[shows(a="2")] * late) == []
    assert (work.step, work.wait_s) == (Step.CHECK, (0.0, 2.0, 6.0)[late])
    [result] = answer(work, shows(a="1 2"))
    assert summed([result]) == ["0 linked"]


def test_a_put_that_its_page_alone_can_show_is_read_back_there() -> None:
    """Where lists have shown links and GETs have not, the page that showed the target is read again."""
    seen, page = proved(Endpoint.LIST), Listing(Kind.FEATURE).page(2)
    work = Work(wish_of(job(a="")), seen, max_age_s=60.0, number_change=count(7).__next__, page=page)
    assert not work.observe({"a": frozenset("1")}, 0.0, 0.0)
    assert answer(work, HIDES) == []
    assert work.current_request == page
    items = (Listed("77", "PRJ1-7", {"a": frozenset("1")}), Listed("78", "PRJ1-1", None))
    [result] = answer(work, Answer(200, page=ListPage(items)))
    assert (summed([result]), result.after) == (["0 linked"], {"a": []})


def test_a_put_that_nothing_shows_any_more_fails_and_may_be_tried_again() -> None:
    """The target showed links before: `linked` is what was seen there, so this is not, and what was asked is told."""
    work = work_of(job(a="1"))
    assert answer(work, shows(a="2"), Answer(202)) == []
    [result] = answer(work, GONE)
    assert work.step is None
    assert summed([result]) == ["0 failed not_applied"]
    assert (result.after, result.http_status, result.attempts, result.error.retryable) == (None, 202, 1, True)
    assert result.changes == {"a": FieldChange(["1"], ["2"])}


@pytest.mark.parametrize("reads", [[HIDES, HIDES, HIDES], [GONE], [HIDES, GONE]])
def test_a_blind_put_that_nothing_shows_is_linked_unseen(reads: list[Answer | Error]) -> None:
    """Nothing was known before, and neither answer nor read-back shows it: after is null, and it is no failure."""
    work = work_of(job(a="1"), blind=True)
    assert answer(work, Answer(202)) == []
    [result] = answer(work, *reads)
    assert (result.status, result.after, result.http_status, result.attempts) == (Status.LINKED, None, 202, 1)
    assert (result.unseen, result.changes) == (True, None)


def test_a_read_back_that_shows_something_else_is_a_failure() -> None:
    """The PUT's own status stands in the result, what the account holds, and what was asked: it may still come."""
    [result] = answer(work_of(job(a="1")), shows(a="2"), HIDES, *[shows(a="2")] * 3)
    assert summed([result]) == ["0 failed not_applied"]
    assert (result.after, result.http_status, result.changes) == ({"a": ["2"]}, 200, {"a": FieldChange(["1"], ["2"])})


def test_a_clear_that_was_ignored_is_sent_once_more_as_a_blank() -> None:
    """Some accounts take `[""]` and ignore `[]`; what works is remembered for the run, either way."""
    seen = Visibility()
    work = work_of(job(a=""), seen=seen)
    assert answer(work, *[shows(a="2")] * 5) == []
    assert asked(work.current_request) == put(a=[""])
    [result] = answer(work, shows(b="1"))
    assert summed([result]) == ["0 linked"]
    assert seen.clears_with_blank is True
    work = work_of(job(a="", b="1"), seen=seen)
    assert answer(work, shows(a="2")) == []
    request = work.request(0.0)
    assert request is not None
    assert asked(request) == put(a=[""], b=["1"])
    seen = Visibility()
    assert summed(answer(work_of(job(a=""), seen=seen), shows(a="2"), shows(b="1"))) == ["0 linked"]
    assert seen.clears_with_blank is False
    [result] = answer(work_of(job(a=""), seen=seen), *[shows(a="2")] * 5)
    assert summed([result]) == ["0 failed not_applied"]


def test_a_clear_that_was_ignored_while_another_taught_the_blank_is_sent_again() -> None:
    """It had left as `[]` before it was known that `[""]` works."""
    seen = Visibility()
    work = work_of(job(a=""), seen=seen)
    assert answer(work, *[shows(a="2")] * 2) == []
    seen.clears_with_blank = True
    assert answer(work, *[shows(a="2")] * 3) == []
    assert asked(work.current_request) == put(a=[""])
    assert summed(answer(work, shows(b="1"))) == ["0 linked"]


# --- not applied


@pytest.mark.parametrize(
    ("mode", "asked_for", "shown", "status"),
    [
        ("replace", "1", "1", "linked"),
        ("replace", "1", "", "failed"),
        ("replace", "1", "1 8", "failed"),
        ("replace", "", "8", "failed"),
        ("add", "1", "1 8", "linked"),
        ("add", "1", "1", "linked"),
        ("add", "1 2", "2 8", "failed"),
        ("remove", "8", "9", "linked"),
        ("remove", "8", "", "linked"),
        ("remove", "8", "8 9", "failed"),
    ],
)
def test_a_job_is_held_against_what_it_asked(mode: str, asked_for: str, shown: str, status: str) -> None:
    """A replace wants exactly its list, an add its ids among others, a remove its ids gone."""
    looks = 0 if status == "linked" else 3
    seen = proved(Endpoint.READ)
    seen.clears_with_blank = False
    [result] = answer(work_of(job(mode, a=asked_for), seen=seen), shows(a="8 9"), *[shows(a=shown)] * (1 + looks))
    assert summed([result]) == [f"0 {status}" + (" not_applied" if status == "failed" else "")]
    assert result.after == {"a": shown.split()}


def test_one_job_of_a_put_may_fail_without_the_others() -> None:
    """A field that was dropped in silence costs the jobs that name it; a field left out is empty."""
    after = shows(a="1", c="3")
    results = answer(work_of(job(a="1"), job(b="2", c="3"), job("remove", b="9")), shows(b="9"), *[after] * 4)
    assert summed(results) == ["0 linked", "1 failed not_applied", "2 linked"]
    assert results[1].error == Error(
        ErrorType.NOT_APPLIED,
        "the account answered 200, but b of feature PRJ1-1 does not have the links that the row asks for",
    )
    assert results[1].after == {"a": ["1"], "b": [], "c": ["3"]}
    for result in results:
        assert result.changes == {
            "a": FieldChange(["1"], []),
            "b": FieldChange([], ["9"]),
            "c": FieldChange(["3"], []),
        }


# --- failures


def test_a_read_that_fails_fails_all_jobs_of_its_target() -> None:
    """Nothing was written, so there is no change; the read's status and attempts tell why."""
    results = answer(work := work_of(job(a="1"), job("add", b="2")), GONE)
    assert work.step is None
    assert summed(results) == ["0 failed not_found", "1 failed not_found"]
    for result in results:
        assert (result.error, result.http_status, result.attempts) == (GONE, 404, 1)
        assert (result.before, result.after, result.change, result.changes) == (None, None, None, None)


def test_a_write_that_fails_fails_the_jobs_that_are_left() -> None:
    """What was so already stays unchanged; whether the PUT arrived is not known, so changes says what was asked."""
    work = work_of(job(a="1"), job("add", b="2"))
    assert summed(answer(work, shows(a="1", b="3"))) == ["0 unchanged"]
    tried(work, 6)
    [result] = failed(work, Error(ErrorType.TIMEOUT, "no answer", retryable=True), None, 0.0)
    assert summed([result]) == ["1 failed timeout"]
    assert (result.before, result.after, result.change) == ({"b": ["3"]}, None, 7)
    assert result.changes == {"b": FieldChange(["2"], [])}
    assert (result.http_status, result.attempts) == (None, 6)
    assert work.step is None
