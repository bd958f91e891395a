"""Says in a sentence what a log event says in keys, for people. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from linker.log import events
from linker.text import quoted

Keys: TypeAlias = Mapping[str, Any]

_METHODS: Final = {"GET": "reading", "PUT": "writing", "POST": "creating", "DELETE": "deleting"}


def sentence(event: str, keys: Keys) -> str:
    """Return the sentence of an event; of an unknown one, or one without its keys, the event and its keys as text."""
    says = SENTENCES.get(event)
    if says is not None:
        try:
            return says(keys)
        except (KeyError, TypeError, ValueError):  # a key is missing or of another type: what there is must be shown
            pass
    words = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in keys.items())
    return f"{event.replace('_', ' ')}: {words}" if words else event.replace("_", " ")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _seconds(seconds: float) -> str:
    """A time for people: `0.5 s`, `45 s` or `10 min`."""
    if seconds >= 120:
        return f"{seconds / 60:,.0f} min"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def _doing(request: str) -> str:
    """What a request does: `writing feature PRJ1-1 customers` for `PUT feature PRJ1-1 customers`."""
    method, _, rest = request.partition(" ")
    return f"{_METHODS[method]} {rest}" if method in _METHODS and rest else request


def _resumed(keys: Keys) -> str:
    done = f"continuing the earlier run: {_count(keys['jobs_done'], 'row')} already done"
    if not keys["left_open"]:
        return done
    return f"{done}; linker checks whether {_count(keys['left_open'], 'unconfirmed write')} arrived"


def _retry(keys: Keys) -> str:
    return f"{_doing(keys['request'])} failed ({keys['why']}); trying again in {_seconds(keys['after_s'])}"


def _paused(keys: Keys) -> str:
    why = f" ({keys['why']})" if "why" in keys else ""
    return f"all requests wait {_seconds(keys['seconds'])}, because the account asks for it{why}"


_OUTAGES: Final = {
    "unauthorized": "the account rejects your token",
    "forbidden": "the account refuses all requests",
    "blocked": "a firewall or proxy blocks all requests",
}


def _outage(keys: Keys) -> str:
    what = _OUTAGES.get(keys["cause"], "the account is not answering")
    return f"{what} ({keys['why']}); linker keeps trying for up to {_seconds(keys['most_s'])}"


def _created(keys: Keys) -> str:
    name = f" {quoted(keys['name'])}" if "name" in keys else ""
    return f"created the record{name} in {keys['table']}; its id is {keys['id']}"


def _in_doubt(keys: Keys) -> str:
    return (
        f"the account did not confirm that it created the record {quoted(keys['name'])} in {keys['table']} "
        f"({keys['why']}); linker looks for it"
    )


def _deleted(keys: Keys) -> str:
    if keys["ending"] == "deleted":
        return f"deleted record {keys['id']}"
    return str(keys["why"]) or f"record {keys['id']} does not exist any more"


SENTENCES: Final[Mapping[str, Callable[[Keys], str]]] = {
    events.BATCH_READ: lambda keys: f"read {_count(keys['jobs'], 'row')} for {_count(keys['targets'], 'target')}",
    events.NO_ROWS: lambda keys: f"{keys['source']} has no rows",
    events.NOT_UTF8: lambda keys: f"{keys['file']} line {keys['line']:,} is not UTF-8; {keys['advice']}",
    events.BROKEN_LINE: lambda keys: f"{keys['file']} line {keys['line']:,} is damaged; linker skips it",
    events.LEFT_OPEN: lambda keys: (
        f"linker does not know whether the last write to {_count(keys['targets'], 'target')} arrived; continue with "
        f"--resume ({keys['journal']} keeps them)"
    ),
    events.MENDED: lambda keys: (
        f"{keys['file']} ended within a line; linker removed its last {_count(keys['torn_bytes'], 'byte')}"
    ),
    events.RESUMED: _resumed,
    events.RETRY: _retry,
    events.PAUSED: _paused,
    events.OUTAGE: _outage,
    events.OUTAGE_OVER: lambda keys: f"the account answers again after {_seconds(keys['seconds'])}",
    events.NO_OUTAGE: lambda keys: f"the account answers; only some requests fail ({keys['why']})",
    events.SMALLER_PAGES: lambda keys: (
        f"{_doing(keys['request'])} takes too long; linker now reads {keys['per_page']:,} items a page"
    ),
    events.GAVE_UP: lambda keys: f"{_doing(keys['request'])} failed: {keys['message']}",
    events.NOT_SHARED: lambda keys: (
        f"linker cannot share the rate limit with other runs ({keys['file']}: {keys['why']}); {keys['advice']}"
    ),
    events.QUOTA_ANEW: lambda keys: (
        f"linker starts counting requests from zero, because {keys['file']} is unusable ({keys['why']})"
    ),
    events.PAUSE_CUT: lambda keys: (
        f"another run asked all runs to wait {_seconds(keys['asked_s'])}; this run waits at most "
        f"{_seconds(keys['waits_s'])} ({keys['file']})"
    ),
    events.OTHER_MACHINE: lambda keys: str(keys["advice"]),
    events.NO_PREFLIGHT: lambda keys: f"linker cannot check the names of fields in advance ({keys['why']})",
    events.TABLE_READ: lambda keys: f"read {_count(keys['records'], 'record')} of the table {keys['table']}",
    events.NAMES_UNKNOWN: lambda keys: str(keys["why"]),
    events.UNNAMED: lambda keys: (
        f"{_count(keys['records'], 'record')} written by id, because the name is not unique or cannot be used"
    ),
    events.RECORD_CREATED: _created,
    events.RECORD_IN_DOUBT: _in_doubt,
    events.RECORD_DELETED: _deleted,
    events.OFF_LAYOUT: lambda keys: (
        f"the last {_count(keys['in_a_row'], keys['kind'].replace('_', ' '))} ignored the field {keys['field']}; it is "
        "probably not on the layout of their workspace: add it there"
    ),
    events.NO_LINKS_SEEN: lambda keys: (
        f"the list of {keys['list']} shows no links for {_count(keys['targets'], 'target')}; they may have none, or "
        "your token may not see them"
    ),
    events.OTHER_ANSWER: lambda keys: (
        f"{_doing(keys['request'])}: linker accepts an answer that does not fit, because the account repeated it "
        f"({keys['why']})"
    ),
    events.OTHER_LIMIT: lambda keys: str(keys["why"]),
    events.PLAIN_REQUESTS: lambda keys: (
        f"requests cost more CPU than they need to, because aiohttp {keys['aiohttp']} has no {keys['lacking']}; "
        "a newer linker may know this version of aiohttp"
    ),
    events.STOPPING: lambda keys: (
        f"stopping; requests in flight for {_count(keys['under_way'], 'target')} have {_seconds(keys['drain_s'])} "
        "to finish"
    ),
}
"""The sentence of each event, from its keys."""
