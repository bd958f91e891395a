"""A CRM's export of 5,000 rows on an account of 20,000 records: every row is linked or explained.

What each row should come to is worked out here once more, with the csv module and plain dicts.
"""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from support.runs import eager, results_of

from linker import JobFile, Kind, Status
from linker.sandbox import Sandbox
from linker.sources import Columns

JOBS = Path(__file__).parents[2] / "jobs"


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file, as its script writes it."""
    path = tmp_path_factory.mktemp("salesforce") / "accounts.csv"
    path.write_bytes(subprocess.run([sys.executable, JOBS / "salesforce.py"], check=True, capture_output=True).stdout)
    return path


def plain(name: str) -> str:
    """What two spellings of a name have in common."""
    return " ".join(unicodedata.normalize("NFC", name).lower().split())


def test_the_export_is_what_a_crm_writes(export: Path) -> None:
    """BOM, CRLF, twenty columns; commas, quotes and line breaks in cells; rows that repeat; empty cells."""
    data = export.read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    assert data.count(b"\r\n") == 5001
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert len(rows) == 5000
    assert {len(row) for row in rows} == {20}
    names = [row["Account Name"] for row in rows]
    assert all(any(char in name for name in names) for char in ',"')
    assert "" in names
    assert "" in [row["Aha Ref"] for row in rows]
    assert max(Counter(map(str, rows)).values()) > 1


@pytest.mark.parametrize("match", [None, "salesforce_id"])
async def test_every_row_is_linked_or_explained(export: Path, match: str | None) -> None:
    """By names and by the CRM's own ids; in as few requests as there are pages and targets."""
    rows = list(csv.DictReader(io.StringIO(export.read_bytes().decode("utf-8-sig"), newline="")))
    async with Sandbox(limits=[], records=20_000, features=3000) as sandbox:
        records = [each for each in sandbox.account.listed(Kind.CUSTOM_OBJECT_RECORD) if each.table == "customers"]
        exact: defaultdict[str, set[str]] = defaultdict(set)
        alike: defaultdict[str, set[str]] = defaultdict(set)
        for each in records:
            if match is None:
                exact[each.name].add(str(each.id))
                alike[plain(each.name)].add(str(each.id))
            elif match in each.values:
                exact[each.values[match]].add(str(each.id))
        column = "Account Name" if match is None else "Account ID"
        wanted: defaultdict[str, set[str]] = defaultdict(set)
        expected: Counter[str] = Counter()
        for row in rows:
            value = row[column].strip()
            found = exact.get(value) or alike.get(plain(value), set())
            targets = [id.strip() for id in row["Aha Ref"].split(";") if id.strip()]
            for id in dict.fromkeys(targets):
                expected["linked" if len(found) == 1 else "unknown_record" if value else "invalid_job"] += 1
                if len(found) == 1:
                    wanted[id] |= found
            expected["invalid_job"] += not targets
        headers = {"id": "Aha Ref", "record_names": column, "key": "Account ID"}
        columns = Columns(headers, {"kind": "feature", "field": "customers", "mode": "add"})
        async with eager(sandbox, preflight=True, table={"customers": "PRJ1/customers"}, match=match) as aha:
            results = await results_of(aha.run(JobFile(export, columns=columns)))
        told = Counter(result.status.value if result.error is None else result.error.type.value for result in results)
        assert told == expected
        assert {result.line for result in results if result.status is Status.REJECTED} <= set(range(2, 10_002))
        assert all(result.error.message for result in results if result.error is not None)
        held = {id: set(links["customers"]) for (_, id), links in sandbox.account.all_links().items() if id in wanted}
        assert held == wanted
        pages = -(-len(records) // 200) + -(-3008 // 200)
        proof = 3  # nothing is linked yet: one target is read, and read back singly and in its list
        assert sandbox.stats.methods == {"PUT": len(wanted), "GET": 1 + pages + proof}
