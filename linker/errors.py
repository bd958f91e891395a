"""The exceptions of linker, in one tree.

    LinkerError                 every error that linker raises on purpose
    ├─ UsageError               the command, a setting or a whole file is wrong; nothing was sent  (exit 2)
    │  ├─ NoRows                the input has no rows, or fewer than asked for
    │  ├─ ResultsExist          the results file exists already
    │  └─ Unreachable           the account was never reached in this run, and trying again would not help
    ├─ InvalidJob               one job is invalid; in a run it becomes a rejected result
    ├─ Stopped                  the run ended early; what was done is in the results  (exit 3)
    │  ├─ Unauthorized          the account did not accept the token
    │  ├─ ResultsUnwritable     the results could not be written (the disk is full)
    │  ├─ InputChanged          a job file was changed after it was read
    │  ├─ OutOfDescriptors      this process may open no more files or connections
    │  ├─ ExportFailed          a list or target of the account could not be read
    │  └─ GuardStopped          the guard stopped the run; exit 2 if nothing was written
    │     └─ TooManyRemovals    it would remove more links than allowed
    └─ RequestFailed            one try of one request got no answer; handled by linker/retry
       ├─ ConnectionFailed      refused, reset or cut short, or no such host
       ├─ TimedOut              no answer in time
       └─ BadAnswer             an answer that is not from Aha!

The outcome of a *job* is never an exception but a `Result`, whose `Error.type` is one of `ErrorType`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import msgspec

from linker.text import harmless


class LinkerError(Exception):
    """An error that linker raises on purpose; its message is one printable line for the user."""

    def __init__(self, message: str = "") -> None:
        super().__init__(harmless(message))


class UsageError(LinkerError):
    """The command, a setting or a whole file is wrong; nothing was sent."""


class NoRows(UsageError):
    """The input of a mirror has no rows, or an input has fewer than `min_rows`: it is most likely incomplete."""


class ResultsExist(UsageError):
    """The results file exists already, and a run would overwrite it."""


class Unreachable(UsageError):
    """The account never answered in this run, and trying again would not help.

    The host does not exist or refuses connections, its certificate is not trusted, or another server answers.
    """


class InvalidJob(LinkerError, ValueError):
    """A job that cannot be sent.

    Args:
        fault: what is wrong and what to do; the message is `part` and `fault`.
        part: the key of the job that is wrong, such as `id` or `links.customers`; empty for the job as a whole.
    """

    def __init__(self, fault: str = "", part: str = "") -> None:
        self.fault = fault
        self.part = part
        super().__init__(self.at(part))

    def at(self, place: str) -> str:
        """Return the message with another name for the wrong part, such as the column of a table."""
        if not place:
            return self.fault
        is_predicate = self.fault.startswith(("is ", "must "))
        is_value = (
            place == self.part and "." not in place and not self.fault[:1].isalpha()
        )  # id "PRJ1 1" is not a reference
        return f"{place} {self.fault}" if is_predicate or is_value else f"{place}: {self.fault}"


class Stopped(LinkerError):
    """The run ended before its last job; what was done is in the results."""


class Unauthorized(Stopped):
    """The account did not accept the token (401)."""


class ResultsUnwritable(Stopped):
    """The results could not be written, so nothing more is sent."""


class InputChanged(Stopped):
    """A job file was changed after it was read."""


class OutOfDescriptors(Stopped):
    """This process may open no more files or connections."""


class ExportFailed(Stopped):
    """A list of the account, or a target in it, could not be read; the export is incomplete."""


class GuardStopped(Stopped):
    """The guard stopped the run before it removed links. `written`: some links were written before that."""

    def __init__(self, why: str, *, written: bool, do: str) -> None:
        done = "what was written can be undone with: linker undo RESULTS" if written else "nothing was written"
        super().__init__(f"{why}; {done}. {do}")
        self.written = written


class TooManyRemovals(GuardStopped):
    """The run would remove more links than allowed.

    Args:
        removals: links that would be removed.
        read: links that were read so far.
        budget: links that may be removed.
        written: some links were written before the run stopped.
    """

    def __init__(self, removals: int, read: int, budget: int, *, written: bool) -> None:
        super().__init__(
            f"the run would remove {removals:,} of the {read:,} links read so far, but may remove at most {budget:,}",
            written=written,
            do="To remove them anyway, add --yes or --max-removals N",
        )
        self.removals = removals
        self.read = read
        self.budget = budget


class ErrorType(StrEnum):
    """The type of a result's error; these words do not change."""

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


class Error(msgspec.Struct, frozen=True, gc=False):
    """Why a job failed or was rejected, in one line. `retryable`: the same job may succeed later."""

    type: ErrorType
    message: str
    retryable: bool = False

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "message", harmless(self.message))


class RequestFailed(LinkerError):
    """One try of one request that got no answer from Aha!.

    `sent_at` is the loop time at which it left. `was_sent` is False if none of it did, so that it did not arrive.
    `advice` tells the user what to check if the next try will most likely fail too. `later_advice` tells it for a
    failure that may pass; it is shown only if the account never answers.
    """

    type: ErrorType
    sent_at: float | None = None
    was_sent = True
    advice: str | None = None
    later_advice: str | None = None


class ConnectionFailed(RequestFailed):
    """Refused, reset or cut short, or no such host.

    `is_lasting`: somebody must act before another try can succeed, such as for a certificate that is not trusted.
    """

    type = ErrorType.CONNECTION
    is_lasting = False


class TimedOut(RequestFailed):
    """No answer in time. `suspended`: this process was not running meanwhile, so the try does not count."""

    type = ErrorType.TIMEOUT
    suspended = False


class BadAnswer(RequestFailed):
    """An answer that is not from Aha!: a proxy's page, or half a body. `status` is its HTTP status; None if unknown.

    `is_foreign`: it is a page, so that most likely another server answers in place of the account. `retry_after_s` are
    the seconds for which a body that is not JSON asks to wait; None if it does not.
    """

    type = ErrorType.BAD_ANSWER
    is_foreign = False
    retry_after_s: float | None = None

    def __init__(self, message: str = "", status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

    @property
    def is_taken(self) -> bool:
        """Whether the request was answered with a status from 200 to 299, so that it may have been carried out."""
        return self.status is not None and 200 <= self.status < 300


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
