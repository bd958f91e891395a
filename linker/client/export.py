"""Reads the account's links as jobs. A run of these jobs changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Final

from linker import log
from linker.api.answers import Answer, Listed
from linker.api.lists import Listing, PageRequest
from linker.api.requests import Request
from linker.api.visibility import Endpoint, Visibility
from linker.errors import ExportFailed, InvalidJob, UsageError
from linker.model.job import LinkJob, sorted_ids
from linker.model.target import Target
from linker.pipeline.mirror import SCOUTS, leaves_out_links
from linker.ratelimit.limiter import RateLimiter
from linker.records.lookup import NameLookup
from linker.records.title import TitleFields
from linker.retry.pages import pages
from linker.retry.sender import Fetch, Sender
from linker.retry.verdict import GiveUp
from linker.sessions.pool import SessionPool
from linker.sessions.token import Token
from linker.settings import Settings

_NOT_ALL: Final = "the export is incomplete"


async def exported(
    settings: Settings,
    token: Token,
    limiter: RateLimiter,
    listing: Listing,
    field: str | None,
    names: Callable[[str], bool] | None = None,
) -> AsyncGenerator[LinkJob, None]:
    """Yield a job for each target of a list that has links, in the order of the list.

    Args:
        names: use the names of records instead of their ids, if this returns True for the name.

    Raises:
        UsageError: the account has no such list.
        ExportFailed: a page, or a target whose links the list leaves out, could not be read; or products show no links,
            which does not prove that they have none.
    """
    stop = asyncio.Event()
    async with SessionPool(settings, token, limiter, stop) as pool:
        fetch = Sender(settings, pool, limiter).fetch
        naming = NameLookup(fetch, names, TitleFields(settings.name_field)) if names is not None else None
        async with aclosing(_jobs(listing, field, fetch)) as jobs:
            async for job in jobs:
                yield job if naming is None else await naming.named(job)
        if naming is not None and naming.unnamed:
            log.get_logger().warning(log.UNNAMED, records=naming.unnamed)


async def _jobs(listing: Listing, field: str | None, fetch: Fetch) -> AsyncGenerator[LinkJob, None]:
    kind, visibility = listing.kind, Visibility()
    seen: set[str] = set()
    without_links: list[Target] = []  # until the list has shown some
    async with aclosing(pages(fetch, listing.page)) as answers:
        async for request, answer in answers:
            for item in _items(_read(request, answer)):
                name = item.reference or item.id
                if not name:
                    raise ExportFailed(
                        f"the list of {listing.words} shows an item without id and reference; {_NOT_ALL}"
                    )
                if name in seen:  # a list that changes while it is read may show a target twice
                    continue
                seen.add(name)
                links = visibility.observe(kind, Endpoint.LIST, item)
                if visibility.is_proved(kind, Endpoint.LIST):
                    without_links.clear()
                elif links is None:
                    without_links.append(Target.parse(name, kind))
                if (job := _job(Target.parse(name, kind), item, field)) is not None:
                    yield job
    if await leaves_out_links(kind, without_links[:SCOUTS], fetch, visibility):
        if visibility.hides(kind):
            raise ExportFailed(f"no answer shows the links of {listing.words}, so linker cannot export them")
        async for job in _read_singly(without_links, fetch, field):
            yield job
    elif without_links:
        log.get_logger().warning(log.NO_LINKS_SEEN, list=str(listing), targets=len(without_links))


async def _read_singly(targets: Sequence[Target], fetch: Fetch, field: str | None) -> AsyncIterator[LinkJob]:
    """Yield the jobs of targets whose list leaves out their links."""
    for target in targets:
        request = Request(target)
        job = _job(target, _read(request, await fetch(request)).target, field)
        if job is not None:
            yield job


def _read(request: Request | PageRequest, answer: Answer | GiveUp) -> Answer:
    if isinstance(answer, GiveUp):
        if isinstance(request, PageRequest) and request.number == 1 and answer.http_status == 404:
            raise UsageError(f"{answer.error.message}. Check the scope")
        if answer.http_status in (403, 404):  # the message names what was read
            raise ExportFailed(f"{answer.error.message}; {_NOT_ALL}")
        raise ExportFailed(f"linker cannot read {request.subject}: {answer.error.message}; {_NOT_ALL}")
    return answer


def _items(answer: Answer) -> tuple[Listed, ...]:
    return answer.page.items if answer.page is not None else ()


def _job(target: Target, item: Listed, field: str | None) -> LinkJob | None:
    """The job that would restore the links of a target; None if it has none."""
    if item.unreadable and (field is None or item.obscures((field,))):
        raise ExportFailed(f"{target} shows links in a form that linker cannot read; {_NOT_ALL}")
    links = {key: sorted_ids(ids) for key, ids in (item.links or {}).items() if ids and field in (None, key)}
    try:
        return LinkJob(target.id, links, kind=target.kind) if links else None
    except InvalidJob as error:
        raise ExportFailed(f"the links of {target} cannot be written as a row: {error}; {_NOT_ALL}") from None
