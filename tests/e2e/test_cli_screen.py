"""What somebody sees on a terminal while linker works, at the widths that terminals have."""

from __future__ import annotations

import pytest
from rich.console import Console
from support.command import Command
from support.runs import features, write_jobs
from support.terminal import terminal

from linker.cli.bar import Bar
from linker.sandbox import Sandbox

DETAILS = ["linked 1,200", "unchanged 300", "failed 1", "rejected 2", "19.8 requests/s"]


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 120, 200])
def test_the_details_go_first_and_the_bar_and_the_time_stay(columns: int) -> None:
    """One line at any width; a bar of ten columns or more, the share and the remaining time from 60 columns on."""
    bar = Bar("linking", 0.45, "4 min 20 s left", DETAILS)
    console = Console(width=columns, force_terminal=True, no_color=True, legacy_windows=False)
    with console.capture() as captured:
        console.print(bar)
    (line,) = captured.get().splitlines()
    line = Console(no_color=True).render_str(line).plain
    text = "".join(char for char in line if char.isprintable())
    assert text.startswith("linking")
    if columns >= 60:
        assert text.count("━") + text.count("─") >= 10
        assert " 45%  4 min 20 s left" in text
    assert ("19.8 requests/s" in text) is (columns >= 120)
    assert ("linked 1,200" in text) is (columns >= 60)


def test_a_long_wait_fits_too() -> None:
    """What it waits for is shortened before it is cut."""
    for status, shown in (
        ("waiting 34 s for the rate limit (used by other clients of the account)", "waiting 34 s for the rate limit"),
        ("account not answering; retrying for up to 10 min 0 s", "account not answering"),
    ):
        with (console := Console(width=62, no_color=True)).capture() as captured:
            console.print(Bar("waiting", 0.1, status))
        (line,) = captured.get().splitlines()
        assert line.endswith(f"10%  {shown}")


@pytest.mark.parametrize("columns", [60, 80, 120])
async def test_the_bar_is_green_and_stays_on_one_line(command: Command, columns: int) -> None:
    """At the end the bar is full, and the summary follows it; with NO_COLOR nothing is coloured."""
    write_jobs(command.folder / "links.jsonl", features(40))
    if columns == 80:
        command.environment["NO_COLOR"] = "1"
    async with Sandbox(limits=[], features=100, latency_ms=10) as sandbox:
        command.environment["AHA_URL"] = sandbox.url
        async with terminal(command, "run", "links.jsonl", "--yes", "--rate", "1000/1s", columns=columns) as screen:
            assert await screen.ended() == 0
    (bar,) = [line for line in screen.lines if "━" in line]
    assert bar.startswith("linking   ━━━━━━━━━━")
    assert "100%  linked 40" in bar
    assert screen.lines[screen.lines.index(bar) + 1] == "40 features changed: 40 links added, 0 removed"
    assert screen.colours("━" * 10) == ({"default"} if columns == 80 else {"green"})
