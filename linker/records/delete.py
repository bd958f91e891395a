"""Deletes records that a run has created, if nothing links to them any more.

A record says itself what links to it (`linked_records`, by the vendor's examples, which show `[]` where nothing does).
It is read right before each DELETE, and again before a repeated one. If its answer does not say what links to it, the
record stays: nobody can tell whether others use it by now.
"""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Final

import msgspec

from linker import log
from linker.api.answers import Answer
from linker.api.requests import Delete, record_with_linkers
from linker.errors import InvalidJob
from linker.model.ids import exact_id
from linker.retry.sender import Sender
from linker.retry.verdict import GiveUp
from linker.settings import Settings

AT_ONCE: Final = 8
"""Records that are deleted at once. With 2 s of latency, 8 requests in flight use most of Aha!'s usual 300 a minute."""


class Ending(StrEnum):
    """What became of a record that was to be deleted."""

    DELETED = "deleted"
    GONE = "gone"
    """It did not exist any more."""
    LINKED = "linked"
    """Something links to it, so it stays."""
    FAILED = "failed"
    """It stays because it cannot be seen what links to it, or because the account refused."""


class Deletion(msgspec.Struct, frozen=True):
    """What became of one record, and why it stays if it does."""

    id: str
    ending: Ending
    why: str = ""


class RecordDeleter:
    """Deletes records of one account, one after the other or several at once."""

    def __init__(self, settings: Settings, sender: Sender) -> None:
        slowest_s = max((rate.seconds / rate.requests for rate in settings.parts), default=0.0)
        self._max_age_s = max(settings.max_age, 2 * AT_ONCE * slowest_s)  # else a slow rate would let nothing be sent
        self._sender = sender
        self._log = log.get_logger()

    def __repr__(self) -> str:
        return f"<RecordDeleter, reads are used for {self._max_age_s:g} s>"

    async def delete(self, id: str) -> Deletion:
        """Delete a record unless something links to it.

        Raises:
            InvalidJob: this is no id of a record.
            Stopped: the run must end, for example because the account rejects the token.
        """
        deletion = await self._delete(id)
        self._log.info(log.RECORD_DELETED, id=id, ending=deletion.ending.value, why=deletion.why)
        return deletion

    async def _delete(self, id: str) -> Deletion:
        read_at = asyncio.get_running_loop().time()
        if (stays := await self._look(id)) is not None:
            return stays
        found: Deletion | None = None
        looks = 1

        async def look_again() -> Answer | None:
            nonlocal read_at, found, looks
            read_at = asyncio.get_running_loop().time()
            looks += 1
            found = await self._look(id)
            return Answer(0) if found is not None else None

        def is_recent(now: float) -> bool:
            return now - read_at <= self._max_age_s

        answer = await self._sender.fetch(Delete(id), look_again, is_recent=is_recent)
        if found is not None:  # it is gone after a DELETE whose answer was lost
            return Deletion(id, Ending.DELETED) if found.ending is Ending.GONE else found
        if isinstance(answer, Answer):
            return Deletion(id, Ending.DELETED)
        if answer.http_status == 404:
            return Deletion(id, Ending.DELETED if looks > 1 else Ending.GONE)
        return _failed(id, "could not be deleted", answer)

    async def _look(self, id: str) -> Deletion | None:
        """Read a record, and return why it is not to be deleted; None if nothing links to it."""
        answer = await self._sender.fetch(record_with_linkers(id))
        if isinstance(answer, GiveUp):
            return Deletion(id, Ending.GONE) if answer.http_status == 404 else _failed(id, "cannot be read", answer)
        item = (answer.value or {}).get("custom_object_record", {})
        linkers = item.get("linked_records")
        if not isinstance(linkers, list) or not _is_same(item.get("id"), id):
            return Deletion(
                id, Ending.FAILED, f"record {id} was kept, because the account does not show what links to it"
            )
        if linkers:
            count = "1 link leads" if len(linkers) == 1 else f"{len(linkers):,} links lead"
            return Deletion(id, Ending.LINKED, f"record {id} was kept, because {count} to it")
        return None


def _failed(id: str, what: str, answer: GiveUp) -> Deletion:
    if answer.http_status in (403, 404):  # the message names the record
        return Deletion(id, Ending.FAILED, answer.error.message)
    return Deletion(id, Ending.FAILED, f"record {id} {what}: {answer.error.message}")


def _is_same(value: object, id: str) -> bool:
    try:
        return exact_id(value) == id
    except InvalidJob:
        return False
