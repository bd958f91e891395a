"""`linker export`: the account's links as a job file."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import signal
import sys
import unicodedata
from collections.abc import Callable, Coroutine, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import click
import orjson

from linker import log
from linker.api.lists import Listing
from linker.cli.drive import run_in_loop
from linker.cli.options import Access, account_options, log_options, pace_options, takes_access
from linker.cli.output import counted
from linker.client.linker import Linker
from linker.disk.lines import DISK, LineFile, Locked
from linker.errors import UsageError
from linker.model.job import LinkJob, Name
from linker.sources import as_text
from linker.text import harmless_json

__all__ = ["command"]

_COLUMNS: Final = ("kind", "id", "field", "record_ids")
_DELIMITERS: Final = {".csv": ",", ".tsv": "\t"}


@click.command(
    "export",
    short_help="The account's links as a job file.",
    epilog="""\b
Examples:
  linker export --kind feature --scope PRJ1 -o links.jsonl
  linker export --kind idea --field customers --format csv > customers.csv
  linker export --kind requirement --scope PRJ1-12
  linker export --kind feature --names -o for-the-other-account.jsonl
  linker export --kind record --scope PRJ1/customers
""",
)
@account_options
@click.option("--kind", metavar="KIND", required=True, help="feature, idea, epic, release, … (`record` for a table's).")
@click.option("--scope", metavar="PARENT", help="A product; for requirements a feature, for records PRODUCT/TABLE.")
@click.option("--field", metavar="KEY", help="Links of this field only.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Default: standard output.")
@click.option("--format", type=click.Choice(["jsonl", "csv"]), help="Default: by FILE's name, else jsonl.")
@click.option("--names", is_flag=True, help="Tell records by their names, for an account in which their ids differ.")
@pace_options
@log_options
@takes_access
def command(
    access: Access,
    kind: str,
    scope: str | None,
    field: str | None,
    output: Path | None,
    format: str | None,
    names: bool,
) -> int:
    """Write the links that the account holds as a job file: one job a target that holds any.

    A run of it finds everything so already, and writes nothing.
    """
    listing = Listing.parse(f"{kind}:{scope}" if scope else kind)
    if output is None:
        delimiter = "," if format == "csv" else None
        written = _write(access, listing, field, names, sys.stdout.buffer.write, delimiter)
        _, caught = run_in_loop(_to_its_end(written))
        sys.stdout.buffer.flush()
        return _interrupted("this is not all there is", caught) if caught else 0
    if os.path.lexists(output):
        raise UsageError(f"{output} exists; name another file, or move it away")
    delimiter = _DELIMITERS.get(output.suffix.lower()) if format is None else "," if format == "csv" else None
    part = output.with_name(f"{output.name}.part")
    try:
        lines = LineFile(part, DISK, "fsync", os.O_CREAT)
    except Locked:
        raise UsageError(f"{output}: another export is writing it; wait for its end, or name another file") from None
    except OSError as error:
        raise UsageError(f"{output}: {error.strerror}") from None
    is_whole = False
    try:
        lines.clear()  # of what an export that was killed has left
        count, caught = run_in_loop(_to_its_end(_write(access, listing, field, names, lines.append, delimiter)))
        if caught:
            return _interrupted("what was exported by then is not kept", caught)
        lines.sync_now()
        if os.path.lexists(output):
            raise UsageError(f"{output} exists by now, and is left as it is")
        part.rename(output)
        is_whole = True
    except OSError as error:
        raise OSError(error.errno, f"{output}: {error.strerror}") from None
    finally:
        if not is_whole:
            part.unlink(missing_ok=True)
        lines.close()
    log.tell("exported", f"{counted(count, 'target')} in {output}")
    return 0


def _interrupted(so: str, number: int) -> int:
    log.tell("interrupted", f"linker: interrupted; {so}", "error")
    return 128 + number


async def _to_its_end(writing: Coroutine[Any, Any, int]) -> tuple[int, int]:
    """What was counted, and the signal that ended it early: 0 where none did."""
    task = asyncio.get_running_loop().create_task(writing)
    caught = 0

    def end(number: int) -> None:
        nonlocal caught
        caught = number
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end, number)
    try:
        return await task, 0
    except asyncio.CancelledError:
        if not caught:
            raise
        return 0, caught


async def _write(
    access: Access,
    listing: Listing,
    field: str | None,
    names: bool,
    write: Callable[[bytes], object],
    delimiter: str | None,
) -> int:
    """Write the jobs of a list, as a table where there is a delimiter; how many they are."""
    count = 0
    named = [*_COLUMNS, "record_names"] if names else _COLUMNS
    if delimiter is not None:
        write(_row(named, delimiter))
    will_do = names if delimiter is None else names and _fits_a_cell
    async with Linker(token=access.token, settings=access.settings) as aha:
        async for job in aha.export(str(listing), field, names=will_do):
            count += 1
            write(_line(job) if delimiter is None else _rows(job, delimiter, len(named)))
    return count


def _line(job: LinkJob) -> bytes:
    line = {"kind": job.target.kind.value, "id": job.id, "links": job.links}
    return harmless_json(orjson.dumps(line, default=attrgetter("written"))) + b"\n"


def _rows(job: LinkJob, delimiter: str, width: int) -> bytes:
    rows = ((job.target.kind.value, job.id, as_text(field), *_cells(records)) for field, records in job.links.items())
    return b"".join(_row(row[:width], delimiter) for row in rows)


def _cells(records: Sequence[str | Name]) -> tuple[str, str]:
    """What stands in `record_ids` and in `record_names`: no name, first or not, is a formula in any spreadsheet."""
    names = (as_text(str(each)) for each in records if isinstance(each, Name))
    return ";".join(each for each in records if isinstance(each, str)), ";".join(names)


def _fits_a_cell(name: str) -> bool:
    """Whether a name can stand among others in a cell of a table: an id does for what no table should hold."""
    return ";" not in name and all(char.isprintable() or unicodedata.category(char) == "Zs" for char in name)


def _row(cells: Sequence[str], delimiter: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerow(cells)
    return text.getvalue().encode()
