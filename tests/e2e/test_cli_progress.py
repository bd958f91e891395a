"""The progress of `linker run` on a terminal."""

from __future__ import annotations

from support.command import Command
from support.runs import features, write_jobs
from support.terminal import terminal

from linker.sandbox import Sandbox


async def test_a_bar_moves_on_a_terminal_and_leaves_it_tidy(command: Command) -> None:
    """On a terminal there is a bar, which is whole and gone from its line before the summary begins."""
    write_jobs(command.folder / "links.jsonl", features(50))
    async with Sandbox(limits=[], features=500, latency_ms=40) as sandbox:
        command.environment["AHA_URL"] = sandbox.url
        async with terminal(command, "run", "links.jsonl", "--rate", "1000/1s", "--concurrency", "8") as screen:
            assert await screen.ended() == 0
    bar, ended, summary = screen.screen.rpartition("\n\x1b[?25h")  # the line's end, the cursor's return
    assert ended
    assert "linking" in bar
    assert "100% linked 50, unchanged 0" in bar
    assert "jobs in" not in bar
    assert summary.startswith("50 jobs in ")
    assert summary.endswith("results in links.results.jsonl\n")
