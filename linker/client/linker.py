"""The entry points of the library: `Linker` for an account, and `link()` to run one batch in one call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from linker.api.lists import Listing
from linker.client.check import Check, checked
from linker.client.delete import deleted
from linker.client.export import exported
from linker.client.jobs import Jobs, sources_of
from linker.client.plan import Plan
from linker.client.run import Confirm, Run
from linker.client.tables import Record, Tables, find_records, find_tables
from linker.errors import UsageError
from linker.model.job import LinkJob
from linker.pipeline.consent import ConfirmUnreadable
from linker.pipeline.reads import Reads
from linker.ratelimit.limiter import RateLimiter
from linker.records.create import ConfirmNew
from linker.records.delete import Deletion
from linker.records.doubt import settled_s
from linker.results.file import ResultsFile
from linker.results.summary import Summary
from linker.results.undo import UndoFile
from linker.sessions.token import Token
from linker.settings import RUN_OPTIONS, Settings, base_url


class Linker:
    """One Aha! account, and the rate limiter that all runs on it share.

    Args:
        account: the NAME of `https://NAME.aha.io`, or an address there; or `url`, any other base (a sandbox, a proxy).
        token: an API key or an OAuth2 token; it is kept out of every log, result, error, `repr` and pickle.
        settings: all settings in one object, instead of `account`, `url` and `options`.
        options: fields of `linker.Settings` by name: `rate`, `concurrency`, `attempts`, `mode`…

    Raises:
        UsageError: a setting is invalid.

    Example:
        >>> async with Linker(account="company", token=token) as aha:
        ...     async for result in aha.run(jobs, results="links.results.jsonl"):
        ...         print(result.id, result.status)
    """

    def __init__(
        self,
        account: str | None = None,
        token: str | Token | None = None,
        *,
        url: str | None = None,
        settings: Settings | None = None,
        **options: Any,
    ) -> None:
        self._token = token = Token.of(token)  # so that no frame keeps the text
        token.check()
        self._settings = settings or Settings(base_url=base_url(account, url), **options)
        self._runs: list[Run] = []

    def __repr__(self) -> str:
        return f"<Linker {self._settings.base_url}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        for run in self._runs:
            await run.aclose()
        await asyncio.sleep(0)  # lets asyncio close the iterator of an `async for` that was left early

    @cached_property
    def _limiter(self) -> RateLimiter:
        return RateLimiter.of(self._settings)  # not before it is needed: it opens a file

    @property
    def requests(self) -> int:
        """How many requests this object has sent so far."""
        return self._limiter.turns

    def run(
        self,
        jobs: Jobs,
        results: str | Path | None = None,
        *,
        overwrite: bool = False,
        resume: bool = False,
        failed_only: bool = False,
        confirm: Confirm | None = None,
        confirm_unreadable: ConfirmUnreadable | None = None,
        confirm_new: ConfirmNew | None = None,
        after: Run | None = None,
        **options: Any,
    ) -> Run:
        """Return a run of a batch; iterating over it carries it out.

        Args:
            jobs: a path or several, or an (async) iterable of `LinkJob`s or dicts of a job file's keys.
            results: the results file; without one the run can be neither resumed nor undone.
            overwrite: rename an existing results file (adds a date) and start over.
            resume: continue from an existing results file and skip the jobs that are already done.
            failed_only: resume only the targets with a job that failed or was rejected.
            confirm: awaited with the number of removals and of links read, if a run would remove more links than
                `max_removals` allows; True continues. Without it, the run stops.
            confirm_unreadable: awaited at the end of the run if rows could not be read, with their number and the
                number of links that would be removed from lists that may lack them; True removes these. Without it,
                the jobs of such lists are rejected, unless `allow_unreadable` is set.
            confirm_new: awaited once with the records that `create_missing` is about to create (`name`, `table`,
                `places`, `rows`), unless `yes` is set; True creates them. Without it, they are created.
            after: a dry run of the same jobs that has ended (`dry_run(jobs, keep_reads=True)`): what it has read is not
                read again while it is younger than `max_age`.
            options: settings that differ from the `Linker`'s: `mode`, `blind`, `empty_clears`, `limit`, `yes`,
                `max_removals`, `allow_empty`, `allow_unreadable`, `min_rows`, `max_age`,
                `mirror=("feature:PRJ1", "customers")`, `match="salesforce_id"`,
                `table={"customers": "PRJ1/customers"}`, `name_field={"customers": "title"}`, `create_missing`,
                `create_all`, `create_wait`, `preflight`, `no_mail`, `account_unchecked`.

        Raises:
            UsageError: a setting is invalid; from the iteration: a file cannot be used (an undo, or the results to
                resume, may belong to another account), and nothing was written.
            Unreachable: from the iteration: the account's host does not exist or refuses connections.
            InputChanged: from the iteration: a job file changed during the run.
            NoRows: from the iteration: a mirror's input has no rows, or an input has fewer than `min_rows`.
            TooManyRemovals: from the iteration: the run would remove more links than it may.
            Stopped: from the iteration: the run ended early; the results have what was done.
        """
        resume = resume or failed_only
        if resume and overwrite:
            raise UsageError("resume continues a results file and overwrite starts over; use only one of them")
        if resume and results is None:
            raise UsageError("resume needs the results file of the earlier run; give it as results")
        settings, file = self._with(options, jobs), None
        if results is not None:
            file = ResultsFile(
                Path(results),
                overwrite=overwrite,
                resume=resume,
                durability=settings.durability,
                account=settings.base_url,
                account_unchecked=settings.account_unchecked,
                recent_s=settled_s(settings),
            )
        sources = sources_of(jobs)
        return self._register(
            Run(
                settings,
                self._token,
                self._limiter,
                sources,
                file,
                reads=after.reads if after is not None else None,
                failed_only=failed_only,
                confirm=confirm,
                confirm_unreadable=confirm_unreadable,
                confirm_new=confirm_new,
            )
        )

    def dry_run(
        self,
        jobs: Jobs,
        *,
        keep_reads: bool = False,
        done_in: Path | None = None,
        failed_only: bool = False,
        **options: Any,
    ) -> Run:
        """Return a run that sends no PUT; its `outcomes()` are what a run would do. `plan()` collects them.

        Args:
            keep_reads: keep what is read in memory, for a run `after` this one.
            done_in: a results file that a run would resume; what it says is done is left out.
            failed_only: as for `run()`.
        """
        settings = self._with(options, jobs)
        reads = Reads(settings.max_age) if keep_reads else None
        return self._register(
            Run(
                settings,
                self._token,
                self._limiter,
                sources_of(jobs),
                dry=True,
                reads=reads,
                done_in=done_in,
                failed_only=failed_only,
            )
        )

    async def plan(self, jobs: Jobs, **options: Any) -> Plan:
        """Return what a run would do to the account as it is now. Sends no PUT. Options are those of `run()`.

        Example:
            >>> plan = await aha.plan("links.csv")
            >>> plan.puts, plan.added, plan.removed, plan.holds
        """
        run = self.dry_run(jobs, **options)
        plan = Plan(self._settings)
        async for outcome in run.outcomes():
            plan.add(outcome)
        plan.end(run.visibility)
        plan.reads, plan.new_records, plan.unreadable = run.summary.requests, run.new_records, run.unreadable
        plan.creations = run.creations
        return plan

    async def check(self, jobs: Jobs | None = None, **options: Any) -> Check:
        """Return the token's owner, the account's rate limit and link fields, and whether a run could do `jobs`.

        Raises:
            UsageError: a file cannot be used, or the table that its names belong to is unknown.
        """
        sources = sources_of(jobs) if jobs else []
        return await checked(self._with(options), self._token, self._limiter, sources)

    async def export(
        self, scope: str, field: str | None = None, *, names: bool | Callable[[str], bool] = False
    ) -> AsyncIterator[LinkJob]:
        """Yield the links of the targets of a scope as jobs that would restore them: `export("feature:PRJ1")`.

        Args:
            names: write names instead of ids, for an account in which the ids differ; or a function that returns
                whether to write a name. A record whose name is not unique keeps its id.

        Raises:
            UsageError: the scope is invalid, or the account has no such list.
            ExportFailed: the list cannot be read.
        """
        listing, is_usable = Listing.parse(scope), (names if callable(names) else (lambda _: True) if names else None)
        async with aclosing(exported(self._settings, self._token, self._limiter, listing, field, is_usable)) as jobs:
            async for job in jobs:
                yield job

    async def tables(self) -> Tables:
        """Return the custom tables and the link fields of the account, as far as its answers show them.

        Raises:
            Stopped: the account rejects the token, or cannot be reached.
        """
        return await find_tables(self._settings, self._token, self._limiter)

    async def records(self, table: str, find: str | None = None) -> AsyncIterator[Record]:
        """Yield the records of a table such as `PRJ1/customers`.

        Args:
            find: only records with this text in their names, whatever its case.

        Raises:
            UsageError: the table does not exist, or linker cannot tell which of its fields holds the names.
            Stopped: the table cannot be read to its end.
        """
        async with aclosing(find_records(self._settings, self._token, self._limiter, table, find)) as records:
            async for record in records:
                yield record

    async def delete_created(self, undo: UndoFile) -> AsyncIterator[Deletion]:
        """Delete the records that a run has created, after its undo, if nothing links to them any more.

        Yields what becomes of each. A record stays if the account does not show what links to it.

        Example:
            >>> undo = linker.UndoFile("links.results.jsonl")
            >>> async for result in aha.run(undo, results="links.undo.jsonl"): ...
            >>> async for deletion in aha.delete_created(undo): ...

        Raises:
            UsageError: the file cannot be read, is no results file, or belongs to another account.
            Stopped: the account rejects the token, or cannot be reached.
        """
        async with aclosing(deleted(self._settings, self._token, self._limiter, undo)) as deletions:
            async for deletion in deletions:
                yield deletion

    def _with(self, options: dict[str, Any], jobs: Jobs | None = None) -> Settings:
        unknown = options.keys() - RUN_OPTIONS
        if unknown:
            raise TypeError(f"unknown options of a run: {', '.join(sorted(unknown))}")
        if isinstance(jobs, UndoFile):  # the run that is undone has used these fields already
            options = {**options, "preflight": False}
        return replace(self._settings, **options) if options else self._settings

    def _register(self, run: Run) -> Run:
        self._runs = [*(earlier for earlier in self._runs if not earlier.ended), run]
        return run


def link(
    jobs: Jobs,
    account: str | None = None,
    token: str | Token | None = None,
    *,
    results: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    failed_only: bool = False,
    **options: Any,
) -> Summary:
    """Run a batch, wait for its end and return its summary; `Linker(...).run(...)` is the asynchronous form.

    Raises:
        UsageError: a setting or a file cannot be used; or an event loop is already running, as in a notebook.
        Stopped: the run ended early; the results have what was done.

    Example:
        >>> summary = link("links.csv", account="company", token=token, results="links.results.jsonl")
        >>> summary.linked, summary.failed
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise UsageError(
            "link() cannot wait inside a running event loop, such as that of a notebook; write instead: "
            "async with linker.Linker(...) as aha: async for result in aha.run(jobs, results=...): ..."
        )

    token = secret = Token.of(token)  # so that no frame keeps the text
    secret.check()

    async def run_to_end() -> Summary:
        async with Linker(account, secret, **options) as aha:
            run = aha.run(jobs, results, overwrite=overwrite, resume=resume, failed_only=failed_only)
            async for _ in run:
                pass
            return run.summary

    return asyncio.run(run_to_end())
