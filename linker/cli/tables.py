"""`linker tables`: lists the custom tables of the account, and the fields that link to them."""

from __future__ import annotations

from collections.abc import Sequence

import click
import msgspec
import orjson

from linker.cli import options
from linker.cli.access import Access, takes_access
from linker.cli.drive import run_in_loop
from linker.cli.verb import Verb, option
from linker.client.check import LinkField
from linker.client.linker import Linker
from linker.client.tables import CustomTable, Tables
from linker.text import harmless, harmless_json, plain


@click.command(
    "tables",
    cls=Verb,
    short_help="List custom tables, and the fields that link to them.",
    epilog="""\b
Examples:
  linker tables --account company
  linker tables --json
  linker records PRJ1/customers

Aha! has no list of tables, so this shows those that a field
links to, that --table names, or whose key is that of a field.

\b
Exit codes:
  0    tables or fields were found
  1    nothing was found
  2    the command or a setting is wrong
  3    the account cannot be read
""",
)
@options.account
@options.table
@options.name_field
@options.pace
@option("--json", "as_json", group="Output", is_flag=True, help="Print everything as one JSON object")
@options.logging
@takes_access
def command(access: Access, as_json: bool) -> int:
    """List the custom tables of the account, with the number of their records, and the fields that link to them.

    The names in the first columns are those that job files and options take.
    """
    found = run_in_loop(_found(access))
    if as_json:
        click.echo(harmless_json(orjson.dumps(_json(found), option=orjson.OPT_INDENT_2)).decode())
    else:
        for line in _screen(found):
            click.echo(harmless(line).rstrip())
    return 0 if found.tables or found.fields else 1


async def _found(access: Access) -> Tables:
    async with Linker(token=access.token, settings=access.settings) as aha:
        return await aha.tables()


def _screen(found: Tables) -> list[str]:
    return [*_tables(found.tables), "", *_fields(found)]


def _tables(tables: Sequence[CustomTable]) -> list[str]:
    if not tables:
        return [
            "No custom table was found. In Aha!, administrators find their keys under Account settings, Custom tables."
        ]
    rows = [("TABLE", "WORKSPACE", "KEY", "RECORDS", "TITLE FIELD")]
    for table in tables:
        count = "?" if table.records is None else f"{table.records:,}"
        title = plain(table.problem) if table.problem is not None else table.title or "-"
        rows.append((table.place, table.workspace, table.key, count, title))
    return aligned(rows, right=3)


def _fields(found: Tables) -> list[str]:
    if found.fields is None:
        return ["The account does not show its field definitions to this token, so its link fields are not listed."]
    if not found.fields:
        return ["The account defines no field that links to records."]
    rows = [("KIND", "LINK FIELD", "TABLE", "LABEL")]
    rows += [(str(field.kind), field.key, _place(field, found), plain(field.name)) for field in found.fields]
    lines = aligned(rows)
    if any(field.table is None for field in found.fields):
        lines += [
            "",
            "?  a guess: this table has the same key as the field",
            "-  linker cannot tell which table this field links to",
            "To use names in these fields, add --table FIELD=PRODUCT/TABLE",
        ]
    return lines


def _place(field: LinkField, found: Tables) -> str:
    if field.table is not None:
        return field.table
    return f"{found.guesses[field.key]} ?" if field.key in found.guesses else "-"


def aligned(rows: Sequence[Sequence[str]], right: int | None = None) -> list[str]:
    """Return the rows as lines with columns below each other.

    Args:
        right: the column that is aligned to the right.
    """
    widths = [max(len(harmless(cell)) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            f"{harmless(cell):>{width}}" if at == right else f"{harmless(cell):<{width}}"
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells))
    return lines


def _json(found: Tables) -> dict[str, object]:
    return {
        "url": found.url,
        "tables": [msgspec.to_builtins(table) for table in found.tables],
        "fields": found.fields
        and [{**msgspec.to_builtins(field), "likely_table": _likely(field, found)} for field in found.fields],
    }


def _likely(field: LinkField, found: Tables) -> str | None:
    return field.table or found.guesses.get(field.key)
