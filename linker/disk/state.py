"""Where linkers of one user on one machine keep what they share."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["state_dir"]


def state_dir() -> Path | None:
    """The user's state directory for linker (XDG Base Directory Specification); None where there is no user."""
    try:
        folder = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser()
    except RuntimeError:  # nobody's home
        return None
    return folder / "linker" if folder.is_absolute() else None
