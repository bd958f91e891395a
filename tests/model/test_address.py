"""Addresses of pages in Aha! as the ids of jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker import InvalidJob, Kind, LinkJob, Target
from linker.model.address import Address, host_of, is_address, shown

OPENAPI = Path(__file__).parents[3] / "shared" / "aha" / "openapi.json"
LINKS = {"customers": ["640362830"]}

PAGES = {
    "products/PRJ1": Target(Kind.PRODUCT, "PRJ1"),
    "projects/PRJ1": Target(Kind.PRODUCT, "PRJ1"),
    "releases/PRJ1-R-1": Target(Kind.RELEASE, "PRJ1-R-1"),
    "master_releases/PRJ1-MR-1": Target(Kind.RELEASE, "PRJ1-MR-1"),
    "features/PRJ1-1": Target(Kind.FEATURE, "PRJ1-1"),
    "features/1007868956": Target(Kind.FEATURE, "1007868956"),
    "requirements/PRJ1-1-1": Target(Kind.REQUIREMENT, "PRJ1-1-1"),
    "ideas/PRJ1-I-1": Target(Kind.IDEA, "PRJ1-I-1"),
    "ideas/ideas/PRJ1-I-1": Target(Kind.IDEA, "PRJ1-I-1"),
    "initiatives/PRJ1-S-1": Target(Kind.INITIATIVE, "PRJ1-S-1"),
    "goals/DEMOENT-G-1": Target(Kind.GOAL, "DEMOENT-G-1"),
    "strategic_imperatives/DEMOENT-G-1": Target(Kind.GOAL, "DEMOENT-G-1"),
    "epics/PRJ1-E-1": Target(Kind.EPIC, "PRJ1-E-1"),
    "master_features/PRJ1-E-1": Target(Kind.EPIC, "PRJ1-E-1"),
    "custom_object_records/7036045937940797544": Target(Kind.CUSTOM_OBJECT_RECORD, "7036045937940797544"),
    "idea_organizations/ACCOUNT-O-1": Target(Kind.IDEA_ORGANIZATION, "ACCOUNT-O-1"),
    "ideas/idea_organizations/138732915": Target(Kind.IDEA_ORGANIZATION, "138732915"),
}


def why_not(id: str, kind: str | None = None) -> str:
    """Why this is no job."""
    with pytest.raises(InvalidJob) as caught:
        LinkJob(id, LINKS, kind)
    return str(caught.value)


def test_every_kind_has_an_address() -> None:
    """So the test below leaves none out."""
    assert {target.kind for target in PAGES.values()} == set(Kind)


@given(
    page=st.sampled_from(sorted(PAGES)),
    site=st.sampled_from(
        ["https://company.aha.io", "http://company.aha.io", "HTTPS://Company.Aha.io:443", "company.aha.io"]
    ),
    api=st.sampled_from(["/", "/api/v1/", "//"]),
    end=st.sampled_from(
        ["", "/", "?", "?tab=links&x=/a/b", "#comments", "/?a=b#c", "?next=https://evil.example/features/X-1"]
    ),
    names_kind=st.booleans(),
)
def test_an_address_is_the_target_whose_page_it_is(page: str, site: str, api: str, end: str, names_kind: bool) -> None:
    """In the app or the API, with or without scheme, slash, query and fragment; the kind comes from the path."""
    target = PAGES[page]
    job = LinkJob(f" {site}{api}{page}{end} ", LINKS, target.kind if names_kind else None)
    assert (job.target, job.host) == (target, "company.aha.io")
    assert job == LinkJob(target.id, LINKS, target.kind)


@given(
    st.text(),
    st.sampled_from(["https://company.aha.io/features/", "https://company.aha.io/", "company.aha.io/", "https://"]),
)
def test_any_address_is_a_target_or_an_invalid_job(end: str, start: str) -> None:
    """Never another error, and never an id that could change a path."""
    try:
        address = Address.parse(start + end)
    except InvalidJob:
        return
    assert address.host == "company.aha.io"
    assert Target.parse(address.target.id, address.target.kind) == address.target


def described(value: Any) -> Iterator[tuple[str, str]]:
    """The addresses in a JSON value, each with the reference number beside it."""
    if isinstance(value, dict):
        reference = value.get("reference_num") or value.get("reference_prefix")
        if isinstance(reference, str):
            yield from ((address, reference) for key in ("url", "resource") if (address := value.get(key)))
        for inner in value.values():
            yield from described(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from described(inner)


@pytest.mark.skipif(not OPENAPI.exists(), reason="the vendor's description is not here")
def test_every_address_in_the_vendor_s_examples_is_understood() -> None:
    """All but those of key results, which cannot be linked."""
    addresses = dict(described(orjson.loads(OPENAPI.read_bytes())))
    assert len(addresses) > 80
    for address, reference in addresses.items():
        if "/key_results/" in address:
            assert "is not the address of" in why_not(address)
        else:
            assert Address.parse(address) == Address("company.aha.io", Target.parse(reference))


@pytest.mark.parametrize(
    ("id", "kind", "said"),
    [
        (
            "https://company.aha.io/features/PRJ1-E-1",
            None,
            '/features/PRJ1-E-1": kind "feature" does not match the id',
        ),
        (
            "https://company.aha.io/features/PRJ1-1",
            "epic",
            'kind "epic" does not match the id: "https://company.aha.io',
        ),
        ("https://company.aha.io/epics/PRJ1-E-1", "idea", "is the address of an epic"),
        ("https://company.aha.io/custom_object_records/A-C-ME", None, "is not the numeric id of a record"),
        ("https://company.aha.io/pages/PRJ1-N-1", None, "is not the address of"),
        ("https://company.aha.io/products/PRJ1/feature_cards", None, "is not the address of"),
        ("https://company.aha.io/features/PRJ1-1/edit", None, "is not the address of"),
        ("https://company.aha.io/features/PRJ1%2D1", None, "is not the address of"),
        ("https://company.aha.io/features/../ideas/PRJ1-I-1", None, "is not the address of"),
        ("https://company.aha.io/features/PRJ1-1\n2", None, "is not the address of"),
        ("https://company.aha.io/features/", None, "is not the address of"),
        ("https://company.aha.io", None, "is not the address of"),
        ("https:///features/PRJ1-1", None, "is not the address of"),
        ("https://cömpany.aha.io/features/PRJ1-1", None, "is not the address of"),
        ("ftp://company.aha.io/features/PRJ1-1", None, "is not a reference such as PRJ1-12"),
        ("//company.aha.io/features/PRJ1-1", None, "is not a reference such as PRJ1-12"),
        ("features/PRJ1-1", None, "is not a reference such as PRJ1-12"),
    ],
)
def test_what_is_no_address_of_a_target_says_why(id: str, kind: str | None, said: str) -> None:
    """A page of something else, a path beyond it, or a kind that does not agree."""
    assert said in why_not(id, kind)


def test_a_password_in_an_address_is_not_repeated() -> None:
    """Nor is a query, which may hold a token."""
    said = why_not("https://me:hunter2@company.aha.io/features/PRJ1-1?access_token=hunter3")
    assert '"https://company.aha.io/features/PRJ1-1" is not the address of' in said
    assert "hunter" not in said + shown("https://me:hunter2@company.aha.io/features/PRJ1-1#hunter3")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Company.aha.io", "company.aha.io"),
        ("https://company.aha.io:443/x", "company.aha.io"),
        ("http://company.aha.io:80", "company.aha.io"),
        ("company.aha.io:443", "company.aha.io"),
        ("https://company.aha.io.:8443/x://evil.example", "company.aha.io:8443"),
        ("http://127.0.0.1:8765", "127.0.0.1:8765"),
        ("http://[::1]:8765", "[::1]:8765"),
        ("https://[::1]", "[::1]"),
        ("company.aha.io", "company.aha.io"),
    ],
)
def test_the_host_of_a_url_has_one_form(url: str, host: str) -> None:
    """Lower case, without a usual port and without a dot at its end."""
    assert host_of(url) == host_of(host) == host


@pytest.mark.parametrize("id", ["PRJ1-1", "12", 12, "PRJ1/1", "../me", "", None])
def test_an_id_is_no_address(id: Any) -> None:
    """And is shown as it is."""
    assert not is_address(id)
