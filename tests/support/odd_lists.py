"""Damages the lists of a sandbox, and counts its requests by type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import orjson

from linker.sandbox import Sandbox
from linker.sandbox.routes import Answer

__all__ = ["asked", "bend_pages", "on_request", "refuse_page"]

Page = dict[str, Any]


def asked(sandbox: Sandbox) -> Counter[str]:
    """The number of requests by type: `list`, `read` (a single GET), `write`. The sandbox must keep them."""

    def sort(method: str, query: str) -> str:
        return "write" if method == "PUT" else "list" if "page=" in query else "read"

    return Counter(sort(seen.method, seen.query) for seen in sandbox.requests)


def on_request(sandbox: Sandbox, hook: Callable[[str, str, str], object]) -> None:
    """Call `hook(method, path, query)` at the moment at which the account does what a request asks."""
    answer = sandbox._routes.answer

    def hooked(method: str, path: str, query: str, *rest: Any) -> Any:
        hook(method, path, query)
        return answer(method, path, query, *rest)

    sandbox._routes.answer = hooked  # type: ignore[assignment, method-assign]


def bend_pages(sandbox: Sandbox, bend: Callable[[int, list[Page], Page], None]) -> None:
    """Let `bend(number, items, pagination)` change what each page of a list shows."""
    answer = sandbox._routes.answer

    def bent(method: str, path: str, query: str, *rest: Any) -> Any:
        given = answer(method, path, query, *rest)
        number = parse_qs(query).get("page")
        if number is None or given.status != 200:
            return given
        value = orjson.loads(given.body)
        (key,) = value.keys() - {"pagination"}
        bend(int(number[0]), value[key], value["pagination"])
        return given._replace(body=orjson.dumps(value))

    sandbox._routes.answer = bent  # type: ignore[assignment, method-assign]


def refuse_page(sandbox: Sandbox, number: int, refusal: Answer) -> None:
    """Answer one page of every list in this way, however often it is requested."""
    answer = sandbox._routes.answer

    def refusing(method: str, path: str, query: str, *rest: Any) -> Any:
        if parse_qs(query).get("page") == [str(number)]:
            return refusal
        return answer(method, path, query, *rest)

    sandbox._routes.answer = refusing  # type: ignore[assignment, method-assign]
