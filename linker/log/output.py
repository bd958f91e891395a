"""Sets logging up for the command line, which alone calls `configure`, and finds the logger of a run.

The command logs to stderr, as sentences for people or as JSON. The library logs by its caller's structlog
configuration, or without one to the standard `logging.getLogger("linker")`; never to stdout.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO, cast

from linker.log.sentences import sentence
from linker.text import harmless, harmless_json

if TYPE_CHECKING:
    import structlog


_COLORS: Final = {"warning": "33", "error": "31", "critical": "31"}
"""Levels that a line for people names, and the colour of the word: yellow or red (ECMA-48, 8.3.117)."""

_APART: Final = ("event", "level", "timestamp", "exc_info")


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
        renderer = _line
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _harmless,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Stderr())),
    )


def _line(_: object, __: str, event: structlog.typing.EventDict) -> str:
    """Return a line for people: the local time, the level of a warning or an error, and the sentence."""
    level = event.get("level")
    keys = {key: value for key, value in event.items() if key not in _APART}
    at = _local_time(event.get("timestamp"))
    if level not in _COLORS:
        return f"{at} {sentence(str(event['event']), keys)}"
    word = f"\x1b[{_COLORS[level]}m{level}\x1b[0m" if sys.stderr.isatty() else level
    return f"{at} {word}: {sentence(str(event['event']), keys)}"


def _harmless(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {key: harmless(value) if isinstance(value, str) else value for key, value in event.items()}


def _local_time(timestamp: Any) -> str:
    at = datetime.fromisoformat(timestamp) if isinstance(timestamp, str) else datetime.now(UTC)
    return f"{at.astimezone():%H:%M:%S}"


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
