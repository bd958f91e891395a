"""Looks for records whose POST was not answered: by the table's list and by a search, several times.

An account may carry out a POST after its gateway has given up, and its list may show a new record late. So one look
that finds nothing proves nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from linker.api.answers import Answer
from linker.api.lists import Listing
from linker.api.requests import records_named
from linker.errors import ErrorType, InvalidJob, Stopped, UsageError
from linker.model.ids import exact_id
from linker.model.name import TITLE
from linker.records.index import RecordIndex
from linker.records.names import NameResolver
from linker.records.table import Table, read_table
from linker.retry.sender import Sender
from linker.settings import Settings
from linker.text import same_name

_LOOKS: Final = (2 / 75, 8 / 75, 30 / 75, 1.0)
"""When to look, as parts of `Settings.create_wait`: after 2, 8, 30 and 75 s."""

_TOGETHER_S: Final = 1.0
"""A look that began so much earlier serves another name as well."""


class Doubt(msgspec.Struct, frozen=True):
    """A POST that may have been carried out.

    `sent_at` and `since` are when it left and when its answer was missed, in loop time. `wait_s` is how long the
    account has asked to wait.
    """

    why: str
    type: ErrorType
    sent_at: float
    since: float
    wait_s: float = 0.0


def settled_s(settings: Settings) -> float:
    """Seconds after a POST left when a table without its record shows that it was not carried out.

    250 s by default: the account may take two minutes to carry it out, and two minutes to show it.
    """
    return settings.create_wait * 10 / 3


class DoubtfulRecords:
    """The looks for records of one run. Several names in doubt share each read of their table."""

    def __init__(self, settings: Settings, names: NameResolver, sender: Sender) -> None:
        self._settings = settings
        self._names = names
        self._sender = sender
        self._looking = asyncio.Lock()
        self._looks: dict[Table, tuple[float, RecordIndex | str]] = {}  # when it began, what it found or why nothing
        self._ended = asyncio.Event()

    def __repr__(self) -> str:
        return f"<DoubtfulRecords, {len(self._looks)} tables>"

    def end(self) -> None:
        """Wait for no further look: the run is being stopped."""
        self._ended.set()

    async def find(self, table: Table, name: str, doubt: Doubt) -> tuple[list[str], str]:
        """Return the ids of the records with this name as soon as there is one, and why the last look failed if it did.

        The last look is made once `create_wait` and the request's own time-out have passed.

        Raises:
            asyncio.CancelledError: the run is being stopped.
        """
        times = [doubt.since + max(doubt.wait_s, part * self._settings.create_wait) for part in _LOOKS]
        times[-1] = max(times[-1], doubt.sent_at + self._settings.timeout_s)
        return await self._find(table, name, times)

    async def find_earlier(self, table: Table, name: str, sent_at: float) -> tuple[list[str], str]:
        """Do what `find` does for a POST of an earlier run, and for longer: until its record would be seen for certain.

        Args:
            sent_at: when it left, in loop time; it may be before this loop began.
        """
        now = asyncio.get_running_loop().time()
        times = [sent_at + part * self._settings.create_wait for part in _LOOKS]
        times.append(sent_at + settled_s(self._settings))
        return await self._find(table, name, [at for at in times if at > now] or [now])

    async def _find(self, table: Table, name: str, times: Sequence[float]) -> tuple[list[str], str]:
        why = ""
        for number, at in enumerate(times, start=1):
            await self._wait_until(at)
            records = await self._look(table, at if number == len(times) else at - _TOGETHER_S)
            if isinstance(records, str):
                why, ids = records, []
            else:
                why = "" if records.whole else "the table lists fewer records than it reports"
                ids = records.ids(name)
            if ids := ids or await self._search(table[0], self._names.title(table), name):
                return ids, ""
        return [], why

    async def _wait_until(self, at: float) -> None:
        try:
            async with asyncio.timeout_at(at):
                await self._ended.wait()
        except TimeoutError:
            return
        raise asyncio.CancelledError

    async def _look(self, table: Table, since: float) -> RecordIndex | str:
        """Read a table, unless it was read after `since`; return its records, or why it cannot be read."""
        async with self._looking:
            began, records = self._looks.get(table, (-1.0, ""))
            if began < since:
                began = asyncio.get_running_loop().time()
                why = "read again because an answer was lost"
                try:
                    records = await read_table(self._sender.fetch, table, TITLE, why=why, titles=self._names.titles)
                except (UsageError, Stopped) as error:
                    records = str(error)
                self._looks[table] = began, records
            return records

    async def _search(self, listing: Listing, title: str, name: str) -> list[str]:
        """Return the ids of the records that a search for the name shows. An account may not search at all."""
        answer = await self._sender.fetch(records_named(listing, name))
        items = (answer.value or {}).get("custom_object_records", ()) if isinstance(answer, Answer) else ()
        ids: list[str] = []
        for item in items:
            if any(same_name(value) == same_name(name) for value in titles_of(item, title)):
                try:
                    ids.append(exact_id(item.get("id")))
                except InvalidJob:
                    continue
        return ids


def titles_of(item: dict[str, object], title: str) -> list[str]:
    """Return the names that an answer shows of a record.

    Args:
        title: the key of the table's title field.
    """
    fields = item.get("custom_fields")
    shown = [
        field.get("value")
        for field in (fields if isinstance(fields, list) else ())
        if isinstance(field, dict) and field.get("key") == title
    ]
    return [value for value in (*shown, item.get("name")) if isinstance(value, str)]
