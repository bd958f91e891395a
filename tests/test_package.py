"""The package as a whole: what it exports, which folder may import which, and what importing it does."""

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

# A file or folder imports only from lines below its own: neighbours on one line do not import each other.
# `__init__` and `__main__` are the files of that name directly in linker/.
LEVELS = """
    __main__
    __init__  cli
    client
    pipeline
    records  work
    retry
    sessions
    ratelimit  results
    sources  batch  api
    settings
    model  log  disk
    errors
    text  _version
"""
LEVEL = {name: level for level, line in enumerate(LEVELS.split("\n")) for name in line.split()}
APART = "sandbox"
"""The one folder beside the levels: it shares the words (kinds, errors) and no code with what it tests."""

RE_EXPORTING = {"__init__.py", "cli/__init__.py", "log/__init__.py", "sandbox/__init__.py", "sources/__init__.py"}
EMPTY_WORDS = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}


def module_of(path: Path) -> str:
    """A file's name in imports: `linker.batch.merge`, and `linker.batch` for the `__init__.py` of that folder."""
    return ".".join(("linker", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


def folder_of(module: str) -> str:
    """What a module is called in `LEVELS`: `batch` for `linker.batch.merge`, `__init__` for `linker` itself."""
    return [*module.split("."), "__init__"][1]


MODULES = {module_of(path): path for path in FILES}


def imports_of(path: Path) -> set[str]:
    """The modules of linker that a file imports, inside functions and for type checkers too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            found |= {name if name in MODULES else node.module for name in names}
    return found & set(MODULES)


GRAPH = {module: imports_of(path) for module, path in MODULES.items()}


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


def test_every_folder_has_its_level() -> None:
    """The table above names each file and folder of linker but the sandbox, and nothing else."""
    assert {*LEVEL, APART} == {folder_of(module) for module in MODULES}


@pytest.mark.parametrize("module", [module for module in MODULES if folder_of(module) != APART])
def test_imports_point_down(module: str) -> None:
    """A file imports from its own folder and from levels below its own; the command alone knows the sandbox."""
    folder = folder_of(module)
    allowed = {folder} | {name for name, level in LEVEL.items() if level > LEVEL[folder]}
    if folder == "cli":
        allowed.add(APART)
    assert {imported for imported in GRAPH[module] if folder_of(imported) not in allowed} == set()


def test_the_sandbox_stands_apart() -> None:
    """The sandbox imports the model and the errors, and nothing else of linker."""
    known = {folder_of(imported) for module in MODULES if folder_of(module) == APART for imported in GRAPH[module]}
    assert known - {APART} == {"model", "errors"}


def test_no_two_files_import_each_other() -> None:
    """Neither directly nor by way of others: read in some order, each file needs only those before it."""
    ordered: set[str] = set()
    while remaining := set(GRAPH) - ordered:
        free = {module for module in remaining if GRAPH[module] <= ordered}
        assert free, f"these import each other: {sorted(remaining)}"
        ordered |= free


def test_files_are_named_for_what_is_in_them() -> None:
    """No file or folder is a `utils` or the like, and at most eight files lie outside of a folder."""
    parts = {part for path in FILES for part in path.relative_to(PACKAGE).with_suffix("").parts}
    assert {part for part in parts if EMPTY_WORDS & set(part.split("_"))} == set()
    assert len(list(PACKAGE.glob("*.py"))) <= 8


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("__init__.py")), ids=lambda path: path.parent.name)
def test_a_folder_opens_with_one_sentence(path: Path) -> None:
    """Its `__init__.py` says in one line what the folder is for, and re-exports nothing but where that is settled."""
    tree = ast.parse(path.read_text())
    first = (ast.get_docstring(tree) or "").split("\n")[0]
    assert re.fullmatch(r"\w.*\.", first), first
    assert ". " not in first, first
    if str(path.relative_to(PACKAGE)) not in RE_EXPORTING:
        assert len(tree.body) == 1
        assert ast.get_docstring(tree) == first


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


@pytest.mark.parametrize(
    "path", [path for module, path in MODULES.items() if folder_of(module) != "cli"], ids=module_of
)
def test_only_the_command_reads_the_world(path: Path) -> None:
    """No file but the command's looks at arguments, the environment or signals, prints, or sets logging up.

    One exception: where the user's state is kept, which a program would have to be told each time.
    """
    used = names_in(path) - ({"os.environ"} if path.name == "state.py" else set())
    assert not used & {"sys.argv", "os.environ", "os.getenv", "signal", "click", "rich", "urllib.request"}
    assert not used & {"logging.basicConfig", "log.configure", "sys.stdout", "asyncio.set_event_loop"}
    if module_of(path) != "linker.log.output":
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
    assert required == {
        "aiohttp",
        "aiolimiter",
        "charset-normalizer",
        "click",
        "msgspec",
        "orjson",
        "rapidfuzz",
        "rich",
        "structlog",
    }


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
