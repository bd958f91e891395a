"""Records that are still to be created: until a record has an id, a placeholder such as `+Acme Corp` stands for it.

This lets a run read, plan and count all changes before it creates any record; if the guard stops it, it creates none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from linker.batch.merge import Job
from linker.model.job import TITLE, Links, Name, sorted_ids

_NEW: Final = "+"  # no id begins with it

Created: TypeAlias = Mapping[str, Mapping[str, str]]
"""Field → name → id of the record that was created for it."""

CreatedNames: TypeAlias = Mapping[str, Mapping[str, Sequence[str]]]
"""Field → id of a record that was created → the names that it was created for."""


def place_of(name: str) -> str:
    """The placeholder of a record of that name."""
    return _NEW + name


def is_new(id: str) -> bool:
    """Whether this is the placeholder of a record that is still to be created."""
    return id.startswith(_NEW)


def name_of(place: str) -> str:
    """The name in a placeholder."""
    return place.removeprefix(_NEW)


def new_in(links: Links) -> dict[str, list[str]]:
    """By field, the names of the records that must be created before these links can be written."""
    return {field: names for field, ids in links.items() if (names := sorted(map(name_of, filter(is_new, ids))))}


def filled(jobs: Sequence[Job], created: Created) -> list[Job]:
    """The same jobs with ids in place of the records that were created."""
    return [msgspec.structs.replace(job, links=_filled(job.links, created)) for job in jobs]


def _filled(links: Mapping[str, Sequence[str]], created: Created) -> dict[str, list[str]]:
    return {
        field: sorted_ids([created.get(field, {}).get(name_of(id), id) if is_new(id) else id for id in ids])
        for field, ids in links.items()
    }


def names_by_id(created: Created) -> CreatedNames:
    """The names of created records by the ids of the records."""
    by_id: dict[str, dict[str, list[str]]] = {}
    for field, ids in created.items():
        for name, id in ids.items():
            by_id.setdefault(field, {}).setdefault(id, []).append(name)
    return by_id


def shown(links: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[str | Name]]:
    """The links as a result shows them: a record that is still to be created appears as the job names it."""
    for ids in links.values():
        for id in ids:
            if is_new(id):
                return {field: _named(ids) for field, ids in links.items()}
    return links


def _named(ids: Sequence[str]) -> list[str | Name]:
    return [Name(TITLE, name_of(id)) if is_new(id) else id for id in ids]
