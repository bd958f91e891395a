"""Suggests names that may have been meant, and notices if a whole column of names is the wrong one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from linker import log
from linker.model.name import Name
from linker.records.index import RecordIndex, key_of
from linker.records.table import Table
from linker.text import plain, quoted

_MOST: Final = 100
"""The most unknown names that are compared with all records, which takes 4 ms a name for 20,000 records."""

_ENOUGH: Final = 100
"""The number of different names after which it is said that (nearly) none of them is known."""

_FEW: Final = 2
"""So many of them may be known by chance."""


class Suggestions:
    """The suggestions of one run, and a count of the names that it looks up."""

    def __init__(self) -> None:
        self._near: dict[tuple[Table, Name], str] = {}
        self._names: dict[tuple[str, str], dict[str, bool]] = {}  # table and field -> name -> whether it is known
        self._log = log.get_logger()

    def __repr__(self) -> str:
        return f"<Suggestions for {len(self._near)} names>"

    async def near(self, table: Table, records: RecordIndex, name: Name) -> str:
        """Return what may have been meant, as the end of a message; empty if nothing is near.

        It is searched once a name, in a thread, because a long table takes time; after 100 names no more is searched.
        """
        hint = self._near.get((table, name))
        if hint is not None:
            return hint
        if len(self._near) >= _MOST:
            return f"; linker suggests similar names for the first {_MOST} unknown names only"
        hint = self._near[table, name] = offered(await asyncio.to_thread(records.nearest, name.value))
        return hint

    def count(self, table: str, name: Name, columns: Sequence[str], *, is_known: bool) -> None:
        """Count a name that was looked up. After 100 different ones, warn once if (nearly) none of them is known.

        Args:
            columns: the columns of a table that the row was read from; the last one holds its names.
        """
        names = self._names.setdefault((table, name.field), {})
        if len(names) >= _ENOUGH:
            return
        names[key_of(name.value, name.field)] = is_known
        if len(names) < _ENOUGH or (known := sum(names.values())) > _FEW:
            return
        which = f"in the column {quoted(columns[-1])}" if columns else f"given as {quoted(name.field)}"
        none = "none has" if not known else "only 1 has" if known == 1 else f"only {known} have"
        self._log.warning(
            log.NAMES_UNKNOWN,
            why=f"of the first {_ENOUGH} names {which}, {none} a record in {plain(table)}; check the column and "
            "the table",
        )


def offered(near: Sequence[tuple[str, str]]) -> str:
    """Return names and ids as the end of a message: `; did you mean "Acme Corp" (640362830)?`."""
    if not near:
        return ""
    return f"; did you mean {' or '.join(f'{quoted(value)} ({id})' for value, id in near)}?"
