"""Job lines: whatever a file holds, each line that is not blank becomes one entry that knows its place."""

import codecs
import io
import tracemalloc

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from linker import LinkJob, Mode, Result, Status, Target
from linker.batch.batch import Batch
from linker.sources import Entry, Reading, Rejection
from linker.sources.jsonl import read_jsonl
from linker.sources.lines import LINE_LIMIT

GOOD = b'{"id":"PRJ1-1","links":{"customers":["640362830"]}}'
JOB = LinkJob("PRJ1-1", {"customers": ["640362830"]})


def read(data: bytes) -> list[Entry]:
    """The entries of a file that holds these bytes."""
    return list(read_jsonl(io.BytesIO(data), "links.jsonl", Reading()))


def rejection(line: bytes) -> Rejection:
    """Why a line is no job."""
    [entry] = read(line)
    assert isinstance(entry.value, Rejection)
    assert (entry.source, entry.line) == ("links.jsonl", 1)
    return entry.value


def result(entry: Entry) -> Result:
    """What the results file would hold of an entry that went through the batch."""
    if isinstance(entry.value, Rejection):
        return Result.unread(0, entry, entry.value)
    batch = Batch(Mode.REPLACE)
    batch.add(0, entry.source, entry.line, entry.value)
    [(desired, _)] = batch.desired_states()
    assert desired is not None
    return Result.of(desired.jobs[0], Status.LINKED)


def test_a_line_becomes_a_job_that_knows_where_it_stands() -> None:
    """An entry holds its file's name and its line, from 1."""
    assert read(GOOD + b"\n" + GOOD + b"\n") == [Entry("links.jsonl", 1, JOB), Entry("links.jsonl", 2, JOB)]


@pytest.mark.parametrize("data", [GOOD, codecs.BOM_UTF8 + GOOD, GOOD + b"\r\n", b" \t" + GOOD + b" ", b"\n\r\n" + GOOD])
def test_a_bom_windows_line_ends_blank_lines_and_a_missing_last_line_end_do_not_matter(data: bytes) -> None:
    """The job is the same whichever program wrote the file."""
    [entry] = read(data)
    assert entry.value == JOB
    assert entry.line == data[: data.index(GOOD)].count(b"\n") + 1


@pytest.mark.parametrize("data", [b"", b"\n\n", b"  \n\t\r\n ", codecs.BOM_UTF8, codecs.BOM_UTF8 + b"\r\n"])
def test_a_file_of_nothing_holds_no_jobs(data: bytes) -> None:
    """Empty and blank files are read without an entry."""
    assert read(data) == []


@pytest.mark.parametrize(
    "line", [b"{", b"}", b'{"id":"PRJ1-1",}', b"{'id':1}", b"NaN", b'{"id":"PRJ1', b"id,field", b"\0"]
)
def test_broken_json_is_rejected_with_its_column(line: bytes) -> None:
    """The message says that it is the JSON, and where."""
    assert rejection(line).message.startswith("the line is not JSON: ")
    assert " at column " in rejection(line).message


def test_a_line_that_is_not_utf8_is_rejected_with_the_byte() -> None:
    """The first byte that does not fit is named, so that it can be found."""
    line = '{"id":"PRJ1-1","key":"Zürich"}'.encode("latin-1")
    advice = "save the file as UTF-8, or give its encoding with --encoding"
    assert rejection(line).message == f"the line is not UTF-8: byte 24 is 0xfc; {advice}"


def test_a_line_over_a_megabyte_is_rejected_and_the_next_is_read() -> None:
    """A line too long costs itself only, with and without a line end, and the count of lines goes on."""
    long = b'{"id":"PRJ1-1","key":"' + b"x" * (3 * LINE_LIMIT) + b'"}'
    first, second, third = read(long + b"\n" + GOOD + b"\n" + long)
    assert isinstance(first.value, Rejection)
    assert first.value.message == "the line is longer than 1,000,000 bytes; split its row in two"
    assert second == Entry("links.jsonl", 2, JOB)
    assert third == Entry("links.jsonl", 3, first.value)


def test_a_line_of_any_length_takes_no_more_memory_than_the_limit() -> None:
    """A file without line ends is not read whole to find out that it is none."""
    stream = io.BytesIO(b"\n" + b'"' * (30 * LINE_LIMIT))
    tracemalloc.start()
    try:
        [entry] = read_jsonl(stream, "links.jsonl", Reading())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(entry.value, Rejection)
    assert peak < 5 * LINE_LIMIT


def test_a_line_of_just_under_a_megabyte_is_a_job() -> None:
    """The longest line that is allowed is read whole: 50,000 ids on one field."""
    ids = [str(10**16 + number) for number in range(49_000)]
    line = orjson.dumps({"id": "PRJ1-1", "links": {"customers": ids}})
    assert LINE_LIMIT - 50_000 < len(line) < LINE_LIMIT
    [entry] = read(line)
    assert entry.value == LinkJob("PRJ1-1", {"customers": ids})


def test_integers_are_exact_up_to_64_bits_and_refused_beyond() -> None:
    """The parser makes a float of a longer integer; it is refused with the remedy, and not rounded."""
    [entry] = read(b'{"id":"PRJ1-1","links":{"customers":[18446744073709551615, 9007199254740993]}}')
    assert entry.value == LinkJob("PRJ1-1", {"customers": ["9007199254740993", "18446744073709551615"]})
    refused = rejection(b'{"id":"PRJ1-1","links":{"customers":[18446744073709551616]}}')
    assert "has lost its last digits (in a spreadsheet, or above 2^64): write it as a string" in refused.message
    assert refused.links is None
    refused = rejection(b'{"id":18446744073709551616,"kind":"idea","links":{"customers":["1"]}}')
    assert "above 2^64" in refused.message


def test_a_long_id_as_a_string_is_exact() -> None:
    """5,000 digits arrive as 5,000 digits."""
    [entry] = read(b'{"id":"PRJ1-1","links":{"customers":["' + b"7036045937" * 500 + b'"]}}')
    assert isinstance(entry.value, LinkJob)
    assert entry.value.links == {"customers": ("7036045937" * 500,)}


def test_an_unknown_key_is_rejected_with_all_that_the_line_still_tells() -> None:
    """The rejection keeps target, mode and key, and may have had a part in any field."""
    refused = rejection(b'{"id":"prj1-1","lnks":{"customers":["1"]},"mode":"add","key":["k"]}')
    assert refused.message == 'key "lnks" is unknown; did you mean "links"?'
    assert refused.targets == (Target.parse("PRJ1-1"),)
    assert refused.fields is None
    assert (refused.kind, refused.id, refused.mode, refused.links, refused.key) == (
        "feature",
        "PRJ1-1",
        "add",
        None,
        ["k"],
    )


def test_a_bad_id_in_one_field_costs_the_whole_line_and_tells_its_fields() -> None:
    """A rejected line knows in which lists it would have had a part."""
    refused = rejection(b'{"id":"PRJ1-1","links":{"a":["1"],"b":["x"]}}')
    assert refused.fields == frozenset({"a", "b"})
    assert refused.targets == (Target.parse("PRJ1-1"),)


def test_a_misspelt_field_may_have_meant_any() -> None:
    """Where a field's name cannot be one, the line may have had a part in every list of its target."""
    refused = rejection(b'{"id":"PRJ1-1","links":{" customers":["1"]}}')
    assert refused.targets == (Target.parse("PRJ1-1"),)
    assert refused.fields is None


@pytest.mark.parametrize("kind", ["featre", "idea"])
def test_a_bad_kind_beside_a_good_reference_number_does_not_hide_the_target(kind: str) -> None:
    """The reference number tells whose list lacks this line, and the result shows what was written."""
    refused = rejection(orjson.dumps({"id": "prj1-1", "kind": kind, "links": {"customers": ["1"]}}))
    assert refused.targets == (Target.parse("PRJ1-1"),)
    assert (refused.kind, refused.id) == (kind, "prj1-1")


@pytest.mark.parametrize("depth", [200, *range(248, 258), 300, 1000, 100_000])
def test_lists_nested_ever_so_deep_do_not_end_the_run(depth: int) -> None:
    """Wherever they stand in a line, it is rejected or a job that can be written to the results."""
    nested = b"[" * depth + b"]" * depth
    for line in (
        nested,
        b'{"id":' + nested + b',"links":{"a":["1"]}}',
        b'{"id":"PRJ1-1","links":{"a":' + nested + b"}}",
        b'{"id":"PRJ1-1","links":{"a":["1"]},"key":' + nested + b"}",
        b'{"id":"PRJ1-1","links":{"a":["x"]},"key":' + nested + b"}",
    ):
        [entry] = read(line)
        assert result(entry).to_json()
        assert isinstance(entry.value, Rejection) or depth < 255


TOKENS = st.sampled_from(
    [
        b"\n",
        b"\r\n",
        b" ",
        b"\xef\xbb\xbf",
        b"\xff",
        b"\0",
        b'"',
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b",",
        b"1e999",
        b"-1",
        GOOD,
        b'"id"',
        b'"links"',
        b'"kind"',
        b'"mode"',
        b'"key"',
        b'"PRJ1-1"',
        b"[]",
        b"{}",
        b"null",
        b"12",
    ]
)


@given(st.one_of(st.binary(max_size=200), st.lists(TOKENS, max_size=60).map(b"".join)))
@example(codecs.BOM_UTF8 * 2)
@example(codecs.BOM_UTF8 + b" \n" + codecs.BOM_UTF8 + GOOD)
@example(b"[" + GOOD + b"\n]\n]\n")
@settings(max_examples=500)
def test_whatever_bytes_a_file_holds_no_job_is_lost(data: bytes) -> None:
    """Nothing raises, each line that is a job is read, and only separators yield no entry."""
    entries = read(data)
    assert all(isinstance(entry.value, LinkJob | Rejection) for entry in entries)
    lines = data.removeprefix(codecs.BOM_UTF8).split(b"\n")
    jobs = [number for number, line in enumerate(lines, 1) if line.strip() == GOOD]
    assert [entry.line for entry in entries if entry.value == JOB and entry.line in jobs] == jobs
    if not entries:
        assert not data.replace(codecs.BOM_UTF8, b"").translate(None, b" \t\r\n\v\f,[]\x1e\x1a") or data[:1] == b"\0"


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["id", "links", "kind", "mode", "key", "customers", "x"]), inner, max_size=5),
    ),
    max_leaves=15,
)


@given(st.lists(JSON, max_size=5))
@settings(max_examples=200)
def test_whatever_json_a_line_holds_it_yields_an_entry(values: list[object]) -> None:
    """Any value of any shape is a job or a rejection that says something and can be written to the results."""
    data = b"\n".join(map(orjson.dumps, values))
    entries = read(data)
    assert {entry.line for entry in entries} == {number for number, value in enumerate(values, 1) if value != []}
    for entry in entries:
        assert result(entry).to_json()
        assert isinstance(entry.value, LinkJob) or entry.value.message
