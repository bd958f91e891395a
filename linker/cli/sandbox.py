"""`linker sandbox`: serves an imitation of an Aha! account on this machine, for tests and rehearsals."""

from __future__ import annotations

import asyncio
import signal

import click

from linker.cli.drive import run_in_loop
from linker.model.target import Kind
from linker.sandbox import Fault, Limit, Sandbox, SandboxOptions
from linker.sandbox.options import EMPTY_LINKS


@click.command(
    "sandbox",
    short_help="Serve an Aha!-shaped account to rehearse on.",
    epilog="""\b
Examples:
  linker sandbox --port 8765
  linker sandbox --features 5000 --latency 200
  linker sandbox --limit 300/60s --window fixed --fail 503:0.01 --fail reset:0.001
  linker sandbox --empty-links null --hide product --hide goal --stale-puts
""",
)
@click.option("--port", metavar="PORT", type=int, default=8765, show_default=True, help="0 takes any free one.")
@click.option("--token", metavar="TEXT", default="sandbox", show_default=True, help="The token it takes; no secret.")
@click.option(
    "--limit", metavar="N/SECONDSs", multiple=True, help="Requests in a time; repeatable. Default: Aha!'s own."
)
@click.option("--no-limit", is_flag=True, help="As fast as it can.")
@click.option("--window", type=click.Choice(["sliding", "fixed", "bucket"]), default="sliding", show_default=True)
@click.option("--latency", metavar="MS", type=float, default=0.0, help="From a request to its answer.")
@click.option(
    "--fail", metavar="WHAT:SHARE", multiple=True, help="503:0.01, reset:0.01, html:0.01, cut:0.01; repeatable."
)
@click.option("--records", metavar="N", type=int, default=0, help="More customers.")
@click.option("--features", metavar="N", type=int, default=0, help="More features, from PRJ1-6 on.")
@click.option("--seed", metavar="N", type=int, default=0, help="Of all that is drawn: ids, names, faults.")
@click.option(
    "--empty-links",
    type=click.Choice(EMPTY_LINKS),
    default=SandboxOptions.empty_links,
    show_default=True,
    help="Choose how a target shows that it has no links.",
)
@click.option(
    "--ids",
    type=click.Choice(["strings", "numbers"]),
    default=SandboxOptions.ids,
    show_default=True,
    help="Choose how ids of linked records are shown.",
)
@click.option(
    "--hide",
    metavar="KIND",
    multiple=True,
    default=sorted(SandboxOptions.hidden),
    show_default=True,
    help="Never show links of this kind; repeatable, or 'none'.",
)
@click.option("--stale-puts", is_flag=True, help="Answer a PUT with the links from before it.")
@click.option("--stale-reads", metavar="N", type=int, default=0, help="Show old links N times after each PUT.")
@click.option("--blank-clears", is_flag=True, help='Clear a field by [""] alone; [] changes nothing.')
@click.option("--largest-page", metavar="N", type=int, help="Answer 504 to list pages of more than N items.")
@click.option(
    "--title-key",
    metavar="KEY",
    default=SandboxOptions.title_key,
    show_default=True,
    help="Keep the names of records under this key.",
)
def command(
    port: int,
    token: str,
    limit: tuple[str, ...],
    no_limit: bool,
    window: str,
    latency: float,
    fail: tuple[str, ...],
    records: int,
    features: int,
    seed: int,
    empty_links: str,
    ids: str,
    hide: tuple[str, ...],
    stale_puts: bool,
    stale_reads: int,
    blank_clears: bool,
    largest_page: int | None,
    title_key: str,
) -> int:
    """Serve an Aha!-shaped account on this machine until Ctrl-C.

    Ten kinds, lists, field definitions, a custom table, rate limits and Aha!'s errors; what is linked is
    forgotten when it ends.
    """
    limits = [Limit.parse(text) for text in limit] or SandboxOptions.limits
    options = SandboxOptions(
        port=port,
        token=token,
        limits=[] if no_limit else limits,
        window=window,  # type: ignore[arg-type]
        latency_ms=latency,
        faults=[Fault.parse(text) for text in fail],
        records=records,
        features=features,
        seed=seed,
        empty_links=empty_links,  # type: ignore[arg-type]
        ids=ids,  # type: ignore[arg-type]
        hidden=frozenset() if hide == ("none",) else frozenset(map(Kind.parse, hide)),
        stale_puts=stale_puts,
        stale_reads=stale_reads,
        blank_clears=blank_clears,
        largest_page=largest_page,
        title_key=title_key,
    )
    run_in_loop(_serve(options))
    return 0


async def _serve(options: SandboxOptions) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with Sandbox(options) as sandbox:
        limits = " and ".join(map(str, options.limits)) or "none"
        click.echo(f"sandbox at {sandbox.url}, limits: {limits}; Ctrl-C ends it. In another terminal:\n")
        click.echo(f"  export AHA_URL={sandbox.url} AHA_TOKEN={options.token}")
        click.echo("  linker run jobs/mixed.jsonl\n")
        await ended.wait()
        stats = sandbox.stats
        click.echo(f"{stats.requests:,} requests served, {stats.refused:,} of them refused (429)")
