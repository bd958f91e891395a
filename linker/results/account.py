"""Whose results a file holds: each run names its account, so that no other account is taken for it.

The first line of each run has the account's address in `account`. Files from before linker wrote it name none, and are
used on any account.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from linker.errors import UsageError
from linker.settings import base_url
from linker.text import encodable

_KEY: Final = b'"account"'


class _Line(msgspec.Struct, gc=False):
    account: str | None = None
    run: int = 0


class _Written(msgspec.Struct, gc=False):
    change: int | None = None
    created: dict[str, Any] | None = None
    run: int = 0


_decode = msgspec.json.Decoder(_Line).decode
_decode_written = msgspec.json.Decoder(_Written).decode


def is_other(named: str | None, account: str) -> bool:
    """Whether a file names an account, and another one than `account`, both by their addresses."""
    return bool(named) and bool(account) and _normalized(named or "") != _normalized(account)


def _normalized(address: str) -> str:
    try:
        return base_url(None, address)
    except UsageError:  # somebody has edited it
        return address


def check_resume(path: Path, named: str | None, account: str) -> None:
    """Raise `UsageError` if a results file or journal names another account than the run that is to continue it.

    Args:
        named: the address of the account in the file; None if it names none.
        account: the address of the account of the run.
    """
    if is_other(named, account):
        raise UsageError(
            f"{encodable(str(path))} belongs to the account {named}, but this run is for {account}; nothing was sent. "
            f"To continue there, use --url {named}. To start on {account}, use another name with --results, or add "
            "--overwrite. If both addresses are the same account, add --account-unchecked"
        )


def last_account(path: Path) -> str | None:
    """Return the account of the last run in a results file that names one; None if none does.

    Raises:
        OSError: the file cannot be read.
    """
    return next(reversed([account for _, _, account in _named(path)]), None)


def check_undo(path: Path, account: str) -> None:
    """Raise `UsageError` if a run of a results file has written to another account than that of the undo.

    Raises:
        OSError: the file cannot be read.
    """
    others = {run: (number, named) for number, run, named in _named(path) if is_other(named, account)}
    if not others or not (written := _runs_that_wrote(path) & others.keys()):
        return
    number, named = others[min(written)]
    raise UsageError(other_account(path, f"line {number}", named, account))


def other_account(path: Path, where: str, named: str, account: str) -> str:
    """Return why a file is not undone on this account, and what to do."""
    name = encodable(str(path))
    return (
        f"{name} {where} belongs to the account {named}, but this undo is for {account}; nothing was sent. "
        f"To undo it there, add --url {named}. If the runs in the file wrote to several accounts, copy the lines of "
        "each account into its own file first"
    )


def _named(path: Path) -> Iterator[tuple[int, int, str]]:
    """Yield the lines that name an account: their number, their run, and the account."""
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            if _KEY not in line:  # nearly all lines: only the first of each run has it
                continue
            try:
                parsed = _decode(line)
            except (msgspec.MsgspecError, ValueError, RecursionError):  # whoever reads the results says what it is
                continue
            if parsed.account:
                yield number, parsed.run, parsed.account


def _runs_that_wrote(path: Path) -> set[int]:
    """The runs with a line of a PUT or of a created record."""
    runs: set[int] = set()
    with path.open("rb") as stream:
        for line in stream:
            try:
                parsed = _decode_written(line)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                continue
            if parsed.change is not None or parsed.created is not None:
                runs.add(parsed.run)
    return runs
