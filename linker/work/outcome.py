"""What became of one job of a target, as a result: pure functions of its change and of what answers showed."""

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

__all__ = ["ResultContext", "broken_off", "dropped", "failure", "taken", "unchanged", "without_before", "written"]

_NONE: frozenset[str] = frozenset()


class ResultContext(msgspec.Struct, frozen=True):
    """What the results of one target's jobs have in common."""

    change: Change | None
    http_status: int | None
    number: int | None = None
    attempts: int = 0
    elapsed_ms: float = 0.0
    created: Created = {}
    defined: bool = False
    """The account is known to define all of its fields."""


def without_before(pending: Pending, told: ResultContext) -> list[Result]:
    """The target shows no links: what adds or removes cannot be done, and takes its siblings with it."""
    message = "the target's answer shows no links, so there is no list to add to or remove from"
    error = Error(ErrorType.BAD_ANSWER, message)
    results: list[Result] = []
    while pending.jobs and (needy := pending.desired.needs_before):  # a `replace` that goes may leave an `add` behind
        lost = [job for job in pending.jobs if not needy.isdisjoint(job.links)]
        results += dropped(pending, lost, error, told, tried=True)
    return results


def dropped(pending: Pending, lost: Collection[Job], error: Error, told: ResultContext, tried: bool) -> list[Result]:
    """Some jobs will not be sent, and half a list takes its siblings along; `tried`: something was asked for them."""
    results = [failure(job, error, told) if tried else Result.rejected(job, error) for job in lost]
    return results + [Result.rejected(job, incomplete) for job, incomplete in pending.drop(lost)]


def broken_off(pending: Pending, held: Links, error: Error, told: ResultContext) -> list[Result]:
    """The search for the jobs to blame is broken off: those that are not so by now have failed, the others are left."""
    assert pending.change is not None
    after, done, results = pending.change.after, list[Job](), list[Result]()
    for job in pending.jobs:
        if all(name in after and name in held and holds(held[name], job, name, after[name]) for name in job.links):
            done.append(job)
        else:
            results.append(failure(job, error, told))
    pending.jobs = done
    return results


def unchanged(job: Job, told: ResultContext) -> Result:
    """The result of a job whose fields were so already."""
    assert told.change is not None
    shown = _shown(job, told.change.before)
    rest: dict[str, Any] = {"before": shown, "after": shown, "changes": {}, "http_status": told.http_status}
    return Result.of(job, Status.UNCHANGED, elapsed_ms=told.elapsed_ms, **rest)


def failure(job: Job, error: Error, told: ResultContext) -> Result:
    """The result of a job that was tried in vain; `changes` tells what is known to be written all the same."""
    before = told.change.before if told.change is not None else None
    done = told.change.done() if told.change is not None else None
    changes = {name: done[name] for name in job.links} if done is not None else None
    return _result(job, Status.FAILED, told, before=_shown(job, before), changes=changes, error=error)


def written(job: Job, told: ResultContext, links: Links | None) -> Result:
    """The result of a job whose PUT was answered; `links` is what the target was seen to hold since."""
    change = told.change
    assert change is not None
    rest: dict[str, Any] = {"before": _shown(job, change.before)}
    shown = None if links is None else {name: links.get(name, _NONE) for name in job.links}
    if change.before is not None:
        rest["changes"] = {name: change.diff(name, shown[name] if shown else None) for name in job.links}
    if shown is None:
        return _result(job, Status.LINKED, told, **rest)
    rest["after"] = _shown(job, shown)
    # a field that was so already was not put: what somebody else made of it since is no failure of this PUT
    before = change.before
    put = [name for name in job.links if before is None or change.after[name] != before[name]]
    missing = [name for name in put if not holds(shown[name], job, name, change.after[name])]
    if not missing:
        return _result(job, Status.LINKED, told, **rest)
    message = f"answered {told.http_status}, but {', '.join(missing)} does not hold what was asked"
    ignored = [name for name in missing if not taken(change, name, shown[name])]
    if ignored:
        message += off_layout(change.target.kind, ignored, told.defined)
    return _result(job, Status.FAILED, told, error=Error(ErrorType.NOT_APPLIED, message), **rest)


def taken(change: Change, name: str, shown: frozenset[str]) -> bool:
    """Whether a field that was put shows anything of it, or whether the PUT passed it by."""
    after = change.after[name]
    if change.before is None:
        return bool(after & shown) or (not after and not shown)
    diff = change.diff(name, shown)
    return diff is not None and bool(diff.added or diff.removed)


def off_layout(kind: Kind, fields: Sequence[str], defined: bool) -> str:
    """Why fields are passed by, as far as can be told: a record takes one that is on its workspace's layout only."""
    names = ", ".join(fields)
    if defined:
        return f"; {names} is defined for {kind.plural}, so it is likely not on the layout of the target's workspace"
    return f"; is {names} defined for {kind.plural}, and on the layout of the target's workspace?"


def holds(shown: frozenset[str], job: Job, name: str, after: frozenset[str]) -> bool:
    """Whether a field holds what the job asked of it."""
    match job.mode:
        case Mode.REPLACE:
            return shown == after
        case Mode.ADD:
            return shown.issuperset(job.links[name])
        case Mode.REMOVE:
            return shown.isdisjoint(job.links[name])


def _result(job: Job, status: Status, told: ResultContext, **rest: Any) -> Result:
    return Result.of(
        job,
        status,
        change=told.number,
        http_status=told.http_status,
        attempts=told.attempts,
        elapsed_ms=told.elapsed_ms,
        created=_created(job, told.created) if told.created else None,
        **rest,
    )


def _created(job: Job, created: Created) -> Created | None:
    """The records that were made for the names of a job."""
    mine = {
        field: {name: id for name, id in created[field].items() if id in ids}
        for field, ids in job.links.items()
        if field in created
    }
    return {field: made for field, made in mine.items() if made} or None


def _shown(job: Job, links: Links | None) -> dict[str, list[str]] | None:
    """The fields that a job names, as a result shows them."""
    return None if links is None else {name: sorted_ids(links[name]) for name in job.links}
