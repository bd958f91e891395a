"""Fields that a workspace's layout lacks: taken, and passed by; after ten in a row no more are asked."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs
from support.runs import ACME, eager, results_of

from linker import ErrorType, Kind, Status, Target
from linker.sandbox import Sandbox
from linker.work.layout import IN_A_ROW, Layout

PRJ2 = frozenset({("PRJ2", "customers")})


def features(product: str, *numbers: int) -> list[Target]:
    """Features of a product."""
    return [Target(Kind.FEATURE, f"{product}-{number}") for number in numbers]


def test_ten_in_a_row_stop_a_field() -> None:
    """Nine do not, and one that is taken in between begins the row anew."""
    layout = Layout()
    for target in features("PRJ1", *range(9)):
        layout.learn(target, {"customers": False})
    assert not layout.stopped(Target(Kind.FEATURE, "PRJ1-99"), ["customers"])
    layout.learn(Target(Kind.FEATURE, "PRJ1-9"), {"customers": True})
    for target in features("PRJ1", *range(9)):
        layout.learn(target, {"customers": False, "contracts": True})
    assert not layout.stopped(Target(Kind.FEATURE, "PRJ1-99"), ["customers"])
    layout.learn(Target(Kind.FEATURE, "PRJ1-9"), {"customers": False})
    assert layout.stopped(Target(Kind.FEATURE, "PRJ1-99"), ["customers", "contracts"]) == {"customers"}


def test_what_is_stopped_is_the_field_of_that_kind_in_those_workspaces() -> None:
    """Another workspace's layout may have it, and another kind's; a number tells no workspace."""
    layout = Layout()
    numbered = [Target(Kind.FEATURE, str(number)) for number in range(5)]
    for target in [*features("PRJ2", *range(5)), *numbered]:
        layout.learn(target, {"customers": False})
    stopped = [Target(Kind.FEATURE, "PRJ2-9"), Target(Kind.FEATURE, "77")]
    others = [Target(Kind.FEATURE, "PRJ1-9"), Target(Kind.EPIC, "PRJ2-E-9")]
    assert [bool(layout.stopped(target, ["customers"])) for target in stopped + others] == [True, True, False, False]


@pytest.mark.parametrize("blind", [False, True])
async def test_the_rest_of_a_workspace_that_lacks_the_field_is_not_sent(blind: bool) -> None:
    """Ten are tried one after the other; those after them are rejected; the other workspace's are linked."""
    async with Sandbox(limits=[], features=100, off_layout=PRJ2) as sandbox:
        release = sandbox.account.find(Kind.RELEASE, "PRJ2-R-1")
        product = sandbox.account.find(Kind.PRODUCT, "PRJ2")
        assert release is not None
        assert product is not None
        template = sandbox.account.find(Kind.FEATURE, "PRJ2-1")
        assert template is not None
        for number in range(2, 41):
            sandbox.account.add(type(template)(Kind.FEATURE, number, f"PRJ2-{number}", "", product.id, release.id))
        jobs = [{"id": f"PRJ2-{number}", "links": {"customers": [ACME]}} for number in range(1, 41)]
        jobs += [{"id": f"PRJ1-{number}", "links": {"customers": [ACME]}} for number in range(1, 41)]
        with capture_logs() as logs:
            async with eager(sandbox, preflight=True, concurrency=1, blind=blind) as aha:
                results = await results_of(aha.run(jobs))
        lacking, linked = results[:40], results[40:]
        tried = [result for result in lacking if result.attempts]
        unsent = [result for result in lacking if not result.attempts]
        assert (len(tried), len(unsent)) == (IN_A_ROW, 30)
        assert {result.status for result in linked} == {Status.LINKED}
        for result in tried:
            assert result.error is not None
            assert (result.status, result.error.type, result.attempts) == (Status.FAILED, ErrorType.NOT_APPLIED, 1)
            assert "customers is defined for features, so it is likely not on the layout of the" in result.error.message
        for result in unsent:
            assert result.error is not None
            assert (result.status, result.error.type, result.attempts) == (Status.REJECTED, ErrorType.NOT_APPLIED, 0)
            assert result.error.message.startswith("not sent: 10 features in a row did not take customers; ")
        assert sandbox.stats.methods["PUT"] == IN_A_ROW + 40
    assert [log["event"] for log in logs if log["log_level"] == "warning"] == ["off_layout"]


async def test_other_fields_of_the_same_targets_go_on() -> None:
    """A job on the field that is lacking takes only its own field's `replace` siblings along."""
    async with Sandbox(limits=[], features=100, off_layout=frozenset({("PRJ1", "customers")})) as sandbox:
        contract = "7036045937940700101"
        jobs = [
            job
            for number in range(1, 31)
            for job in (
                {"id": f"PRJ1-{number}", "links": {"customers": [ACME]}},
                {"id": f"PRJ1-{number}", "links": {"contracts": [contract]}},
            )
        ]
        async with eager(sandbox, concurrency=1) as aha:
            results = await results_of(aha.run(jobs))
        lacking, held = results[::2], results[1::2]
        assert {result.status for result in held} == {Status.LINKED}
        assert [result.status for result in lacking] == [Status.FAILED] * 10 + [Status.REJECTED] * 20
        assert len(sandbox.account.all_links()) >= 30


async def test_a_record_that_is_dropped_in_silence_is_no_layout() -> None:
    """What else of the PUT is there shows that the field takes records: the message does not blame the layout."""
    async with Sandbox(limits=[], features=100, unknown_record="ignore") as sandbox:
        jobs = [{"id": f"PRJ1-{number}", "links": {"customers": [ACME, "999"]}} for number in range(1, 31)]
        async with eager(sandbox, concurrency=1) as aha:
            results = await results_of(aha.run(jobs))
    messages = {result.error.message for result in results if result.error is not None}
    assert messages == {"answered 200, but customers does not hold what was asked"}
    assert {result.status for result in results} == {Status.FAILED}
