"""Where a cell with names is split."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.model.name import name_spans


def split(cell: str) -> list[str]:
    """The names in a cell."""
    return [cell[start:end] for start, end in name_spans(cell)]


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("Acme", ["Acme"]),
        ("Acme; Zane;\r\n Birch ;", ["Acme", "Zane", "Birch"]),
        ("Smith &amp; Co; Zane", ["Smith &amp; Co", "Zane"]),
        ("O&#39;Brien;O&#x27;Neil", ["O&#39;Brien", "O&#x27;Neil"]),
        ("Caf&eacute;;Zane", ["Caf&eacute;", "Zane"]),
        ("AT&T; Zane", ["AT&T", "Zane"]),
        ("Johnson & Johnson; Zane", ["Johnson & Johnson", "Zane"]),
        ("Johnson&Johnson;Zane", ["Johnson&Johnson", "Zane"]),
        ("&#;a", ["&#", "a"]),
        (";;\n", []),
        ("", []),
    ],
)
def test_names_stand_between_semicolons_and_line_breaks(cell: str, names: list[str]) -> None:
    """But for a `;` that ends the code of a character in HTML."""
    assert split(cell) == names


@given(st.text(alphabet="aé&#39;x \n;amp", max_size=30))
def test_no_character_of_a_name_is_lost(cell: str) -> None:
    """Between two names there are only separators and white space; no name is empty or has white space around it."""
    spans = name_spans(cell)
    edges = [0, *(edge for span in spans for edge in span), len(cell)]
    between = [cell[edges[at] : edges[at + 1]] for at in range(0, len(edges), 2)]
    assert all(set(gap) <= set("; \n") for gap in between)
    assert all(name and name == name.strip() for name in split(cell))
