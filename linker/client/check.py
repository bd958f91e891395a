"""What is known of an account before anything is written: whose the token is, the limits, the link fields; and whether
job files go with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from linker.api.answers import Answer
from linker.api.headers import RateLimit
from linker.api.lists import Listing
from linker.api.requests import ME, PRODUCTS, ReadRequest
from linker.batch.batch import Batch
from linker.errors import Stopped, UsageError
from linker.model.job import is_field
from linker.model.target import Kind
from linker.pipeline.intake import Intake
from linker.ratelimit.limiter import RateLimiter
from linker.records.fields import Definition, Fields, read_fields
from linker.records.preflight import Preflight
from linker.records.table import parse_table, tables_in_use
from linker.results.result import Result
from linker.results.summary import Summary
from linker.retry.sender import Read, Sender
from linker.retry.verdict import GiveUp
from linker.sessions.pool import SessionPool
from linker.sessions.token import Token
from linker.settings import Settings
from linker.sources import Source
from linker.text import plain

__all__ = ["Check", "FileCheck", "LinkField", "checked"]


@dataclass(frozen=True, slots=True)
class LinkField:
    """A many-to-many field of a kind. `table` is `PRJ1/customers`, None where nothing tells it."""

    kind: Kind
    key: str
    name: str
    table: str | None


@dataclass(frozen=True, slots=True)
class FileCheck:
    """Job files against the account's fields and records; what the targets hold is not looked at.

    `rejected` counts what a run would reject, with examples.
    """

    jobs: int
    targets: int
    new_records: int
    rejected: Summary


@dataclass(slots=True)
class Check:
    """An account as its token sees it. What the account does not tell is None."""

    url: str
    problem: str | None = None
    """Why nothing could be read: a token that is not taken, an account that is not there."""
    user: str | None = None
    email: str | None = None
    account: str | None = None
    workspaces: int | None = None
    limit: RateLimit | None = None
    """By the account's own word, in its last answer."""
    fields: list[LinkField] | None = None
    files: FileCheck | None = None
    files_problem: str | None = None
    """Why no run could begin with the files: it is not known which table their names are of."""

    @property
    def ok(self) -> bool:
        """The token is taken, and no line of the files would be rejected."""
        well = self.files is None or not self.files.rejected.rejected
        return self.problem is None and self.files_problem is None and well


async def checked(settings: Settings, token: Token, limiter: RateLimiter, sources: Sequence[Source]) -> Check:
    """Look at an account, and at job files if there are any. Nothing is written.

    Raises:
        UsageError: a file cannot be used, or the settings say what is no table.
    """
    check = Check(settings.base_url)
    for source in sources:
        source.check()
    given = dict(map(parse_table, settings.table))
    async with SessionPool(settings, token, limiter, asyncio.Event()) as pool:
        sender = Sender(settings, pool, limiter)

        async def read(look: ReadRequest) -> Answer | GiveUp:
            answer = await sender.fetch(look)
            if isinstance(answer, Answer):
                check.limit = answer.limit or check.limit
            return answer

        try:
            fields = await _look(check, given, read)
            if sources and check.problem is None:
                check.files = await _read_files(settings, read, sources, fields if settings.preflight else None)
        except Stopped as error:
            check.problem = str(error)
        except UsageError as error:
            check.files_problem = str(error)
    return check


async def _look(check: Check, given: Mapping[str, Listing], read: Read) -> Fields | None:
    me = await read(ME)
    if not isinstance(me, Answer):
        check.problem = f"the account does not tell whose token this is: {me.error.message}"
        return None
    user = (me.value or {})["user"]
    check.user, check.email = _text(user.get("name")), _text(user.get("email"))
    match user.get("accounts"):
        case [{"account": {"name": str(name)}}, *_]:
            check.account = plain(name)
    prefixes = await _prefixes(check, read)
    fields = await read_fields(read)
    if fields is not None:
        check.fields = await _link_fields(fields, given, read, prefixes)
    return fields


async def _prefixes(check: Check, read: Read) -> Mapping[str, str]:
    """The reference prefix of each product by its id: of the first 200."""
    answer = await read(PRODUCTS)
    if not isinstance(answer, Answer) or answer.value is None:
        return {}
    match answer.value:
        case {"pagination": {"total_records": int(total)}}:
            check.workspaces = total
    told = ((str(item.get("id")), item.get("reference_prefix")) for item in answer.value["products"])
    return {id: prefix for id, prefix in told if isinstance(prefix, str) and is_field(prefix)}


async def _link_fields(
    fields: Fields, given: Mapping[str, Listing], read: Read, prefixes: Mapping[str, str]
) -> list[LinkField]:
    found: list[LinkField] = []
    by_kind: dict[Kind, list[Definition]] = {}
    for each in fields.links():
        by_kind.setdefault(each.kind, []).append(each)
    for kind, definitions in by_kind.items():
        unknown = {each.key for each in definitions if each.table is None and each.key not in given}
        used = await tables_in_use(read, kind, unknown) if unknown else {}
        for each in definitions:
            table: Listing | None = given.get(each.key) or each.table or used.get(each.key)
            found.append(LinkField(kind, each.key, each.name, _place(table, prefixes) if table is not None else None))
    return found


def _place(table: Listing, prefixes: Mapping[str, str]) -> str:
    return replace(table, parent=prefixes.get(table.parent, table.parent)).place


async def _read_files(settings: Settings, read: Read, sources: Sequence[Source], fields: Fields | None) -> FileCheck:
    preflight, batch, rejected = Preflight(settings, read, fields), Batch(settings.mode), Summary()
    intake = Intake(settings, sources, batch, preflight)
    async with aclosing(intake.read()) as rejections:
        async for results in rejections:
            for result in results:
                rejected.add(result)
    for job, error in batch.reject(await preflight.faults()):
        rejected.add(Result.rejected(job, error))
    targets = batch.targets
    for _, ill in batch.desired_states():
        for job, error in ill:
            rejected.add(Result.rejected(job, error))
    return FileCheck(intake.jobs, targets, preflight.names.new, rejected)


def _text(value: object) -> str | None:
    return plain(value) if isinstance(value, str) and value.strip() else None
