"""What an undo does with the records that the run created: it deletes them, or says that they stay."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path

import click

from linker import log
from linker.cli import options
from linker.cli.drive import until_signal
from linker.cli.output import counted, some
from linker.client.linker import Linker
from linker.records.delete import Ending
from linker.results.undo import UndoFile
from linker.text import harmless


def stay(source: UndoFile, undone: Path | None) -> str:
    """Return a line about the records that the run created, with the command that deletes them; empty without any.

    Args:
        undone: the results file of the undo, if it was given.
    """
    if not source.created:
        return ""
    count = len(source.created)
    results = ["--results", str(undone)] if undone is not None else []
    command = shlex.join(["linker", "undo", source.name, *results, "--resume", "--delete-created"])
    kept = "1 record that the run created stays" if count == 1 else f"{count:,} records that the run created stay"
    return harmless(f"{kept}; to delete what nothing links to: {command}")


async def delete_created_by(access: options.Access, source: UndoFile) -> int:
    """Delete the records that the run created, print what became of them, and return the exit code."""
    endings: Counter[Ending] = Counter()
    failed: list[str] = []
    linked: list[str] = []

    async def delete() -> None:
        async with Linker(token=access.token, settings=access.settings) as aha:
            async for deletion in aha.delete_created(source):
                endings[deletion.ending] += 1
                if deletion.ending is Ending.FAILED:
                    failed.append(deletion.why)
                elif deletion.ending is Ending.LINKED:
                    linked.append(deletion.id)

    try:
        _, caught = await until_signal(delete(), None)
    finally:
        gone = f", {endings[Ending.GONE]:,} already gone" if endings[Ending.GONE] else ""
        of = f"{endings[Ending.DELETED]:,} of {counted(len(source.created), 'record')}"
        click.echo(f"{of} that the run created deleted{gone}")
        if linked:
            click.echo(f"still linked, so not deleted: {some(linked)}")
        if failed:
            click.echo(f"not deleted: {some(failed, '; ')}")
    if caught:
        log.tell("interrupted", "linker: interrupted; the same command with --resume deletes the rest", "error")
        return 128 + caught
    return 1 if failed else 0
