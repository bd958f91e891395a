"""JSON jobs in all the shapes that programs write: each is read, and a fault costs only what it touches."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from linker import LinkJob, Target
from linker.sources import Entry, Reading, Rejection
from linker.sources.encoding import Text
from linker.sources.jsonl import read_jsonl
from linker.sources.lines import LINE_LIMIT
from linker.text import without_invisible


def job(number: int) -> dict[str, Any]:
    """The job of feature `number` as a job file has it."""
    return {"id": f"PRJ1-{number}", "links": {"customers": [str(number)]}}


def line(number: int) -> str:
    """The same on one line."""
    return json.dumps(job(number))


def read(data: str | bytes) -> list[Entry]:
    """The entries of a file of this text, or these bytes."""
    stream = Text(io.BytesIO(data.encode() if isinstance(data, str) else data), "jobs").stream
    return list(read_jsonl(stream, "jobs", Reading()))


def ids(entries: list[Entry]) -> list[str | None]:
    """The ids of the jobs that were read; None for each rejection."""
    return [str(entry.value.id) if isinstance(entry.value, LinkJob) else None for entry in entries]


def rejections(entries: list[Entry]) -> list[tuple[int, list[str]]]:
    """The lines of the rejections, each with the ids of the targets that it may be meant for."""
    return [(e.line, [target.id for target in e.value.targets]) for e in entries if isinstance(e.value, Rejection)]


INNER = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(0, 2**53), st.text(max_size=6), st.sampled_from(['"},{"id":', "]"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["id", "links", "key", "ä", "]"]), inner, max_size=3),
    ),
    max_leaves=6,
)
NAMES = st.text(min_size=1, max_size=8).filter(lambda text: bool(without_invisible(text).strip()))
RECORDS = st.one_of(st.integers(1, 2**63).map(str), NAMES.map(lambda name: {"name": name}))
JOB = st.builds(
    lambda number, links, rest: {"id": f"PRJ1-{number}", "links": links} | rest,
    st.integers(1, 99),
    st.dictionaries(st.sampled_from(["customers", "contracts"]), st.lists(RECORDS, max_size=3), min_size=1),
    st.one_of(st.just({}), st.fixed_dictionaries({"key": INNER}), st.just({"mode": "add", "kind": "feature"})),
)
GAP = st.sampled_from(["", "\n", " \n\n", "\t"])
INDENT = st.sampled_from([None, 0, 1, 4, "\t"])


@st.composite
def rendered(draw: st.DrawFn, jobs: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Jobs as text in one of the shapes: what stands before each, and the job; at last, what stands at the end."""
    shape = draw(st.sampled_from(["lines", "list", "concatenated", "records"]))
    indent = draw(INDENT)
    separators = draw(st.sampled_from([None, (",", ":"), (" , ", " : ")]))
    is_ascii = draw(st.booleans())
    texts = [json.dumps(each, indent=indent, separators=separators, ensure_ascii=is_ascii) for each in jobs]
    if shape == "list":
        pad = draw(st.sampled_from(["", " ", "    "])) if isinstance(indent, int) and indent > 1 else ""
        texts = [text.replace("\n", f"\n{pad}") for text in texts]
        between = [draw(GAP) + "," + draw(GAP) + pad for _ in texts[1:]]
        parts = list(zip(["[" + draw(GAP) + pad, *between], texts, strict=True))
        return [*parts, (draw(GAP) + "]" + draw(GAP), "")]
    if shape == "lines":
        between = [draw(st.sampled_from(["\n", ",\n", "\n\n"])) for _ in texts[1:]]
        return [*zip(["", *between], texts, strict=True), (draw(st.sampled_from(["", "\n", ",\n"])), "")]
    if shape == "records":
        return [*zip(["\x1e", *["\n\x1e"] * len(texts[1:])], texts, strict=True), ("\n", "")]
    return [*zip([draw(GAP) for _ in texts], texts, strict=True), (draw(GAP), "")]


@given(st.data(), st.lists(st.lists(JOB, min_size=1, max_size=4), min_size=1, max_size=3))
@settings(max_examples=150, deadline=None)
def test_jobs_in_any_shape_are_read_with_the_lines_on_which_they_begin(
    data: st.DataObject, files: list[list[dict[str, Any]]]
) -> None:
    """Lists, pretty print, concatenation, records, any line ends and encoding, several files one after the other."""
    line_end = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    encoding = data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
    text, places = "", []
    for jobs in files:
        text += data.draw(st.sampled_from(["", "\ufeff"])) if encoding.startswith("utf-8") else ""
        for before, job in data.draw(rendered(jobs)):
            text += before
            places.append(text.count("\n") + 1)
            text += job
        places.pop()
        encoding = "utf-16" if text[0] not in "{[" else encoding
        places = []
    entries = read(text.replace("\n", line_end).encode(encoding))
    expected = [LinkJob.parse(job) for jobs in files for job in jobs]
    assert [entry.value for entry in entries] == expected
    assert [entry.line for entry in entries] == (places or [entry.line for entry in entries])


LINES = st.lists(JOB, min_size=3, max_size=3).map(
    lambda jobs: [json.dumps(job | {"id": f"PRJ1-{n}"}, separators=(",", ":")) for n, job in enumerate(jobs, 101)]
)


@given(
    LINES, st.integers(0, 10_000), st.sampled_from(["replace", "insert", "delete"]), st.integers(0, 255), st.booleans()
)
@settings(max_examples=200, deadline=None)
@example([line(n) for n in (101, 102, 103)], 43, "delete", 0, True)
def test_a_fault_at_any_byte_of_a_line_costs_that_line_alone(
    lines: list[str], at: int, what: str, byte: int, is_token: bool
) -> None:
    """The other lines are read. The broken one is read or rejected, for its target or for any if it is illegible."""
    broken = lines[1].encode()
    at %= len(broken)
    new = b'{}[]",:\\\n\r 1'[byte % 12 : byte % 12 + 1] if is_token else bytes([byte])
    broken = broken[:at] + {"replace": new, "insert": new, "delete": b""}[what] + broken[at + (what != "insert") :]
    entries = read(lines[0].encode() + b"\n" + broken + b"\n" + lines[2].encode() + b"\n")
    jobs = [entry.value for entry in entries if isinstance(entry.value, LinkJob)]
    assert LinkJob.parse(json.loads(lines[0])) in jobs
    assert LinkJob.parse(json.loads(lines[2])) in jobs
    others = [entry.value for entry in entries if entry.line not in (1, 3 + (b"\n" in broken))]
    assert others
    id_place = lines[1].encode().index(b'"PRJ1-102"')
    is_in_id = id_place <= at < id_place + 11
    rejected = [value for value in others if isinstance(value, Rejection)]
    if rejected and not is_in_id:
        assert any(each.may_be_anywhere or Target.parse("PRJ1-102") in each.targets for each in rejected)


@given(st.lists(JOB, min_size=2, max_size=4), INDENT, st.integers(1, 10_000))
@settings(max_examples=100, deadline=None)
@example([job(1), job(2) | {"key": [{"id": 0}]}], 1, 3)
@example([job(1), job(2) | {"key": [{"id": 0}]}], 1, 5)
@example([job(1), {"id": "PRJ1-2", "key": [{"a": 1}, {"id": 0}], "links": {"customers": [{"id": "1"}]}}], None, 40)
def test_a_list_that_is_cut_off_anywhere_says_that_jobs_may_be_missing(
    jobs: list[dict[str, Any]], indent: int | str | None, lost: int
) -> None:
    """Whole jobs before the cut are read; what follows it may be for any target."""
    text = json.dumps(jobs, indent=indent)
    entries = read(text[: -1 - (lost - 1) % (len(text) - 1)])
    whole = [entry.value for entry in entries if isinstance(entry.value, LinkJob)]
    assert whole == list(map(LinkJob.parse, jobs))[: len(whole)]
    assert any(isinstance(entry.value, Rejection) and entry.value.may_be_anywhere for entry in entries)


def test_a_list_of_one_job_a_line_is_read() -> None:
    """Each job has its own line; the brackets and commas are no jobs."""
    entries = read(f"[\n{line(1)},\n{line(2)}\n]\n")
    assert [(entry.line, entry.value) for entry in entries] == [
        (2, LinkJob.parse(job(1))),
        (3, LinkJob.parse(job(2))),
    ]


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_line_without_its_end_does_not_swallow_the_next(lost: int) -> None:
    """One to three closing brackets are missing; the target of the line is legible."""
    entries = read(f"{line(1)}\n{line(2)[:-lost]}\n{line(3)}\n")
    assert ids(entries) == ["PRJ1-1", None, "PRJ1-3"]
    assert rejections(entries) == [(2, ["PRJ1-2"])]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"PRJ1-2",', '"PRJ1-2"'),
        ('"2"\n      ]', '"2"\n'),
        ('      ]\n    }\n  },\n  {\n    "id": "PRJ1-3"', '  {"id": "PRJ1-3"'),
    ],
)
def test_a_broken_object_of_a_pretty_printed_list_is_one_rejection(old: str, new: str) -> None:
    """It ends where the next one begins, whatever is missing in it."""
    text = json.dumps([job(1), job(2), job(3)], indent=2)
    assert old in text
    entries = read(text.replace(old, new))
    assert ids(entries) == ["PRJ1-1", None, "PRJ1-3"]
    assert rejections(entries) == [(10, ["PRJ1-2"])]


def test_a_message_says_which_lines_are_meant_and_where_the_fault_is() -> None:
    """The place is that of the comma that is missing."""
    [first, second] = read(json.dumps([job(1), job(2)], indent=2).replace('"PRJ1-1",', '"PRJ1-1"'))
    assert isinstance(first.value, Rejection)
    assert (
        first.value.message
        == "lines 2 to 9 are not JSON: a comma or a closing bracket is missing at column 5 of line 4"
    )
    assert second.line == 10


def test_jobs_that_are_joined_by_a_lost_bracket_stay_apart() -> None:
    """A list inside of the first could hold the second, but that is a job on its own line."""
    entries = read('{"id":"PRJ1-1","links":{"customers":["1"]},"key":[\n' + line(2) + "\n]}\n" + line(3) + "\n")
    assert [id for id in ids(entries) if id] == ["PRJ1-2", "PRJ1-3"]
    assert rejections(entries)[0] == (1, ["PRJ1-1"])


@pytest.mark.parametrize("text", [f"[\n{line(1)},\n", f"[{line(1)}", "["])
def test_a_list_without_an_end_may_lack_any_job(text: str) -> None:
    """The file was cut off between two jobs, which nothing else would show."""
    *_, last = read(text)
    assert isinstance(last.value, Rejection)
    assert last.value.may_be_anywhere
    assert "has no end" in last.value.message


def test_a_list_without_a_beginning_may_lack_any_job() -> None:
    """Somebody kept the last lines of a file."""
    *_, last = read(f"{line(1)},\n{line(2)}\n]\n")
    assert rejections([last]) == [(3, [])]


def test_text_between_two_jobs_of_a_line_costs_both() -> None:
    """Where one ends and the other begins is not sure, so both lists wait."""
    assert rejections(read(f"{line(1)} x {line(2)}\n{line(3)}\n")) == [(1, ["PRJ1-1", "PRJ1-2"])]


def test_a_broken_job_of_a_long_line_costs_itself() -> None:
    """The next job of a list on one line is read."""
    entries = read(f"[{line(1)}, {line(2)[:-2]}, {line(3)}, {line(4)}]".replace('["2"]', '["2" "3"]'))
    assert ids(entries)[-1] == "PRJ1-4"
    assert "PRJ1-2" in rejections(entries)[0][1]


def test_a_list_on_one_line_is_read_a_little_at_a_time() -> None:
    """Only one job has to fit into memory, not the line."""
    value = job(1) | {"links": {"customers": [str(10**17 + number) for number in range(1000)]}}
    data = ("[" + ",".join([json.dumps(value)] * 300) + "]").encode()
    tracemalloc.start()
    try:
        count = sum(isinstance(entry.value, LinkJob) for entry in read_jsonl(io.BytesIO(data), "jobs", Reading()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 300
    assert len(data) > 5 * LINE_LIMIT
    assert peak < 5 * LINE_LIMIT


@pytest.mark.parametrize("indent", [None, 1])
def test_a_job_over_the_limit_tells_its_target_if_that_stands_first(indent: int | None) -> None:
    """Printed over many lines or on one; the next job is read."""
    records = [str(10**17 + number) for number in range(60_000)]
    entries = read(json.dumps({"id": "PRJ1-1", "links": {"a": records}}, indent=indent) + "\n" + line(2))
    assert ids(entries) == [None, "PRJ1-2"]
    assert rejections(entries) == [(1, ["PRJ1-1"])]
    [first, second] = read(json.dumps({"links": {"a": 2 * records}, "id": "PRJ1-1"}, indent=indent) + "\n" + line(2))
    assert isinstance(first.value, Rejection)
    assert first.value.may_be_anywhere
    assert second.value == LinkJob.parse(job(2))


@pytest.mark.parametrize(
    "data",
    [b'{"a":[\n' * 10_000, (b'{"a":[\n' + b"1,1,1,\n" * 9) * 500, b'{"a":' + b"\n" * 300_000, b"}" + b"," * 300_000],
    ids=["nested", "nested with lines between", "blank", "commas"],
)
def test_reading_takes_linear_time(data: bytes) -> None:
    """Input made to be read again and again is read a few times at most: else this would take hours."""
    assert read(data)
