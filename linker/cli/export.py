"""`linker export`: writes the account's links as a job file."""

from __future__ import annotations

import csv
import io
import os
import sys
import unicodedata
from collections.abc import Callable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Final

import click
import orjson

from linker import log
from linker.api.lists import Listing
from linker.cli import options
from linker.cli.access import Access, takes_access
from linker.cli.activity import active
from linker.cli.drive import run_in_loop, until_signal
from linker.cli.output import counted
from linker.cli.verb import Verb, option
from linker.client.linker import Linker
from linker.disk.lines import DISK, LineFile, Locked
from linker.errors import UsageError
from linker.model.job import LinkJob, Name
from linker.sources import as_text
from linker.text import harmless_json

_COLUMNS: Final = ("kind", "id", "field", "record_ids")
_DELIMITERS: Final = {".csv": ",", ".tsv": "\t"}
_FORMATS: Final = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_OTHERS: Final = frozenset(
    f".{ending}"
    for ending in (
        *("xlsx", "xlsm", "xlsb", "xls", "ods", "numbers", "parquet", "feather", "arrow", "avro", "orc", "json", "xml"),
        *("yaml", "yml", "toml", "html", "htm", "md", "pdf", "docx", "sql", "db", "sqlite", "sqlite3", "duckdb"),
        *("gz", "tgz", "bz2", "xz", "zst", "zip", "7z", "tar"),
    )
)
"""Endings of files in formats that export does not write."""


@click.command(
    "export",
    cls=Verb,
    short_help="Write the account's links to a job file.",
    epilog="""\b
Examples:
  linker export --kind feature --scope PRJ1 -o links.jsonl
  linker export --kind idea --field customers -o ideas.csv
  linker export --kind requirement --scope PRJ1-12
  linker export --kind record --scope PRJ1/customers
  linker export --kind feature --names -o names.jsonl

\b
A PARENT is a product (PRJ1); for requirements it is a
feature (PRJ1-12), for records a table (PRJ1/customers).

\b
Exit codes:
  0    everything was exported
  2    the command, a setting or the file is wrong
  3    stopped early; the export is incomplete
  130  interrupted; the export is incomplete
""",
)
@options.account
@option(
    "--kind",
    group="Input",
    metavar="KIND",
    required=True,
    help="Export this kind, such as feature, idea or record",
)
@option("--scope", group="Input", metavar="PARENT", help="Export only what belongs to this product or table")
@option("--field", group="Input", metavar="KEY", help="Export only the links of this field")
@options.name_field
@options.pace
@option(
    "-o",
    "--output",
    group="Output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write to this file instead of standard output",
)
@option(
    "--format",
    group="Output",
    type=click.Choice(["jsonl", "csv"]),
    show_default="by the name of FILE, else jsonl",
    help="Choose the format",
)
@option("--names", group="Output", is_flag=True, help="Write the names of records instead of their ids")
@options.progress
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
    """Write the links that the account holds to a job file, with one row for each feature that has any.

    A run of that file changes nothing, because its links are already in place.
    """
    listing = Listing.parse(f"{kind}:{scope}" if scope else kind)
    delimiter = _delimiter(output, format)

    def export(write: Callable[[bytes], object]) -> tuple[int, int]:
        return run_in_loop(
            until_signal(_write(access, listing, field, names, write, delimiter, talks=output is None), 0)
        )

    if output is None:
        _, caught = export(sys.stdout.buffer.write)
        sys.stdout.buffer.flush()
        return _interrupted("the export is incomplete", caught) if caught else 0
    count, caught = _write_file(output, export)
    if caught:
        return _interrupted("no file was written", caught)
    if not access.quiet:
        log.tell("exported", f"linker: links of {counted(count, 'target')} written to {output}")
    return 0


def _delimiter(output: Path | None, format: str | None) -> str | None:
    """Return the delimiter of the table to write; None for JSON Lines.

    Raises:
        UsageError: the file's name promises another format.
    """
    suffix = output.suffix.lower() if output is not None else ""
    named = _FORMATS.get(suffix)
    if named is not None and format not in (None, named):
        raise UsageError(f"{output} is the name of a {suffix} file, but --format is {format}; leave out --format")
    if output is not None and suffix in _OTHERS:
        names = f"{output.with_suffix('.csv').name} or {output.with_suffix('.jsonl').name}"
        raise UsageError(f"{output}: export cannot write {suffix} files; name it {names}")
    return _DELIMITERS.get(suffix, "," if format == "csv" else None)


def _write_file(output: Path, export: Callable[[Callable[[bytes], object]], tuple[int, int]]) -> tuple[int, int]:
    """Export into a file that appears once it is complete; return what `export` returns.

    Raises:
        UsageError: the file exists, or another export is writing it.
    """
    if os.path.lexists(output):
        raise UsageError(f"{output} already exists; name another file, or move it away")
    part = output.with_name(f"{output.name}.part")
    try:
        lines = LineFile(part, DISK, "fsync", os.O_CREAT)
    except Locked:
        raise UsageError(f"{output}: another export is writing it; wait until it ends, or name another file") from None
    except OSError as error:
        raise UsageError(f"{output}: {error.strerror}") from None
    try:
        lines.clear()  # an export that was killed may have left lines
        count, caught = export(lines.append)
        if not caught:
            lines.sync_now()
            _put_in_place(part, output)
        return count, caught
    except FileExistsError:
        raise UsageError(
            f"another program has created {output} meanwhile; the export did not replace it. Name another file"
        ) from None
    except OSError as error:
        raise OSError(error.errno, f"{output}: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
        lines.close()


def _put_in_place(part: Path, output: Path) -> None:
    """Rename a complete file. Raises `FileExistsError` if a file of that name has appeared meanwhile.

    It uses a hard link because a rename would replace that file.
    """
    try:
        os.link(part, output, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # the file system has no hard links
        if os.path.lexists(output):
            raise FileExistsError from None
        part.rename(output)


def _interrupted(consequence: str, number: int) -> int:
    log.tell("interrupted", f"linker: interrupted; {consequence}", "error")
    return 128 + number


async def _write(
    access: Access,
    listing: Listing,
    field: str | None,
    names: bool,
    write: Callable[[bytes], object],
    delimiter: str | None,
    *,
    talks: bool,
) -> int:
    """Write the jobs of a list, as a table if there is a delimiter; return their number."""
    count = 0
    columns = [*_COLUMNS, "record_names"] if names else _COLUMNS
    if delimiter is not None:
        write(_row(columns, delimiter))
    names_to_write = names if delimiter is None else names and _fits_a_cell
    async with (
        Linker(token=access.token, settings=access.settings) as aha,
        active(access, aha, "exporting", lambda: f"{counted(count, 'target')} with links", talks=talks),
    ):
        async for job in aha.export(str(listing), field, names=names_to_write):
            count += 1
            write(_line(job) if delimiter is None else _rows(job, delimiter, len(columns)))
    return count


def _line(job: LinkJob) -> bytes:
    line = {"kind": job.target.kind.value, "id": job.target.id, "links": job.links}
    return harmless_json(orjson.dumps(line, default=attrgetter("written"))) + b"\n"


def _rows(job: LinkJob, delimiter: str, width: int) -> bytes:
    rows = (
        (job.target.kind.value, job.target.id, as_text(field), *cells)
        for field, records in job.links.items()
        for cells in _cells(records)
    )
    return b"".join(_row(row[:width], delimiter) for row in rows)


def _cells(records: Sequence[str | Name]) -> list[tuple[str, str]]:
    """Return the cells `record_ids` and `record_names` of a row, or of two if some records have no name to use.

    In one row, both cells would have to mean the same records. Names are escaped so that no spreadsheet takes one for a
    formula.
    """
    ids = ";".join(record for record in records if isinstance(record, str))
    names = ";".join(as_text(str(record)) for record in records if isinstance(record, Name))
    return [(ids, ""), ("", names)] if ids and names else [(ids, names)]


def _fits_a_cell(name: str) -> bool:
    """Whether a cell can hold this name among others. If not, the record is written by its id."""
    return ";" not in name and all(char.isprintable() or unicodedata.category(char) == "Zs" for char in name)


def _row(cells: Sequence[str], delimiter: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerow(cells)
    return text.getvalue().encode()
