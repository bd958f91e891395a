"""Records that a run created are deleted after its undo, and never while something links to them."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.raw_server import Arrived, Wire, page, said
from support.runs import ACME, eager, results_of, until

from linker import Deletion, Kind, Linker, Stopped, UndoFile
from linker.records.delete import Ending
from linker.sandbox import Account, Fault, Resource, Sandbox
from linker.sandbox.faults import Faults

RECORD = Kind.CUSTOM_OBJECT_RECORD
OPTIONS: dict[str, Any] = {"table": {"customers": "PRJ1/customers"}, "create_missing": True}
DELETE = r"DELETE .*/custom_object_records/"


def named(number: int, *names: str, **rest: Any) -> dict[str, Any]:
    """A job that names customers."""
    return {"id": f"PRJ1-{number}", "links": {"customers": [{"name": name} for name in names]}} | rest


async def create(sandbox: Sandbox, path: Path, *jobs: dict[str, Any], **options: Any) -> list[str]:
    """Run jobs that create records, and return the ids of these."""
    async with eager(sandbox, **OPTIONS | options) as aha:
        await results_of(aha.run(list(jobs), path))
    return created(sandbox)


def created(sandbox: Sandbox) -> list[str]:
    """The ids of records that were created and are still there."""
    return [str(record.id) for record in sandbox.account.listed(RECORD) if record.id >= 79 * 10**17]


async def undo(sandbox: Sandbox, path: Path, **options: Any) -> None:
    """Take back what a run has linked."""
    async with eager(sandbox, **options) as aha:
        await results_of(aha.run(UndoFile(path)))


async def delete(sandbox: Sandbox, path: Path, **options: Any) -> list[Deletion]:
    """What became of the created records."""
    async with eager(sandbox, **options) as aha:
        return [deletion async for deletion in aha.delete_created(UndoFile(path))]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a run's results go."""
    return tmp_path / "links.results.jsonl"


async def test_what_nothing_links_to_any_more_is_deleted(sandbox: Sandbox, path: Path) -> None:
    """Each record is read once right before its DELETE; a second time they are gone."""
    before = len(sandbox.account.listed(RECORD))
    ids = await create(sandbox, path, *[named(number, f"New {number}") for number in range(1, 21)])
    await undo(sandbox, path)
    sandbox.requests.clear()
    deletions = await delete(sandbox, path)
    assert {deletion.id: deletion.ending for deletion in deletions} == dict.fromkeys(ids, Ending.DELETED)
    assert Counter(seen.method for seen in sandbox.requests) == {"GET": 20, "DELETE": 20}
    assert len(sandbox.account.listed(RECORD)) == before
    assert {deletion.ending for deletion in await delete(sandbox, path)} == {Ending.GONE}


async def test_what_something_links_to_stays(sandbox: Sandbox, path: Path) -> None:
    """Before the undo: all. After it: what a colleague has linked since; by whichever kind and field."""
    ids = await create(sandbox, path, named(1, "New 1"), named(2, "New 2"))
    assert {deletion.ending for deletion in await delete(sandbox, path)} == {Ending.LINKED}
    assert created(sandbox) == ids
    await undo(sandbox, path)
    sandbox.account.set_links(Kind.IDEA, "PRJ1-I-1", "revenue", [ids[0]])
    deletions = {deletion.id: deletion for deletion in await delete(sandbox, path)}
    assert (deletions[ids[0]].ending, deletions[ids[1]].ending) == (Ending.LINKED, Ending.DELETED)
    assert deletions[ids[0]].why == f"record {ids[0]} was kept, because 1 link leads to it"
    assert sandbox.stats.methods["DELETE"] == 1


async def test_a_record_whose_put_was_refused_is_deleted_too(sandbox: Sandbox, path: Path) -> None:
    """Its line has no change, and says that it was created."""
    sandbox.faults.script(on="PUT *", stays=403)
    ids = await create(sandbox, path, named(1, "New 1"))
    assert len(ids) == 1
    assert [deletion.ending for deletion in await delete(sandbox, path)] == [Ending.DELETED]


@pytest.mark.parametrize("fault", ["reset_after", "cut", "html", 503, "reset", 429])
async def test_a_lost_answer_is_followed_by_a_look(sandbox: Sandbox, path: Path, fault: str | int) -> None:
    """Gone means done, and what is there is deleted."""
    await create(sandbox, path, named(1, "New 1"))
    await undo(sandbox, path)
    sandbox.faults.script(fault, on=DELETE)
    assert [deletion.ending for deletion in await delete(sandbox, path)] == [Ending.DELETED]
    assert created(sandbox) == []


@pytest.mark.parametrize("fault", ["html", 503, "reset"])
async def test_what_is_linked_between_two_tries_stays(sandbox: Sandbox, path: Path, fault: str | int) -> None:
    """The second look sees it."""
    (id,) = await create(sandbox, path, named(1, "New 1"))
    await undo(sandbox, path)

    def link(account: Account) -> None:
        account.set_links(Kind.FEATURE, "PRJ1-9", "customers", [id])

    sandbox.faults.script(fault, on=DELETE)
    sandbox.script.before(rf"GET .*/custom_object_records/{id}", link, nth=2)
    assert [deletion.ending for deletion in await delete(sandbox, path)] == [Ending.LINKED]
    assert created(sandbox) == [id]


async def test_a_look_that_is_too_old_is_repeated(sandbox: Sandbox, path: Path) -> None:
    """While the account asks for a pause, somebody links the record."""
    (id,) = await create(sandbox, path, named(1, "New 1"))
    await undo(sandbox, path)

    def link(account: Account) -> None:
        account.set_links(Kind.FEATURE, "PRJ1-9", "customers", [id])

    sandbox.faults.script(429, 429, 429, on=DELETE)
    sandbox.script.before(rf"GET .*/custom_object_records/{id}", link, nth=2)
    options = {"max_age": 0.0, "backoff_base_s": 0.05}
    assert [deletion.ending for deletion in await delete(sandbox, path, **options)] == [Ending.LINKED]
    assert created(sandbox) == [id]


@pytest.mark.parametrize(
    ("status", "said"), [(403, "your token may not delete record {}"), (500, "record {} could not be deleted: 500")]
)
async def test_a_refusal_is_told(sandbox: Sandbox, path: Path, status: int, said: str) -> None:
    """With the record's id; the others are deleted."""
    first, second = await create(sandbox, path, named(1, "New 1"), named(2, "New 2"))
    await undo(sandbox, path)
    sandbox.faults.script(on=f"{DELETE}{first}", stays=status)
    deletions = {deletion.id: deletion for deletion in await delete(sandbox, path, attempts=2)}
    assert deletions[first].ending is Ending.FAILED
    assert said.format(first) in deletions[first].why
    assert deletions[second].ending is Ending.DELETED


async def test_a_token_that_is_refused_ends_it(sandbox: Sandbox, path: Path) -> None:
    """As it ends a run."""
    await create(sandbox, path, named(1, "New 1"))
    await undo(sandbox, path)
    sandbox.faults.script(stays=401)
    with pytest.raises(Stopped, match="rejected your token"):
        await delete(sandbox, path)


@pytest.mark.parametrize(
    "shown",
    [{}, {"linked_records": None}, {"linked_records": {}}, {"linked_records": ""}],
)
async def test_where_the_links_cannot_be_seen_the_record_stays(path: Path, shown: dict[str, Any]) -> None:
    """Others may use it by now: no DELETE is sent."""
    line = {"status": "failed", "change": None, "changes": None, "created": {"customers": {"New": "7"}}}
    path.write_bytes(orjson.dumps(line))

    async def answer(request: Arrived, writer: asyncio.StreamWriter) -> None:
        writer.write(page("200 OK", orjson.dumps({"custom_object_record": {"id": "7"} | shown})))

    async with Wire(answer) as wire, Linker(url=wire.url, token="sandbox", rate=(), state_dir=None) as aha:
        (deletion,) = [deletion async for deletion in aha.delete_created(UndoFile(path))]
    assert deletion == Deletion(
        "7", Ending.FAILED, "record 7 was kept, because the account does not show what links to it"
    )
    assert {request.method for request in wire.requests} == {"GET"}


async def test_what_links_to_another_record_says_nothing_of_this_one(path: Path) -> None:
    """Each answer is about record 8: no DELETE is sent."""
    line = {"status": "failed", "change": None, "changes": None, "created": {"customers": {"New": "7"}}}
    path.write_bytes(orjson.dumps(line))
    answer = said(page("200 OK", b'{"custom_object_record":{"id":"8","linked_records":[]}}'))
    async with (
        Wire(answer) as wire,
        Linker(url=wire.url, token="sandbox", rate=(), state_dir=None, attempts=2, backoff_base_s=0.01) as aha,
    ):
        (deletion,) = [deletion async for deletion in aha.delete_created(UndoFile(path))]
    assert deletion.why.startswith('record 7 cannot be read: the answer (200) does not fit the request: its id is "8"')
    assert (deletion.id, deletion.ending) == ("7", Ending.FAILED)
    assert {request.method for request in wire.requests} == {"GET"}


@contextmanager
def watched(account: Account) -> Iterator[list[str]]:
    """The records that were deleted although something linked to them."""
    wrong: list[str] = []
    remove = account.remove

    def watch(kind: Kind, id: str | int) -> Resource:
        if kind is RECORD and any(account.linkers(int(id))):
            wrong.append(str(id))
        return remove(kind, id)

    account.remove = watch  # type: ignore[method-assign]
    try:
        yield wrong
    finally:
        account.remove = remove  # type: ignore[method-assign]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["link", "unlink"]), st.integers(0, 5)),
        st.tuples(st.just("undo"), st.integers(0, 12)),
        st.tuples(st.just("delete"), st.integers(0, 30)),
    ),
    max_size=8,
)


@settings(max_examples=25)
@given(STEPS, st.integers(0, 9))
async def test_no_sequence_of_kills_and_retries_deletes_what_is_linked(steps: list[tuple[str, int]], seed: int) -> None:
    """Undo and deletion are cut off after some requests, with lost answers and others' links in between."""
    faults = [Fault("reset_after", 0.1), Fault(503, 0.1), Fault("cut", 0.05)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "links.results.jsonl"
        async with Sandbox(limits=[], features=10) as rough:
            ids = await create(rough, path, *[named(number + 1, f"New {number}") for number in range(6)])
            rough.faults = Faults(faults, seed)
            with watched(rough.account) as wrong:
                for step, number in [*steps, ("undo", 10**6), ("delete", 10**6)]:
                    if step == "link" and ids[number] in created(rough):
                        rough.account.set_links(Kind.FEATURE, "PRJ1-10", "customers", [ids[number], ACME])
                    elif step == "unlink":
                        rough.account.set_links(Kind.FEATURE, "PRJ1-10", "customers", [])
                    elif step in ("undo", "delete"):
                        await cut_off(rough, path, step, number)
            linked = {id for id in created(rough) if any(rough.account.linkers(int(id)))}
            assert wrong == []
            assert set(created(rough)) == linked


async def cut_off(sandbox: Sandbox, path: Path, step: str, requests: int) -> None:
    """Do a step, and cancel it after so many requests."""
    doing: Any = undo(sandbox, path, attempts=40) if step == "undo" else delete(sandbox, path, attempts=40)
    task = asyncio.create_task(doing)
    most = sandbox.stats.requests + requests
    await until(lambda: task.done() or sandbox.stats.requests >= most)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_closing_early_leaves_no_request_in_flight(sandbox: Sandbox, path: Path) -> None:
    """Whoever leaves the loop can go on later: the rest is deleted then."""
    await create(sandbox, path, *[named(number, f"New {number}") for number in range(1, 31)])
    await undo(sandbox, path)
    async with eager(sandbox) as aha, aclosing(aha.delete_created(UndoFile(path))) as deletions:  # type: ignore[type-var]
        async for _ in deletions:
            break
    assert 0 < len(created(sandbox)) < 30
    await delete(sandbox, path)
    assert created(sandbox) == []
