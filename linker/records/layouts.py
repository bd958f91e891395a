"""The layouts of workspaces: which fields a kind has there. The account ignores a PUT of a field that is not on one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from linker.api.answers import Answer
from linker.api.layouts import each_layout
from linker.api.requests import LAYOUTS
from linker.model.target import Kind
from linker.retry.sender import Read
from linker.text import plain


@dataclass(frozen=True, slots=True)
class LayoutGap:
    """Layouts of a kind that lack a field: the account ignores its links there. `of` counts all layouts of the kind."""

    kind: Kind
    field: str
    layouts: tuple[str, ...]
    of: int


async def read_gaps(read: Read, used: Collection[tuple[Kind, str]]) -> list[LayoutGap]:
    """Return the layouts that lack one of these fields; none if the account does not tell.

    The list of all layouts is for administrators of customizations alone (the vendor's documents).
    """
    answer = await read(LAYOUTS)
    definitions = (answer.value or {}).get("screen_definitions") if isinstance(answer, Answer) else None
    layouts = [(kind, plain(str(item.get("name"))), keys) for item, kind, keys in each_layout(definitions)]
    gaps: list[LayoutGap] = []
    for kind, field in sorted(used):
        lacking = tuple(name for of, name, keys in layouts if of is kind and field not in keys)
        if lacking:
            gaps.append(LayoutGap(kind, field, lacking, sum(of is kind for of, _, _ in layouts)))
    return gaps
