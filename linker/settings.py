"""Every knob, once: its default and why that is the default."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal, Self, cast
from urllib.parse import urlsplit

from linker.disk.lines import Durability
from linker.disk.state import state_dir
from linker.errors import InvalidJob, UsageError
from linker.model.job import Mode, is_field, parse_mode

_RATE = re.compile(r"(?P<requests>[0-9]{1,9})/(?P<seconds>[0-9]{1,9}(?:\.[0-9]{1,9})?)s?")
_ROUNDING: Final = 1e-9  # a part that is whole but for rounding is whole
_HOST = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
_PATH = re.compile(r"(/(?!\.\.?(/|\Z))[A-Za-z0-9._~:-]+)*")  # with no `..`, and nothing that is encoded
_ACCOUNT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `requests` in any `seconds`."""

    requests: int
    seconds: float

    def __post_init__(self) -> None:
        if self.requests < 1 or not 0 < self.seconds < float("inf"):
            raise UsageError(f"rate {self} allows nothing; write it as 300/60s: requests / seconds")

    def __str__(self) -> str:
        return f"{self.requests}/{self.seconds:g}s"

    def part(self, share: float) -> Rate:
        """So much of it, but one request at least."""
        return Rate(max(1, int(self.requests * share + _ROUNDING)), self.seconds)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The rate that `300/60s` says. Raises `UsageError` where it says none."""
        match = _RATE.fullmatch(text.strip())
        if match is None:
            raise UsageError(f"rate {text!r} is not understood; write it as 300/60s: requests / seconds")
        return cls(int(match["requests"]), float(match["seconds"]))


PACE_ALONE: Final = 0.6
"""Of the shortest rate's even pace, where nobody else is at the account: what waiting for places loses is made up."""

# What Aha! allows an account, whoever its clients are (the vendor's API page).
DEFAULT_RATES: Final = (Rate(300, 60.0), Rate(20, 1.0))


_OF_RUN: Final = {"of_run": True}
"""A setting that belongs to a run; all others belong to the account and hold for each of its runs."""

_BOUNDS: Final[tuple[tuple[tuple[str, ...], Callable[[Any], bool], str], ...]] = (
    (("concurrency", "attempts", "refusals", "queue_size", "limit"), lambda value: value >= 1, "1 or more"),
    (
        ("connect_timeout_s", "read_timeout_s", "timeout_s", "backoff_base_s", "backoff_cap_s"),
        lambda value: value > 0,
        "more than 0",
    ),
    (("max_age", "max_wait"), lambda value: value >= 0, "0 or more seconds"),
    (("max_removals",), lambda value: value >= 0, "0 or more"),
    (("share",), lambda value: 0 < value <= 1, "more than 0 and at most 1"),
    (("pace",), lambda value: value in ("burst", "even"), "burst or even"),
    (("durability",), lambda value: value in ("flush", "fsync"), "flush or fsync"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a run goes by; the names are those of the command line. `mode="add"` and `rate=["300/60s"]` will do.

    Raises:
        UsageError: a value that no run could go by.
    """

    base_url: str
    """Scheme, host and port of the account, without a path's last slash; see `base_url()`."""

    mode: Mode = field(default=Mode.REPLACE, metadata=_OF_RUN)
    """What a job does that does not say; `replace` is what the API itself does."""

    empty_clears: bool = field(default=False, metadata=_OF_RUN)
    """An empty `record_ids` cell clears the field. Off: an empty column must not clear ten thousand lists."""

    match: str | None = field(default=None, metadata=_OF_RUN)
    """The field of their table by which records are told, instead of by their ids; None: `name`, where one is given."""

    table: tuple[str, ...] = field(default=(), metadata=_OF_RUN)
    """The table that a field links to, `customers=PRJ1/customers`; several for one field are read as one."""

    create_missing: bool = field(default=False, metadata=_OF_RUN)
    """Create the records whose names the table does not have. Off: a slip of the pen would become a record."""

    preflight: bool = field(default=True, metadata=_OF_RUN)
    """Look at the field definitions first: what is no link field is rejected instead of being sent in vain."""

    no_mail: bool = field(default=False, metadata=_OF_RUN)
    """Ask Aha! with each write not to mail the watchers (`disable_mailers=true`)."""

    blind: bool = field(default=False, metadata=_OF_RUN)
    """Write without reading first. Off: what is already so costs no PUT, and each result shows its `before`."""

    max_age: float = field(default=60.0, metadata=_OF_RUN)
    """Seconds: how old what was read may be when it is written; older, it is read again first."""

    max_removals: int | None = field(default=None, metadata=_OF_RUN)
    """Links that a run may take away; None: the larger of 100 and half of the links read so far."""

    yes: bool = field(default=False, metadata=_OF_RUN)
    """Take away as many links as the files ask for."""

    limit: int | None = field(default=None, metadata=_OF_RUN)
    """Change so many targets only: a pilot."""

    mirror: tuple[str, str] | None = field(default=None, metadata=_OF_RUN)
    """Scope and field of which the batch is the whole truth: (`feature:PRJ1`, `customers`)."""

    rate: tuple[Rate, ...] = DEFAULT_RATES
    """Requests that may leave in a time; all of them hold at once."""

    share: float = 1.0
    """The part of each rate that is taken at most; the rest is left to others at the account."""

    pace: Literal["burst", "even"] = "burst"
    """`even` spreads the slowest rate too, 300/60s as one each 200 ms: kind to others at the account."""

    state_dir: Path | None = field(default_factory=state_dir)
    """Where linkers of this machine share what they know of an account's quota; None: this one goes by itself."""

    concurrency: int = 40
    """Connections in all: 20 requests a second at 2 s of latency keep 40 of them busy."""

    attempts: int = 6
    """How often one request is tried, the first included; with the backoff below, over about half a minute."""

    backoff_base_s: float = 0.5
    """Longest wait before the second try; it doubles with every further one (full jitter)."""

    backoff_cap_s: float = 30.0
    """Longest wait of all."""

    refusals: int = 20
    """How often one request may be answered 429 in a row. A refusal uses up no attempt, but not for ever."""

    max_wait: float = 600.0
    """Seconds: the longest `Retry-After`, and the longest outage, that is sat out; beyond it the run stops."""

    connect_timeout_s: float = 10.0
    """For the TCP and TLS handshakes."""

    read_timeout_s: float = 30.0
    """For the gap between two parts of an answer."""

    timeout_s: float = 30.0
    """For one try as a whole."""

    drain_s: float = 10.0
    """What requests under way get to end in when a run is stopped."""

    durability: Durability = field(default="fsync", metadata=_OF_RUN)
    """What results and journal survive once they are said to be on disk: `flush` the end of the process, `fsync` a
    loss of power."""

    queue_size: int = 1000
    """Targets in work at once, those that wait for a retry included: a minute of them at 20 a second is 1,200."""

    proxy: str | None = field(default=None, repr=False)  # may hold a password
    """URL of an HTTP proxy, which hands TLS through. The command takes it from HTTPS_PROXY; the library reads no
    environment."""

    insecure_http: bool = False
    """Send the token in clear to an `http://` account that is not this machine itself."""

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "mode", parse_mode(self.mode) or Mode.REPLACE)
        except InvalidJob as error:
            raise UsageError(str(error)) from None
        written = cast("Rate | str | tuple[Rate | str, ...]", self.rate)
        several = (written,) if isinstance(written, Rate | str) else written
        rates = tuple(Rate.parse(rate) if isinstance(rate, str) else rate for rate in several)
        object.__setattr__(self, "rate", rates)
        object.__setattr__(self, "table", _tables(self.table))
        if self.match is not None and not is_field(self.match):
            raise UsageError(f"match {self.match!r} is no field of a custom table; is it `name`, or a CRM's own id?")
        for names, is_fit, what in _BOUNDS:
            for name in names:
                value = getattr(self, name)
                if value is not None and not is_fit(value):
                    raise UsageError(f"{name} must be {what}, not {value!r}")
        object.__setattr__(self, "base_url", base_url(None, self.base_url))
        if self.proxy is not None and not _is_http(self.proxy):
            raise UsageError("the proxy must be an HTTP proxy: http://HOST:PORT")
        if self.base_url.startswith("http:"):
            _check_clear(self.base_url, insecure=self.insecure_http, proxied=self.proxy is not None)

    @property
    def parts(self) -> tuple[Rate, ...]:
        """What is taken of each rate at most."""
        return tuple(rate.part(self.share) for rate in self.rate)

    def least_s(self, requests: float) -> float:
        """Seconds that so many requests take at the least."""
        shortest = min((rate.seconds for rate in self.parts), default=0.0)
        least_s = 0.0
        for rate in self.parts:
            windows = requests / rate.requests
            if self.pace == "burst":  # the first window's are let through at once, by the shortest rate at its pace
                windows = max(windows - 1, windows * PACE_ALONE if rate.seconds == shortest else 0.0)
            least_s = max(least_s, rate.seconds * windows)
        return least_s


RUN_OPTIONS: Final = frozenset(field.name for field in fields(Settings) if field.metadata == _OF_RUN)
"""The settings that a run may have differently from its account."""


def _tables(table: str | Iterable[str] | Mapping[str, str]) -> tuple[str, ...]:
    if isinstance(table, Mapping):
        return tuple(f"{field}={place}" for field, place in table.items())
    return (table,) if isinstance(table, str) else tuple(table)


def _is_http(url: str) -> bool:
    """Whether it is an HTTP URL with a host; what it is otherwise is not told, for it may hold a password."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _check_clear(url: str, *, insecure: bool, proxied: bool) -> None:
    """Raise `UsageError` where what is sent without TLS would be read by somebody else than the account."""
    if proxied:
        raise UsageError(
            f"{url} by way of a proxy, which would read the token: use https://, or NO_PROXY for that host"
        )
    if not (insecure or is_loopback(url)):
        raise UsageError(f"{url} would get the token in clear: use https://, or --insecure-http if that is meant")


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine itself, by its name or its address (RFC 6890; RFC 6761, 6.3)."""
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host in ("localhost", "localhost.")
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _host(name: str) -> str:
    """A host as it stands in a URL; empty where it is none."""
    if ":" not in name:
        return name if len(name) <= 253 and _HOST.fullmatch(name) else ""
    try:
        return f"[{ipaddress.IPv6Address(name)}]" if "%" not in name else ""
    except ValueError:
        return ""


def base_url(account: str | None, url: str | None) -> str:
    """Where the account is: `https://ACCOUNT.aha.io`, or any other base (a sandbox, a proxy's).

    Raises:
        UsageError: neither is given, or one that cannot be meant.
    """
    if url:
        try:
            parts = urlsplit(url.strip())
            port = parts.port
        except ValueError:
            raise UsageError("the URL must be like https://company.aha.io") from None
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise UsageError("the URL may hold no user, password, query or fragment; the token goes in AHA_TOKEN")
        host = _host(parts.hostname or "")
        path = parts.path.rstrip("/")
        while path.endswith("/api/v1"):
            path = path.removesuffix("/api/v1").rstrip("/")
        if parts.scheme not in ("http", "https") or not host or port == 0 or not _PATH.fullmatch(path):
            raise UsageError("the URL must be like https://company.aha.io")
        return f"{parts.scheme}://{host}{'' if port is None else f':{port}'}{path}"
    if not account:
        raise UsageError("which account? Give --account NAME (or AHA_ACCOUNT), the NAME of https://NAME.aha.io")
    if not _ACCOUNT.fullmatch(account.strip()):
        raise UsageError(f"account {account!r} is no subdomain; give the NAME of https://NAME.aha.io, or --url")
    return f"https://{account.strip().lower()}.aha.io"
