"""Finds what `--mirror` clears: a field of all targets in a scope that the batch does not name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

from linker.api.answers import Answer
from linker.api.lists import Listing
from linker.api.requests import Request
from linker.batch.batch import Batch
from linker.errors import UsageError
from linker.model.job import LinkJob
from linker.model.target import Target
from linker.retry.pages import pages
from linker.retry.sender import Fetch
from linker.retry.verdict import GiveUp

MIRROR = "--mirror"
"""The source in the results of these jobs."""


async def clears(
    batch: Batch,
    scope: Listing,
    field: str,
    fetch: Fetch,
    is_open: Callable[[Target], bool],
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
    unseen = {target for target in batch.all_targets() if target.kind is scope.kind and _may_be_in(scope, target)}
    async with aclosing(pages(fetch, scope.page)) as answers:
        async for _, answer in answers:
            if isinstance(answer, GiveUp) or answer.page is None:
                raise UsageError(f"--mirror: the list of {scope} cannot be read{_why(answer)}; nothing is cleared")
            for item in answer.page.items:
                if item.links is None or not item.id:
                    what = "links" if item.links is None else "ids"
                    raise UsageError(f"--mirror: the list of {scope} shows no {what}; nothing is cleared")
                names = {Target(scope.kind, name) for name in (item.reference, item.id) if name}
                unseen -= names
                if (item.links.get(field) or any(map(is_open, names))) and not any(map(batch.mentions, names)):
                    unnamed[item.id] = item.reference or item.id
    for target in unseen:
        answer = await fetch(Request(target))
        if isinstance(answer, GiveUp) or not answer.target.id:
            raise UsageError(f"--mirror: {target} cannot be read{_why(answer)}; nothing is cleared")
        unnamed.pop(answer.target.id, None)
    for name in unnamed.values():
        yield LinkJob(name, {field: []}, kind=scope.kind)


def _may_be_in(scope: Listing, target: Target) -> bool:
    """Whether a target may be in the scope, judging by its name."""
    if not scope.parent or scope.parent.isdigit() or target.id.isdigit():
        return True
    return target.id.startswith(f"{scope.parent}-")


def _why(answer: Answer | GiveUp) -> str:
    return f" ({answer.error.message})" if isinstance(answer, GiveUp) else ""
