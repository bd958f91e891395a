"""linker: custom table records linked to what they belong to in Aha!, batched, paced, and nothing lost.

async with linker.Linker(account="company", token=token) as aha:
    async for result in aha.run("links.csv", results="links.results.jsonl"):
        print(result.id, result.status)

summary = linker.link("links.csv", account="company", token=token)  # plain, blocking
"""

from linker._version import __version__
from linker.change import Change, FieldChange, Planned
from linker.client import Linker, link
from linker.errors import (
    Error,
    ErrorType,
    ExportFailed,
    InvalidJob,
    LinkerError,
    ResultsExist,
    ResultsUnwritable,
    Stopped,
    TooManyRemovals,
    Unauthorized,
    UsageError,
)
from linker.job import Kind, LinkJob, Mode, Target
from linker.plan import Plan
from linker.results import Result, Status
from linker.run import Run
from linker.settings import Rate, Settings
from linker.sources import JobFile, UndoFile
from linker.summary import Summary

__all__ = [
    "Change",
    "Error",
    "ErrorType",
    "ExportFailed",
    "FieldChange",
    "InvalidJob",
    "JobFile",
    "Kind",
    "LinkJob",
    "Linker",
    "LinkerError",
    "Mode",
    "Plan",
    "Planned",
    "Rate",
    "Result",
    "ResultsExist",
    "ResultsUnwritable",
    "Run",
    "Settings",
    "Status",
    "Stopped",
    "Summary",
    "Target",
    "TooManyRemovals",
    "Unauthorized",
    "UndoFile",
    "UsageError",
    "__version__",
    "link",
]
