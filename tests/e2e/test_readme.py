"""The README's commands, run as a reader runs them, with the output that it shows."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOT_RUN = ("make ", "export ")
SERVES = "linker sandbox "


def console_commands() -> Iterator[tuple[str, str]]:
    """Each command of the README's console blocks, with the output that stands below it."""
    for block in re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


def masked(output: str) -> str:
    """Output without what differs from run to run: times, ports, and the order in which PUTs were numbered."""
    output = re.sub(r"in [0-9.]+ s,", "in T s,", output)
    output = re.sub(r"\b2,4[5-9][0-9] requests", "2,4NN requests", output)  # how many clears were in flight unproved
    output = re.sub(r"http://127.0.0.1:[0-9]+", "URL", output)
    output = re.sub(r"[0-9,]+ of ([0-9,]+) requests left, for [0-9 a-z.]+;", r"N of \1 requests left, for T;", output)
    output = re.sub(r'"finished_at":"[^"]+","elapsed_ms":[0-9.]+', '"finished_at":…', output)
    return re.sub(r'"change":[0-9]+', '"change":N', output)


def without_progress(errors: str) -> str:
    """What stands on stderr, less the progress lines that a run of over 15 seconds prints: the machine may be slow."""
    return re.sub(r"^(?:reading|[0-9,]+ of [0-9,]+ targets): .*\n", "", errors, flags=re.MULTILINE)


async def test_the_readme_s_commands_print_what_it_shows(tmp_path: Path) -> None:
    """Every command of the README but `make` prints what the README says, in its order, on the sandbox named there."""
    shutil.copytree(ROOT / "jobs", tmp_path / "jobs")
    shown = [(command, output) for command, output in console_commands() if not command.startswith(NOT_RUN)]
    assert len(shown) >= 4
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "AHA_TOKEN": "sandbox", "PATH": path}
    environment.pop("AHA_ACCOUNT", None)

    async def start(command: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_shell(command, cwd=tmp_path, env=environment, stdout=pipe, stderr=pipe)

    servers: list[asyncio.subprocess.Process] = []
    try:
        for command, output in shown:
            if command.startswith(SERVES):
                server = await start(f"exec {command.replace('8765', '0')}")
                servers.append(server)
                assert server.stdout is not None
                (environment["AHA_URL"],) = re.findall(r"http://[0-9.:]+", (await server.stdout.readline()).decode())
                continue
            process = await start(command)
            stdout, stderr = await process.communicate()
            assert (masked(stdout.decode()), without_progress(stderr.decode())) == (masked(output), ""), command
            assert process.returncode in (0, 1), command  # 1: of some lines it says what is wrong
    finally:
        for server in servers:
            server.terminate()
            await server.wait()
    assert len(servers) == 2


def test_the_readme_s_options_are_the_command_s() -> None:
    """Each option of `linker run` stands in the README's table, and none that it does not have."""
    from linker.cli.run import command

    options = {name for option in command.params for name in option.opts if name.startswith("--")}
    table = (ROOT / "README.md").read_text().split("The options of `run`:")[1].split("| exit code")[0]
    assert set(re.findall(r"--[a-z]+(?:-[a-z]+)*", table)) - {"--no-progress", "--no-preflight"} == options
