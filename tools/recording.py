"""Records a real run of linker on a terminal, and draws it as an SVG that plays by itself: `make recording`.

    .venv/bin/python tools/recording.py docs/recording.svg

The picture loads nothing and runs no script. An animation in CSS shows its screens one after the other;
if animations are off, it shows the last one.
"""

from __future__ import annotations

import asyncio
import csv
import fcntl
import os
import pty
import random
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

import pyte

from linker.model.target import Kind
from linker.sandbox import Sandbox

COLUMNS: Final = 80
ROWS: Final = 20
COMMAND: Final = "linker run links.csv"
_CHARACTER: Final = 8.4
"""Width of a character at 14 px; each run of text is fitted to it, whatever font the reader has."""
_LINE: Final = 18
_MARGIN: Final = 14
_KEYSTROKE_S: Final = 0.06
_SHORTEST_S: Final = 0.08
_LAST_S: Final = 5.0
_COLORS: Final = {
    "default": "#d0d3d9",
    "black": "#5c6370",
    "brightblack": "#5c6370",
    "red": "#e06c75",
    "green": "#98c379",
    "brown": "#e5c07b",
    "yellow": "#e5c07b",
    "blue": "#61afef",
    "magenta": "#c678dd",
    "cyan": "#56b6c2",
    "white": "#ffffff",
}


@dataclass(frozen=True)
class Frame:
    """A screen, line by line as pieces of SVG, and for how many seconds it stands."""

    lines: tuple[str, ...]
    seconds: float


async def record() -> list[Frame]:
    """Run linker on a sandbox, on a terminal of 80 columns, and return what the screen showed."""
    sandbox = Sandbox(features=95, records=200, latency_ms=60, jitter_ms=30, seed=7)
    with tempfile.TemporaryDirectory(prefix="linker-recording-") as folder:
        async with sandbox:
            _write_file(Path(folder), sandbox)
            variables = {
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "HOME": folder,
                "AHA_URL": sandbox.url,
                "AHA_TOKEN": sandbox.options.token,
                "TERM": "xterm-256color",
                "COLUMNS": str(COLUMNS),
                "LANG": "C.UTF-8",
            }
            terminal = _Terminal()
            terminal.type_prompt()
            await terminal.run(COMMAND, Path(folder), variables)
    return terminal.frames()


def _write_file(folder: Path, sandbox: Sandbox) -> None:
    draw = random.Random(7)  # noqa: S311  the same rows each time
    records = sandbox.account.listed(Kind.CUSTOM_OBJECT_RECORD)
    customers = [str(each.id) for each in records if each.table == "customers"]
    with (folder / "links.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "field", "record_ids", "mode"])
        for feature in sandbox.account.listed(Kind.FEATURE):
            if feature.reference.startswith("PRJ1-"):
                chosen = draw.sample(customers, draw.randint(1, 3))
                writer.writerows((feature.reference, "customers", id, "add") for id in chosen)
        writer.writerow(["PRJ1-1", "customers", "7.03605E+18", "add"])  # as Excel leaves it


class _Terminal:
    """A pseudo-terminal whose screens are kept, with the time of each."""

    def __init__(self) -> None:
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._shots: list[tuple[float, tuple[str, ...]]] = []
        self._now = 0.0

    def type_prompt(self) -> None:
        """Show the command being typed."""
        self._feed(b"$ ")
        for letter in COMMAND:
            self._now += _KEYSTROKE_S
            self._feed(letter.encode())
        self._now += 0.5
        self._feed(b"\r\n")

    async def run(self, command: str, folder: Path, variables: dict[str, str]) -> None:
        """Run a command to its end, and say yes to what it asks."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        process = await asyncio.create_subprocess_exec(
            *command.split(), cwd=folder, env=variables, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        started, before, asked = time.monotonic(), self._now, b""
        while data := await asyncio.to_thread(_read, ours):
            self._now = before + time.monotonic() - started
            self._feed(data)
            asked = (asked + data)[-500:]
            if b"[y/N]" in asked:
                asked, before = b"", before + 1.0  # a moment to read the question
                os.write(ours, b"y\n")
        os.close(ours)
        if await process.wait() not in (0, 1):
            sys.exit("\n".join(self._screen.display).strip())

    def _feed(self, data: bytes) -> None:
        self._stream.feed(data)
        lines = tuple("".join(_pieces(self._screen, row)) for row in range(ROWS))
        if self._shots and self._now - self._shots[-1][0] < _SHORTEST_S:
            self._shots[-1] = (self._shots[-1][0], lines)
        elif not self._shots or self._shots[-1][1] != lines:
            self._shots.append((self._now, lines))

    def frames(self) -> list[Frame]:
        """Return the screens with their durations."""
        ends = [at for at, _ in self._shots[1:]] + [self._now + _LAST_S]
        return [Frame(lines, end - at) for (at, lines), end in zip(self._shots, ends, strict=True)]


def _read(end: int) -> bytes:
    try:
        return os.read(end, 65536)
    except OSError:  # Linux's end of a pseudo-terminal
        return b""


def _pieces(screen: pyte.Screen, row: int) -> Iterator[str]:
    """Yield a line of the screen as SVG texts, one for each run of characters that look the same."""
    line = screen.buffer[row]
    start = 0
    while start < COLUMNS:
        first = line[start]
        end = start + 1
        while end < COLUMNS and (line[end].fg, line[end].bold) == (first.fg, first.bold):
            end += 1
        text = "".join(line[column].data for column in range(start, end))
        if text.strip():
            x, stripped = start + len(text) - len(text.lstrip()), text.strip()
            color = _COLORS.get(first.fg) or f"#{first.fg}"
            bold = ' font-weight="bold"' if first.bold else ""
            yield (
                f'<text x="{x * _CHARACTER:.1f}" textLength="{len(stripped) * _CHARACTER:.1f}" fill="{color}"{bold}>'
                f"{escape(stripped)}</text>"
            )
        start = end


def drawn(frames: list[Frame]) -> str:
    """Return the SVG of a recording."""
    total = sum(frame.seconds for frame in frames)
    height, width = ROWS * _LINE, COLUMNS * _CHARACTER
    ids = {line: f"l{number}" for number, line in enumerate(dict.fromkeys(x for frame in frames for x in frame.lines))}
    steps, at = [], 0.0
    for number, frame in enumerate(frames):
        steps.append(f"{at / total:.3%}{{transform:translateY(-{number * height}px)}}")
        at += frame.seconds
    last = (len(frames) - 1) * height
    screens = "\n".join(
        f'<g transform="translate(0 {number * height})">'
        + "".join(f'<use href="#{ids[line]}" y="{row * _LINE}"/>' for row, line in enumerate(frame.lines) if line)
        + "</g>"
        for number, frame in enumerate(frames)
    )
    defined = "\n".join(f'<g id="{id}">{line}</g>' for line, id in ids.items() if line)
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width + 2 * _MARGIN:.0f} {height + 2 * _MARGIN}" \
font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14">
<title>{escape(COMMAND)}, recorded on the sandbox</title>
<style>
text {{ white-space: pre }}
.film {{ transform: translateY(-{last}px); animation: play {total:.2f}s step-end infinite }}
@keyframes play {{ {" ".join(steps)} 100%{{transform:translateY(-{last}px)}} }}
@media (prefers-reduced-motion: reduce) {{ .film {{ animation: none }} }}
</style>
<defs>
{defined}
</defs>
<rect width="100%" height="100%" rx="8" fill="#1e2127"/>
<svg x="{_MARGIN}" y="{_MARGIN}" width="{width:.0f}" height="{height}" overflow="hidden">
<g transform="translate(0 13)"><g class="film">
{screens}
</g></g>
</svg>
</svg>
"""


def main() -> None:
    """Record, and write the SVG to the file that the argument names."""
    frames = asyncio.run(record())
    Path(sys.argv[1]).write_text(drawn(frames), encoding="utf-8")
    print(f"{sys.argv[1]}: {len(frames)} screens, {sum(frame.seconds for frame in frames):.1f} s")


if __name__ == "__main__":
    main()
