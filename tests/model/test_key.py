"""The key of a job: whatever a program has."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

import orjson
import pytest

from linker import InvalidJob, LinkJob
from linker.model.key import plain_key


class Number:
    """An integer of numpy."""

    def __index__(self) -> int:
        return 17


class Column:
    """An array of numpy."""

    def tolist(self) -> list[Any]:
        return [1, Number()]


class Broken:
    """Its text cannot be made."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("key", "written"),
    [
        (Number(), 17),
        (Column(), [1, 17]),
        ({"a": [Number()]}, {"a": [17]}),
        (Decimal("17.50"), "17.50"),
        (Decimal(17), "17"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC), "2026-01-02T03:04:00+00:00"),
        (PurePosixPath("a/b"), "a/b"),
        (("a", 1), ["a", 1]),
        ({3}, [3]),
        (True, True),
        (None, None),
        (1.5, 1.5),
    ],
)
def test_a_key_becomes_json(key: Any, written: Any) -> None:
    """Numbers stay numbers; what has a text becomes that."""
    job = LinkJob("PRJ1-1", {"customers": ["1"]}, key=key)
    assert job.key == written
    assert type(job.key) is type(written)
    assert orjson.loads(orjson.dumps(job.key)) == written
    assert plain_key(job.key) == job.key


@pytest.mark.parametrize("key", [object(), Broken(), b"x", {"a": b"x"}, {1: 2}, 2**70, "\ud800"])
def test_a_key_without_a_text_of_its_own_is_refused(key: Any) -> None:
    """As it always was: an address in memory tells nobody anything."""
    with pytest.raises(InvalidJob, match=r"^key cannot be written as JSON: "):
        plain_key(key)
