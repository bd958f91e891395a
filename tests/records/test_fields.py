"""The preflight: fields that are none are noticed before the first write, and the rest goes on."""

from __future__ import annotations

import orjson
import pytest
from structlog.testing import capture_logs
from support.command import Command
from support.runs import ACME, eager, features, lines_of, results_of, write_jobs

from linker import ErrorType, Kind, Status, UsageError
from linker.api.answers import Answer
from linker.api.requests import ReadRequest
from linker.records.fields import LINK_MANY, Definition, Fields, read_fields
from linker.sandbox import Sandbox

FIELDS = Fields(
    [
        Definition(Kind.FEATURE, "customers", "Customers", LINK_MANY),
        Definition(Kind.FEATURE, "contracts", "Signed agreements", LINK_MANY),
        Definition(Kind.FEATURE, "stage", "Stage", "CustomFieldDefinitions::SelectConstant"),
        Definition(Kind.IDEA, "revenue", "Revenue", LINK_MANY),
    ]
)


@pytest.mark.parametrize(
    ("kind", "key", "fault"),
    [
        (Kind.FEATURE, "customers", None),
        (Kind.FEATURE, "custmers", 'features have no field "custmers"; did you mean "customers"?'),
        (Kind.FEATURE, "Customers", 'features have no field "Customers"; did you mean "customers"?'),
        (Kind.FEATURE, "signed_agreements", 'did you mean "contracts"?'),
        (
            Kind.FEATURE,
            "stage",
            'field "stage" of features is a SelectConstant, not a link to records; the link fields',
        ),
        (Kind.FEATURE, "revenue", "but ideas do; the link fields of features are customers, contracts"),
        (Kind.GOAL, "customers", "but features do; goals have no fields that link to records"),
    ],
)
def test_what_is_wrong_with_a_field(kind: Kind, key: str, fault: str | None) -> None:
    """Which kinds have it, of which type it is, and what may have been meant."""
    said = FIELDS.fault(kind, key)
    assert said == fault if said is None or fault is None else fault in said


async def test_jobs_on_a_field_that_is_none_are_rejected_and_the_others_go_on(sandbox: Sandbox) -> None:
    """By the account's definitions, with one request; nothing of them is sent."""
    jobs = [
        {"id": "PRJ1-1", "links": {"custmers": [ACME]}, "key": "typo"},
        {"id": "PRJ1-2", "links": {"custom_table": [ACME]}},
        {"id": "PRJ1-3", "links": {"customers": [ACME]}},
        {"id": "PRJ1-R-1", "links": {"contracts": [ACME]}},
    ]
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-3", "contracts", ["7036045937940700101"])
    async with eager(sandbox, preflight=True) as aha:
        typo, other, good, release = await results_of(aha.run(jobs))
    assert good.status is Status.LINKED
    for result in (typo, other, release):
        assert result.error is not None
        assert (result.status, result.error.type) == (Status.REJECTED, ErrorType.UNKNOWN_FIELD)
    assert typo.error is not None
    assert typo.error.message.endswith('did you mean "customers"?')
    assert (typo.key, typo.links) == ("typo", {"custmers": [ACME]})
    assert sandbox.stats.methods == {"GET": 2, "PUT": 1}


async def test_half_a_list_is_not_sent_for_a_field_that_is_none(sandbox: Sandbox) -> None:
    """A rejected job takes the `replace` siblings of its fields along."""
    jobs = [
        {"id": "PRJ1-1", "links": {"custmers": [ACME], "customers": [ACME]}},
        {"id": "PRJ1-1", "links": {"customers": ["8397122"]}},
        {"id": "PRJ1-1", "links": {"contracts": []}, "mode": "replace"},
    ]
    async with eager(sandbox, preflight=True) as aha:
        faulty, sibling, other = await results_of(aha.run(jobs))
    types = [result.error.type for result in (faulty, sibling) if result.error is not None]
    assert types == [ErrorType.UNKNOWN_FIELD, ErrorType.INCOMPLETE]
    assert other.status is Status.UNCHANGED
    assert sandbox.stats.methods["PUT"] == 0


async def test_definitions_that_cannot_be_read_are_told_and_gone_without(sandbox: Sandbox) -> None:
    """403: a token may lack the right, and link all the same."""
    async with Sandbox(limits=[], definitions="forbidden") as forbidden, eager(forbidden, preflight=True) as aha:
        with capture_logs() as logs:
            (result,) = await results_of(aha.run(features(1)))
    assert result.status is Status.LINKED
    assert [(log["event"], log["why"][:14]) for log in logs if log["log_level"] == "warning"] == [
        ("no_preflight", "your token may")
    ]


async def test_without_preflight_nothing_is_asked(sandbox: Sandbox) -> None:
    """And a field that is none is sent in vain, and its answer compared."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "contracts", ["7036045937940700101"])
    async with eager(sandbox, preflight=False) as aha:
        (result,) = await results_of(aha.run([{"id": "PRJ1-1", "links": {"custmers": [ACME]}}]))
    assert result.error is not None
    assert (result.status, result.error.type) == (Status.FAILED, ErrorType.NOT_APPLIED)
    assert "check that custmers is defined for features and is on the layout" in result.error.message
    assert all("definitions" not in seen.path for seen in sandbox.requests)


async def test_a_mirror_of_a_field_that_is_none_clears_nothing(sandbox: Sandbox) -> None:
    """The field of --mirror is looked at as those of jobs are."""
    async with eager(sandbox, preflight=True) as aha:
        with pytest.raises(UsageError, match='did you mean "customers"'):
            await results_of(aha.run(features(1), mirror=("feature:PRJ1", "custmers")))
    assert sandbox.stats.methods["PUT"] == 0


async def test_the_command_rejects_with_the_line_and_goes_on(command: Command, sandbox: Sandbox) -> None:
    """Exit 1, with the line; a second run of what is done asks nothing at all."""
    write_jobs(command.folder / "links.jsonl", [*features(2), {"id": "PRJ1-3", "links": {"customer": [ACME]}}])
    ran = await command("run", "links.jsonl", "--rate", "1000/1s")
    assert ran.code == 1
    assert 'links.jsonl line 3: field "customer" of features is a SelectEditable, not a link to records' in ran.stdout
    lines = lines_of(command.folder / "links.results.jsonl")
    assert [line["status"] for line in lines] == ["linked", "linked", "rejected"]
    write_jobs(command.folder / "links.jsonl", features(2))
    asked = sandbox.stats.requests
    resumed = await command("run", "links.jsonl", "--resume", "--rate", "1000/1s")
    assert (resumed.code, sandbox.stats.requests) == (0, asked)


async def test_no_mail_is_asked_with_each_write_and_no_read(command: Command, sandbox: Sandbox) -> None:
    """`disable_mailers=true` on PUTs and POSTs, of a run and of its undo."""
    jobs = [{"id": "PRJ1-1", "links": {"customers": [{"name": "Newcomer"}]}}]
    write_jobs(command.folder / "links.jsonl", jobs)
    options = ("--no-mail", "--rate", "1000/1s")
    table = ("--table", "customers=PRJ1/customers", "--create-missing")
    assert (await command("run", "links.jsonl", *table, *options)).code == 0
    assert (await command("undo", "links.results.jsonl", "--yes", *options)).code == 0
    writes = [seen for seen in sandbox.requests if seen.method != "GET"]
    assert [seen.method for seen in writes] == ["POST", "PUT", "PUT"]
    assert all("disable_mailers=true" in seen.query for seen in writes)
    assert all("disable_mailers" not in seen.query for seen in sandbox.requests if seen.method == "GET")


async def test_a_plan_warns_of_mails(command: Command) -> None:
    """80,000 PUTs may otherwise mail every watcher."""
    write_jobs(command.folder / "links.jsonl", features(1))
    planned = await command("plan", "links.jsonl")
    assert "writes may notify watchers by mail, and may trigger webhooks and integrations" in planned.stdout


async def test_definitions_on_several_pages_are_all_read() -> None:
    """Whether the list is paged is not documented; where it says so, it is read to its end."""
    pages = {
        "1": {"custom_field_definitions": [], "pagination": {"total_pages": 2}},
        "2": {
            "custom_field_definitions": [
                {"key": "k", "type": LINK_MANY, "custom_fieldable_type": "StrategicImperative"}
            ],
            "pagination": {"total_pages": 2},
        },
    }

    async def read(look: ReadRequest) -> Answer:
        return Answer(200, value=orjson.loads(orjson.dumps(pages[look.path.rpartition("=")[2]])))

    fields = await read_fields(read)
    assert fields is not None
    assert [(each.kind, each.key, each.name) for each in fields.links()] == [(Kind.GOAL, "k", "k")]


@pytest.mark.parametrize("shown", [[], [{"key": "priority", "type": "x", "custom_fieldable_type": "Page"}]])
async def test_definitions_that_show_nothing_reject_nothing(shown: list[dict[str, str]]) -> None:
    """A token that is shown none would else reject every job: it is told, and gone without."""

    async def read(look: ReadRequest) -> Answer:
        return Answer(200, value={"custom_field_definitions": shown})

    with capture_logs() as logs:
        assert await read_fields(read) is None
    assert [(log["event"], log["why"]) for log in logs] == [("no_preflight", "the account shows none")]


async def test_definitions_without_any_link_field_reject_nothing(sandbox: Sandbox) -> None:
    """The vendor's own example shows one field of another type: it is told, and every job goes on."""
    sandbox.account.definitions[:] = [each for each in sandbox.account.definitions if each.type != LINK_MANY]
    jobs = [*features(1), {"id": "PRJ1-2", "links": {"customers_table": [ACME]}}]
    async with eager(sandbox, preflight=True) as aha:
        with capture_logs() as logs:
            results = await results_of(aha.run(jobs))
        assert {result.status for result in results} == {Status.LINKED}
        check = await aha.check(jobs)
    assert [log["why"] for log in logs if log["event"] == "no_preflight"] == ["none of them links to records"]
    assert check.fields == []
    assert check.files is not None
    assert check.files.rejected.rejected == 0


async def test_one_link_field_of_another_kind_is_enough_to_reject(sandbox: Sandbox) -> None:
    """Then the token is shown link fields, and one that is missing is missing."""
    sandbox.account.definitions[:] = [
        each for each in sandbox.account.definitions if each.type != LINK_MANY or each.fieldable_type == "Epic"
    ]
    async with eager(sandbox, preflight=True) as aha:
        (result,) = await results_of(aha.run(features(1)))
    assert result.error is not None
    assert (result.status, result.error.type) == (Status.REJECTED, ErrorType.UNKNOWN_FIELD)
