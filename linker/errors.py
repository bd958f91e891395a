"""What can go wrong, as one tree.

    LinkerError                 whatever linker raises on purpose
    ├─ UsageError               the command, its settings or a file as a whole: nothing was sent  (exit 2)
    │  └─ ResultsExist          the results file is there already
    ├─ InvalidJob               one job: becomes a rejected result in a run
    ├─ Stopped                  the run ended early, what is done is in the results  (exit 3)
    │  ├─ Unauthorized          the account did not take the token
    │  ├─ ResultsUnwritable     the results could not be written (a full disk)
    │  ├─ InputChanged          a job file is no more what it was when it was read
    │  ├─ OutOfDescriptors      no more files or connections can be opened here
    │  ├─ ExportFailed          a list of the account could not be read to its end
    │  └─ TooManyRemovals       the guard: more links would go than may without a word
    └─ RequestFailed            one try of one request had no answer; the retry stage's business
       ├─ ConnectionFailed      refused, reset, cut short, no such host
       ├─ TimedOut              no answer in time
       └─ BadAnswer             an answer that is not one of Aha!'s

What becomes of a *job* is never an exception but a `Result`, whose `Error.type` is one of `ErrorType`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import msgspec

from linker.text import harmless

__all__ = [
    "BadAnswer",
    "ConnectionFailed",
    "Error",
    "ErrorType",
    "ExportFailed",
    "InputChanged",
    "InvalidJob",
    "LinkerError",
    "OutOfDescriptors",
    "RequestFailed",
    "ResultsExist",
    "ResultsUnwritable",
    "Stopped",
    "TimedOut",
    "TooManyRemovals",
    "Unauthorized",
    "UsageError",
    "ungrouped",
]


class LinkerError(Exception):
    """Whatever linker raises on purpose; the message is meant for the user, in one line that can be printed."""

    def __init__(self, message: str = "") -> None:
        super().__init__(harmless(message))


class UsageError(LinkerError):
    """The command, its settings or a file as a whole is wrong; nothing was sent."""


class ResultsExist(UsageError):
    """The results file is there already, and a run would have to write over it."""


class InvalidJob(LinkerError, ValueError):
    """A job that cannot be sent as it is."""


class Stopped(LinkerError):
    """The run ended before its last job; what was done is in the results."""


class Unauthorized(Stopped):
    """The account did not take the token (401)."""


class ResultsUnwritable(Stopped):
    """The results could not be written, so nothing more is sent."""


class InputChanged(Stopped):
    """A job file is no more what it was when it was read."""


class OutOfDescriptors(Stopped):
    """This process may open no more files or connections."""


class ExportFailed(Stopped):
    """A list of the account, or a target in it, could not be read; what was exported is not all there is."""


class TooManyRemovals(Stopped):
    """More links would be taken away than may be without a word. `written`: some links had been written by then."""

    def __init__(self, removals: int, read: int, budget: int, *, written: bool) -> None:
        done = "all that was written can be undone" if written else "nothing was written"
        super().__init__(
            f"{removals:,} of the {read:,} links read so far would be removed, more than the {budget:,} that may be; "
            f"{done}. If that is meant, say --yes or --max-removals N"
        )
        self.removals = removals
        self.read = read
        self.budget = budget
        self.written = written


class ErrorType(StrEnum):
    """The stable word that a result's error goes by."""

    INVALID_JOB = "invalid_job"
    CONFLICT = "conflict"
    INCOMPLETE = "incomplete"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    INVALID_VALUE = "invalid_value"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    CONNECTION = "connection"
    TIMEOUT = "timeout"
    BAD_ANSWER = "bad_answer"
    NOT_APPLIED = "not_applied"
    UNKNOWN_FIELD = "unknown_field"
    UNKNOWN_RECORD = "unknown_record"


class Error(msgspec.Struct, frozen=True):
    """Why a job failed or was rejected, in one line. `retryable`: the same job may well succeed later."""

    type: ErrorType
    message: str
    retryable: bool = False

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "message", harmless(self.message))


class RequestFailed(LinkerError):
    """One try of one request that brought no answer of Aha!'s; `sent_at` (loop time) is when it left."""

    type: ErrorType
    sent_at: float | None = None


class ConnectionFailed(RequestFailed):
    """Refused, reset or cut short, or no such host."""

    type = ErrorType.CONNECTION


class TimedOut(RequestFailed):
    """No answer within the settings' time. `suspended`: this process did not run meanwhile; it counts for nothing."""

    type = ErrorType.TIMEOUT
    suspended = False


class BadAnswer(RequestFailed):
    """An answer that is no JSON of Aha!'s: a proxy's page, half a body."""

    type = ErrorType.BAD_ANSWER


@contextmanager
def ungrouped() -> Iterator[None]:
    """Raise the one error that matters instead of the `ExceptionGroup` in which a `TaskGroup` raises it.

    That is the first `LinkerError` in the group, or else the group's only error. A group of several other errors is
    raised as it is.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        errors = list(_members(group))
        ours = [error for error in errors if isinstance(error, LinkerError)]
        if ours or len(errors) == 1:
            raise (ours or errors)[0] from None
        raise


def _members(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _members(error)
        else:
            yield error
