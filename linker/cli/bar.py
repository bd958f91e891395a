"""One line of progress, laid out for the width of the terminal: the details go first, the bar and the time stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

_DOING: Final = 9
_SHORTEST: Final = 10
_LONGEST: Final = 40
_BETWEEN: Final = " · "


@dataclass(frozen=True, slots=True)
class Bar:
    """A line such as `linking   ━━━━━━━━━  45%  4 min 20 s left · linked 120 · unchanged 30 · 19.8 requests/s`.

    Args:
        doing: one word for what is done.
        share: how much of it is done, from 0 to 1; None if unknown, and no bar is shown.
        status: the remaining time, or what is waited for.
        details: shown as far as there is room for them.
    """

    doing: str
    share: float | None
    status: str
    details: Sequence[str] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width - 1  # some terminals wrap a line that fills the last column
        start = f"{self.doing:<{_DOING}} "
        if self.share is None:
            yield Text(f"{start}{self._words(width - len(start))}".rstrip()[:width])
            return
        percent = f" {self.share:>4.0%}"
        room = width - len(start) - len(percent) - _SHORTEST - 2
        words = self._words(room)
        length = min(_LONGEST, _SHORTEST + room - len(words)) if room >= 0 else max(0, width - len(start) - 5)
        yield Text(start, end="")
        done = round(self.share * length)
        yield Text("━" * done, style="green", end="")
        yield Text("─" * (length - done), style="bright_black", end="")
        yield Text(f"{percent}  {words}".rstrip()[: max(0, width - len(start) - length)], end="\n")

    def _words(self, room: int) -> str:
        """Return the status, and as many details as there is room for; the most important come first."""
        words = self.status
        for mark in (" (", "; "):
            words = words if len(words) <= room else words.partition(mark)[0]
        words = words[: max(0, room)]
        for detail in self.details:
            longer = f"{words}{_BETWEEN}{detail}" if words else detail
            if len(longer) > room:
                break
            words = longer
        return words
