"""The names of log events, and the logging set-up that only the command line calls.

The command logs to stderr, as lines for people or as JSON. The library logs by its caller's structlog configuration,
or without one to the standard `logging.getLogger("linker")`; never to stdout.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO, cast

from linker.text import harmless, harmless_json

if TYPE_CHECKING:
    import structlog


BATCH_READ: Final = "batch_read"
NO_ROWS: Final = "no_rows"
NOT_UTF8: Final = "not_utf8"
BROKEN_LINE: Final = "broken_line"
LEFT_OPEN: Final = "left_open"
MENDED: Final = "mended"
RESUMED: Final = "resumed"
RETRY: Final = "retry"
PAUSED: Final = "paused"
OUTAGE: Final = "outage"
OUTAGE_OVER: Final = "outage_over"
NO_OUTAGE: Final = "no_outage"
SMALLER_PAGES: Final = "smaller_pages"
GAVE_UP: Final = "gave_up"
NOT_SHARED: Final = "quota_not_shared"
QUOTA_ANEW: Final = "quota_begun_anew"
PAUSE_CUT: Final = "pause_cut"
OTHER_MACHINE: Final = "other_machine"
NO_PREFLIGHT: Final = "no_preflight"
TABLE_READ: Final = "table_read"
NAMES_UNKNOWN: Final = "names_unknown"
UNNAMED: Final = "records_without_a_name_of_their_own"
RECORD_CREATED: Final = "record_created"
RECORD_IN_DOUBT: Final = "record_in_doubt"
RECORD_DELETED: Final = "record_deletion"
OFF_LAYOUT: Final = "off_layout"
NO_LINKS_SEEN: Final = "no_links_seen"
OTHER_ANSWER: Final = "other_answer"
OTHER_LIMIT: Final = "other_limit"
STOPPING: Final = "stopping"


class _Stderr:
    """Writes to the current `sys.stderr`: a progress bar replaces it while it moves."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


class Copy:
    """Copies events to a log file, and lets those below the level of stderr end there.

    Args:
        append: writes a line to the file.
        level: the level from which on events are copied.
        stderr_level: the level from which on events go to stderr.
        lost: called with the error if a line cannot be written; then nothing more is copied.
    """

    def __init__(
        self, append: Callable[[bytes], object], level: str, stderr_level: str, lost: Callable[[OSError], None]
    ) -> None:
        self._append: Callable[[bytes], object] | None = append
        self._levels = logging.getLevelNamesMapping()
        self._least = self._levels[level.upper()]
        self._stderr_least = self._levels[stderr_level.upper()]
        self._lost = lost
        self.render: structlog.typing.Processor | None = None

    @property
    def least(self) -> str:
        """The lower one of the two levels."""
        return logging.getLevelName(min(self._least, self._stderr_least)).lower()

    def __call__(self, logger: Any, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        import structlog

        level = self._levels[str(event["level"]).upper()]
        if level >= self._least:
            self.write(event)
        if level < self._stderr_least:
            raise structlog.DropEvent
        return event

    def write(self, event: structlog.typing.EventDict) -> None:
        """Write an event, whatever its level. An error of the disk never reaches the run."""
        assert self.render is not None
        if self._append is None:
            return
        try:
            self._append(f"{self.render(None, '', dict(event))!s}\n".encode(errors="replace"))
        except OSError as error:
            self._append = None
            self._lost(error)


def configure(level: str, format: Literal["console", "json"], copy: Copy | None = None) -> None:
    """Log to stderr, one event per line, from `level` on: "debug", "info", "warning" or "error".

    Args:
        copy: where events go besides, such as to a log file; then its levels count, not `level`.
    """
    import structlog  # imported where it is used: it imports rich, which slows down `linker --version`

    renderer = _renderer(format, colours=sys.stderr.isatty())
    if copy is not None:
        copy.render, level = _renderer(format, colours=False), copy.least
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _harmless,  # older structlog renderers did not escape values
            *([copy] if copy is not None else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Stderr())),
    )


def _renderer(format: Literal["console", "json"], *, colours: bool) -> structlog.typing.Processor:
    import structlog

    if format == "json":
        import orjson

        return structlog.processors.JSONRenderer(
            serializer=lambda event, **_: harmless_json(orjson.dumps(event)).decode()
        )
    return structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback)


def _harmless(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {key: harmless(value) if isinstance(value, str) else value for key, value in event.items()}


def is_json() -> bool:
    """Whether `configure` has set logging to JSON."""
    import structlog

    return isinstance(structlog.get_config()["processors"][-1], structlog.processors.JSONRenderer)


def tell(event: str, message: str, level: Literal["info", "error"] = "info") -> None:
    """Write a message of the command to stderr, whatever the log level: a plain line, or a JSON event."""
    _copy(event, harmless(message), level)
    if not is_json():
        print(harmless(message), file=_Stderr(), flush=True)
        return
    import structlog

    logger = structlog.wrap_logger(
        structlog.PrintLogger(cast("TextIO", _Stderr())), wrapper_class=structlog.make_filtering_bound_logger(0)
    )
    getattr(logger, level)(event, message=message)


def _copy(event: str, message: str, level: str) -> None:
    """Write a message of the command to the log file, if there is one."""
    import structlog

    for processor in structlog.get_config()["processors"]:
        if isinstance(processor, Copy):
            stamped = structlog.processors.TimeStamper(fmt="iso", utc=True)(None, level, {"level": level})
            text = {"event": event, "message": message} if is_json() else {"event": message}
            processor.write({**stamped, **text})


def get_logger() -> structlog.typing.FilteringBoundLogger:
    """The logger of a run: structlog's if it is configured, else the standard library's."""
    import structlog

    if structlog.is_configured():
        return structlog.get_logger("linker")  # type: ignore[no-any-return]
    return structlog.wrap_logger(  # type: ignore[no-any-return]
        logging.getLogger("linker"),
        processors=[structlog.stdlib.filter_by_level, structlog.processors.KeyValueRenderer(key_order=["event"])],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
