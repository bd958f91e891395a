"""The key of a job, which comes back in its result: any JSON, or a value that is written as text."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any, Final

import orjson

from linker.errors import InvalidJob
from linker.model.ids import whole_number

_JSON_SCALARS: Final = (str, int, float, type(None))


def plain_key(key: object) -> Any:
    """The key as a result can show it: integers and arrays of numpy as JSON, dates, UUIDs, decimals and paths as text.

    Raises:
        InvalidJob: it cannot be written as JSON, because it is bytes or has no text of its own, for example.
    """
    if key is None or (type(key) is str and key.isascii()):
        return key
    try:
        data = orjson.dumps([[key]], default=_plain)  # a result nests it
    except Exception as error:  # also what the key's own methods raise
        raise InvalidJob(f"key cannot be written as JSON: {error}") from None
    return key if type(key) in _JSON_SCALARS or type(key) is bool else orjson.loads(data)[0][0]


def check_key(key: object) -> None:
    """Raise `InvalidJob` if a result could not show the key."""
    plain_key(key)


def _plain(value: object) -> object:
    if (number := whole_number(value)) is not None and not hasattr(value, "as_tuple"):  # a `Decimal` stays exact text
        return number
    if callable(listed := getattr(value, "tolist", None)):
        return listed()
    if isinstance(value, AbstractSet):
        return list(value)
    if isinstance(value, bytes | bytearray | memoryview) or type(value).__str__ is object.__str__:
        raise TypeError(f"Type is not JSON serializable: {type(value).__name__}")
    return str(value)
