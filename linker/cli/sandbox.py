"""`linker sandbox`: serves an imitation of an Aha! account on this machine, for tests and rehearsals."""

from __future__ import annotations

import asyncio
import errno
import signal
from functools import partial
from typing import Final

import click

from linker.cli.drive import run_in_loop
from linker.cli.verb import Verb, option
from linker.errors import UsageError
from linker.model.target import Kind
from linker.sandbox import Fault, Limit, Sandbox, SandboxOptions
from linker.sandbox.options import EMPTY_LINKS

_SERVER: Final = partial(option, group="Server options")
_CONTENT: Final = partial(option, group="Content options")
_BEHAVIOUR: Final = partial(option, group="Behaviour options")


@click.command(
    "sandbox",
    cls=Verb,
    short_help="Serve an imitation of an Aha! account to rehearse on.",
    epilog="""\b
Examples:
  linker sandbox --port 8765
  linker sandbox --features 5000 --latency 200
  linker sandbox --limit 300/60s --window fixed \\
      --fail 503:0.01 --fail reset:0.001
  linker sandbox --empty-links null --hide product \\
      --hide goal --stale-puts

\b
Faults for --fail: a status (429, 500, 503), reset, html
or cut, each with its share of the requests: 503:0.01
""",
)
@_SERVER(
    "--port", metavar="PORT", type=int, default=8765, show_default=True, help="Listen on this port; 0 takes a free one"
)
@_SERVER("--token", metavar="TEXT", default="sandbox", show_default=True, help="Accept this token (any text)")
@_SERVER(
    "--limit",
    metavar="RATE",
    multiple=True,
    show_default="the limits of Aha!",
    help="Allow this many requests, such as 300/60s",
)
@_SERVER("--no-limit", is_flag=True, help="Allow any number of requests")
@_SERVER(
    "--window",
    type=click.Choice(["sliding", "fixed", "bucket"]),
    default="sliding",
    show_default=True,
    help="Choose how requests are counted",
)
@_SERVER("--latency", metavar="MS", type=float, default=0.0, help="Wait MS milliseconds before each answer")
@_SERVER("--fail", metavar="WHAT:SHARE", multiple=True, help="Let a share of the requests fail, such as 503:0.01")
@_CONTENT("--records", metavar="N", type=int, default=0, help="Add N customers")
@_CONTENT("--features", metavar="N", type=int, default=0, help="Add N features, from PRJ1-6 on")
@_CONTENT("--seed", metavar="N", type=int, default=0, help="Draw other ids, names and faults")
@_CONTENT(
    "--title-key",
    metavar="KEY",
    default=SandboxOptions.title_key,
    show_default=True,
    help="Keep the names of records under this key",
)
@_BEHAVIOUR(
    "--empty-links",
    type=click.Choice(EMPTY_LINKS),
    default=SandboxOptions.empty_links,
    show_default=True,
    help="Choose how a target shows that it has no links",
)
@_BEHAVIOUR(
    "--ids",
    type=click.Choice(["strings", "numbers"]),
    default=SandboxOptions.ids,
    show_default=True,
    help="Choose how the ids of linked records are shown",
)
@_BEHAVIOUR(
    "--hide",
    metavar="KIND",
    multiple=True,
    default=sorted(SandboxOptions.hidden),
    show_default=True,
    help="Hide links of this kind; 'none' shows all",
)
@_BEHAVIOUR("--stale-puts", is_flag=True, help="Answer a PUT with the links from before it")
@_BEHAVIOUR("--stale-reads", metavar="N", type=int, default=0, help="Show old links N times after each PUT")
@_BEHAVIOUR("--blank-clears", is_flag=True, help='Clear a field only by [""]; [] changes nothing')
@_BEHAVIOUR("--largest-page", metavar="N", type=int, help="Answer 504 to list pages of more than N items")
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
    """Serve an imitation of an Aha! account on this machine until you press Ctrl-C.

    It has all kinds that can be linked, custom tables, rate limits and the errors of Aha!. It forgets all links when
    it ends.
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
    try:
        run_in_loop(_serve(options))
    except UsageError as error:
        if not isinstance(error.__cause__, OSError) or error.__cause__.errno != errno.EADDRINUSE:
            raise
        raise UsageError(
            f"port {port} is in use, perhaps by another sandbox. Stop that one, or take any free port: "
            "linker sandbox --port 0"
        ) from None
    return 0


async def _serve(options: SandboxOptions) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with Sandbox(options) as sandbox:
        limits = " and ".join(map(str, options.limits)) or "none"
        click.echo(f"sandbox at {sandbox.url}, limits: {limits}. Press Ctrl-C to stop it. In another terminal:\n")
        click.echo(f"  export AHA_URL={sandbox.url} AHA_TOKEN={options.token}")
        click.echo("  linker check")
        click.echo("  linker init FILE.csv        (with a table of your own)\n")
        await ended.wait()
        stats = sandbox.stats
        click.echo(f"{stats.requests:,} requests served, {stats.refused:,} of them refused (429)")
