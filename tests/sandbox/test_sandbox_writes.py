"""What a PUT changes, what it leaves alone, and what is refused."""

from typing import Any

import aiohttp
import orjson
import pytest

from linker.errors import UsageError
from linker.model.target import Kind
from linker.sandbox import Sandbox, SandboxOptions

ACME, ZANE = "640362830", "8397122"
CONTRACT = "7036045937940700101"

TARGETS = {
    Kind.PRODUCT: ("PRJ1", 131414752),
    Kind.RELEASE: ("PRJ1-R-1", 278327321),
    Kind.FEATURE: ("PRJ1-1", 1007868956),
    Kind.REQUIREMENT: ("PRJ1-1-1", 483368544),
    Kind.IDEA: ("PRJ1-I-1", 58056975),
    Kind.INITIATIVE: ("PRJ1-S-1", 423077122),
    Kind.GOAL: ("DEMOENT-G-1", 602095703),
    Kind.EPIC: ("PRJ1-E-1", 999605892),
    Kind.IDEA_ORGANIZATION: ("ACCOUNT-O-1", 138732915),
}


class Client:
    """Asks a sandbox, and reads its JSON."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.session = session

    async def put(self, path: str, body: object, **headers: str) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        sent = {"Content-Type": "application/json"} | headers
        async with self.session.put(f"/api/v1/{path}", data=data, headers=sent) as response:
            return response.status, orjson.loads(await response.read())

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        async with self.session.get(f"/api/v1/{path}", headers=headers) as response:
            return response.status, orjson.loads(await response.read())


def links(kind: Kind, wanted: object) -> dict[str, Any]:
    return {kind.value: {"custom_object_links": wanted}}


async def put_links(kind: Kind, id: str | int, wanted: object, **options: Any) -> tuple[int, Any, Sandbox]:
    async with Sandbox(**options) as sandbox, aiohttp.ClientSession(sandbox.url, headers=sandbox.headers) as session:
        status, answer = await Client(sandbox, session).put(f"{kind.plural}/{id}", links(kind, wanted))
    return status, answer, sandbox


@pytest.mark.parametrize("kind", TARGETS)
async def test_a_target_is_linked_by_its_number_and_by_its_reference_number(kind: Kind) -> None:
    """Both names, in any case, mean the same target, and the answer's ids are strings."""
    reference, number = TARGETS[kind]
    async with Sandbox() as sandbox, aiohttp.ClientSession(sandbox.url, headers=sandbox.headers) as session:
        client = Client(sandbox, session)
        status, answer = await client.put(f"{kind.plural}/{number}", links(kind, {"customers": [ACME]}))
        assert (status, answer[kind.value]["id"]) == (200, str(number))
        assert sandbox.account.links(kind, reference)["customers"] == [ACME]
        status, _ = await client.put(f"{kind.plural}/{reference.lower()}", links(kind, {"customers": []}))
        assert status == 200
        assert sandbox.account.links(kind, number)["customers"] == []


async def test_a_list_is_replaced_and_other_fields_are_left_alone() -> None:
    """The fields given hold exactly what was sent, without repeats; the others hold what they held."""
    async with Sandbox() as sandbox, aiohttp.ClientSession(sandbox.url, headers=sandbox.headers) as session:
        client = Client(sandbox, session)
        await client.put("features/PRJ1-1", links(Kind.FEATURE, {"customers": [ACME], "contracts": [CONTRACT]}))
        status, answer = await client.put("features/PRJ1-1", links(Kind.FEATURE, {"customers": [ZANE, int(ZANE)]}))
    assert status == 200
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1") == {"customers": [ZANE], "contracts": [CONTRACT]}
    assert [(each["key"], each["record_ids"]) for each in answer["feature"]["custom_object_links"]] == [
        ("customers", [ZANE]),
        ("contracts", [CONTRACT]),
    ]


async def test_a_put_may_carry_other_attributes() -> None:
    """A name is stored, the rest passed over, and no links are touched."""
    async with Sandbox() as sandbox, aiohttp.ClientSession(sandbox.url, headers=sandbox.headers) as session:
        client = Client(sandbox, session)
        status, answer = await client.put("ideas/PRJ1-I-1", {"idea": {"name": "Renamed", "votes": 7}})
    assert (status, answer["idea"]["name"]) == (200, "Renamed")
    assert set(sandbox.account.links(Kind.IDEA, "PRJ1-I-1")) == {"revenue", "submitters"}


async def test_a_hidden_kind_keeps_its_links_and_never_shows_them() -> None:
    """A product answers without the key, even where the request asks for it; the account holds the link."""
    async with Sandbox() as sandbox, aiohttp.ClientSession(sandbox.url, headers=sandbox.headers) as session:
        client = Client(sandbox, session)
        body = links(Kind.PRODUCT, {"customers": [ACME]})
        _, answer = await client.put("products/PRJ1?fields=custom_object_links,reference_prefix", body)
        _, whole = await client.get("products/PRJ1")
    assert answer == {"product": {"reference_prefix": "PRJ1"}}
    assert "custom_object_links" not in whole["product"]
    assert sandbox.account.links(Kind.PRODUCT, "PRJ1") == {"customers": [ACME]}


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        ([ACME], "not an object"),
        (None, "not an object"),
        ({"customers": ACME}, "not a list"),
        ({"customers": None}, "not a list"),
        ({"customers": [6.4e8]}, "640000000.0"),
        ({"customers": [7.03e18 * 10]}, "7.03e+19"),
        ({"customers": [True]}, "true"),
        ({"customers": [-5]}, "-5"),
        ({"customers": ["12a"]}, "12a"),
        ({"customers": [""]}, "is not a record id"),
        ({"customers": [[ACME]]}, ACME),
        ({"customers": ["999"]}, "999"),
        ({"customers": ["9" * 5000]}, "does not exist"),
        ({"customers": [CONTRACT]}, f"{CONTRACT} is not in the table customers"),
    ],
)
async def test_a_value_that_the_field_does_not_take_is_refused_and_changes_nothing(wanted: object, named: str) -> None:
    """422, the message names what is wrong, and no field of the body is applied."""
    if isinstance(wanted, dict):
        wanted = {"contracts": [CONTRACT]} | wanted
    status, answer, sandbox = await put_links(Kind.FEATURE, "PRJ1-1", wanted)
    assert status == 422
    assert named in answer["errors"]["message"]
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1") == {}


async def test_an_unknown_record_may_be_dropped_in_silence() -> None:
    """With unknown_record=ignore the ids that exist are linked."""
    status, _, sandbox = await put_links(Kind.FEATURE, "PRJ1-1", {"customers": ["999", ACME]}, unknown_record="ignore")
    assert status == 200
    assert sandbox.account.links(Kind.FEATURE, "PRJ1-1") == {"customers": [ACME]}


async def test_an_unknown_field_is_dropped_in_silence_or_refused() -> None:
    """By default the rest of the body is applied; with unknown_field=error nothing is."""
    wanted = {"custmers": [ACME], "customers": [ACME]}
    status, _, sandbox = await put_links(Kind.FEATURE, "PRJ1-1", wanted)
    assert (status, sandbox.account.links(Kind.FEATURE, "PRJ1-1")) == (200, {"customers": [ACME]})
    status, answer, sandbox = await put_links(Kind.FEATURE, "PRJ1-1", wanted, unknown_field="error")
    assert (status, sandbox.account.links(Kind.FEATURE, "PRJ1-1")) == (422, {})
    assert "custmers" in answer["errors"]["message"]


async def test_a_many_to_one_field_takes_one_record() -> None:
    """A record's many-to-one field holds one record at most."""
    field = "custom_table_name_link_many_to_one"
    status, _, sandbox = await put_links(Kind.CUSTOM_OBJECT_RECORD, ACME, {field: [1059223798]})
    assert (status, sandbox.account.links(Kind.CUSTOM_OBJECT_RECORD, ACME)[field]) == (200, ["1059223798"])
    sandbox.account.set_links(Kind.CUSTOM_OBJECT_RECORD, ACME, field, [])
    assert sandbox.account.links(Kind.CUSTOM_OBJECT_RECORD, ACME)[field] == []


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b'{"feature":', "application/json", 400),
        (b"[]", "application/json", 400),
        (b"", "application/json", 400),
        (b'{"idea":{"custom_object_links":{}}}', "application/json", 400),
        (b'{"custom_object_links":{"customers":["640362830"]}}', "application/json", 400),
        (b'{"feature":[]}', "application/json", 400),
        (b'{"feature":{}}', "application/json", 400),
        (b'{"feature":{"custom_object_links":{}}}', "text/plain", 415),
        (b'{"feature":{"custom_object_links":{}}}', "application/json; charset=utf-8", 200),
    ],
)
async def test_a_body_that_is_not_what_the_path_wants_is_refused(body: bytes, content_type: str, status: int) -> None:
    """No JSON and a wrong or missing wrapper are 400, another content type 415."""
    async with Sandbox() as sandbox, aiohttp.ClientSession(sandbox.url, headers=sandbox.headers) as session:
        answered, _ = await Client(sandbox, session).put("features/PRJ1-1", body, **{"Content-Type": content_type})
    assert answered == status


async def test_no_such_record_is_json_and_no_such_route_is_html() -> None:
    """An unknown id is 404 with a JSON body; an unknown kind, method or path is a page."""
    async with Sandbox() as sandbox, aiohttp.ClientSession(sandbox.url, headers=sandbox.headers) as session:
        for path in ("features/PRJ1-999999", "features/1", "custom_object_records/PRJ1", "goals/" + "9" * 30):
            assert await Client(sandbox, session).get(path) == (404, {"error": "Record not found."})
        for path in ("/api/v1/widgets/1", "/api/v1/releases", "/api/v1/features/PRJ1-1/x/y", "/", "/api/v2/me"):
            async with session.get(path) as response:
                assert (response.status, response.content_type) == (404, "text/html")
        async with session.delete("/api/v1/features/PRJ1-1") as response:
            assert (response.status, response.content_type) == (404, "text/html")


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer wrong", "Basic sandbox", "sandbox"])
async def test_without_the_token_nothing_is_answered_and_nothing_counts(authorization: str) -> None:
    """401 with a JSON body, whatever the path, and it does not count against the limit."""
    async with (
        Sandbox(limits=[(1, 60.0)]) as sandbox,
        aiohttp.ClientSession(sandbox.url) as session,
    ):
        client = Client(sandbox, session)
        assert await client.get("me", Authorization=authorization) == (401, {"error": "unauthorized"})
        status, answer = await client.get("me", Authorization="bearer sandbox")
    assert (status, answer["user"]["name"]) == (200, "Mary Humpty")


async def test_a_record_shows_who_links_to_it() -> None:
    """The reverse index follows a link that is made and one that is taken away, by whomever."""
    async with Sandbox() as sandbox, aiohttp.ClientSession(sandbox.url, headers=sandbox.headers) as session:
        client = Client(sandbox, session)
        await client.put("goals/DEMOENT-G-1", links(Kind.GOAL, {"customers": [ZANE]}))
        _, answer = await client.get(f"custom_object_records/{ZANE}")
        assert answer["custom_object_record"]["linked_records"] == [
            {"key": "customers", "name": "Customers", "record_type": "StrategicImperative", "record_id": 602095703}
        ]
        sandbox.account.set_links(Kind.GOAL, 602095703, "customers", [])
        _, answer = await client.get(f"custom_object_records/{ZANE}?fields=linked_records")
        assert answer == {"custom_object_record": {"linked_records": []}}


async def test_a_record_is_deleted_with_the_links_to_it() -> None:
    """204 without a body; from then on it is unknown, in no list, and linked by nothing."""
    async with Sandbox() as sandbox, aiohttp.ClientSession(sandbox.url, headers=sandbox.headers) as session:
        client, path = Client(sandbox, session), f"/api/v1/custom_object_records/{ZANE}"
        await client.put("goals/DEMOENT-G-1", links(Kind.GOAL, {"customers": [ZANE, ACME]}))
        async with session.delete(path) as response:
            assert (response.status, await response.read()) == (204, b"")
        async with session.delete(path) as response:
            assert (response.status, await response.json()) == (404, {"error": "Record not found."})
        assert sandbox.account.links(Kind.GOAL, "DEMOENT-G-1") == {"customers": [ACME]}
        assert ZANE not in {str(record.id) for record in sandbox.account.listed(Kind.CUSTOM_OBJECT_RECORD)}


def test_an_outside_writer_is_held_to_the_account() -> None:
    """Writing past the server needs a target, a field and records that exist."""
    account = Sandbox().account
    account.set_links(Kind.EPIC, "prj1-e-1", "contracts", [CONTRACT])
    assert account.all_links()[Kind.EPIC, "PRJ1-E-1"] == {"contracts": [CONTRACT]}
    with pytest.raises(LookupError, match="no epic PRJ9-E-1"):
        account.set_links(Kind.EPIC, "PRJ9-E-1", "contracts", [])
    with pytest.raises(LookupError, match="has no link field 'colour'"):
        account.set_links(Kind.EPIC, "PRJ1-E-1", "colour", [])
    with pytest.raises(LookupError, match="no custom_object_record 5"):
        account.set_links(Kind.EPIC, "PRJ1-E-1", "contracts", [5])


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": 70000},
        {"token": ""},
        {"window": "leaky"},
        {"latency_ms": -1},
        {"records": -1},
        {"limits": [(0, 1.0)]},
        {"unknown_record": "maybe"},
        {"linked": 1.5},
        {"releases": -1},
        {"stale_reads": -1},
        {"largest_page": 0},
        {"empty_links": "none"},
        {"ids": "floats"},
        {"title_key": "a b"},
        {"layouts": "none"},
        {"list_order": "name"},
        {"list_totals": "odd"},
        {"refused_with": 500},
    ],
)
def test_an_option_that_makes_no_sense_is_named(wrong: dict[str, Any]) -> None:
    """A UsageError whose message names the option."""
    with pytest.raises(UsageError, match=next(iter(wrong)).removesuffix("s")):
        SandboxOptions(**wrong)


async def test_a_port_that_is_taken_is_a_usage_error() -> None:
    """The message names the port."""
    async with Sandbox() as sandbox:
        port = int(sandbox.url.rpartition(":")[2])
        with pytest.raises(UsageError, match=str(port)):
            await Sandbox(port=port).start()
    with pytest.raises(RuntimeError):
        _ = sandbox.url
