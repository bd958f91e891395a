"""Pages of a list that time out: they are read in halves, and the size that works is remembered."""

from __future__ import annotations

from collections import Counter
from urllib.parse import parse_qs

import pytest
from support.runs import ACME, eager, features, results_of

from linker import Kind, LinkJob, Status
from linker.sandbox import Sandbox


def sizes(sandbox: Sandbox) -> Counter[str]:
    """How many pages of each size were asked for."""
    queries = (parse_qs(request.query) for request in sandbox.requests)
    return Counter(query["per_page"][0] for query in queries if "per_page" in query)


async def test_a_page_that_times_out_is_read_in_halves_and_the_size_is_remembered() -> None:
    """Twice 504 at 200 and at 100; from then on, 600 features are read in twelve pages of 50."""
    async with Sandbox(limits=[], features=595, largest_page=50, keep_requests=True) as sandbox:
        sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ACME])
        async with eager(sandbox) as aha:
            results = await results_of(aha.run(features(600), mode="add"))
        assert {result.status for result in results} == {Status.LINKED, Status.UNCHANGED}
        assert sizes(sandbox) == {"200": 2, "100": 2, "50": 12}
        assert sandbox.stats.methods["PUT"] == 599


async def test_an_export_reads_smaller_pages_too() -> None:
    """Each target is exported once; the page after the last full one is looked at, as at any size."""
    async with Sandbox(limits=[], features=595, largest_page=25, keep_requests=True) as sandbox:
        for number in range(1, 601, 7):
            sandbox.account.set_links(Kind.FEATURE, f"PRJ1-{number}", "customers", [ACME])
        async with eager(sandbox) as aha:
            jobs = [job async for job in aha.export("feature:PRJ1")]
        assert jobs == [LinkJob(f"PRJ1-{number}", {"customers": [ACME]}) for number in range(1, 601, 7)]
        assert sizes(sandbox) == {"200": 2, "100": 2, "50": 2, "25": 25}


async def test_the_records_of_a_table_are_read_by_smaller_pages_too() -> None:
    """Names are found on each of them."""
    async with Sandbox(limits=[], records=450, largest_page=100) as sandbox:
        records = [
            record for record in sandbox.account.listed(Kind.CUSTOM_OBJECT_RECORD) if record.table == "customers"
        ]
        names = Counter(record.name for record in records)
        wanted = [record for record in records if names[record.name] == 1]
        job = {"id": "PRJ1-1", "links": {"customers": [{"name": record.name} for record in wanted]}}
        async with eager(sandbox, table={"customers": "PRJ1/customers"}) as aha:
            [result] = await results_of(aha.run([job]))
        assert result.status is Status.LINKED
        assert set(sandbox.account.links(Kind.FEATURE, "PRJ1-1")["customers"]) == {str(record.id) for record in wanted}


@pytest.mark.parametrize("status", [504, 524])
async def test_a_list_that_times_out_at_any_size_is_given_up_for_single_reads(status: int) -> None:
    """Two tries at each size, all of them at the smallest; then the targets are read by themselves."""
    async with Sandbox(limits=[], keep_requests=True) as sandbox:
        sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ACME])
        sandbox.faults.script(on="per_page=", stays=status)
        async with eager(sandbox, attempts=3) as aha:
            results = await results_of(aha.run(features(5), mode="add"))
        assert {result.status for result in results} == {Status.LINKED, Status.UNCHANGED}
        assert sizes(sandbox)["200"] == sizes(sandbox)["100"] == sizes(sandbox)["50"] == 2
