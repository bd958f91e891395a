"""Outcomes that are made one by one as they are taken: the results of many jobs are never all in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self, TypeVar

from linker.results.result import Outcome

T = TypeVar("T")


class Outcomes:
    """Outcomes in the order in which they were added. Each iteration makes them again.

    Example:
        >>> outcomes = Outcomes()
        >>> outcomes.add(make_result, jobs)
        >>> for outcome in outcomes: ...
    """

    __slots__ = ("_count", "_parts")

    def __init__(self) -> None:
        self._count = 0
        self._parts: list[tuple[Callable[[Any], Outcome], Sequence[Any]]] = []

    def __repr__(self) -> str:
        return f"<Outcomes, {len(self):,}>"

    def add(self, make: Callable[[T], Outcome], items: Sequence[T]) -> None:
        """Add one outcome for each item; `make` is called when it is taken."""
        if items:
            self._count += len(items)
            self._parts.append((make, items))

    def __iadd__(self, others: Outcomes) -> Self:
        self._count += others._count
        self._parts += others._parts
        return self

    def __len__(self) -> int:
        return self._count

    def __bool__(self) -> bool:
        return bool(self._parts)

    def __iter__(self) -> Iterator[Outcome]:
        for make, items in self._parts:
            yield from map(make, items)
