"""The secrets that must not leak, a token and a proxy's password, and the search for them."""

from __future__ import annotations

import base64
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import linker

TOKEN = "5ecre7" + "0123456789abcdef" * 3 + "d0n07te11"
PASSWORD = "pr0xy-pa55w0rd"


def assert_kept(*texts: object) -> None:
    """Check that these contain no secret: neither whole, nor half, nor encoded as in a Basic header."""
    for each in texts:
        text = each if isinstance(each, str) else repr(each)
        for secret in (TOKEN, PASSWORD):
            assert secret not in text
            assert secret[: len(secret) // 2 + 4] not in text
            assert secret[len(secret) // 2 - 4 :] not in text
        for encoded in (f"user:{PASSWORD}", TOKEN):
            assert base64.b64encode(encoded.encode()).decode().rstrip("=")[:-2] not in text


def told_by(error: BaseException) -> Iterator[str]:
    """All text that an error can print: its message, its traceback with the frames' variables, and its whole chain."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield f"{each!r} {each} {each.args!r} {getattr(each, '__notes__', '')} {getattr(each, '__dict__', '')}"
        waiting += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
    yield "".join(traceback.format_exception(error))
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if Path(frame.f_code.co_filename).is_relative_to(Path(linker.__file__).parent):
            for name, value in frame.f_locals.items():
                with suppress(AttributeError):  # what is not made yet has no repr
                    yield f"{frame.f_code.co_qualname} {name}={value!r}"
