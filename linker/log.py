"""The names of log events, and the logging set-up that only the command line calls.

The command logs to stderr, as lines for people or as JSON. The library logs by its caller's structlog configuration,
or without one to the standard `logging.getLogger("linker")`; never to stdout.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Final, Literal, TextIO, cast

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


def configure(level: str, format: Literal["console", "json"]) -> None:
    """Log to stderr, one event per line, from `level` on: "debug", "info", "warning" or "error"."""
    import structlog  # imported where it is used: it imports rich, which slows down `linker --version`

    renderer: structlog.typing.Processor
    if format == "json":
        import orjson

        renderer = structlog.processors.JSONRenderer(
            serializer=lambda event, **_: harmless_json(orjson.dumps(event)).decode()
        )
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _harmless,  # older structlog renderers did not escape values
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Stderr())),
    )


def _harmless(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {key: harmless(value) if isinstance(value, str) else value for key, value in event.items()}


def is_json() -> bool:
    """Whether `configure` has set logging to JSON."""
    import structlog

    return isinstance(structlog.get_config()["processors"][-1], structlog.processors.JSONRenderer)


def tell(event: str, message: str, level: Literal["info", "error"] = "info") -> None:
    """Write a message of the command to stderr, whatever the log level: a plain line, or a JSON event."""
    if not is_json():
        print(harmless(message), file=_Stderr(), flush=True)
        return
    import structlog

    logger = structlog.wrap_logger(
        structlog.PrintLogger(cast("TextIO", _Stderr())), wrapper_class=structlog.make_filtering_bound_logger(0)
    )
    getattr(logger, level)(event, message=message)


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
