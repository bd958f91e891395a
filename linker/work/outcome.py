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


def without_before(pending: Pending, context: ResultContext) -> list[Result]:
    """The target shows no links: `add` and `remove` jobs fail, and take the siblings of their lists with them."""
    message = "the target's answer shows no links, so there is no list to add to or remove from"
    error = Error(ErrorType.BAD_ANSWER, message)
    results: list[Result] = []
    while pending.jobs and (
        needy := pending.desired.needs_before
    ):  # a `replace` that goes may leave an `add` without a list
        lost = [job for job in pending.jobs if not needy.isdisjoint(job.links)]
        results += dropped(pending, lost, error, context, tried=True)
    return results


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
    """The result of a job that is already in place."""
    assert context.change is not None
    observed = _listed(job, context.change.before)
    rest: dict[str, Any] = {"before": observed, "after": observed, "changes": {}, "http_status": context.http_status}
    return Result.of(job, Status.UNCHANGED, elapsed_ms=context.elapsed_ms, **rest)


def failure(job: Job, error: Error, context: ResultContext) -> Result:
    """The result of a job that failed; `changes` holds what is known to be written nevertheless."""
    before = context.change.before if context.change is not None else None
    done = context.change.applied() if context.change is not None else None
    changes = {name: done[name] for name in job.links} if done is not None else None
    return _result(job, Status.FAILED, context, before=_listed(job, before), changes=changes, error=error)


def written(job: Job, context: ResultContext, links: Links | None) -> Result:
    """The result of a job whose PUT was answered; `links` is what the target holds since, None if not observed."""
    change = context.change
    assert change is not None
    rest: dict[str, Any] = {"before": _listed(job, change.before)}
    observed = None if links is None else {name: links.get(name, _NONE) for name in job.links}
    if change.before is not None:
        rest["changes"] = {name: change.diff(name, observed[name] if observed else None) for name in job.links}
    if observed is None:
        return _result(job, Status.LINKED, context, **rest)
    rest["after"] = _listed(job, observed)
    # only fields that the PUT wrote count: what others have made of another field since is no failure
    before = change.before
    put = [name for name in job.links if before is None or change.after[name] != before[name]]
    missing = [name for name in put if not holds(observed[name], job, name, change.after[name])]
    if not missing:
        return _result(job, Status.LINKED, context, **rest)
    message = f"answered {context.http_status}, but {', '.join(missing)} does not hold what was asked"
    ignored = [name for name in missing if not taken(change, name, observed[name])]
    if ignored:
        message += off_layout(change.target.kind, ignored, context.defined)
    return _result(job, Status.FAILED, context, error=Error(ErrorType.NOT_APPLIED, message), **rest)


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
