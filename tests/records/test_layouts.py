"""The layouts of workspaces: `check` tells which lack a field, and a pioneer on such a one proves nothing."""

from __future__ import annotations

from support.command import Command
from support.runs import ACME, eager, features, results_of, write_jobs

from linker import Kind, Status
from linker.api.layouts import parse_layouts
from linker.records.layouts import LayoutGap
from linker.sandbox import Sandbox

OFF_PRJ1 = frozenset({("PRJ1", "customers")})


async def test_a_check_tells_which_layouts_lack_a_field() -> None:
    """Where the account shows its layouts; where it does not, nothing is said, and nothing is rejected either way."""
    for layouts, expected in (("shown", [(Kind.FEATURE, "customers", 1)]), ("forbidden", [])):
        async with Sandbox(limits=[], off_layout=OFF_PRJ1, layouts=layouts) as sandbox, eager(sandbox) as aha:
            check = await aha.check(features(2), preflight=True)
        assert check.files is not None
        assert check.ok
        assert [(gap.kind, gap.field, len(gap.layouts)) for gap in check.files.gaps] == expected


async def test_a_pioneer_whose_layout_lacks_the_field_passes_its_role_on() -> None:
    """Its workspace takes no links; those of another do, by an add that was only safe to write with proof."""
    async with Sandbox(limits=[], off_layout=OFF_PRJ1) as sandbox:
        jobs = [{**job, "mode": "add"} for job in features(2)]
        jobs += [{"id": id, "links": {"customers": [ACME]}, "mode": "add"} for id in ("PRJ2-1", "PRJ3-1", "PRJ3-2")]
        async with eager(sandbox) as aha:
            results = await results_of(aha.run(jobs))
        assert [result.status for result in results] == [Status.FAILED] * 2 + [Status.LINKED] * 3
        assert results[2].before == {"customers": []}


def test_odd_layouts_are_left_out() -> None:
    """Pages, entries of another form, and what is no list at all."""
    customers = {"key": "customers"}
    shown = [
        {"screenable_type": "Feature", "custom_field_definitions": [customers, "x", {"key": 7}]},
        {"screenable_type": "Page", "custom_field_definitions": [customers]},
        {"screenable_type": "Epic"},
        "x",
    ]
    assert parse_layouts(shown) == {Kind.FEATURE: {"customers"}}
    assert parse_layouts({"a": 1}) == parse_layouts(None) == {}
    assert LayoutGap(Kind.FEATURE, "customers", ("A",), 1).of == 1


async def test_the_screen_names_the_layouts(command: Command) -> None:
    """A line that says how many, which, and what follows."""
    write_jobs(command.folder / "links.jsonl", features(1))
    async with Sandbox(limits=[], off_layout=OFF_PRJ1, layouts="shown") as sandbox:
        checked = await command("check", "links.jsonl", "--url", sandbox.url)
    assert "layouts of features lacks the field customers (" in checked.stdout
    assert "the account ignores its links in workspaces with such a layout" in checked.stdout
