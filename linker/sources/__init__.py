"""Where jobs come from: files, standard input, iterables; each line becomes one entry that knows its place."""

from linker.sources.entry import Entry, Rejection
from linker.sources.files import JobFile
from linker.sources.iterables import JobIterable
from linker.sources.kinds import Jobs, Source, sources_of
from linker.sources.undo import UndoFile

__all__ = ["Entry", "JobFile", "JobIterable", "Jobs", "Rejection", "Source", "UndoFile", "sources_of"]
