"""Reads a results file into `Result`s, each with the `before`, `after` and `changes` of its whole change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import orjson

from linker.batch.change import FieldChange
from linker.errors import Error, InvalidJob, UsageError
from linker.model.job import Name
from linker.results.effects import KEYS, Effects
from linker.results.result import Result, Status
from linker.text import encodable, quoted


class _Line(msgspec.Struct, kw_only=True):
    job: int
    line: int | None
    source: str | None
    key: Any
    kind: str | None
    id: str | None
    mode: str | None
    links: dict[str, list[str | dict[str, str]]] | None
    status: Status
    before: dict[str, list[str]] | None = None
    after: dict[str, list[str]] | None = None
    change: int | None
    changes: dict[str, FieldChange] | None = None
    http_status: int | None
    attempts: int
    error: Error | None
    finished_at: str
    elapsed_ms: float
    created: dict[str, dict[str, str]] | None = None


def read_results(path: str | Path) -> Iterator[Result]:
    """Yield the results of a results file in the order of its lines. After a resume, the last result of a job counts.

    Raises:
        UsageError: from the iteration: the file cannot be read, or a line is not one of a results file.

    Example:
        >>> failed = [result for result in linker.read_results("links.results.jsonl") if result.error is not None]
    """
    path, name = Path(path), encodable(str(path))
    try:
        effects = Effects(path)
        with path.open("rb") as stream:
            for number, text in enumerate(stream, start=1):
                if not text.isspace():
                    yield _result(text, effects, f"{name} line {number}")
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror}") from None


def _result(text: bytes, effects: Effects, place: str) -> Result:
    try:
        return _parsed(orjson.loads(text), effects)
    except (orjson.JSONDecodeError, msgspec.MsgspecError, KeyError, TypeError, AttributeError, InvalidJob) as error:
        why = f"key {quoted(error.args[0])} is missing" if isinstance(error, KeyError) else error
        raise UsageError(f"{place}: this is not a line of a results file: {why}") from None


def _parsed(line: dict[str, Any], effects: Effects) -> Result:
    shared = effects.find(line) if line.keys().isdisjoint(KEYS) else None
    parsed = msgspec.convert(line, _Line)
    fields = msgspec.structs.asdict(parsed)
    fields["links"] = _links(parsed.links)
    if shared is not None:
        fields |= {"before": shared.before, "after": shared.after, "changes": shared.changes}
    return Result(**fields)


def _links(links: Mapping[str, list[str | dict[str, str]]] | None) -> dict[str, list[str | Name]] | None:
    """The links of a line, with names as `Name`s."""
    if links is None:
        return None
    return {field: [id if isinstance(id, str) else Name.parse(id) for id in ids] for field, ids in links.items()}
