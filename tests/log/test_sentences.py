"""The log for people: each event is a sentence in local time; JSON logs keep names and keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import structlog

from linker import log
from linker.log import events
from linker.log.sentences import SENTENCES, sentence

KEYS: dict[str, dict[str, Any]] = {
    "batch_read": {"jobs": 3000, "targets": 1},
    "no_rows": {"source": "links.csv"},
    "not_utf8": {"file": "links.csv", "line": 12, "advice": "add --encoding cp1252"},
    "broken_line": {"file": "links.results.jsonl.journal", "line": 7},
    "left_open": {"targets": 2, "journal": "links.results.jsonl.journal"},
    "mended": {"file": "links.results.jsonl", "torn_bytes": 30},
    "resumed": {"jobs_done": 1200, "left_open": 1},
    "retry": {"request": "PUT feature PRJ1-1 customers", "attempt": 1, "after_s": 0.52, "why": "503: Unavailable"},
    "paused": {"request": "GET feature PRJ1-1", "seconds": 12.0, "why": "429: Too Many Requests"},
    "outage": {"cause": "connection", "why": "no answer within 30 s", "most_s": 600.0},
    "outage_over": {"seconds": 45.3, "probes": 4},
    "no_outage": {"probes": 1, "why": "503: Unavailable"},
    "smaller_pages": {"request": "GET list of feature, page 1", "per_page": 100},
    "gave_up": {"request": "GET feature PRJ1-1", "error": "not_found", "message": "feature PRJ1-1 does not exist"},
    "quota_not_shared": {"file": "/state/x", "why": "Permission denied", "advice": "leave room with --share"},
    "quota_begun_anew": {"file": "/state/x", "why": "its content is damaged"},
    "pause_cut": {"file": "/state/x", "asked_s": 3600, "waits_s": 600.0},
    "other_machine": {"folder": "/state", "advice": "another machine uses this account too"},
    "no_preflight": {"why": "403: Forbidden"},
    "table_read": {"table": "PRJ1/customers", "field": "name", "records": 102},
    "names_unknown": {"why": "of the first 100 names, none has a record in PRJ1/customers"},
    "records_without_a_name_of_their_own": {"records": 3},
    "record_created": {"table": "PRJ1/customers", "name": "Acme", "id": "7"},
    "record_in_doubt": {"table": "PRJ1/customers", "name": "Acme", "why": "no answer within 30 s"},
    "record_deletion": {"id": "7", "ending": "deleted", "why": ""},
    "off_layout": {"field": "customers", "kind": "feature", "in_a_row": 10},
    "no_links_seen": {"list": "feature:PRJ1", "targets": 200},
    "other_answer": {"request": "GET feature PRJ1-1", "why": "it is about feature PRJ2-1"},
    "other_limit": {"account_says": 3000, "remaining": 2999, "why": "the account allows 3,000 requests a minute"},
    "plain_requests": {"aiohttp": "3.15.0", "lacking": "ResponseHandler.read"},
    "stopping": {"under_way": 40, "drain_s": 10.0},
}
"""The keys of each event, as linker logs them."""

EVENTS = [value for name, value in vars(events).items() if name.isupper()]


@pytest.fixture(autouse=True)
def unconfigured() -> Iterator[None]:
    """Each test ends with structlog as it was."""
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize("event", EVENTS)
def test_each_event_has_a_sentence(event: str) -> None:
    """It reads without snake case, and does not fall back to the event's name."""
    says = sentence(event, KEYS[event])
    assert SENTENCES[event](KEYS[event]) == says
    assert event.replace("_", " ") + ":" not in says
    assert not re.search(r"[a-z]_[a-z]", says)
    assert "None" not in says


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ("retry", "writing feature PRJ1-1 customers failed (503: Unavailable); trying again in 0.52 s"),
        ("outage", "the account is not answering (no answer within 30 s); linker keeps trying for up to 10 min"),
        ("batch_read", "read 3,000 rows for 1 target"),
        ("record_deletion", "deleted record 7"),
        ("stopping", "stopping; requests in flight for 40 targets have 10 s to finish"),
    ],
)
def test_a_sentence_gives_numbers_with_their_unit(event: str, says: str) -> None:
    """Seconds, minutes, and counts with singular and plural."""
    assert sentence(event, KEYS[event]) == says


def test_whatever_has_no_sentence_is_readable() -> None:
    """An unknown event, and a known one that lacks a key or has it in another type."""
    assert sentence("new_event", {"some_key": 3, "why": "so"}) == "new event: some key 3, why so"
    assert sentence("new_event", {}) == "new event"
    assert sentence("no_rows", {"file": "x"}) == "no rows: file x"
    assert sentence("batch_read", {"jobs": "many", "targets": 3}) == "batch read: jobs many, targets 3"


def test_a_line_for_people_has_local_time_and_a_level_word(capsys: pytest.CaptureFixture[str]) -> None:
    """Only warnings and errors name their level, and what others wrote cannot move the cursor."""
    log.configure("info", "console")
    log.get_logger().info(log.TABLE_READ, **KEYS["table_read"])
    log.get_logger().warning(log.NO_ROWS, source="a\x1b[2Jb.csv")
    first, second = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d read 102 records of the table PRJ1/customers", first)
    assert re.fullmatch(r"\d\d:\d\d:\d\d warning: a\\x1b\[2Jb\.csv has no rows", second)


def test_json_keeps_the_names_and_the_keys(capsys: pytest.CaptureFixture[str]) -> None:
    """Each line is one object with the event, its keys, the level, and the time in UTC."""
    log.configure("info", "json")
    for event, keys in KEYS.items():
        log.get_logger().warning(event, **keys)
    for line, (event, keys) in zip(capsys.readouterr().err.splitlines(), KEYS.items(), strict=True):
        parsed = orjson.loads(line)
        assert parsed.pop("timestamp").endswith("Z")
        assert parsed == {"event": event, "level": "warning", **keys}
