"""What counts as the same text: names by case, white space and NFC; invisible characters count for nothing."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.text import folded, same_name, spaced, tidied, without_invisible

WORDS = st.text(alphabet="aAbBéÉßẞſσΣς\u0130ıﬁ²①Ａ\u0301\u0345 \u00a0", max_size=6)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Acme Corp", " ACME\u00a0 corp\t"),
        ("Café", "CAFE\u0301"),
        ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
        ("Straße", "STRAẞE"),
        ("Ac\u00adme\u200b", "\ufeffAcme"),
        ("\u00c5ngström", "\u212bNGSTRÖM"),
    ],
)
def test_names_that_differ_in_case_white_space_and_form_are_the_same(one: str, other: str) -> None:
    """Also if one has characters that take no space."""
    assert same_name(one) == same_name(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Weiß", "Weiss"),
        ("H²", "H2"),
        ("Store ①", "Store 1"),
        ("Ａcme", "Acme"),
        ("ﬁne", "fine"),
        ("ılgaz", "Ilgaz"),
        ("Café", "Cafe"),
        ("№ 5", "No 5"),
    ],
)
def test_names_that_only_look_alike_are_two(one: str, other: str) -> None:
    """They are suggested, as far as they are alike in compatible form, and never taken for each other."""
    assert same_name(one) != same_name(other)


@given(st.text(max_size=8), st.text(max_size=8))
def test_no_two_names_are_the_same_without_a_reason(one: str, other: str) -> None:
    """If two names are the same, they are so for `folded` as well, which also knows compatible forms."""
    if same_name(one) == same_name(other):
        assert folded(one) == folded(other)


@given(WORDS, WORDS)
def test_the_same_names_differ_in_nothing_but_what_may_differ(one: str, other: str) -> None:
    """By an independent rule: each character of the decomposed, spaced text, by Unicode's simple case folding."""

    def simple(text: str) -> list[str]:
        chars = unicodedata.normalize("NFD", " ".join(text.split()))
        return list(unicodedata.normalize("NFC", "".join(FOLDING.get(char, char) for char in chars)))

    assert (same_name(one) == same_name(other)) == (simple(one) == simple(other))


# CaseFolding.txt, statuses C and S, for the letters above
FOLDING = {"A": "a", "B": "b", "E": "e", "I": "i", "ẞ": "ß", "ſ": "s", "Σ": "σ", "ς": "σ", "\u0345": "ι", "Ａ": "ａ"}


@given(st.text())
def test_a_folded_text_stays_as_it_is(text: str) -> None:
    """Each of the forms is the form of itself."""
    for fold in (same_name, spaced, without_invisible, folded):
        assert fold(fold(text)) == fold(text)


def test_what_is_invisible_is_of_one_category_and_marks_that_are_seen_are_not() -> None:
    """All format characters (Cf) but those of Arabic, Syriac and Kaithi that are drawn; nothing else."""
    seen = {
        char for char in map(chr, range(0x110000)) if unicodedata.category(char) == "Cf" and without_invisible(char)
    }
    assert seen == set("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd") & seen
    gone = [char for char in map(chr, range(0x110000)) if not without_invisible(char)]
    assert {unicodedata.category(char) for char in gone} <= {"Cf", "Cn"}


def test_a_name_is_created_as_it_is_spelled() -> None:
    """Without what only hides in it."""
    assert tidied(" نمی\u200cخواهم\ufeff  Ac\u00adme\u200b\u00a0Ltd\u200f") == "نمی\u200cخواهم Acme Ltd\u200f"
