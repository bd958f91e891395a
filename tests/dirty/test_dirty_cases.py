"""Walks the dirty files in `cases`: what a run makes of each, and that no list loses what the file still asks for.

Each folder has an input (`a.csv`) and, if it matters, what the account holds before (`before.jsonl`).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from support.runs import ACME, ZANE, eager, results_of

from linker import Columns, Kind, Result, UsageError
from linker.sandbox import Sandbox
from linker.sources import JobFile

CASES: Final = Path(__file__).parent / "cases"
TABLE: Final = ("customers=PRJ1/customers",)
CRM: Final = {"id": "Aha Ref", "record_ids": "Account ID"}, {"field": "customers"}
NAMES: Final = {"id": "Aha Ref", "record_names": "Account Name"}, {"field": "customers"}
IDS: Final = {"match": "salesforce_id"}
MIRROR: Final = {"mirror": ("feature:PRJ1", "customers"), "yes": True}
ALDER: Final = "7000000039028184409"


class Case(msgspec.Struct, frozen=True):
    """One file of a folder, and what is right.

    `ends` are the results by line: status, or type of the error. `after` are the records on `customers` of features of
    PRJ1 by number, if other than before. `error` is part of the message if the whole file is refused.
    """

    folder: str
    ends: dict[int, str] = {}
    after: dict[str, list[str]] = {}
    file: str = "a.csv"
    columns: tuple[dict[str, str], dict[str, str]] | None = None
    options: dict[str, Any] = {}
    error: str = ""
    field: str = "customers"


BAD, HELD, NEW = "invalid_job", "incomplete", "linked"
EVERY: Final = [
    Case("01-rows-swallowed-mirror-wipes", {2: BAD, 3: BAD, 4: BAD, 5: "unchanged"}, columns=CRM, options=IDS | MIRROR),
    Case("03-rows-swallowed-bad-rows", {2: BAD, 3: BAD, 4: BAD, 5: HELD}),
    Case("05-valid-multiline-cell-executed", {2: NEW, 6: NEW}, {"1": [ACME], "4": [ZANE]}, columns=NAMES),
    Case("10-cp1252-half-list", {2: HELD, 3: BAD}, columns=NAMES),
    Case("12-undoubled-quotes-half-list", {2: HELD, 3: BAD}),
    Case("13-json-array-by-lines", {2: NEW, 3: NEW, 4: NEW}, {"1": [ZANE, ACME, ALDER]}, file="a.json"),
    Case("16-id-dressed-sibling", {2: "unchanged", 3: "unchanged"}),
    Case("16-id-dressed-sibling", {2: HELD, 3: BAD}, file="b.csv"),
    Case("20-semicolon-in-a-name", {2: "unknown_record"}),
    Case(
        "22-create-missing-makes-junk",
        {2: "unknown_record", 3: "unknown_record", 4: HELD, 5: NEW, 6: "unknown_record"}
        | {7: "unknown_record", 8: "unknown_record", 9: "unknown_record"},
        {"4": [ACME]},
        options={"create_missing": True},
    ),
    Case("30-list-with-a-refused-id", {2: HELD, 3: "invalid_value"}, field="contracts"),
    Case("30-list-with-a-refused-id", {2: HELD, 3: BAD}, file="same-fault-seen-early.csv", field="contracts"),
    Case("31-thousands-separators", {2: BAD, 3: BAD, 4: BAD}),
    Case("31-thousands-separators", {2: BAD}, file="targets.csv"),
    Case("40-duplicate-json-keys", {1: BAD, 2: BAD, 3: BAD}, file="a.jsonl"),
    Case("41-folding-that-guesses", dict.fromkeys((2, 3, 4), "unknown_record")),
    Case("53-a-message-of-a-megabyte", error="HTML"),
    Case("54-ids-dressed-for-excel", dict.fromkeys(range(2, 7), NEW), {number: [ACME] for number in "12345"}),
    Case("54-ids-dressed-for-excel", {2: NEW}, {"1": [ALDER]}, file="sf.csv", columns=CRM, options=IDS),
    Case("55-excel-leaves-delimiters-out-or-puts-more", {2: NEW}, {"1": [ACME]}, file="long.csv"),
    Case("55-excel-leaves-delimiters-out-or-puts-more", {2: NEW}, {"1": [ACME]}, file="unnamed.csv"),
    Case("55-excel-leaves-delimiters-out-or-puts-more", {2: NEW, 3: NEW}, {"1": [ACME], "2": [ACME]}, file="short.csv"),
    Case("57-sep-line", {3: NEW}, {"1": [ACME]}),
    Case("58-salesforce-15-characters", {2: NEW, 3: "unknown_record"}, {"1": [ALDER]}, columns=CRM, options=IDS),
    Case("59-space-before-a-quote", {2: "unknown_record", 3: NEW}, {"2": [ACME]}),
    Case("61-json-of-other-shapes", {2: NEW}, {"1": [ACME]}, file="pretty.json"),
    Case("61-json-of-other-shapes", {1: NEW}, {"1": [ACME]}, file="utf16.jsonl"),
    Case("61-json-of-other-shapes", {1: NEW, 2: NEW}, {"1": [ACME], "2": [ACME]}, file="cr.jsonl"),
    Case("62-bytes-that-are-no-text", error="Excel workbook"),
    Case("62-bytes-that-are-no-text", file="b.csv.gz", error="gzip"),
    Case("63-master-feature", {2: NEW, 3: NEW}),
]


@pytest.fixture
async def account() -> Any:
    """An account with twenty records of each kind."""
    async with Sandbox(limits=[], records=20) as sandbox:
        yield sandbox


def state(sandbox: Sandbox, field: str) -> dict[str, list[str]]:
    """What the features of PRJ1 hold in a field, by the number in their reference."""
    links = sandbox.account.all_links()
    return {id[5:]: held[field] for (kind, id), held in links.items() if kind is Kind.FEATURE and field in held}


async def results_in(sandbox: Sandbox, path: Path, case: Case, **options: Any) -> list[Result]:
    """The results of a run of one file."""
    columns = Columns(*case.columns) if case.columns else None
    source = JobFile(path, columns=columns, format="csv" if path.name.endswith(".gz") else None)
    async with eager(sandbox, table=TABLE, **case.options, **options) as aha:
        return await results_of(aha.run(source))


def end(result: Result) -> str:
    """The type of its error, or its status."""
    return str(result.error.type if result.error is not None else result.status)


@pytest.mark.parametrize("case", EVERY, ids=lambda case: f"{case.folder[:2]} {case.file}")
async def test_a_dirty_file_costs_no_link_and_no_row(account: Sandbox, case: Case) -> None:
    """Each row has a result; a list that cannot be told whole stays as it is; what can be understood is done."""
    before = CASES / case.folder / "before.jsonl"
    if before.exists():
        made = await results_in(account, before, Case(case.folder, options={"create_missing": True}))
        assert {end(result) for result in made} == {"linked"}
    held = state(account, case.field)
    if case.error:
        with pytest.raises(UsageError, match=case.error) as caught:
            await results_in(account, CASES / case.folder / case.file, case)
        assert len(str(caught.value)) < 1_000
        return
    results = await results_in(account, CASES / case.folder / case.file, case)
    assert {result.line: end(result) for result in results} == case.ends
    assert len(results) == len(case.ends)
    assert {key: set(ids) for key, ids in state(account, case.field).items()} == {
        key: set(ids) for key, ids in (held | case.after).items()
    }
    assert all(len(result.error.message) < 1_000 for result in results if result.error is not None)


def test_every_folder_is_walked() -> None:
    """A file that is added to the folders needs a line here."""
    walked = Counter((case.folder, case.file) for case in EVERY)
    inputs = {
        (path.parent.name, path.name) for path in CASES.glob("*/*") if path.name not in ("before.jsonl", "c.toml")
    }
    assert inputs - {("56-toml-with-a-bom", "a.csv")} == set(walked)
    assert Columns.parse((), (), CASES / "56-toml-with-a-bom/c.toml") == Columns(*NAMES)


async def test_a_refused_id_that_a_spreadsheet_has_rounded_says_so(account: Sandbox) -> None:
    """Of a record in the refusal of its PUT, and of a target that does not exist."""
    jobs = [
        {"id": "PRJ1-1", "links": {"contracts": ["7036045937940700000"]}},
        {"id": "7036045937940700000", "kind": "feature", "links": {"customers": [ACME]}},
    ]
    async with eager(account) as aha:
        results = await results_of(aha.run(jobs))
    assert [end(result) for result in results] == ["invalid_value", "not_found"]
    assert all("keep only 15 digits of a number" in result.error.message for result in results if result.error)
