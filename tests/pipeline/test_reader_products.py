"""Of the account's list and a product's, the one that is read."""

from __future__ import annotations

from collections import Counter
from typing import Any

from support.runs import ACME, eager, features, results_of

from linker import Kind, Status
from linker.sandbox import Sandbox


async def paths_of(sandbox: Sandbox, jobs: list[dict[str, Any]]) -> Counter[str]:
    """The lists that a run of jobs reads, all of which are linked or so already."""
    async with eager(sandbox) as aha:
        results = await results_of(aha.run(jobs))
    assert {result.status for result in results} <= {Status.LINKED, Status.UNCHANGED}
    return Counter(seen.path for seen in sandbox.requests if "page=" in seen.query)


async def test_features_of_one_product_are_read_from_its_list(sandbox: Sandbox) -> None:
    """The account may have a hundred thousand others."""
    assert await paths_of(sandbox, features(90)) == {"/api/v1/products/PRJ1/features": 1}


async def test_features_of_many_products_are_read_from_the_account_s_list(sandbox: Sandbox) -> None:
    """A page a product would be more than the account's pages can be fewer."""
    jobs = [*features(50), {"id": "PRJ2-1", "links": {"customers": [ACME]}}]
    assert await paths_of(sandbox, jobs) == {"/api/v1/features": 1}


async def test_a_number_does_not_tell_the_product(sandbox: Sandbox) -> None:
    """Where one target goes by its number, the account's list is read."""
    found = sandbox.account.find(Kind.FEATURE, "PRJ1-60")
    assert found is not None
    jobs = [*features(50), {"kind": "feature", "id": found.id, "links": {"customers": [ACME]}}]
    assert await paths_of(sandbox, jobs) == {"/api/v1/features": 1}


async def test_organizations_belong_to_no_product(sandbox: Sandbox) -> None:
    """What stands before the dash of their reference numbers is no workspace that could list them."""
    jobs = [{"id": f"ACCOUNT-O-{number}", "links": {"customers": [ACME]}} for number in (1, 2, 3)]
    assert await paths_of(sandbox, jobs) == {"/api/v1/idea_organizations": 1}
