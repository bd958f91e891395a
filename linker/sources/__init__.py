"""Where jobs come from: files, standard input, iterables; each line becomes one entry that knows its place."""

from linker.sources.columns import Columns
from linker.sources.entry import Entry, Reading, Rejection
from linker.sources.files import JobFile
from linker.sources.formula import as_text
from linker.sources.iterables import JobIterable
from linker.sources.kinds import Jobs, Source, sources_of
from linker.sources.undo import UndoFile

__all__ = [
    "Columns",
    "Entry",
    "JobFile",
    "JobIterable",
    "Jobs",
    "Reading",
    "Rejection",
    "Source",
    "UndoFile",
    "as_text",
    "sources_of",
]
