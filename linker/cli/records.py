"""`linker records TABLE`: lists the records of a custom table, or searches them."""

from __future__ import annotations

import csv
import io
import sys

import click
import msgspec
import orjson

from linker import log
from linker.cli import options
from linker.cli.access import Access, takes_access
from linker.cli.drive import run_in_loop, until_signal
from linker.cli.tables import aligned
from linker.cli.verb import Verb, option
from linker.client.linker import Linker
from linker.client.tables import Record
from linker.errors import UsageError
from linker.sources import as_text
from linker.text import harmless, harmless_json


@click.command(
    "records",
    cls=Verb,
    short_help="List the records of a custom table, or search them.",
    epilog="""\b
Examples:
  linker records PRJ1/customers
  linker records PRJ1/customers --find acme
  linker records PRJ1/customers --csv > customers.csv
  linker records PRJ1/customers --json

`linker tables` lists the tables. If the output is not a
terminal, each line is an id, a tab and a name.

\b
Exit codes:
  0    records were found
  1    nothing was found
  2    the command is wrong, or the table does not exist
  3    the table cannot be read to its end
  130  interrupted
""",
)
@click.argument("place", metavar="PRODUCT/TABLE")
@options.account
@option("--find", group="Input", metavar="TEXT", help="Show only records with this text in their names")
@options.name_field
@options.pace
@option("--json", "as_json", group="Output", is_flag=True, help="Print a JSON list of ids and names")
@option("--csv", "as_csv", group="Output", is_flag=True, help="Print a table with the columns id and name")
@options.logging
@takes_access
def command(access: Access, place: str, find: str | None, as_json: bool, as_csv: bool) -> int:
    """List the ids and names of the records in a custom table, such as PRJ1/customers.

    A search finds the text anywhere in a name, in upper or lower case.
    """
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other; give one of them")
    if find is not None and not find.strip():
        raise UsageError("--find needs a text; without --find, all records are listed")
    found, caught = run_in_loop(until_signal(_found(access, place, find), None))
    if found is None:
        log.tell("interrupted", "linker: interrupted; nothing was listed", "error")
        return 128 + caught
    if as_json:
        click.echo(harmless_json(orjson.dumps(msgspec.to_builtins(found), option=orjson.OPT_INDENT_2)).decode())
    elif as_csv:
        click.echo(_csv(found), nl=False)
    elif found:
        rows = [(record.id, harmless(record.name) or "(no name)") for record in found]
        for line in aligned([("ID", "NAME"), *rows]) if sys.stdout.isatty() else map("\t".join, rows):
            click.echo(line.rstrip(" "))
    if not found:
        log.tell("nothing_found", harmless(_nothing(place, find)))
    return 0 if found else 1


async def _found(access: Access, place: str, find: str | None) -> list[Record] | None:
    async with Linker(token=access.token, settings=access.settings) as aha:
        return [record async for record in aha.records(place, find)]


def _nothing(place: str, find: str | None) -> str:
    if find is None:
        return f"The table {place} has no records in this workspace. linker tables lists the tables."
    return (
        f'No record of {place} has "{find[:80]}" in its name. Try a shorter text, or list all of them: '
        f"linker records {place}"
    )


def _csv(found: list[Record]) -> str:
    """Return a CSV table. Names are escaped so that no spreadsheet takes one for a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(("id", "name"))
    writer.writerows((record.id, as_text(record.name)) for record in found)
    return text.getvalue()
