"""The results file: the contract's keys in their order, whole lines or nothing, and nobody's results lost."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from linker.batch.change import FieldChange
from linker.batch.merge import Job
from linker.errors import Error, ErrorType, ResultsExist, UsageError
from linker.model.job import Mode
from linker.model.target import Kind, Target
from linker.results.file import ResultsFile
from linker.results.result import Result, Status
from linker.sources import Entry, Rejection

KEYS = [
    *("job", "line", "source", "key", "kind", "id", "mode", "links", "status", "before", "after", "change", "changes"),
    *("http_status", "attempts", "error", "finished_at", "elapsed_ms"),
]
JOB = Job(0, "links.jsonl", 1, Target(Kind.FEATURE, "PRJ1-1"), Mode.REPLACE, {"customers": ("640362830",)}, "crm-17")


def result(number: int = 0, **rest: Any) -> Result:
    """A result like any other."""
    job = Job(number, JOB.source, number + 1, JOB.target, JOB.mode, JOB.links, JOB.key)
    return Result.of(job, Status.LINKED, **rest)


def test_a_line_is_the_contracts_to_the_letter() -> None:
    """The design's own example, key by key; only the time is today's."""
    made = result(
        before={"customers": []},
        after={"customers": ["640362830"]},
        change=0,
        changes={"customers": FieldChange(["640362830"], [])},
        http_status=200,
        attempts=1,
        elapsed_ms=182.4,
    )
    line = re.sub(r'"finished_at":"[^"]*"', '"finished_at":"2026-01-01T00:00:00.000Z"', made.to_json().decode())
    assert line == (
        '{"job":0,"line":1,"source":"links.jsonl","key":"crm-17","kind":"feature","id":"PRJ1-1","mode":"replace",'
        '"links":{"customers":["640362830"]},"status":"linked","before":{"customers":[]},'
        '"after":{"customers":["640362830"]},"change":0,"changes":{"customers":{"added":["640362830"],"removed":[]}},'
        '"http_status":200,"attempts":1,"error":null,"finished_at":"2026-01-01T00:00:00.000Z","elapsed_ms":182.4}'
    )


def test_every_line_has_all_keys_in_one_order_rejected_ones_too() -> None:
    """What a line did not yield is null; an error is a word, a message and whether a retry may help."""
    rejection = Rejection("no JSON", key=None, kind=None, id=None, mode=None, links=None)
    lines = [
        orjson.loads(each.to_json())
        for each in (
            result(),
            Result.rejected(JOB, Error(ErrorType.CONFLICT, "links.customers: …")),
            Result.unread(7, Entry("links.csv", 8, rejection), rejection),
        )
    ]
    assert [list(line) for line in lines] == [KEYS] * 3
    assert lines[1]["error"] == {"type": "conflict", "message": "links.customers: …", "retryable": False}
    assert (lines[1]["status"], lines[1]["attempts"]) == ("rejected", 0)
    assert lines[2] == {
        **dict.fromkeys(KEYS),
        "job": 7,
        "line": 8,
        "source": "links.csv",
        "status": "rejected",
        "attempts": 0,
        "error": {"type": "invalid_job", "message": "no JSON", "retryable": False},
        "finished_at": lines[2]["finished_at"],
        "elapsed_ms": 0.0,
    }


def test_the_time_of_a_result_is_utc_in_milliseconds() -> None:
    """So that lines of different machines can be compared as text."""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", result().finished_at)


def test_lines_come_in_the_order_in_which_they_are_written(tmp_path: Path) -> None:
    """One line a result, whole, each ended; the file can be read while it grows."""
    path = tmp_path / "links.results.jsonl"
    with ResultsFile(path) as results:
        results.write([])
        assert path.read_bytes() == b""
        results.write([result(2), result(0)])
        assert [orjson.loads(line)["job"] for line in path.read_bytes().splitlines()] == [2, 0]
        results.write([result(1)])
    data = path.read_bytes()
    assert data.endswith(b"}\n")
    assert [orjson.loads(line)["job"] for line in data.splitlines()] == [2, 0, 1]
    assert repr(results) == f"<ResultsFile {path}, {len(data):,} bytes>"


def test_results_are_for_their_owner_alone(tmp_path: Path) -> None:
    """They tell of the account's customers: mode 0600, whatever the umask would have let through."""
    before = os.umask(0)
    try:
        with ResultsFile(tmp_path / "results.jsonl"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "results.jsonl").stat().st_mode) == 0o600


def test_a_file_that_is_there_is_refused_and_left_alone(tmp_path: Path) -> None:
    """The message says what would do; a link that leads nowhere is a file that is there, too."""
    path = tmp_path / "results.jsonl"
    path.write_text("mine\n")
    why = r"results\.jsonl already exists; continue it with --resume, or start over with --overwrite"
    with pytest.raises(ResultsExist, match=why), ResultsFile(path):
        pytest.fail("it was opened")
    assert path.read_text() == "mine\n"
    dangling = tmp_path / "link.jsonl"
    dangling.symlink_to(tmp_path / "target.jsonl")
    with pytest.raises(ResultsExist), ResultsFile(dangling):
        pytest.fail("it was opened")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link.jsonl", "results.jsonl"]


def test_overwriting_keeps_each_old_file_under_the_time_of_its_last_line(tmp_path: Path) -> None:
    """Several of one second get a number; none is lost, and the new one starts empty."""
    path = tmp_path / "links.results.jsonl"
    for text in ("first\n", "second\n", "third\n"):
        path.write_text(text)
        os.utime(path, (1_767_225_600, 1_767_225_600))  # 2026-01-01
        with ResultsFile(path, overwrite=True):
            assert path.read_bytes() == b""
        path.unlink()
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {
        "links.results.20260101T000000Z.jsonl": "first\n",
        "links.results.20260101T000000Z-2.jsonl": "second\n",
        "links.results.20260101T000000Z-3.jsonl": "third\n",
    }


def test_overwriting_what_is_not_there_just_makes_it(tmp_path: Path) -> None:
    """The option may always be given."""
    with ResultsFile(tmp_path / "results.jsonl", overwrite=True) as results:
        results.write([result()])
    assert [each.name for each in tmp_path.iterdir()] == ["results.jsonl"]


def test_a_file_that_cannot_be_made_is_the_users_mistake(tmp_path: Path) -> None:
    """A file where a folder should be: said before anything is sent. A folder that does not exist is made."""
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "results.jsonl"
    with pytest.raises(UsageError, match=f"^results file {path}: Not a directory$"), ResultsFile(path):
        pytest.fail("it was opened")
    with ResultsFile(tmp_path / "runs" / "of" / "2026-01-01.jsonl"):
        pass
    assert (tmp_path / "runs" / "of" / "2026-01-01.jsonl").is_file()


def test_a_run_that_fails_before_its_first_line_leaves_no_file_behind(tmp_path: Path) -> None:
    """Or the next try would be refused for an empty file. One with lines stays; so does that of a run without jobs."""
    path = tmp_path / "results.jsonl"

    def fail_after(*lines: Result) -> None:
        with ResultsFile(path) as results:
            results.write(lines)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after()
    assert not path.exists()
    with pytest.raises(ZeroDivisionError):
        fail_after(result())
    assert path.stat().st_size > 0
    with ResultsFile(tmp_path / "empty.jsonl"):
        pass
    assert (tmp_path / "empty.jsonl").exists()


FULL_DISK = """
import resource, sys
from pathlib import Path
from linker.batch.merge import Job
from linker.errors import ResultsUnwritable
from linker.model.job import Mode
from linker.model.target import Kind, Target
from linker.results.result import Result, Status
from linker.results.file import ResultsFile

path, limit, at_once = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
target = Target(Kind.FEATURE, "PRJ1-1")
jobs = [Job(n, "links.jsonl", n + 1, target, Mode.REPLACE, {"customers": ("1",)}, None) for n in range(40)]
try:
    with ResultsFile(path) as results:
        for first in range(0, 40, at_once):
            results.write([Result.of(job, Status.LINKED) for job in jobs[first : first + at_once]])
except ResultsUnwritable as error:
    print(error)
"""


@pytest.mark.parametrize(("limit", "at_once"), [(4096, 1), (5000, 3), (5000, 40), (100, 3)])
def test_a_full_disk_leaves_whole_lines_and_says_so(tmp_path: Path, limit: int, at_once: int) -> None:
    """A real limit of the system's on a file's size: what fits stays, half a line does not, no file without a line."""
    path = tmp_path / "results.jsonl"
    arguments = [sys.executable, "-W", "error", "-c", FULL_DISK, str(path), str(limit), str(at_once)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=30, check=True)
    why = "File too large; nothing more is sent. Fix the problem, then continue with --resume"
    assert done.stdout == f"results file {path}: {why}\n"
    if limit == 100:
        assert not path.exists()
        return
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    assert [orjson.loads(line)["job"] for line in lines] == list(range(len(lines)))
    assert data.endswith(b"\n")
    assert len(data) <= limit < len(data) + len(lines[-1]) + 10  # and as many of them as have room
