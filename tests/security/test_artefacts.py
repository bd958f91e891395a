"""Everything that runs leave behind or show meanwhile, walked through for the token: files, streams, process lists."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from support.command import Command
from support.leaks import TOKEN
from support.runs import features, until, write_jobs

from linker.results.journal import journal_of
from linker.sandbox import Sandbox
from linker.sandbox.routes import Answer

SEVERAL = 12


def forms() -> Iterator[bytes]:
    """The token as it might stand somewhere: whole, in part, in other alphabets, backwards."""
    yield from (TOKEN[at : at + 16].encode() for at in range(len(TOKEN) - 15))
    yield from (TOKEN[::-1].encode(), TOKEN.encode().hex().encode(), TOKEN.encode("utf-16-le"))
    for before in range(3):  # wherever in a longer text it is encoded
        coded = base64.b64encode(bytes(before) + TOKEN.encode())
        yield coded[8:40]


FORMS = tuple(forms())


def found_in(folder: Path) -> list[str]:
    """The files below a folder that have the token in them, or in their name."""
    paths = [path for path in folder.rglob("*") if path.is_file() or path.is_symlink()]
    return [
        str(path) for path in paths if any(form in os.fsencode(path) or form in path.read_bytes() for form in FORMS)
    ]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """An account with a token worth keeping, which repeats it in what it says of an error."""
    async with Sandbox(limits=[], token=TOKEN, features=30, records=20, latency_ms=5) as sandbox:
        answer = sandbox._routes.answer

        def talkative(method: str, path: str, query: str, *rest: Any) -> Answer:
            if method == "PUT" and path.endswith("/PRJ1-3"):
                return Answer(422, orjson.dumps({"error": f"Bearer {TOKEN} may not"}))
            return answer(method, path, query, *rest)

        sandbox._routes.answer = talkative  # type: ignore[assignment, method-assign]
        yield sandbox


class Kept:
    """A command whose home, state, temporary files and streams are all below one folder."""

    def __init__(self, command: Command, folder: Path) -> None:
        self.command = command
        self.value = folder / "said"
        command.folder = folder / "work"
        for each in (command.folder, self.value, folder / "home", folder / "tmp"):
            each.mkdir(parents=True)
        command.environment |= {
            "HOME": str(folder / "home"),
            "XDG_STATE_HOME": str(folder / "home/state"),
            "TMPDIR": str(folder / "tmp"),
            "PYTHONASYNCIODEBUG": "1",
            "PYTHONFAULTHANDLER": "1",
        }

    async def __call__(self, *arguments: str, code: int = 0) -> None:
        """Run it, and keep what it says."""
        finished = await self.command(*arguments, "--log-level", "debug", "--log-format", "json")
        assert finished.code == code, finished.stderr
        name = f"{len(list(self.value.iterdir()))}-{arguments[0]}"
        (self.value / name).write_text(finished.stdout + finished.stderr)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="no /proc here")
async def test_nothing_that_a_run_leaves_behind_has_the_token(
    command: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    """A run that is killed, resumed, undone, and all other verbs; by a token file and by the environment."""
    folder = tmp_path / "walked"
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(0o600)
    run = Kept(command, folder)
    command.environment |= {"AHA_URL": sandbox.url, "AHA_TOKEN": ""}
    work = command.folder
    write_jobs(work / "links.jsonl", [*features(SEVERAL), {"id": "PRJ1-1", "kind": "nothing"}])
    by_file = ("--token-file", str(file))

    sandbox.options = replace(sandbox.options, latency_ms=25_000)
    process = await command.start("run", "links.jsonl", "--blind", "--no-preflight", *by_file)
    await until(lambda: sandbox.stats.methods["PUT"] > 0)
    shown = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert any(b"links.jsonl" in each for each in shown)
    if shutil.which("ps") is not None:
        listed = await asyncio.create_subprocess_exec("ps", "-ef", stdout=asyncio.subprocess.PIPE)
        shown.append((await listed.communicate())[0])
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    (run.value / "ps").write_bytes(b"\n".join(shown))
    results = work / "links.results.jsonl"
    assert journal_of(results).stat().st_size > 0
    shutil.copy(journal_of(results), run.value / "journal")

    sandbox.options = replace(sandbox.options, latency_ms=0)
    await run("run", "links.jsonl", "--resume", *by_file, code=1)
    command.environment["AHA_TOKEN"] = TOKEN
    await run("plan", "links.jsonl", code=1)
    await run("plan", "links.jsonl", "--json", code=1)
    await run("verify", "links.jsonl", code=1)
    await run("check", "links.jsonl", code=1)
    await run("check", "--json", "links.jsonl", code=1)
    await run("export", "--kind", "feature", "-o", "out.csv", "--names")
    await run("export", "--kind", "feature")
    await run("undo", "links.results.jsonl", "--yes")
    await run("run", "links.jsonl", "--overwrite", "--durability", "flush", code=1)
    command.environment["AHA_TOKEN"] = TOKEN[::-1]  # refused, and what it is not told either
    await run("run", "links.jsonl", "--results", "refused.jsonl", code=3)

    names = {path.name.partition("-")[2] or path.name for path in folder.rglob("*") if path.is_file()}
    assert names > {"run", "plan", "verify", "check", "export", "undo", "journal", "ps", "out.csv"}
    assert names > {"links.results.jsonl", "links.undo.jsonl"}
    assert list((folder / "home/state/linker").glob("quota-*"))
    assert b"[token] may not" in results.read_bytes()  # it was repeated, and noticed
    assert found_in(folder) == []


def test_the_walk_finds_what_it_looks_for(tmp_path: Path) -> None:
    """In each of its forms, wherever in a file; and in a name."""
    for number, form in enumerate((TOKEN, TOKEN[10:30], TOKEN[::-1], TOKEN.encode().hex())):
        path = tmp_path / str(number) / "deep" / "file"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"\0" * 5000 + form.encode() + b"\xff")
        assert found_in(tmp_path / str(number)) == [str(path)]
    coded = tmp_path / "coded"
    coded.mkdir()
    for before in ("", "u", "us", "user:"):
        (coded / "file").write_bytes(base64.b64encode(f"{before}{TOKEN}".encode()))
        assert found_in(coded) == [str(coded / "file")]
    (coded / "file").write_text(TOKEN[:15])
    assert found_in(coded) == []
    (coded / TOKEN).touch()
    assert found_in(coded) == [str(coded / TOKEN)]
