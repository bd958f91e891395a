"""Addresses copied from the browser: of the pages of targets, and for the account."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.runs import ACME, ZANE, eager, lines_of, results_of

from linker import ErrorType, Kind, Linker, LinkJob, Status, UsageError
from linker.sandbox import Sandbox
from linker.settings import base_url

LINKS = {"customers": [ACME]}


async def test_addresses_of_the_account_are_linked_and_others_rejected(sandbox: Sandbox, tmp_path: Path) -> None:
    """One target however it is named; an address of another account sends nothing, and no half of its list."""
    jobs: list[LinkJob | dict[str, Any]] = [
        {"id": f"{sandbox.url}/features/PRJ1-1", "links": LINKS},
        LinkJob(f"{sandbox.url}/api/v1/features/prj1-1/?tab=x", {"customers": [ZANE]}),
        {"id": f"{sandbox.url}/ideas/ideas/PRJ1-I-2", "links": LINKS},
        {"id": "https://other.aha.io/epics/PRJ1-E-1", "links": LINKS},
        {"id": "PRJ1-E-1", "links": {"customers": [ZANE]}},
    ]
    async with eager(sandbox) as aha:
        results = await results_of(aha.run(jobs, tmp_path / "results.jsonl"))
        first, second, idea, other, half = sorted(results, key=lambda result: result.job)
        assert (first.id, second.id, first.change) == ("PRJ1-1", "PRJ1-1", second.change)
        assert {first.status, second.status, idea.status} == {Status.LINKED}
        assert other.error is not None
        assert half.error is not None
        assert (other.error.type, half.error.type) == (ErrorType.INVALID_JOB, ErrorType.INCOMPLETE)
        assert f"other.aha.io, but this run is for {sandbox.url.removeprefix('http://')}" in other.error.message
        assert sandbox.account.links(Kind.FEATURE, "PRJ1-1")["customers"] == [ZANE, ACME]
        assert sandbox.account.links(Kind.EPIC, "PRJ1-E-1")["customers"] == []
        again = [
            {"id": "PRJ1-1", "links": LINKS},
            {"id": f"{sandbox.url}/features/PRJ1-1", "links": {"customers": [ZANE]}},
        ]
        puts = sandbox.stats.methods["PUT"]
        await results_of(aha.run(again, tmp_path / "results.jsonl", resume=True))
        assert sandbox.stats.methods["PUT"] == puts
    assert {line["id"] for line in lines_of(tmp_path / "results.jsonl")} == {"PRJ1-1", "PRJ1-I-2", "PRJ1-E-1"}


@given(
    name=st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9-]{0,20}[A-Za-z0-9])?", fullmatch=True),
    start=st.sampled_from(["", "https://", "http://", "HTTPS://"]),
    end=st.sampled_from(["", "/", ":443", "/features/PRJ1-1", "/api/v1", "?a=b", "#x", "/products/PRJ1/x?y=@z#"]),
)
def test_an_account_is_a_name_a_host_or_an_address(name: str, start: str, end: str) -> None:
    """All of them are the same account, which is reached by TLS."""
    url = f"https://{name.lower()}.aha.io"
    assert base_url(name, None) == url
    assert base_url(f" {start}{name}.Aha.io{end} ", None) == url
    assert repr(Linker(f"{start}{name}.aha.io{end}", "token")) == f"<Linker {url}>"


@pytest.mark.parametrize(
    "account",
    [
        "company.aha.io.evil.example",
        "https://company.aha.io.evil.example/",
        "https://evil.example/company.aha.io",
        "https://evil.example/https://company.aha.io",
        "https://evil.example#.aha.io",
        "https://evil.example?.aha.io",
        "company.ahaxio",
        "evil-aha.io",
        "notaha.io",
        "aha.io",
        "https://company",
        "//company.aha.io",
        "ftp://company.aha.io",
        "javascript://company.aha.io",
        "company.ideas.aha.io",
        "-company.aha.io",
        "company-.aha.io",
        "company.aha.io:8443",
        "company.aha.io\\.evil.example",
        "company.aha.io/\nevil",
        "cömpany.aha.io",
        "company．aha．io",
    ],
)
def test_a_look_alike_is_no_account(account: str) -> None:
    """The token goes to no other host; the message says what to give instead."""
    with pytest.raises(UsageError, match=r"is not a subdomain; give the NAME in https://NAME.aha.io, or use --url"):
        base_url(account, None)


@pytest.mark.parametrize(
    "account", ["https://me:hunter2@company.aha.io", "me:hunter2@company.aha.io", "company.aha.io@x"]
)
def test_a_password_in_an_account_is_not_repeated(account: str) -> None:
    """What stands before an @ may be secret, and what stands behind it is the host."""
    with pytest.raises(UsageError, match="user name or a password; give only the NAME") as caught:
        base_url(account, None)
    assert "hunter2" not in str(caught.value)


@given(st.text())
def test_any_account_is_a_name_at_aha_or_an_error(text: str) -> None:
    """Whatever is given."""
    try:
        url = base_url(text, None)
    except UsageError:
        return
    assert url.endswith(".aha.io")
    assert url.removeprefix("https://").removesuffix(".aha.io").replace("-", "").isalnum()
