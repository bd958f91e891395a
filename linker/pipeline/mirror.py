"""Finds what `--mirror` clears: a field of all targets in a scope that the batch does not name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Final

from linker.api.answers import Answer
from linker.api.lists import Listing
from linker.api.requests import Request
from linker.api.visibility import Endpoint, Visibility
from linker.batch.batch import Batch
from linker.errors import UsageError
from linker.model.job import LinkJob
from linker.model.target import Kind, Target
from linker.retry.pages import pages
from linker.retry.sender import Fetch
from linker.retry.verdict import GiveUp

MIRROR = "--mirror"
"""The source in the results of these jobs."""

SCOUTS: Final = 5
"""Targets that are read singly before it is believed that there are no links where a list shows none."""


async def clears(
    batch: Batch,
    scope: Listing,
    field: str,
    fetch: Fetch,
    is_open: Callable[[Target], bool],
    visibility: Visibility,
) -> AsyncIterator[LinkJob]:
    """Yield a job that clears the field for each target of the scope that has links in it and is not in the batch.

    Nothing is yielded before every target of the batch that may be in the scope has been seen under both of its names.

    Args:
        scope: the list whose targets are mirrored.
        is_open: whether an earlier run began with a target and did not succeed; such a target is cleared again.

    Raises:
        UsageError: the scope, or a target of the batch, cannot be read, so nothing may be cleared.
    """
    unnamed: dict[str, str] = {}  # numeric id -> the name to write it by
    scouts: list[Target] = []
    unseen = {target for target in batch.all_targets() if target.kind is scope.kind and _may_be_in(scope, target)}
    listed = f"the list of {scope.words}"
    async with aclosing(pages(fetch, scope.page)) as answers:
        async for _, answer in answers:
            if isinstance(answer, GiveUp) or answer.page is None:
                raise UsageError(f"{_why(answer, listed)}, so --mirror clears nothing")
            for item in answer.page.items:
                links = visibility.observe(scope.kind, Endpoint.LIST, item)
                if item.obscures((field,)) or not item.id:
                    what = "ids" if not item.id else f"{field} in a form that linker can read"
                    raise UsageError(f"the list of {scope.words} does not show {what}, so --mirror clears nothing")
                names = {Target(scope.kind, name) for name in (item.reference, item.id) if name}
                unseen -= names
                is_named = any(map(batch.mentions, names))
                if ((links or {}).get(field) or any(map(is_open, names))) and not is_named:
                    unnamed[item.id] = item.reference or item.id
                if links is None:
                    scouts.insert(0 if is_named else len(scouts), Target(scope.kind, item.id))
                    del scouts[SCOUTS:]
    if await leaves_out_links(scope.kind, scouts, fetch, visibility):
        raise UsageError(f"the list of {scope.words} does not show existing links, so --mirror clears nothing")
    for target in unseen:
        answer = await fetch(Request(target))
        if isinstance(answer, GiveUp) or not answer.target.id:
            raise UsageError(f"{_why(answer, str(target))}, so --mirror clears nothing")
        unnamed.pop(answer.target.id, None)
    for name in unnamed.values():
        yield LinkJob(name, {field: []}, kind=scope.kind)


async def leaves_out_links(kind: Kind, scouts: Sequence[Target], fetch: Fetch, visibility: Visibility) -> bool:
    """Whether a list that showed no links leaves them out, judging by single answers of some of its targets."""
    if not scouts or visibility.is_proved(kind, Endpoint.LIST):
        return False
    if visibility.hides(kind):
        return True
    for target in scouts:
        answer = await fetch(Request(target))
        if isinstance(answer, Answer) and visibility.observe(kind, Endpoint.READ, answer.target):
            visibility.drop_lists(kind)
            return True
    return False


def _may_be_in(scope: Listing, target: Target) -> bool:
    """Whether a target may be in the scope, judging by its name."""
    if not scope.parent or scope.parent.isdigit() or target.id.isdigit():
        return True
    return target.id.startswith(f"{scope.parent}-")


def _why(answer: Answer | GiveUp, what: str) -> str:
    if isinstance(answer, GiveUp):
        is_named = answer.http_status in (403, 404)  # then the message names what was read
        return answer.error.message if is_named else f"linker cannot read {what} ({answer.error.message})"
    return f"linker cannot read {what}"
