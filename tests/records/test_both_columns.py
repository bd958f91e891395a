"""A row with ids and names of its records: they must agree. And ids that a spreadsheet has rounded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.runs import ACME, ZANE, eager, results_of

from linker import ErrorType, Kind, Result, Status
from linker.sandbox import Resource, Sandbox

HEAD = "id,field,record_ids,record_names\n"
LONG = "7036045937940700569"
ROUNDED = "7036045937940700000"


@pytest.fixture(autouse=True)
def twins(sandbox: Sandbox) -> None:
    """Two customers of one name."""
    for id in (77, 78):
        sandbox.account.add(Resource(Kind.CUSTOM_OBJECT_RECORD, id, "", "Twin", 131414752, table="customers"))


async def ran(sandbox: Sandbox, path: Path, rows: str, **options: Any) -> list[Result]:
    """The results of a table."""
    path.write_text(HEAD + rows)
    async with eager(sandbox, **{"table": ("customers=PRJ1/customers",)} | options) as aha:
        return await results_of(aha.run(path))


@pytest.mark.parametrize(
    ("cells", "ids"),
    [
        (f"{ACME},acme corp", [ACME]),
        (f"{ZANE};{ACME},Acme Corp; Zane Corp", [ZANE, ACME]),
        ("77,Twin", ["77"]),
        (f"{ACME},", [ACME]),
        (",Acme Corp", [ACME]),
    ],
)
async def test_ids_and_names_that_agree_are_one_list(
    sandbox: Sandbox, tmp_path: Path, cells: str, ids: list[str]
) -> None:
    """Of two records of a name, the id says which is meant."""
    (result,) = await ran(
        sandbox, tmp_path / "a.csv", f'PRJ1-1,customers,"{cells.replace(",", chr(34) + "," + chr(34))}"\n'
    )
    assert (result.status, result.links) == (Status.LINKED, {"customers": ids})


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (
            f"{ACME},Zane Corp",
            f'"record_ids" gives {ACME} ("Acme Corp"), "record_names" gives {ZANE} ("Zane Corp"). Correct one',
        ),
        (
            f"{ACME};{ZANE},Zane Corp",
            f'"record_ids" gives {ZANE} ("Zane Corp"), {ACME} ("Acme Corp"), "record_names" gives {ZANE}',
        ),
        (f"{ACME},Acme Corp;Zane Corp", f'"record_ids" gives {ACME} ("Acme Corp"), "record_names" gives {ZANE}'),
        (f"{ROUNDED},Acme Corp", f'"record_ids" gives {ROUNDED}, "record_names" gives {ACME} ("Acme Corp")'),
    ],
)
async def test_ids_and_names_that_disagree_are_a_conflict(
    sandbox: Sandbox, tmp_path: Path, cells: str, said: str
) -> None:
    """Both are told; the list of the target waits, other targets do not."""
    rows = f"PRJ1-1,customers,{cells}\nPRJ1-1,customers,{ACME},\nPRJ1-2,customers,{ACME},\n"
    disagreeing, sibling, other = await ran(sandbox, tmp_path / "a.csv", rows)
    assert disagreeing.error is not None
    assert (disagreeing.status, disagreeing.error.type) == (Status.REJECTED, ErrorType.CONFLICT)
    assert (
        'customers: the columns "record_ids" and "record_names" give different records: ' in disagreeing.error.message
    )
    assert said in disagreeing.error.message
    assert sibling.error is not None
    assert sibling.error.type is ErrorType.INCOMPLETE
    assert other.status is Status.LINKED


async def test_no_record_is_created_for_a_name_beside_an_id(sandbox: Sandbox, tmp_path: Path) -> None:
    """The id says that there is one; several of the name without the id are still several."""
    unknown, several = await ran(
        sandbox,
        tmp_path / "a.csv",
        f"PRJ1-1,customers,{ACME},Newcomer\nPRJ1-2,customers,{ACME},Twin\n",
        create_missing=True,
    )
    assert unknown.error is not None
    assert unknown.error.type is ErrorType.UNKNOWN_RECORD
    assert several.error is not None
    assert '2 records have the name "Twin": 77, 78' in several.error.message
    assert sandbox.stats.methods["POST"] == 0


async def test_a_list_of_ids_and_names_in_a_job_is_a_list(sandbox: Sandbox) -> None:
    """In a job file, each stands for itself."""
    async with eager(sandbox, table=("customers=PRJ1/customers",)) as aha:
        (result,) = await results_of(aha.run([{"id": "PRJ1-1", "links": {"customers": [ACME, {"name": "Zane Corp"}]}}]))
    assert result.links == {"customers": [ZANE, ACME]}


async def test_an_id_that_was_rounded_is_rejected_where_its_table_was_read(sandbox: Sandbox, tmp_path: Path) -> None:
    """A name in the same file makes linker read it; the record that has such an id is linked."""
    sandbox.account.add(
        Resource(Kind.CUSTOM_OBJECT_RECORD, int("8" + 18 * "0"), "", "Round", 131414752, table="customers")
    )
    rows = f"PRJ1-1,customers,{ROUNDED},\nPRJ1-2,customers,8{18 * '0'},\nPRJ1-3,customers,,Acme Corp\n"
    rounded, real, _ = await ran(sandbox, tmp_path / "a.csv", rows)
    assert rounded.error is not None
    assert (rounded.status, rounded.error.type) == (Status.REJECTED, ErrorType.UNKNOWN_RECORD)
    assert f"PRJ1/customers has no record {ROUNDED}; the id may have lost its last digits" in rounded.error.message
    assert real.status is Status.LINKED
    assert not any(ROUNDED in seen.path for seen in sandbox.requests)


async def test_no_table_is_read_for_an_id_that_may_be_rounded(sandbox: Sandbox, tmp_path: Path) -> None:
    """The account decides; and of an id with other digits no table is asked."""
    (result,) = await ran(sandbox, tmp_path / "a.csv", f"PRJ1-1,customers,{ROUNDED},\n")
    assert result.status is Status.FAILED
    assert not any("records" in seen.path for seen in sandbox.requests)
    strange, _ = await ran(sandbox, tmp_path / "a.csv", f"PRJ1-1,customers,{LONG},\nPRJ1-2,customers,,Acme Corp\n")
    assert strange.status is Status.FAILED
