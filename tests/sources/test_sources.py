"""Files, streams and iterables of jobs: what each yields, what is refused as a whole, and leaving one early."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from linker import JobFile, LinkJob, UsageError
from linker.client.jobs import sources_of
from linker.sources import Entry, JobIterable, Reading, Rejection, Source

LINE = '{"id":"PRJ1-%d","links":{"customers":["%d"]}}\n'


def job(number: int) -> LinkJob:
    """The job of line `number`."""
    return LinkJob(f"PRJ1-{number}", {"customers": [str(number)]})


@contextmanager
def pipe() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """A pipe of the operating system: the end to read from, and the end to write to."""
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as reader, os.fdopen(write_end, "wb", buffering=0) as writer:
        yield reader, writer


async def read(*sources: Source, empty_clears: bool = False) -> list[Entry]:
    """All entries of some sources."""
    return [entry for source in sources async for entries in source.entries(Reading(empty_clears)) for entry in entries]


def reader_of(name: str) -> threading.Thread:
    """The thread that reads a source."""
    [thread] = [thread for thread in threading.enumerate() if thread.name == f"linker reads {name}"]
    return thread


async def test_several_files_are_read_one_after_the_other(tmp_path: Path) -> None:
    """JSONL and tables mix in one run, each entry with its own file and line."""
    first, second = tmp_path / "a.jsonl", tmp_path / "b.csv"
    first.write_text(LINE % (1, 1))
    second.write_text("id,field,record_ids\nPRJ1-2,customers,2\n")
    assert await read(*sources_of((str(first), second))) == [
        Entry(str(first), 1, job(1)),
        Entry(str(second), 2, job(2)),
    ]


async def test_a_long_file_comes_whole_and_in_order(tmp_path: Path) -> None:
    """More lines than are handed over at once arrive each once."""
    path = tmp_path / "links.jsonl"
    path.write_text("".join(LINE % (number, number) for number in range(1, 1501)))
    entries = await read(JobFile(path))
    assert entries == [Entry(str(path), number, job(number)) for number in range(1, 1501)]


@pytest.mark.parametrize("name", ["a.jsonl", "a.NDJSON", "a.json"])
async def test_a_files_name_says_that_it_is_jsonl(tmp_path: Path, name: str) -> None:
    """Whatever `format` says for other files, the ending of a name goes first."""
    path = tmp_path / name
    path.write_text(LINE % (1, 1))
    assert [entry.value for entry in await read(JobFile(path, format="csv"))] == [job(1)]


@pytest.mark.parametrize("name", ["a.csv", "a.TSV"])
async def test_a_files_name_says_that_it_is_a_table(tmp_path: Path, name: str) -> None:
    """The delimiter is noticed, not taken from the name."""
    path = tmp_path / name
    path.write_text("id;field;record_ids\nPRJ1-1;customers;1\n")
    assert [entry.value for entry in await read(JobFile(path))] == [job(1)]


async def test_a_file_of_another_name_needs_its_format(tmp_path: Path) -> None:
    """Without one it is refused with the two remedies, with one it is read."""
    path = tmp_path / "links.txt"
    path.write_text(LINE % (1, 1))
    with pytest.raises(
        UsageError, match=r"links.txt: linker cannot tell whether .*; rename it to .jsonl or .csv, or add --format"
    ):
        JobFile(path)
    assert [entry.value for entry in await read(JobFile(path, format="jsonl"))] == [job(1)]


@pytest.mark.parametrize("name", ["missing.jsonl", "folder.csv"])
async def test_a_file_that_cannot_be_read_is_refused_before_anything_is_sent(tmp_path: Path, name: str) -> None:
    """A missing file and a folder are usage errors that name the file, at the check and at reading."""
    (tmp_path / "folder.csv").mkdir()
    source = JobFile(tmp_path / name)
    with pytest.raises(UsageError, match=name):
        source.check()
    with pytest.raises(UsageError, match=name):
        await read(source)


async def test_a_table_of_other_columns_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    """The check of a file reads its header, which leaves the file as it was."""
    path = tmp_path / "links.csv"
    path.write_text("id,field,customers\n")
    with pytest.raises(UsageError, match=r"links.csv line 1: the columns are id, field, customers; linker needs "):
        JobFile(path).check()
    path.write_text("id,field,record_ids\nPRJ1-1,customers,1\n")
    source = JobFile(path)
    source.check()
    assert [entry.value for entry in await read(source)] == [job(1)]


def test_a_results_file_is_named_after_its_source() -> None:
    """A file gives its stem, a stream `stdin`, an iterable `jobs`."""
    with pipe() as (stream, _):
        assert JobFile("-", stream=stream).stem == "stdin"
    assert JobFile("a/links.today.csv").stem == "links.today"
    assert JobIterable([]).stem == "jobs"


async def test_an_iterable_yields_jobs_and_dicts() -> None:
    """Both come with their place; what is neither is rejected; no jobs are no entries."""
    jobs: list[Any] = [job(1), {"id": "PRJ1-2", "links": {"customers": [2]}}, {"id": "PRJ1-3"}, 7]
    first, second, third, fourth = await read(*sources_of(jobs))
    assert [first, second] == [Entry("<jobs>", 1, job(1)), Entry("<jobs>", 2, job(2))]
    assert isinstance(third.value, Rejection)
    assert third.value.message == 'key "links" is missing'
    assert isinstance(fourth.value, Rejection)
    assert fourth.line == 4
    assert await read(*sources_of([])) == []


async def test_a_long_iterable_is_not_taken_whole() -> None:
    """An endless iterable gives its first entries all the same."""

    def endless() -> Iterator[LinkJob]:
        number = 0
        while True:
            number += 1
            yield job(number)

    entries = JobIterable(endless()).entries(Reading())
    first, second = await anext(entries), await anext(entries)
    assert [entry.line for entry in first + second] == list(range(1, 1001))
    assert second[0].value == job(501)


async def test_an_async_iterable_hands_each_job_over_as_it_comes() -> None:
    """A job is there before the next one is asked for."""
    asked: list[int] = []

    async def jobs() -> AsyncIterator[LinkJob | Mapping[str, Any]]:
        for number in (1, 2):
            asked.append(number)
            yield job(number)

    [source] = sources_of(jobs())
    entries = source.entries(Reading())
    assert await anext(entries) == [Entry("<jobs>", 1, job(1))]
    assert asked == [1]
    assert await anext(entries) == [Entry("<jobs>", 2, job(2))]
    with pytest.raises(StopAsyncIteration):
        await anext(entries)


@pytest.mark.parametrize("key", [object(), 2**70, {1: 2}, "\ud800"])
async def test_a_key_that_is_no_json_is_rejected_and_not_shown(key: Any) -> None:
    """A program's own object as a key costs its job only, also where the job is wrong for another reason."""
    for ids in (["1"], ["x"]):
        [entry] = await read(JobIterable([{"id": "PRJ1-1", "links": {"a": ids}, "key": key}]))
        assert isinstance(entry.value, Rejection)
        assert entry.value.key is None


@pytest.mark.parametrize(("id", "shown"), [(-3, "-3"), ("\ud800", "?"), (10**5000, None)], ids=["-3", "half", "huge"])
async def test_an_id_that_is_none_is_shown_as_far_as_it_can_be(id: Any, shown: str | None) -> None:
    """A rejection shows the id as written where a results file can hold it."""
    [entry] = await read(JobIterable([{"id": id, "kind": "idea", "links": {"a": ["1"]}}]))
    assert isinstance(entry.value, Rejection)
    assert entry.value.id == shown


async def test_a_pipe_is_read_in_its_own_thread() -> None:
    """While a stream waits for its writer, the loop goes on: here it is the writer."""
    with pipe() as (stream, writer):
        reading = asyncio.create_task(read(JobFile("-", stream=stream)))
        await asyncio.sleep(0)
        writer.write((LINE % (1, 1)).encode())
        writer.close()
        assert await reading == [Entry("-", 1, job(1))]


async def test_a_stream_is_read_as_its_format_says() -> None:
    """Standard input is JSONL unless it is told otherwise."""
    with pipe() as (stream, writer):
        writer.write(b"id\tfield\trecord_ids\nPRJ1-1\tcustomers\t1\n")
        writer.close()
        assert await read(JobFile("-", stream=stream, format="csv")) == [Entry("-", 2, job(1))]


async def test_a_stream_whose_writer_never_writes_can_be_left() -> None:
    """Cancelling does not wait for the pipe, and its thread ends as soon as it can."""
    with pipe() as (stream, writer):
        reading = asyncio.create_task(read(JobFile("<pipe>", stream=stream)))
        await asyncio.sleep(0)
        thread = reader_of("<pipe>")
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        writer.close()
        await asyncio.to_thread(thread.join)


async def test_a_named_pipe_whose_writer_never_writes_can_be_left(tmp_path: Path) -> None:
    """Neither opening nor closing such a file holds up the loop."""
    path = tmp_path / "links.jsonl"
    os.mkfifo(path)
    source = JobFile(path)
    source.check()
    reading = asyncio.create_task(read(source))
    await asyncio.sleep(0)
    thread = reader_of(str(path))
    with path.open("r+b", buffering=0):  # returns at once, and lets the thread's opening return
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    await asyncio.to_thread(thread.join)


async def test_a_named_pipe_is_read_from_its_first_byte(tmp_path: Path) -> None:
    """The check beforehand takes nothing out of a pipe, as it would out of `<(generate)`."""
    path = tmp_path / "links.csv"
    os.mkfifo(path)
    data = b"id,field,record_ids\nPRJ1-1,customers,1\nPRJ1-2,customers,2\n"
    writer = threading.Thread(target=path.write_bytes, args=(data,), daemon=True)
    writer.start()
    source = JobFile(path)
    source.check()
    assert [entry.value for entry in await read(source)] == [job(1), job(2)]
    writer.join()


async def test_a_stream_that_breaks_is_a_usage_error() -> None:
    """An error of the system while reading names the source."""
    with (
        pipe() as (_, writer),
        os.fdopen(writer.fileno(), "rb", closefd=False) as stream,
        pytest.raises(UsageError, match=r"^<pipe>: Bad file descriptor$"),
    ):
        await read(JobFile("<pipe>", stream=stream))


async def test_a_file_left_early_is_closed(tmp_path: Path) -> None:
    """Breaking out of the entries ends the thread and with it the file (one left open is a warning, so an error)."""
    path = tmp_path / "links.jsonl"
    path.write_text("".join(LINE % (number, number) for number in range(1, 1501)))
    entries = JobFile(path).entries(Reading())
    assert len(await anext(entries)) == 500
    thread = reader_of(str(path))
    await entries.aclose()  # type: ignore[attr-defined]
    await asyncio.to_thread(thread.join)


LEAVES_STDIN = """
import asyncio, select, sys
from linker import JobFile
from linker.sources import Reading

async def main():
    entries = JobFile("-", stream=sys.stdin.buffer).entries(Reading())
    reading = asyncio.ensure_future(anext(entries))
    select.select([0], [], [])
    while select.select([0], [], [], 0)[0]:  # until the thread has taken half a line, and waits for the rest
        await asyncio.sleep(0)
    reading.cancel()

asyncio.run(main())
print("left")
"""


def test_an_interpreter_ends_while_its_standard_input_says_nothing() -> None:
    """A thread that waits in standard input does not make the interpreter abort (exit code 134)."""
    with subprocess.Popen(
        [sys.executable, "-c", LEAVES_STDIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"{")
        process.stdin.flush()
        assert process.stdout.read() == b"left\n"
        assert process.wait() == 0
        assert process.stderr.read() == b""
