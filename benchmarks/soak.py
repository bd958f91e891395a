"""The soak: random batches, modes, faults, outside writers and `kill -9`, resumed until each batch is done.

    python benchmarks/soak.py --seconds 600 --seed 1
    python benchmarks/soak.py --kills 1000

Each round has a sandbox of its own behind a proxy that breaks a share of the requests; `linker run --resume` is started
as a process and killed, again and again, until it ends by itself. Then all of these must hold:

* each job has exactly one last line, and none that the batch did not ask for;
* no target whose jobs all had a good line when a run was killed was sent again by a later run;
* the account holds what the formula says, except for what outside writers did;
* the account's limits were never broken, and no target had two PUTs at once;
* each name that the account did not have is exactly one record, whatever was killed or lost meanwhile;
* the undo restores what was there, except for what outside writers did.

A round that fails prints its seed, which repeats it: `--seed N --rounds 1`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.fault_proxy import FAULTS, FaultProxy

from linker.model.target import Kind
from linker.results.journal import journal_of, left_open
from linker.sandbox import Resource, Sandbox

_FIELDS: Final = ("customers", "customers_table")
_ROUGH: Final = tuple(
    fault for fault in FAULTS if fault not in ("redirect", "407", "hang", "too long", "gzip bomb", "byte by byte")
)
_TABLES: Final = tuple(each for name in _FIELDS for each in ("--table", f"{name}=PRJ1/customers"))
_LIMIT: Final = (200, 1.0)


@dataclass
class Totals:
    """The totals of all rounds."""

    rounds: int = 0
    runs: int = 0
    kills: int = 0
    jobs: int = 0
    requests: int = 0
    created: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    in_doubt: int = 0
    """PUTs that the account had taken, and whose results were not on disk, when their process was killed."""
    complete_and_open: int = 0
    """Targets that had all their lines, and whose PUT was still open in the journal, when their process was killed."""
    sent_again: int = 0
    """Targets that had all their lines when a process was killed, and that a later run sent again."""

    def told(self) -> dict[str, Any]:
        return {
            "rounds": self.rounds,
            "runs": self.runs,
            "kills": self.kills,
            "jobs": self.jobs,
            "requests": self.requests,
            "created": self.created,
            "faults": sum(self.faults.values()),
            "kinds_of_faults": len(self.faults),
            "puts_killed_before_their_line": self.in_doubt,
            "complete_but_open_when_killed": self.complete_and_open,
            "complete_but_sent_again": self.sent_again,
        }


State = dict[tuple[str, str], frozenset[str]]


class Round:
    """One batch, from its first run to its undo."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.folder = folder
        self.results = folder / "links.results.jsonl"
        self.kills = 0
        self.complete: dict[str, int] = {}
        """The run that wrote all lines of a target, for those that had them when a process was killed."""

    def state(self, sandbox: Sandbox) -> State:
        return {
            (id, name): frozenset(sandbox.account.links(Kind.FEATURE, id).get(name, ()))
            for id in self.ids
            for name in _FIELDS
        }

    def batch(self, records: list[str]) -> list[dict[str, Any]]:
        """Jobs of all modes, without conflicts between adds and removes."""
        rng, jobs = self.random, list[dict[str, Any]]()
        halves = (records[: len(records) // 2], records[len(records) // 2 :])
        for id in self.ids:
            for _ in range(rng.choice((1, 1, 1, 2, 3))):
                mode = rng.choice(("replace", "replace", "add", "remove"))
                links = {}
                for name in rng.sample(_FIELDS, rng.choice((1, 1, 2))):
                    pool = halves[1] if mode == "remove" else halves[0]
                    links[name] = sorted(rng.sample(pool, rng.randint(0 if mode == "replace" else 1, 3)))
                jobs.append({"id": id, "links": links, "mode": mode, "key": rng.choice((None, 1, {"a": [1]}))})
        rng.shuffle(jobs)
        return jobs

    async def play(self, totals: Totals, kills_left: int | None) -> None:
        """Play the round. Raises `AssertionError` if a promise is broken."""
        rng = self.random
        count = rng.randint(5, 60)
        self.ids = [f"PRJ1-{number}" for number in range(1, count + 1)]
        async with Sandbox(
            limits=[_LIMIT], features=count, records=12, latency_ms=rng.choice((0, 2, 10)), jitter_ms=1, seed=self.seed
        ) as sandbox:
            records = [str(each.id) for each in customers(sandbox)[:12]]
            for id in self.ids:
                for name in _FIELDS:
                    ids = rng.sample(records, rng.randint(0, 3))
                    if ids:
                        sandbox.account.set_links(Kind.FEATURE, id, name, ids)
            before = self.state(sandbox)
            self.names = {str(each.id): each.name for each in customers(sandbox)[:12]}
            newcomers = [f"Newcomer {number}" for number in range(rng.choice((0, 0, 3, 8)))]
            pool = [*newcomers, *records]
            jobs = self.batch(pool)
            self.write(jobs)
            share = rng.choice((0.0, 0.05, 0.2))
            async with FaultProxy(sandbox.url, faults=_ROUGH, share=share, seed=self.seed) as proxy:
                colleague = asyncio.create_task(self.colleague(sandbox)) if rng.random() < 0.5 else None
                await self.run_until_done(sandbox, proxy, totals, kills_left)
                if colleague is not None:
                    colleague.cancel()
                    await asyncio.wait({colleague})
                made = Counter(each.name for each in customers(sandbox) if each.name in newcomers)
                assert all(count == 1 for count in made.values()), made
                totals.created += made.total()
                known = {each.name: str(each.id) for each in customers(sandbox) if each.name in newcomers}
                jobs = [job | {"links": by_id(job["links"], known)} for job in jobs]
                self.check_sent_once(totals)
                self.check(sandbox, jobs, before)
                await self.undo(proxy)
                self.check_undone(sandbox, before)
                totals.faults.update(proxy.befallen)
            assert sandbox.stats.too_early == 0
            assert sandbox.stats.refused == 0, f"{sandbox.stats.refused} requests were over the limit"
            totals.requests += sandbox.stats.requests
        totals.rounds += 1
        totals.jobs += len(jobs)
        totals.kills += self.kills

    def write(self, jobs: list[dict[str, Any]]) -> None:
        """Write the job file: some records by name, and all that are still to be created."""
        lines = (job | {"links": {name: self.told(ids) for name, ids in job["links"].items()}} for job in jobs)
        (self.folder / "links.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))

    def told(self, ids: list[str]) -> list[str | dict[str, str]]:
        by_name = self.random.random() < 0.3
        return [{"name": self.names.get(id, id)} if by_name or not id.isdigit() else id for id in ids]

    async def colleague(self, sandbox: Sandbox) -> None:
        """Edit the same targets, in a field that the batch does not use."""
        contracts = ids_of(sandbox, "contracts")
        while True:
            await asyncio.sleep(self.random.uniform(0.01, 0.2))
            id = self.random.choice(self.ids)
            held = set(sandbox.account.links(Kind.FEATURE, id).get("contracts", ()))
            held ^= {self.random.choice(contracts)}
            sandbox.account.set_links(Kind.FEATURE, id, "contracts", sorted(held))

    async def start(self, proxy: FaultProxy, *arguments: str) -> asyncio.subprocess.Process:
        environment = {
            **os.environ,
            "AHA_URL": proxy.url,
            "AHA_TOKEN": "sandbox",
            "XDG_STATE_HOME": str(self.folder / "state"),
        }
        rate = f"{_LIMIT[0]}/{_LIMIT[1]:g}s"
        durability = self.random.choice(("flush", "fsync"))
        options = ("--rate", rate, "--attempts", "30", "--no-progress", "--yes", "--durability", durability)
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "linker", *arguments, *options),
            cwd=self.folder,
            env=environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run_until_done(self, sandbox: Sandbox, proxy: FaultProxy, totals: Totals, kills_left: int | None) -> None:
        """Start, kill and start again, at random instants; sometimes with a signal that lets the run end in order."""
        rng = self.random
        most = rng.randint(0, 12) if kills_left is None else min(kills_left, 40)
        while True:
            totals.runs += 1
            create = ("--create-missing", "--create-wait", "0.5")
            process = await self.start(proxy, "run", "links.jsonl", "--resume", *create, *_TABLES)
            wait = asyncio.create_task(process.communicate())
            if self.kills < most:
                at = await self.instant(process)
                await asyncio.wait({wait}, timeout=at)
                with suppress(ProcessLookupError):  # it has just ended
                    # not by the process object, which would look for its end first, past asyncio's own look for it
                    os.kill(process.pid, rng.choice((signal.SIGKILL,) * 5 + (signal.SIGTERM,)))
                    self.kills += 1
            _, stderr = await wait
            assert b"Traceback" not in stderr, stderr.decode()
            if process.returncode == 0:
                return
            if process.returncode == 1 and self.has_creation_in_doubt():
                continue
            left = left_open(journal_of(self.results))
            self.note_complete(Counter(map(id_of, whole_lines(self.folder / "links.jsonl"))))
            totals.complete_and_open += len(self.complete.keys() & {target.id for target in left})
            for intent in (each.intent for each in left.values()):
                held = {
                    name: frozenset(sandbox.account.links(Kind.FEATURE, intent.target.id)[name]) for name in intent.put
                }
                totals.in_doubt += held == dict(intent.put)
            assert process.returncode in (-signal.SIGKILL, -signal.SIGTERM, 143), (process.returncode, stderr.decode())

    def has_creation_in_doubt(self) -> bool:
        """Whether the last run failed rows because a creation got no answer, so that the next run looks for it."""
        lines = whole_lines(self.results)
        last = max((line.get("run", 0) for line in lines), default=0)
        errors = [line["error"] for line in lines if line.get("run", 0) == last and line["error"] is not None]
        return any("may already exist" in error["message"] for error in errors)

    def note_complete(self, jobs: Counter[str]) -> None:
        """Note the targets that have a good line for each of their jobs, all of one run."""
        lines = whole_lines(self.results)
        good = Counter((id_of(line), line.get("run", 0)) for line in lines if line["status"] in ("linked", "unchanged"))
        for (id, run), count in good.items():
            if count == jobs[id]:
                self.complete.setdefault(id, run)

    def check_sent_once(self, totals: Totals) -> None:
        """No target that was complete when a process was killed has lines of a later run."""
        again = {
            id_of(line)
            for line in whole_lines(self.results)
            if line.get("run", 0) > self.complete.get(id_of(line), line.get("run", 0))
        }
        totals.sent_again += len(again)
        assert not again, again

    async def instant(self, process: asyncio.subprocess.Process) -> float:
        """Wait for the instant to kill: some time after the results have grown, because a process starts slowly."""
        size = self.size()
        for _ in range(200):
            if self.size() != size or process.returncode is not None or self.random.random() < 0.005:
                break
            await asyncio.sleep(0.01)
        return self.random.choice((0.0, self.random.uniform(0, 0.02), self.random.uniform(0, 0.2)))

    def size(self) -> int:
        return sum(path.stat().st_size for path in (self.results, journal_of(self.results)) if path.exists())

    def check(self, sandbox: Sandbox, jobs: list[dict[str, Any]], before: State) -> None:
        """Check that each job has one good last line, and that the account holds what the formula says."""
        last: dict[tuple[int, bytes], list[dict[str, Any]]] = defaultdict(list)
        data = self.results.read_bytes()
        assert data.endswith(b"\n")
        for line in map(orjson.loads, data.splitlines()):
            if any(isinstance(id, dict) for ids in line["links"].values() for id in ids):
                continue  # a name whose record was in doubt; a later line has its id
            last[line.get("run", 0), content_of(line)].append(line)
        asked = Counter(map(content_of, jobs))
        newest: dict[bytes, int] = {}
        for run, content in last:
            newest[content] = max(run, newest.get(content, 0))
        assert newest.keys() == asked.keys()
        for content, run in newest.items():
            lines = last[run, content]
            assert len(lines) == asked[content], (content, lines)
            assert {line["status"] for line in lines} <= {"linked", "unchanged"}, lines
        after = formula(jobs, before)
        now = self.state(sandbox)
        assert now == after, {part: (now[part], after[part]) for part in after if now[part] != after[part]}
        assert not journal_of(self.results).exists()

    async def undo(self, proxy: FaultProxy) -> None:
        process = await self.start(proxy, "undo", "links.results.jsonl")
        _, stderr = await process.communicate()
        assert process.returncode == 0, stderr.decode()

    def check_undone(self, sandbox: Sandbox, before: State) -> None:
        now = self.state(sandbox)
        assert now == before, {part: (now[part], before[part]) for part in before if now[part] != before[part]}


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a JSONL file, none if it does not exist."""
    data = path.read_bytes() if path.exists() else b""
    return [orjson.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]


def id_of(job: dict[str, Any]) -> str:
    """The id of a job's target."""
    return str(job["id"])


def content_of(job: dict[str, Any]) -> bytes:
    """What identifies a job across resumes."""
    links = {name: sorted(map(str, ids)) for name, ids in job["links"].items()}
    return orjson.dumps([job["id"], job["mode"], links, job["key"]], option=orjson.OPT_SORT_KEYS)


def ids_of(sandbox: Sandbox, table: str) -> list[str]:
    """The records of a table."""
    return [str(each.id) for each in sandbox.account.listed(Kind.CUSTOM_OBJECT_RECORD) if each.table == table]


def customers(sandbox: Sandbox) -> list[Resource]:
    """The records of the table that the batch links to."""
    return [each for each in sandbox.account.listed(Kind.CUSTOM_OBJECT_RECORD) if each.table == "customers"]


def by_id(links: dict[str, list[str]], ids: dict[str, str]) -> dict[str, list[str]]:
    """Links with the ids of the created records, sorted as in results."""
    return {
        name: sorted({ids.get(each, each) for each in records}, key=lambda id: (len(id), id))
        for name, records in links.items()
    }


def formula(jobs: list[dict[str, Any]], before: State) -> State:
    """(The union of the replace lists, or else the current list) and the adds, without the removes."""
    after = dict(before)
    for part in before:
        lists: dict[str, list[set[str]]] = defaultdict(list)
        for job in jobs:
            if job["id"] == part[0] and part[1] in job["links"]:
                lists[job["mode"]].append(set(job["links"][part[1]]))
        base = set().union(*lists["replace"]) if lists["replace"] else set(before[part])
        after[part] = frozenset(base.union(*lists["add"]).difference(*lists["remove"]))
    return after


async def soak(seed: int, *, seconds: float | None, rounds: int | None, kills: int | None) -> Totals:
    """Play rounds until the time is over, or so many were played, or so many runs were killed."""
    totals, begun = Totals(), time.monotonic()
    while True:
        if seconds is not None and time.monotonic() - begun >= seconds:
            return totals
        if rounds is not None and totals.rounds >= rounds:
            return totals
        if kills is not None and totals.kills >= kills:
            return totals
        folder = Path(tempfile.mkdtemp(prefix="soak-"))
        number = seed + totals.rounds
        try:
            await Round(number, folder).play(totals, None if kills is None else kills - totals.kills)
        except BaseException:
            print(f"round of seed {number} failed; its files are in {folder}", file=sys.stderr)
            raise
        shutil.rmtree(folder)


def main() -> None:
    """Run the soak and print its totals."""
    parser = argparse.ArgumentParser(description="Random batches, faults and kills, resumed until done and checked.")
    parser.add_argument("--seconds", type=float, help="how long, 600 where nothing else is said")
    parser.add_argument("--rounds", type=int, help="so many rounds")
    parser.add_argument("--kills", type=int, help="so many runs that are killed")
    parser.add_argument("--seed", type=int, default=1, help="of the first round; the next has the next")
    given = parser.parse_args()
    seconds = given.seconds if (given.rounds or given.kills or given.seconds) else 600.0
    begun = time.monotonic()
    totals = asyncio.run(soak(given.seed, seconds=seconds, rounds=given.rounds, kills=given.kills))
    told = {"seed": given.seed, **totals.told(), "seconds": round(time.monotonic() - begun, 1)}
    print(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())


if __name__ == "__main__":
    main()
