"""linker and the sandbox against the vendor's OpenAPI description, by Stoplight Prism. `make conformance` runs it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
import pytest
from support.prism import OPENAPI, PRISM, Prism, Violation, prism
from support.runs import ACME, results_of

from linker import ErrorType, Kind, Linker, Status
from linker.errors import ExportFailed
from linker.sandbox import Sandbox

pytestmark = [
    pytest.mark.skipif(not OPENAPI.exists(), reason="the vendor's description is not here"),
    pytest.mark.skipif(not PRISM, reason="Prism is not installed; `make conformance` does that"),
]

KNOWN: Final = tomllib.loads(Path(__file__).with_name("known_faults.toml").read_text())["fault"]
FIELDS: Final = {Kind.CUSTOM_OBJECT_RECORD: ("custom_table_name_submitters", "136661093")}
IDS: Final = {
    "products": "PRJ1",
    "releases": "PRJ1-R-1",
    "features": "PRJ1-1",
    "requirements": "PRJ1-1-1",
    "ideas": "PRJ1-I-1",
    "initiatives": "PRJ1-S-1",
    "goals": "DEMOENT-G-1",
    "epics": "PRJ1-E-1",
    "custom_object_records": ACME,
}
PARAMETERS: Final = {"product_id": "PRJ1", "release_id": "PRJ1-R-1", "feature_id": "PRJ1-1", "key": "customers"}
LISTS: Final = ("feature", "epic", "idea", "initiative", "goal", "product", "release:PRJ1", "requirement:PRJ1-1")


def described(method: str) -> list[str]:
    """The paths of all operations of the description with this method, with ids that the sandbox knows."""
    paths: Mapping[str, Any] = orjson.loads(OPENAPI.read_bytes())["paths"] if OPENAPI.exists() else {}
    return [
        path.format(**PARAMETERS, id=IDS.get(path.split("/")[3]))
        for path, methods in paths.items()
        if method in methods
    ]


def is_known(violation: Violation, fault: Mapping[str, str]) -> bool:
    """Whether a violation is this known fault of the description."""
    return violation.rule == fault["rule"] and fnmatchcase(violation.where, fault["where"])


def unknown(prism: Prism) -> list[Violation]:
    """The violations that are no known faults of the description."""
    return sorted(found for found in prism.violations if not any(is_known(found, fault) for fault in KNOWN))


def unseen(prism: Prism) -> list[str]:
    """The known faults of answers that did not show."""
    faults = [fault for fault in KNOWN if fault["where"].startswith("response")]
    return [fault["where"] for fault in faults if not any(is_known(found, fault) for found in prism.violations)]


def jobs() -> list[dict[str, Any]]:
    """A job for a target of each kind that the description has."""
    linked = []
    for plural, id in IDS.items():
        kind = Kind.parse(plural)
        field, record = FIELDS.get(kind, ("customers", ACME))
        linked.append({"kind": kind.value, "id": id, "links": {field: [record]}})
    return linked


def linker_on(url: str, **options: Any) -> Linker:
    """A linker with one request at a time, so that Prism's log is in their order."""
    return Linker(url=url, token="sandbox", rate=(), concurrency=1, backoff_base_s=0.01, backoff_cap_s=0.1, **options)


async def get_all(url: str) -> dict[str, int]:
    """The status of the answer to each GET of the description."""
    headers = {"Authorization": "Bearer sandbox", "Accept": "application/json"}
    statuses = {}
    async with aiohttp.ClientSession(url, headers=headers, max_field_size=2**20) as session:
        for path in described("get"):
            async with session.get(path) as response:
                await response.read()
                statuses[path] = response.status
    return statuses


async def test_the_known_faults_are_those_of_the_vendor_s_own_examples() -> None:
    """Where the description's examples break its own rules, so may the sandbox: each known fault is among those."""
    async with prism("mock", OPENAPI) as mock:
        statuses = await get_all(mock.url)
    assert set(statuses.values()) == {200}
    assert unseen(mock) == []


async def test_a_mock_of_the_api_takes_and_is_understood() -> None:
    """Token, fields, lists and PUTs of every kind: no request is refused, and no answer is an error to linker."""
    async with prism("mock", OPENAPI) as mock, linker_on(mock.url, preflight=False) as aha:
        check = await aha.check()
        results = await results_of(aha.run(jobs()))
        for scope in LISTS:
            with suppress(ExportFailed):  # examples show no links, or pages that do not add up
                async for _ in aha.export(scope):
                    pass
    assert (check.problem, check.user) == (None, "Mary Humpty")
    assert mock.of("request") == set()
    assert len(results) == len(IDS)
    for result in results:  # an example shows other links than were asked for, or none
        said = result.error.type if result.error is not None else None
        assert said in (None, ErrorType.NOT_APPLIED, ErrorType.BAD_ANSWER), result


async def test_the_sandbox_answers_as_described() -> None:
    """Every GET of the description is answered 200, and breaks none of its rules but those that are known faults."""
    async with Sandbox(limits=[]) as sandbox, prism("proxy", OPENAPI, sandbox.url) as proxy:
        statuses = await get_all(proxy.url)
    assert set(statuses.values()) == {200}, statuses
    assert unknown(proxy) == []
    assert unseen(proxy) == []


async def test_a_whole_migration_is_as_described() -> None:
    """Checked on the way: linker's requests for every kind, and the sandbox's answers to them."""
    async with Sandbox(limits=[]) as sandbox, prism("proxy", OPENAPI, sandbox.url) as proxy:
        async with linker_on(proxy.url) as aha:
            assert (await aha.check(jobs())).ok
            by_name = {"id": "PRJ1-2", "links": {"customers": [{"name": "Acme Corp"}, {"name": "Initech"}]}}
            results = await results_of(
                aha.run([*jobs(), by_name], create_missing=True, table=("customers=PRJ1/customers",))
            )
            exported = [job async for job in aha.export("feature")]
        assert {result.status for result in results} == {Status.LINKED}, results
        assert {job.id for job in exported} == {"PRJ1-1", "PRJ1-2"}
        assert sandbox.stats.created == {"customers": 1}
        assert sandbox.stats.writes.keys() == {Kind.parse(plural) for plural in IDS}
    assert unknown(proxy) == []
