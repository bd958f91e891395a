"""Fails if a built site would load anything from a network: `python tools/offline.py build/site`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

_LOADS: Final = {
    "script": "src",
    "link": "href",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "object": "data",
    "embed": "src",
}
_NOT_LOADED: Final = {"canonical", "next", "prev", "alternate", "author", "license"}
_IN_STYLES: Final = re.compile(r"(?:@import\s+|url\()\s*[\"']?((?:https?:)?//[^\"')\s]+)")


class _Loads(HTMLParser):
    """Collects what a browser loads for a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if values.get("rel") not in _NOT_LOADED and (address := values.get(_LOADS.get(tag, ""))):
            self.addresses.append(address)


def loaded_from_elsewhere(file: Path) -> Iterator[str]:
    """Yield the addresses at other hosts that a page or style sheet loads."""
    text = file.read_text(encoding="utf-8")
    yield from _IN_STYLES.findall(text)
    if file.suffix != ".css":
        loads = _Loads()
        loads.feed(text)
        yield from (each for each in loads.addresses if re.match(r"(?:[a-z]+:)?//", each))


def main() -> int:
    """Look through a site; print each address at another host, and return 1 if there is one."""
    site = Path(sys.argv[1])
    files = [file for suffix in ("html", "css", "svg") for file in sorted(site.rglob(f"*.{suffix}"))]
    found = [f"{file}: loads {address}" for file in files for address in loaded_from_elsewhere(file)]
    print("\n".join(found) or f"{site}: {len(files)} files, none of which loads anything from a network")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
