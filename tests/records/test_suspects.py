"""What is probably no name, so that no record is created for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.runs import eager, results_of

from linker import Kind, Result, Status
from linker.records.suspects import meant, why_no_name
from linker.sandbox import Sandbox

JUNK = {
    "a spreadsheet error": ["#N/A", "#REF!", "#DIV/0!", "#NAME?", "#¿NOMBRE?", "#BEZUG!", "#NV", "########"],
    "for a missing value": [
        "NULL",
        "null",
        "N/A",
        "n/a",
        "NaN",
        "None",
        "(blank)",
        "<NA>",
        "(not set)",
        "\\N",
        "TRUE",
    ],
    "has rounded": ["7.03605E+18", "7,03605e18"],
    "U+FFFD": ["Caf\ufffd du Nord"],
    "control characters": ["Ac\x00me", "Caf\x8e"],
    "a spreadsheet formula": ['="Acme Corp"', "=A1", "=cmd|' /C calc'!A0"],
    "quotes": ['"Acme Corp"', "'Acme Corp'", "“Acme Corp”", "«Acme»", '"Acme Corp'],
    "an id": ["640362830", "0015g00000Q7pXkAAJ", "0015g00000Q7pXk", "PRJ1-12", "PRJ1-R-1"],
    "id": ["https://company.aha.io/x", "550e8400-e29b-41d4-a716-446655440000"],
    "no letters": ["-", "—", "?", "...", "12.50", "1,234", "2026-01-02", "50 %", "#1"],
    "wrong encoding": ["CafÃ© du Nord", "SÃ£o Paulo", "Å¡koda", "Acmeâ€™s", "Ð¡Ð±ÐµÑ€", "Caf├⌐", "Caf√©"],
    "a web page": ["Smith &amp; Co", "O&#39;Brien", "&lt;none&gt;"],
    "footer": [
        "Total",
        "Grand Totals",
        "grand total",
        "Subtotal:",
        "Total (25 records)",
        "Sum",
        "Copyright (c) 2026 x",
    ],
}
NAMES = ["Acme Corp", "Weiß GmbH", "H² Power", "Store ①", "3M", "'s-Hertogenbosch", "L’Équipe d’Été", "CAFÉ™", "Größe"]
NAMES += [
    '12" Pipe Ltd',
    "株式会社",
    "Salesforcecloud",
    "TotalEnergies",
    "Total Quality Ltd",
    "Count Basie",
    "#1 Plumbing",
]
NAMES += [
    "Null Island Ltd",
    "Ben & Jerry's",
    "AT&T",
    "VÜ–Verein",
    "Zürich «Ost»",
    "“A” and “B”",
    "Sum Up Ltd",
    "N/A Corp",
]
NAMES += ["Ærøskøbing", "Ñandú", "Łódź", "Ḩ", "Сбер", "نمی\u200cخواهم", "Nordea–Ålesund"]


@pytest.mark.parametrize(("looks", "text"), [(looks, text) for looks, texts in JUNK.items() for text in texts])
def test_what_is_no_name_is_seen(looks: str, text: str) -> None:
    """With white space and invisible characters around it as well."""
    assert looks in why_no_name(text)
    assert looks in why_no_name(f" {text}\u200b ")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_a_name(name: str) -> None:
    """Odd as it may be."""
    assert why_no_name(name) == ""


@given(st.text(alphabet="éàüßñçøåčšžłőαβжд ’“€", min_size=1))
def test_text_that_was_decoded_wrongly_leads_to_what_it_was(name: str) -> None:
    """UTF-8 that was read as Latin-1, which loses nothing."""
    name = f"A{' '.join(name.split())}"
    wrong = name.encode().decode("latin-1")
    if any(0x80 <= ord(char) < 0xA0 for char in wrong) or name.isascii() or wrong != " ".join(wrong.split()):
        return
    assert name in list(meant(wrong)) or why_no_name(wrong) == ""
    if sum(not char.isascii() for char in name) > 1:
        assert why_no_name(wrong)


async def ran(sandbox: Sandbox, path: Path, *cells: str, **options: Any) -> list[Result]:
    """The results of rows with these cells of names."""
    rows = "".join(f'PRJ1-{number},customers,"{cell}"\n' for number, cell in enumerate(cells, start=1))
    path.write_text(f"id,field,record_names\n{rows}")
    async with eager(sandbox, table=("customers=PRJ1/customers",), **options) as aha:
        return await results_of(aha.run(path))


async def test_nothing_is_created_for_what_is_no_name(sandbox: Sandbox, tmp_path: Path) -> None:
    """The row is rejected, says what it looks like, names the record that is near, and how to create it."""
    cells = [text.replace('"', '""') for texts in JUNK.values() for text in texts if ";" not in text]
    cells = [cell for cell in cells if "\x00" not in cell and "Acme Corp" not in cell]
    results = await ran(sandbox, tmp_path / "a.csv", *cells, create_missing=True)
    for result in results:
        assert result.error is not None, result
        assert result.status is Status.REJECTED
        assert ", and linker does not create one, because it looks like " in result.error.message
        assert result.error.message.endswith(" Correct the row, or add --create-all")
    assert sandbox.stats.methods["POST"] == 0


async def test_the_record_that_was_meant_is_named(sandbox: Sandbox, tmp_path: Path) -> None:
    """The formula is understood; quotes are not taken off a name."""
    formula, quoted, near = await ran(
        sandbox, tmp_path / "a.csv", '=""Acme Corp""', "'Acme Corp'", "Acme&#32;Corp", create_missing=True
    )
    assert formula.links == {"customers": ["640362830"]}
    for result in (quoted, near):
        assert result.error is not None
        assert '; did you mean "Acme Corp" (640362830)? Correct the row' in result.error.message


async def test_whatever_is_asked_for_is_created_with_create_all(sandbox: Sandbox, tmp_path: Path) -> None:
    """It implies `create_missing`; a formula is its text, and invisible characters are left out."""
    results = await ran(sandbox, tmp_path / "a.csv", "N/A", '=""New Ltd""', "New\u200b  Inc", create_all=True)
    assert {result.status for result in results} == {Status.LINKED}
    records = sandbox.account.listed(Kind.CUSTOM_OBJECT_RECORD)
    assert {held.name for held in records if held.id >= 79 * 10**17} == {"N/A", "New Ltd", "New Inc"}


async def test_a_record_that_is_there_is_linked_whatever_its_name(sandbox: Sandbox, tmp_path: Path) -> None:
    """Only creation asks what a name looks like."""
    await ran(sandbox, tmp_path / "a.csv", "N/A", create_all=True)
    (result,) = await ran(sandbox, tmp_path / "b.csv", "n/a", create_missing=True)
    assert result.status in (Status.LINKED, Status.UNCHANGED)
