"""Whatever answers come, in whatever order: each job gets one result, and the account is what was asked."""

from itertools import count
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from linker import Error, ErrorType, LinkJob, Mode, Result, Status
from linker.api.answers import Answer, Listed
from linker.api.visibility import Visibility
from linker.batch.batch import Batch
from linker.batch.merge import DesiredState, Job
from linker.model.job import Links
from linker.work.attempts import Step
from linker.work.work import Work

FIELDS = ["a", "b", "c"]
IDS = st.frozensets(st.sampled_from("123"))
JOBS = st.lists(
    st.tuples(st.sampled_from(Mode), st.dictionaries(st.sampled_from(FIELDS), IDS, min_size=1)), min_size=1, max_size=4
)
GONE = Error(ErrorType.NOT_FOUND, "gone")


def wish_of(jobs: list[tuple[Mode, dict[str, frozenset[str]]]]) -> DesiredState | None:
    """What is left of random jobs of one target once their conflicts are rejected."""
    batch = Batch(Mode.REPLACE)
    for number, (mode, links) in enumerate(jobs):
        batch.add(
            number, "f", number + 1, LinkJob("PRJ1-1", {field: [*ids] for field, ids in links.items()}, mode=mode)
        )
    [(desired, _)] = batch.desired_states()
    return desired


ANSWER = st.one_of(
    st.just(Answer(200)),
    st.dictionaries(st.sampled_from(FIELDS), IDS).map(lambda links: Answer(200, Listed(links=links))),
    st.none(),
)


@given(JOBS, st.booleans(), st.booleans(), st.lists(ANSWER, min_size=9, max_size=9))
@settings(max_examples=600)
def test_every_job_gets_one_result_whatever_is_answered(
    jobs: list[tuple[Mode, dict[str, frozenset[str]]]], blind: bool, is_pioneer: bool, answers: list[Answer | None]
) -> None:
    """A read, a PUT and three looks, the last two once more for a clear, lead to one result a job, the last step's."""
    desired = wish_of(jobs)
    if desired is None:
        return
    number = count(7).__next__
    work = Work(desired, Visibility(), max_age_s=60.0, blind=blind, is_pioneer=is_pioneer, number_change=number)
    results: list[Any] = []
    steps: list[Step] = []
    for answer in answers:
        if work.step is None:
            break
        steps.append(work.step)
        assert (work.current_request.method == "PUT") == (work.step is Step.WRITE)
        assert work.step is not Step.WRITE or work.current_request.put
        assert work.request(0.0) is not None
        results += work.failed(GONE, 404, 1.0) if answer is None else work.answered(answer, 1.0)
    assert work.step is None
    assert steps.count(Step.READ) <= 1
    assert steps.count(Step.WRITE) <= 2
    assert sorted(result.job for result in results) == [job.number for job in desired.jobs]
    wrote = Step.WRITE in steps
    for result in results:
        assert (result.status in (Status.FAILED, Status.REJECTED)) == (result.error is not None)
        if result.change is not None:
            assert (result.change, wrote) == (7, True)
        elif result.status is not Status.UNCHANGED:
            assert not wrote or bad_read(result)
        assert result.changes is None or result.before is not None or is_pioneer or result.is_presumed
        assert result.to_json()


def bad_read(result: Result) -> bool:
    """Whether a job failed because no read showed its list."""
    return result.error is not None and result.error.type in (ErrorType.BAD_ANSWER, ErrorType.INCOMPLETE)


class Account:
    """A target that does what it is told, and shows its links only where `shown` says so.

    `missing`: where it holds none, an answer leaves the links out.
    """

    def __init__(self, holds: Links, shown: set[Step], *, missing: bool) -> None:
        self.holds = dict(holds)
        self.shown = shown
        self.missing = missing
        self.puts = 0

    def answer(self, work: Work) -> Answer:
        """The answer to what a work asks now."""
        assert work.step is not None
        wanted = work.current_request.put
        if wanted is not None:
            self.puts += 1
            self.holds |= wanted
        held = {field: ids for field, ids in self.holds.items() if ids}
        is_shown = work.step in self.shown and (held or not self.missing)
        return Answer(200, Listed(links=held if is_shown else None))


def asked_for(jobs: list[Job], field: str, holds: frozenset[str]) -> set[str]:
    """What a field holds once just these jobs are done: the design's formula."""
    lists: dict[Mode, list[set[str]]] = {mode: [] for mode in Mode}
    for job in jobs:
        if field in job.links:
            lists[job.mode].append(set(job.links[field]))
    base = set().union(*lists[Mode.REPLACE]) if lists[Mode.REPLACE] else set(holds)
    return base.union(*lists[Mode.ADD]).difference(*lists[Mode.REMOVE])


@given(
    JOBS,
    st.booleans(),
    st.fixed_dictionaries(dict.fromkeys(FIELDS, IDS)),
    st.sets(st.sampled_from([Step.READ, Step.WRITE, Step.CHECK])),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=1000)
def test_an_account_that_does_as_told_holds_what_was_asked(
    jobs: list[tuple[Mode, dict[str, frozenset[str]]]],
    blind: bool,
    holds: Links,
    shown: set[Step],
    missing: bool,
    is_pioneer: bool,
) -> None:
    """Whichever answers show links: what is linked or unchanged is so, the rest is not touched, in one PUT at most.

    But for a pioneer whose GETs hide what it holds: its adds are written on trust, and then fail or have no `before`.
    """
    desired = wish_of(jobs)
    if desired is None:
        return
    if Step.READ in shown:  # both are GETs of the same target
        shown = shown | {Step.CHECK}
    is_on_trust = is_pioneer and Step.READ not in shown
    account = Account(holds, shown, missing=missing)
    number = count().__next__
    work = Work(desired, Visibility(), max_age_s=60.0, blind=blind, is_pioneer=is_pioneer, number_change=number)
    results: list[Any] = []
    while work.step is not None:
        assert work.request(0.0) is not None
        results += work.answered(account.answer(work), 0.0)
    done = {result.job for result in results if result.status in (Status.LINKED, Status.UNCHANGED)}
    by_number = {job.number: job for job in desired.jobs}
    assert account.puts <= 1
    for result in results:
        assert result.before is None or not is_on_trust or Step.CHECK in shown
    if is_on_trust or any(result.is_presumed for result in results):
        return  # nothing has shown what the target held
    for field in FIELDS:
        assert account.holds[field] == asked_for([by_number[number] for number in done], field, holds[field])
    if Step.READ in shown and (not missing or any(holds.values())):
        assert len(done) == len(desired.jobs)
        if not (blind and not desired.needs_before):
            assert account.puts == (account.holds != holds)
    check_lines(results, account, holds, by_number)


def check_lines(results: list[Any], account: Account, holds: Links, by_number: dict[int, Job]) -> None:
    """What the results tell is so."""
    for result in results:
        if result.after is not None:
            assert result.after == {field: sorted(account.holds[field]) for field in result.after}
            assert by_number[result.job].links.keys() <= result.after.keys()
        if result.before is not None:
            assert result.before == {field: sorted(holds[field]) for field in result.before}
            assert by_number[result.job].links.keys() <= result.before.keys()
        for field, did in (result.changes or {}).items():
            assert holds[field] - set(did.removed) | set(did.added) == account.holds[field]
