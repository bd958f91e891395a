"""Creates records for names that their table does not have, each with one POST, however many targets need it.

Two POSTs create two records, and an answer can be lost. So a run asks for a name once. After a POST that may have been
carried out, it looks for the record several times, and does not send the POST again. The journal has each POST before
it leaves, so a resume knows of those whose answer a killed run has not seen, and looks for their records first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from linker import log
from linker.api.answers import Answer, Reply
from linker.api.requests import Create
from linker.errors import Error, ErrorType, InvalidJob, RequestFailed, ResultsUnwritable
from linker.model.ids import exact_id
from linker.model.target import Kind
from linker.ratelimit.limiter import Closed
from linker.records.doubt import Doubt, DoubtfulRecords, settled_s, titles_of
from linker.records.names import NameResolver, NewRecord
from linker.records.table import Table, name_of
from linker.results.created import OpenCreate
from linker.results.journal import Journal
from linker.retry.sender import Retry, Sender
from linker.retry.verdict import Accept, GiveUp, Pause, describe
from linker.settings import Settings
from linker.text import harmless, quoted, same_name

ConfirmNew: TypeAlias = Callable[[Sequence[NewRecord]], Awaitable[bool | None]]
"""Called with the records to be created; returns whether to create them, or None if the run is being stopped."""

_NOT_CARRIED_OUT: Final = (501, 505)
"""Errors of the server (5xx) that say that it has done nothing."""

_MOST_IN_A_ROW: Final = 3
"""POSTs in a row that stay in doubt, after which this run creates no further record."""

_LATER: Final = "Run again in a minute"
_MOST_SHOWN: Final = 200


class _Creation:
    """The creation of one record. `known` is done when the record exists, cannot be created, or is in doubt."""

    def __init__(self, task: asyncio.Task[str | Error], known: asyncio.Event) -> None:
        self.task = task
        self.known = known
        task.add_done_callback(lambda _: known.set())


class Creations(msgspec.Struct, frozen=True):
    """What became of the records that one target needs: their ids, and errors, by field and name.

    `in_doubt` are the creations that are still being looked for; then the others are not listed either.
    """

    ids: Mapping[str, Mapping[str, str]] = {}
    errors: Mapping[str, Mapping[str, Error]] = {}
    in_doubt: Sequence[asyncio.Task[str | Error]] = ()


class RecordCreator:
    """Creates the missing records of one run.

    Args:
        journal: notes each POST before it leaves; without it, a later run does not know of them.
        confirm: asked once, before the first record is created; without it, all are created.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        settings: Settings,
        names: NameResolver,
        sender: Sender,
        journal: Journal | None = None,
        confirm: ConfirmNew | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._names = names
        self._sender = sender
        self._journal = journal
        self._confirm = confirm
        self._clock = clock
        self._asking = asyncio.Lock()
        self._is_allowed: bool | None = None if confirm is not None else True
        self._creations: dict[tuple[Table, str], _Creation] = {}
        self._doubtful = DoubtfulRecords(settings, names, sender)
        self._in_doubt_in_a_row = 0
        self._made_at = -1.0  # loop time
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

    def pass_over_seen(self) -> None:
        """Keep nothing in the journal for records of earlier runs that their table shows by now."""
        for create in list(self._journal.creates.values()) if self._journal is not None else ():
            if self._journal is not None and self._names.has(create.table, create.name):
                self._journal.pass_over(create)

    def end(self) -> None:
        """Look for no further record: the run is being stopped."""
        self._doubtful.end()

    async def create(self, kind: Kind, names: Mapping[str, Sequence[str]], owner: asyncio.TaskGroup) -> Creations:
        """Create the records with these names, unless that was begun before, and return what became of them.

        Returns early if a record is in doubt: its task ends when it is known whether it exists.

        Args:
            names: by field.
            owner: owns the requests, because a caller may be cancelled while others wait for the same record.

        Raises:
            Closed: the run is being stopped.
        """
        if not await self._may_create():
            return Creations(
                errors={field: {name: _refused(name) for name in missing} for field, missing in names.items()}
            )
        asked: list[tuple[str, str, _Creation]] = []
        for field, missing in names.items():
            table = await self._names.table(kind, field)
            for name in missing:
                if (table, name) not in self._creations:
                    known = asyncio.Event()
                    task = owner.create_task(self._create(table, name, known))
                    self._creations[table, name] = _Creation(task, known)
                asked.append((field, name, self._creations[table, name]))
        for _, _, creation in asked:
            await creation.known.wait()
        if in_doubt := [creation.task for _, _, creation in asked if not creation.task.done()]:
            return Creations(in_doubt=in_doubt)
        ids: dict[str, dict[str, str]] = {}
        errors: dict[str, dict[str, Error]] = {}
        for field, name, creation in asked:
            if creation.task.cancelled():
                raise Closed
            created = creation.task.result()
            if isinstance(created, Error):
                errors.setdefault(field, {})[name] = created
            else:
                ids.setdefault(field, {})[name] = created
        return Creations(ids, errors)

    async def _may_create(self) -> bool:
        """Ask before the first record is created. Raises `Closed` if there is no answer because the run is stopped."""
        async with self._asking:
            if self._is_allowed is None and self._confirm is not None:
                self._is_allowed = await self._confirm(self._names.new_records)
        if self._is_allowed is None:
            raise Closed
        return self._is_allowed

    async def _create(self, table: Table, name: str, known: asyncio.Event) -> str | Error:
        """Create a record, unless an earlier run has; return its id."""
        create = OpenCreate(name_of(table), name, self._clock())
        if self._journal is not None and (left := self._journal.creates.get(create.key)) is not None:
            known.set()
            if (found := await self._created_earlier(table, left)) is not None:
                return found
        if self._in_doubt_in_a_row >= _MOST_IN_A_ROW:
            why = f"the account did not answer the last {_MOST_IN_A_ROW} requests to create a record. {_LATER}"
            return _error(name, ErrorType.CONNECTION, "was not created", why)
        if self._journal is not None:
            try:
                await self._journal.note_create(create)
            except ResultsUnwritable as error:
                self._sender.end(error)
                raise asyncio.CancelledError from None
        answer = await self._post(create, Create(table[0], {self._names.title(table): name}))
        if isinstance(answer, GiveUp):
            if self._journal is not None:
                self._journal.forget_create(create)
            return _error(name, answer.error.type, "could not be created", answer.error.message, answer.error.retryable)
        id = self._id_in(answer, table, name) if isinstance(answer, Answer) else None
        if id is None:
            known.set()
            return await self._seek(table, create, _unclear(answer) if isinstance(answer, Answer) else answer)
        return self._made(create, id)

    async def _created_earlier(self, table: Table, left: OpenCreate) -> str | Error | None:
        """Return the id of a record that an earlier run has asked for; None if it was not created."""
        age_s = self._clock() - left.at
        if left.id is not None:
            return left.id if age_s < settled_s(self._settings) else None  # else somebody has deleted it
        sent_at = asyncio.get_running_loop().time() - max(0.0, age_s)
        ids, why = await self._doubtful.find_earlier(table, left.name, sent_at)
        if why:
            why = f"an earlier run asked for it, and linker cannot see whether it exists now: {why}. {_LATER}"
            return _error(left.name, ErrorType.CONNECTION, "may already exist", why)
        return self._only(left, ids) if ids else None

    async def _seek(self, table: Table, create: OpenCreate, doubt: Doubt) -> str | Error:
        """Look for a record whose POST may have been carried out."""
        self._log.info(log.RECORD_IN_DOUBT, table=create.table, name=harmless(create.name), why=doubt.why)
        ids, why = await self._doubtful.find(table, create.name, doubt)
        if ids:
            return self._only(create, ids)
        if self._made_at < doubt.since:
            self._in_doubt_in_a_row += 1
        unseen = f", and linker cannot see whether it exists now: {why}" if why else ""
        why = f"the account did not confirm its creation ({doubt.why}){unseen}. {_LATER}"
        return _error(create.name, doubt.type, "may already exist", why)

    def _only(self, create: OpenCreate, ids: Sequence[str]) -> str | Error:
        if len(ids) > 1:
            return _error(
                create.name,
                ErrorType.UNKNOWN_RECORD,
                "is not unique",
                f"{len(ids)} records have this name now; give the id of one of them",
                False,
            )
        return self._made(create, ids[0])

    def _made(self, create: OpenCreate, id: str) -> str:
        self.count += 1
        self._in_doubt_in_a_row = 0
        self._made_at = asyncio.get_running_loop().time()
        if self._journal is not None:
            try:
                self._journal.keep_create(msgspec.structs.replace(create, at=self._clock(), id=id))
            except OSError:  # the next PUT finds out, and a resume looks for the record
                self._log.debug(log.RECORD_CREATED, table=create.table, id=id)
        self._log.info(log.RECORD_CREATED, table=create.table, name=harmless(create.name), id=id)
        return id

    def _id_in(self, answer: Answer, table: Table, name: str) -> str | None:
        """Return the id in the answer to a POST; None if it tells none, or shows a record of another name."""
        try:
            item = (answer.value or {})["custom_object_record"]
            id = exact_id(item["id"])
        except (InvalidJob, KeyError, TypeError):
            return None
        shown = titles_of(item, self._names.title(table))
        return id if not shown or any(same_name(each) == same_name(name) for each in shown) else None

    async def _post(self, create: OpenCreate, request: Create) -> Answer | GiveUp | Doubt:
        """Send the POST until it is answered or refused, or may have been carried out.

        Raises:
            asyncio.CancelledError: the run is being stopped.
        """
        attempt = refusal = 0
        while True:
            reply, sent_at = await self._send(create, request)
            attempt += 1
            if reply is None or _may_have_been_carried_out(reply):
                return self._doubt(request, reply, sent_at)
            match self._sender.judge(request, reply, attempt, attempt, refusal):
                case Accept(answer):
                    return answer
                case Retry(after_s):
                    refusal = 0
                    await asyncio.sleep(after_s)
                case Pause():
                    attempt, refusal = attempt - 1, refusal + 1
                case GiveUp() as given_up:
                    self._sender.give_up(request, given_up)
                    if given_up.error.type is ErrorType.UNAUTHORIZED:
                        raise asyncio.CancelledError
                    return given_up

    async def _send(self, create: OpenCreate, request: Create) -> tuple[Reply | None, float]:
        """Send the POST once; return the reply (None: it failed of an outage), and when it left."""
        sent_at: float | None = None

        def choose(now: float) -> Create | None:
            nonlocal sent_at
            if not self._leaves(create):
                return None
            sent_at = now
            return request

        while True:
            try:
                reply = await self._sender.send(choose)
            except Closed:
                if sent_at is None and self._journal is not None:
                    self._journal.forget_create(create)
                raise asyncio.CancelledError from None
            if sent_at is not None:  # else there is an outage, during which nothing leaves
                return reply, sent_at

    def _doubt(self, request: Create, reply: Reply | None, sent_at: float) -> Doubt:
        now = asyncio.get_running_loop().time()
        if reply is None:
            return Doubt("the account did not answer", ErrorType.CONNECTION, sent_at, now)
        wait_s = (reply.retry_after_s or 0.0) if isinstance(reply, Answer) else 0.0
        if wait_s > self._settings.max_wait:
            self._sender.judge(request, reply, 1, 1, 0)  # ends the run
        return Doubt(describe(reply), _type(reply), sent_at, now, wait_s)

    def _leaves(self, create: OpenCreate) -> bool:
        """Note when a POST leaves, which may be long after it was noted first; return whether it may leave."""
        if self._journal is None:
            return True
        try:
            self._journal.keep_create(msgspec.structs.replace(create, at=self._clock()))
        except OSError as error:
            self._sender.end(
                ResultsUnwritable(
                    f"linker cannot write the journal {self._journal.path} ({error.strerror}); nothing more is sent"
                )
            )
            return False
        return True


def _may_have_been_carried_out(reply: Reply) -> bool:
    """Whether the account may have created the record, although it has not said so."""
    if isinstance(reply, RequestFailed):
        return reply.was_sent
    return reply.status == 408 or (reply.status >= 500 and reply.status not in _NOT_CARRIED_OUT)


def _type(reply: Reply) -> ErrorType:
    """The type of the error if the record is not found."""
    if isinstance(reply, RequestFailed):
        return reply.type
    return ErrorType.TIMEOUT if reply.status in (408, 504) else ErrorType.CONNECTION


def _unclear(answer: Answer) -> Doubt:
    now = asyncio.get_running_loop().time()
    return Doubt("the answer does not show the record", ErrorType.BAD_ANSWER, answer.sent_at, now)


def _error(name: str, error: ErrorType, what: str, why: str, retryable: bool = True) -> Error:
    return Error(error, f"the record {quoted(name, _MOST_SHOWN)} {what}: {why}", retryable)


def _refused(name: str) -> Error:
    why = "and you chose not to create it. Correct the name, or run again and answer yes"
    return Error(ErrorType.UNKNOWN_RECORD, f"no record has the name {quoted(name)}, {why}")
