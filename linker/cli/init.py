"""`linker init [FILE]`: asks a few questions and writes `linker.toml`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click

from linker import log
from linker.cli import options
from linker.cli.access import settings_of
from linker.cli.config import NAME
from linker.cli.drive import run_in_loop
from linker.cli.guess import OwnTable, holds_ids, kind_in, read_own_table, record_column, reference_column
from linker.cli.prompt import may_ask
from linker.cli.questions import Proposals, Terminal
from linker.cli.token import token_of
from linker.cli.verb import Verb, flag, option
from linker.client.check import Check
from linker.client.linker import Linker
from linker.client.tables import Tables
from linker.disk.private import make_folder, open_private
from linker.errors import LinkerError, UsageError
from linker.model.job import Mode, is_field
from linker.model.target import Kind
from linker.sessions.token import Token
from linker.settings import Settings, base_url
from linker.text import harmless, plain

_KINDS: Final = [str(kind) for kind in Kind]
_SUFFIXES: Final = (".csv", ".tsv")


@click.command(
    "init",
    cls=Verb,
    short_help="Ask a few questions and write linker.toml.",
    epilog="""\b
Examples:
  linker init
  linker init accounts.csv
  linker init accounts.csv --account company --yes

The token itself is never written to linker.toml.

\b
Exit codes:
  0    linker.toml is written
  1    nothing was written, because you answered no
  2    nothing was written: the command is wrong, or
       linker runs without a terminal
  130  interrupted; nothing was written
""",
)
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
@options.place
@option(
    "-o",
    "--output",
    group="Output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    default=NAME,
    show_default=True,
    help="Write the settings to this file",
)
@flag("--yes", group="Output", help="Accept all proposals without asking")
def command(
    file: Path | None,
    account: str | None,
    url: str | None,
    token_file: Path | None,
    insecure_http: bool,
    output: Path,
    yes: bool,
) -> int:
    """Ask for your account and your token, look at what the account has, and write linker.toml.

    With a table (CSV) as FILE, it also proposes which of its columns is which. Nothing in the account is changed.
    """
    log.configure("error", "console")
    try:
        return _written(file, account, url, token_file, insecure=insecure_http, output=output, yes=yes)
    except (click.Abort, KeyboardInterrupt):
        click.echo("\nNothing was written.", err=True)
        raise


def _written(
    file: Path | None,
    account: str | None,
    url: str | None,
    token_file: Path | None,
    *,
    insecure: bool,
    output: Path,
    yes: bool,
) -> int:
    if not yes and not may_ask():
        raise UsageError(
            "linker init asks questions, so it needs a terminal. Without one, add --yes and --account NAME, and set "
            "AHA_TOKEN or add --token-file FILE"
        )
    ask = Proposals() if yes else Terminal()
    table = _own_table(file)
    exists = os.path.lexists(output)
    if exists and yes:
        raise UsageError(f"{output} exists, and --yes does not replace it; move it away, or add --output FILE")
    if exists and not ask.confirm(f"{output} exists. Replace it?", default=False):
        return _unchanged(output)
    answers = _Answers(base=ask.valid("Account (the NAME of https://NAME.aha.io)", account or url, _base(account, url)))
    token = _ask_token(ask, answers, token_file)
    tables = _look_at(answers, token, insecure=insecure)
    if token is not None and tables is None and not yes and not ask.confirm("Continue without it?", default=False):
        return _unchanged(output)
    if table is not None and not table.is_job_table:
        _ask_columns(ask, answers, table, tables)
    answers.mode = ask.choose(
        "Mode: replace removes all other links of a feature that has a row, add keeps them", list(Mode), Mode.REPLACE
    )
    text = answers.toml(output.parent)
    click.echo(f"\n{harmless_lines(text)}", err=True)
    if not ask.confirm(f"Write this to {output}?", default=True):
        return _unchanged(output)
    answers.write_token()
    _write(output, text, replace=exists)
    click.echo(f"{output} is written. Next:")
    if answers.token_file is None and token is None:
        click.echo("  export AHA_TOKEN=…      (Aha!: Settings, Personal, Developer)")
    for verb in ("check", "plan") if file is not None else ("check",):
        click.echo(f"  linker {verb}{f' {file}' if file is not None else ''}")
    return 0


def harmless_lines(text: str) -> str:
    """Return a text of several lines with harmless lines."""
    return "\n".join(map(harmless, text.splitlines()))


def _unchanged(output: Path) -> int:
    click.echo(f"{output} was not written.", err=True)
    return 1


@dataclass(slots=True)
class _Answers:
    """What was answered so far."""

    base: str
    token_file: Path | None = None
    new_token: str = field(default="", repr=False)
    columns: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)
    mode: str = Mode.REPLACE
    encoding: str | None = None

    def toml(self, folder: Path) -> str:
        """Return the settings file.

        Args:
            folder: the folder that it is for; relative paths in it are relative to that.
        """
        name = self.base.removeprefix("https://").removesuffix(".aha.io")
        is_name = self.base == f"https://{name}.aha.io"
        sections: dict[str, dict[str, str]] = {
            "account": {"name": name} if is_name else {"url": self.base},
            "columns": self.columns,
            "set": self.constants,
            "tables": self.tables,
            "run": {"mode": self.mode} | ({"encoding": self.encoding} if self.encoding else {}),
        }
        if self.token_file is not None:
            path = self.token_file
            is_moved = folder != Path() and not path.is_absolute() and not str(path).startswith("~")
            sections["account"]["token_file"] = str(path.absolute() if is_moved else path)
        text = "# Settings for linker. Options on the command line override them. `linker check` shows the result.\n"
        if self.token_file is None:
            text += "# The token is in the variable AHA_TOKEN.\n"
        for heading, values in sections.items():
            if values:
                lines = "".join(f"{key} = {_quoted(value)}\n" for key, value in values.items())
                text += f"\n[{heading}]\n{lines}"
        return text

    def write_token(self) -> None:
        """Write a new token to its file, which only its owner can read."""
        if self.token_file is None or not self.new_token:
            return
        path = self.token_file.expanduser()
        try:
            make_folder(path.parent, 0o700)
            with os.fdopen(open_private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "w") as stream:
                stream.write(f"{self.new_token}\n")
        except OSError as error:
            raise UsageError(f"token file {path}: {error.strerror}") from None


def _quoted(text: str) -> str:
    """Return a TOML string."""
    escaped = "".join(
        f"\\u{ord(char):04x}" if ord(char) < 0x20 or ord(char) == 0x7F else f"\\{char}" if char in '"\\' else char
        for char in text
    )
    return f'"{escaped}"'


def _base(account: str | None, url: str | None) -> Callable[[str], str]:
    """Return what turns an answer into the URL of an account: a name, or an address."""

    def parse(text: str) -> str:
        if url and not account and text == url:
            return base_url(None, url)
        return base_url(None, text) if "://" in text and "aha.io" not in text else base_url(text, None)

    return parse


def _own_table(file: Path | None) -> OwnTable | None:
    if file is None or file.suffix.lower() not in _SUFFIXES:
        if file is not None and not file.exists():
            raise UsageError(f"{file} does not exist")
        return None
    return read_own_table(file)


def _ask_token(ask: Terminal, answers: _Answers, given: Path | None) -> Token | None:
    """Return the token, if there is one by now; keep where it is, or will be."""
    if given is not None:
        answers.token_file = given
        return token_of(given)
    if os.environ.get("AHA_TOKEN", "").strip() and ask.confirm("Use the token in AHA_TOKEN?", default=True):
        return token_of(None)
    if isinstance(ask, Proposals) or not ask.confirm("Keep the token in a file that only you can read?", default=True):
        return None
    name = answers.base.partition("://")[2].removesuffix(".aha.io").replace(":", "-").replace("/", "-")
    folder = os.environ.get("XDG_CONFIG_HOME") or "~/.config"

    def usable(text: str) -> str:
        path = Path(text).expanduser()
        if path.is_dir():
            raise UsageError(f"{text} is a folder; name a file in it")
        if path.exists():
            token_of(path)
        return text

    answers.token_file = Path(ask.valid("Token file", f"{folder}/linker/{name}.token", usable))
    path = answers.token_file.expanduser()
    if path.exists():
        return token_of(path)
    while True:
        click.echo("You make a token in Aha! under Settings, Personal, Developer.", err=True)
        answers.new_token = ask.secret("Token (it is not shown; press Enter to add it to the file later)").strip()
        if not answers.new_token:
            return None
        token = Token(answers.new_token)
        try:
            token.check()
        except LinkerError as error:
            click.echo(f"Error: {error}", err=True)
            continue
        return token


def _look_at(answers: _Answers, token: Token | None, *, insecure: bool) -> Tables | None:
    """Return the tables and fields of the account, and say whose token it is; None if it cannot be asked."""
    if token is None:
        return None
    settings = settings_of(answers.base, insecure_http=insecure)
    try:
        check, tables = run_in_loop(_looked(settings, token))
    except LinkerError as error:
        click.echo(f"linker cannot read the account: {error}", err=True)
        return None
    if check.problem is not None:
        click.echo(f"linker cannot read the account: {check.problem}", err=True)
        return None
    click.echo(
        f"{check.account or answers.base}: the token is valid and belongs to {check.user or 'a user without a name'}.",
        err=True,
    )
    places = ", ".join(table.place for table in tables.tables) if tables is not None else ""
    keys = ", ".join(dict.fromkeys(found.key for found in tables.fields or ())) if tables is not None else ""
    click.echo(f"Tables: {plain(places) or 'none found'}. Link fields: {plain(keys) or 'none found'}.", err=True)
    return tables


async def _looked(settings: Settings, token: Token) -> tuple[Check, Tables | None]:
    async with Linker(token=token, settings=settings) as aha:
        check = await aha.check()
        return check, await aha.tables() if check.problem is None else None


def _ask_columns(ask: Terminal, answers: _Answers, table: OwnTable, tables: Tables | None) -> None:
    answers.encoding = table.encoding
    headers = list(dict.fromkeys(filter(None, table.headers)))
    at = reference_column(table)
    reference = ask.choose(
        "Column with the references of features, ideas and so on, such as PRJ1-12",
        headers,
        table.headers[at] if at is not None else None,
    )
    cells = table.cells(table.headers.index(reference))
    at = record_column(table, table.headers.index(reference))
    proposal = table.headers[at] if at is not None else next((name for name in headers if name != reference), None)
    record = ask.choose("Column with the records to link, by name or by id", headers, proposal)
    has_ids = holds_ids(table.cells(table.headers.index(record)))
    by = ask.choose("Does it hold names or ids?", ["names", "ids"], "ids" if has_ids else "names")
    answers.columns = {"id": reference, f"record_{by}": record}
    kind = kind_in(cells)
    if kind is None:
        kind = Kind.parse(ask.choose("Kind of what is linked", _KINDS, str(Kind.FEATURE)))
        answers.constants["kind"] = str(kind)
    answers.constants["field"] = key = _ask_field(ask, kind, tables)
    if by == "names":
        _ask_table(ask, answers, kind, key, tables)


def _ask_field(ask: Terminal, kind: Kind, tables: Tables | None) -> str:
    known = [each.key for each in (tables.fields if tables is not None else None) or () if each.kind is kind]
    if known:
        return ask.choose(f"Link field of {kind.plural}", known, known[0])
    return ask.valid(f"Key of the link field of {kind.plural}, such as customers", None, _key)


def _ask_table(ask: Terminal, answers: _Answers, kind: Kind, key: str, tables: Tables | None) -> None:
    if tables is None:
        return
    fields = [each for each in tables.fields or () if each.kind is kind and each.key == key]
    place = next((each.table for each in fields if each.table), None) or tables.guesses.get(key)
    places = [table.place for table in tables.tables]
    if places:
        answers.tables[key] = ask.choose(f"Table whose records the field {key} links to", places, place or places[0])


def _key(text: str) -> str:
    if not is_field(text.strip()):
        raise UsageError(f'"{text[:80]}" is not the key of a field, such as customers')
    return text.strip()


def _write(output: Path, text: str, *, replace: bool) -> None:
    """Write the file as a whole or not at all. Without `replace`, a file that has appeared meanwhile stays."""
    try:
        number, name = tempfile.mkstemp(prefix=f"{output.name}.", dir=output.parent)
        try:
            with os.fdopen(number, "w", encoding="utf-8") as stream:
                stream.write(text)
            if replace:
                Path(name).replace(output)
            else:
                os.link(name, output)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{output}: {error.strerror}") from None
