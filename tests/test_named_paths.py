"""The documents name files of the project; this test finds each name that no longer leads to one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    [
        *(ROOT / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md")),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "jobs").glob("*.md"),
        *(ROOT / "benchmarks").glob("*.md"),
    ]
)
IN_BACKTICKS = re.compile(r"`([^`]+)`")
PATH = re.compile(r"(?<![\w./-])(?:tests|benchmarks|linker|docs|jobs|tools)/[\w./-]*")
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)

PROMISES = {"SECURITY.md", "docs/reliability.md", "docs/explanation/promises.md"}
"""Documents in which each promise names the test that holds it."""


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_paths_that_a_document_names_exist(document: Path) -> None:
    """Each file or folder of the project that stands in backticks is there; documents with promises name tests."""
    text = FENCED.sub("", document.read_text(encoding="utf-8"))
    named = {path for quoted in IN_BACKTICKS.findall(text) for path in PATH.findall(quoted)}
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
    if str(document.relative_to(ROOT)) in PROMISES:
        assert len([path for path in named if path.startswith(("tests/", "benchmarks/"))]) > 5


def test_the_guide_s_tree_is_the_package_s() -> None:
    """CONTRIBUTING.md gives each folder of linker a line, and no folder that is not there."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    tree = text.partition("    linker/\n")[2].partition("\n\n")[0]
    listed = {line.split()[0] for line in tree.splitlines()}
    folders = {f"{path.parent.name}/" for path in (ROOT / "linker").glob("*/__init__.py")}
    assert {name for name in listed if name.endswith("/")} == folders
    assert [name for name in listed if not (ROOT / "linker" / name).exists()] == []
