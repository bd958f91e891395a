"""The package as a whole: its door, what importing it does, and which file may know which."""

from __future__ import annotations

import ast
import asyncio
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

import linker

PACKAGE = Path(linker.__file__).parent
ROOT = PACKAGE.parent
FILES = sorted(PACKAGE.rglob("*.py"))

# What stands further right may know what stands further left, never the other way round.
ORDER = (
    "text",
    "errors",
    "disk",
    "log",
    "model",
    "settings",
    "sources",
    "batch",
    "api",
    "ratelimit",
    "sessions",
    "retry",
    "results",
    "work",
    "records",
    "pipeline",
    "client",
    "cli",
)


def module_of(path: Path) -> str:
    """A file's stage: `job` for linker/job.py, `cli` for anything in linker/cli."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """The stages that a file imports, inside of functions too; `_version`, `log` and the like among them."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "linker":
            names = [f"linker.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        found |= {name.split(".")[1] for name in names if name.startswith("linker.")}
    return found


GRAPH: dict[str, set[str]] = {}
for file in FILES:
    GRAPH.setdefault(module_of(file), set()).update(imports_of(file) - {module_of(file)})


def test_the_door_is_sorted_and_true() -> None:
    """`__all__` is in order, names what is there, and nothing public that is there is left out of it."""
    names = linker.__all__
    assert names == sorted(names)
    assert len(names) == len(set(names))
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    (typed,) = (node for node in tree.body if isinstance(node, ast.If))  # for type checkers: what the door opens to
    checked = {
        alias.name: node.module for node in typed.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert checked == linker._WHERE
    assert set(names) == {*checked, "__version__"}
    for name in names:
        assert getattr(linker, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        linker.nothing  # noqa: B018  looked at for its error
    assert dir(linker) == names


def test_imports_point_one_way() -> None:
    """Along the path of a job each stage knows those before it alone, and no two files know each other."""
    assert set(ORDER) <= set(GRAPH)
    for place, module in enumerate(ORDER):
        later = set(ORDER[place + 1 :])
        assert not GRAPH[module] & later, f"{module} knows {GRAPH[module] & later}"
    done: set[str] = set()
    while waiting := set(GRAPH) - done:
        free = {module for module in waiting if GRAPH[module] & set(GRAPH) <= done}
        assert free, f"these know each other: {sorted(waiting)}"
        done |= free


def test_the_sandbox_stands_apart() -> None:
    """The sandbox shares the words (kinds, errors) and no code with what it tests; only the command knows it."""
    assert GRAPH["sandbox"] <= {"model", "errors"}
    assert {module for module, known in GRAPH.items() if "sandbox" in known} == {"cli"}


def names_in(path: Path) -> set[str]:
    """Dotted names that a file uses, `os.environ` and the like, and the modules that it imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", [path for path in FILES if module_of(path) != "cli"], ids=lambda path: path.name)
def test_only_the_command_reads_the_world(path: Path) -> None:
    """No file but the command's looks at arguments, the environment or signals, prints, or sets logging up.

    One exception: where the user's state is kept, which a program would have to be told each time.
    """
    used = names_in(path) - ({"os.environ"} if path.name == "state.py" else set())
    assert not used & {"sys.argv", "os.environ", "os.getenv", "signal", "click", "rich", "urllib.request"}
    assert not used & {"logging.basicConfig", "log.configure", "sys.stdout", "asyncio.set_event_loop"}
    if path.name != "log.py":
        assert "structlog.configure" not in used


FRESH = """
import asyncio, logging, os, signal, sys, threading

reads = []

class Watched(type(os.environ)):
    def __getitem__(self, key):
        frame = sys._getframe(1)
        while frame is not None and "importlib" not in frame.f_code.co_filename:
            if os.sep + "linker" + os.sep in frame.f_code.co_filename:
                reads.append(key)
            frame = frame.f_back
        return super().__getitem__(key)

os.environ.__class__ = Watched
handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

def refused(*_):
    raise AssertionError("a loop is made")

asyncio.new_event_loop = asyncio.run = refused

import linker

linker.Linker("company", "token"), linker.LinkJob("PRJ1-1", {"customers": []}), linker.Settings(base_url="https://h")
assert {*reads} <= {"XDG_STATE_HOME", "HOME"}, reads
reads.clear()
assert not os.path.exists(os.path.join(os.environ["XDG_STATE_HOME"], "linker"))  # nothing is written
import structlog
assert not structlog.is_configured()
assert logging.getLogger().handlers == logging.getLogger("linker").handlers == []
assert logging.getLogger("linker").level == logging.NOTSET
assert threading.active_count() == 1
assert handlers == {number: signal.getsignal(number) for number in handlers}
loaded = {"click", "uvloop", "linker.cli", "linker.sandbox"} & set(sys.modules)
assert not loaded, loaded
os.environ.get("HOME")
exec(compile("import os; os.environ.get('PATH')", os.sep + "linker" + os.sep + "x.py", "exec"))
assert reads == ["PATH"]  # the watch works
"""


async def test_importing_linker_does_nothing_else() -> None:
    """In a fresh interpreter: no loop, thread, signal or log handler, no look at the environment, no command line."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", FRESH, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    stdout, stderr = await process.communicate()
    assert (process.returncode, stdout, stderr.decode()) == (0, b"", "")


def test_types_are_shipped() -> None:
    """`py.typed` is in the package, and pyproject has it go along."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert (PACKAGE / "py.typed").is_file()
    assert "py.typed" in project["tool"]["setuptools"]["package-data"]["linker"]


def test_the_distribution_says_what_the_package_says() -> None:
    """One version, the command's entry point, the Pythons and the dependencies that the package needs."""
    distribution = metadata.distribution("aha-linker")
    assert distribution.version == linker.__version__
    (command,) = distribution.entry_points.select(group="console_scripts")
    assert (command.name, command.value) == ("linker", "linker.cli:main")
    required = {re.split(r"[^\w-]", each)[0] for each in distribution.requires or () if "extra ==" not in each}
    assert required == {"aiohttp", "aiolimiter", "click", "msgspec", "orjson", "rapidfuzz", "rich", "structlog"}


def test_each_exception_from_the_security_rules_says_why() -> None:
    """In pyproject by a comment on its line, in code behind its `noqa`; and the rules are on."""
    project = (ROOT / "pyproject.toml").read_text()
    assert "S" in tomllib.loads(project)["tool"]["ruff"]["lint"]["select"]
    excepted = [line for line in project.splitlines() if re.search(r'"S\d+"', line)]
    assert excepted
    assert [line for line in excepted if not re.search(r'^ +"S\d+", +# \w', line)] == []
    code = [path for folder in ("linker", "tests", "benchmarks", "jobs") for path in (ROOT / folder).rglob("*.py")]
    quiet = [
        line for path in code for line in path.read_text().splitlines() if re.search(r"# noqa: [A-Z0-9, ]*\bS\d", line)
    ]
    assert quiet
    assert [line for line in quiet if not re.search(r"# noqa: [A-Z0-9, ]+  \w", line)] == []


def undocumented(path: Path) -> Iterator[str]:
    """Public modules, classes, functions and methods of a file without a docstring."""
    tree = ast.parse(path.read_text())
    if ast.get_docstring(tree) is None:
        yield path.name
    scopes: list[ast.Module | ast.ClassDef] = [tree]
    while scopes:
        for node in scopes.pop().body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
                continue
            if ast.get_docstring(node) is None:
                yield f"{path.name}: {node.name}"
            if isinstance(node, ast.ClassDef):
                scopes.append(node)


def test_whatever_is_public_has_a_docstring() -> None:
    """Every public module, class, function and method says what it is for."""
    assert [name for path in FILES for name in undocumented(path)] == []
