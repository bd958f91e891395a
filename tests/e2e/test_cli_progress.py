"""The progress of `linker run` on a terminal."""

from __future__ import annotations

from support.command import Command
from support.runs import features, write_jobs
from support.terminal import terminal

from linker.cli.progress import _waiting
from linker.ratelimit.permit import Delay, UsedBy
from linker.sandbox import Sandbox


async def test_a_bar_moves_on_a_terminal_and_leaves_it_tidy(command: Command) -> None:
    """On a terminal there is a bar, which is whole and gone from its line before the summary begins."""
    write_jobs(command.folder / "links.jsonl", features(50))
    async with Sandbox(limits=[], features=500, latency_ms=40) as sandbox:
        command.environment["AHA_URL"] = sandbox.url
        async with terminal(
            command, "run", "links.jsonl", "--yes", "--rate", "1000/1s", "--concurrency", "8"
        ) as screen:
            assert await screen.ended() == 0
    bar, ended, summary = screen.screen.rpartition("\n\x1b[?25h")  # the line's end, the cursor's return
    assert ended
    assert "linking" in bar
    assert "100%  linked 50 · unchanged 0" in bar
    assert "rows in" not in bar
    assert summary.startswith("\x1b[32m50 features changed: 50 links added, 0 removed\x1b[0m\n")
    assert summary.endswith("to take this back: linker undo links.results.jsonl\n")


async def test_a_wait_for_the_rate_limit_is_explained(command: Command) -> None:
    """A run right after another has to wait for the first one's requests to leave the window, and says so."""
    write_jobs(command.folder / "links.jsonl", features(9))
    rates = ("--rate", "14/8s", "--rate", "20/1s")
    async with Sandbox(limits=[(14, 8), (20, 1)], features=20) as sandbox:
        command.environment["AHA_URL"] = sandbox.url
        assert (await command("run", "links.jsonl", *rates)).code == 0
        async with terminal(command, "verify", "links.jsonl", *rates) as screen:
            await screen.shows("waiting ")
            await screen.shows(" s for the rate limit (used by an earlier run)")
            assert await screen.ended() == 0
        assert sandbox.stats.refused == 0


def test_how_a_wait_is_worded() -> None:
    """Whole seconds, minutes from one on, and whose requests it waits for unless they are its own."""
    assert _waiting(Delay(33.2, UsedBy.EARLIER_RUN)) == "waiting 34 s for the rate limit (used by an earlier run)"
    assert _waiting(Delay(120.0, UsedBy.OTHER_CLIENTS)) == (
        "waiting 2 min 0 s for the rate limit (used by other clients of the account)"
    )
    assert _waiting(Delay(5.0, UsedBy.THIS_RUN)) == "waiting 5 s for the rate limit"
