"""Reads the token from a file or from AHA_TOKEN; never from an argument, which other users could see."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from linker.errors import UsageError
from linker.sessions.token import Token

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_LARGEST: Final = 65_536


def token_of(file: Path | None) -> Token:
    """Return the token, from a file if one is given, else from AHA_TOKEN.

    Raises:
        UsageError: no token is given, or other users can read the user's own token file (ssh has this rule for keys).
    """
    if file is None and not os.environ.get("AHA_TOKEN", "").strip():
        raise UsageError(
            "no token: set AHA_TOKEN, or give --token-file FILE. You make a token in Aha! under Settings, Personal, "
            "Developer; linker init helps"
        )
    token = _read(file) if file is not None else Token(os.environ["AHA_TOKEN"])
    token.check()
    return token


def _read(file: Path) -> Token:
    try:
        with file.open("rb") as stream:
            status = os.fstat(stream.fileno())  # of the open file: the name may belong to another file by now
            if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and status.st_mode & _OTHERS:
                raise UsageError(
                    f"token file {file}: others can read it (mode {stat.S_IMODE(status.st_mode):04o}); "
                    f"run: chmod 600 {file}. If another user may have read it, make a new token"
                )
            token = Token(stream.read(_LARGEST).decode(errors="replace"))
    except OSError as error:
        raise UsageError(f"token file {file}: {error.strerror}") from None
    if not token:
        raise UsageError(f"token file {file} is empty")
    return token
