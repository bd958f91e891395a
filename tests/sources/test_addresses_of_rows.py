"""Addresses of pages in Aha! in job files: those of the run's account are ids, those of another are rejected."""

from __future__ import annotations

from io import BytesIO

import orjson
import pytest

from linker import Kind, LinkJob, Target
from linker.sources.csv import read_table
from linker.sources.entry import Entry, Reading, Rejection
from linker.sources.iterables import JobIterable
from linker.sources.jsonl import read_jsonl

HERE = Reading(host="company.aha.io")
FEATURE = Target(Kind.FEATURE, "PRJ1-1")
OWN = "https://company.aha.io/features/PRJ1-1"
OTHER = "https://other.aha.io/features/PRJ1-1"
LOOKALIKES = (
    OTHER,
    "https://company.aha.io.evil.example/features/PRJ1-1",
    "https://company.ideas.aha.io/ideas/PRJ1-I-1",
    "https://company.aha.io:8443/features/PRJ1-1",
)


def line(id: str) -> bytes:
    """A line of a job file."""
    return orjson.dumps({"id": id, "links": {"customers": ["640362830"]}})


def row(id: str) -> list[Entry]:
    """The entries of one row of a table."""
    return list(read_table(BytesIO(f'id,field,record_ids\n"{id}",customers,640362830\n'.encode()), "links.csv", HERE))


async def from_python(id: str) -> list[Entry]:
    """The entries of a dict and of a job that a program made."""
    links = {"customers": ["640362830"]}
    jobs = JobIterable([{"id": id, "links": links}, LinkJob(id, links)])
    return [entry async for entries in jobs.entries(HERE) for entry in entries]


async def entries_of(id: str) -> list[Entry]:
    """What each kind of source makes of an id."""
    return [*read_jsonl(BytesIO(line(id)), "links.jsonl", HERE), *row(id), *await from_python(id)]


async def test_an_address_of_the_account_is_an_id_in_every_source() -> None:
    """JSONL, CSV, dicts and jobs from Python alike; the job is the same as with the reference number."""
    own, plain = await entries_of(OWN), await entries_of("PRJ1-1")
    assert len(own) == len(plain) == 4
    assert [entry.value for entry in own] == [entry.value for entry in plain]


@pytest.mark.parametrize("id", LOOKALIKES)
async def test_an_address_of_another_account_is_rejected_in_every_source(id: str) -> None:
    """The message names both accounts, and the target keeps half a list from being written."""
    for entry in await entries_of(id):
        assert isinstance(entry.value, Rejection)
        host = id.split("/")[2]
        assert f"the address belongs to the account {host}, but this run is for company.aha.io" in entry.value.message
        assert entry.value.targets
        assert entry.value.id == entry.value.targets[0].id
        assert entry.value.fields == frozenset({"customers"})


def test_a_line_that_is_invalid_otherwise_is_still_for_the_target_of_its_address() -> None:
    """As a line with a reference number is."""
    (entry,) = read_jsonl(BytesIO(b'{"id": "%s", "lnks": {}}' % OWN.encode()), "links.jsonl", HERE)
    assert isinstance(entry.value, Rejection)
    assert (entry.value.targets, entry.value.id) == ((FEATURE,), "PRJ1-1")


def test_a_password_in_an_id_is_not_in_the_result() -> None:
    """Nor is what follows the path."""
    (entry,) = read_jsonl(BytesIO(line("https://me:hunter2@company.aha.io/features/PRJ1-1?t=hunter3")), "f", HERE)
    assert isinstance(entry.value, Rejection)
    assert entry.value.id == OWN
    assert "hunter" not in entry.value.message


def test_a_cell_may_hold_several_addresses() -> None:
    """Between the delimiters of a cell, with queries or without."""
    entries = row(f"{OWN}?a=b; company.aha.io/ideas/ideas/PRJ1-I-1#c,https://company.aha.io/epics/PRJ1-E-1?x;PRJ1-2")
    assert [entry.value for entry in entries if isinstance(entry.value, Rejection)]
    entries = row(f"{OWN}?a=b; company.aha.io/ideas/ideas/PRJ1-I-1#c,https://company.aha.io/epics/PRJ1-E-1?x; PRJ1-2")
    ids = [entry.value.id for entry in entries if isinstance(entry.value, LinkJob)]
    assert ids == ["PRJ1-1", "PRJ1-I-1", "PRJ1-E-1", "PRJ1-2"]


@pytest.mark.parametrize("end", ["?filter=a,b", "?a=1;PRJ1-2", "#x|PRJ2"])
def test_an_address_that_a_delimiter_may_cut_is_rejected_whole(end: str) -> None:
    """What follows could be part of the address or another target, and is not guessed."""
    (entry,) = row(OWN + end)
    assert isinstance(entry.value, Rejection)
    assert 'column "id": an address cannot contain ; , or | after its ? or #' in entry.value.message
