"""Sets logging up for the command line, which alone calls `configure`, and finds the logger of a run.

The command logs to stderr, as sentences for people or as JSON. The library logs by its caller's structlog
configuration, or without one to the standard `logging.getLogger("linker")`; never to stdout.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
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

    renderer = _renderer(format)
    if copy is not None:
        copy.render, level = _renderer(format, is_file=True), copy.least
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _harmless,
            *([copy] if copy is not None else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Stderr())),
    )


def _renderer(format: Literal["console", "json"], *, is_file: bool = False) -> structlog.typing.Processor:
    import structlog

    if format == "json":
        import orjson

        return structlog.processors.JSONRenderer(
            serializer=lambda event, **_: harmless_json(orjson.dumps(event)).decode()
        )
    return _line_of_file if is_file else _line


def _line(_: object, __: str, event: structlog.typing.EventDict) -> str:
    """Return a line for people: the local time, the level of a warning or an error, and the sentence."""
    return _sentence(event, colours=sys.stderr.isatty())


def _line_of_file(_: object, __: str, event: structlog.typing.EventDict) -> str:
    """Return a line of a log file for people: as on stderr, without colours, and with the date."""
    return f"{_local(event.get('timestamp')):%Y-%m-%d} {_sentence(event, colours=False)}"


def _sentence(event: structlog.typing.EventDict, *, colours: bool) -> str:
    level = event.get("level")
    keys = {key: value for key, value in event.items() if key not in _APART}
    at = f"{_local(event.get('timestamp')):%H:%M:%S}"
    if level not in _COLORS:
        return f"{at} {sentence(str(event['event']), keys)}"
    word = f"\x1b[{_COLORS[level]}m{level}\x1b[0m" if colours else level
    return f"{at} {word}: {sentence(str(event['event']), keys)}"


def _harmless(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {key: harmless(value) if isinstance(value, str) else value for key, value in event.items()}


def _local(timestamp: Any) -> datetime:
    at = datetime.fromisoformat(timestamp) if isinstance(timestamp, str) else datetime.now(UTC)
    return at.astimezone()


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
