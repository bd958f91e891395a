"""Many jobs become one desired state per target: the batch compared with a slow and plain formula, and its memory."""

import random
import re
import tracemalloc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linker import ErrorType, LinkJob, Mode, Target
from linker.batch.batch import Batch
from linker.batch.merge import DesiredLinks, DesiredState, Dropped, Job

TARGETS = [Target.parse("PRJ1-1"), Target.parse("PRJ1-2")]
FIELDS = ["a", "b", "c"]
IDS = ["1", "2", "3"]

# --- the formula, slowly


@dataclass(frozen=True, eq=False)
class Line:
    """A line of input: a job, or one that is lost before the batch (`mode` None) with the fields it may have had."""

    number: int
    target: Target
    mode: Mode | None
    links: Mapping[str, Sequence[str]] | None

    def shares(self, other: "Line") -> bool:
        """Whether both belong, or may belong, to one list."""
        if self.target != other.target:
            return False
        return self.links is None or other.links is None or not self.links.keys().isdisjoint(other.links)

    def clashes(self, other: "Line") -> bool:
        """Whether one adds what the other removes."""
        if self.target != other.target or self.mode is None or other.mode is None:
            return False
        if (self.mode is Mode.REMOVE) == (other.mode is Mode.REMOVE):
            return False
        assert self.links is not None
        assert other.links is not None
        return any(set(ids) & set(other.links.get(field, ())) for field, ids in self.links.items())


def conflicts_of(lines: Sequence[Line]) -> set[Line]:
    """The lines that conflict with another."""
    return {line for line in lines if any(line.clashes(other) for other in lines)}


def incomplete_of(lines: Sequence[Line]) -> set[Line]:
    """The lines whose list would be incomplete, to the end of the chain."""
    dead = conflicts_of(lines) | {line for line in lines if line.mode is None}
    while more := {
        line for line in lines if line.mode is Mode.REPLACE and line not in dead and any(map(line.shares, dead))
    }:
        dead |= more
    return {line for line in dead if line.mode is not None} - conflicts_of(lines)


def after_of(lines: Iterable[Line], field: str, before: frozenset[str]) -> frozenset[str]:
    """What a field is to hold once these lines of its target are done."""
    by_mode: dict[Mode | None, list[set[str]]] = {mode: [] for mode in (*Mode, None)}
    for line in lines:
        if line.links is not None and field in line.links:
            by_mode[line.mode].append(set(line.links[field]))
    base = set().union(*by_mode[Mode.REPLACE]) if by_mode[Mode.REPLACE] else set(before)
    return frozenset(base.union(*by_mode[Mode.ADD]).difference(*by_mode[Mode.REMOVE]))


LINKS = st.dictionaries(
    st.sampled_from(FIELDS), st.lists(st.sampled_from(IDS), max_size=2, unique=True), min_size=1, max_size=2
)
LINE = st.one_of(
    st.tuples(st.sampled_from(TARGETS), st.sampled_from(Mode), LINKS),
    st.tuples(st.sampled_from(TARGETS), st.sampled_from(Mode), LINKS),
    st.tuples(st.sampled_from(TARGETS), st.just(Mode.REPLACE), LINKS),
    st.tuples(st.sampled_from(TARGETS), st.none(), st.one_of(st.none(), LINKS)),
)


class LineFile(list[Line]):
    """Some lines, numbered."""

    def __init__(self, drawn: Iterable[tuple[Target, Mode | None, Mapping[str, Sequence[str]] | None]]) -> None:
        super().__init__(Line(number, *each) for number, each in enumerate(drawn))


BEFORE = st.dictionaries(st.sampled_from(FIELDS), st.frozensets(st.sampled_from(IDS))).map(
    lambda links: {field: links.get(field, frozenset()) for field in FIELDS}
)


def place(line: Line) -> str:
    """The source and line of a job."""
    return f"{'even' if line.number % 2 == 0 else 'odd'}.jsonl line {line.number + 1}"


def batch_of(lines: Iterable[Line]) -> Batch:
    """The batch of some lines, from two files."""
    batch = Batch(Mode.REPLACE)
    for line in lines:
        source, number = place(line).split(" line ")
        if line.mode is None:
            batch.add_dropped(line.target, Dropped(place(line), line.links))
        else:
            assert line.links is not None
            job = LinkJob(line.target.id, line.links, line.target.kind, line.mode, key=line.number)
            batch.add(line.number, source, int(number), job)
    return batch


@given(st.lists(LINE, max_size=7).map(LineFile), BEFORE, st.randoms(use_true_random=False))
@settings(max_examples=400)
def test_a_batch_comes_to_what_the_formula_says_in_any_order(
    lines: LineFile, before: dict[str, frozenset[str]], chance: random.Random
) -> None:
    """Conflicts, incomplete lists and the new list of each field follow the plain formula, in any order of lines."""
    shuffled = [*lines]
    chance.shuffle(shuffled)
    desired_states = list(batch_of(shuffled).desired_states())
    rejected = {job.number: error.type for _, rejects in desired_states for job, error in rejects}
    dead = dict.fromkeys((line.number for line in conflicts_of(lines)), ErrorType.CONFLICT)
    dead |= dict.fromkeys((line.number for line in incomplete_of(lines)), ErrorType.INCOMPLETE)
    assert rejected == dead
    kept = [line for line in lines if line.mode is not None and line.number not in dead]
    assert {desired.target: {job.number for job in desired.jobs} for desired, _ in desired_states if desired} == {
        target: {line.number for line in kept if line.target == target} for target in {line.target for line in kept}
    }
    for desired, _ in desired_states:
        if desired is not None:
            mine = [line for line in kept if line.target == desired.target]
            assert set(desired.fields) == {field for line in mine for field in line.links or ()}
            for field, links in desired.fields.items():
                assert links.after(before[field]) == after_of(mine, field, before[field])
                known = links.replace is not None
                assert (field not in desired.needs_before) == known
                assert links.after(None) == (after_of(mine, field, frozenset()) if known else None)


@given(st.lists(LINE, max_size=8).map(LineFile))
@settings(max_examples=250)
def test_half_a_list_is_never_sent(lines: LineFile) -> None:
    """A list is replaced only if every line that belongs or may belong to it is in it."""
    for desired, _ in batch_of(lines).desired_states():
        for field, links in desired.fields.items() if desired else ():
            if links.replace is not None:
                assert desired is not None
                parts = [
                    line for line in lines if line.target == desired.target and (not line.links or field in line.links)
                ]
                assert all(line.mode is not None and line.links is not None for line in parts)
                replacing = [line for line in parts if line.mode is Mode.REPLACE]
                assert links.replace == {id for line in replacing for id in (line.links or {})[field]}


@given(st.lists(LINE, max_size=7).map(LineFile))
@settings(max_examples=300)
def test_every_rejection_names_the_line_that_is_to_blame(lines: LineFile) -> None:
    """A conflict names the line that contradicts it; an incomplete list names a line that is missing from it."""
    by_place = {place(line): line for line in lines}
    for _, rejects in batch_of(lines).desired_states():
        lost = [line for line in lines if line.mode is None or line.number in {job.number for job, _ in rejects}]
        for job, error in rejects:
            me = lines[job.number]
            if error.type is ErrorType.CONFLICT:
                found = re.fullmatch(
                    r"this row (links|removes) record (\d) in (\w), but (.*) (links|removes) it; correct .*",
                    error.message,
                )
                assert found is not None
                mine, id, field, where, verb = found.groups()
                assert (mine == "removes") == (me.mode is Mode.REMOVE)
                other = by_place[where]
                assert other.clashes(me)
                assert (verb == "removes") == (other.mode is Mode.REMOVE)
                assert id in (me.links or {})[field]
                assert id in (other.links or {})[field]
            else:
                where, _, said = error.message.removeprefix("the list was not replaced, because ").partition(
                    " belongs "
                )
                assert said == "to it and could not be used; correct that row, then run again"
                assert by_place[where] in lost
                assert by_place[where] is not me
                assert by_place[where].shares(me)


# --- by example


def settled(
    *jobs: LinkJob, lost: Sequence[Dropped] = (), mode: Mode = Mode.REPLACE
) -> tuple[DesiredState | None, list[str]]:
    """The desired state of the jobs of one target, and its rejections as `number type`."""
    batch = Batch(mode)
    for number, job in enumerate(jobs):
        batch.add(number, "f", number + 1, job)
    for loss in lost:
        batch.add_dropped(jobs[0].target, loss)
    [(desired, rejected)] = batch.desired_states()
    return desired, [f"{job.number} {error.type}" for job, error in rejected]


def job(mode: str | None, **links: str) -> LinkJob:
    """`job("add", a="1 2")`."""
    return LinkJob("PRJ1-1", {field: ids.split() for field, ids in links.items()}, mode=mode)


def test_jobs_of_one_target_become_one_wish() -> None:
    """Replace lists are united, adds and removes stay apart, and all fields come together."""
    desired, rejected = settled(
        job("replace", a="1 2"), job("add", a="3", b="4"), job("remove", a="5"), job("replace", a="2 6")
    )
    assert rejected == []
    assert desired is not None
    assert desired.fields == {
        "a": DesiredLinks(frozenset("126"), frozenset("3"), frozenset("5")),
        "b": DesiredLinks(None, frozenset("4")),
    }
    assert desired.needs_before == {"b"}
    assert desired.fields["a"].after(frozenset("789")) == frozenset("1236")
    assert desired.fields["b"].after(frozenset("789")) == frozenset("4789")
    assert DesiredLinks(None, frozenset("1"), frozenset("1")).after(frozenset()) == frozenset()


def test_a_job_without_a_mode_takes_the_runs() -> None:
    """`--mode add` applies to jobs without a mode, and to no others."""
    desired, _ = settled(job(None, a="1"), job("remove", a="2"), mode=Mode.ADD)
    assert desired is not None
    assert desired.fields == {"a": DesiredLinks(None, frozenset("1"), frozenset("2"))}


def test_removing_what_is_not_replaced_in_is_no_conflict() -> None:
    """Only an id that one job adds and another removes is a conflict."""
    desired, rejected = settled(job("replace", a="1"), job("remove", a="2"))
    assert rejected == []
    assert desired is not None


def test_a_clear_and_a_replace_add_up() -> None:
    """An empty list does not contradict another part of the list."""
    desired, rejected = settled(job("replace", a=""), job("replace", a="1"))
    assert rejected == []
    assert desired is not None
    assert desired.fields["a"].after(None) == frozenset("1")


def test_a_conflict_takes_the_lists_with_it_from_field_to_field() -> None:
    """An incomplete list makes the job's other field incomplete, and so on; adds are not affected."""
    desired, rejected = settled(
        job("add", a="1"),
        job("remove", a="1"),
        job("replace", a="2", b="2"),
        job("replace", b="3", c="3"),
        job("replace", c="4"),
        job("add", c="5"),
        job("replace", d="6"),
    )
    assert rejected == ["0 conflict", "1 conflict", "2 incomplete", "3 incomplete", "4 incomplete"]
    assert desired is not None
    assert desired.fields == {"c": DesiredLinks(None, frozenset("5")), "d": DesiredLinks(frozenset("6"))}


def test_a_rejected_line_takes_the_lists_of_its_fields_with_it() -> None:
    """A rejected line makes the lists of its fields incomplete, or all of its target if they are unknown."""
    jobs = job("replace", a="1"), job("replace", b="2"), job("add", a="3")
    desired, rejected = settled(*jobs, lost=[Dropped("f line 9", {"a"})])
    assert rejected == ["0 incomplete"]
    assert desired is not None
    assert desired.fields == {"a": DesiredLinks(None, frozenset("3")), "b": DesiredLinks(frozenset("2"))}
    desired, rejected = settled(*jobs, lost=[Dropped("f line 9", None)])
    assert rejected == ["0 incomplete", "1 incomplete"]
    desired, rejected = settled(*jobs[:2], lost=[Dropped("f line 9", None)])
    assert desired is None


def test_a_rejected_line_of_another_target_costs_nothing() -> None:
    """It makes no list of this target incomplete."""
    batch = Batch(Mode.REPLACE)
    batch.add(0, "f", 1, job("replace", a="1"))
    batch.add_dropped(Target.parse("PRJ1-2"), Dropped("f line 2", None))
    [(desired, rejected)] = batch.desired_states()
    assert desired is not None
    assert rejected == []


@pytest.mark.parametrize("key", ["crm-17", 17, None, 1.5, ["a", {"b": None}]])
def test_a_job_comes_out_of_the_batch_as_it_went_in(key: object) -> None:
    """Number, file, line, target, mode, ids of any length and the key survive the packing."""
    long = "7036045937" * 500
    batch = Batch(Mode.REPLACE)
    batch.add(7, "a b.jsonl", 12, LinkJob("prj1-r-1", {"b": [long, "2"], "a": []}, mode="add", key=key))
    batch.add(8, "-", 1, LinkJob("PRJ1-R-1", {"b": ["3"]}, mode="add"))
    batch.add(9, "a b.jsonl", 13, LinkJob("PRJ1-R-1", {"b": ["3"]}, mode="add"))
    assert (batch.jobs, batch.targets) == (3, 1)
    [(desired, _)] = batch.desired_states()
    assert desired is not None
    first, second, third = desired.jobs
    assert (first.number, first.place, first.target) == (7, "a b.jsonl line 12", Target.parse("PRJ1-R-1"))
    assert (first.mode, first.key) == (Mode.ADD, key)
    assert {field: list(ids) for field, ids in first.links.items()} == {"b": ["2", long], "a": []}
    assert (second.place, third.place) == ("- line 1", "a b.jsonl line 13")


def test_targets_come_in_the_order_in_which_they_were_named() -> None:
    """A run goes through a file from its top."""
    batch = Batch(Mode.REPLACE)
    for number, id in enumerate(["PRJ1-3", "PRJ1-1", "PRJ1-2", "PRJ1-1"]):
        batch.add(number, "f", number + 1, LinkJob(id, {"a": ["1"]}))
    assert [desired.target.id for desired, _ in batch.desired_states() if desired] == ["PRJ1-3", "PRJ1-1", "PRJ1-2"]


# --- what it costs


def many(jobs: int, jobs_a_target: int) -> Iterator[LinkJob]:
    """Jobs as they come out of a customer database."""
    for number in range(jobs):
        id = str(7036045937940700101 + number)
        yield LinkJob(f"PRJ1-{number // jobs_a_target}", {"customers": [id]}, "feature", key="crm-17")


@pytest.mark.parametrize("jobs_a_target", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_a_job_costs_at_most_600_bytes(jobs_a_target: int) -> None:
    """Measured over 50,000 jobs, each on its own target and ten on one."""
    jobs = 50_000
    tracemalloc.start()
    try:
        batch = Batch(Mode.REPLACE)
        for number, job in enumerate(many(jobs, jobs_a_target)):
            batch.add(number, "links.jsonl", number + 1, job)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert batch.targets == jobs // jobs_a_target
    assert size / jobs <= 600


def test_a_batch_is_emptied_as_it_is_gone_through() -> None:
    """A target that was taken out is no longer in the batch; the count of targets stays."""
    batch = Batch(Mode.REPLACE)
    for number, job in enumerate(many(30, 10)):
        batch.add(number, "links.jsonl", number + 1, job)
    first, again = list(batch.desired_states()), list(batch.desired_states())
    assert again == []
    assert batch.targets == 3
    assert [len(desired.jobs) for desired, _ in first if desired] == [10, 10, 10]
    assert all(isinstance(job, Job) for desired, _ in first if desired for job in desired.jobs)
