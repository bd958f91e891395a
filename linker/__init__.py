"""linker: custom table records linked to what they belong to in Aha!, batched, paced, and nothing lost.

async with linker.Linker(account="company", token=token) as aha:
    async for result in aha.run("links.csv", results="links.results.jsonl"):
        print(result.id, result.status)

summary = linker.link("links.csv", account="company", token=token)  # plain, blocking
"""

from linker._version import __version__
from linker.client import Linker, Run, link
from linker.errors import (
    Error,
    ErrorType,
    InvalidJob,
    LinkerError,
    ResultsExist,
    ResultsUnwritable,
    Stopped,
    Unauthorized,
    UsageError,
)
from linker.job import Kind, LinkJob, Mode, Target
from linker.results import Result, Status
from linker.settings import Rate, Settings
from linker.sources import JobFile
from linker.summary import Summary

__all__ = [
    "Error",
    "ErrorType",
    "InvalidJob",
    "JobFile",
    "Kind",
    "LinkJob",
    "Linker",
    "LinkerError",
    "Mode",
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
    "Unauthorized",
    "UsageError",
    "__version__",
    "link",
]
