"""From what a target is wished to hold and what it holds now to the change that makes it so."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from linker.batch.merge import DesiredState, Job
from linker.model.job import Links, sorted_ids
from linker.model.target import Target

__all__ = ["Change", "FieldChange", "Intent", "Planned", "arrived", "plan"]

_Ids = frozenset[str]

_NONE: frozenset[str] = frozenset()


class FieldChange(msgspec.Struct, frozen=True):
    """What one PUT does to one field; ids sorted as numbers."""

    added: list[str]
    removed: list[str]


class Change(msgspec.Struct, frozen=True):
    """What a batch comes to for one target, field by field. `before` None: not known.

    `held` is what the target holds now, where that is not `before`: a PUT of ours that was sent before, and whose
    answer was lost, may have changed it meanwhile.
    """

    target: Target
    before: Links | None
    after: Links
    held: Links | None = None

    @property
    def put(self) -> Links:
        """What the one PUT says: the fields that are not so already, none where nothing is to do."""
        now = self.before if self.held is None else self.held
        if now is None:
            return self.after
        return {field: ids for field, ids in self.after.items() if ids != now[field]}

    @property
    def removals(self) -> int:
        """How many links the PUT takes away, as far as that is known."""
        now = self.before if self.held is None else self.held
        return 0 if now is None else sum(len(now[field] - ids) for field, ids in self.after.items())

    def since(self, held: Links, sent: Collection[str]) -> Links:
        """What the target held before this change, as far as can be told by what it holds now.

        Of the fields that were sent, with an answer that was lost: what it was to add and is there, or to take away
        and is gone, is taken for its doing; all else that differs, for somebody else's.
        """
        if self.before is None:
            return held
        told = dict(held)
        for field in sent:
            before, after, now = self.before[field], self.after[field], held[field]
            told[field] = (now - (after - before)) | ((before - after) - now)
        return told

    def assuming(self, put: Links) -> Change:
        """The same change, as if a PUT of these had arrived."""
        held = self.before if self.held is None else self.held
        return Change(self.target, self.before, self.after, {**held, **put}) if held is not None and put else self

    def only(self, fields: Collection[str]) -> Change:
        """The same change for some of its fields."""
        return Change(
            self.target,
            None if self.before is None else {field: self.before[field] for field in fields},
            {field: self.after[field] for field in fields},
        )

    def diff(self, field: str, shown: frozenset[str] | None = None) -> FieldChange | None:
        """What the PUT does to a field, or did to one that holds `shown` now; None where that is not known.

        Only what the change asked for counts: what somebody else wrote in between is not its doing.
        """
        if self.before is None:
            return None
        before, after = self.before[field], self.after[field]
        shown = after if shown is None else shown
        return FieldChange(sorted_ids((after - before) & shown), sorted_ids((before - after) - shown))

    def done(self) -> Mapping[str, FieldChange] | None:
        """What PUTs of this change have done by now; None where that is not known, or nothing."""
        if self.before is None or self.held is None or self.held == self.before:
            return None
        return {
            field: FieldChange(sorted_ids(held - self.before[field]), sorted_ids(self.before[field] - held))
            for field, held in self.held.items()
        }


def arrived(intent: Intent, now: Links) -> Change | None:
    """What a run has changed by a PUT and by those before it, where the target shows `now`; None: nothing.

    The PUT has arrived where all is there that it was to add, and nothing of what it was to take away: others may
    have been at work since. `before` of the change is None where that is not known.
    """
    if intent.before is None:
        there = all(now.get(field, _NONE) == ids for field, ids in intent.put.items())
        return Change(intent.target, None, intent.put) if there else None
    held = intent.held or intent.before
    steps = ((held.get(field, _NONE), ids, now.get(field, _NONE)) for field, ids in intent.put.items())
    there = all(shown.issuperset(ids - had) and shown.isdisjoint(had - ids) for had, ids, shown in steps)
    after = {**held, **intent.put} if there else held
    before = {field: intent.before.get(field, _NONE) for field in after}
    fields = [field for field, ids in after.items() if ids != before[field]]
    return Change(intent.target, before, after).only(fields) if fields else None


class Planned(msgspec.Struct, frozen=True):
    """What a run would do to one target, and the jobs that ask it. Nothing was written."""

    change: Change
    jobs: tuple[Job, ...]

    @property
    def unseen(self) -> bool:
        """The target's answers show no links, so that what it holds is not known."""
        return self.change.before is None


def plan(desired: DesiredState, before: Links | None, held: Links | None = None) -> Change:
    """The change of one target that holds `held`, or else `before`.

    `before` holds every field of the wish; it may be None only where no field needs it (`DesiredState.needs_before`).
    """
    after: dict[str, frozenset[str]] = {}
    for field, links in desired.fields.items():
        ids = links.after(before[field] if before is not None else None)
        assert ids is not None, f"{desired.target}: {field} needs what it holds now"
        after[field] = ids
    return Change(desired.target, before, after, held)


class Intent(msgspec.Struct, frozen=True):
    """A PUT that is about to leave, and what the target held.

    `before` is what it held before this run's first PUT to it, None where that is not known; `held` is what it held
    since then, where that differs: earlier PUTs of the run, which were answered.
    """

    target: Target
    put: Mapping[str, _Ids]
    before: Mapping[str, _Ids] | None = None
    held: Mapping[str, _Ids] | None = None

    @property
    def asked(self) -> dict[str, tuple[_Ids, _Ids]] | None:
        """Per field what was held at first and what is to be held, this PUT and those before it counted together.

        None where what was held is not known.
        """
        if self.before is None:
            return None
        after = {**(self.held or self.before), **self.put}
        return {field: (self.before.get(field, _NONE), ids) for field, ids in after.items()}
