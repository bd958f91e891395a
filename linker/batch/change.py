"""From a target's desired state and its current links to the change that leads from one to the other."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from linker.batch.merge import DesiredState
from linker.model.job import Links, sorted_ids
from linker.model.target import Target

_NONE: frozenset[str] = frozenset()


class FieldChange(msgspec.Struct, frozen=True, gc=False):
    """What one PUT does to one field: record ids, sorted as numbers."""

    added: list[str]
    removed: list[str]


class Change(msgspec.Struct, frozen=True, gc=False):
    """The links of one target before and after a run, field by field. `before` is None if unknown.

    `current` is what the target holds now if that differs from `before`: an earlier PUT of this run may have changed
    it although its answer was lost. None if it does not differ.
    """

    target: Target
    before: Links | None
    after: Links
    current: Links | None = None

    @property
    def _now(self) -> Links | None:
        return self.before if self.current is None else self.current

    @property
    def put(self) -> Links:
        """The links that the one PUT sends: the fields that differ from `after` now, or all if that is unknown."""
        now = self._now
        return self.after if now is None else {field: ids for field, ids in self.after.items() if ids != now[field]}

    @property
    def removals(self) -> int:
        """How many links the PUT removes; 0 if the current links are unknown."""
        now = self._now
        return 0 if now is None else sum(len(now[field] - ids) for field, ids in self.after.items())

    def infer_before(self, current: Links, sent: Collection[str]) -> Links:
        """Infer the links from before this change from the current ones.

        In the fields that were `sent` without an answer, an id counts as changed by this PUT if the PUT was to add it
        and it is there, or was to remove it and it is gone. Every other difference is somebody else's.
        """
        if self.before is None:
            return current
        inferred = dict(current)
        for field in sent:
            before, after, now = self.before[field], self.after[field], current[field]
            inferred[field] = (now - (after - before)) | ((before - after) - now)
        return inferred

    def assuming(self, put: Links) -> Change:
        """The same change, as if a PUT of these links had been applied."""
        now = self._now
        return Change(self.target, self.before, self.after, {**now, **put}) if now is not None and put else self

    def only(self, fields: Collection[str]) -> Change:
        """The same change for some of its fields."""
        return Change(
            self.target,
            None if self.before is None else {field: self.before[field] for field in fields},
            {field: self.after[field] for field in fields},
        )

    def diff(self, field: str, observed: frozenset[str] | None = None) -> FieldChange | None:
        """What the PUT does to a field, or has done to one that holds `observed` now; None if `before` is unknown.

        Only ids that the change asked for count: what somebody else wrote in between is left out.
        """
        if self.before is None:
            return None
        before, after = self.before[field], self.after[field]
        observed = after if observed is None else observed
        return FieldChange(sorted_ids((after - before) & observed), sorted_ids((before - after) - observed))

    def applied(self) -> Mapping[str, FieldChange] | None:
        """What earlier PUTs of this change have done by now; None if nothing, or if it is unknown."""
        if self.before is None or self.current is None or self.current == self.before:
            return None
        return {
            field: FieldChange(sorted_ids(ids - self.before[field]), sorted_ids(self.before[field] - ids))
            for field, ids in self.current.items()
        }


def applied_change(intent: Intent, observed: Links) -> Change | None:
    """What a run had changed when it sent its last PUT, judged by the links `observed` since; None if nothing.

    The PUT counts as applied if all ids that it was to add are there and all that it was to remove are gone: others
    may have written to the target since. `before` of the change is None if it is unknown.
    """
    if intent.before is None:
        is_there = all(observed.get(field, _NONE) == ids for field, ids in intent.put.items())
        return Change(intent.target, None, intent.put) if is_there else None
    current = intent.current or intent.before
    steps = ((current.get(field, _NONE), ids, observed.get(field, _NONE)) for field, ids in intent.put.items())
    is_there = all(now.issuperset(ids - had) and now.isdisjoint(had - ids) for had, ids, now in steps)
    after = {**current, **intent.put} if is_there else current
    before = {field: intent.before.get(field, _NONE) for field in after}
    fields = [field for field, ids in after.items() if ids != before[field]]
    return Change(intent.target, before, after).only(fields) if fields else None


def plan(desired: DesiredState, before: Links | None, current: Links | None = None) -> Change:
    """The change that leads from `current`, or else from `before`, to the desired state of one target.

    `before` has every field of the desired state. It may be None only if no field needs it
    (`DesiredState.needs_before`).
    """
    after: dict[str, frozenset[str]] = {}
    for field, links in desired.fields.items():
        ids = links.after(before[field] if before is not None else None)
        assert ids is not None, f"{desired.target}: {field} needs its current links"
        after[field] = ids
    return Change(desired.target, before, after, current)


class Intent(msgspec.Struct, frozen=True, gc=False):
    """A PUT that is about to leave, as the journal keeps it.

    `before` is what the target held before this run's first PUT to it, None if unknown. `current` is what it has
    held since the run's earlier PUTs were answered, None if that is the same.
    """

    target: Target
    put: Links
    before: Links | None = None
    current: Links | None = msgspec.field(default=None, name="held")  # the key in journals that exist already

    @property
    def before_and_after(self) -> dict[str, tuple[frozenset[str], frozenset[str]]] | None:
        """Per field, the ids before the run's first PUT and those after this one; None if `before` is unknown."""
        if self.before is None:
            return None
        after = {**(self.current or self.before), **self.put}
        return {field: (self.before.get(field, _NONE), ids) for field, ids in after.items()}
