"""Where the command has the token from: a file that is the user's alone, or AHA_TOKEN. Never an argument."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from linker.errors import UsageError
from linker.secret import Token

__all__ = ["token_of"]

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_LARGEST: Final = 65_536


def token_of(file: Path | None) -> Token:
    """The token, from a file or from AHA_TOKEN.

    Raises:
        UsageError: there is none; or its file may be read by others, as ssh has it with keys.
    """
    if file is not None:
        return Token(_read(file))
    text = os.environ.get("AHA_TOKEN", "")
    if not text.strip():
        raise UsageError("no token: set AHA_TOKEN, or give --token-file FILE (in Aha!: Settings, Personal, Developer)")
    return Token(text)


def _read(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode  # of what was opened, whatever has the name by now
            if mode & _OTHERS and not stat.S_ISCHR(mode):
                raise UsageError(
                    f"token file {file}: others can read it (mode {stat.S_IMODE(mode):04o}); "
                    f"chmod 600 it, and if they may have read it, make a new token"
                )
            text = stream.read(_LARGEST).decode().strip()
    except OSError as error:
        raise UsageError(f"token file {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"token file {file} holds no text") from None
    if not text:
        raise UsageError(f"token file {file} is empty")
    return text
