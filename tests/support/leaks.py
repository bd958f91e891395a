"""What must not come out: a token and a proxy's password, and the search for them wherever they might."""

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
    """Neither secret is in any of these, whole, in half, or as it stands in a Basic header."""
    for each in texts:
        text = each if isinstance(each, str) else repr(each)
        for secret in (TOKEN, PASSWORD):
            assert secret not in text
            assert secret[: len(secret) // 2 + 4] not in text
            assert secret[len(secret) // 2 - 4 :] not in text
        for encoded in (f"user:{PASSWORD}", TOKEN):
            assert base64.b64encode(encoded.encode()).decode().rstrip("=")[:-2] not in text


def told_by(error: BaseException) -> Iterator[str]:
    """All that an error can tell: itself, its traceback with what the frames' variables show, and its whole chain."""
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
