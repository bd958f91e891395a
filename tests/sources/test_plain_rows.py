"""Rows whose cells need no correction are read on a short path, which must agree with the full reading of a row.

A `;` at the end of the cell of ids changes nothing of what the cell means, but keeps the row from the short path.
"""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from linker import LinkJob
from linker.sources import Reading, Rejection
from linker.sources.csv import read_table
from linker.sources.jsonl import read_jsonl

IDS = st.from_regex(r"[1-9][0-9]{0,18}(;[1-9][0-9]{0,18}){0,3}", fullmatch=True)
TARGETS = st.one_of(
    st.from_regex(r"[A-Z0-9]{1,4}(-[A-Z]{1,2})?(-[0-9]{1,4}){0,2}", fullmatch=True),
    st.from_regex(r"0?[0-9]{1,19}", fullmatch=True),
    st.text(st.sampled_from("019PRIEN-_.', e+=|\u0663\u200b/"), max_size=10),
    st.sampled_from(
        ["https://company.aha.io/features/PRJ1-1", "PRJ1-1|PRJ1-2", "7E18", "640.362", "total", '="PRJ1-1"']
    ),
)
KINDS = st.sampled_from(["", "feature", "Features", "release", "product", "custom_object_record", "epc", "\u200bepic"])
FIELDS = st.sampled_from(["customers", "", "a b", "'customers", "custom\u200bers", "x" * 201])
MODES = st.sampled_from(["", "add", "Remove", "replac"])
KEYS = st.text(st.sampled_from("ab1'=\u00e9\u200b"), max_size=4)
READINGS = st.sampled_from([Reading(), Reading(host="company.aha.io"), Reading(empty_clears=True)])


def read(cells: list[str], reading: Reading) -> list[Any]:
    """What a row of a table with a second row below it says; of a job also which columns it was read from."""
    table = "\n".join(["kind,id,field,record_ids,mode,key", ",".join(cells), "feature,PRJ1-9,customers,9,,", ""])
    entries = list(read_table(io.BytesIO(table.encode()), "links.csv", reading))
    return [(entry, entry.value.columns if isinstance(entry.value, LinkJob) else ()) for entry in entries]


@given(KINDS, TARGETS.filter(lambda cell: "," not in cell), FIELDS, IDS, MODES, KEYS, READINGS)
@example("", "PRJ1-1", "customers", "2;1;1", "add", "k", Reading())
@example("feature", "640362830", "customers", "1", "", "", Reading())
@settings(max_examples=150)
def test_a_plain_row_says_what_the_full_reading_says(
    kind: str, id: str, field: str, ids: str, mode: str, key: str, reading: Reading
) -> None:
    """Both give the same jobs, or refuse the row in the same words."""
    plain = read([kind, id, field, ids, mode, key], reading)
    assert plain == read([kind, id, field, f"{ids};", mode, key], reading)


RECORDS = st.one_of(
    st.from_regex(r"[1-9][0-9]{0,18}", fullmatch=True),
    st.from_regex(r"[1-9][0-9]{0,18}", fullmatch=True),
    st.text(st.sampled_from("0123456789'+- .\u0663\u200b"), max_size=4),
    st.integers(-2, 2**65),
    st.sampled_from([None, True, 1.0, 1e20, ["1"], {"name": "Acme"}]),
)
LINKS: st.SearchStrategy[Any] = st.dictionaries(FIELDS, st.lists(RECORDS, max_size=4), max_size=3) | st.sampled_from(
    [None, {"a": "1"}, []]
)
LINES = st.fixed_dictionaries(
    {"id": TARGETS | st.integers(-1, 10**20), "links": LINKS},
    optional={
        "kind": KINDS | st.none(),
        "mode": MODES | st.none() | st.just(1),
        "key": KEYS | st.sampled_from([None, 7, "a:b", "\x7f", "\ud800", ["k"]]),
        "note": st.just("x"),
    },
)


def entries_of(text: str, reading: Reading) -> list[Any]:
    """What the line of a job file says, with the host, the columns and the target, by which jobs do not compare."""
    entries = list(read_jsonl(io.BytesIO(text.encode()), "links.jsonl", reading))
    jobs = [entry.value for entry in entries if isinstance(entry.value, LinkJob)]
    return [entries, [(job.host, job.columns, job.known_target, type(job.mode), type(job.kind)) for job in jobs]]


@given(LINES, st.booleans(), READINGS | st.just(Reading(match="name")))
@example({"id": "PRJ1-1", "links": {"customers": ["10", "9", 9, "9"]}, "kind": "feature"}, False, Reading())
@example({"id": "7", "links": {"customers": [2**63, 2**64 - 1]}, "kind": "product", "mode": "add"}, False, Reading())
@example({"id": "PRJ1-1", "links": {"customers": [2**64]}}, False, Reading())
@settings(max_examples=200)
def test_a_plain_line_says_what_the_full_reading_says(line: dict[str, Any], is_raw: bool, reading: Reading) -> None:
    """A line says the same by itself as in a list, whose jobs are read in full."""
    text = json.dumps(line, ensure_ascii=not is_raw).replace("\ud800", "?")
    assert entries_of(f" {text}\n", reading) == entries_of(f"[{text}]\n", reading)


@pytest.mark.parametrize("twice", ['"id": "PRJ1-2"', '"links": {"a": []}', '"kind": "feature"', '"key": null'])
def test_a_plain_line_with_a_key_twice_is_refused(twice: str) -> None:
    """No key is dropped without a word."""
    text = f'{{"id": "PRJ1-1", "kind": "feature", "key": "k", "links": {{"customers": ["1"]}}, {twice}}}'
    (entry,) = read_jsonl(io.BytesIO(text.encode()), "links.jsonl", Reading())
    assert isinstance(entry.value, Rejection)
    assert "appears twice" in entry.value.message
