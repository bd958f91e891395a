"""`linker demo`: a migration from its job file to its results."""

from __future__ import annotations

from support.command import Command
from support.runs import names


async def test_demo_shows_a_migration(command: Command) -> None:
    """Exit 0: the job file, the command, the summary, results of both sorts, and where to go next; no file is left."""
    finished = await command("demo")
    assert finished.code == 0, finished.stderr
    for text in ("A sandbox serves", "$ linker run migration.jsonl", '"status":"linked"', '"status":"rejected"'):
        assert text in finished.stdout
    assert "refused 0 requests (429)" in finished.stdout
    assert "Next: run `linker sandbox`" in finished.stdout
    assert names(command.folder) == []
