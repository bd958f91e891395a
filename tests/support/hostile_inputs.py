"""What is handed hostile inputs, and what must hold whatever they are: nothing is raised but linker's own errors, and
nothing is understood that a plain reading of the same bytes does not say.

Each surface takes the bytes of one input and what to draw by; an `AssertionError`, or whatever else escapes, is found.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from itertools import takewhile
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from linker.api.lists import Listing
from linker.batch.batch import Batch
from linker.errors import Error, ErrorType, UsageError
from linker.model.job import JobLine, LinkJob, Mode, Name
from linker.model.target import Target
from linker.records.table import parse_table
from linker.results.journal import journal_of, left_open
from linker.results.result import Result
from linker.results.resume import read_done
from linker.results.undo import UndoFile
from linker.sessions.token import Token
from linker.settings import Rate, Settings, base_url, is_loopback
from linker.sources import Columns, Entry, Reading, Rejection
from linker.sources.csv import read_table
from linker.sources.encoding import Text
from linker.sources.jsonl import read_jsonl
from linker.sources.opening import with_line_feeds
from linker.text import without_invisible
from support.dirty_files import check_lists, make

__all__ = ["SURFACES", "Surface", "assert_printable", "plainly"]

_PATH: Final = re.compile(r"/api/v1/[a-z_]+(/[A-Za-z0-9_-]+)*(\?[A-Za-z0-9_,=&]*)?")
_URL: Final = re.compile(r"https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~:-]+)*")
_MATCHES: Final = (None, None, None, "name", "salesforce_id")


@dataclass(frozen=True)
class Surface:
    """One place that reads foreign data. `check` gets a folder to write files to."""

    name: str
    seeds: Sequence[bytes]
    check: Callable[[bytes, random.Random, Path], Any]


def plainly(data: bytes) -> Any:
    """JSON as the standard library reads it, with numbers over 64 bits as floats; `ValueError` for what is none."""

    def whole(digits: str) -> int | float:
        return int(digits) if len(digits) < 25 and -(2**63) <= int(digits) < 2**64 else float(digits)

    try:
        return json.loads(data.decode(), parse_int=whole, parse_constant=lambda _: 1 / 0)
    except (RecursionError, ZeroDivisionError, OverflowError):
        raise ValueError from None


def assert_printable(text: str) -> None:
    """Check that a message has no effect on a terminal."""
    assert text.isprintable(), text


def assert_sound(entry: Entry) -> None:
    """Check that an entry can be shown, counted and, if it is a job, sent."""
    said = entry.value
    if isinstance(said, Rejection):
        assert Error(said.type, said.message).message.isprintable()
        assert Result.unread(0, entry, said).to_json().decode().isprintable()
        return
    assert said == LinkJob(said.id, said.links, said.kind, said.mode, said.key)
    if not isinstance(said.id, Name):  # else it is looked up first
        assert _PATH.fullmatch(f"/api/v1/{said.target.kind.plural}/{said.target.id}")
    if said.by_id is not None:
        batch = Batch(Mode.REPLACE)
        batch.add(0, entry.source, entry.line, said)
        ((desired, _),) = batch.desired_states()
        assert desired is not None
        assert desired.target == said.target
        (job,) = desired.jobs
        assert {field: list(ids) for field, ids in job.links.items()} == {f: list(i) for f, i in said.by_id.items()}
        assert Result.rejected(job, Error(ErrorType.CONFLICT, "")).to_json().decode().isprintable()


def _digits(value: Any) -> str:
    number = re.fullmatch(r"([0-9]+)(?:[.,]0+)?", _undressed(value))
    return (number[1] if number else _undressed(value)).lstrip("0") or "0"


def _undressed(value: Any) -> str:
    """A value without what spreadsheets put around it."""
    return re.sub(r"""\A(?:'|="(?=.*"\Z))|(?<!\A)"\Z""", "", without_invisible(str(value)).strip()).strip()


def _record(value: Any, match: str | None) -> str | tuple[str, str]:
    if isinstance(value, Name):
        value = value.written
    if isinstance(value, dict):
        ((field, text),) = value.items()
        return (field, without_invisible(str(text)).strip())
    return (match, without_invisible(str(value)).strip()) if match is not None else _digits(value)


def job_lines(data: bytes, rng: random.Random, _: Path) -> None:
    """Check that each line that is a job has an entry, and no job that its line does not say."""
    match = rng.choice(_MATCHES)
    entries = list(read_jsonl(Text(BytesIO(data)).stream, "jobs", Reading(match=match)))
    lines = with_line_feeds(Text(BytesIO(data)).stream).read().split(b"\n")
    places = {entry.line for entry in entries}
    for number, line in enumerate(lines, start=1):
        assert number in places or not _is_job(line), line
    for entry in entries:
        assert_sound(entry)
        if isinstance(entry.value, LinkJob):
            rest = b"\n".join(lines[entry.line - 1 :])
            assert any(_says(said, entry.value, match) for said in _objects(rest, len(lines[entry.line - 1])))


def _is_job(line: bytes) -> bool:
    """Whether a line is certainly a job: an object that begins with a job's key and has those that it needs."""
    try:
        said = plainly(line)
    except ValueError:
        return False
    return isinstance(said, dict) and said.keys() >= {"id", "links"} and next(iter(said)) in JobLine.__struct_fields__


def _objects(text: bytes, within: int) -> Iterator[Any]:
    """The objects that begin within the first line of a text, whatever stands before and behind them."""
    key = rb'\{\s*"(?:id|kind|links|mode|key|[^"]*\\)'  # no other object is a job
    for start in takewhile(within.__gt__, (match.start() for match in re.finditer(key, text))):
        with suppress(ValueError, RecursionError):
            rest = text[start:].decode(errors="surrogateescape")
            _, end = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode(rest)
            yield plainly(rest[:end].encode(errors="surrogateescape"))


def _says(said: Any, job: LinkJob, match: str | None) -> bool:
    """Whether an object of a file asks for just what a job does."""
    try:
        id = said["id"] if isinstance(said["id"], dict) else _undressed(said["id"])
        if isinstance(id, str) and job.host is not None:
            if job.host not in id.lower():
                return False
            id = re.split("[?#]", id)[0].rstrip("/").rpartition("/")[2]
        asked = {field: {_record(each, match) for each in records} for field, records in said["links"].items()}
        if isinstance(id, dict):
            is_same = isinstance(job.id, Name) and _record(id, None) == _record(job.id, None)
        else:
            is_same = job.id == (_digits(id) if str(job.id).isdigit() else id.upper())
    except (KeyError, AttributeError, TypeError, ValueError):
        return False
    found = {field: {_record(each, None) for each in records} for field, records in job.links.items()}
    return is_same and asked == found and (job.key, job.mode or "") == (said.get("key"), _mode(said))


def _mode(said: dict[str, Any]) -> str:
    return without_invisible(said.get("mode") or "").strip().lower()


def tables(data: bytes, rng: random.Random, _: Path) -> None:
    """Check that no job has an id, a field or a name that the file does not have."""
    reading = Reading(empty_clears=rng.random() < 0.5, match=rng.choice(_MATCHES))
    columns = Columns({"id": "Ref", "record_names": "Account"}, {"field": "customers"}) if rng.random() < 0.2 else None
    try:
        entries = list(read_table(BytesIO(data), "table", reading, columns))
    except UsageError as error:
        assert_printable(str(error))
        return
    text = without_invisible(data.decode(errors="replace"))
    numbers = {_digits(each) for each in re.findall("[0-9]+", text)}
    for entry in entries:
        assert_sound(entry)
        if isinstance(entry.value, LinkJob):
            job = entry.value
            assert str(job.id) in numbers or str(job.id) in text.upper()
            for field, records in job.links.items():
                assert field in text or columns is not None
                for each in records:
                    if isinstance(each, Name):
                        name = without_invisible(each.value)
                        assert name in text or name.replace('"', '""') in text
                    else:
                        assert each in numbers


def settings(data: bytes, rng: random.Random, folder: Path) -> None:
    """Check that any option, environment or columns file gives settings or a `UsageError`."""
    text = data.decode(errors="surrogateescape")
    try:
        _SETTINGS[rng.randrange(len(_SETTINGS))](text, folder)
    except UsageError as error:
        assert_printable(str(error))


def _settings(**given: Any) -> None:
    made = Settings(**{"base_url": "https://company.aha.io"} | given)
    assert made == Settings(
        base_url=made.base_url, **{name: getattr(made, name) for name in given if name != "base_url"}
    )
    assert made.least_s(1000) >= 0


def _url(account: str | None, url: str | None) -> None:
    made = base_url(account, url)
    assert _URL.fullmatch(made), made
    assert base_url(None, made) == made
    parts = urlsplit(made)
    assert parts.hostname is not None
    assert "@" not in made
    assert not {".", ".."} & set(parts.path.split("/"))
    if parts.scheme == "http" and not is_loopback(made):
        try:
            Settings(base_url=made)
        except UsageError:
            return
        raise AssertionError(made)


def _token(text: str, _: Path) -> None:
    token = Token(text)
    token.check()
    assert text.strip() in token.authorization
    assert token.authorization.isascii()
    assert token.authorization.isprintable()


def _columns(text: str, folder: Path) -> None:
    file = folder / "columns.toml"
    file.write_bytes(text.encode(errors="surrogateescape"))
    Columns.parse([], [], file)


def _listing(text: str, _: Path) -> None:
    listing = Listing.parse(text)
    assert _PATH.fullmatch(listing.page(1).path)


def _table(text: str, _: Path) -> None:
    assert _PATH.fullmatch(parse_table(text)[1].page(1).path)


_SETTINGS: Final[Sequence[Callable[[str, Path], object]]] = (
    lambda text, _: _url(None, text),
    lambda text, _: _url(text, None),
    lambda text, _: Rate.parse(text),
    lambda text, _: _settings(rate=text),
    lambda text, _: _settings(base_url=text),
    lambda text, _: _settings(table=text),
    lambda text, _: _settings(match=text),
    lambda text, _: _settings(mode=text),
    lambda text, _: _settings(proxy=text),
    lambda text, _: Columns.parse(text.split("\n"), []),
    lambda text, _: Columns.parse(["id=x"], text.split("\n")),
    _columns,
    _listing,
    _table,
    _token,
)


async def kept_files(data: bytes, rng: random.Random, folder: Path) -> None:
    """Check that damaged results and journals are read or refused, without invalid ids."""
    results = folder / "links.results.jsonl"
    if rng.random() < 0.3:
        results.write_bytes(b"")
        journal_of(results).write_bytes(data)
    else:
        results.write_bytes(data)
        journal_of(results).unlink(missing_ok=True)
    for target in left_open(journal_of(results)):
        assert _PATH.fullmatch(f"/api/v1/{target.kind.plural}/{target.id}")
    try:
        read_done(results).failed(Target.parse("PRJ1-1"))
    except UsageError as error:
        assert_printable(str(error))
    try:
        async for entries in UndoFile(results).entries(Reading()):
            for entry in entries:
                assert_sound(entry)
    except UsageError as error:
        assert_printable(str(error))


def _lines(*values: Mapping[str, Any]) -> bytes:
    return b"".join(json.dumps(value, ensure_ascii=False).encode() + b"\n" for value in values)


_JOB: Final[dict[str, Any]] = {"kind": "feature", "id": "PRJ1-1", "links": {"customers": ["640362830", 8397122]}}
_TOLD: Final = {"status": "linked", "before": {"customers": []}, "after": {"customers": ["1"]}, "change": 0}
_DELTA: Final = {"customers": {"added": ["1"], "removed": ["2"]}}
_RESULT: Final = {"job": 0, "line": 1, "source": "x", "key": {"a": [1]}, "mode": "add"} | _JOB | _TOLD
_MADE: Final = {"changes": _DELTA, "error": None, "created": {"customers": {"Acme": "3"}}, "run": 1}
_SECOND: Final = {key: value for key, value in _RESULT.items() if key not in ("before", "after")} | {"error": None}
_INTENT: Final = {
    "target": {"kind": "feature", "id": "PRJ1-1"},
    "put": {"customers": ["1"]},
    "before": {"customers": ["2"]},
}

SURFACES: Final = (
    Surface(
        "job lines",
        [
            _lines(_JOB),
            _lines(_JOB | {"mode": "add", "key": {"row": [1, None, "é"]}}, {"id": "PRJ1-R-1", "links": {"a": []}}),
            _lines({"id": 131414752, "kind": "product", "links": {"customers": [{"name": "Acme Corp"}, "1"]}}),
            _lines(_JOB | {"id": "PRJ1-1-2", "kind": "requirement"})[:-1],
            _lines(_JOB | {"id": "https://company.aha.io/features/PRJ1-1?tab=links"}),
            json.dumps([_JOB, _JOB | {"key": "x"}], indent=2).encode(),
            b"[" + _lines(_JOB, _JOB).replace(b"\n", b",\n"),
            json.dumps(_JOB).encode() * 2 + b"\n\x1e" + json.dumps(_JOB, indent=0).encode("utf-8-sig") + b"\n",
            _lines(_JOB, _JOB | {"id": "PRJ1-2"}).replace(b"\n", b"\r"),
            json.dumps(_JOB).encode("utf-16"),
        ],
        job_lines,
    ),
    Surface(
        "tables",
        [
            b"kind,id,field,record_ids,mode,key\nfeature,PRJ1-1,customers,640362830;136661093,add,7\n,PRJ1-2,customers,1,,\n",
            b'id;field;record_names\r\nPRJ1-1;customers;"Acme; \'Zane\r\nLtd"\r\n',
            b'\xef\xbb\xbfid\tfield\trecord_ids\trecord_names\nPRJ1-1\tcustomers\t1\t"A ""B"" C"\n',
            b"Ref,Account,Other\nPRJ1-1|PRJ1-2,'=Acme,x\n",
        ],
        tables,
    ),
    Surface(
        "settings",
        [
            *(
                b"https://company.aha.io",
                b"http://127.0.0.1:8765/api/v1",
                b"https://[::1]:443/a",
                b"company",
                b"300/60s",
            ),
            *(b"customers=PRJ1/customers", b"name", b"replace", b"http://user:pw@proxy:3128", b"id=Aha Ref\nfield=F"),
            *(b'[columns]\nid = "Aha Ref"\nrecord_names = "Name"\n[set]\nfield = "customers"\n', b"0123456789abcdef"),
            *(
                b"feature:PRJ1",
                b"record:PRJ1/customers",
                b"requirement:PRJ1-1",
                b"20/1.5",
                b"field=customers\nkind=feature",
            ),
        ],
        settings,
    ),
    Surface(
        "results and journals",
        [
            _lines(_RESULT | _MADE),
            _lines(
                _RESULT | _MADE, _SECOND | {"run": 1}, _RESULT | {"changes": None, "change": 1}, _SECOND | {"change": 1}
            ),
            _lines(_RESULT | {"status": "failed", "changes": None, "error": {"type": "timeout", "retryable": True}}),
            _lines(
                {"process": 1}, {"intent": _INTENT}, {"done": [_INTENT["target"]]}, {"intent": _INTENT | {"held": {}}}
            ),
        ],
        kept_files,
    ),
    Surface("lists", [b""], lambda data, rng, folder: check_lists(make(rng))),
)
