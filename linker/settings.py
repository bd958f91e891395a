"""Every setting, its default, and why that is the default."""

from __future__ import annotations

import codecs
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
from linker.text import quoted

_NO_ENCODINGS: Final = ("idna", "punycode", "unicode-escape", "raw-unicode-escape", "utf-7")  # of no text file
_RATE = re.compile(r"(?P<requests>[0-9]{1,9})/(?P<seconds>[0-9]{1,9}(?:\.[0-9]{1,9})?)s?")
_ROUNDING: Final = 1e-9  # a product such as 0.29 * 100 is just below the whole number that it means
_HOST = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
_PATH = re.compile(r"(/(?!\.\.?(/|\Z))[A-Za-z0-9._~:-]+)*")  # without `.`, `..` and percent-encoding
_PORTS: Final = {"http": 80, "https": 443}
_NAME: Final = r"([A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)"
_ACCOUNT = re.compile(_NAME)
_ACCOUNT_ADDRESS = re.compile(rf"(?i:(?:https?://)?{_NAME}\.aha\.io\.?(?::443|:80)?)(?:[/?#]\S*)?")


_INVALID_URL: Final = "the URL is invalid; write it as https://company.aha.io"


@dataclass(frozen=True, slots=True)
class Rate:
    """A limit of `requests` in any period of `seconds`."""

    requests: int
    seconds: float

    def __post_init__(self) -> None:
        if self.requests < 1 or not 0 < self.seconds < float("inf"):
            raise UsageError(f"rate {self} allows no requests; write REQUESTS/SECONDS, such as 300/60s")

    def __str__(self) -> str:
        return f"{self.requests}/{self.seconds:g}s"

    def part(self, share: float) -> Rate:
        """Return this share of the rate, but at least one request."""
        return Rate(max(1, int(self.requests * share + _ROUNDING)), self.seconds)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a rate such as `300/60s`. Raises `UsageError` if it is not one."""
        match = _RATE.fullmatch(text.strip())
        if match is None:
            raise UsageError(f"rate {quoted(text)} is invalid; write REQUESTS/SECONDS, such as 300/60s")
        return cls(int(match["requests"]), float(match["seconds"]))


PACE_ALONE: Final = 0.6
"""Factor on the interval between requests if no other linker uses the account: shorter, to make up for lost time."""

# What Aha! allows all clients of an account together (source: Aha!'s API documentation).
DEFAULT_RATES: Final = (Rate(300, 60.0), Rate(20, 1.0))


_OF_RUN: Final = {"of_run": True}
"""Metadata of a setting that each run may choose; the others apply to all runs on the account."""

_BOUNDS: Final[tuple[tuple[tuple[str, ...], Callable[[Any], bool], str], ...]] = (
    (("concurrency", "attempts", "refusals", "queue_size", "limit"), lambda value: value >= 1, "1 or more"),
    (
        ("connect_timeout_s", "read_timeout_s", "timeout_s", "backoff_base_s", "backoff_cap_s"),
        lambda value: value > 0,
        "more than 0",
    ),
    (("max_age", "max_wait", "create_wait"), lambda value: value >= 0, "0 seconds or more"),
    (("max_removals", "min_rows"), lambda value: value >= 0, "0 or more"),
    (("share",), lambda value: 0 < value <= 1, "more than 0 and at most 1"),
    (("pace",), lambda value: value in ("burst", "even"), "burst or even"),
    (("durability",), lambda value: value in ("flush", "fsync"), "flush or fsync"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of an account and its runs, named as on the command line. `mode="add"` and `rate="300/60s"` work.

    Raises:
        UsageError: a value is invalid.
    """

    base_url: str
    """URL of the account, without a slash at the end; see `base_url()`."""

    mode: Mode = field(default=Mode.REPLACE, metadata=_OF_RUN)
    """Mode of jobs that do not set one. `replace`, because that is what the API itself does."""

    empty_clears: bool = field(default=False, metadata=_OF_RUN)
    """Let an empty `record_ids` cell clear the field. Off, because an empty column would clear every list."""

    encoding: str | None = field(default=None, metadata=_OF_RUN)
    """Encoding of job files, such as `cp1252`; None: UTF-8. A byte order mark in a file takes precedence."""

    match: str | None = field(default=None, metadata=_OF_RUN)
    """Field of the custom table to look up records by, such as `salesforce_id`; None: ids, and names by `name`."""

    table: tuple[str, ...] = field(default=(), metadata=_OF_RUN)
    """Tables that fields link to: `customers=PRJ1/customers`. Several tables of one field are searched as one."""

    name_field: tuple[str, ...] = field(default=(), metadata=_OF_RUN)
    """Keys of the fields that hold the names of records, `KEY` or `TABLE=KEY`. Default: the field labelled "Name"."""

    create_missing: bool = field(default=False, metadata=_OF_RUN)
    """Create a record for each name missing from its table. Off, because a typing error would become a record."""

    create_all: bool = field(default=False, metadata=_OF_RUN)
    """Create records for whatever names, also for `#N/A`, `NULL`, totals and ids; implies `create_missing`. Off."""

    create_wait: float = field(default=75.0, metadata=_OF_RUN)
    """Seconds to look for a record whose creation was not answered: after 3 %, 11 %, 40 % and all of them."""

    preflight: bool = field(default=True, metadata=_OF_RUN)
    """Read the field definitions first and reject jobs on fields that do not link to records. On: saves requests."""

    no_mail: bool = field(default=False, metadata=_OF_RUN)
    """Ask Aha! not to mail watchers of what is written (`disable_mailers=true`). Off: known from third parties only."""

    blind: bool = field(default=False, metadata=_OF_RUN)
    """Write without reading first. Off: a read saves the PUT if nothing differs, and gives results their `before`."""

    max_age: float = field(default=60.0, metadata=_OF_RUN)
    """Seconds for which a read may be used for a write; an older one is repeated, since others may have written."""

    max_removals: int | None = field(default=None, metadata=_OF_RUN)
    """Links that a run may remove; None: the larger of 100 and half of the links read so far, or in a mirror half."""

    yes: bool = field(default=False, metadata=_OF_RUN)
    """Remove any number of links without asking. Off, because a wrong file could empty an account."""

    limit: int | None = field(default=None, metadata=_OF_RUN)
    """Targets to change before the run ends, to try a batch on a few of them; None: all."""

    mirror: tuple[str, str] | None = field(default=None, metadata=_OF_RUN)
    """Scope and field, (`feature:PRJ1`, `customers`), to clear on targets that the batch does not name."""

    allow_empty: bool = field(default=False, metadata=_OF_RUN)
    """Let a source of a mirror have no rows. Off, because an export that failed may be an empty file."""

    allow_unreadable: bool = field(default=False, metadata=_OF_RUN)
    """Remove links by `replace` even if rows do not tell their target. Off: such a row may belong to any list."""

    min_rows: int | None = field(default=None, metadata=_OF_RUN)
    """Rows that the input must have, for jobs that nobody watches; None: any number."""

    account_unchecked: bool = field(default=False, metadata=_OF_RUN)
    """Resume results that name another account's address. Off: rows done there would be taken for done here."""

    rate: tuple[Rate, ...] = DEFAULT_RATES
    """Limits on the requests sent; each of them applies. The default is what Aha! allows."""

    share: float = 1.0
    """Share of each rate to use, 0 to 1; less than 1 leaves the rest to other clients of the account."""

    pace: Literal["burst", "even"] = "burst"
    """`even` spreads requests over the slowest rate too (300/60s: one per 200 ms); `burst` ends sooner."""

    state_dir: Path | None = field(default_factory=state_dir)
    """Folder through which linkers on this machine share an account's rate limit; None: this one does not share."""

    concurrency: int = 40
    """Most connections at once. 20 requests a second with 2 s of latency keep 40 busy."""

    attempts: int = 6
    """Most tries of one request, the first included. The five backoffs between 6 tries take at most 15.5 s."""

    backoff_base_s: float = 0.5
    """Longest wait in seconds before the second try; it doubles with each further try (full jitter)."""

    backoff_cap_s: float = 30.0
    """Longest backoff in seconds; a `Retry-After` adds to it."""

    refusals: int = 20
    """Most answers 429 to one request in a row. They do not count as attempts, so they need a limit of their own."""

    max_wait: float = 600.0
    """Longest `Retry-After`, or outage from its first failure, in seconds to wait for; beyond it the run stops."""

    connect_timeout_s: float = 10.0
    """Seconds for the TCP and TLS handshakes."""

    read_timeout_s: float = 30.0
    """Seconds between two parts of an answer; it matters only if shorter than `timeout_s`."""

    timeout_s: float = 30.0
    """Seconds for one try as a whole."""

    drain_s: float = 10.0
    """Seconds that requests in flight get to finish when a run is stopped."""

    durability: Durability = field(default="fsync", metadata=_OF_RUN)
    """What written results and the journal survive: `flush` the end of the process, `fsync` a loss of power too."""

    queue_size: int = 1000
    """Most targets in work at once, including those waiting for a retry: 50 s of work at 20 requests a second."""

    plain_requests: bool = False
    """Send by aiohttp's own client, if requests fail on an odd network. Off: each would take twice the CPU."""

    proxy: str | None = field(default=None, repr=False)  # may hold a password
    """URL of an HTTP proxy that tunnels TLS. The command reads HTTPS_PROXY; the library reads no environment."""

    insecure_http: bool = False
    """Allow sending the token unencrypted to an `http://` URL of another machine. Off: others could read it."""

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "mode", parse_mode(self.mode) or Mode.REPLACE)
        except InvalidJob as error:
            raise UsageError(str(error)) from None
        given = cast("Rate | str | tuple[Rate | str, ...]", self.rate)
        given = (given,) if isinstance(given, Rate | str) else given
        rates = tuple(Rate.parse(rate) if isinstance(rate, str) else rate for rate in given)
        object.__setattr__(self, "rate", rates)
        object.__setattr__(self, "create_missing", self.create_missing or self.create_all)
        object.__setattr__(self, "table", _tables(self.table))
        object.__setattr__(self, "name_field", _name_fields(self.name_field))
        if self.encoding is not None and not _is_encoding(self.encoding):
            raise UsageError(
                f"encoding {quoted(self.encoding)} is unknown; use a name such as cp1252, utf-16 or iso-8859-1"
            )
        if self.match is not None and not is_field(self.match):
            raise UsageError(
                f"match {quoted(self.match)} is not the key of a field; use name, or the field that holds your CRM's "
                "ids, such as salesforce_id"
            )
        for names, is_valid, expected in _BOUNDS:
            for name in names:
                value = getattr(self, name)
                if value is not None and not is_valid(value):
                    raise UsageError(f"{name} must be {expected}, not {quoted(value)}")
        object.__setattr__(self, "base_url", base_url(None, self.base_url))
        if self.proxy is not None and not _is_http(self.proxy):
            raise UsageError(
                "the proxy is not an HTTP proxy; set HTTPS_PROXY=http://HOST:PORT (SOCKS proxies are not supported)"
            )
        if self.base_url.startswith("http:"):
            _check_clear(self.base_url, insecure=self.insecure_http, proxied=self.proxy is not None)

    @property
    def parts(self) -> tuple[Rate, ...]:
        """The rates that this linker may use: each rate times `share`."""
        return tuple(rate.part(self.share) for rate in self.rate)

    def least_s(self, requests: float) -> float:
        """Return the shortest time in seconds in which the rates allow this number of requests."""
        shortest = min((rate.seconds for rate in self.parts), default=0.0)
        least_s = 0.0
        for rate in self.parts:
            windows = requests / rate.requests
            if self.pace == "burst":  # the first window opens full; only the shortest rate paces it
                windows = max(windows - 1, windows * PACE_ALONE if rate.seconds == shortest else 0.0)
            least_s = max(least_s, rate.seconds * windows)
        return least_s


RUN_OPTIONS: Final = frozenset(field.name for field in fields(Settings) if field.metadata == _OF_RUN)
"""Names of the settings that a run may override."""


def _is_encoding(name: str) -> bool:
    """Whether Python can read files in this encoding."""
    try:
        return "id,field\n".encode(name).decode(name) == "id,field\n" and codecs.lookup(name).name not in _NO_ENCODINGS
    except (LookupError, ValueError, TypeError):  # unknown, or made for bytes or for host names
        return False


def _tables(table: str | Iterable[str] | Mapping[str, str]) -> tuple[str, ...]:
    if isinstance(table, Mapping):
        return tuple(f"{field}={place}" for field, place in table.items())
    return (table,) if isinstance(table, str) else tuple(table)


def _name_fields(given: str | Iterable[str] | Mapping[str, str]) -> tuple[str, ...]:
    """Return the title fields in the form `KEY` or `TABLE=KEY`. Raises `UsageError` if one has another form."""
    texts = tuple("=".join(map(str.strip, text.split("="))) for text in _tables(given))
    for text in texts:
        parts = text.split("=")
        if len(parts) > 2 or not all(map(is_field, parts)):
            raise UsageError(
                f"name_field {quoted(text)} is invalid; write KEY for all tables, or TABLE=KEY for one, such as "
                "customers=customer_2_name"
            )
    tables = [text.rpartition("=")[0] for text in texts]
    if len(set(tables)) < len(tables):
        raise UsageError("name_field is given twice for the same table; give one KEY for each table")
    return texts


def _is_http(url: str) -> bool:
    """Whether it is an HTTP URL with a host. No error repeats the URL: it may contain a password."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _check_clear(url: str, *, insecure: bool, proxied: bool) -> None:
    """Raise `UsageError` if somebody other than the account could read what is sent without TLS."""
    if proxied:
        raise UsageError(
            f"{url} goes through a proxy, which could read your token; use https://, or put the host into NO_PROXY"
        )
    if not (insecure or is_loopback(url)):
        raise UsageError(f"{url} would send your token unencrypted; use https://, or allow it with --insecure-http")


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine, by name or address (RFC 6890; RFC 6761, 6.3)."""
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host in ("localhost", "localhost.")
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _host(name: str) -> str:
    """Return a host as written in a URL, in the one form that all its spellings have; empty if it is invalid."""
    if ":" not in name:
        return name.removesuffix(".") if len(name) <= 253 and _HOST.fullmatch(name) else ""
    try:
        return f"[{ipaddress.IPv6Address(name)}]" if "%" not in name else ""
    except ValueError:
        return ""


def base_url(account: str | None, url: str | None) -> str:
    """Return the URL of the account: `https://ACCOUNT.aha.io`, or `url` if given (a sandbox, a proxy).

    However an account's address is written, its URL is the same: in lower case, without the usual port, a dot at the
    end of the host or a slash at the end. The rate limit is shared, and results are kept apart, by this URL.

    Args:
        account: `company`, `company.aha.io`, or any address there, such as `https://company.aha.io/features/PRJ1-1`.

    Raises:
        UsageError: neither is given, or the one given is invalid.
    """
    if url:
        try:
            parts = urlsplit(url.strip())
            port = parts.port
        except ValueError:
            raise UsageError(_INVALID_URL) from None
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise UsageError(
                "the URL contains a user, password, query or fragment; remove that part (the token goes into AHA_TOKEN)"
            )
        host = _host(parts.hostname or "")
        path = parts.path.rstrip("/")
        while path.endswith("/api/v1"):
            path = path.removesuffix("/api/v1").rstrip("/")
        if parts.scheme not in ("http", "https") or not host or port == 0 or not _PATH.fullmatch(path):
            raise UsageError(_INVALID_URL)
        return f"{parts.scheme}://{host}{'' if port in (None, _PORTS[parts.scheme]) else f':{port}'}{path}"
    if not account:
        raise UsageError("no account given; add --account NAME (or set AHA_ACCOUNT), the NAME in https://NAME.aha.io")
    if match := _ACCOUNT.fullmatch(account.strip()) or _ACCOUNT_ADDRESS.fullmatch(account.strip()):
        return f"https://{match[1].lower()}.aha.io"
    if "@" in account:  # not repeated, because a password may stand before it
        raise UsageError("the account contains a user name or a password; give only the NAME in https://NAME.aha.io")
    raise UsageError(
        f"account {quoted(account)} is not a subdomain; give the NAME in https://NAME.aha.io, or use --url"
    )
