"""Deletes the records that a run has created, after its undo."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from linker.model.job import sorted_ids
from linker.ratelimit.limiter import RateLimiter
from linker.records.delete import AT_ONCE, Deletion, RecordDeleter
from linker.results.undo import UndoFile
from linker.retry.sender import Sender
from linker.sessions.pool import SessionPool
from linker.sessions.token import Token
from linker.settings import Settings
from linker.sources import Reading


async def deleted(settings: Settings, token: Token, limiter: RateLimiter, undo: UndoFile) -> AsyncGenerator[Deletion]:
    """Delete the records that the run of a results file has created; yield what becomes of each, as it is known.

    Raises:
        UsageError: the file cannot be read, is no results file, or belongs to another account.
        Stopped: the account rejects the token, or cannot be reached.
    """
    undo.check_account(settings.base_url)
    async for _ in undo.entries(Reading()):  # fills `created`
        pass
    ids = iter(sorted_ids(undo.created))
    async with SessionPool(settings, token, limiter, asyncio.Event()) as pool:
        deleter = RecordDeleter(settings, Sender(settings, pool, limiter))
        in_flight: set[asyncio.Task[Deletion]] = set()
        try:
            while True:
                while len(in_flight) < AT_ONCE and (id := next(ids, None)) is not None:
                    in_flight.add(asyncio.create_task(deleter.delete(id)))
                if not in_flight:
                    return
                ended, in_flight = await asyncio.wait(in_flight, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    yield task.result()
        finally:
            for task in in_flight:
                task.cancel()
            await asyncio.gather(*in_flight, return_exceptions=True)
