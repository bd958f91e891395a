"""Fields that a workspace's layout lacks: the account accepts and ignores their PUTs; after ten in a row, a warning."""

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


def test_ten_in_a_row_warn_of_a_field() -> None:
    """Nine do not, one that is taken in between begins the row anew, and the warning comes once."""
    layout = Layout()
    with capture_logs() as logs:
        for target in features("PRJ1", *range(9)):
            layout.learn(target, {"customers": False})
        layout.learn(Target(Kind.FEATURE, "PRJ1-9"), {"customers": True})
        for target in features("PRJ1", *range(9)):
            layout.learn(target, {"customers": False, "contracts": True})
        assert logs == []
        for target in features("PRJ1", *range(9)):
            layout.learn(target, {"customers": False})
    [log] = logs
    assert (log["event"], log["field"], log["kind"], log["in_a_row"]) == (
        "off_layout",
        "customers",
        "feature",
        IN_A_ROW,
    )


@pytest.mark.parametrize("blind", [False, True])
async def test_all_of_a_workspace_that_lacks_the_field_are_tried(blind: bool) -> None:
    """No row is rejected by a guess: each target is written, and what it did not take fails with the likely reason."""
    async with Sandbox(limits=[], features=100, off_layout=PRJ2) as sandbox:
        release = sandbox.account.find(Kind.RELEASE, "PRJ2-R-1")
        product = sandbox.account.find(Kind.PRODUCT, "PRJ2")
        template = sandbox.account.find(Kind.FEATURE, "PRJ2-1")
        assert release is not None
        assert product is not None
        assert template is not None
        for number in range(2, 41):
            sandbox.account.add(type(template)(Kind.FEATURE, number, f"PRJ2-{number}", "", product.id, release.id))
        sandbox.account.set_links(Kind.FEATURE, "PRJ2-1", "contracts", ["7036045937940700101"])
        jobs = [{"id": f"PRJ2-{number}", "links": {"customers": [ACME]}} for number in range(1, 41)]
        jobs += [{"id": f"PRJ1-{number}", "links": {"customers": [ACME]}} for number in range(1, 41)]
        with capture_logs() as logs:
            async with eager(sandbox, concurrency=1, preflight=True, blind=blind) as aha:
                results = await results_of(aha.run(jobs))
        results.sort(key=lambda result: result.job)  # looks that wait come later
        lacking, linked = results[:40], results[40:]
        assert {result.status for result in linked} == {Status.LINKED}
        for result in lacking:
            assert result.error is not None
            assert (result.status, result.error.type, result.attempts) == (Status.FAILED, ErrorType.NOT_APPLIED, 1)
            assert "customers is probably not on the layout of features in this" in result.error.message
        assert sandbox.stats.methods["PUT"] == 80
    assert [log["event"] for log in logs if log["log_level"] == "warning"] == ["off_layout"]


async def test_a_record_that_is_dropped_in_silence_is_no_layout() -> None:
    """What else of the PUT is there shows that the field takes records: the message does not blame the layout."""
    async with Sandbox(limits=[], features=100, unknown_record="ignore") as sandbox:
        jobs = [{"id": f"PRJ1-{number}", "links": {"customers": [ACME, "999"]}} for number in range(1, 31)]
        async with eager(sandbox, concurrency=1) as aha:
            results = await results_of(aha.run(jobs))
    messages = [result.error.message for result in results if result.error is not None]
    assert len(messages) == 30
    assert all(message.endswith(" does not have the links that the row asks for") for message in messages)
    assert {result.status for result in results} == {Status.FAILED}
