"""Checks an account and job files before anything is written: the token, the limits, the link fields, the rows."""

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
from linker.errors import Stopped, Unreachable, UsageError
from linker.model.job import is_field
from linker.model.target import Kind
from linker.pipeline.intake import Intake
from linker.ratelimit.limiter import RateLimiter
from linker.records.fields import Definition, Fields, read_fields
from linker.records.layouts import LayoutGap, read_gaps
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


@dataclass(frozen=True, slots=True)
class LinkField:
    """A many-to-many field of a kind. `table` is such as `PRJ1/customers`, None if unknown."""

    kind: Kind
    key: str
    name: str
    table: str | None


@dataclass(frozen=True, slots=True)
class FileCheck:
    """Job files, checked against the account's fields and records, but not against what the targets hold.

    `rejected` counts what a run would reject, with examples.
    """

    jobs: int
    targets: int
    new_records: int
    rejected: Summary
    gaps: list[LayoutGap]
    """Layouts that lack a field of the jobs, so that the account ignores its links there; empty if it does not tell."""


@dataclass(slots=True)
class Check:
    """An account as its token sees it. What the account does not report is None."""

    url: str
    problem: str | None = None
    """Why nothing could be read: the token is rejected, or the account cannot be reached."""
    user: str | None = None
    email: str | None = None
    account: str | None = None
    workspaces: int | None = None
    limit: RateLimit | None = None
    """As the account's last answer reports it."""
    fields: list[LinkField] | None = None
    files: FileCheck | None = None
    files_problem: str | None = None
    """Why no run could begin with the files, for example because the table of a field is not known."""

    @property
    def ok(self) -> bool:
        """Whether the token is accepted, and no line of the files would be rejected."""
        all_accepted = self.files is None or not self.files.rejected.rejected
        return self.problem is None and self.files_problem is None and all_accepted


async def checked(settings: Settings, token: Token, limiter: RateLimiter, sources: Sequence[Source]) -> Check:
    """Check an account, and job files if there are any. Nothing is written.

    Raises:
        UsageError: a file cannot be used, or a `table` of the settings is not of the form FIELD=PRODUCT/TABLE.
    """
    check = Check(settings.base_url)
    for source in sources:
        source.check(settings.encoding)
    given = dict(map(parse_table, settings.table))
    async with SessionPool(settings, token, limiter, asyncio.Event()) as pool:
        sender = Sender(settings, pool, limiter)

        async def read(request: ReadRequest) -> Answer | GiveUp:
            answer = await sender.fetch(request)
            if isinstance(answer, Answer):
                check.limit = answer.limit or check.limit
            return answer

        try:
            fields = await _check_account(check, given, read)
            if sources and check.problem is None:
                check.files = await _read_files(settings, read, sources, fields if settings.preflight else None)
        except (Stopped, Unreachable) as error:
            check.problem = str(error)
        except UsageError as error:
            check.files_problem = str(error)
    return check


async def _check_account(check: Check, given: Mapping[str, Listing], read: Read) -> Fields | None:
    me = await read(ME)
    if not isinstance(me, Answer):
        check.problem = f"linker cannot see whose token this is: {me.error.message}"
        return None
    user = (me.value or {})["user"]
    check.user, check.email = _text(user.get("name")), _text(user.get("email"))
    match user.get("accounts"):
        case [{"account": {"name": str(name)}}, *_]:
            check.account = plain(name)
    prefixes = await workspace_prefixes(check, read)
    fields = await read_fields(read)
    if fields is not None:
        check.fields = await link_fields(fields, given, read, prefixes)
    return fields


async def workspace_prefixes(check: Check, read: Read) -> Mapping[str, str]:
    """Return the reference prefixes of the first 200 products by their ids."""
    answer = await read(PRODUCTS)
    if not isinstance(answer, Answer) or answer.value is None:
        return {}
    match answer.value:
        case {"pagination": {"total_records": int(total)}}:
            check.workspaces = total
    products = ((str(item.get("id")), item.get("reference_prefix")) for item in answer.value["products"])
    return {id: prefix for id, prefix in products if isinstance(prefix, str) and is_field(prefix)}


async def link_fields(
    fields: Fields, given: Mapping[str, Listing], read: Read, prefixes: Mapping[str, str]
) -> list[LinkField]:
    """Return the link fields of each kind, with the table that each links to, if an answer shows it.

    Args:
        given: tables by field, as the settings say.
        prefixes: reference prefixes of products by their ids.
    """
    found: list[LinkField] = []
    by_kind: dict[Kind, list[Definition]] = {}
    for definition in fields.links():
        by_kind.setdefault(definition.kind, []).append(definition)
    for kind, definitions in by_kind.items():
        unknown = {field.key for field in definitions if field.table is None and field.key not in given}
        used = await tables_in_use(read, kind, unknown) if unknown else {}
        for field in definitions:
            table: Listing | None = given.get(field.key) or field.table or used.get(field.key)
            place = _place(table, prefixes) if table is not None else None
            found.append(LinkField(kind, field.key, field.name, place))
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
    for _, jobs in batch.desired_states():
        for job, error in jobs:
            rejected.add(Result.rejected(job, error))
    gaps = await read_gaps(read, preflight.used) if settings.preflight and targets else []
    return FileCheck(intake.jobs, targets, preflight.names.new, rejected, gaps)


def _text(value: object) -> str | None:
    return plain(value) if isinstance(value, str) and value.strip() else None
