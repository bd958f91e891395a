"""Many jobs become one change a target: pure."""
