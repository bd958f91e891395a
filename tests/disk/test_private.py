"""Files are readable by their owner alone, and never created through somebody else's symbolic link."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from support.command import Command
from support.runs import ACME, eager, features, results_of, until, write_jobs

from linker import Kind, Settings, UndoFile, UsageError
from linker.disk.lines import DISK
from linker.disk.private import make_folder, open_private
from linker.ratelimit.limiter import RateLimiter
from linker.ratelimit.storage import SharedFile
from linker.results.journal import journal_of
from linker.sandbox import Sandbox

MAKE = os.O_WRONLY | os.O_CREAT
NOT_FOLLOWED = "is a symbolic link that another user may have made, so linker does not follow it"
MODES = [0o777, 0o1777, 0o703, 0o757]


def made(path: Path) -> Path:
    """Create a file there."""
    os.close(open_private(path, MAKE))
    return path


def mode_of(path: Path) -> int:
    """The permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> int:
    """The permissions that the shell gives new files."""
    return int(request.param)


async def test_all_files_of_a_run_are_their_owners_alone(
    command: Command, sandbox: Sandbox, state_home: Path, umask: int
) -> None:
    """Results, journal, state, an old file that is kept, an undo, an export: 0600, whatever the umask."""
    write_jobs(command.folder / "links.jsonl", features(3))
    before = {command.folder / "links.jsonl"}
    old = os.umask(umask)
    try:
        async with Sandbox(limits=[], latency_ms=25_000) as slow:
            command.environment["AHA_URL"] = slow.url
            process = await command.start(
                "run", "links.jsonl", "--results", "new/killed.jsonl", "--blind", "--no-preflight"
            )
            await until(lambda: slow.stats.methods["PUT"] > 0)
            process.kill()
            await process.communicate()
        command.environment["AHA_URL"] = sandbox.url
        for told in (
            ("run", "links.jsonl"),
            ("run", "links.jsonl", "--overwrite"),
            ("undo", "links.results.jsonl", "--yes"),
            ("export", "--kind", "feature", "-o", "out.csv"),
        ):
            finished = await command(*told)
            assert finished.code == 0, finished.stderr
    finally:
        os.umask(old)
    files = {path for folder in (command.folder, state_home) for path in folder.rglob("*") if path.is_file()} - before
    assert {path.name.partition(".")[0] for path in files} > {"links", "killed", "out"}
    assert journal_of(command.folder / "new/killed.jsonl") in files
    assert len([path for path in files if path.name.startswith("quota-2-")]) == 2
    assert {path.name: oct(mode_of(path)) for path in files} == {path.name: "0o600" for path in files}
    assert mode_of(state_home / "linker") == 0o700


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("where", ["the file", "its folder", "a folder above", "a link of a link"])
def test_no_link_in_a_folder_that_others_write_to_is_followed(tmp_path: Path, mode: int, where: str) -> None:
    """Whoever owns the link, and whether it is the file or a folder above it; nothing is created behind it."""
    shared, private = tmp_path / "shared", tmp_path / "private"
    for folder in (shared, private, private / "below"):
        folder.mkdir()
    path = shared / "link"
    path.symlink_to({"the file": private / "file", "its folder": private}.get(where, private))
    if where == "its folder":
        path /= "file"
    elif where == "a folder above":
        path /= "below/file"
    elif where == "a link of a link":
        (private / "way").symlink_to(path)
        path = private / "way/file"
    shared.chmod(mode)
    with pytest.raises(OSError, match=NOT_FOLLOWED):
        open_private(path, MAKE)
    with pytest.raises(OSError, match=NOT_FOLLOWED):
        make_folder(path / "new")
    shared.chmod(0o700)
    assert sorted(each.name for each in private.rglob("*")) in (["below"], ["below", "way"])
    assert made(path).exists()  # a link of one's own, where nobody else can make any, is a name like any other


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a link away")
def test_no_link_of_somebody_elses_is_followed(tmp_path: Path) -> None:
    """In a folder of a group, or of the link's owner: the owner of a link is who made it."""
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "file")
    os.chown(link, 12345, -1, follow_symlinks=False)
    for mode in (0o700, 0o770, 0o755):
        tmp_path.chmod(mode)
        with pytest.raises(OSError, match=NOT_FOLLOWED):
            open_private(link, MAKE)
    assert not (tmp_path / "file").exists()


def test_what_a_path_means_is_what_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative and absolute paths with `.`, `..` and links lead to the same file as for the system itself."""
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "up").symlink_to("a/b/..")
    (tmp_path / "down").symlink_to(tmp_path / "a")
    (tmp_path / "round").symlink_to("round")
    (tmp_path / "name").symlink_to("down/b/named")
    monkeypatch.chdir(tmp_path / "a")
    for number, folder in enumerate((".", "..", "b", "b/..", "../up", "../down/b", "../up/b/../..", str(tmp_path))):
        path = Path(folder, f"file{number}")
        assert made(path).samefile(path)
        os.close(DISK.open(Path(folder), os.O_RDONLY))
    assert made(Path("../name")).samefile(tmp_path / "a/b/named")
    for path, error in (
        (Path("../round"), "Too many levels of symbolic links"),
        (Path("missing/file"), "No such file or directory"),
        (Path("b/named/file"), "Not a directory"),
        (Path("b"), "Is a directory"),
    ):
        with pytest.raises(OSError, match=error):
            open_private(path, MAKE)
    make_folder(Path("x/y/../z"))
    make_folder(Path("x/y/../z"))
    assert sorted(each.name for each in Path("x").iterdir()) == ["y", "z"]
    make_folder(Path())
    with pytest.raises(NotADirectoryError):
        make_folder(Path("b/named"))


LINKS: dict[str, Callable[[Path, Path], None]] = {
    "results": lambda results, prey: results.symlink_to(prey),
    "journal": lambda results, prey: journal_of(results).symlink_to(prey),
}


@pytest.mark.parametrize("how", ["resume", "overwrite", "anew"])
@pytest.mark.parametrize("file", LINKS)
async def test_neither_results_nor_journal_goes_through_a_link(
    sandbox: Sandbox, tmp_path: Path, file: str, how: str
) -> None:
    """In a shared folder, whether the link leads to a file or to nothing: nothing is sent."""
    for there in (True, False):
        shared, prey = tmp_path / f"shared{there}", tmp_path / f"prey{there}"
        shared.mkdir()
        shared.chmod(0o1777)
        if there:
            prey.write_text("precious")
        LINKS[file](shared / "out.jsonl", prey)
        async with eager(sandbox) as aha:
            with pytest.raises(UsageError):
                await results_of(
                    aha.run(features(1), shared / "out.jsonl", resume=how == "resume", overwrite=how == "overwrite")
                )
        assert (prey.read_text() if prey.exists() else "") == ("precious" if there else "")
    assert sandbox.stats.requests == 0


async def test_no_folder_is_made_behind_a_link(sandbox: Sandbox, tmp_path: Path) -> None:
    """Neither a results file nor the new folder that it is to be in."""
    shared, prey = tmp_path / "shared", tmp_path / "prey"
    shared.mkdir()
    prey.mkdir()
    (shared / "runs").symlink_to(prey)
    shared.chmod(0o1777)
    async with eager(sandbox) as aha:
        with pytest.raises(UsageError, match=NOT_FOLLOWED):
            await results_of(aha.run(features(1), shared / "runs/new/out.jsonl"))
    assert list(prey.iterdir()) == []


async def test_no_export_goes_through_a_link(command: Command, tmp_path: Path) -> None:
    """Neither by its own name nor by that of the unfinished file."""
    shared, prey = tmp_path / "shared", tmp_path / "prey"
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / "out.csv").symlink_to(prey)
    (shared / "new.csv.part").symlink_to(prey)
    for name in ("out.csv", "new.csv"):
        finished = await command("export", "--kind", "feature", "-o", str(shared / name))
        assert (finished.code, prey.exists(), (shared / "new.csv").exists()) == (2, False, False)


def test_no_state_goes_through_a_link(tmp_path: Path) -> None:
    """The rate limit is not shared then, a warning says so, and the run goes on alone."""
    prey = tmp_path / "prey"
    prey.write_bytes(b"precious")
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "file").symlink_to(prey)
    (shared / "linker").symlink_to(tmp_path)
    shared.chmod(0o1777)
    for path in (shared / "file", shared / "linker" / "prey"):
        with pytest.raises(OSError, match=NOT_FOLLOWED):
            SharedFile(path)
    assert prey.read_bytes() == b"precious"
    RateLimiter.of(Settings(base_url="https://h", state_dir=shared / "linker"))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["prey", "shared"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_no_state_of_somebody_elses_is_shared(tmp_path: Path) -> None:
    """The owner of the file could write waits into it that never end."""
    path = tmp_path / "linker/rate-limit"
    SharedFile(path)
    os.chown(path, 12345, -1)
    with pytest.raises(PermissionError, match="another user"):
        SharedFile(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
async def test_what_somebody_else_has_put_where_everybody_can_is_not_ours(sandbox: Sandbox, tmp_path: Path) -> None:
    """Neither results to resume nor a journal to undo from; but both are accepted in a folder of one's own."""
    shared = tmp_path / "shared"
    shared.mkdir()
    results = shared / "out.jsonl"
    intent = {"target": {"kind": "feature", "id": "PRJ1-1"}, "put": {"customers": [ACME]}, "before": {"customers": []}}
    for path, line in ((results, b""), (journal_of(results), orjson.dumps({"intent": intent}) + b"\n")):
        path.write_bytes(line)
        os.chown(path, 12345, -1)
        path.chmod(0o666)
    shared.chmod(0o1777)
    async with eager(sandbox) as aha:
        for run in (aha.run(features(1), results, resume=True), aha.run(UndoFile(results))):
            with pytest.raises(UsageError, match="it belongs to another user, in a folder that everybody can write to"):
                await results_of(run)
        assert sandbox.stats.requests == 0
        shared.chmod(0o755)
        assert len(await results_of(aha.run(features(1), results, resume=True))) == 1


async def test_a_pipe_in_the_place_of_a_journal_holds_nothing_up(command: Command, sandbox: Sandbox) -> None:
    """Opening a pipe to read would wait for a writer that never comes."""
    write_jobs(command.folder / "links.jsonl", features(1))
    assert (await command("run", "links.jsonl")).code == 0
    os.mkfifo(journal_of(command.folder / "links.results.jsonl"))
    undone = await command("undo", "links.results.jsonl", "--yes")
    assert (undone.code, sandbox.account.links(Kind.FEATURE, "PRJ1-1")["customers"]) == (0, [])


async def test_two_exports_to_one_file_do_not_mix(command: Command) -> None:
    """The second fails with the reason, and the first writes the whole file. What a killed export left does no harm."""
    (command.folder / "out.jsonl.part").write_text("half a line of a longer fi")
    async with Sandbox(limits=[], latency_ms=1500) as slow:
        slow.account.set_links(Kind.FEATURE, "PRJ1-2", "customers", [ACME])
        command.environment["AHA_URL"] = slow.url
        early = await command.start("export", "--kind", "feature", "-o", "out.jsonl")
        await until(lambda: slow.stats.methods["GET"] > 0)
        early.send_signal(signal.SIGSTOP)  # however long the second takes to start, the first has not ended
        late = await command("export", "--kind", "feature", "-o", "out.jsonl")
        early.send_signal(signal.SIGCONT)
        _, stderr = await early.communicate()
    why = "another export is writing it; wait until it ends, or name another file"
    assert (late.code, late.stderr) == (2, f"linker: out.jsonl: {why}\n")
    assert (early.returncode, stderr) == (0, b"linker: links of 1 target written to out.jsonl\n")
    (job,) = map(orjson.loads, (command.folder / "out.jsonl").read_bytes().splitlines())
    assert job["id"] == "PRJ1-2"
    assert [path.name for path in command.folder.iterdir()] == ["out.jsonl"]


async def test_results_are_a_regular_file(sandbox: Sandbox, tmp_path: Path) -> None:
    """A pipe that nobody reads would block the run for ever."""
    os.mkfifo(tmp_path / "pipe")
    async with eager(sandbox) as aha:
        with pytest.raises(UsageError, match="it is not a regular file"):
            await results_of(aha.run(features(1), tmp_path / "pipe", resume=True))
    assert sandbox.stats.requests == 0
