"""Reads the account's links as jobs. A run of these jobs changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

from linker import log
from linker.api.answers import Answer, Listed
from linker.api.lists import Listing, PageRequest
from linker.api.requests import Request
from linker.errors import ExportFailed, InvalidJob, UsageError
from linker.model.job import LinkJob, Links, sorted_ids
from linker.model.target import Kind, Target
from linker.ratelimit.limiter import RateLimiter
from linker.records.names import NameLookup
from linker.retry.pages import pages
from linker.retry.sender import Fetch, Sender
from linker.retry.verdict import GiveUp
from linker.sessions.pool import SessionPool
from linker.sessions.token import Token
from linker.settings import Settings

_NOT_ALL: Final = "what was exported is not all there is"


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
        ExportFailed: a page, or a target whose links the list does not show, could not be read; or no answer showed
            any links, which does not prove that there are none.
    """
    stop = asyncio.Event()
    async with SessionPool(settings, token, limiter, stop) as pool:
        fetch = Sender(settings, pool, limiter).fetch
        naming = NameLookup(fetch, names) if names is not None else None
        seen: set[str] = set()
        are_shown = False
        async with aclosing(pages(fetch, listing.page)) as answers:
            async for request, answer in answers:
                for item in _items(_read(request, answer)):
                    name = item.reference or item.id
                    if not name:
                        raise ExportFailed(f"the list of {listing} shows something without a name; {_NOT_ALL}")
                    if name in seen:  # a list that changes while it is read may show a target twice
                        continue
                    seen.add(name)
                    links = item.links if item.links is not None else await _links_of(fetch, listing.kind, name)
                    are_shown = are_shown or links is not None
                    job = _job(listing.kind, name, links or {}, field)
                    if job is not None:
                        yield job if naming is None else await naming.named(job)
        if naming is not None and naming.unnamed:
            log.get_logger().warning(log.UNNAMED, records=naming.unnamed)
        if seen and not are_shown:
            raise ExportFailed(f"no answer shows any links of {listing}, so what they are is not known")


async def _links_of(fetch: Fetch, kind: Kind, name: str) -> Links | None:
    """Read the links of a target whose list does not show them; None if its own answers do not show them either."""
    for whole in (False, True):
        request = Request(Target.parse(name, kind), whole=whole)
        answer = _read(request, await fetch(request))
        if answer.links is not None:
            return answer.links
    return None


def _read(request: Request | PageRequest, answer: Answer | GiveUp) -> Answer:
    if isinstance(answer, GiveUp):
        if isinstance(request, PageRequest) and request.number == 1 and answer.http_status == 404:
            raise UsageError(f"{request}: {answer.error.message}; is the scope right, and may the token see it?")
        raise ExportFailed(f"{request}: {answer.error.message}; {_NOT_ALL}")
    return answer


def _items(answer: Answer) -> tuple[Listed, ...]:
    return answer.page.items if answer.page is not None else ()


def _job(kind: Kind, name: str, links: Links, field: str | None) -> LinkJob | None:
    exported = {key: sorted_ids(ids) for key, ids in links.items() if ids and field in (None, key)}
    try:
        return LinkJob(name, exported, kind=kind) if exported else None
    except InvalidJob as error:
        raise ExportFailed(f"{kind} {name} holds what no job can ask for: {error}; {_NOT_ALL}") from None
