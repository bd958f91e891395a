"""One account has one URL, one rate limit and one `account` in its results, however its address is written."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.disk.boot import this_boot
from linker.model.address import host_of
from linker.ratelimit.storage import state_file
from linker.settings import Settings, base_url

NAMES = st.sampled_from(["company", "other", "a-b", "x1"])
HOSTS = st.one_of(
    NAMES.map(lambda name: f"{name}.aha.io"),
    NAMES.map(lambda name: f"{name}.example"),
    st.just("127.0.0.1"),
    st.sampled_from(["::1", "fe80::1", "2001:db8::8"]),
)
ACCOUNTS = st.tuples(
    st.sampled_from(["http", "https"]),
    HOSTS,
    st.sampled_from([None, 80, 443, 8443]),
    st.sampled_from(["", "/aha", "/aha/Prod"]),
)
Account = tuple[str, str, int | None, str]


@st.composite
def spellings(draw: st.DrawFn, account: Account) -> str:
    """One of the ways in which the address of an account may be written."""
    scheme, host, port, path = account
    if ":" in host:
        long = ipaddress.IPv6Address(host)
        host = f"[{draw(st.sampled_from([host, long.exploded, long.exploded.upper()]))}]"
    else:
        host = "".join(draw(st.sampled_from([letter.lower(), letter.upper()])) for letter in host)
        host += draw(st.sampled_from(["", "."])) if not host[0].isdigit() else ""
    usual = {"http": 80, "https": 443}[scheme]
    port_ = "" if port is None else f":{port}"
    if port in (None, usual):
        port_ = draw(st.sampled_from(["", ":", f":{usual}", f":0{usual}"]))
    end = draw(st.sampled_from(["", "/", "//", "/api/v1", "/api/v1/", "/api/v1/api/v1//"]))
    return f"{draw(st.sampled_from([scheme, scheme.upper()]))}://{host}{port_}{path}{end}"


def file_of(url: str) -> Path:
    """The state file of an account by its URL."""
    return state_file(Path(), Settings(base_url=url, insecure_http=True).base_url, this_boot().name)


@given(ACCOUNTS, ACCOUNTS, st.data())
def test_an_account_has_one_url_and_one_state_file(one: Account, other: Account, data: st.DataObject) -> None:
    """All spellings of one account agree; two accounts never do."""
    first, second = (base_url(None, data.draw(spellings(one))) for _ in range(2))
    assert first == second == base_url(None, first)
    assert file_of(first) == file_of(second)
    assert host_of(data.draw(spellings(one))) == host_of(first)

    def meant(account: Account) -> tuple[str, str, int, str]:
        scheme, host, port, path = account
        return scheme, host, port or {"http": 80, "https": 443}[scheme], path

    third = base_url(None, data.draw(spellings(other)))
    assert (first == third) == (file_of(first) == file_of(third)) == (meant(one) == meant(other))


@pytest.mark.parametrize(
    "account",
    ["company", "COMPANY", "company.aha.io", "Company.aha.io.", "company.aha.io:443", "http://company.aha.io./x?y"],
)
def test_the_name_of_an_account_has_one_url_too(account: str) -> None:
    """As it does by --url."""
    assert base_url(account, None) == base_url(None, "https://Company.Aha.io.:443/api/v1/") == "https://company.aha.io"
