"""Rows whose cells need no correction are read on a short path, which must agree with the full reading of a row.

A `;` at the end of the cell of ids changes nothing of what the cell means, but keeps the row from the short path.
"""

from __future__ import annotations

import io
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from linker import LinkJob
from linker.sources import Reading
from linker.sources.csv import read_table

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
