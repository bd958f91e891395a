"""From what a target is wished to hold and what it holds now to the change that makes it so."""

from __future__ import annotations

from dataclasses import dataclass

from linker.batch import Links, Wish
from linker.job import Target, sorted_ids

__all__ = ["Change", "FieldChange", "plan"]


@dataclass(frozen=True, slots=True)
class FieldChange:
    """What one PUT does to one field; ids sorted as numbers."""

    added: list[str]
    removed: list[str]


@dataclass(frozen=True, slots=True)
class Change:
    """What a batch comes to for one target, field by field. `before` None: not known."""

    target: Target
    before: Links | None
    after: Links

    @property
    def put(self) -> Links:
        """What the one PUT says: the fields that are not so already, none where nothing is to do."""
        if self.before is None:
            return self.after
        return {field: ids for field, ids in self.after.items() if ids != self.before[field]}

    def diff(self, field: str, shown: frozenset[str]) -> FieldChange | None:
        """What the PUT did to a field that holds `shown` now; None where that is not known."""
        if self.before is None:
            return None
        before = self.before[field]
        return FieldChange(sorted_ids(shown - before), sorted_ids(before - shown))


def plan(wish: Wish, before: Links | None) -> Change:
    """The change of one target.

    `before` holds every field of the wish; it may be None only where no field needs it (`Wish.needs_before`).
    """
    after: dict[str, frozenset[str]] = {}
    for field, links in wish.fields.items():
        ids = links.after(before[field] if before is not None else None)
        assert ids is not None, f"{wish.target}: {field} needs what it holds now"
        after[field] = ids
    return Change(wish.target, before, after)
