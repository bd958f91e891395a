"""Fields that are missing on a workspace's layout: the account defines them, accepts their PUTs, and ignores them.

No definition shows which layout has which field, so linker learns it: after ten targets in a row it stops asking.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from linker import log
from linker.errors import Error, ErrorType
from linker.model.target import Kind, Target
from linker.work.outcome import off_layout

IN_A_ROW: Final = 10
"""Targets that ignore a field, one after the other, after which it is not written any more."""


class Layout:
    """What one run has learnt. It stops a field of a kind only in the workspaces that ignored it in a row."""

    def __init__(self, *, defined: bool = False) -> None:
        self.defined = defined
        """The account is known to define the fields."""
        self._in_a_row: dict[tuple[Kind, str], list[str]] = {}
        self._stopped: dict[tuple[Kind, str], set[str]] = {}

    def __repr__(self) -> str:
        return f"<Layout, {len(self._stopped)} fields stopped>"

    @property
    def stops(self) -> bool:
        """Whether any field is stopped."""
        return bool(self._stopped)

    def learn(self, target: Target, taken: Mapping[str, bool]) -> None:
        """Take in, for each field written on a target, whether the account took any of it."""
        for field, was_taken in taken.items():
            key = target.kind, field
            if was_taken:
                self._in_a_row.pop(key, None)
                continue
            row = self._in_a_row.setdefault(key, [])
            row.append(_workspace(target))
            if len(row) >= IN_A_ROW:
                stopped = self._stopped.setdefault(key, set())
                if not stopped.issuperset(row):
                    stopped.update(row)
                    log.get_logger().warning(log.OFF_LAYOUT, field=field, kind=target.kind.value, in_a_row=len(row))
                del self._in_a_row[key]

    def stopped(self, target: Target, fields: Collection[str]) -> frozenset[str]:
        """Those of a target's fields that are stopped."""
        workspace = _workspace(target)
        return frozenset(field for field in fields if workspace in self._stopped.get((target.kind, field), ()))

    def error(self, target: Target, fields: Collection[str]) -> Error:
        """The error of jobs on stopped fields."""
        names = sorted(fields)
        message = f"not sent: {IN_A_ROW} {target.kind.plural} in a row did not take {', '.join(names)}"
        return Error(ErrorType.NOT_APPLIED, message + off_layout(target.kind, names, self.defined))


def _workspace(target: Target) -> str:
    """The workspace prefix of a reference number: `PRJ1`; empty for a numeric id."""
    return "" if target.id.isdigit() else target.id.partition("-")[0]
