"""The title field of a table: what `{"name": …}` means, whatever the field's key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.command import Command
from support.raw_server import Arrived, Wire, page
from support.runs import ACME, eager, results_of, write_jobs

from linker import Kind, Linker, LinkJob, Result, Settings, Status, UsageError
from linker.api.lists import Listing
from linker.records.title import ShownFields, TitleFields
from linker.sandbox import Definition, Sandbox

TEXT = "CustomFieldDefinitions::TextField"
TABLE = {"customers": "PRJ1/customers"}


def field(key: str, label: str, kind: str = "string", value: Any = "x") -> dict[str, Any]:
    """A field of a record, as answers show it."""
    return {"key": key, "name": label, "type": kind, "value": value}


def title(*fields: dict[str, Any]) -> str | None:
    """The title field of a table whose records show these fields."""
    shown = ShownFields()
    shown.add([{"custom_fields": [each]} for each in fields])
    return shown.title()


@pytest.fixture
async def odd() -> AsyncIterator[Sandbox]:
    """An account in which the title field has a key of its own."""
    async with Sandbox(limits=[], records=10, title_key="customer_2_name", keep_requests=True) as sandbox:
        yield sandbox


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ([field("customer_2_name", "Name"), field("region", "Region")], "customer_2_name"),
        ([field("region", "Region"), field("customer_2_name", " NAME ", value=None)], "customer_2_name"),
        ([field("event", "Event"), field("site", "Site", "url"), field("seats", "Seats", "integer", 4)], "event"),
        ([field("name", "Legal name"), field("region", "Region")], "name"),
        ([field("other", "Name"), field("name", "Name")], "name"),
        ([field("one", "Name"), field("two", "Name")], None),
        ([field("event", "Event"), field("region", "Region")], None),
        ([field("site", "Site", "url")], None),
        ([{"key": "event", "value": "x"}, {"key": "seats", "value": 4}], "event"),
        ([{"key": ["event"], "name": "Name"}, {"name": "Name"}], None),
        ([], None),
    ],
)
def test_the_title_field_is_labelled_name_or_the_only_text(fields: list[dict[str, Any]], key: str | None) -> None:
    """Where these rules find no field, or several, nothing is guessed."""
    assert title(*fields) == key


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["Name", "Other"]), st.sampled_from(["string", "url"])))
)
def test_a_title_field_is_unique_among_its_kind(fields: list[tuple[str, str, str]]) -> None:
    """It is the only one labelled "Name", or else the only text field, of those that are shown."""
    by_key = {key: (label, kind) for key, label, kind in reversed(fields)}  # the first of a key counts
    labelled = {key for key, (label, _) in by_key.items() if label == "Name"}
    texts = {key for key, (_, kind) in by_key.items() if kind == "string"}
    found = title(*(field(key, label, kind) for key, label, kind in fields))
    assert found == next(iter(labelled or texts)) if len(labelled or texts) == 1 else found is None


def test_a_key_for_one_table_goes_before_the_key_for_all() -> None:
    """As the user gives them."""
    titles = TitleFields(Settings(base_url="https://a.aha.io", name_field=("title", "events = event")).name_field)
    assert titles.get(Listing.parse("record:PRJ1/customers")) == "title"
    assert titles.get(Listing.parse("record:PRJ1/events")) == "event"


@pytest.mark.parametrize("given_keys", ["", "a=b=c", "cus tomers=name", "customers=", ("one", "two"), ("a=x", "a=y")])
def test_what_is_no_key_is_refused_at_once(given_keys: Any) -> None:
    """So is a second key for one table."""
    with pytest.raises(UsageError, match="name_field"):
        Settings(base_url="https://a.aha.io", name_field=given_keys)


def named(id: str, *names: str) -> dict[str, Any]:
    """A job that names customers."""
    return {"id": id, "links": {"customers": [{"name": name} for name in names]}}


async def linked(sandbox: Sandbox, *jobs: dict[str, Any], **options: Any) -> list[Result]:
    """The results of jobs with names."""
    async with eager(sandbox, **{"table": TABLE} | options) as aha:
        return await results_of(aha.run(list(jobs)))


async def test_a_name_is_the_title_whatever_its_key(odd: Sandbox) -> None:
    """In an object and by `--match name`; the key itself is a field like any other."""
    by_object, unknown = await linked(odd, named("PRJ1-1", " ACME  corp"), named("PRJ1-2", "Acme Crop"))
    assert by_object.links == {"customers": [ACME]}
    assert unknown.error is not None
    assert 'no record has the name "Acme Crop"; did you mean "Acme Corp"' in unknown.error.message
    ids = {"id": "PRJ1-3", "links": {"customers": ["Acme Corp"]}}
    for match in ("name", "customer_2_name"):
        (result,) = await linked(odd, ids, match=match)
        assert result.links == {"customers": [ACME]}


async def test_a_record_is_created_with_the_title_of_its_table(odd: Sandbox) -> None:
    """A lost answer is looked up by it, too."""
    odd.faults.script(None, None, "reset_after")  # the table's page, the feature, and then the POST
    (result,) = await linked(odd, named("PRJ1-1", "Newcomer"), create_missing=True)
    assert result.status is Status.LINKED
    (post,) = [seen for seen in odd.requests if seen.method == "POST"]
    assert orjson.loads(post.body) == {"custom_object_record": {"custom_fields": {"customer_2_name": "Newcomer"}}}
    assert odd.account.listed(Kind.CUSTOM_OBJECT_RECORD)[-1].name == "Newcomer"


async def test_an_empty_table_wants_the_key_before_anything_is_created(odd: Sandbox) -> None:
    """With the option to add; a definition helps only where it is the single text field of all records."""
    odd.account.tables["regions"] = "Regions"
    odd.account.define(Definition("Feature", "regions", "Regions", 1, table="regions"))
    job = {"id": "PRJ1-1", "links": {"regions": [{"name": "North"}]}}
    options: dict[str, Any] = {"table": {"regions": "PRJ1/regions"}, "create_missing": True, "preflight": True}
    with pytest.raises(UsageError, match=r"PRJ1/regions .* no records yet\. Add --name-field regions=KEY"):
        await linked(odd, job, **options)
    odd.account.definitions[:] = [each for each in odd.account.definitions if each.type != TEXT]
    odd.account.define(Definition("CustomObjectRecord", "customer_2_name", "Name", 2, TEXT))
    (result,) = await linked(odd, job, **options)
    assert (result.status, odd.stats.created["regions"]) == (Status.LINKED, 1)
    odd.account.define(Definition("CustomObjectRecord", "event", "Event", 3, TEXT))
    odd.account.remove(Kind.CUSTOM_OBJECT_RECORD, odd.account.listed(Kind.CUSTOM_OBJECT_RECORD)[-1].id)
    with pytest.raises(UsageError, match="Add --name-field regions=KEY"):
        await linked(odd, job, **options)


async def test_a_wrong_key_ends_the_run_with_the_fields(command: Command, sandbox: Sandbox) -> None:
    """Nothing is written."""
    write_jobs(command.folder / "links.jsonl", [named("PRJ1-1", "Acme Corp")])
    options = ("run", "links.jsonl", "--table", "customers=PRJ1/customers")
    wrong = await command(*options, "--name-field", "customers=event")
    assert wrong.code == 2
    assert 'no record of PRJ1/customers has a value in the field "event"; these fields have' in wrong.stderr
    right = await command(*options, "--name-field", "event", "--name-field", "customers=name")
    assert right.code == 0, right.stderr


async def test_an_export_by_names_goes_by_the_title(odd: Sandbox) -> None:
    """Whatever its key."""
    odd.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ACME])
    async with eager(odd) as aha:
        (job,) = [job async for job in aha.export("feature", names=True)]
    assert job.links == LinkJob(**named("PRJ1-1", "Acme Corp")).links


async def read_pages(*pages: list[dict[str, Any]], **options: Any) -> Result:
    """The result of a job with a name, on an account whose table has these pages of records."""

    async def answer(request: Arrived, writer: Any) -> None:
        number = int(request.path.rpartition("page=")[2]) if "page=" in request.path else 0
        value: Any = {"feature": {"id": "7", "reference_num": "PRJ1-1", "custom_object_links": []}}
        if "/records?" in request.path:
            start = sum(map(len, pages[: number - 1]))
            items = [
                {"id": str(start + place + 1), "custom_fields": each["fields"]}
                for place, each in enumerate(pages[number - 1])
            ]
            total = {"total_records": sum(map(len, pages)), "total_pages": len(pages), "current_page": number}
            value = {"custom_object_records": items, "pagination": total}
        writer.write(page("200 OK", orjson.dumps(value)))

    async with Wire(answer) as wire:
        options = {"backoff_cap_s": 0.01, "preflight": False, "table": TABLE, "state_dir": None, **options}
        aha = Linker(url=wire.url, token="sandbox", rate=(), **options)
        async with aha:
            (result,) = await results_of(aha.run([named("PRJ1-1", "Expo")], limit=1))
    return result


async def test_the_only_text_field_may_be_the_title() -> None:
    """An events table: its records are told by `event`."""
    result = await read_pages([{"fields": [field("event", "Event", value="Expo"), field("site", "Site", "url")]}])
    assert result.links == {"customers": ["1"]}


async def test_two_text_fields_end_the_run_with_their_keys() -> None:
    """Nobody can tell which is the title, unless the user does."""
    records = [{"fields": [field("event", "Event", value="Expo"), field("city", "City")]}]
    with pytest.raises(UsageError, match=r"Its fields are city, event\. Add --name-field customers=KEY"):
        await read_pages(records)
    assert (await read_pages(records, name_field="event")).links == {"customers": ["1"]}


async def test_later_pages_that_contradict_the_first_end_the_run() -> None:
    """A field labelled "Name" shows on the second page only: the names read so far were of another field."""
    first = [{"fields": [field("code", "Code", value=f"C-{number}")]} for number in range(200)]
    with pytest.raises(UsageError, match="Its fields are code, event"):
        await read_pages(first, [{"fields": [field("code", "Code"), field("event", "Name", value="Expo")]}])
