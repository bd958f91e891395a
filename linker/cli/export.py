"""`linker export`: the account's links as a job file."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import BinaryIO

import click
import orjson

from linker.cli.drive import run_in_loop
from linker.cli.options import Access, account_options, log_options, pace_options, takes_access
from linker.client import Linker
from linker.errors import UsageError
from linker.job import LinkJob
from linker.listing import Listing

__all__ = ["command"]

_COLUMNS = ("kind", "id", "field", "record_ids")


@click.command(
    "export",
    short_help="The account's links as a job file.",
    epilog="""\b
Examples:
  linker export --kind feature --scope PRJ1 -o links.jsonl
  linker export --kind idea --field customers --format csv > customers.csv
  linker export --kind requirement --scope PRJ1-12
  linker export --kind record --scope PRJ1/customers
""",
)
@account_options
@click.option("--kind", metavar="KIND", required=True, help="feature, idea, epic, release, … (`record` for a table's).")
@click.option("--scope", metavar="PARENT", help="A product; for requirements a feature, for records PRODUCT/TABLE.")
@click.option("--field", metavar="KEY", help="Links of this field only.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Default: standard output.")
@click.option("--format", type=click.Choice(["jsonl", "csv"]), help="Default: by FILE's name, else jsonl.")
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
) -> int:
    """Write the links that the account holds as a job file: one job a target that holds any.

    A run of it finds everything so already, and writes nothing.
    """
    listing = Listing.parse(f"{kind}:{scope}" if scope else kind)
    as_csv = format == "csv" or (format is None and output is not None and output.suffix.lower() in (".csv", ".tsv"))
    if output is None:
        run_in_loop(_write(access, listing, field, sys.stdout.buffer, as_csv))
        return 0
    if output.exists():
        raise UsageError(f"{output} exists; name another file, or move it away")
    part = output.with_name(f"{output.name}.part")
    try:
        with part.open("wb") as stream:
            count = run_in_loop(_write(access, listing, field, stream, as_csv))
        part.rename(output)
    except OSError as error:
        raise UsageError(f"{output}: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
    click.echo(f"{count:,} targets in {output}", err=True)
    return 0


async def _write(access: Access, listing: Listing, field: str | None, stream: BinaryIO, as_csv: bool) -> int:
    count = 0
    if as_csv:
        stream.write(_row(_COLUMNS))
    async with Linker(token=access.token, settings=access.settings) as aha:
        async for job in aha.export(str(listing), field):
            count += 1
            stream.write(_rows(job) if as_csv else _line(job))
    stream.flush()
    return count


def _line(job: LinkJob) -> bytes:
    return orjson.dumps({"kind": job.target.kind.value, "id": job.id, "links": job.links}) + b"\n"


def _rows(job: LinkJob) -> bytes:
    return b"".join(_row((job.target.kind.value, job.id, name, ";".join(ids))) for name, ids in job.links.items())


def _row(cells: tuple[str, ...]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().encode()
