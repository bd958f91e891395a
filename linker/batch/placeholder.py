"""Records that are still to be created: each stands by its name, `+Acme Corp`, in the place of its id.

So a target can be read, planned and counted before any record is made, and a run that the guard stops makes none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from linker.batch.merge import Job
from linker.model.job import Links, Name, sorted_ids

__all__ = ["Created", "filled", "is_new", "name_of", "new_in", "place_of", "shown"]

_NEW: Final = "+"  # no id begins so

Created: TypeAlias = Mapping[str, Mapping[str, str]]
"""Field → name → id of the record that was made for it."""


def place_of(name: str) -> str:
    """What stands for a record of that name."""
    return _NEW + name


def is_new(id: str) -> bool:
    """Whether that is the place of a record which is still to be created."""
    return id.startswith(_NEW)


def name_of(place: str) -> str:
    """The name of the record that is to be created."""
    return place.removeprefix(_NEW)


def new_in(links: Links) -> dict[str, list[str]]:
    """The names of the records that are to be created before these links can be written, by field."""
    return {field: names for field, ids in links.items() if (names := sorted(map(name_of, filter(is_new, ids))))}


def filled(jobs: Sequence[Job], created: Created) -> list[Job]:
    """The same jobs with the ids of the records that are there by now."""
    return [msgspec.structs.replace(job, links=_filled(job.links, created)) for job in jobs]


def _filled(links: Mapping[str, Sequence[str]], created: Created) -> dict[str, list[str]]:
    return {
        field: sorted_ids([created.get(field, {}).get(name_of(id), id) if is_new(id) else id for id in ids])
        for field, ids in links.items()
    }


def shown(links: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[str | Name]]:
    """Links as a result shows them: what is still to be created by its name, as the job has it."""
    if not any(is_new(id) for ids in links.values() for id in ids):
        return links
    return {field: [Name("name", name_of(id)) if is_new(id) else id for id in ids] for field, ids in links.items()}
