"""What an undo does with the records that the run created: it deletes them, or says that they stay."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from linker import log
from linker.cli.access import Access
from linker.cli.again import command
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
    delete = command("undo", source.name, *results, "--resume", "--delete-created")
    kept = "1 record that the run created stays" if count == 1 else f"{count:,} records that the run created stay"
    return harmless(f"{kept}; to delete those that nothing links to: {delete}")


async def delete_created_by(access: Access, source: UndoFile, *, as_json: bool) -> int:
    """Delete the records that the run created, print what became of them, and return the exit code.

    Args:
        as_json: print to stderr, because stdout is JSON.
    """
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
        gone = f"; {endings[Ending.GONE]:,} already deleted" if endings[Ending.GONE] else ""
        of = f"{endings[Ending.DELETED]:,} of {counted(len(source.created), 'record')}"
        click.echo(f"deleted {of} that the run created{gone}", err=as_json)
        if linked:
            click.echo(f"not deleted, because something links to them: {some(linked)}", err=as_json)
        if failed:
            click.echo(f"not deleted: {some(failed, '; ')}", err=as_json)
    if caught:
        log.tell("interrupted", "linker: interrupted; run the same command with --resume to delete the rest", "error")
        return 128 + caught
    return 1 if failed else 0
