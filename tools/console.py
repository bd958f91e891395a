"""The console blocks of README and docs, run as a reader types them, and compared with what the pages show.

A page is a Markdown file, and a rehearsal of its own: its blocks share one folder, in the page's order. Of its fences

- ```` ```console ```` holds commands behind `$ `, each with its output below it;
- ```` ```csv title="links.csv" ```` is a file, which is written under that name.

`export NAME=VALUE` sets a variable for the commands that follow, `linker sandbox --port PORT` runs until the page ends.
Ports are free ones, and pages show the ones that they name. A block below the line `<!-- after merge -->` is not run.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["PAGES", "ROOT", "Fence", "Step", "fences", "masked", "run_page", "updated"]

ROOT: Final = Path(__file__).parents[1]
PENDING: Final = "<!-- after merge -->\n"
_FENCE: Final = re.compile(rf"({re.escape(PENDING)}\n?)?^```(\w+)([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_TITLE: Final = re.compile(r'title="([\w./-]+)"')
_COMMAND: Final = re.compile(r"^\$ ((?:[^\n]*\\\n)*[^\n]*)\n?", re.MULTILINE)
_MASKS: Final = (
    (r"[0-9,]+ of ([0-9,]+) requests left", r"N of \1 requests left"),
    (r"\b2,?4[5-9][0-9](?= requests)", "2,4NN"),  # how many clears were in flight before one was proved
    (r"(\"requests\": ?)[0-9]+", r"\1N"),
    (r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T _][0-9:.-]+Z?", "TIME"),
    (r"\b20[0-9]{6}[-T][0-9]{6}Z?", "TIME"),
    (r"(\"(?:elapsed_ms|elapsed_s|seconds)\": ?)[0-9.]+", r"\1T"),
    (r"(?<![/0-9.,])(?:[0-9][0-9,.]* ?(?:ms|s|min|h|seconds?|minutes?|hours?)\b ?)+(?!/)", "T "),
    (r"\"change\": ?[0-9]+", '"change":N'),  # changes are numbered as they end
)
_PROGRESS: Final = re.compile(r"^(?:reading|[0-9,]+ of [0-9,]+ [a-z]+): .*\n", re.MULTILINE)


def _pages() -> list[Path]:
    files = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "jobs").glob("*.md")]
    return sorted(page for page in files if "```console" in page.read_text(encoding="utf-8"))


PAGES: Final = _pages()
"""The pages that show commands."""


@dataclass(frozen=True)
class Step:
    """One command of a console block, with the output that the page shows for it."""

    command: str
    output: str


@dataclass(frozen=True)
class Fence:
    """A console block, or a file that the reader saves."""

    start: int
    end: int
    pending: bool
    language: str
    title: str | None
    text: str

    @property
    def steps(self) -> list[Step]:
        """The commands of a console block."""
        if self.language != "console":
            return []
        found = list(_COMMAND.finditer(self.text))
        ends = [step.start() for step in found[1:]] + [len(self.text)]
        return [Step(step[1], self.text[step.end() : end]) for step, end in zip(found, ends, strict=True)]


@dataclass(frozen=True)
class Ran:
    """What a step came to."""

    step: Step
    output: str
    code: int

    @property
    def works(self) -> bool:
        """Whether the command did what a page may show: all, or all that could be done."""
        return self.code in (0, 1)

    @property
    def current(self) -> bool:
        """Whether the page shows what the command prints."""
        return masked(self.step.output) == masked(self.output)


def fences(text: str) -> Iterator[Fence]:
    """Yield the console blocks and the files of a page, in its order."""
    for found in _FENCE.finditer(text):
        title = _TITLE.search(found[3])
        if found[2] == "console" or title:
            yield Fence(found.start(), found.end(), bool(found[1]), found[2], title and title[1], found[4])


def masked(output: str) -> str:
    """Return an output without what differs from run to run: times, and numbers that depend on them."""
    for pattern, instead in _MASKS:
        output = re.sub(pattern, instead, output)
    return re.sub(r" +$", "", output, flags=re.MULTILINE)


async def run_page(text: str, folder: Path, *, pending: bool = False) -> dict[int, list[Ran]]:
    """Run the console blocks of a page.

    Args:
        text: the page, as Markdown.
        folder: an empty folder, which becomes the working folder, with a copy of `jobs/` in it.
        pending: run the blocks below `<!-- after merge -->` too.

    Returns:
        What each step came to, by the start of its block in the page's text.
    """
    shutil.copytree(ROOT / "jobs", folder / "jobs")
    (folder / ".home").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AHA_", "XDG_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    session = _Session(folder, {**kept, "PATH": path, "HOME": str(folder / ".home"), "PAGER": "cat"})
    ran: dict[int, list[Ran]] = {}
    try:
        for fence in fences(text):
            if fence.title is not None:
                (folder / fence.title).parent.mkdir(parents=True, exist_ok=True)
                (folder / fence.title).write_text(session.with_real_ports(fence.text), encoding="utf-8")
            elif pending or not fence.pending:
                ran[fence.start] = [await session.run(step) for step in fence.steps]
    finally:
        await session.close()
    return ran


class _Session:
    """The terminals of a reader: one for the commands, one for each sandbox."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._environment = environment
        self._ports: dict[str, str] = {}  # as the page names them → as they are
        self._servers: list[asyncio.subprocess.Process] = []

    async def run(self, step: Step) -> Ran:
        if step.command.startswith("export "):
            for assignment in shlex.split(step.command)[1:]:
                name, _, value = assignment.partition("=")
                self._environment[name] = self.with_real_ports(value)
            return Ran(step, "", 0)
        if step.command.startswith("linker sandbox"):
            return Ran(step, step.output, await self._serve(step.command))
        process = await self._start(self.with_real_ports(step.command))
        stdout, _ = await process.communicate()
        output = _PROGRESS.sub("", stdout.decode())
        for shown, real in self._ports.items():
            output = output.replace(f"127.0.0.1:{real}", f"127.0.0.1:{shown}")
        assert process.returncode is not None
        return Ran(step, output, process.returncode)

    def with_real_ports(self, text: str) -> str:
        for shown, real in self._ports.items():
            text = text.replace(f"127.0.0.1:{shown}", f"127.0.0.1:{real}")
        return text

    async def _serve(self, command: str) -> int:
        shown = re.search(r"--port ([0-9]+)", command)
        port = shown[1] if shown else "8765"
        server = await self._start(f"exec {re.sub(r' --port [0-9]+', '', command)} --port 0")
        self._servers.append(server)
        assert server.stdout is not None
        said = (await server.stdout.readline()).decode()
        real = re.search(r"127\.0\.0\.1:([0-9]+)", said)
        if real is None:
            return 2
        self._ports[port] = real[1]
        return 0

    async def _start(self, command: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *("bash", "-o", "pipefail", "-c", command),
            cwd=self._folder,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def close(self) -> None:
        for server in self._servers:
            if server.returncode is None:
                server.terminate()
            await server.wait()


def updated(text: str, ran: dict[int, list[Ran]]) -> str:
    """Return a page's text with the outputs of its commands as they are now.

    An output that differs by nothing but times stays, and so does a block with a command that ended with 2 or more. The
    marks of pending blocks go once all pending blocks of the page work.
    """
    ready = all(each.works for fence in fences(text) if fence.pending for each in ran.get(fence.start, ()))
    parts, end = [], 0
    for fence in fences(text):
        steps = ran.get(fence.start, ())
        if not all(each.works for each in steps) or not steps or (fence.pending and not ready):
            continue
        shown = "".join(
            f"$ {each.step.command}\n{each.step.output if each.current else _ended(each.output)}" for each in steps
        )
        parts += [text[end : fence.start], f"```console\n{shown}```"]
        end = fence.end
    return "".join([*parts, text[end:]])


def _ended(output: str) -> str:
    output = re.sub(r"[ \t]+$", "", output, flags=re.MULTILINE)
    return output if not output or output.endswith("\n") else f"{output}\n"
