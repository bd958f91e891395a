"""linker links records of Aha! custom tables to features, products and more, as fast as the account allows.

async with linker.Linker(account="company", token=token) as aha:
    async for result in aha.run("links.csv", results="links.results.jsonl"):
        print(result.id, result.status)

summary = linker.link("links.csv", account="company", token=token)  # the same, blocking
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from linker._version import __version__

if TYPE_CHECKING:
    from linker.batch.change import Change, FieldChange
    from linker.client.check import Check
    from linker.client.linker import Linker, link
    from linker.client.plan import Plan
    from linker.client.run import Run
    from linker.errors import (
        Error,
        ErrorType,
        ExportFailed,
        GuardStopped,
        InputChanged,
        InvalidJob,
        LinkerError,
        NoRows,
        OutOfDescriptors,
        ResultsExist,
        ResultsUnwritable,
        Stopped,
        TooManyRemovals,
        Unauthorized,
        Unreachable,
        UsageError,
    )
    from linker.model.job import LinkJob, Mode, Name
    from linker.model.target import Kind, Target
    from linker.records.delete import Deletion
    from linker.results.read import read_results
    from linker.results.result import Planned, Result, Status
    from linker.results.summary import Summary
    from linker.results.undo import UndoFile
    from linker.settings import Rate, Settings
    from linker.sources import Columns, JobFile

__all__ = [
    "Change",
    "Check",
    "Columns",
    "Deletion",
    "Error",
    "ErrorType",
    "ExportFailed",
    "FieldChange",
    "GuardStopped",
    "InputChanged",
    "InvalidJob",
    "JobFile",
    "Kind",
    "LinkJob",
    "Linker",
    "LinkerError",
    "Mode",
    "Name",
    "NoRows",
    "OutOfDescriptors",
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
    "Unreachable",
    "UsageError",
    "__version__",
    "link",
    "read_results",
]

_WHERE: Final = {
    "Change": "linker.batch.change",
    "FieldChange": "linker.batch.change",
    "Planned": "linker.results.result",
    "Check": "linker.client.check",
    "Linker": "linker.client.linker",
    "link": "linker.client.linker",
    "Error": "linker.errors",
    "ErrorType": "linker.errors",
    "ExportFailed": "linker.errors",
    "GuardStopped": "linker.errors",
    "InputChanged": "linker.errors",
    "OutOfDescriptors": "linker.errors",
    "InvalidJob": "linker.errors",
    "LinkerError": "linker.errors",
    "NoRows": "linker.errors",
    "ResultsExist": "linker.errors",
    "ResultsUnwritable": "linker.errors",
    "Stopped": "linker.errors",
    "TooManyRemovals": "linker.errors",
    "Unauthorized": "linker.errors",
    "Unreachable": "linker.errors",
    "UsageError": "linker.errors",
    "Kind": "linker.model.target",
    "LinkJob": "linker.model.job",
    "Mode": "linker.model.job",
    "Name": "linker.model.job",
    "Target": "linker.model.target",
    "Plan": "linker.client.plan",
    "Deletion": "linker.records.delete",
    "Result": "linker.results.result",
    "Status": "linker.results.result",
    "Run": "linker.client.run",
    "Rate": "linker.settings",
    "Settings": "linker.settings",
    "Columns": "linker.sources",
    "JobFile": "linker.sources",
    "UndoFile": "linker.results.undo",
    "Summary": "linker.results.summary",
    "read_results": "linker.results.read",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562): aiohttp alone takes a tenth of a second."""
    if name not in _WHERE:
        raise AttributeError(f"module 'linker' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_WHERE[name]), name)
    return value


def __dir__() -> list[str]:
    return __all__
