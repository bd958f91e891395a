"""`linker verify`: does the account hold what the files ask for?"""

from __future__ import annotations

import pytest
from support.command import Command
from support.runs import ACME, ZANE, write_jobs

from linker import Kind
from linker.sandbox import Sandbox


@pytest.fixture
def links(command: Command, sandbox: Sandbox) -> str:
    """A file that adds, removes, clears and leaves alone."""
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-2", "customers", [ACME, ZANE])
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-3", "customers", [ACME])
    sandbox.account.set_links(Kind.IDEA, "PRJ1-I-5", "customers", [])
    write_jobs(
        command.folder / "links.jsonl",
        [
            {"id": "PRJ1-1", "links": {"customers": [ACME, ZANE]}, "mode": "add"},
            {"id": "PRJ1-2", "links": {"customers": [ACME]}, "mode": "remove"},
            {"id": "PRJ1-3", "links": {"customers": [ACME]}},
            {"id": "PRJ1-I-5", "links": {"customers": []}},
        ],
    )
    return "links.jsonl"


async def test_verify_says_no_before_and_yes_after(links: str, command: Command, sandbox: Sandbox) -> None:
    """Each difference is named in a line, and nothing is written."""
    before = await command("verify", links)
    assert (before.code, before.stderr) == (1, "")
    assert sorted(before.stdout.splitlines()) == [
        "feature PRJ1-1: customers missing 8397122, 640362830",
        "feature PRJ1-2: customers should not have 640362830",
        "no: 2 of 4 targets as asked",
    ]
    assert before.stdout.splitlines()[-1].startswith("no: ")
    assert sandbox.stats.methods["PUT"] == 0
    await command("run", links)
    puts = sandbox.stats.methods["PUT"]
    after = await command("verify", links)
    assert (after.code, after.stdout, after.stderr) == (0, "yes: 4 of 4 targets as asked\n", "")
    assert sandbox.stats.methods["PUT"] == puts


async def test_what_an_outsider_changed_is_named(links: str, command: Command, sandbox: Sandbox) -> None:
    """What is lacking and what should be gone, field by field; what nobody asked about is nobody's business."""
    await command("run", links)
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [])
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-2", "contracts", ["7036045937940700101"])
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-3", "customers", [ZANE])
    spoilt = await command("verify", links)
    assert spoilt.code == 1
    assert sorted(spoilt.stdout.splitlines()) == [
        "feature PRJ1-1: customers missing 8397122, 640362830",
        "feature PRJ1-3: customers missing 640362830; should not have 8397122",
        "no: 2 of 4 targets as asked",
    ]
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-1", "customers", [ACME, ZANE])
    assert (await command("verify", links)).stdout.endswith("no: 3 of 4 targets as asked\n")


async def test_what_shows_no_links_is_named_and_is_no_yes(links: str, command: Command, sandbox: Sandbox) -> None:
    """A target whose answers show no links is unseen: nobody can say yes, so exit 1, after a run too."""
    write_jobs(command.folder / "unseen.jsonl", [{"id": "PRJ1", "links": {"customers": [ACME]}}])
    unseen = await command("verify", "unseen.jsonl")
    assert unseen.code == 1
    assert unseen.stdout.splitlines() == [
        "product PRJ1: not visible, because the account does not show its links",
        "no: 0 of 1 target as asked; 1 not visible",
    ]
    both = await command("verify", "unseen.jsonl", links)
    assert both.code == 1
    assert both.stdout.endswith("no: 2 of 5 targets as asked; 1 not visible\n")
    assert sandbox.stats.methods["PUT"] == 0


async def test_what_cannot_be_verified_is_no(command: Command) -> None:
    """A line that is no job and a target that is not there: named, and exit 1."""
    jobs = [{"id": "PRJ1-1", "lnks": {}}, {"id": "PRJ9-1", "links": {"customers": []}}]
    write_jobs(command.folder / "x.jsonl", [*jobs, {"id": "PRJ1-2", "links": {"customers": []}}])
    verified = await command("verify", "x.jsonl")
    assert verified.code == 1
    assert "x.jsonl line 1: rejected (invalid_job): " in verified.stdout
    assert (
        "x.jsonl line 2: failed (not_found): feature PRJ9-1 does not exist, or your token cannot see it (404)\n"
        in verified.stdout
    )
    assert verified.stdout.splitlines()[-1] == (
        "no: 0 of 3 targets as asked; 1 not visible; the account shows no links of features yet; "
        "1 row rejected; 1 row failed"
    )


async def test_a_mirror_is_verified_with_all_its_scope(links: str, command: Command, sandbox: Sandbox) -> None:
    """What the file does not name must hold nothing in the field."""
    await command("run", links)
    sandbox.account.set_links(Kind.FEATURE, "PRJ1-77", "customers", [ZANE])
    assert (await command("verify", links)).code == 0
    mirror = ("--mirror", "--field", "customers", "--scope", "feature:PRJ1")
    verified = await command("verify", links, *mirror)
    assert verified.code == 1
    assert verified.stdout == ("feature PRJ1-77: customers should not have 8397122\nno: 4 of 5 targets as asked\n")
    await command("run", links, *mirror, "--overwrite")
    assert (await command("verify", links, *mirror)).code == 0
