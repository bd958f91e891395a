"""A sandbox that is watched request by request, while a colleague edits it and its lists can be damaged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from linker import Kind
from linker.sandbox import Sandbox
from support.odd_lists import Page, bend_pages
from support.oracle import FIELDS, TARGETS

__all__ = [
    "PARTS",
    "UNSEEN",
    "Edit",
    "Part",
    "State",
    "World",
    "customers",
    "double",
    "hide_half",
    "hide_links",
    "hide_numbers",
    "watched_world",
]

Part = tuple[str, str]
"""A target and a field."""

State = dict[Part, set[str]]

UNSEEN: Final = "PRJ2"
"""The target whose answers show no links."""

PARTS: Final = [(id, name) for id, kind in TARGETS.items() for name in FIELDS[kind]]


@dataclass
class Edit:
    """A colleague's edit: before the request after so many more, an id is added to a field or removed."""

    at: int
    part: Part
    id: int
    adds: bool


@dataclass
class World:
    """One sandbox for all examples, on its own event loop, and the set-up of the current example."""

    sandbox: Sandbox
    runner: asyncio.Runner
    records: list[str]
    results: Path
    numbers: dict[str, str]
    edits: list[Edit] = field(default_factory=list)
    bend: Callable[[int, list[Page], Page], None] | None = None
    requests: int = 0
    touched: set[tuple[Part, str]] = field(default_factory=set)
    shown: list[State] = field(default_factory=list)
    puts: list[tuple[str, dict[str, set[str]], int]] = field(default_factory=list)

    def state(self) -> State:
        """What the targets hold now."""
        links = {id: self.sandbox.account.links(kind, id) for id, kind in TARGETS.items()}
        return {(id, name): set(links[id][name]) for id, name in PARTS}

    def set_state(self, state: State) -> None:
        """Set what the targets hold, without a request."""
        for (id, name), ids in state.items():
            self.sandbox.account.set_links(TARGETS[id], id, name, ids)

    def forget(self) -> None:
        """Start over: no pending edits, and nothing recorded yet."""
        self.edits, self.requests = [], 0
        self.touched, self.shown, self.puts = set(), [], []
        self.sandbox.faults.clear()
        self.sandbox.stats.most_puts_at_once_on_a_target = 0

    def watch(self, method: str, path: str, body: bytes) -> None:
        """Before a request is carried out: do the colleague's edits, and record the request."""
        self.requests += 1
        for edit in [each for each in self.edits if each.at == self.requests]:
            self.do(edit)
        if method == "GET":
            self.shown.append(self.state())
        else:
            name = path.rpartition("/")[2]
            id = next(id for id, number in self.numbers.items() if name in (id, number))
            links = orjson.loads(body)[TARGETS[id]]["custom_object_links"]
            self.puts.append((id, {key: set(ids) for key, ids in links.items()}, len(self.shown)))

    def do(self, edit: Edit) -> None:
        """Do one edit of the colleague."""
        id, name = edit.part
        record = self.records[edit.id]
        held = set(self.sandbox.account.links(TARGETS[id], id)[name])
        if (record in held) != edit.adds:
            self.sandbox.account.set_links(TARGETS[id], id, name, held ^ {record})
            self.touched.add((edit.part, record))


def customers(sandbox: Sandbox) -> list[str]:
    """The ids of the records that links are made to."""
    records = sandbox.account.listed(Kind.CUSTOM_OBJECT_RECORD)
    return [str(each.id) for each in records if each.table == "customers"]


@contextmanager
def watched_world(folder: Path, **options: Any) -> Iterator[World]:
    """A sandbox without limits, watched. Its results come into the folder."""
    with asyncio.Runner() as runner:
        sandbox = Sandbox(limits=[], records=4, **options)
        runner.run(sandbox.start())
        numbers = {}
        for id, kind in TARGETS.items():
            found = sandbox.account.find(kind, id)
            assert found is not None
            numbers[id] = str(found.id)
        world = World(sandbox, runner, customers(sandbox), folder / "results.jsonl", numbers)
        answer = sandbox._routes.answer

        def watched(method: str, path: str, query: str, content_type: str = "", body: bytes = b"") -> Any:
            world.watch(method, path, body)
            return answer(method, path, query, content_type, body)

        sandbox._routes.answer = watched  # type: ignore[method-assign]
        bend_pages(sandbox, lambda *page: world.bend(*page) if world.bend else None)
        yield world
        runner.run(sandbox.stop())


def hide_links(number: int, items: list[Page], pagination: Page) -> None:
    """A list without links."""
    for item in items:
        item.pop("custom_object_links", None)


def hide_numbers(number: int, items: list[Page], pagination: Page) -> None:
    """A list that shows names and no ids."""
    for item in items:
        item.pop("id", None)


def hide_half(number: int, items: list[Page], pagination: Page) -> None:
    """A list that has shifted: every second of its targets is on no page."""
    del items[::2]


def double(number: int, items: list[Page], pagination: Page) -> None:
    """A list that shows each target twice, and more pages than there are."""
    items += items
    pagination["total_pages"] = 3
