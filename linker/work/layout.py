"""Fields that a workspace's layout lacks: the account defines them, takes their PUTs, and passes them by.

No definition shows which layout has which field, so it is learnt by trying: after ten targets in a row it is known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from linker import log
from linker.errors import Error, ErrorType
from linker.model.target import Kind, Target
from linker.work.outcome import off_layout

__all__ = ["Layout"]

IN_A_ROW: Final = 10
"""Targets that pass a field by, one after the other, after which no more are asked."""


class Layout:
    """What one run has learnt. What is stopped is a field of a kind, in the workspaces that have passed it by in a row:
    others may have it."""

    def __init__(self, *, defined: bool = False) -> None:
        self.defined = defined
        """The account is known to define what is asked for."""
        self._in_a_row: dict[tuple[Kind, str], list[str]] = {}
        self._stopped: dict[tuple[Kind, str], set[str]] = {}

    def __repr__(self) -> str:
        return f"<Layout, {len(self._stopped)} fields stopped>"

    @property
    def stops(self) -> bool:
        """Whether anything is stopped."""
        return bool(self._stopped)

    def learn(self, target: Target, taken: Mapping[str, bool]) -> None:
        """Of the fields that were put on a target, whether anything of it was there afterwards."""
        for field, well in taken.items():
            key = target.kind, field
            if well:
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
        """Those of a target's fields that need not be sent."""
        workspace = _workspace(target)
        return frozenset(field for field in fields if workspace in self._stopped.get((target.kind, field), ()))

    def error(self, target: Target, fields: Collection[str]) -> Error:
        """Why they are not."""
        names = sorted(fields)
        message = f"not sent: {IN_A_ROW} {target.kind.plural} in a row did not take {', '.join(names)}"
        return Error(ErrorType.NOT_APPLIED, message + off_layout(target.kind, names, self.defined))


def _workspace(target: Target) -> str:
    """The workspace of a target, as far as its name tells: `PRJ1`; of a number, none."""
    return "" if target.id.isdigit() else target.id.partition("-")[0]
