"""Runs the commands of README and docs, and writes what they print into the pages: `make outputs`.

Name pages to update only these: `make outputs PAGES="README.md docs/tutorial.md"`. Read the diff before you commit it.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from console import PAGES, ROOT, run_page, updated


def update(page: Path) -> bool:
    """Update one page; return whether all its commands did what a page may show (exit code 0 or 1)."""
    text = page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="linker-page-") as folder:
        ran = asyncio.run(run_page(text, Path(folder), pending=True))
    page.write_text(new := updated(text, ran), encoding="utf-8")
    print(f"{page.relative_to(ROOT)}: {'updated' if new != text else 'current'}")
    failed = [each for steps in ran.values() for each in steps if not each.works]
    for each in failed:
        print(f"  exit {each.code}: $ {each.step.command}\n    {each.output.strip()[:500]}")
    return not failed


def main() -> int:
    """Update the pages that the arguments name, or all."""
    pages = [Path(argument).resolve() for argument in sys.argv[1:]] or PAGES
    works = [update(page) for page in pages]
    return 0 if all(works) else 1


if __name__ == "__main__":
    sys.exit(main())
