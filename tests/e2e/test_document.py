"""What linker sends, held against the API's own document; and the job files that are made of its examples."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from support.command import Command
from support.runs import eager, lines_of, results_of

from linker import Kind, Status, Target
from linker.sandbox import Account, Sandbox

ROOT = Path(__file__).parents[2]
JOBS = sorted([*(ROOT / "jobs").glob("*.jsonl"), *(ROOT / "jobs").glob("*.csv")])
DOCUMENT = ROOT.parent / "shared" / "aha" / "custom_table_record_links.md"
EXAMPLE = re.compile(
    r"curl \"https://[^/]+(?P<path>/[^\"]+)\" -d '(?P<body>[^']+)' -X (?P<method>[A-Z]+)(?P<rest>.*?)```"
    r".*?```json\n(?P<answer>.*?)```",
    re.DOTALL,
)


class Documented(NamedTuple):
    """One example of the document: a request, and the links that its answer prints (None: none)."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, dict[str, dict[str, list[Any]]]]
    printed: dict[str, set[str]] | None

    @property
    def kind(self) -> Kind:
        """The kind that the body's wrapper names."""
        return Kind(*self.body)

    @property
    def job(self) -> dict[str, Any]:
        """The job that asks for it."""
        return {
            "kind": self.kind.value,
            "id": self.path.rpartition("/")[2],
            "links": self.body[self.kind]["custom_object_links"],
        }


def documented() -> Iterator[Documented]:
    """The document's examples; none where it is not here."""
    text = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else ""
    for found in EXAMPLE.finditer(text):
        body, answer = orjson.loads(found["body"]), orjson.loads(found["answer"])
        ((_, resource),) = answer.items()
        links = resource.get("custom_object_links")
        printed = None if links is None else {each["key"]: set(map(str, each["record_ids"])) for each in links}
        headers = dict(re.findall(r'-H "([^:]+): ([^"]+)"', found["rest"]))
        yield Documented(found["method"], found["path"], headers, body, printed)


EXAMPLES = {example.kind: example for example in documented()}


@pytest.mark.skipif(not DOCUMENT.exists(), reason="the API document is not here")
def test_the_document_has_an_example_of_each_kind_but_two() -> None:
    """Eight examples are found, so what follows is not empty."""
    assert set(EXAMPLES) == set(Kind) - {Kind.EPIC, Kind.IDEA_ORGANIZATION}


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=lambda example: example.kind)
async def test_a_documented_request_is_what_is_sent(example: Documented) -> None:
    """Method, path, headers and body of the one PUT are the document's; its ids are strings or numbers as there."""
    async with Sandbox(keep_requests=True) as sandbox, eager(sandbox) as aha:
        (result,) = await results_of(aha.run([example.job]))
    assert result.status is Status.LINKED
    (put,) = [seen for seen in sandbox.requests if seen.method != "GET"]
    assert (put.method, put.path) == (example.method, example.path)
    assert put.headers["Content-Type"] == example.headers["Content-Type"]
    assert put.headers["Accept"] == example.headers["Accept"]
    assert put.headers["Authorization"] == "Bearer sandbox"
    assert put.body == orjson.dumps(example.body)


@pytest.mark.parametrize("kind", Kind)
async def test_each_kinds_job_file_ends_as_the_document_prints(kind: Kind) -> None:
    """`jobs/KIND.jsonl` asks for the document's example, and the account then holds the links that it prints."""
    async with Sandbox() as sandbox, eager(sandbox) as aha:
        (result,) = await results_of(aha.run(ROOT / "jobs" / f"{kind}.jsonl"))
    assert (result.status, result.kind) == (Status.LINKED, kind)
    assert result.id is not None
    assert result.links is not None
    held = {field: set(ids) for field, ids in sandbox.account.links(kind, result.id).items()}
    assert held | {field: set(ids) for field, ids in result.links.items()} == held
    if kind in EXAMPLES:
        assert Target.parse(**{name: EXAMPLES[kind].job[name] for name in ("id", "kind")}) == Target(kind, result.id)
        printed = EXAMPLES[kind].printed
        assert (printed is None) == (kind is Kind.PRODUCT)
        assert printed is None or {field: ids for field, ids in printed.items() if ids} == held


def rows_of(path: Path) -> Iterator[tuple[Target, str, str, set[str]]]:
    """Target, field, mode and ids of each job of a file, read without linker."""
    if path.suffix == ".csv":
        with path.open(newline="") as stream:
            for row in csv.DictReader(stream):
                ids = set(re.findall(r"[0-9]+", row["record_ids"]))
                yield Target.parse(row["id"], row["kind"] or None), row["field"], row["mode"] or "replace", ids
        return
    for line in map(orjson.loads, path.read_bytes().splitlines()):
        for field, ids in line["links"].items():
            target = Target.parse(line["id"], line.get("kind"))
            yield target, field, line.get("mode", "replace"), set(map(str, ids))


def expected(account: Account, path: Path) -> dict[tuple[Target, str], set[str]]:
    """What the fields that a job file names are to hold."""
    asked: dict[tuple[Target, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    replaced = set()
    for target, field, mode, ids in rows_of(path):
        asked[target, field][mode] |= ids
        if mode == "replace":
            replaced.add((target, field))
    return {
        (target, field): (
            (modes["replace"] if (target, field) in replaced else set(account.links(target.kind, target.id)[field]))
            | modes["add"]
        )
        - modes["remove"]
        for (target, field), modes in asked.items()
    }


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.name)
async def test_a_job_file_makes_the_account_hold_what_it_asks_for(path: Path) -> None:
    """Each file in `jobs/` runs as it is, wholly, and the fields it names hold what it says."""
    async with Sandbox(limits=[]) as sandbox, eager(sandbox) as aha:
        wanted = expected(sandbox.account, path)
        results = await results_of(aha.run(path))
    assert {result.status for result in results} <= {Status.LINKED, Status.UNCHANGED}
    held = {(target, field): set(sandbox.account.links(target.kind, target.id)[field]) for target, field in wanted}
    assert held == wanted
    assert sandbox.stats.methods["PUT"] == len({result.id for result in results if result.status is Status.LINKED})


async def test_all_job_files_run_in_one_command(command: Command, sandbox: Sandbox) -> None:
    """`linker run jobs/*.jsonl`: every line of every file is linked, all ten kinds, one PUT a target."""
    paths = sorted((ROOT / "jobs").glob("*.jsonl"))
    finished = await command("run", *map(str, paths), "--results", "all.jsonl", "--rate", "1000/1s")
    assert finished.code == 0, finished.stdout
    lines = lines_of(command.folder / "all.jsonl")
    assert {line["kind"] for line in lines} == set(Kind)
    assert len(lines) == sum(len(path.read_bytes().splitlines()) for path in paths)
    assert sandbox.stats.methods["PUT"] == len({line["id"] for line in lines if line["status"] == "linked"})
