"""The results of one target's jobs: pure functions of the change and of what answers showed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from linker.batch.change import Change
from linker.batch.merge import Job
from linker.batch.placeholder import Created
from linker.errors import Error, ErrorType
from linker.model.job import Links, Mode, sorted_ids
from linker.model.target import Kind
from linker.results.result import Result, Status
from linker.work.pending import Pending

_NONE: frozenset[str] = frozenset()


class ResultContext(msgspec.Struct, frozen=True):
    """What the results of one target's jobs share."""

    change: Change | None
    http_status: int | None
    number: int | None = None
    attempts: int = 0
    elapsed_ms: float = 0.0
    created: Created = {}
    defined: bool = False
    """The account is known to define all of its fields."""
    is_presumed: bool = False
    """That the target held no links before is presumed: no answer of its kind has ever shown any."""


def without_before(pending: Pending, context: ResultContext) -> list[Result]:
    """The target shows no links: `add` and `remove` jobs fail, and take the siblings of their lists with them."""
    error = Error(ErrorType.BAD_ANSWER, no_links_shown(pending.desired.target.kind), retryable=True)
    results: list[Result] = []
    while pending.jobs and (
        needy := pending.desired.needs_before
    ):  # a `replace` that goes may leave an `add` without a list
        lost = [job for job in pending.jobs if not needy.isdisjoint(job.links)]
        results += dropped(pending, lost, error, context, tried=True)
    return results


def no_links_shown(kind: Kind) -> str:
    """Why nothing can be added to a list, or removed from it."""
    return (
        f"no answer shows the links of {kind.plural}, so linker cannot tell which it would drop; "
        "use mode replace with the whole list, or a token that sees the links"
    )


def dropped(pending: Pending, lost: Collection[Job], error: Error, context: ResultContext, tried: bool) -> list[Result]:
    """Jobs that will not be sent, and the siblings of their lists. They failed if something was `tried` for them."""
    results = [failure(job, error, context) if tried else Result.rejected(job, error) for job in lost]
    return results + [Result.rejected(job, incomplete) for job, incomplete in pending.drop(lost)]


def broken_off(pending: Pending, current: Links, error: Error, context: ResultContext) -> list[Result]:
    """The search for the jobs to blame was broken off: jobs that are not in place have failed, the others remain."""
    assert pending.change is not None
    after, done, results = pending.change.after, list[Job](), list[Result]()
    for job in pending.jobs:
        if all(
            name in after and name in current and holds(current[name], job, name, after[name]) for name in job.links
        ):
            done.append(job)
        else:
            results.append(failure(job, error, context))
    pending.jobs = done
    return results


def unchanged(job: Job, context: ResultContext) -> Result:
    """The result of a job that is already in place, or that asks for nothing where no links are shown."""
    assert context.change is not None
    observed = None if context.is_presumed else _listed(job, context.change.before)
    rest: dict[str, Any] = {"before": observed, "after": observed, "changes": {}, "http_status": context.http_status}
    return Result.of(job, Status.UNCHANGED, elapsed_ms=context.elapsed_ms, **rest)


def failure(job: Job, error: Error, context: ResultContext) -> Result:
    """The result of a job that failed; `changes` holds what is known to be written nevertheless."""
    before = context.change.before if context.change is not None and not context.is_presumed else None
    done = context.change.applied() if context.change is not None else None
    changes = {name: done[name] for name in job.links} if done is not None else None
    return _result(job, Status.FAILED, context, before=_listed(job, before), changes=changes, error=error)


def written(job: Job, context: ResultContext, links: Links | None, *, why_unseen: str | None = None) -> Result:
    """The result of a job whose PUT was answered.

    Args:
        links: what the target holds since; None if no answer shows it.
        why_unseen: why that is a failure; None if it is not, because the kind hides its links.
    """
    change = context.change
    assert change is not None
    before = None if context.is_presumed else change.before
    rest: dict[str, Any] = {"before": _listed(job, before)}
    if links is None:
        if change.before is not None:
            rest["changes"] = {name: change.diff(name) for name in job.links}
        if why_unseen is None:
            return _result(job, Status.LINKED, context, **rest)
        message = f"answered {context.http_status}, but {why_unseen}"
        return _result(job, Status.FAILED, context, error=Error(ErrorType.NOT_APPLIED, message, retryable=True), **rest)
    observed = {name: links.get(name, _NONE) for name in job.links}
    rest["after"] = _listed(job, observed)
    missing = missing_fields(job, change, links)
    # a PUT of which nothing is there may still be carried out later: then an undo must know what it asked for
    late = {name for name in missing if not taken(change, name, observed[name])}
    if change.before is not None:
        rest["changes"] = {name: change.diff(name, None if name in late else observed[name]) for name in job.links}
    if not missing:
        return _result(job, Status.LINKED, context, **rest)
    message = f"answered {context.http_status}, but {', '.join(missing)} does not hold what was asked"
    if late:
        message += off_layout(change.target.kind, [name for name in missing if name in late], context.defined)
    return _result(job, Status.FAILED, context, error=Error(ErrorType.NOT_APPLIED, message), **rest)


def missing_fields(job: Job, change: Change, links: Links) -> list[str]:
    """The fields of a job that do not hold what it asked for, although its PUT was answered.

    Only fields that the PUT wrote count: what others have made of another field since is no failure.
    """
    before = change.before
    put = [name for name in job.links if before is None or change.after[name] != before[name]]
    return [name for name in put if not holds(links.get(name, _NONE), job, name, change.after[name])]


def taken(change: Change, name: str, observed: frozenset[str]) -> bool:
    """Whether a field that was written shows any of it, or whether the account ignored the PUT."""
    after = change.after[name]
    if change.before is None:
        return bool(after & observed) or (not after and not observed)
    diff = change.diff(name, observed)
    return diff is not None and bool(diff.added or diff.removed)


def off_layout(kind: Kind, fields: Sequence[str], defined: bool) -> str:
    """Why the account may have ignored fields: it takes only those on the layout of the target's workspace."""
    names = ", ".join(fields)
    if defined:
        return f"; {names} is defined for {kind.plural}, so it is likely not on the layout of the target's workspace"
    return f"; is {names} defined for {kind.plural}, and on the layout of the target's workspace?"


def holds(observed: frozenset[str], job: Job, name: str, after: frozenset[str]) -> bool:
    """Whether a field holds what the job asked for."""
    match job.mode:
        case Mode.REPLACE:
            return observed == after
        case Mode.ADD:
            return observed.issuperset(job.links[name])
        case Mode.REMOVE:
            return observed.isdisjoint(job.links[name])


def _result(job: Job, status: Status, context: ResultContext, **rest: Any) -> Result:
    return Result.of(
        job,
        status,
        change=context.number,
        http_status=context.http_status,
        attempts=context.attempts,
        elapsed_ms=context.elapsed_ms,
        created=_created(job, context.created) if context.created else None,
        **rest,
    )


def _created(job: Job, created: Created) -> Created | None:
    """The records that were created for names in a job."""
    mine = {
        field: {name: id for name, id in created[field].items() if id in ids}
        for field, ids in job.links.items()
        if field in created
    }
    return {field: made for field, made in mine.items() if made} or None


def _listed(job: Job, links: Links | None) -> dict[str, list[str]] | None:
    """The fields that a job names, as a result lists them."""
    return None if links is None else {name: sorted_ids(links[name]) for name in job.links}
