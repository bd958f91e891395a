"""Creates records for names that their table does not have, each with one POST, however many targets need it.

Two POSTs create two records, and an answer can be lost. So a run asks for a name once; if the answer is lost, the name
is looked up in the table before the POST is repeated; and a resumed run reads the table first, and finds there what a
killed run has created.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

from linker import log
from linker.api.answers import Answer
from linker.api.requests import Create
from linker.errors import Error, ErrorType, InvalidJob, Stopped, UsageError
from linker.model.ids import exact_id
from linker.model.job import TITLE
from linker.model.target import Kind
from linker.ratelimit.limiter import Closed
from linker.records.index import RecordIndex
from linker.records.names import NameResolver, NewRecord
from linker.records.table import Table, name_of, read_table
from linker.retry.sender import Sender
from linker.retry.verdict import GiveUp
from linker.text import harmless, quoted

ConfirmNew: TypeAlias = Callable[[Sequence[NewRecord]], Awaitable[bool | None]]
"""Called with the records to be created; returns whether to create them, or None if the run is being stopped."""


class RecordCreator:
    """Creates the missing records of one run.

    Args:
        confirm: asked once, before the first record is created; without it, all are created.
    """

    def __init__(self, names: NameResolver, sender: Sender, confirm: ConfirmNew | None = None) -> None:
        self._names = names
        self._sender = sender
        self._confirm = confirm
        self._asking = asyncio.Lock()
        self._is_allowed: bool | None = None if confirm is not None else True
        self._tasks: dict[tuple[Table, str], asyncio.Task[str | Error]] = {}
        self._looking = asyncio.Lock()
        self._looks: dict[Table, tuple[float, RecordIndex]] = {}  # when the look began, and what was found
        self._log = log.get_logger()
        self.count = 0
        """Records that were created."""

    def __repr__(self) -> str:
        return f"<RecordCreator, {self.count} records>"

    @property
    def is_needed(self) -> bool:
        """Whether there are names without a record."""
        return self._names.new > 0

    @property
    def is_refused(self) -> bool:
        """Whether somebody was asked, and said no."""
        return self._is_allowed is False

    async def create(
        self, kind: Kind, names: Mapping[str, Sequence[str]], owner: asyncio.TaskGroup
    ) -> tuple[dict[str, dict[str, str]], dict[str, dict[str, Error]]]:
        """Return the ids of these records by field and name, and the errors of those that cannot be created.

        Args:
            names: by field.
            owner: owns the requests, because a caller may be cancelled while others wait for the same record.

        Raises:
            Closed: the run is being stopped.
        """
        if not await self._may_create():
            refused = {field: {name: _refused(name) for name in missing} for field, missing in names.items()}
            return {}, refused
        asked: list[tuple[str, str, asyncio.Task[str | Error]]] = []
        for field, missing in names.items():
            table = await self._names.table(kind, field)
            for name in missing:
                if (table, name) not in self._tasks:
                    self._tasks[table, name] = owner.create_task(self._create(table, name))
                asked.append((field, name, self._tasks[table, name]))
        await asyncio.wait({task for _, _, task in asked})
        ids: dict[str, dict[str, str]] = {}
        errors: dict[str, dict[str, Error]] = {}
        for field, name, task in asked:
            if task.cancelled():
                raise Closed
            created = task.result()
            if isinstance(created, Error):
                errors.setdefault(field, {})[name] = created
            else:
                ids.setdefault(field, {})[name] = created
        return ids, errors

    async def _may_create(self) -> bool:
        """Ask before the first record is created. Raises `Closed` if there is no answer because the run is stopped."""
        async with self._asking:
            if self._is_allowed is None and self._confirm is not None:
                self._is_allowed = await self._confirm(self._names.new_records)
        if self._is_allowed is None:
            raise Closed
        return self._is_allowed

    async def _create(self, table: Table, name: str) -> str | Error:
        create = Create(table[0], {self._names.title(table): name})
        answer = await self._sender.fetch(create, lambda: self._arrived(table, name))
        if isinstance(answer, GiveUp):
            message = f"the record {name!r} could not be created: {answer.error.message}"
            return Error(answer.error.type, message, answer.error.retryable)
        try:
            id = exact_id((answer.value or {})["custom_object_record"]["id"])
        except (InvalidJob, KeyError, TypeError):
            return Error(ErrorType.BAD_ANSWER, f"the record {name!r} was created, and the answer does not tell its id")
        self.count += 1
        self._log.info(log.RECORD_CREATED, table=name_of(table), name=harmless(name), id=id)
        return id

    async def _arrived(self, table: Table, name: str) -> Answer | GiveUp | None:
        """Look up a record whose POST was not answered.

        Return the answer that the POST would have had if the record exists, a reason to give up if that cannot be
        found out, and None if the POST can be repeated.
        """
        since = asyncio.get_running_loop().time()
        async with self._looking:
            began, records = self._looks.get(table, (-1.0, RecordIndex(TITLE)))
            if began < since:
                began = asyncio.get_running_loop().time()
                try:
                    records = await read_table(
                        self._sender.fetch, table, TITLE, why="after a lost answer", titles=self._names.titles
                    )
                except (UsageError, Stopped) as error:
                    message = f"no answer came, and whether it is there by now cannot be seen: {error}"
                    return GiveUp(Error(ErrorType.CONNECTION, message, retryable=True), None)
                self._looks[table] = began, records
        ids = records.ids(name)
        if not ids and not records.whole:
            message = "no answer came, and the table shows fewer records than it says it has: it may be there"
            return GiveUp(Error(ErrorType.CONNECTION, message, retryable=True), None)
        if len(ids) > 1:
            return GiveUp(Error(ErrorType.UNKNOWN_RECORD, f"there are {len(ids)} of that name by now"), None)
        return Answer(200, value={"custom_object_record": {"id": ids[0]}}) if ids else None


def _refused(name: str) -> Error:
    why = "and you chose not to create it; correct the name, or run again and answer yes"
    return Error(ErrorType.UNKNOWN_RECORD, f"no record has the name {quoted(name)}, {why}")
