"""One target's way, without input or output."""
