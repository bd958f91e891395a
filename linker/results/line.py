"""The lines of a results file: what several lines share stands on the first of them.

`before`, `after` and `changes` describe a whole change, so its first line has them, and its other lines give its number
in `change` and leave the three out. Lines without a change, such as the `unchanged` ones, share them with the lines of
the same target and status. So a file grows with the number of its rows, even if all of them are for one target.
"""

from __future__ import annotations

from typing import Any

from linker.results.result import Result


class LineMaker:
    """Makes the lines of one run, in the order of the file.

    Args:
        account: the address of the account, which the first line of the run names.
    """

    def __init__(self, account: str = "") -> None:
        self.run = 0
        """The number of the run in its file; lines of all but the first run have it."""
        self._account = account
        self._is_first = True
        self._last: Result | None = None
        self._sharing: set[tuple[object, ...]] = set()  # lines with the last one's effect that need not repeat it

    def __repr__(self) -> str:
        return f"<LineMaker of run {self.run}>"

    def line(self, result: Result) -> bytes:
        """Return the next line, with its line end."""
        more: dict[str, Any] = {"run": self.run} if self.run or self._is_first else {}
        if self._is_first and self._account:
            more["account"] = self._account
        self._is_first = False
        return result.to_json(has_effect=not self._is_written(result), **more) + b"\n"

    def _is_written(self, result: Result) -> bool:
        """Whether an earlier line has the effect. Results that share one come one after the other."""
        last, self._last = self._last, result
        if last is None or result.change != last.change or not _is_same_effect(result, last):
            self._sharing = set()
        if result.change is None and result.before is None and result.after is None and result.changes is None:
            return False
        lines = sharing(result.change, result.kind, result.id, result.status)
        if lines in self._sharing:
            return True
        self._sharing.add(lines)
        return False


def sharing(change: int | None, kind: str | None, id: str | None, status: str) -> tuple[object, ...]:
    """Return what those lines of one run have in common that share an effect."""
    return (change,) if change is not None else (kind, id, status)


def _is_same_effect(one: Result, other: Result) -> bool:
    return one.before is other.before and one.after is other.after and one.changes is other.changes
