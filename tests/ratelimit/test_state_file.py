"""The file through which linkers share a rate limit: what it holds, and what may happen to it at any moment."""

from __future__ import annotations

import asyncio
import fcntl
import math
import os
import shutil
import time
from array import array
from collections.abc import Callable
from itertools import repeat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.command import Command
from support.runs import features, write_jobs

from linker.disk.boot import Boot
from linker.ratelimit import limiter as limiter_module
from linker.ratelimit.layout import MARK, LedgerState, checksum
from linker.ratelimit.ledger import PermitLedger
from linker.ratelimit.limiter import RateLimiter
from linker.ratelimit.permit import ANSWER, NO_ANSWER, Permit, Wait
from linker.ratelimit.storage import MOST_SHARED, SharedFile
from linker.sandbox import Sandbox
from linker.settings import Rate, Settings

FIVE = [Rate(5, 60.0)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where no file is yet."""
    return tmp_path / "state" / "linker" / "quota-2"


def ledger_on(path: Path, rates: list[Rate] = FIVE, clock: Callable[[], float] = time.monotonic) -> PermitLedger:
    """A ledger that shares a file."""
    return PermitLedger(rates, SharedFile(path, clock=clock), timeout_s=30.0, clock=clock)


def take(ledger: PermitLedger) -> Permit:
    """Take a permit, which must be free."""
    permit = ledger.take()
    assert isinstance(permit, Permit)
    return permit


def test_two_ledgers_on_one_file_share_their_places(path: Path) -> None:
    """What one takes, the other lacks; the file is its user's alone and holds no word."""
    first, second = ledger_on(path), ledger_on(path)
    take(first)
    take(first)
    take(second)
    take(first)
    assert first.free() == [(FIVE[0], 1)]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", None),
        (b"x", "it is 1 bytes long"),
        (b"\xff" * 80_000, "it is 80,000 bytes long"),
        (bytes(LedgerState.size(32, MOST_SHARED)), "its content is damaged"),
        (os.urandom(LedgerState.size(32, MOST_SHARED)), "its content is damaged"),
    ],
)
def test_a_file_that_is_none_of_ours_is_begun_anew(
    path: Path, content: bytes, why: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Cut off, grown, garbled: the ledger starts as if no request had been sent, and one line says why."""
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    first = ledger_on(path)
    take(first)
    assert first.free() == [(FIVE[0], 4)]
    take(ledger_on(path))
    assert [why in line for line in caplog.messages if why] == [True] * (why is not None)
    assert len(caplog.messages) == (why is not None)


def test_the_layout_of_version_2_of_the_file_stays(path: Path) -> None:
    """Linkers of different releases share one file: each number stays where it was."""
    ledger = ledger_on(path, clock=lambda: 7.0)
    permits = [take(ledger) for _ in range(3)]
    ledger.finish(permits[0], NO_ANSWER)
    ledger.pause(2.0)
    content = path.read_bytes()
    numbers = array("d", content)
    front = 12 + 8 * 8 + 32 * 8
    assert len(numbers) == front + 2 * 4096
    assert 8 * front <= 4096, "it is written as a whole or not at all"
    assert list(numbers[:3]) == [checksum(content[: 8 * front]), MARK, 2]
    assert list(numbers[4:12]) == [3, 3, 1, 9, 1, 0, 0, 1]
    assert list(numbers[12:20]) == [5, 60, 7, -1, 0, 0, 0, 0]
    assert list(numbers[76:83]) == [1, os.getpid(), 2, 7, 0, 30, 0]
    assert list(numbers[front : front + 4]) == [7, 1, 0, 0]


def rewritten(path: Path, change: Callable[[LedgerState], object]) -> None:
    """Change numbers of a file, as a linker of another kind would."""
    state = LedgerState(bytearray(path.read_bytes()), 32)
    change(state)
    state.head.checksum = checksum(state.front)
    path.write_bytes(bytes(state.numbers))


def test_a_file_of_a_later_version_is_left_as_it_is(path: Path) -> None:
    """Its linkers go on with it; this one says why it does not share."""
    ledger_on(path)
    rewritten(path, lambda state: setattr(state.head, "version", 3))
    content = path.read_bytes()
    with pytest.raises(OSError, match="a later version of linker wrote it"):
        SharedFile(path)
    assert path.read_bytes() == content


def set_log(state: LedgerState, at: float) -> None:
    """One request ended then."""
    state.log(at, 1)


def set_backwards(state: LedgerState) -> None:
    """A request ended before an earlier one."""
    set_log(state, 9.0)
    set_log(state, 9.0)
    state.entries.cast("d")[0] = 10.0


AHEAD = 1e7
CHANGES: dict[str, Callable[[LedgerState], object]] = {
    "log": lambda state: set_log(state, time.monotonic() + 50),
    "trial": lambda state: setattr(state.head, "trial_at", time.monotonic() + 50),
    "pause": lambda state: setattr(state.head, "paused_until", AHEAD),
    "budget": lambda state: setattr(state.report(FIVE[0], 1.0), "until", AHEAD),
    "others": lambda state: setattr(state.report(FIVE[0], 1.0), "others_until", AHEAD),
    "seen": lambda state: setattr(state.participants[3], "seen_at", time.monotonic() + 50),
    "nan": lambda state: setattr(state.participants[3], "under_way", math.nan),
    "infinite": lambda state: setattr(state.head, "paused_until", math.inf),
    "negative": lambda state: setattr(state.head, "sent", -20.0),
    "backwards": set_backwards,
    "hollow": lambda state: setattr(state.head, "answered", 3.0),
}


@pytest.mark.parametrize("change", CHANGES)
def test_numbers_that_no_linker_of_this_boot_wrote_are_never_waited_for(
    path: Path, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Times to come, endless pauses, numbers that are none: the file is begun anew, with one line."""
    ledger_on(path)
    rewritten(path, CHANGES[change])
    ledger = ledger_on(path)
    assert [take(ledger) for _ in range(5)]
    (line,) = caplog.messages
    assert "quota_begun_anew" in line


def test_a_pause_that_is_longer_than_any_that_is_waited_for_is_cut(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be one that a run with a longer --max-wait was asked for; a line says so."""
    ledger_on(path).pause(5000.0)
    ledger = PermitLedger(FIVE, SharedFile(path, longest_wait_s=600.0))
    ledger.take()
    assert 599 < ledger.paused_s() <= 600
    (line,) = caplog.messages
    assert "pause_cut" in line


# What happens to a file in use.


def replaced_by_a_folder(path: Path) -> None:
    """A folder of the same name."""
    path.unlink()
    path.mkdir()


def begun_anew(path: Path) -> None:
    """By a linker that found it empty."""
    os.truncate(path, 0)
    SharedFile(path)


MISHAPS: dict[str, tuple[Callable[[Path], object], str]] = {
    "emptied": (lambda path: os.truncate(path, 0), "it was cut short"),
    "cut": (lambda path: os.truncate(path, 1000), "it was cut short"),
    "log_cut": (lambda path: os.truncate(path, 3000), "it was cut short"),
    "deleted": (lambda path: path.unlink(), "it was deleted"),
    "folder_deleted": (lambda path: shutil.rmtree(path.parent), "it was deleted"),
    "replaced": (
        lambda path: shutil.copy(path, path.with_name("new")) and path.with_name("new").rename(path),
        "replaced",
    ),
    "folder": (replaced_by_a_folder, "it was replaced"),
    "garbage": (lambda path: path.write_bytes(os.urandom(path.stat().st_size)), "its content was damaged"),
    "zeros": (lambda path: path.write_bytes(bytes(path.stat().st_size)), "its content was damaged"),
    "text": (lambda path: path.write_text("hello"), "it was cut short"),
    "version": (lambda path: rewritten(path, lambda state: setattr(state.head, "version", 1)), "damaged"),
    "future": (lambda path: rewritten(path, lambda state: set_log(state, time.monotonic() + 99)), "damaged"),
    "nan": (lambda path: rewritten(path, lambda state: set_log(state, math.nan)), "damaged"),
    "begun_anew": (begun_anew, "another linker has started it over"),
}


@pytest.mark.parametrize("mishap", MISHAPS)
def test_whatever_happens_to_the_file_each_goes_on_alone_with_what_it_knows(
    path: Path, mishap: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One line, no signal, and no request more than those that it knew of, its own and the other's, leave free."""
    act, why = MISHAPS[mishap]
    now = time.monotonic()
    first, second = ledger_on(path, clock=lambda: now), ledger_on(path, clock=lambda: now)
    mine = take(first)
    take(second)
    first.finish(mine, ANSWER)
    act(path)
    caplog.clear()
    now += 0.3
    for _ in range(3):
        take(first)
    for _ in range(20):
        assert isinstance(first.take(), Wait)
    (line,) = caplog.messages
    assert why in line
    assert "quota_not_shared" in line
    assert "--share" in line
    if mishap != "folder":
        take(ledger_on(path, clock=lambda: now))


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_a_file_that_cannot_be_read_is_not_shared(path: Path) -> None:
    """The system's own words say why."""
    ledger_on(path)
    path.chmod(0)
    with pytest.raises(PermissionError):
        SharedFile(path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_not_shared(path: Path, make: Callable[[Path], None]) -> None:
    """Nothing waits for the other end of a pipe."""
    path.parent.mkdir(parents=True)
    make(path)
    with pytest.raises(OSError, match=r"regular file|directory"):
        SharedFile(path)


def test_a_lock_that_is_never_released_is_left(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Linkers hold it for microseconds: whoever has it for seconds is stopped, or no linker."""
    now = time.monotonic()
    ledger = ledger_on(path, clock=lambda: now)
    with path.open("r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert isinstance(ledger.take(), Wait)
        now += 4.0
        assert isinstance(ledger.take(), Wait)
        now += 2.0
        take(ledger)
    (line,) = caplog.messages
    assert "another process has held its lock for 5 s" in line


def test_a_full_disk_ends_the_sharing_and_not_the_run(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The permit that could not be written down is held all the same."""
    ledger = ledger_on(path)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    for _ in range(5):
        take(ledger)
    assert isinstance(ledger.take(), Wait)
    (line,) = caplog.messages
    assert "No space left on device" in line


class _Killed(BaseException):
    """The process ends here."""


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40), st.lists(st.sampled_from(["take", "finish", "give_back"]), min_size=3, max_size=12))
def test_a_process_that_is_killed_at_any_write_leaves_a_file_that_others_use(
    tmp_path_factory: pytest.TempPathFactory, killed_at: int, acts: list[str]
) -> None:
    """Before each write, or between the log and the rest: no permit in use is forgotten, and nothing is logged."""
    path = tmp_path_factory.mktemp("state") / "linker" / "quota"
    dying, other = ledger_on(path), ledger_on(path)
    take(other)
    writes, write, held = 0, os.pwrite, list[Permit]()

    def dies(fd: int, content: bytes, at: int) -> int:
        nonlocal writes
        writes += 1
        if writes == killed_at:
            raise _Killed
        return write(fd, content, at)

    sent = 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pwrite", dies)
        try:
            for act in acts:
                if act == "take":
                    if isinstance(permit := dying.take(), Permit):
                        held.append(permit)
                        sent += 1
                elif held and act == "finish":
                    dying.finish(held.pop(), ANSWER)
                elif held:
                    dying.give_back(held[-1])
                    held.pop()
                    sent -= 1
        except _Killed:
            pass
    fcntl.flock(dying._storage._file, fcntl.LOCK_UN)  # type: ignore[attr-defined]  # as the system does
    with_other = 0
    while isinstance(other.take(), Permit):
        with_other += 1
    assert with_other <= 5 - sent
    assert other._storage._is_shared  # type: ignore[attr-defined]
    SharedFile(path)
    assert other._storage._is_shared  # type: ignore[attr-defined]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3000)), min_size=1, max_size=6))
def test_all_copies_are_one_also_where_the_log_begins_again(
    tmp_path_factory: pytest.TempPathFactory, bursts: list[tuple[int, int]]
) -> None:
    """Any of three ledgers writes any number of requests down; the others, and those who come later, see the same."""
    path = tmp_path_factory.mktemp("state") / "quota"
    now, files = 1.0, list[SharedFile]()
    files = [SharedFile(path, clock=lambda: now) for _ in range(3)]
    for number, ended in bursts:
        files[number].lock()
        for _ in range(ended):
            now += 0.001
            files[number].state.log(now, number)
        files[number].unlock()
    for file in files:
        file.lock()
        file.unlock()
    late = SharedFile(path, clock=lambda: now)
    assert {bytes(file.state.numbers) for file in files} == {bytes(late.state.numbers)}
    assert late.state.ended_since(0.0) == min(MOST_SHARED, sum(ended for _, ended in bursts))


# Machines.


def test_after_a_boot_the_clock_starts_anew_and_so_does_the_file(path: Path) -> None:
    """Times that are still to come are another boot's."""
    before = ledger_on(path, [Rate(1, 60.0)], clock=lambda: 1e9)
    before.finish(take(before), NO_ANSWER)
    take(ledger_on(path, [Rate(1, 60.0)]))


def test_machines_with_one_home_have_a_file_each_and_a_limit_each(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever their clocks show, none waits for the other; whoever comes second says what to do."""
    settings = Settings(base_url="https://company.aha.io", state_dir=tmp_path, rate=(Rate(1, 60.0),))
    for name, ahead_s in (("one", 0.0), ("two", 1e5), ("three", -1e5)):
        boot = Boot(name, repeat(time.monotonic() + 2e5 + ahead_s).__next__)
        monkeypatch.setattr(limiter_module, "this_boot", lambda boot=boot: boot)
        ledger = RateLimiter.of(settings)._account
        take(ledger)
        assert isinstance(ledger.take(), Wait)
    assert len(list(tmp_path.iterdir())) == 3
    assert ["other_machine" in line and "--share" in line for line in caplog.messages] == [True, True]


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root, to give a process another clock"
)
async def test_processes_whose_clocks_differ_share_one_limit(tmp_path: Path) -> None:
    """Containers of one machine may count their uptime from elsewhere; the account refuses nothing to any."""
    async with Sandbox(limits=[(20, 1.0)], features=20) as sandbox:
        write_jobs(tmp_path / "links.jsonl", features(12))
        command = Command(tmp_path, {"AHA_URL": sandbox.url, "AHA_TOKEN": sandbox.options.token})
        told = ("run", "links.jsonl", "--rate", "20/1s", "--mode", "add", "--no-preflight", "--results")
        there = ("unshare", "--time", "--fork", "--monotonic")
        here, ahead, behind = await asyncio.gather(
            command(*told, "here.jsonl"),
            command.program(*there, "100000", *command.argv(*told, "ahead.jsonl")),
            command.program(*there, "-1000", *command.argv(*told, "behind.jsonl")),
        )
        if "unshare:" in ahead.stderr:
            pytest.skip("no time namespaces here")
        assert (here.code, ahead.code, behind.code) == (0, 0, 0)
        assert sandbox.stats.refused == 0
        assert "quota" not in here.stderr + ahead.stderr + behind.stderr


def test_without_a_file_the_rate_limiter_is_not_shared(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It logs one line about it and goes on."""
    (tmp_path / "file").touch()
    limiter = RateLimiter.of(Settings(base_url="https://h", state_dir=tmp_path / "file"))
    assert repr(limiter) == "<RateLimiter 300/60s 300 free, 20/1s 20 free, 0 waiting>"
    (line,) = caplog.messages
    assert "quota_not_shared" in line


def test_the_file_is_named_by_a_hash_of_the_account(tmp_path: Path) -> None:
    """One file an account, whatever the case of its name; nothing in it or its name tells which."""
    for url in ("https://company.aha.io", "https://Company.aha.io", "https://other.aha.io"):
        RateLimiter.of(Settings(base_url=url, state_dir=tmp_path / "linker"))
    names = [file.name for file in (tmp_path / "linker").iterdir()]
    assert len(names) == 2
    assert not any("company" in name or "other" in name for name in names)


async def test_linkers_outlive_each_other_and_their_file(tmp_path: Path) -> None:
    """Three run, one after the other is killed, and the file is emptied, cut and deleted all the while."""
    async with Sandbox(limits=[], features=5, latency_ms=5) as sandbox:
        write_jobs(tmp_path / "links.jsonl", features(5) * 20)
        environment = {"AHA_URL": sandbox.url, "AHA_TOKEN": sandbox.options.token}
        command = Command(tmp_path, environment | {"XDG_STATE_HOME": str(tmp_path / "state")})
        told = ("run", "links.jsonl", "--rate", "60/0.5s", "--mode", "add", "--no-preflight", "--results")
        killed = [await command.start(*told, f"killed{number}.jsonl") for number in range(2)]
        running = [asyncio.create_task(command(*told, f"{number}.jsonl")) for number in range(3)]
        mishaps: list[Callable[[Path], None]] = [
            os.unlink,
            lambda path: os.truncate(path, 0),
            lambda path: os.truncate(path, 3000),
        ]
        for number in range(40):
            for path in (tmp_path / "state/linker").glob("quota-*"):
                mishaps[number % 3](path)
            if number == 20:
                for process in killed:
                    process.kill()
            await asyncio.sleep(0.02)
        finished = await asyncio.gather(*running)
        for process in killed:
            await process.communicate()
    assert [each.code for each in finished] == [0, 0, 0]
    assert [each.stderr.count("cannot share the rate limit") <= 1 for each in finished] == [True] * 3
