"""`make` on a machine of a newcomer: which Python it takes, and how it recovers from what was interrupted."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PYTHON = """\
#!/bin/sh
echo "$@" >> "$LOG"
[ "$1" = --version ] && echo "Python {version}"
[ "$2" = venv ] || exit 0
[ "$3" = --clear ] && rm -rf .venv
mkdir -p .venv/bin
for name in python pip; do
    printf '#!/bin/sh\\necho "%s $@" >> "$LOG"\\n{pip}\\n' $name > .venv/bin/$name
    chmod +x .venv/bin/$name
done
printf '#!/bin/sh\\necho demonstrated\\n' > .venv/bin/linker
chmod +x .venv/bin/linker
"""
"""A Python that makes environments without a network, and writes down how it was called."""


@dataclass(frozen=True)
class Ended:
    """How a `make` ended, with all that was called meanwhile."""

    code: int
    output: str
    calls: str


class Checkout:
    """A folder with the project's Makefile, and the pythons that a test puts on its PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.venv = folder / ".venv"
        self.programs = folder / "programs"
        self.programs.mkdir()
        for name in ("Makefile", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, folder)
            os.utime(folder / name, (1e9, 1e9))
        for name in ("make", "sh", "sed", "rm", "mkdir", "touch", "chmod", "test"):
            found = shutil.which(name)
            assert found is not None
            (self.programs / name).symlink_to(found)

    def python(self, name: str, version: str, pip: str = "") -> None:
        """Install a Python; `pip` is what the pip of its environments does."""
        program = self.programs / name
        program.write_text(PYTHON.format(version=version, pip=pip))
        program.chmod(0o755)

    def make(self, *arguments: str) -> Ended:
        """Run `make ARGUMENTS` with nothing on the PATH but what the test has put there."""
        log = self.folder / "calls"
        log.write_text("")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PYTHON"))}
        variables = {**kept, "PATH": str(self.programs), "LOG": str(log)}
        ran = subprocess.run(
            ["make", *arguments],
            cwd=self.folder,
            env=variables,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return Ended(ran.returncode, ran.stdout, log.read_text())


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A fresh clone."""
    return Checkout(tmp_path)


@pytest.mark.parametrize("version", ["2.7.18", "3.9.2", "3.10.14"])
def test_an_old_python_is_named_before_anything_is_made(checkout: Checkout, version: str) -> None:
    """`make` says what it found, what is needed and what to type, and makes no environment."""
    checkout.python("python3", version)
    ended = checkout.make("demo")
    assert ended.code == 2
    assert ended.output.startswith(f"make: linker needs Python 3.11 or later, but python3 is Python {version}.\n")
    assert "make PYTHON=python3.12 demo" in ended.output
    assert not checkout.venv.exists()


def test_a_newer_python_beside_the_old_one_is_suggested(checkout: Checkout) -> None:
    """If another Python is installed that will do, the command to type names it."""
    checkout.python("python3", "3.10.14")
    checkout.python("python3.13", "3.13.1")
    assert "Run: make PYTHON=python3.13 test\n" in checkout.make("test").output


@pytest.mark.parametrize("arguments", [("test",), ("PYTHON=python3.99", "test")])
def test_a_missing_python_is_named(checkout: Checkout, arguments: tuple[str, ...]) -> None:
    """Without any Python, or with a name that is none, `make` says so in its first line."""
    ended = checkout.make(*arguments)
    assert (ended.code, checkout.venv.exists()) == (2, False)
    assert ended.output.startswith("make: linker needs Python 3.11 or later, but python3")
    assert "is not installed or does not start.\n" in ended.output


def test_a_fresh_clone_makes_its_environment_once(checkout: Checkout) -> None:
    """The first `make` makes the environment and the second uses it."""
    checkout.python("python3.12", "3.12.4")
    first = checkout.make("PYTHON=python3.12", "demo")
    assert (first.code, first.output.splitlines()[-1]) == (0, "demonstrated")
    assert first.output.startswith("Making .venv with Python 3.12.4.")
    second = checkout.make("demo")
    assert (second.output, second.calls) == (".venv/bin/linker demo\ndemonstrated\n", "python -c \n")


def test_an_interrupted_environment_is_made_anew(checkout: Checkout) -> None:
    """What an interrupted `make` left is cleared by the next one."""
    checkout.python("python3", "3.11.9", pip="exit 130")
    assert checkout.make("demo").code == 2
    (checkout.venv / "half").touch()
    checkout.python("python3", "3.11.9")
    assert "-m venv --clear .venv\n" in (ended := checkout.make("demo")).calls
    assert (ended.code, (checkout.venv / "half").exists()) == (0, False)


def test_an_interrupted_update_is_made_anew(checkout: Checkout) -> None:
    """A finished environment is updated in place, and cleared if that is interrupted."""
    checkout.python("python3", "3.11.9")
    assert checkout.make("demo").code == 0
    (checkout.venv / "kept").touch()
    os.utime(checkout.venv / ".ready", (9e8, 9e8))
    assert checkout.make("demo").output.startswith("Updating .venv")
    assert (checkout.venv / "kept").exists()
    (checkout.venv / "bin" / "pip").write_text("#!/bin/sh\nexit 130\n")
    os.utime(checkout.venv / ".ready", (9e8, 9e8))
    assert checkout.make("demo").code == 2
    assert checkout.make("demo").output.startswith("Making .venv")
    assert not (checkout.venv / "kept").exists()


@pytest.mark.parametrize("gone", ["interpreter", "moved"])
def test_an_environment_whose_interpreter_has_gone_is_made_anew(checkout: Checkout, gone: str) -> None:
    """After an upgrade or removal of Python, or a move of the folder, `make` recovers by itself."""
    checkout.python("python3", "3.11.9")
    assert checkout.make("demo").code == 0
    if gone == "interpreter":
        (checkout.venv / "bin" / "python").unlink()
        (checkout.venv / "bin" / "python").symlink_to(checkout.folder / "no-longer-here")
    else:
        (checkout.venv / "bin" / "pip").write_text("#!/where/it/was/.venv/bin/python\n")
    ended = checkout.make("demo")
    assert (ended.code, ended.output.splitlines()[-1]) == (0, "demonstrated")
    assert ended.output.startswith("Making .venv")


def test_help_lists_every_target() -> None:
    """Each target that somebody may type has its line in `make help`."""
    listed = subprocess.run(["make", "help"], cwd=ROOT, text=True, stdout=subprocess.PIPE, check=True).stdout
    phony = [
        name
        for line in (ROOT / "Makefile").read_text().splitlines()
        if line.startswith(".PHONY:")
        for name in line.split()[1:]
    ]
    assert [name for name in phony if name != "FORCE" and f"\n  {name} " not in listed] == []
