"""`linker demo`: runs a migration of a few hundred links on a sandbox of its own, in a few seconds."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from contextlib import chdir
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click
import orjson

from linker.cli.access import Access
from linker.cli.drive import run_in_loop
from linker.cli.run import carry_out
from linker.cli.verb import Verb
from linker.model.target import Kind
from linker.sandbox import Account, Fault, Limit, Sandbox
from linker.sessions.token import Token
from linker.settings import Rate, Settings
from linker.sources import JobFile

_LIMITS: Final = (Rate(40, 1.0), Rate(250, 6.0))
_FEATURES: Final = 110
_RECORDS: Final = 60


@click.command(
    "demo",
    cls=Verb,
    short_help="Watch a migration on a sandbox, in a few seconds.",
    epilog="""\b
Examples:
  linker demo
""",
)
def command() -> int:
    """Start a sandbox on a free port, run a migration with a few faults on it, and stop.

    Nothing leaves this machine, and no account or token is needed.
    """
    return run_in_loop(_demo())


async def _demo() -> int:
    limits = [Limit(rate.requests, rate.seconds) for rate in _LIMITS]
    sandbox = Sandbox(
        limits=limits,
        features=_FEATURES,
        records=_RECORDS,
        latency_ms=80,
        jitter_ms=40,
        faults=[Fault(503, 0.02), Fault("reset_after", 0.01)],
        seed=7,
    )
    jobs, results = Path("migration.jsonl"), Path("migration.results.jsonl")
    with tempfile.TemporaryDirectory(prefix="linker-demo-") as folder, chdir(folder):
        async with sandbox:
            lines = list(_lines(sandbox.account))
            jobs.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))  # noqa: ASYNC240
            rates = " and ".join(map(str, _LIMITS))
            click.echo(f"A sandbox serves an imitation of an Aha! account at {sandbox.url}.")
            click.echo(f"It allows {rates}, and answers 2% of the requests with an error (503).")
            click.echo(f"A job file of {len(lines)} rows says which records to link to what:\n")
            for line in islice(lines, 3):
                click.echo(f"  {orjson.dumps(line).decode()}")
            click.echo("  …\n\n$ linker run migration.jsonl\n")
            access = Access(
                Settings(base_url=sandbox.url, rate=_LIMITS, state_dir=None, yes=True), Token(sandbox.options.token)
            )
            code = await carry_out(access, [JobFile(jobs)], results, how={}, next_step=False)
        click.echo("\nThe results file has one line for each row, for example:\n")
        lines_written = results.read_bytes().splitlines()  # noqa: ASYNC240  the run is over
        for status in (b'"linked"', b'"rejected"'):
            click.echo(f"  {next(line for line in lines_written if status in line).decode()}\n")
        stats = sandbox.stats
        click.echo(
            f"For {len(lines)} rows, the sandbox counted {stats.methods['PUT']} PUTs. It refused {stats.refused} "
            f"requests (429), and {sum(stats.faults.values())} requests that met an error were sent again."
        )
        click.echo("Next: run `linker sandbox`, which says how to try it with a CSV of your own.")
    return 0 if code == 1 else code  # 1: two lines are wrong on purpose


def _lines(account: Account) -> Iterator[dict[str, Any]]:
    """Yield the lines of a typical migration: several per target, additions, a clear, and two invalid ones."""
    chance = random.Random(7)  # noqa: S311  the same demo every time
    records = account.listed(Kind.CUSTOM_OBJECT_RECORD)
    customers = [str(record.id) for record in records if record.table == "customers"]
    features = [feature.reference for feature in account.listed(Kind.FEATURE)]
    yield {"id": "PRJ1-1", "links": {"customers": ["640362830"]}, "key": "crm-1"}
    yield {"id": "PRJ1-R-1", "links": {"customers": ["640362830"]}, "key": "crm-2"}
    yield {"id": "PRJ1-I-1", "links": {"customers": ["640362830"], "submitters": []}, "key": "crm-3"}
    yield {"id": "PRJ1-2", "lnks": {"customers": ["640362830"]}, "key": "crm-4"}
    yield {"id": "PRJ1-3", "links": {"customers": [7.03605e18]}, "key": "crm-5"}
    number = 5
    for reference in features:
        for customer in chance.sample(customers, chance.randint(1, 4)):
            number += 1
            yield {"id": reference, "links": {"customers": [customer]}, "mode": "add", "key": f"crm-{number}"}
