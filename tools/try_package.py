"""Installs wheel and sdist in clean environments and runs `linker` from there, as a new user does.

The command cannot see the checkout: no environment variables, an empty HOME, another working folder.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"


def try_package(package: Path) -> str:
    """Install a package and run its command; return what the command says of itself.

    Raises:
        subprocess.CalledProcessError: if the installation, `linker --version` or `linker demo` fails.
    """
    with tempfile.TemporaryDirectory(prefix="linker-package-") as folder:
        environment, home = Path(folder, "environment"), Path(folder, "home")
        home.mkdir()
        venv.create(environment, symlinks=True)
        pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python")]
        subprocess.run(
            [*pip, "install", "-qq", "--no-compile", "--constraint", str(CONSTRAINTS), str(package)], check=True
        )
        variables = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
        command, outputs = environment / "bin" / "linker", []
        for verb in ("--version", "demo"):
            ran = subprocess.run(
                [command, verb], cwd=home, env=variables, check=True, text=True, stdout=subprocess.PIPE
            )
            outputs.append(ran.stdout)
        if "Traceback" in "".join(outputs):
            raise subprocess.CalledProcessError(1, "linker demo", "".join(outputs))
        return outputs[0].strip()


def main() -> None:
    """Try each package that the arguments name, at the same time."""
    packages = [Path(argument).resolve() for argument in sys.argv[1:]]
    with ThreadPoolExecutor() as threads:
        for package, version in zip(packages, threads.map(try_package, packages), strict=True):
            print(f"{package.name}: installs, runs the demo, and is {version}")


if __name__ == "__main__":
    main()
