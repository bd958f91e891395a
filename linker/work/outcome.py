"""The results of one target's jobs: pure functions of the change and of what answers showed.

What the jobs of a change share is worked out once: the effect, and which fields hold what was asked for. What remains
for each job grows with its own ids only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final, TypeAlias

import msgspec

from linker.batch.change import Change, FieldChange
from linker.batch.merge import Job
from linker.batch.placeholder import Created, CreatedNames
from linker.errors import Error, ErrorType
from linker.model.ids import rounded_hint
from linker.model.job import Links, Mode, sorted_ids
from linker.model.target import Kind
from linker.results.result import Effect, Result, Status
from linker.work.pending import Pending

_NONE: frozenset[str] = frozenset()

_CHECK_IDS: Final = "; check the record ids (linker records PRODUCT/TABLE lists them)"

INVALID: Final = (400, 422)
"""Statuses of a PUT whose lists the account does not take."""

Failed: TypeAlias = tuple[Job, Error]
"""A job that failed or is rejected, and why."""


class ResultContext(msgspec.Struct, frozen=True, gc=False):
    """What the results of one target's jobs share."""

    effect: Effect
    http_status: int | None
    number: int | None = None
    attempts: int = 0
    elapsed_ms: float = 0.0
    created: CreatedNames = {}
    defined: bool = False
    """The account is known to define all of the target's fields."""


class Seen(msgspec.Struct, frozen=True, gc=False):
    """What a target holds after its PUT, compared field by field with what was asked for."""

    change: Change
    links: Links
    put: Collection[str]
    """Fields that the PUT wrote."""
    differing: Collection[str]
    """Fields that do not hold exactly the list that was asked for."""
    ignored: Collection[str]
    """Fields that the PUT wrote and that show nothing of it."""

    @classmethod
    def of(cls, change: Change, links: Links) -> Seen:
        """Compare a change with what the target holds since."""
        put: list[str] = []
        differing: list[str] = []
        ignored: list[str] = []
        before = change.before
        for name, after in change.after.items():
            observed = links.get(name, _NONE)
            if observed != after:
                differing.append(name)
            if before is None or after != before[name]:
                put.append(name)
                if not _shows_any(before, name, after, observed):
                    ignored.append(name)
        return cls(change, links, put, differing, ignored)

    def is_of(self, change: Change, links: Links) -> bool:
        """Whether this is the comparison of just these."""
        return self.change is change and self.links is links

    def holds(self, job: Job, name: str) -> bool:
        """Whether a field holds what the job asked for."""
        match job.mode:
            case Mode.REPLACE:
                return name not in self.differing
            case Mode.ADD:
                return self.links.get(name, _NONE).issuperset(job.links[name])
            case Mode.REMOVE:
                return self.links.get(name, _NONE).isdisjoint(job.links[name])

    def missing(self, job: Job) -> list[str]:
        """The fields of a job that do not hold what it asked for, although its PUT was answered.

        Only fields that the PUT wrote count: what others have made of another field since is no failure.
        """
        if not self.differing:
            return []
        return [name for name in job.links if name in self.put and not self.holds(job, name)]


def without_before(pending: Pending) -> tuple[list[Failed], list[Failed]]:
    """Take out the jobs that need the links of a target which shows none, and the siblings of their lists.

    Returns:
        The `add` and `remove` jobs, which failed; and the siblings, which are rejected.
    """
    error = Error(ErrorType.BAD_ANSWER, no_links_shown(pending.desired.target.kind), retryable=True)
    failed: list[Failed] = []
    rejected: list[Failed] = []
    while pending.jobs and (
        needy := pending.desired.needs_before
    ):  # a `replace` that goes may leave an `add` without a list
        lost = [job for job in pending.jobs if not needy.isdisjoint(job.links)]
        failed += [(job, error) for job in lost]
        rejected += pending.drop(lost)
    return failed, rejected


def no_links_shown(kind: Kind) -> str:
    """Why nothing can be added to a list, or removed from it."""
    return (
        f"linker cannot see the links of {kind.plural}, so adding or removing some could drop others; use mode replace "
        "with the whole list, or a token that can see the links"
    )


def broken_off(pending: Pending, current: Links) -> list[Job]:
    """The search for the jobs to blame was broken off: take out the jobs that are not in place."""
    assert pending.change is not None
    seen = Seen.of(pending.change, current)
    done: list[Job] = []
    lost: list[Job] = []
    for job in pending.jobs:
        in_place = all(name in seen.change.after and name in current and seen.holds(job, name) for name in job.links)
        (done if in_place else lost).append(job)
    pending.jobs = done
    return lost


def fields_of(jobs: Iterable[Job]) -> list[str]:
    """The fields that some jobs name."""
    return list(dict.fromkeys(name for job in jobs for name in job.links))


# The effect that results share.


def no_change(change: Change, fields: Collection[str], *, is_presumed: bool) -> Effect:
    """The effect of jobs that are already in place, or that ask for nothing where no links are shown."""
    observed = None if is_presumed else _listed(change.before, fields)
    return Effect(observed, observed, {})


def known_effect(
    change: Change | None, fields: Collection[str], links: Links | None, asked: Links, *, is_presumed: bool
) -> Effect:
    """The effect of a change of which some PUT failed: what its PUTs have changed, or may have.

    Args:
        links: what the target holds by the last answer; None if it is unknown.
        asked: what a PUT without an answer asked for.
    """
    if change is None:
        return Effect()
    before = None if is_presumed else _listed(change.before, fields)
    after = _listed(links, fields)
    if change.before is None:
        return Effect(before, after)
    current = change.before if change.current is None else change.current
    changes = {name: _moved(name, change.before, (current, {**current, **asked})) for name in fields}
    is_changed = any(field.added or field.removed for field in changes.values())
    return Effect(before, after, changes if is_changed else None)


def written_effect(change: Change, fields: Collection[str], seen: Seen | None, *, is_presumed: bool) -> Effect:
    """The effect of a change whose PUT was answered; `seen` is None if no answer shows what the target holds since."""
    before = None if is_presumed else _listed(change.before, fields)
    after = _listed(seen.links, fields) if seen is not None else None
    if change.before is None:
        return Effect(before, after)
    return Effect(before, after, {name: _done(change, change.before, name, seen) for name in fields})


def _done(change: Change, before: Links, name: str, seen: Seen | None) -> FieldChange:
    """What the PUTs of a change have done to a field."""
    if name not in change.after:  # its jobs were to blame, and what they had brought was taken back
        return _moved(name, before, (before if change.current is None else change.current,))
    # a PUT of which nothing is there may still be carried out later: then an undo must know what it asked for
    observed = None if seen is None or name in seen.ignored else seen.links.get(name, _NONE)
    diff = change.diff(name, observed)
    assert diff is not None
    return diff


def _moved(name: str, before: Links, states: Sequence[Links]) -> FieldChange:
    """What was added to a field, and removed from it, in any of the states that it may have come to."""
    had, lists = before.get(name, _NONE), [state.get(name, _NONE) for state in states]
    added: frozenset[str] = _NONE.union(*(ids - had for ids in lists))
    removed: frozenset[str] = _NONE.union(*(had - ids for ids in lists))
    return FieldChange(sorted_ids(added), sorted_ids(removed))


def _listed(links: Links | None, fields: Iterable[str]) -> dict[str, list[str]] | None:
    """The links of some fields, as a result lists them."""
    return None if links is None else {name: sorted_ids(links.get(name, _NONE)) for name in fields}


# The result of one job.


def unchanged(job: Job, context: ResultContext) -> Result:
    """The result of a job that is already in place, or that asks for nothing where no links are shown."""
    return Result.of(
        job,
        Status.UNCHANGED,
        before=context.effect.before,
        after=context.effect.after,
        changes=context.effect.changes,
        http_status=context.http_status,
        elapsed_ms=context.elapsed_ms,
    )


def failure(job: Job, error: Error, context: ResultContext) -> Result:
    """The result of a job that failed."""
    return _result(job, Status.FAILED, context, error)


def written(job: Job, context: ResultContext, seen: Seen | None, why_unseen: str | None) -> Result:
    """The result of a job whose PUT was answered.

    Args:
        seen: what the target holds since; None if no answer shows it.
        why_unseen: why that is a failure; None if it is not, because the kind hides its links.
    """
    missing = seen.missing(job) if seen is not None else why_unseen
    if not missing:
        return _result(job, Status.LINKED, context, None)
    answered = f"the account answered {context.http_status}, but "
    if seen is None:
        return failure(job, Error(ErrorType.NOT_APPLIED, f"{answered}{why_unseen}", retryable=True), context)
    message = f"{answered}{', '.join(missing)} of {job.target} does not have the links that the row asks for"
    if ignored := [name for name in missing if name in seen.ignored]:
        message += off_layout(seen.change.target.kind, ignored, context.defined)
    return failure(job, Error(ErrorType.NOT_APPLIED, message), context)


def _shows_any(before: Links | None, name: str, after: frozenset[str], observed: frozenset[str]) -> bool:
    """Whether a field that was written shows any of it, or whether the account ignored the PUT."""
    if observed == after:
        return True
    if before is None:
        return bool(after & observed)
    had = before[name]
    return not (after - had).isdisjoint(observed) or not (had - after) <= observed


def off_layout(kind: Kind, fields: Sequence[str], defined: bool) -> str:
    """Why the account may have ignored fields: it takes only those on the layout of the target's workspace."""
    names = ", ".join(fields)
    if defined:
        return f"; {names} is probably not on the layout of {kind.plural} in this workspace: add it there"
    return f"; check that {names} is defined for {kind.plural} and is on the layout of the workspace"


def _result(job: Job, status: Status, context: ResultContext, error: Error | None) -> Result:
    return Result.of(
        job,
        status,
        before=context.effect.before,
        after=context.effect.after,
        change=context.number,
        changes=context.effect.changes,
        http_status=context.http_status,
        attempts=context.attempts,
        elapsed_ms=context.elapsed_ms,
        created=_created(job, context.created) if context.created else None,
        error=error,
    )


def _created(job: Job, created: CreatedNames) -> Created | None:
    """The records that were created for names in a job."""
    mine = {
        field: {name: id for id in ids for name in created[field].get(id, ())}
        for field, ids in job.links.items()
        if field in created
    }
    return {field: made for field, made in mine.items() if made} or None


def with_hint(error: Error, http_status: int | None, job: Job) -> Error:
    """Return the error with what was refused, and a hint if a spreadsheet may have rounded an id."""
    if http_status == 404:
        message = error.message + rounded_hint(job.target.id)
    elif http_status in INVALID and error.message.startswith(f"{http_status}: "):
        says = error.message.removeprefix(f"{http_status}: ")
        hint = rounded_hint(*(id for ids in job.links.values() for id in ids))
        message = (
            f"the account refused {', '.join(job.links)} of {job.target} ({http_status}: {says}){hint or _CHECK_IDS}"
        )
    else:
        return error
    return Error(error.type, message, error.retryable)
