"""Opens the log file of `--log-file`."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from linker import log
from linker.disk.private import open_private
from linker.errors import UsageError


def copy_to(path: Path, level: str, stderr_level: str) -> log.Copy:
    """Return a copy of the log that is appended to a file; a new file can be read by its owner alone.

    Args:
        level: the level from which on events go to the file.
        stderr_level: the level from which on events go to stderr.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        file = open_private(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)  # stays open to the end of the process
    except OSError as error:
        raise UsageError(f"log file {path}: {error.strerror}") from None

    def lost(error: OSError) -> None:
        log.tell("log_file_lost", f"linker: nothing more is written to the log file {path}: {error.strerror}", "error")

    return log.Copy(partial(os.write, file), level, stderr_level, lost)
