"""Where the linker processes of one user keep what they share on one machine."""

from __future__ import annotations

import os
from pathlib import Path


def state_dir() -> Path | None:
    """The user's state directory for linker (XDG Base Directory Specification); None if the user has no home."""
    try:
        folder = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser()
    except RuntimeError:  # the user has no home directory
        return None
    return folder / "linker" if folder.is_absolute() else None
