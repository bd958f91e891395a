"""Where jobs come from: files, standard input and iterables, read line by line."""

from linker.sources.columns import Columns
from linker.sources.entry import Entry, Reading, Rejection
from linker.sources.files import JobFile
from linker.sources.formula import as_text
from linker.sources.iterables import JobIterable
from linker.sources.source import Source

__all__ = [
    "Columns",
    "Entry",
    "JobFile",
    "JobIterable",
    "Reading",
    "Rejection",
    "Source",
    "as_text",
]
