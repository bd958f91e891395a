"""The stages of a run, connected: read jobs, compare, guard, write, record results."""
