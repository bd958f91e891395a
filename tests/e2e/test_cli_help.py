"""The command as a whole: its version, and the help of each verb."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from support.command import Command

import linker


@pytest.mark.parametrize("arguments", [["--version"], ["-m"]], ids=["linker", "python -m linker"])
async def test_the_version_is_told(command: Command, arguments: list[str]) -> None:
    """`linker --version`, by its script and by `python -m linker`."""
    program = (
        [str(Path(sys.executable).with_name("linker"))] if "-m" not in arguments else [sys.executable, "-m", "linker"]
    )
    finished = await command.program(*program, "--version")
    assert (finished.code, finished.stdout) == (0, f"linker, version {linker.__version__}\n")


@pytest.mark.parametrize("verb", ["run", "plan", "verify", "undo", "check", "export", "sandbox", "demo"])
async def test_help_teaches(command: Command, verb: str) -> None:
    """Each verb's help says in a line what it does; those with options show examples to copy."""
    finished = await command(verb, "--help")
    assert (finished.code, finished.stderr) == (0, "")
    assert f"Usage: linker {verb}" in finished.stdout
    assert verb == "demo" or re.search(rf"Examples:\n +linker {verb} ", finished.stdout)
    overview = await command("-h")
    assert verb in overview.stdout
    assert "linker demo" in overview.stdout
