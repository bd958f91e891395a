"""Fields that are missing on a workspace's layout: the account defines them, accepts their PUTs, and ignores them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from linker import log
from linker.model.target import Kind, Target

IN_A_ROW: Final = 10
"""Targets that ignore a field, one after the other, after which a warning is logged."""


class Layout:
    """What one run has learnt of fields that targets ignore. It warns; the targets are written all the same."""

    def __init__(self, *, defined: bool = False) -> None:
        self.defined = defined
        """The account is known to define the fields."""
        self._in_a_row: dict[tuple[Kind, str], int] = {}
        self._warned: set[tuple[Kind, str]] = set()

    def __repr__(self) -> str:
        return f"<Layout, {len(self._in_a_row)} fields ignored>"

    def learn(self, target: Target, taken: Mapping[str, bool]) -> None:
        """Take in, for each field written on a target, whether the account took any of it."""
        for field, was_taken in taken.items():
            key = target.kind, field
            if was_taken:
                self._in_a_row.pop(key, None)
                continue
            count = self._in_a_row[key] = self._in_a_row.get(key, 0) + 1
            if count >= IN_A_ROW and key not in self._warned:  # once: results of other workspaces come in between
                self._warned.add(key)
                log.get_logger().warning(log.OFF_LAYOUT, field=field, kind=target.kind.value, in_a_row=count)


def workspace_of(target: Target) -> str:
    """The workspace prefix of a reference number: `PRJ1`; empty for a numeric id."""
    return "" if target.id.isdigit() else target.id.partition("-")[0]
