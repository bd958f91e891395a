"""Lists: which there are, how they page, what their items show."""

from typing import Any

import aiohttp
import orjson
import pytest

from linker.model.target import Kind
from linker.sandbox import Sandbox
from linker.sandbox.seed import seeded_account


async def get(session: aiohttp.ClientSession, path: str) -> Any:
    async with session.get(f"/api/v1/{path}") as response:
        assert response.status == 200, path
        return orjson.loads(await response.read())


async def test_pages_together_are_the_whole_list_once() -> None:
    """Every feature is on one page, in the order of the ids, and the page count says when to stop."""
    async with (
        Sandbox(features=450, limits=[]) as sandbox,
        aiohttp.ClientSession(sandbox.url, headers=sandbox.headers) as session,
    ):
        ids: list[str] = []
        page = pages = 1
        while page <= pages:
            answer = await get(session, f"products/prj1/features?page={page}&per_page=200&fields=id")
            pages = answer["pagination"]["total_pages"]
            assert answer["pagination"] == {"total_records": 455, "total_pages": 3, "current_page": page}
            ids += [item["id"] for item in answer["features"]]
            page += 1
        assert (await get(session, "features?page=99"))["features"] == []
    assert len(ids) == len(set(ids)) == 455
    assert ids == sorted(ids, key=int)


@pytest.mark.parametrize(
    ("query", "length"),
    [("", 30), ("?per_page=5", 5), ("?per_page=500", 200), ("?per_page=0", 30), ("?per_page=x&page=-1", 30)],
)
async def test_a_page_has_30_items_unless_told_and_200_at_most(query: str, length: int) -> None:
    """What is over the most is cut to it; what is no number is the default."""
    async with (
        Sandbox(features=300) as sandbox,
        aiohttp.ClientSession(sandbox.url, headers=sandbox.headers) as session,
    ):
        answer = await get(session, f"features{query}")
    assert len(answer["features"]) == length


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("features", 200),
        ("features?per_page=50", 200),
        ("features?per_page=51", 504),
        ("products/PRJ1/features?per_page=1000&fields=id", 504),
        ("features/PRJ1-1/requirements?per_page=200", 504),
        ("products/PRJ1/custom_objects/customers/records?per_page=51", 504),
        ("features/PRJ1-1?per_page=51", 200),
    ],
)
async def test_a_page_that_is_too_large_for_the_account_times_out(path: str, status: int) -> None:
    """With largest_page=50 a list that is asked for more is answered 504 with a proxy's page, and nothing else is."""
    async with (
        Sandbox(largest_page=50) as sandbox,
        aiohttp.ClientSession(sandbox.url, headers=sandbox.headers) as session,
        session.get(f"/api/v1/{path}") as response,
    ):
        content_type = "text/html" if status == 504 else "application/json"
        assert (response.status, response.content_type) == (status, content_type)


async def test_items_carry_links_only_where_asked_for() -> None:
    """The short form has none; with fields= an item has just the fields named, in their order."""
    async with (
        Sandbox(empty_links="empty") as sandbox,
        aiohttp.ClientSession(sandbox.url, headers=sandbox.headers) as session,
    ):
        for plural in ("features", "epics", "ideas", "initiatives", "goals", "products", "idea_organizations"):
            for item in (await get(session, plural))[plural]:
                assert "custom_object_links" not in item
        answer = await get(session, "ideas?fields=reference_num%2Ccustom_object_links,nonsense")
    by_reference = {each["reference_num"]: each["custom_object_links"] for each in answer["ideas"]}
    assert [(each["key"], each["record_ids"]) for each in by_reference["PRJ1-I-5"]] == [("customers", ["640362830"])]
    assert by_reference["PRJ1-I-2"] == []


@pytest.mark.parametrize(
    ("path", "length"),
    [
        ("products/PRJ1/features", 5),
        ("products/PRJ2/epics", 1),
        ("products/PRJ1/ideas", 10),
        ("products/PRJ1/initiatives", 6),
        ("products/PRJ1/goals", 5),
        ("products/131414752/releases", 6),
        ("releases/PRJ1-R-1/features", 5),
        ("releases/PRJ1-R-1/epics", 3),
        ("features/PRJ1-1/requirements", 3),
        ("features/PRJ1-2/requirements", 0),
        ("products", 6),
        ("idea_organizations", 3),
    ],
)
async def test_lists_within_a_resource_hold_what_belongs_to_it(path: str, length: int) -> None:
    """Per product, per release and per feature."""
    async with Sandbox() as sandbox, aiohttp.ClientSession(sandbox.url, headers=sandbox.headers) as session:
        answer = await get(session, path)
    assert len(answer[path.rpartition("/")[2]]) == answer["pagination"]["total_records"] == length


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("releases", "text/html"),
        ("requirements", "text/html"),
        ("custom_object_records", "text/html"),
        ("products/PRJ1/requirements", "text/html"),
        ("products/PRJ1/idea_organizations", "text/html"),
        ("products/NONE/features", "application/json"),
        ("products/PRJ1/custom_objects/nothing/records", "application/json"),
    ],
)
async def test_lists_that_the_api_lacks_are_not_there(path: str, content_type: str) -> None:
    """No account-wide list of releases, requirements or records; no list of an unknown product or table."""
    async with (
        Sandbox() as sandbox,
        aiohttp.ClientSession(sandbox.url, headers=sandbox.headers) as session,
        session.get(f"/api/v1/{path}") as response,
    ):
        assert (response.status, response.content_type) == (404, content_type)


async def test_a_table_lists_its_records_with_their_links_and_linkers() -> None:
    """The names of the records asked for stand in their custom fields; their ids have 19 digits."""
    async with (
        Sandbox(records=40) as sandbox,
        aiohttp.ClientSession(sandbox.url, headers=sandbox.headers) as session,
    ):
        answer = await get(session, "products/PRJ1/custom_objects/customers/records?per_page=200")
        other = await get(session, "products/PRJ2/custom_objects/customers/records")
    records = {each["id"]: each for each in answer["custom_object_records"]}
    assert len(records) == 42
    assert other["pagination"] == {"total_records": 0, "total_pages": 0, "current_page": 1}
    acme = records["640362830"]
    assert acme["custom_fields"][0]["value"] == "Acme Corp"
    assert [len(each["record_ids"]) for each in acme["custom_object_links"]] == [1, 0, 0]
    assert {each["record_id"] for each in acme["linked_records"]} == {162120796, 58056975}
    added = [each for id, each in records.items() if len(id) == 19]
    assert len(added) == len({each["custom_fields"][0]["value"] for each in added}) == 40


def test_the_same_seed_makes_the_same_account() -> None:
    """Ids and names are drawn from the seed alone."""

    def drawn(seed: int) -> list[tuple[int, str]]:
        account = seeded_account(records=50, features=50, seed=seed)
        kinds = (Kind.CUSTOM_OBJECT_RECORD, Kind.FEATURE)
        return [(resource.id, resource.name) for kind in kinds for resource in account.listed(kind)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
