"""What two spellings of one text have in common: Unicode form (NFKC), white space, and case."""

from __future__ import annotations

import unicodedata

__all__ = ["folded", "unified"]


def unified(text: str) -> str:
    """A text in one Unicode form (NFKC), with single spaces and none around it."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def folded(text: str) -> str:
    """The same without its case."""
    return unicodedata.normalize("NFKC", unified(text).casefold())
